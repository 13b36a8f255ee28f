// SortListing: a listing in no order as one in order of keys, in bounded memory.
//
// For stores that list as they like (directory buckets), and for inventories and lists of files.
// What does not fit into memory goes to sorted runs on disk (zstd), which are merged; many runs are
// first merged into one. The file has no name and is gone with the listing, also after a crash.
// A few objects never touch the disk.

#pragma once

#include <memory>
#include <string>

#include "base/runtime.h"
#include "transfer/listing/listing.h"

namespace longhaul {

// What a key that is there more than once becomes.
enum class Doubles {
  kNewest,    // One object: the one that was changed last. Several versions: kInvalidInput.
  kVersions,  // Each version once, the newest first.
  kKeep,      // All of them, the newest first.
  kRefuse,    // kCorrupt.
};

// A run in memory; the merge takes less.
inline constexpr size_t kSortBytesMax = 48 << 20;

// `folder`: of the runs; empty: $TMPDIR, else /tmp. Errors: those of `source`; kRetryable: the disk
// is full or broken.
std::unique_ptr<Listing> SortListing(Runtime runtime, std::unique_ptr<Listing> source,
                                     std::string folder, Doubles doubles = Doubles::kNewest,
                                     size_t run_bytes_max = kSortBytesMax);

}  // namespace longhaul
