#include "cost/batch_copy.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

// As the guide has them: of before April 2025, and of before November 2024.
Prices OfTheGuide() {
  return Prices(PriceList{{"request/us-east-1/put/EXPRESS_ONEZONE", 2'500'000},
                          {"state_write/us-east-1", 1'250'000},
                          // None below 512 KB.
                          {"express_upload_gib/us-east-1", 0}});
}

// A comparison with a wrong formula would promise what is not saved. The published example: 3
// million objects of 1 TB below 20 prefixes, $23.16 with functions and workflow.
TEST(BatchCopyCost, IsThatOfThePublishedExampleWithoutItsFunctions) {
  const BatchCopyWork work{
      .jobs = 20, .copies = 3'000'000, .bytes = 1'000'000'000'000, .listed = 3'000'000};
  const BatchCopyCost cost = CostByBatchCopy(work, OfTheGuide());
  EXPECT_EQ(cost.items.at("jobs"), 5'000'000'000'000);
  EXPECT_EQ(cost.items.at("copies"), 11'700'000'000'000);
  EXPECT_EQ(cost.items.at("table"), 3'750'000'000'000);
  EXPECT_EQ(cost.items.at("listing"), 15'000'000'000);
  EXPECT_EQ(cost.total, 20'465'000'000'000);
  EXPECT_LT(cost.total, 23'160'000'000'000);
}

// Beside a bill of today's prices a comparison of older, dearer ones would promise too much.
TEST(BatchCopyCost, IsReckonedWithTheSamePricesAsTheFill) {
  const BatchCopyCost cost = CostByBatchCopy(
      {.jobs = 1, .copies = 1'000'000, .bytes = uint64_t{1} << 40, .listed = 1'000'000}, Prices());
  EXPECT_EQ(cost.items.at("copies"), 2'530'000'000'000);
  EXPECT_EQ(cost.items.at("table"), 625'000'000'000);
  EXPECT_EQ(cost.items.at("bytes"), 3'276'800'000'000);
  EXPECT_EQ(CostByBatchCopy({}, Prices()).total, 0);
}

}  // namespace
}  // namespace longhaul
