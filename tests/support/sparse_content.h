// The sparse content: endless bytes that follow from their offset, for objects that nobody can
// hold.
//
// Each MiB begins with its number, big endian; all other bytes are zeros. So bytes that come from
// somewhere else in an object do not pass for those that belong there.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace longhaul::testing {

inline constexpr uint64_t kSparseBlockBytes = 1 << 20;

// So much of it.
struct SparseRange {
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
  [[nodiscard]] uint64_t end_bytes() const { return offset_bytes + size_bytes; }
  bool operator==(const SparseRange&) const = default;
};

// What lies at `offset_bytes`.
void FillSparse(uint64_t offset_bytes, std::span<std::byte> out);
// Where `bytes` lie that begin with a block.
uint64_t SparseOffset(std::span<const std::byte> bytes);
// Whether `bytes` are those at `offset_bytes`.
bool IsSparse(uint64_t offset_bytes, std::span<const std::byte> bytes);

}  // namespace longhaul::testing
