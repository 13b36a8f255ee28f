#include "cost/batch_copy.h"

namespace longhaul {

namespace {

// Pico-dollars, for one each.
constexpr int64_t kJob = 250'000'000'000;
constexpr int64_t kBatchObject = 1'000'000;
constexpr int64_t kGet = 400'000;
constexpr int64_t kExpressPut = 2'500'000;
constexpr int64_t kListedKey = 5'000;
constexpr int64_t kKeyInTable = 1'250'000;
constexpr int64_t kGbBeyond = 8'000'000'000;
constexpr uint64_t kGb = 1'000'000'000;

}  // namespace

BatchCopyCost CostByBatchCopy(const BatchCopyWork& work) {
  const auto times = [](uint64_t count, int64_t price) {
    return static_cast<int64_t>(count) * price;
  };
  BatchCopyCost cost;
  cost.items["jobs"] = times(work.jobs, kJob);
  cost.items["copies"] = times(work.copies, kBatchObject + kGet + kExpressPut);
  cost.items["listing"] = times(work.listed, kListedKey);
  cost.items["table"] = times(work.listed, kKeyInTable);
  // 8 pico-dollars a byte, exactly.
  static_assert(kGbBeyond % static_cast<int64_t>(kGb) == 0);
  cost.items["bytes"] = times(work.bytes_beyond, kGbBeyond / static_cast<int64_t>(kGb));
  for (const auto& [name, pico] : cost.items) cost.total += pico;
  return cost;
}

}  // namespace longhaul
