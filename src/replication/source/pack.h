// Packing: keys of a rule are read at the source and put into one archive, in staging.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "events/hint.h"
#include "replication/context/context.h"

namespace longhaul {

struct PackItem {
  std::string key;
  std::optional<uint64_t> size_bytes;  // A hint.
  // A reading counts only when the source's own clock says that it was made at or after this.
  SystemTime not_before{};
  std::optional<SegmentHint> segment;  // Only this much of it.
  bool attributes = false;             // Without its bytes, where the targets hold them.
};

struct PackedKey {
  enum class State {
    kStaged,   // In the archive; durable where PackResult::targets says so.
    kSkipped,  // Nothing to carry, to no target: filtered, absent without `deletes`, or come round
               // in a loop.
    kSplit,    // Another rule carries it to some of these targets, or all: read again, for `wanted`
               // alone.
    kTooEarly,  // Read before `not_before`: read again.
    kLarge,     // Does not belong into a bundle: `size_bytes` says how large it is.
    kUnread,    // The archive is full, or the hint's size was wrong (`size_bytes`): again.
    kFailed,    // `error`
  };
  State state = State::kUnread;
  uint64_t size_bytes = 0;
  SystemTime stamp{};
  bool deleted = false;
  // Neither a checksum nor the ETag told what its bytes are: its length alone was checked.
  bool unverified = false;
  bool alone = false;            // Of kUnread: it found no room beside others.
  std::vector<size_t> wanted{};  // Of kSplit: indexes into rule.targets.
  Error error;
  // Of kFailed, where that is not the source's fault: the targets (indexes into rule.targets) that
  // refuse it or find it damaged, and why. It may be worth another try all the same.
  std::map<size_t, Error> refused_by{};
};

struct PackResult {
  std::vector<PackedKey> keys;  // One for each item, in order.
  std::vector<Result<void>>
      targets;          // Whether the archive is durable there, for each of `targets`.
  std::string archive;  // Its ULID; empty when nothing was packed.
  ArchiveBytes bytes;
  SystemTime begun{};    // Nothing of it was read before.
  bool carried = false;  // Written to the targets already (carry.h); `archive` names the batch.
  // Then: the targets (indexes into rule.targets) to which something was sent, and whether their
  // store took any of it.
  std::map<size_t, Result<void>> carried_to{};
};

// How a job's memory is divided; all of it is reserved in one step before the job begins.
struct PackMemory {
  int slots = 1;             // Frames side by side.
  int64_t writer_bytes = 0;  // The archive's frames and index.
  int upload_buffers = 0;    // Parts of the archive, being filled and sent.
  int64_t upload_bytes = 0;  // Of all of them.
  int64_t window_bytes = 0;  // Objects read ahead of the frame.
  int level_max = 0;         // Up to which a tuner may go; 0: there is room for what rules say.
  [[nodiscard]] int64_t total() const { return writer_bytes + upload_bytes + window_bytes; }
};

// What a job takes at least.
int64_t PackMemoryMin(const ReplicationLimits& limits, int level, int level_max = 0);

// The division for a job that may take `available_bytes`. kInvalidInput: less than PackMemoryMin.
// `level_max`: as in PackMemory.
Result<PackMemory> PlanPackMemory(const ReplicationLimits& limits, int level, int threads,
                                  int64_t available_bytes, int level_max = 0);

// Packs `items` (sorted by key, no key twice) for some targets of a rule. What fails for one key is
// in its PackedKey, what fails for a staging in `targets` (whatever was read is kStaged then all
// the same); `targets` are indexes into rule.targets. Never fails as a whole.
asio::awaitable<PackResult> PackBundle(ReplicationContext& context, const RuleContext& rule,
                                       std::vector<size_t> targets, std::vector<PackItem> items,
                                       PackMemory memory);

// The same for one large object, or one segment of a giant. A giant itself is not packed but
// planned (giant.h): it is kStaged when the hints of its segments are durable in the Queue, and no
// archive is named. A segment whose object has changed is kSkipped, and the object's key is in the
// Queue.
asio::awaitable<PackResult> PackSingle(ReplicationContext& context, const RuleContext& rule,
                                       std::vector<size_t> targets, PackItem item,
                                       PackMemory memory);

// To those of `targets` that are not in `wanted` no archive carries this giant (any more). Whatever
// carries it there, or nobody, makes newer states: when it becomes again what it was, the transfer
// that was planned then must not count as one that is under way.
Async<void> ForgetTransfers(ReplicationContext& context, const RuleContext& rule,
                            const std::vector<size_t>& targets, const std::vector<size_t>& wanted,
                            const std::string& key);

}  // namespace longhaul
