// Between which values the options of a migration lie, whoever says them: a configuration or the
// command line.

#pragma once

#include <chrono>
#include <cstdint>

namespace longhaul {

// Both ends included.
struct SizeBounds {
  uint64_t min = 0;
  uint64_t max = 0;
};
struct DurationBounds {
  std::chrono::milliseconds min{};
  std::chrono::milliseconds max{};
};

inline constexpr DurationBounds kModifyWindowBounds{std::chrono::milliseconds(0),
                                                    std::chrono::hours(24)};
inline constexpr DurationBounds kTaskTimeoutBounds{std::chrono::seconds(10), std::chrono::days(7)};
inline constexpr SizeBounds kBatchBytesBounds{1ULL << 20, 64ULL << 30};
// Parts of uploads have 5 MiB to 5 GiB. (S3 User Guide, multipart upload limits.)
inline constexpr SizeBounds kGiantBytesBounds{5ULL << 20, 5ULL << 40};
inline constexpr SizeBounds kRangeBytesBounds{5ULL << 20, 1ULL << 40};
inline constexpr SizeBounds kPartBytesBounds{5ULL << 20, 5ULL << 30};
inline constexpr int kObjectTriesMax = 100;   // From 1 on.
inline constexpr int kBatchCountMax = 1'000;  // From 1 on.

}  // namespace longhaul
