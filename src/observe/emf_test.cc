#include "observe/emf.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <limits>

namespace longhaul {
namespace {

constexpr SystemTime kTime{std::chrono::microseconds(1'772'357'400'123'456)};

// CloudWatch drops a line that is not of the form without a word.
TEST(EmfTest, ALineIsOfTheFormThatCloudWatchReads) {
  const std::string line =
      EmfLine(kTime, "longhaul", {{"SourceBucket", "da\"ta"}, {"SourcePrefix", ""}},
              {{.name = "OriginalSize", .unit = "Bytes", .value = 5e9},
               {.name = "CompressionRatio", .unit = "None", .value = 2.5},
               {.name = "ComputeCost", .unit = "None", .value = 1.3e-8}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  boost::json::object parsed = boost::json::parse(line).as_object();
  EXPECT_EQ(parsed["SourceBucket"], "da\"ta");
  EXPECT_FALSE(parsed.contains("SourcePrefix"));  // An empty value is refused.
  EXPECT_EQ(parsed["OriginalSize"], 5'000'000'000);
  EXPECT_EQ(parsed["CompressionRatio"].as_double(), 2.5);
  EXPECT_EQ(parsed["ComputeCost"].as_double(), 1.3e-8);
  boost::json::object aws = parsed["_aws"].as_object();
  EXPECT_EQ(aws["Timestamp"], 1'772'357'400'123);
  boost::json::object directive = aws["CloudWatchMetrics"].as_array().at(0).as_object();
  EXPECT_EQ(directive["Namespace"], "longhaul");
  EXPECT_EQ(boost::json::serialize(directive["Dimensions"]), R"([["SourceBucket"]])");
  EXPECT_EQ(
      boost::json::serialize(directive["Metrics"]),
      R"([{"Name":"OriginalSize","Unit":"Bytes"},{"Name":"CompressionRatio","Unit":"None"},{"Name":"ComputeCost","Unit":"None"}])");
}

// A ratio of nothing is no figure, and JSON has no word for it.
TEST(EmfTest, WhatIsNoNumberIsLeftOut) {
  const double kNothing = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(EmfLine(kTime, "n", {}, {{.name = "a", .unit = "None", .value = kNothing}}), "");
  std::vector<EmfMetric> many(150, {.name = "m", .unit = "Count", .value = 1});
  boost::json::object parsed = boost::json::parse(EmfLine(kTime, "n", {}, many)).as_object();
  EXPECT_EQ(parsed["_aws"].at("CloudWatchMetrics").as_array().at(0).at("Metrics").as_array().size(),
            100U);
}

}  // namespace
}  // namespace longhaul
