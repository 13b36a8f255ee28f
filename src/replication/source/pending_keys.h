// PendingKeys: the keys of a rule that wait to be read, and which of them travel together.
//
// A key sleeps until it may be read; then it is ready. The keys of one batch go to the same
// targets, and a large object goes alone. A batch is begun with the key that has waited longest and
// goes on in the order of keys (neighbours compress best), so nothing starves behind a steady
// stream. Large and small take turns, and so do fresh keys and those of a backlog. Taking a batch
// costs O(log n) for each key in it, however many wait.
//
// Belongs to one shard; nothing here waits.

#pragma once

#include <algorithm>
#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "events/hint.h"
#include "rules/rule.h"

namespace longhaul {

// A message that was received and is not acknowledged yet (open_messages.h).
struct OpenMessage;

// A key that is to be read for a rule, and who waits for it.
struct PendingKey {
  // A reading counts only when the source's own clock says that it was made at or after this.
  SystemTime not_before{};
  SystemTime due{};  // By our own clock; the source's is behind it.
  SteadyTime since{};
  SystemTime heard{};  // First; lag counts from here.
  std::optional<uint64_t> size_bytes;
  int tries = 0;
  std::string target;                  // Only this one; empty: all.
  bool alone = false;                  // Does not fit beside others.
  bool attributes = false;             // Its bytes may be at the target already (events/hint.h).
  bool backlog = false;                // Nobody waits for it more than for all the others.
  uint64_t company = 0;                // It travels with keys of the same one alone (suspects.h).
  std::optional<SegmentHint> segment;  // Only this much of it, and as it was planned.
  std::vector<std::shared_ptr<OpenMessage>> messages;
};

class PendingKeys {
 public:
  using Item = std::pair<std::string, PendingKey>;  // By key.
  static constexpr std::chrono::seconds kPutOffMax{10};
  // Where nothing more comes a batch need not linger; but of keys that come one by one not each is
  // to become an archive of its own.
  static constexpr std::chrono::milliseconds kBatchPause{500};

  PendingKeys(const Batch& batch, uint64_t bundle_object_bytes_max)
      : batch_(batch), bundle_object_bytes_max_(bundle_object_bytes_max) {}

  // Two hints of one key need one reading, made late enough for both. But a key that changes all
  // the time must be read all the same: a hint that would put its reading off by more than
  // kPutOffMax needs another reading, after that one. True: it needs a reading more than before.
  bool Add(std::string key, PendingKey pending);

  // How long until a batch is to be taken: 0 when it is now. nullopt: nothing waits here.
  // `nothing_comes`: the Queue is empty, so there is no use in waiting for more.
  std::optional<std::chrono::nanoseconds> NextBatch(SystemTime now, SteadyTime steady_now,
                                                    bool nothing_comes);
  // The batch that is to be taken now, in the order of keys; empty: none is.
  std::vector<Item> Take(SystemTime now, SteadyTime steady_now, bool nothing_comes);

  // What may travel without its bytes is not.
  [[nodiscard]] bool IsLarge(const PendingKey& pending) const {
    return !pending.attributes && pending.size_bytes.value_or(0) > bundle_object_bytes_max_;
  }
  // What it takes of a batch.
  [[nodiscard]] static uint64_t BytesOf(const PendingKey& pending) {
    return pending.attributes ? 0 : pending.size_bytes.value_or(0);
  }
  [[nodiscard]] size_t size() const { return entries_.size(); }
  // Of all of them; those of which nobody told a size count as nothing.
  [[nodiscard]] uint64_t size_bytes() const { return size_bytes_; }
  // Whether the keys of a backlog that wait here, also those whose time has not come, fill a batch
  // of small ones: what else is in the Queue is for whoever has time sooner.
  [[nodiscard]] bool HasBacklog() const {
    return static_cast<int64_t>(backlog_) >= batch_.count || backlog_bytes_ >= batch_.size_bytes;
  }
  // Those that were heard of before a time, with their targets, at most `max`; and the one that was
  // heard of first. Both look at all of them.
  [[nodiscard]] std::vector<Item> HeardBefore(SystemTime before, size_t max) const;
  [[nodiscard]] std::optional<std::pair<SystemTime, std::string>> Oldest() const;
  // When the one was heard of that has waited longest among those of no backlog. As well.
  [[nodiscard]] std::optional<SystemTime> OldestFresh() const;

 private:
  struct Entry {
    PendingKey pending;
    SystemTime put_off_until{};
    std::unique_ptr<PendingKey> later;  // The reading after this one.
    uint64_t sequence = 0;              // Tells apart those that came at the same time.
    bool ready = false;
  };
  // Key, NUL, target, NUL, segment: two targets that need a key for themselves alone make two
  // entries, and so do two segments of an object.
  using Entries = std::map<std::string, Entry>;
  template <class Time>
  using ByTime = std::map<std::pair<Time, uint64_t>, Entries::iterator>;
  // What may travel together.
  struct Group {
    std::map<std::string_view, Entries::iterator> by_key;
    ByTime<SteadyTime> by_age;
    uint64_t size_bytes = 0;
  };
  struct Kind {
    bool alone = false;
    bool backlog = false;
    auto operator<=>(const Kind&) const = default;
  };
  struct GroupName {
    std::string target;
    Kind kind;
    uint64_t company = 0;
    auto operator<=>(const GroupName&) const = default;
  };
  using Groups = std::map<GroupName, Group>;

  [[nodiscard]] GroupName GroupOf(const PendingKey& pending) const {
    return {.target = pending.target,
            .kind = Kind{.alone = pending.alone || pending.segment || IsLarge(pending),
                         .backlog = pending.backlog},
            .company = pending.company};
  }
  static SystemTime WakesAt(const PendingKey& pending) {
    return std::max(pending.not_before, pending.due);
  }
  [[nodiscard]] bool IsOfBacklog(const PendingKey& pending) const {
    const Kind kind = GroupOf(pending).kind;
    return kind.backlog && !kind.alone;
  }
  void Insert(Entries::iterator entry);
  void Extract(Entries::iterator entry);
  void WakeReady(SystemTime now);
  // When the group's batch closes; at or before `steady_now`: now.
  SteadyTime ClosesAt(const Groups::value_type& group, bool nothing_comes) const;

  Batch batch_;
  uint64_t bundle_object_bytes_max_;
  uint64_t next_sequence_ = 0;
  Entries entries_;
  uint64_t size_bytes_ = 0;
  size_t backlog_ = 0;  // Of the entries, those of a backlog that do not travel alone.
  uint64_t backlog_bytes_ = 0;
  ByTime<SystemTime> sleeping_;
  Groups groups_;                             // Ready keys; never an empty group.
  std::map<GroupName, SteadyTime> taken_at_;  // The last batch of small keys.
  // The kinds take turns: when each had its last one.
  std::map<Kind, uint64_t> turns_{{Kind(), 1}, {Kind{.backlog = true}, 2}};
  uint64_t next_turn_ = 3;
};

}  // namespace longhaul
