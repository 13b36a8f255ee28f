// Estimate: what it would cost to replicate what a bucket holds, by longhaul and by other ways.
//
// Pure arithmetic over what was listed and measured. What each way needs for an object is said at
// its function; all of it goes through Bill, so that an unknown price is named.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cost/bill.h"

namespace longhaul {

// What is reckoned.
enum class EstimateSpan {
  kOnce,   // All of it, at once, to a staging that is new.
  kMonth,  // As much in 30 days of a `replicate` that goes on.
};

// So much.
struct EstimateVolume {
  uint64_t objects = 0;
  uint64_t bytes = 0;
  uint64_t packed_bytes = 0;  // In archives, with framing and metadata.
  // Of these, objects that have an archive of their own: those over 8 MiB.
  uint64_t large_objects = 0;
  uint64_t large_bytes = 0;
  uint64_t large_packed_bytes = 0;
  uint64_t packing_us = 0;  // Processor time.
  // Objects by storage class, which replicas have as well. What is missing is in STANDARD.
  std::map<std::string, uint64_t> classes{};
};

struct EstimateWays {
  Bill longhaul;
  Bill native;
  Bill native_rtc;
  Bill copy;
};

// From a region to others. `fixed_pico_dollars` is added to longhaul's by whoever compares.
EstimateWays EstimateOf(const EstimateVolume& volume, const std::string& from,
                        const std::vector<std::string>& to,
                        EstimateSpan span = EstimateSpan::kOnce);

// What archives are made of, on average.
inline constexpr uint64_t kEstimateFrameBytes = 8 << 20;
inline constexpr uint64_t kEstimateArchiveBytes = 256 << 20;
inline constexpr uint64_t kEstimateArchiveObjects = 10'000;

}  // namespace longhaul
