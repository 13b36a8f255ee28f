// What a listing may hold of the memory budget.
//
// It is held while what is listed is copied, by those who need memory of the same budget: a listing
// of the source and one of the target together leave three quarters, and a part takes three eighths
// at most (PartBytesMax in copy_plan.h). Else both would wait for each other.

#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/runtime.h"
#include "transfer/listing/sorted_listing.h"

namespace longhaul {

inline int64_t ListingBytesMax(const MemoryBudget& memory) {
  return std::max<int64_t>(memory.limit_bytes() / 8, 1);
}

// SortListing in so much.
inline std::unique_ptr<Listing> SortToCopy(const Runtime& runtime, std::unique_ptr<Listing> source,
                                           std::string folder, Doubles doubles = Doubles::kNewest) {
  const auto bytes = static_cast<size_t>(ListingBytesMax(runtime.memory));
  return SortListing(runtime, std::move(source), std::move(folder), doubles,
                     std::min(kSortBytesMax, bytes));
}

}  // namespace longhaul
