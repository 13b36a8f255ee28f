#include "cost/prices.h"

#include <gtest/gtest.h>

#include <fstream>

#include "rules/configuration.h"
#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

TEST(PricesTest, DollarsAreKeptExactly) {
  EXPECT_EQ(ParsePicoDollars("0.0000004").value(), 400'000);
  EXPECT_EQ(ParsePicoDollars("0.02").value(), 20'000'000'000);
  EXPECT_EQ(ParsePicoDollars("0").value(), 0);
  EXPECT_EQ(ParsePicoDollars("999999.999999999999").value(), 999'999'999'999'999'999);
  for (const char* bad : {"", "-1", "1e-3", ".5", "1.", "0.0000000000001", "1000000", "nan", "1,5",
                          " 1", "0x1", "--1"}) {
    EXPECT_FALSE(ParsePicoDollars(bad)) << bad;
  }
  // Somebody who writes digits alone wants to know which of them are too many.
  EXPECT_TRUE(ParsePicoDollars("1000000").error().message.contains("a million dollars or more"));
  EXPECT_TRUE(ParsePicoDollars("0.0000000000001").error().message.contains("more than 12 digits"));
  EXPECT_EQ(FormatPico(400'000), "$0.0000004");
  EXPECT_EQ(FormatPico(20'000'000'000), "$0.02");
  EXPECT_EQ(FormatPico(12'500'000'000'000), "$12.50");
}

TEST(PricesTest, TheTableKnowsRegionsAndNothingElse) {
  Prices prices;
  EXPECT_EQ(prices.TransferGib("us-east-1", "eu-west-1"), 20'000'000'000);
  EXPECT_EQ(prices.TransferGib("us-east-1", "us-east-2"), 10'000'000'000);
  EXPECT_EQ(prices.TransferGib("af-south-1", "us-east-1"), 147'000'000'000);
  EXPECT_EQ(prices.TransferGib("us-east-1", "us-east-1"), 0);
  EXPECT_EQ(prices.Find("request/eu-west-1/get/STANDARD"), 400'000);
  EXPECT_EQ(prices.Find("request/us-east-1/put/EXPRESS_ONEZONE"), 1'130'000);
  EXPECT_EQ(prices.Find("request/us-east-1/get/EXPRESS_ONEZONE"), 30'000);
  EXPECT_EQ(prices.Find("express_upload_gib/us-east-1"), 3'200'000'000);
  EXPECT_EQ(prices.Find("express_retrieval_gib/us-east-1"), 600'000'000);
  EXPECT_EQ(prices.Find("storage/us-east-1/EXPRESS_ONEZONE"), 110'000'000'000);
  // What is not known is never taken for 0.
  EXPECT_EQ(prices.Find("express_upload_gib/eu-west-1"), std::nullopt);
  EXPECT_EQ(prices.TransferGib("us-east-1", "moon-1"), std::nullopt);
  EXPECT_EQ(prices.TransferGib("moon-1", "moon-1"), std::nullopt);
  EXPECT_EQ(prices.VcpuSecond("sa-east-1"), std::nullopt);
  EXPECT_EQ(prices.Find("transfer/us-east-1/*"), std::nullopt);
}

TEST(PricesTest, EveryNameOfTheTableCanBeConfigured) {
  for (const auto& [name, price] : BuiltInPrices()) {
    EXPECT_EQ(PriceNameProblem(name, {}), "");
    EXPECT_GE(price, 0) << name;
  }
  for (const std::string_view region : KnownRegions()) {
    EXPECT_TRUE(Prices().TransferGib(region, "internet").has_value()) << region;
  }
}

TEST(PricesTest, AConfiguredPriceCountsBeforeTheTable) {
  Prices prices(PriceList{{"transfer/us-east-1/eu-west-1", 5},
                          {"vcpu_second/*", 7},
                          {"vcpu_second/eu-west-1", 8},
                          {"transfer/*/*", 9}});
  EXPECT_EQ(prices.TransferGib("us-east-1", "eu-west-1"), 5);
  EXPECT_EQ(prices.TransferGib("eu-west-1", "us-east-1"), 9);
  EXPECT_EQ(prices.TransferGib("eu-west-1", "eu-west-1"), 0);
  EXPECT_EQ(prices.TransferGib("eu-west-1", "internet"),
            Prices().TransferGib("eu-west-1", "internet"));
  EXPECT_EQ(prices.VcpuSecond("sa-east-1"), 7);
  EXPECT_EQ(prices.VcpuSecond("eu-west-1"), 8);
  EXPECT_EQ(prices.Find("rtc_gib/eu-west-1"), 15'000'000'000);
  EXPECT_EQ(prices.Find("rtc_gib/moon-1"), std::nullopt);
  EXPECT_EQ(prices.All().at("vcpu_second/us-east-1").second, PriceOrigin::kConfiguration);
  EXPECT_EQ(prices.All().at("rtc_gib/eu-west-1").second, PriceOrigin::kTable);
}

TEST(PricesTest, APriceSaysItsDay) {
  using namespace std::chrono_literals;
  EXPECT_EQ(PriceDate("request/us-east-1/put/STANDARD"), PriceTableDate());
  EXPECT_EQ(PriceDate("request/us-east-1/put/EXPRESS_ONEZONE"), 2025y / 4 / 10);
  EXPECT_EQ(PriceDate("express_upload_gib/us-east-1"), 2025y / 4 / 10);
}

TEST(PricesTest, ATableOfHalfAYearIsOld) {
  EXPECT_FALSE(PriceTableIsOld(PriceTableDate() + std::chrono::days(183)));
  EXPECT_TRUE(PriceTableIsOld(PriceTableDate() + std::chrono::days(184)));
}

Result<PriceList> Load(const std::string& prices) {
  testing::TempDir folder;
  const std::string file = folder.path() + "/longhaul.yaml";
  std::ofstream(file) << "version: 1\nstores:\n  a: { type: s3, endpoint: 'http://127.0.0.1:1', "
                         "region: cellar }\nprices:\n"
                      << prices;
  return LoadPriceList(file, [](std::string_view) { return std::nullopt; });
}

TEST(PricesTest, AConfigurationSaysPrices) {
  Result<PriceList> prices = Load("  transfer/cellar/eu-west-1: 0.05\n  nat_gib/*: 0\n");
  ASSERT_TRUE(prices) << prices.error().message;
  EXPECT_EQ(prices->at("transfer/cellar/eu-west-1"), 50'000'000'000);
  EXPECT_EQ(prices->at("nat_gib/*"), 0);
}

TEST(PricesTest, WrongPricesAreToldWithTheirPlace) {
  const std::pair<const char*, const char*> kCases[] = {
      {"  transfer/us-east-1/eu-west-1: -0.02\n", "is negative"},
      {"  transfer/us-east-1/eu-west-1: cheap\n", "is no price"},
      {"  rtc_gib/*: ''\n", "rtc_gib/*"},
      {"  transfer/us-east-1/eu-wst-1: 0.02\n", "'eu-wst-1' is a region that"},
      {"  transfer/us-east-1: 0.02\n", "write transfer/FROM/TO"},
      {"  transit/us-east-1/eu-west-1: 0.02\n", "names no price"},
      {"  request/us-east-1/fetch/STANDARD: 0.02\n", "no kind of request"},
      {"  storage/us-east-1/GOLD: 0.02\n", "no storage class"},
      {"  storage/internet/STANDARD: 0.02\n", "is a region that"},
  };
  for (const auto& [text, wanted] : kCases) {
    Result<PriceList> prices = Load(text);
    ASSERT_FALSE(prices) << text;
    EXPECT_NE(prices.error().message.find(wanted), std::string::npos) << prices.error().message;
    EXPECT_NE(prices.error().message.find("longhaul.yaml:5:"), std::string::npos);
  }
}

}  // namespace
}  // namespace longhaul
