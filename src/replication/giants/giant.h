// Giants at the source: objects beyond the size of a single, which travel in segments.
//
// A transfer is planned once, as messages in the Queue, one for each segment: whichever process
// gets one reads that much of the object, as long as it is the one that was planned, and packs it.
// A row in State says that the transfer to a target is under way, so that hints which come
// meanwhile of what it holds already do not begin it anew; it goes when the target says that the
// object is settled there, or when no segment has been packed for a week.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "archive/entry.h"
#include "events/hint.h"
#include "replication/context/limits.h"
#include "rules/rule.h"
#include "state/state.h"
#include "transfer/uploads/shared_uploads.h"

namespace longhaul {

// The segments of an object of `size_bytes`, in order: whole parts each. `part_size_bytes` is that
// of its own parts, all alike but the last, or 0 where it has none, or is not known; they are kept
// where an upload can have them. In the hints, what is said of the object is still missing.
std::vector<SegmentHint> PlanSegments(const ReplicationLimits& limits, uint64_t size_bytes,
                                      uint64_t part_size_bytes);

// The size of the parts of a multipart object; 0 when they differ, or nobody tells. Errors are
// those of the store.
Async<uint64_t> PartSizeOf(Store& store, std::string bucket, std::string key, ObjectInfo info);

// What tells one reading of an object from another: ETag, time, headers, metadata and tags.
std::string FingerprintOfReading(const ArchiveEntry& entry, SystemTime last_modified);

// Where the uploads of giants stand in State, at the target.
inline SharedUploads::Family GiantRows() { return {.uploads = "giant/", .parts = "giant-parts/"}; }

struct Transfer {
  // Whether the object, read anew because something was heard of `heard`, comes with this transfer.
  // The same state can come back later, when the marker of a delete is removed for example; what
  // has been staged of the delete is newer than this transfer then.
  [[nodiscard]] bool Covers(const std::string& fingerprint_now, SystemTime heard) const {
    return fingerprint == fingerprint_now && heard <= heard_until;
  }

  std::string plan;          // ULID
  std::string fingerprint;   // Of the reading by which it was planned.
  SystemTime heard_until{};  // What was heard of up to then was there when it was planned.
};

// The transfers of a rule's objects to one of its targets. Errors are those of State.
class Transfers {
 public:
  Transfers(State& state, const Rule& rule, const Target& target);

  Async<std::optional<Transfer>> Find(std::string key);
  Async<void> Begin(std::string key, Transfer transfer, SystemTime now);
  // It goes on. Only if it is this one.
  Async<void> Keep(std::string key, std::string plan, SystemTime now);
  // Only if it is this one.
  Async<void> End(std::string key, std::string plan);

 private:
  // Writes the row of `key` anew, or removes it, if it is that of `plan`.
  Async<void> Change(std::string key, std::string plan, std::optional<SystemTime> expires);

  State& state_;
  std::string partition_;
};

}  // namespace longhaul
