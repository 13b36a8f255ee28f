#include "tests/support/sparse_content.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace longhaul::testing {

namespace {

constexpr size_t kNumberBytes = 8;

std::byte NumberByte(uint64_t offset_bytes) {
  const uint64_t number = offset_bytes / kSparseBlockBytes;
  return static_cast<std::byte>(number >>
                                (8 * (kNumberBytes - 1 - offset_bytes % kSparseBlockBytes)));
}

}  // namespace

void FillSparse(uint64_t offset_bytes, std::span<std::byte> out) {
  if (out.empty()) return;
  std::memset(out.data(), 0, out.size());
  for (uint64_t block = offset_bytes / kSparseBlockBytes * kSparseBlockBytes;
       block < offset_bytes + out.size(); block += kSparseBlockBytes) {
    const uint64_t begin = std::max(block, offset_bytes);
    const uint64_t end = std::min(block + kNumberBytes, offset_bytes + out.size());
    for (uint64_t at = begin; at < end; ++at) out[at - offset_bytes] = NumberByte(at);
  }
}

uint64_t SparseOffset(std::span<const std::byte> bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < kNumberBytes && i < bytes.size(); ++i) {
    number = number << 8 | static_cast<uint64_t>(bytes[i]);
  }
  return number * kSparseBlockBytes;
}

bool IsSparse(uint64_t offset_bytes, std::span<const std::byte> bytes) {
  std::vector<std::byte> expected(bytes.size());
  FillSparse(offset_bytes, expected);
  return std::memcmp(expected.data(), bytes.data(), bytes.size()) == 0;
}

}  // namespace longhaul::testing
