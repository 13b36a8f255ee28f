// How one object is carried: pure arithmetic, so that it can be tested and argued about.
//
// Routes, in the order in which they are tried:
//   kServerCopy  both ends are one store, and it can copy an object of this size by itself;
//   kServerParts both ends are one store, which copies, but not so much at once: part by part;
//   kBuffer      up to kBufferBytesMax, and what one PUT may carry: one GET into memory, one PUT
//   out of it, which can be sent
//                again. 16 MiB is where a second copy of the bytes begins to be worth avoiding;
//   kStream      one PUT fed by one GET, for objects of one part: the only way that keeps their
//                ETag. Also where the target takes bodies of any size and has no parts;
//   kParts       parallel ranged GETs and part uploads, for multipart objects, for what no single
//                PUT can carry, for sources that have neither checksum nor MD5 to verify by, and
//                for what is larger than kStreamBytesPreferred, where a checksum verifies the whole
//                of it: a PUT that breaks off begins at its first byte again.
// Where the target writes parts straight to where they belong (storage/placed_parts.h), what is
// larger than kPlacedBytesMin goes by kParts, so that it goes on where it broke off. Only what has
// nothing but an MD5 of the whole to verify by goes by kStream up to kStreamBytesPreferred: that
// digest is made of the bytes in their order, so of parts they would have to be read once more.
// A threshold that the caller sets decides between the last three by the size alone.
//
// Part sizes: those of the source when their mean is at least kPartBytesMeanMin (so the ETag stays)
// and none is larger than PartBytesMax; else the caller's, else max(16 MiB, size / 10,000
// rounded up to MiB). Parts in flight for one object: kPartsInFlight; what all objects together
// hold is bounded by the memory budget. Where the store copies by itself, nothing passes through
// memory, and the parts are those of the source or kServerPartBytes.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/store.h"

namespace longhaul {

enum class CopyRoute { kServerCopy, kServerParts, kBuffer, kStream, kParts };

inline constexpr uint64_t kBufferBytesMax = 16ULL << 20;
inline constexpr uint64_t kStreamBytesPreferred = 1ULL << 30;
// Less than what starting over costs a slow line (5 s at 100 Mbit/s), and enough that a hidden
// folder and the look at the source beforehand do not count.
inline constexpr uint64_t kPlacedBytesMin = 64ULL << 20;
inline constexpr uint64_t kPartBytesMeanMin = 16ULL << 20;
inline constexpr uint64_t kPartBytesMin = 16ULL << 20;
inline constexpr uint64_t kServerPartBytes = 512ULL << 20;
inline constexpr int kPartsMax = 10'000;  // S3 User Guide, multipart upload limits.
inline constexpr int kPartsInFlight = 4;

struct CopyShape {
  uint64_t size_bytes = 0;
  std::string_view etag;               // Of the source.
  bool has_checksum = false;           // The source has a checksum of the whole object.
  bool one_store = false;              // Both ends are the same store.
  bool places_parts = false;           // The target does.
  uint64_t memory_bytes = UINT64_MAX;  // The whole budget; a buffer takes at most a quarter.
  std::optional<uint64_t> multipart_threshold_bytes{};
  Capabilities target;
};

CopyRoute ChooseRoute(const CopyShape& shape);

// The N of "<md5>-N"; nullopt for any other ETag.
std::optional<int> PartCountOfEtag(std::string_view etag);

// Sizes of parts that add up to `size_bytes`; all of `part_size_bytes` but the last.
std::vector<uint64_t> EqualParts(uint64_t size_bytes, uint64_t part_size_bytes);

// Our own choice of part size, at least the target's minimum, and so large that kPartsMax parts
// are enough. `wanted_bytes`: what the caller would like, 0 if that is all the same.
uint64_t OwnPartSize(uint64_t size_bytes, const Capabilities& target, uint64_t wanted_bytes = 0);

// The largest part that is chosen, or gone on with, where so much memory is there. What lists,
// sorts or reads a vault holds the rest for as long as parts are copied, and would not give it back
// before: five eighths, in `restore` (SortBytesOfVault, ListingBytesMax).
constexpr uint64_t PartBytesMax(int64_t memory_bytes) {
  return static_cast<uint64_t>(memory_bytes) / 8 * 3;
}

// The part size that an uploader who splits evenly must have used for `count` parts: a whole number
// of MiB, the smallest that fits. 0: none does. A guess, for stores that do not tell part sizes;
// the ETag proves it.
uint64_t GuessPartSize(uint64_t size_bytes, int count);

}  // namespace longhaul
