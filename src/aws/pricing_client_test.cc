#include "aws/pricing_client.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/json.h"
#include "tests/support/run.h"
#include "tests/support/s3_store_fixture.h"

namespace longhaul {
namespace {

std::string Product(const std::string& unit, const std::string& begin, const std::string& dollars) {
  return R"({"product":{"attributes":{}},"terms":{"OnDemand":{"A.B":{"priceDimensions":{"A.B.C":{)"
         R"("unit":")" +
         unit + R"(","beginRange":")" + begin + R"(","pricePerUnit":{"USD":")" + dollars +
         R"("}}}}}}})";
}

std::string Page(const std::vector<std::string>& products, const std::string& next) {
  boost::json::array list;
  for (const std::string& product : products) list.emplace_back(product);
  return WriteJson(boost::json::object{
      {"FormatVersion", "aws_v1"}, {"PriceList", std::move(list)}, {"NextToken", next}});
}

TEST(PricingClientTest, TakesTheFirstTierOnDemandInTheUnitThatWasAskedFor) {
  Result<PricePage> page = ParsePricePage(
      Page({Product("GB", "0", "0.0200000000"), Product("GB", "10240", "0.0100000000"),
            Product("Hrs", "0", "7"), "{}", R"({"terms":{"Reserved":{}}})"},
           "more"),
      "GB");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->dollars, std::set<std::string>{"0.0200000000"});
  EXPECT_EQ(page->next, "more");
}

TEST(PricingClientTest, WhatIsNoAnswerIsAnError) {
  for (const char* text : {"", "[]", "{}", R"({"PriceList":{}})", R"({"PriceList":[1]})",
                           R"({"PriceList":["{"]})", R"({"PriceList":["[]"]})"}) {
    EXPECT_FALSE(ParsePricePage(text, "")) << text;
  }
}

TEST(PricingClientTest, AsksPageByPage) {
  testing::FakeWorld world;
  testing::PlannedHttp http;
  http.world = &world;
  AwsJsonOptions options{.service = "pricing",
                         .target = "AWSPriceListService",
                         .endpoint = "https://pricing.test",
                         .region = "us-east-1"};
  options.json_version = "1.1";
  options.credentials = MakeStaticCredentials(
      {.access_key_id = "K", .secret_access_key = Secret("S"), .session_token = {}, .expires = {}});
  Result<std::unique_ptr<AwsJsonClient>> service =
      AwsJsonClient::Make(world.runtime, std::move(options), &http);
  ASSERT_TRUE(service);
  PricingClient client(std::move(*service));
  http.answers = {{.body = Page({Product("GB", "0", "0.02")}, "2")},
                  {.body = Page({Product("GB", "0", "0.03")}, "")}};
  Result<std::set<std::string>> dollars = world.Run(client.Ask(
      {.service = "AWSDataTransfer", .filters = {{"fromRegionCode", "us-east-1"}}, .unit = "GB"}));
  ASSERT_TRUE(dollars) << dollars.error().Describe();
  EXPECT_EQ(*dollars, (std::set<std::string>{"0.02", "0.03"}));
  ASSERT_EQ(http.seen.size(), 2u);
  EXPECT_EQ(http.seen[0].request.headers.Get("X-Amz-Target"), "AWSPriceListService.GetProducts");
  EXPECT_NE(http.seen[0].body.find("\"Field\":\"fromRegionCode\",\"Value\":\"us-east-1\""),
            std::string::npos)
      << http.seen[0].body;
  EXPECT_EQ(http.seen[0].body.find("NextToken"), std::string::npos);
  EXPECT_NE(http.seen[1].body.find("\"NextToken\":\"2\""), std::string::npos);
}

}  // namespace
}  // namespace longhaul
