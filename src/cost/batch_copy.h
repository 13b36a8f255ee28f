// BatchCopyCost: what a fill of a cache would have cost by Amazon's caching solution, which copies
// by S3 Batch Operations into S3 Express One Zone. By the formula of its guide, in us-east-1, with
// the prices of requests and bytes that everything else is reckoned with: the guide's own are older
// and dearer.
//
// Left out are its functions and its workflow, which nobody can count from outside: it is "at
// least".

#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cost/pico.h"
#include "cost/prices.h"

namespace longhaul {

struct BatchCopyWork {
  uint64_t jobs = 0;    // One for each prefix of which anything is copied.
  uint64_t copies = 0;  // Objects.
  uint64_t bytes = 0;   // Of these objects.
  uint64_t listed = 0;  // Keys.
};

struct BatchCopyCost {
  std::map<std::string, Pico> items;
  Pico total = 0;
};
BatchCopyCost CostByBatchCopy(const BatchCopyWork& work, const Prices& prices);

}  // namespace longhaul
