// Removals: what a sync will remove at the target, collected before the first of it goes.
//
// Nothing is removed until both listings have ended well and the guard has seen the whole number.
// What does not fit into a few MiB waits in an unlinked file, so memory does not grow with it.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/async.h"
#include "base/cpu_pool.h"

namespace longhaul {

// How much may be removed. Without a limit of the user's own: not more than 1,000 objects *and* a
// quarter of the target, as `delete_guard` of a rule.
struct RemovalGuard {
  std::optional<uint64_t> count_max;
  std::optional<double> percent_max;  // Of the target's objects that the filters let pass.
};

// What a run has seen when its removals are about to begin.
struct RemovalCount {
  uint64_t removals = 0;
  uint64_t target_objects = 0;  // That the filters let pass.
  uint64_t source_objects = 0;  // The same of the source.
};

inline constexpr const char* kDeleteGuardCode = "DeleteGuard";

// kPrecondition, code kDeleteGuardCode: says which guard, and what to do when it is meant.
Result<void> CheckRemovals(const RemovalCount& count, const RemovalGuard& guard);

class Removals {
 public:
  struct Entry {
    std::string key;
    std::string etag;
    std::string version_id;  // Empty: the current one.
    uint64_t size_bytes = 0;
    bool at_source = false;  // The source has the name too, and the filters leave it out.
  };

  // `pool` does what blocks. `memory_bytes_max`: what waits in memory.
  explicit Removals(CpuPool& pool, size_t memory_bytes_max = 4 << 20)
      : pool_(pool), memory_bytes_max_(memory_bytes_max) {}
  ~Removals();
  Removals(const Removals&) = delete;
  Removals& operator=(const Removals&) = delete;

  void Add(const Entry& entry);
  // To be asked after Add: whether Spill has to be awaited before the next.
  [[nodiscard]] bool full() const { return buffer_.size() >= memory_bytes_max_; }
  // kRetryable, kInvalidInput (no space): the entries cannot be kept, so nothing may be removed.
  Async<void> Spill();

  [[nodiscard]] uint64_t count() const { return count_; }
  // In the order in which they were added; nullopt at the end. After the first of these no Add.
  Async<std::optional<Entry>> Next();

 private:
  Result<void> WriteBuffer();
  Result<bool> ReadBuffer();  // False: there is no more.

  CpuPool& pool_;
  size_t memory_bytes_max_;
  uint64_t count_ = 0;
  std::string buffer_;  // Entries that are not in the file.
  int fd_ = -1;
  uint64_t file_bytes_ = 0;
  std::string reading_;
  size_t at_ = 0;
  uint64_t read_bytes_ = 0;
  bool took_buffer_ = false;
};

}  // namespace longhaul
