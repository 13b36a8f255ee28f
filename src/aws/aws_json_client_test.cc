#include "aws/aws_json_client.h"

#include <gtest/gtest.h>

#include "aws/dynamodb_client.h"
#include "tests/support/run.h"
#include "tests/support/s3_store_fixture.h"

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
  // SQS, whose refusals are 403 and 400: nothing is wrong with the request, nor with the rights.
  EXPECT_EQ(Of(403, "RequestThrottled").kind, ErrorKind::kThrottled);
  EXPECT_EQ(Of(403, "OverLimit").kind, ErrorKind::kThrottled);
  EXPECT_EQ(Of(400, "KmsThrottled").kind, ErrorKind::kThrottled);
  EXPECT_EQ(Of(400, "KMS.ThrottlingException").kind, ErrorKind::kThrottled);
  EXPECT_EQ(Of(400, "KmsAccessDenied").kind, ErrorKind::kInvalidInput);
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

class AwsJsonCallTest : public ::testing::Test {
 protected:
  AwsJsonCallTest() { http_.world = &world_; }
  Result<std::string> Call(AwsRepeat repeat = AwsRepeat::kSafe,
                           std::shared_ptr<CredentialsProvider> provider = nullptr) {
    Result<std::unique_ptr<AwsJsonClient>> client =
        AwsJsonClient::Make(world_.runtime,
                            {.service = "sqs",
                             .target = "AmazonSQS",
                             .endpoint = "http://sqs.test",
                             .region = "eu-west-1",
                             .credentials = provider ? provider : provider_},
                            &http_);
    EXPECT_TRUE(client);
    return world_.Run((*client)->Call("ReceiveMessage", "{}", repeat));
  }
  static testing::Answer Refusal(int status, const std::string& type) {
    return {.status = status, .body = R"({"__type":"com.amazonaws.sqs#)" + type + "\"}"};
  }

  testing::FakeWorld world_;
  testing::PlannedHttp http_;
  std::shared_ptr<testing::RenewedCredentials> provider_ =
      std::make_shared<testing::RenewedCredentials>();
};

// A process that runs for months outlives the keys of its file: who rotates them removes the old.
TEST_F(AwsJsonCallTest, CredentialsThatAreNotKnownAnyMoreAreHadAnew) {
  for (const char* type : {"ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException",
                           "InvalidClientTokenId", "InvalidAccessKeyId"}) {
    provider_->renewals = 0;
    http_.seen.clear();
    http_.answers = {Refusal(403, type), {.body = "{}"}};
    Result<std::string> answer = Call();
    EXPECT_TRUE(answer) << type << ": " << answer.error().Describe();
    EXPECT_EQ(provider_->renewals, 1) << type;
    ASSERT_EQ(http_.seen.size(), 2u) << type;
    EXPECT_NE(http_.seen[1].request.headers.Get("Authorization").find("=K1/"), std::string::npos);
    // Once: what is refused then is refused.
    http_.seen.clear();
    http_.answers = {Refusal(400, type)};
    answer = Call();
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::kDenied) << type;
    EXPECT_EQ(http_.seen.size(), 2u) << type;
  }
  http_.seen.clear();
  http_.answers = {Refusal(403, "AccessDenied")};
  EXPECT_FALSE(Call());
  EXPECT_EQ(http_.seen.size(), 1u);
}

// What is refused for its signature is told with what was signed, in which the token is.
TEST_F(AwsJsonCallTest, NoSecretIsInWhatARefusalSays) {
  const std::string secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
  const std::string token = "IQoJb3JpZ2luX2VjEXAMPLETOKEN";
  http_.answers = {{.status = 403,
                    .body = R"({"__type":"com.amazonaws.sqs#AccessDenied","message":"signed: )" +
                            token + " by " + secret + " again\"}"}};
  const Result<std::string> answer =
      Call(AwsRepeat::kSafe, MakeStaticCredentials({"AKID", Secret(secret), Secret(token), {}}));
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("signed: *** by *** again"), std::string::npos)
      << answer.error().message;
}

// A queue with 120,000 messages that wait for their workers, or a key of KMS that is asked for too
// often, is one to come back to.
TEST_F(AwsJsonCallTest, WhatAsksForRestIsAskedAgainLater) {
  for (const testing::Answer& busy : {Refusal(403, "OverLimit"), Refusal(400, "KmsThrottled")}) {
    http_.seen.clear();
    http_.answers = {busy, busy, {.body = "{}"}};
    const SteadyTime before = world_.clock.SteadyNow();
    EXPECT_TRUE(Call());
    EXPECT_EQ(http_.seen.size(), 3u);
    EXPECT_GT(world_.clock.SteadyNow(), before);
  }
}

// A body that tells times by a clock that is wrong must be built anew, whatever its refusal says.
TEST_F(AwsJsonCallTest, WhatTellsTimesIsNotSentAgainByAnotherClock) {
  for (testing::Answer refused :
       {Refusal(403, "InvalidSignatureException"), Refusal(403, "ExpiredToken"),
        Refusal(400, "ThrottlingException")}) {
    refused.headers = {{"Date", "Sun, 01 Mar 2026 15:00:00 GMT"}};
    http_.seen.clear();
    http_.answers = {refused, {.body = "{}"}};
    Result<std::string> answer = Call(AwsRepeat::kOnce);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::kRetryable);
    EXPECT_FALSE(MayHaveHappened(answer.error())) << answer.error().Describe();
    EXPECT_EQ(http_.seen.size(), 1u);
    http_.answers = {refused, {.body = "{}"}};
    EXPECT_TRUE(Call());
  }
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
