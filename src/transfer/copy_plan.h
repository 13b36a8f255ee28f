// How one object is carried: pure arithmetic, so that it can be tested and argued about.
//
// Routes, in the order in which they are tried:
//   kServerCopy  both ends are one store, and it can copy an object of this size by itself;
//   kBuffer      up to kBufferBytesMax: one GET into memory, one PUT out of it, which can be sent
//                again. 16 MiB is where a second copy of the bytes begins to be worth avoiding;
//   kStream      one PUT fed by one GET, for objects of one part: the only way that keeps their
//                ETag. Also where the target takes bodies of any size and has no parts;
//   kParts       parallel ranged GETs and part uploads, for multipart objects, for what no single
//                PUT can carry, and for sources that have neither checksum nor MD5 to verify by.
//
// Part sizes: those of the source when their mean is at least kPartBytesMeanMin (so the ETag stays)
// and each fits into half of the memory budget; else max(16 MiB, size / 10,000 rounded up to MiB).
// Parts in flight for one object: kPartsInFlight; what all objects together hold is bounded by the
// memory budget.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/store.h"

namespace longhaul {

enum class CopyRoute { kServerCopy, kBuffer, kStream, kParts };

inline constexpr uint64_t kBufferBytesMax = 16ULL << 20;
inline constexpr uint64_t kPartBytesMeanMin = 16ULL << 20;
inline constexpr uint64_t kPartBytesMin = 16ULL << 20;
inline constexpr int kPartsMax = 10'000;  // S3 User Guide, multipart upload limits.
inline constexpr int kPartsInFlight = 4;

struct CopyShape {
  uint64_t size_bytes = 0;
  std::string_view etag;               // Of the source.
  bool has_checksum = false;           // The source has a checksum of the whole object.
  bool one_store = false;              // Both ends are the same store.
  uint64_t memory_bytes = UINT64_MAX;  // The whole budget; a buffer takes at most a quarter.
  Capabilities target;
};

CopyRoute ChooseRoute(const CopyShape& shape);

// The N of "<md5>-N"; nullopt for any other ETag.
std::optional<int> PartCountOfEtag(std::string_view etag);

// Sizes of parts that add up to `size_bytes`; all of `part_size_bytes` but the last.
std::vector<uint64_t> EqualParts(uint64_t size_bytes, uint64_t part_size_bytes);

// Our own choice of part size, at least the target's minimum.
uint64_t OwnPartSize(uint64_t size_bytes, const Capabilities& target);

// The part size that an uploader who splits evenly must have used for `count` parts: a whole number
// of MiB, the smallest that fits. 0: none does. A guess, for stores that do not tell part sizes;
// the ETag proves it.
uint64_t GuessPartSize(uint64_t size_bytes, int count);

}  // namespace longhaul
