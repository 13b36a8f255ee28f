#include "cost/bill.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "cost/estimate.h"
#include "cost/pico.h"

namespace longhaul {
namespace {

constexpr Pico kDollar = 1'000'000'000'000;

Bill TransferOf(uint64_t bytes) {
  Bill bill;
  bill.Add("transfer", "transfer/us-east-1/eu-west-1", Bill::Unit::kByte, bytes);
  return bill;
}

// 64 bits end at nine million dollars, and what ends there would be told as cheap.
TEST(BillTest, NothingIsTooDear) {
  const Prices prices(PriceList{{"transfer/us-east-1/eu-west-1", 20'000'000'000},
                                {"transfer/us-east-1/internet", 90'000'000'000},
                                {"storage/us-east-1/STANDARD", 23'000'000'000}});
  EXPECT_EQ(TransferOf(uint64_t{1} << 50).Reckon(prices).total, kDollar * 2'097'152 / 100);
  EXPECT_EQ(FormatPico(TransferOf(uint64_t{1} << 50).Reckon(prices).total), "$20971.52");

  Bill much;
  for (int i = 0; i < 10; ++i) {
    much.Add("item " + std::to_string(i), "transfer/us-east-1/internet", Bill::Unit::kByte,
             uint64_t{1} << 60);
  }
  const Bill::Sum sum = much.Reckon(prices);
  EXPECT_EQ(sum.items.at("item 3"), kDollar * (1 << 30) * 9 / 100);
  EXPECT_EQ(sum.total, sum.items.at("item 3") * 10);
  EXPECT_EQ(FormatPico(sum.total), "$966367641.60");

  // An EiB through 730 hours: more KiB and seconds than 64 bits hold.
  Bill kept;
  kept.Add("storage", "storage/us-east-1/STANDARD", Bill::Unit::kKibSecond,
           (Bill::Quantity{1} << 50) * 730 * 3600);
  EXPECT_EQ(kept.Reckon(prices).total, kDollar * (1 << 30) * 23 / 1000);
}

TEST(BillTest, WhatIsSavedIsTheDifferenceOfLargeSums) {
  Configuration configuration;
  Rule rule{.id = "one", .source = {.store = "a", .bucket = "data", .prefix = ""}};
  rule.targets.push_back({.name = "west", .to = {.store = "b", .bucket = "copy", .prefix = ""}});
  configuration.rules.push_back(rule);
  LedgerPlace place{.rule = "one",
                    .target = "west",
                    .part = "target",
                    .region = "eu-west-1",
                    .peers = "us-east-1"};
  Account account;
  account.Add({.place = place, .counts = {{"archive/bytes", uint64_t{3} << 50}}},
              &configuration.rules[0]);
  place.part = "staging";
  account.Add({.place = place, .counts = {{"sent", uint64_t{1} << 50}}}, &configuration.rules[0]);
  const Prices prices;
  const Pico net = account.native.Reckon(prices).total - account.paid.Reckon(prices).total;
  EXPECT_EQ(net, kDollar * 2 * 2'097'152 / 100);
}

TEST(BillTest, AnEstimateOfAnEibIsWhole) {
  const Prices prices;
  const EstimateWays ways =
      EstimateOf({.objects = 1, .bytes = uint64_t{1} << 60}, "us-east-1", {"eu-west-1"});
  EXPECT_EQ(ways.native.Reckon(prices).items.at("transfer"), kDollar * (1 << 30) / 50);
}

TEST(PicoTest, IsReadAsItIsWritten) {
  const Pico much = kDollar * 96'636'764;
  for (const Pico pico : {Pico{0}, Pico{7}, kDollar, much, -much}) {
    EXPECT_EQ(ParsePicoText(PicoText(pico)), pico) << PicoText(pico);
  }
  EXPECT_EQ(ParsePicoText("7 "), 0);
  EXPECT_EQ(ParsePicoText(std::string(37, '9')), 0);
  EXPECT_EQ(boost::json::serialize(JsonOfPico(kDollar * 9'000'000)), "9000000000000000000");
  EXPECT_EQ(boost::json::serialize(JsonOfPico(-kDollar)), "-1000000000000");
  EXPECT_DOUBLE_EQ(JsonOfPico(much).as_double(), 96'636'764e12);
  EXPECT_EQ(FormatPico(much + 1), "$96636764.000000000001");
}

}  // namespace
}  // namespace longhaul
