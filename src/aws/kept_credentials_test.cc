#include "aws/kept_credentials.h"

#include "tests/support/credentials_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

class KeptCredentialsTest : public testing::CredentialsFixture {
 protected:
  KeptCredentialsTest() {
    variables_["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = url_;
    variables_["AWS_ENDPOINT_URL_SSM"] = url_;
    variables_["AWS_REGION"] = "eu-west-1";
    variables_["AWS_ACCESS_KEY_ID"] = "READER";
    variables_["AWS_SECRET_ACCESS_KEY"] = "HUSHREADER";
    answer_ = [this](const Asked& asked) { return Kept(asked, kept_); };
  }

  // As the two services answer.
  static Answer Kept(const Asked& asked, const std::string& text) {
    std::string quoted;
    for (char c : text) quoted += c == '"' ? "\\\"" : std::string(1, c);
    if (asked.headers.Get("X-Amz-Target") == "secretsmanager.GetSecretValue") {
      return {.body = R"({"ARN": "arn:x", "Name": "x", "SecretString": ")" + quoted + "\"}"};
    }
    return {.body = R"({"Parameter": {"Name": "x", "Type": "SecureString", "Value": ")" + quoted +
                    "\"}}"};
  }
  DefaultCredentialsOptions By(const std::string& reference) {
    return {.kept = ParseSecretReference(reference).value()};
  }

  std::string kept_ = R"({"access_key_id": "AKIAKEPT", "secret_access_key": "HUSHKEPT"})";
};

TEST_F(KeptCredentialsTest, SecretsManagerGivesThem) {
  auto got = Get(By("secretsmanager:far/keys"));
  ASSERT_TRUE(got) << got.error().Describe();
  EXPECT_EQ((*got)->access_key_id, "AKIAKEPT");
  EXPECT_EQ((*got)->secret_access_key.Reveal(), "HUSHKEPT");
  EXPECT_TRUE((*got)->session_token.empty());
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].body, R"({"SecretId":"far/keys"})");
  EXPECT_EQ(asked_[0].headers.Get("Content-Type"), "application/x-amz-json-1.1");
  const std::string signature(asked_[0].headers.Get("Authorization"));
  EXPECT_NE(signature.find("Credential=READER/"), std::string::npos) << signature;
  EXPECT_NE(signature.find("/eu-west-1/secretsmanager/aws4_request"), std::string::npos);
}

TEST_F(KeptCredentialsTest, ParameterStoreGivesThem) {
  kept_ =
      R"({"aws_access_key_id": "AKIASSM", "aws_secret_access_key": "s", "region": "cn-north-1"})";
  EXPECT_EQ(Told(By("ssm:s3_migration_credentials")), "AKIASSM");
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].headers.Get("X-Amz-Target"), "AmazonSSM.GetParameter");
  EXPECT_EQ(asked_[0].body, R"({"Name":"s3_migration_credentials","WithDecryption":true})");
}

TEST_F(KeptCredentialsTest, AnArnSaysItsRegion) {
  variables_.erase("AWS_REGION");
  EXPECT_EQ(Told(By("secretsmanager:arn:aws-cn:secretsmanager:cn-north-1:1:secret:x-Ab")),
            "AKIAKEPT");
  EXPECT_NE(asked_.at(0).headers.Get("Authorization").find("/cn-north-1/"), std::string_view::npos);
  // Where the store is says nothing about where its keys are.
  DefaultCredentialsOptions options = By("ssm:x");
  options.region = "us-west-2";
  auto got = Get(std::move(options));
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().message.find("set AWS_REGION"), std::string::npos) << got.error().message;
  EXPECT_EQ(asked_.size(), 1u);
}

TEST_F(KeptCredentialsTest, ReferencesThatMakeNoSense) {
  EXPECT_EQ(ParseSecretReference("ssm:/a/b")->ToString(), "ssm:/a/b");
  for (const char* bad : {"", "ssm", "ssm:", "secretsmanager", "secretsmanager:a b", "vault:x", "x",
                          "ssm:arn:aws:secretsmanager:eu-west-1:1:secret:x",
                          "secretsmanager:arn:aws:secretsmanager:evil.test:1:secret:x",
                          "secretsmanager:arn:aws:secretsmanager"}) {
    EXPECT_FALSE(ParseSecretReference(bad)) << bad;
  }
}

