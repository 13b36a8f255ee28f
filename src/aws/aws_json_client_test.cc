#include "aws/aws_json_client.h"

#include <gtest/gtest.h>

#include "aws/dynamodb_client.h"

namespace longhaul {
namespace {

Error Of(int status, const std::string& type, HttpHeaders headers = {}) {
  return AwsJsonError(
      status, headers,
      R"({"__type":"com.amazonaws.dynamodb.v20120810#)" + type + R"(","message":"why"})");
}

// A kind decides what happens next: a condition that is repeated, or a throttle that is not, loses.
TEST(AwsJsonErrorTest, KindsByTheirType) {
  EXPECT_EQ(Of(400, "ProvisionedThroughputExceededException").kind, ErrorKind::kThrottled);
  EXPECT_EQ(Of(400, "ThrottlingException").kind, ErrorKind::kThrottled);
  EXPECT_EQ(Of(400, "RequestLimitExceeded").kind, ErrorKind::kThrottled);
  EXPECT_EQ(Of(400, "ConditionalCheckFailedException").kind, ErrorKind::kPrecondition);
  EXPECT_EQ(Of(400, "AccessDeniedException").kind, ErrorKind::kDenied);
  EXPECT_EQ(Of(400, "UnrecognizedClientException").kind, ErrorKind::kDenied);
  EXPECT_EQ(Of(400, "ExpiredTokenException").kind, ErrorKind::kDenied);
  EXPECT_EQ(Of(400, "ResourceNotFoundException").kind, ErrorKind::kNotFound);
  EXPECT_EQ(Of(400, "ValidationException").kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(Of(500, "InternalServerError").kind, ErrorKind::kRetryable);
  EXPECT_EQ(Of(503, "ServiceUnavailable").kind, ErrorKind::kRetryable);
}

TEST(AwsJsonErrorTest, SaysWhatTheServiceSaid) {
  const Error error =
      Of(400, "ValidationException", {{"x-amzn-RequestId", "R1"}, {"Retry-After", "3"}});
  EXPECT_EQ(error.code, "ValidationException");
  EXPECT_EQ(error.message, "why");
  EXPECT_EQ(error.request_id, "R1");
  EXPECT_EQ(error.retry_after, std::chrono::seconds(3));
  // What is between us may answer in other words.
  EXPECT_EQ(AwsJsonError(502, {}, "<html>").kind, ErrorKind::kRetryable);
  EXPECT_EQ(AwsJsonError(403, {}, "").kind, ErrorKind::kDenied);
  EXPECT_EQ(AwsJsonError(429, {}, "[]").kind, ErrorKind::kThrottled);
  EXPECT_EQ(AwsJsonError(400, {{"x-amzn-ErrorType", "Throttling:http://x"}}, "").code,
            "Throttling");
}

// An answer without its answer must not read as "there is none".
TEST(DynamodbAnswersTest, WhatIsMissingIsNotTakenForEmpty) {
  EXPECT_FALSE(ParseDynamoBatch("{}", "t"));
  EXPECT_FALSE(ParseDynamoPage("{}"));
  EXPECT_FALSE(ParseDynamoItem(R"({"Item":{"p":{}}})", "Item"));
  EXPECT_FALSE(ParseDynamoItem(R"({"Item":{"p":{"B":"?"}}})", "Item"));
  EXPECT_FALSE(ParseDynamoItem("", "Item"));
  Result<std::optional<DynamoItem>> none = ParseDynamoItem("{}", "Item");
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  Result<DynamoBatch> batch = ParseDynamoBatch(
      R"({"Responses":{"t":[{"p":{"B":"AA=="},"n":{"N":"1"},"f":{"BOOL":true}}]},
          "UnprocessedKeys":{"t":{"Keys":[{"p":{"B":"AQ=="}}],"ConsistentRead":true}}})",
      "t");
  ASSERT_TRUE(batch) << batch.error().Describe();
  ASSERT_EQ(batch->items.size(), 1u);
  EXPECT_EQ(batch->items[0].at("p").text, std::string(1, '\0'));
  ASSERT_EQ(batch->unprocessed.size(), 1u);
  EXPECT_EQ(batch->unprocessed[0].at("p").text, "\1");
}

TEST(DynamodbTableNameTest, AsDynamoDbTakesThem) {
  EXPECT_TRUE(IsDynamoTableName("long-haul_1.b"));
  EXPECT_FALSE(IsDynamoTableName("ab"));
  EXPECT_FALSE(IsDynamoTableName("a b c"));
  EXPECT_FALSE(IsDynamoTableName(std::string(256, 'a')));
}

}  // namespace
}  // namespace longhaul
