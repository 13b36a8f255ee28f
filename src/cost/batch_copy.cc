#include "cost/batch_copy.h"

#include "base/check.h"
#include "cost/bill.h"

namespace longhaul {

namespace {

using Unit = Bill::Unit;

// Pico-dollars, for one each: what S3 Batch Operations asks besides the requests.
constexpr int64_t kJob = 250'000'000'000;
constexpr int64_t kBatchObject = 1'000'000;
// Keys that one request lists.
constexpr uint64_t kKeysOfListing = 1000;

}  // namespace

BatchCopyCost CostByBatchCopy(const BatchCopyWork& work, const Prices& prices) {
  Bill bill;
  bill.Add("copies", "request/us-east-1/get/STANDARD", Unit::kEach, work.copies);
  bill.Add("copies", "request/us-east-1/put/EXPRESS_ONEZONE", Unit::kEach, work.copies);
  bill.Add("bytes", "express_upload_gib/us-east-1", Unit::kByte, work.bytes);
  bill.Add("listing", "request/us-east-1/list/STANDARD", Unit::kEach,
           (work.listed + kKeysOfListing - 1) / kKeysOfListing);
  bill.Add("table", "state_write/us-east-1", Unit::kEach, work.listed);
  const Bill::Sum sum = bill.Reckon(prices);
  LH_CHECK(sum.unknown.empty());  // The table has them.
  BatchCopyCost cost{.items = {{"bytes", 0}, {"copies", 0}, {"listing", 0}, {"table", 0}}};
  for (const auto& [item, pico] : sum.items) cost.items[item] = pico;
  cost.items["copies"] += static_cast<Pico>(work.copies) * kBatchObject;
  cost.items["jobs"] = static_cast<Pico>(work.jobs) * kJob;
  for (const auto& [name, pico] : cost.items) cost.total += pico;
  return cost;
}

}  // namespace longhaul
