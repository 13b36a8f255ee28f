#include "transfer/object/copy_plan.h"

#include <algorithm>
#include <charconv>

namespace longhaul {

namespace {
constexpr uint64_t kMib = 1ULL << 20;
constexpr uint64_t RoundUp(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}
}  // namespace

std::optional<int> PartCountOfEtag(std::string_view etag) {
  if (etag.size() < 34 || etag[32] != '-' || !IsPlainMd5Etag(etag.substr(0, 32))) {
    return std::nullopt;
  }
  int count = 0;
  auto [end, error] = std::from_chars(etag.data() + 33, etag.data() + etag.size(), count);
  if (error != std::errc() || end != etag.data() + etag.size() || count < 1 || count > kPartsMax) {
    return std::nullopt;
  }
  return count;
}

CopyRoute ChooseRoute(const CopyShape& shape) {
  const uint64_t copy_max = shape.target.copy_size_bytes_max;  // 0: it does not copy.
  if (shape.one_store && copy_max > 0 && shape.size_bytes <= copy_max) {
    return CopyRoute::kServerCopy;
  }
  if (shape.one_store && copy_max > 0) return CopyRoute::kServerParts;
  bool target_has_parts = shape.places_parts || shape.target.put_size_bytes_max != UINT64_MAX;
  bool multipart = PartCountOfEtag(shape.etag).has_value();
  bool fits_buffer = shape.size_bytes <= std::min({kBufferBytesMax, shape.memory_bytes / 4,
                                                   shape.target.put_size_bytes_max});
  if (shape.multipart_threshold_bytes && target_has_parts) {
    if (shape.size_bytes >= std::max<uint64_t>(1, *shape.multipart_threshold_bytes) ||
        shape.size_bytes > shape.target.put_size_bytes_max) {
      return CopyRoute::kParts;
    }
    return fits_buffer ? CopyRoute::kBuffer : CopyRoute::kStream;
  }
  // A small multipart object keeps its ETag only as a multipart object, but below the mean part
  // size nobody is promised that, and one PUT is cheaper.
  if (fits_buffer) return CopyRoute::kBuffer;
  if (!target_has_parts) return CopyRoute::kStream;
  if (shape.places_parts) {
    const bool digest_of_parts = shape.has_checksum || !IsPlainMd5Etag(shape.etag);
    return shape.size_bytes > (digest_of_parts ? kPlacedBytesMin : kStreamBytesPreferred)
               ? CopyRoute::kParts
               : CopyRoute::kStream;
  }
  if (shape.size_bytes > shape.target.put_size_bytes_max || multipart) return CopyRoute::kParts;
  if (shape.has_checksum && shape.size_bytes > kStreamBytesPreferred) return CopyRoute::kParts;
  bool verifiable = shape.has_checksum || IsPlainMd5Etag(shape.etag);
  return verifiable ? CopyRoute::kStream : CopyRoute::kParts;
}

std::vector<uint64_t> EqualParts(uint64_t size_bytes, uint64_t part_size_bytes) {
  std::vector<uint64_t> sizes(size_bytes / part_size_bytes, part_size_bytes);
  if (size_bytes % part_size_bytes != 0) sizes.push_back(size_bytes % part_size_bytes);
  return sizes;
}

uint64_t OwnPartSize(uint64_t size_bytes, const Capabilities& target, uint64_t wanted_bytes) {
  const uint64_t least = (size_bytes + kPartsMax - 1) / kPartsMax;
  const uint64_t wanted =
      std::max(wanted_bytes != 0 ? wanted_bytes : kPartBytesMin, target.part_size_bytes_min);
  return wanted >= least ? wanted : RoundUp(least, kMib);
}

uint64_t GuessPartSize(uint64_t size_bytes, int count) {
  auto parts = static_cast<uint64_t>(count);
  uint64_t size = std::max(kMib, RoundUp((size_bytes + parts - 1) / parts, kMib));
  return (size_bytes + size - 1) / size == parts ? size : 0;
}

}  // namespace longhaul
