#include "cost/batch_copy.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

// A comparison with a wrong formula would promise what is not saved. The published example: 3
// million objects of 1 TB below 20 prefixes, $23.16 with functions and workflow.
TEST(BatchCopyCost, IsThatOfThePublishedExampleWithoutItsFunctions) {
  const BatchCopyCost cost =
      CostByBatchCopy({.jobs = 20, .copies = 3'000'000, .listed = 3'000'000, .bytes_beyond = 0});
  EXPECT_EQ(cost.items.at("jobs"), 5'000'000'000'000);
  EXPECT_EQ(cost.items.at("copies"), 11'700'000'000'000);
  EXPECT_EQ(cost.items.at("table"), 3'750'000'000'000);
  EXPECT_EQ(cost.items.at("listing"), 15'000'000'000);
  EXPECT_EQ(cost.total, 20'465'000'000'000);
  EXPECT_LT(cost.total, 23'160'000'000'000);
  EXPECT_EQ(CostByBatchCopy({.bytes_beyond = 1'000'000'000}).total, 8'000'000'000);
}

}  // namespace
}  // namespace longhaul
