#include "aws/sns_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/run.h"
#include "tests/support/s3_store_fixture.h"

namespace longhaul {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kArn[] = "arn:aws:sns:eu-west-1:111122223333:alarms";
const std::string kTaken = "<PublishResponse><MessageId>1</MessageId></PublishResponse>";

struct Said {
  Result<void> result;
  std::vector<testing::Seen> seen;
};

Said Publish(std::deque<testing::Answer> answers, SnsMessage message,
             const std::string& endpoint = "") {
  testing::FakeWorld world;
  testing::PlannedHttp http;
  http.world = &world;
  http.answers = std::move(answers);
  AwsJsonOptions options{.service = "sns", .endpoint = endpoint, .region = "us-east-1"};
  options.credentials = MakeStaticCredentials(
      {.access_key_id = "K", .secret_access_key = Secret("S"), .session_token = {}, .expires = {}});
  Result<std::unique_ptr<SnsClient>> client =
      SnsClient::Make(world.runtime, std::move(options), *ParseSnsTopic(kArn), &http);
  if (!client) return {.result = client.error(), .seen = {}};
  Result<void> result = world.Run((*client)->Publish(std::move(message)));
  return {.result = std::move(result), .seen = std::move(http.seen)};
}

// In the region of the topic, whatever the process's own is.
TEST(SnsClientTest, SaysItInTheRegionOfTheTopic) {
  const Said said = Publish({{.status = 200, .body = kTaken}},
                            {.subject = "a & b", .text = "é=1", .attributes = {{"state", "over"}}});
  ASSERT_TRUE(said.result) << said.result.error().Describe();
  ASSERT_EQ(said.seen.size(), 1U);
  EXPECT_EQ(said.seen[0].request.url, "https://sns.eu-west-1.amazonaws.com/");
  EXPECT_THAT(std::string(said.seen[0].request.headers.Get("Authorization")),
              HasSubstr("/eu-west-1/sns/aws4_request"));
  EXPECT_EQ(said.seen[0].body,
            "Action=Publish&Version=2010-03-31&TopicArn="
            "arn%3Aaws%3Asns%3Aeu-west-1%3A111122223333%3Aalarms&Subject=a%20%26%20b&Message="
            "%C3%A9%3D1&MessageAttributes.entry.1.Name=state&MessageAttributes.entry.1.Value."
            "DataType=String&MessageAttributes.entry.1.Value.StringValue=over");
}

// A clock that is off by minutes is no obstacle to what is carried, and must be none to what is
// told.
TEST(SnsClientTest, AClockThatIsOffGoesByTheServices) {
  const HttpHeaders date{{"Date", "Thu, 01 Jan 2099 00:00:10 GMT"}};
  const std::string refused =
      "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired</Message>"
      "</Error></ErrorResponse>";
  Said said = Publish({{.status = 403, .headers = date, .body = refused},
                       {.status = 200, .headers = date, .body = kTaken}},
                      {.subject = "s", .text = "t"});
  ASSERT_TRUE(said.result) << said.result.error().Describe();
  ASSERT_EQ(said.seen.size(), 2U);
  EXPECT_THAT(std::string(said.seen[1].request.headers.Get("X-Amz-Date")),
              HasSubstr("20990101T0000"));
  // Once: another refusal has another reason.
  said =
      Publish({{.status = 403, .headers = date, .body = refused}}, {.subject = "s", .text = "t"});
  EXPECT_FALSE(said.result);
  EXPECT_EQ(said.seen.size(), 2U);
}

// SNS refuses a subject that is long, or not ASCII, or of two lines, and the alarm with it.
TEST(SnsClientTest, ASubjectIsMadeToFit) {
  const Said said = Publish({{.status = 200, .body = kTaken}},
                            {.subject = "x\n\xc3\xa4" + std::string(200, 'y'), .text = "t"},
                            "http://127.0.0.1:1");
  ASSERT_TRUE(said.result);
  EXPECT_EQ(said.seen[0].request.url, "http://127.0.0.1:1/");
  EXPECT_THAT(said.seen[0].body, HasSubstr("&Subject=x%3F%3F%3F" + std::string(95, 'y') + "&"));
}

TEST(SnsClientTest, ARefusalNamesTheRemedyAndAServiceThatFailsIsAskedAgain) {
  const std::string denied =
      "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code>"
      "<Message>not you</Message></Error><RequestId>r</RequestId></ErrorResponse>";
  Said said = Publish({{.status = 403, .body = denied}}, {.subject = "s", .text = "t"});
  ASSERT_FALSE(said.result);
  EXPECT_EQ(said.result.error().kind, ErrorKind::kDenied);
  EXPECT_THAT(said.result.error().Describe(),
              HasSubstr("allow sns:Publish on " + std::string(kArn)));
  said = Publish({{.status = 404, .body = "<Code>NotFound</Code><Message>no</Message>"}},
                 {.subject = "s", .text = "t"});
  ASSERT_FALSE(said.result);
  EXPECT_EQ(said.result.error().kind, ErrorKind::kNotFound);
  said = Publish({{.status = 503, .body = ""}, {.status = 200, .body = kTaken}},
                 {.subject = "s", .text = "t"});
  EXPECT_TRUE(said.result);
  EXPECT_EQ(said.seen.size(), 2U);
  // The key of an encrypted topic is asked for too often.
  said = Publish({{.status = 400, .body = "<Code>KMSThrottling</Code><Message>x</Message>"},
                  {.status = 200, .body = kTaken}},
                 {.subject = "s", .text = "t"});
  EXPECT_TRUE(said.result);
  // A page that says 200 is not SNS: nobody has been told.
  EXPECT_FALSE(Publish({{.status = 200, .body = "<html>"}}, {.subject = "s", .text = "t"}).result);
}

TEST(SnsClientTest, ATopicIsAStandardOne) {
  for (const char* good : {kArn, "arn:aws-cn:sns:cn-north-1:111122223333:a-b_C"}) {
    EXPECT_TRUE(ParseSnsTopic(good)) << good;
  }
  for (const char* wrong :
       {"", "alarms", "arn:aws:sqs:eu-west-1:111122223333:alarms", "arn:aws:sns:eu-west-1:1:alarms",
        "arn:aws:sns:eu-west-1:111122223333:", "arn:aws:sns:eu-west-1:111122223333:a:b",
        "arn:aws:sns:eu-west-1:111122223333:a.fifo", "arn:aws:sns:eu west:111122223333:a",
        "arn:aws:sns:eu-west-1:111122223333:a\r\nb"}) {
    EXPECT_FALSE(ParseSnsTopic(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace longhaul
