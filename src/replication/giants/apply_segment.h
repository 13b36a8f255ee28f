// Applying one segment of a giant at one target.

#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "archive/reader.h"
#include "base/runtime.h"
#include "replication/context/rule_context.h"
#include "transfer/uploads/shared_uploads.h"

namespace longhaul {

struct SegmentApplication {
  // The object is settled here, or to be read anew: its transfer is over.
  bool over = false;
  // What became of the object, from one of its segments: the others, which find it so, say nothing.
  std::optional<ApplyOutcome> outcome;
};

// Puts the segment that is entry `index` of `reader` into the upload of its object, and completes
// that when it was the last one that was missing. `write`: the whole object. `memory_bytes`: for
// parts, reserved by the caller; `bytes_moved` counts what is sent.
//
// Errors are those of State and of the target's store; the segment can be applied again.
// `archive_failure` is set when it was the archive that did not give its bytes.
Async<SegmentApplication> ApplySegment(Runtime& runtime, uint64_t& bytes_moved,
                                       TargetContext& target, ArchiveReader& reader, size_t index,
                                       ReplicaWrite write, uint64_t memory_bytes,
                                       std::optional<Error>& archive_failure);

// Aborts those of `uploads`, which stood in State some time ago, that come to nothing: their object
// is settled otherwise, or they have stood still for longer than `idle_max`. The count.
Async<int> SweepGiantUploads(Clock& clock, TargetContext& target,
                             std::vector<std::pair<std::string, SharedUpload>> uploads,
                             std::chrono::nanoseconds idle_max);

}  // namespace longhaul
