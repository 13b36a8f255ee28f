#include "aws/aws_service.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/run.h"

namespace longhaul::testing {
namespace {

TEST(AwsPlaceTest, NameAndFields) {
  EXPECT_EQ(*ParseAwsPlace("jobs"), (AwsPlace{.name = "jobs"}));
  EXPECT_EQ(*ParseAwsPlace("jobs?region=eu-west-1&profile=a%20b&endpoint=http://127.0.0.1:8000/"),
            (AwsPlace{.name = "jobs",
                      .region = "eu-west-1",
                      .profile = "a b",
                      .endpoint = "http://127.0.0.1:8000"}));
}

TEST(AwsPlaceTest, WhatNobodyWouldReadIsRefused) {
  for (const char* text : {"", "?region=eu-west-1", "jobs?regoin=x", "jobs?region",
                           "jobs?region=", "jobs?region=Europe", "jobs?region=a&region=b",
                           "jobs?profile=%4", "jobs?endpoint=127.0.0.1:8000", "jobs?&region=a"}) {
    EXPECT_FALSE(ParseAwsPlace(text)) << text;
  }
}

class AwsServiceTest : public ::testing::Test {
 protected:
  AwsServiceTest() {
    // No files of whoever runs the tests.
    variables_["AWS_CONFIG_FILE"] = "/nonexistent";
    variables_["AWS_SHARED_CREDENTIALS_FILE"] = "/nonexistent";
  }
  Result<AwsJsonOptions> Find(const AwsPlace& place) {
    return FindAwsService(world_.runtime, place, "dynamodb", "DynamoDB_20120810",
                          [this](const std::string& name) -> std::optional<std::string> {
                            auto found = variables_.find(name);
                            if (found == variables_.end()) return std::nullopt;
                            return found->second;
                          });
  }

  FakeWorld world_;
  std::map<std::string, std::string> variables_;
};

// A State in another region than the others' would be a State of its own.
TEST_F(AwsServiceTest, RegionAndEndpointInTheOrderOfTheSdks) {
  Result<AwsJsonOptions> none = Find({.name = "jobs"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(none.error().message.contains("AWS_REGION")) << none.error().message;

  variables_["AWS_DEFAULT_REGION"] = "eu-west-2";
  EXPECT_EQ(Find({.name = "jobs"})->region, "eu-west-2");
  variables_["AWS_REGION"] = "eu-west-3";
  EXPECT_EQ(Find({.name = "jobs"})->region, "eu-west-3");
  EXPECT_EQ(Find({.name = "jobs"})->endpoint, "");
  EXPECT_EQ(Find({.name = "jobs", .region = "eu-west-1"})->region, "eu-west-1");

  variables_["AWS_ENDPOINT_URL"] = "http://all.test/";
  EXPECT_EQ(Find({.name = "jobs"})->endpoint, "http://all.test");
  variables_["AWS_ENDPOINT_URL_DYNAMODB"] = "http://dynamodb.test";
  EXPECT_EQ(Find({.name = "jobs"})->endpoint, "http://dynamodb.test");
  EXPECT_EQ(Find({.name = "jobs", .endpoint = "http://here.test"})->endpoint, "http://here.test");

  variables_.erase("AWS_ENDPOINT_URL_DYNAMODB");
  variables_.erase("AWS_ENDPOINT_URL");
  EXPECT_FALSE(Find({.name = "jobs", .region = "eu-west-1", .profile = "nobody"}));
}

}  // namespace
}  // namespace longhaul::testing
