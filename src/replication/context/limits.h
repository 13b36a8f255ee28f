// Tuned numbers of replication.

#pragma once

#include <chrono>
#include <cstdint>

namespace longhaul {

// Tuned numbers, in one place. The simulation makes the sizes small.
struct ReplicationLimits {
  // Objects up to this size travel in bundles, larger ones alone (docs/design.md).
  uint64_t bundle_object_bytes_max = 8 << 20;
  uint64_t single_object_bytes_max = 5ULL << 30;
  // Beyond it an object is a giant and travels in segments: of at least so much, and with parts of
  // at least so much where the source's own cannot be kept. Either is more where an upload would
  // have more than 10,000 parts (S3's limit).
  uint64_t segment_bytes_min = 512 << 20;
  uint64_t giant_part_bytes_min = 16 << 20;
  // From this size on, what may be a change of metadata or tags alone is asked for without its
  // bytes: a HEAD of the source and one of each target. Below, sending the bytes is cheaper.
  uint64_t attributes_alone_bytes_min = 64 << 10;
  // What `transport: auto` may carry without archives, and how much of it tells whether it shrinks
  // (choose_route.h).
  uint64_t carried_object_bytes_min = 1 << 20;
  uint64_t sample_bytes = 128 << 10;
  uint64_t frame_bytes = 8 << 20;
  // Parts of an archive's upload: 10,000 of them hold every archive that fits the 5 GiB.
  uint64_t part_bytes = 8 << 20;
  // How many objects of one batch or archive are read, or written, side by side, where the store
  // has no `requests` of its own (RuleContext, TargetContext): hides 64 round trips behind one; S3
  // answers in some 20 to 80 ms, so 1,000 to 3,000 objects a second. A process works on a few
  // batches at a time; the requests that it has under way are bounded by the store.
  int reads_max = 64;
  int writes_max = 64;
  // How long a message stays hidden; extended every third of it while it is worked on. What a
  // killed process held comes back after this.
  std::chrono::milliseconds visibility{30'000};
  std::chrono::milliseconds archive_lease{15'000};
  std::chrono::milliseconds process_lease{15'000};
  std::chrono::milliseconds staging_poll{1'000};
  std::chrono::milliseconds janitor_interval{5'000};
  int64_t hints_pending_max = 100'000;
};

}  // namespace longhaul
