// StagingQueue: what is to be done of what lies in one target's staging, and when.
//
// An archive is due as soon as it has been seen; one that could not be applied is due again when
// what held it up may be over. A listing of staging brings what has come and takes away what others
// have done; what is known comes back by itself, at its time, whether or not staging is listed
// before. Forgetting any of it costs work, never data: staging is the record.
//
// Belongs to one shard.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "replication/staging/staging.h"

namespace longhaul {

// An archive and what is remembered of it.
struct StagingWork {
  StagedArchive staged;  // As it was seen last.
  SteadyTime due{};
  bool under_way = false;
  bool needs_much = false;              // More memory than small archives get.
  std::optional<SteadyTime> done_at{};  // A listing that was begun before that does not know it.
  int attempts = 0;
  std::set<size_t> only{};             // Entries left to be applied; empty: all.
  std::set<std::string> reread{};      // Keys that earlier attempts want to be read anew.
  uint64_t applied = 0;                // Entries, in all attempts,
  std::set<size_t> conflicting{};      // and those that were in conflict.
  std::optional<Error> store_error{};  // Of the last attempt, when it was that of a whole store.
  // Attempts in which the target refused some entries, and how often it had settled one (of any
  // archive) before the first of them.
  int refusals = 0;
  uint64_t settled_before = 0;
  bool parked = false;
  bool corrupt = false;
};

class StagingQueue {
 public:
  // `target`: whose receipts settle an archive.
  explicit StagingQueue(std::string target) : target_(std::move(target)) {}

  // All that a listing showed that was begun at `begun_at`; receipts without an archive are no
  // work.
  void Saw(const std::vector<StagedArchive>& listed, SteadyTime begun_at);
  // Somebody wants what is parked to be tried again.
  void RetryParked();
  // It has been settled here.
  static void Done(StagingWork& work, SteadyTime now);

  // All of them, those that are due at the same time with small ones first and then by age. They
  // stay where they are until the next Saw, and longer while they are under way.
  [[nodiscard]] std::vector<StagingWork*> InOrder();
  // When the next one that waits for its time is due; nullopt: none does.
  [[nodiscard]] std::optional<SteadyTime> NextDue(SteadyTime now) const;

  [[nodiscard]] bool IsSettled(const StagingWork& work) const;
  [[nodiscard]] std::set<std::string> Archives() const;
  // What is not settled here yet: how many, and since when the oldest lies there.
  [[nodiscard]] uint64_t CountLeft() const;
  [[nodiscard]] std::optional<SystemTime> OldestLeft() const;

  // What most small archives take is one frame and its index. Those that need more get what is
  // planned for any archive; that would let one or two at a time into a small budget.
  static constexpr uint64_t kSmallArchiveBytes = 256 << 10;
  [[nodiscard]] static bool IsLarge(const StagingWork& work) {
    return work.needs_much || work.staged.archive->size_bytes > kSmallArchiveBytes;
  }

 private:
  std::string target_;
  std::map<std::string, StagingWork> work_;  // By ULID.
};

}  // namespace longhaul