// Keys that were changed there must be found without a restart: whoever is refused fetches anew.
TEST_F(KeptCredentialsTest, AreReadForEachFetch) {
  auto source = MakeKeptCredentials(
      std::make_shared<CredentialsService>(world_.runtime, ""), Environment(),
      *ParseSecretReference("secretsmanager:x"),
      MakeStaticCredentials({.access_key_id = "R", .secret_access_key = Secret("r")}), "eu-west-1");
  EXPECT_EQ(world_.Run(source->Fetch())->access_key_id, "AKIAKEPT");
  kept_ = R"({"access_key_id": "AKIANEW", "secret_access_key": "n", "session_token": "t"})";
  Result<Credentials> fetched = world_.Run(source->Fetch());
  ASSERT_TRUE(fetched) << fetched.error().Describe();
  EXPECT_EQ(fetched->access_key_id, "AKIANEW");
  EXPECT_EQ(fetched->session_token.Reveal(), "t");
}

TEST_F(KeptCredentialsTest, WrongAnswersAreDeniedAndTellNothing) {
  struct Case {
    Answer answer;
    const char* says;
  };
  const Answer missing{.status = 400,
                       .body = R"({"__type": "ParameterNotFound", "message": "none"})"};
  const Answer denied{.status = 400,
                      .body = R"({"__type": "AccessDeniedException", "Message": "not you"})"};
  for (const Case& one :
       {Case{missing, "ParameterNotFound"}, Case{denied, "not you"},
        Case{{.body = "HUSH"}, "no JSON"}, Case{{.body = "{}"}, "no text"},
        Case{{.body = R"({"SecretString": 1, "SecretBinary": "HUSH"})"}, "no text"},
        Case{{.body = R"({"SecretString": "HUSH"})"}, ""},
        Case{{.body = R"({"SecretString": "{\"access_key_id\": \"HUSH\"}"})"}, "no secret access"},
        Case{{.body = R"({"SecretString": "{\"access_key_id\": \"A\", \"secret_access_key\": )"
                      R"(\"HUSH\\r\\nX: y\"}"})"},
             "no secret access"},
        Case{{.body = std::string(300'000, 'x')}, ""}}) {
    answer_ = [&one](const Asked&) { return one.answer; };
    auto got = Get(By("secretsmanager:x"));
    ASSERT_FALSE(got) << one.answer.body;
    EXPECT_EQ(got.error().kind, ErrorKind::kDenied) << got.error().Describe();
    EXPECT_NE(got.error().Describe().find(one.says), std::string::npos) << got.error().Describe();
    EXPECT_NE(got.error().message.find("secretsmanager:x"), std::string::npos);
    EXPECT_EQ(got.error().Describe().find("HUSH"), std::string::npos) << got.error().Describe();
  }
}

TEST_F(KeptCredentialsTest, WhatMayPassIsTriedAgain) {
  answer_ = [this](const Asked& asked) {
    return asked_.size() < 3 ? Answer{.status = 500, .body = ""} : Kept(asked, kept_);
  };
  EXPECT_EQ(Told(By("ssm:x")), "AKIAKEPT");
  answer_ = [](const Asked&) { return Answer{.status = 503, .body = ""}; };
  auto got = Get(By("ssm:x"));
  ASSERT_FALSE(got);
  EXPECT_TRUE(got.error().Transient()) << got.error().Describe();
  EXPECT_EQ(asked_.size(), 6u);
}

// STS and its like refuse a signature that is five minutes old; who gives up there never starts.
TEST_F(KeptCredentialsTest, AClockThatIsFiveMinutesOffWorks) {
  answer_ = [this](const Asked& asked) {
    const SystemTime there = world_.clock.Now() + 5min;
    const std::string date(asked.headers.Get("X-Amz-Date"));
    const Result<SystemTime> signed_at =
        ParseRfc3339(date.substr(0, 4) + "-" + date.substr(4, 2) + "-" + date.substr(6, 5) + ":" +
                     date.substr(11, 2) + ":" + date.substr(13));
    Answer answer{.status = 400,
                  .body = R"({"__type": "InvalidSignatureException", "message": "expired"})"};
    if (signed_at && std::chrono::abs(there - *signed_at) < 4min) answer = Kept(asked, kept_);
    answer.headers = {{"Date", FormatHttpDate(there)}};
    return answer;
  };
  EXPECT_EQ(Told(By("ssm:x")), "AKIAKEPT");
  EXPECT_EQ(asked_.size(), 2u);
}

// A service that hangs is no reason to hang.
TEST_F(KeptCredentialsTest, ASlowServiceIsWaitedFor) {
  answer_ = [this](const Asked& asked) {
    Answer answer = Kept(asked, kept_);
    answer.after = 300ms;
    return answer;
  };
  EXPECT_EQ(Told(By("ssm:x")), "AKIAKEPT");
  EXPECT_EQ(asked_.size(), 1u);
}

}  // namespace
}  // namespace longhaul
