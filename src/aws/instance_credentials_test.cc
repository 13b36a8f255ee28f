#include "aws/instance_credentials.h"

#include "tests/support/credentials_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

class InstanceCredentialsTest : public testing::CredentialsFixture {
 protected:
  InstanceCredentialsTest() {
    variables_.erase("AWS_EC2_METADATA_DISABLED");
    variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = url_ + "/";
    answer_ = [this](const Asked& asked) { return Metadata(asked); };
  }

  // Speaks version 2 alone.
  Answer Metadata(const Asked& asked) {
    if (asked.target == "/latest/api/token") {
      if (asked.method != "PUT" ||
          asked.headers.Get("X-aws-ec2-metadata-token-ttl-seconds").empty()) {
        return {.status = 400};
      }
      return token_;
    }
    if (asked.headers.Get("X-aws-ec2-metadata-token") != "TOKEN-2") return {.status = 401};
    if (asked.target == "/latest/meta-data/iam/security-credentials/") return roles_;
    if (asked.target == "/latest/meta-data/iam/security-credentials/mover") return keys_;
    return {.status = 404};
  }

  Answer token_{.body = "TOKEN-2"};
  Answer roles_{.body = "mover\n"};
  Answer keys_{.body = R"({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIA1",
                           "SecretAccessKey": "sec/ret+", "Token": "tok==",
                           "Expiration": "2099-01-01T00:00:00Z"})"};
};

TEST_F(InstanceCredentialsTest, GivesTheRoleOfTheInstance) {
  auto got = Get();
  ASSERT_TRUE(got) << got.error().Describe();
  EXPECT_EQ((*got)->access_key_id, "ASIA1");
  EXPECT_EQ((*got)->secret_access_key.Reveal(), "sec/ret+");
  EXPECT_EQ((*got)->session_token.Reveal(), "tok==");
  EXPECT_EQ(FormatRfc3339((*got)->expires.value()), "2099-01-01T00:00:00Z");
  ASSERT_EQ(asked_.size(), 3u);
  EXPECT_EQ(asked_[0].method, "PUT");
}

// Version 1 gives its keys to whoever can make a program fetch a URL.
TEST_F(InstanceCredentialsTest, NeverFallsBackToVersionOne) {
  for (int status : {400, 403, 404, 405}) {
    asked_.clear();
    token_ = {.status = status};
    const std::string told = Told();
    EXPECT_NE(told.find("gives no token of version 2 (HTTP " + std::to_string(status)),
              std::string::npos)
        << told;
    EXPECT_EQ(asked_.size(), 1u);
  }
}

TEST_F(InstanceCredentialsTest, WrongAnswersAreDeniedAndSayWhatIsWrong) {
  struct Case {
    Answer roles;
    Answer keys;
    const char* message;
  };
  const Answer good = keys_;
  for (const Case& one :
       {Case{{.status = 404}, good, "the instance has no role"},
        Case{{.body = "../../user-data"}, good, "no role in the answer"},
        Case{{.body = ""}, good, "no role in the answer"},
        Case{{.body = "mover"}, {.body = "<html>"}, "role mover: "},
        Case{{.body = "mover"}, {.body = "[]"}, "not a JSON object"},
        Case{{.body = "mover"},
             {.body = R"({"Code": "AssumeRoleUnauthorizedAccess", "Message": "no\ntrust"})"},
             "no trust (AssumeRoleUnauthorizedAccess)"},
        Case{{.body = "mover"}, {.body = R"({"AccessKeyId": "A"})"}, "no secret access key"},
        Case{{.body = "mover"},
             {.body = R"({"AccessKeyId":"A\r\nX: y","SecretAccessKey":"s","Token":"t"})"},
             "no access key id"},
        Case{{.body = "mover"},
             {.body = R"({"AccessKeyId":"A","SecretAccessKey":"HUSH","Token":"HUSH",
                          "Expiration":"HUSH"})"},
             "Expiration is no time"},
        Case{{.body = "mover"}, {.body = std::string(70'000, ' ')}, "more than 64 KiB"}}) {
    roles_ = one.roles;
    keys_ = one.keys;
    auto got = Get();
    ASSERT_FALSE(got) << one.message;
    EXPECT_EQ(got.error().kind, ErrorKind::kDenied);
    const std::string told = got.error().Describe();
    EXPECT_NE(told.find(one.message), std::string::npos) << told;
    EXPECT_EQ(told.find("HUSH"), std::string::npos) << told;
    EXPECT_EQ(told.find("TOKEN-2"), std::string::npos) << told;
  }
}

TEST_F(InstanceCredentialsTest, AServiceThatStumblesIsAskedAgain) {
  int stumbles = 2;
  answer_ = [this, &stumbles](const Asked& asked) {
    if (asked.target.ends_with("/mover") && stumbles-- > 0) return Answer{.status = 503};
    return Metadata(asked);
  };
  EXPECT_EQ(Told(), "ASIA1");
}

// A machine that is no instance must say so soon, with all the places where keys may be.
TEST_F(InstanceCredentialsTest, SilenceIsDeniedAfterThreeAttempts) {
  token_.after = 30s;
  auto got = Get();
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind, ErrorKind::kDenied);
  const std::string told = got.error().Describe();
  for (const char* place : {"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "profile 'default'",
                            "AWS_CONTAINER_CREDENTIALS_FULL_URI", url_.c_str(), "3 attempts"}) {
    EXPECT_NE(told.find(place), std::string::npos) << told;
  }
  EXPECT_EQ(asked_.size(), 3u);
}

TEST_F(InstanceCredentialsTest, IsLeftAloneWhereItIsSwitchedOff) {
  variables_["AWS_EC2_METADATA_DISABLED"] = "true";
  EXPECT_NE(Told().find("AWS_EC2_METADATA_DISABLED"), std::string::npos);
  EXPECT_TRUE(asked_.empty());
}

TEST_F(InstanceCredentialsTest, EndpointByFamily) {
  variables_.erase("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  EXPECT_EQ(InstanceMetadataEndpoint(Environment()), "http://169.254.169.254");
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"] = "IPv6";
  EXPECT_EQ(InstanceMetadataEndpoint(Environment()), "http://[fd00:ec2::254]");
}

TEST_F(InstanceCredentialsTest, MayBeTheSourceOfARole) {
  Write("config",
        "[default]\nrole_arn = arn:aws:iam::1:role/far\ncredential_source = Ec2InstanceMetadata\n");
  variables_["AWS_ENDPOINT_URL_STS"] = url_ + "/sts";
  answer_ = [this](const Asked& asked) {
    if (!asked.target.starts_with("/sts")) return Metadata(asked);
    EXPECT_NE(asked.headers.Get("Authorization").find("Credential=ASIA1/"), std::string::npos);
    EXPECT_EQ(asked.headers.Get("X-Amz-Security-Token"), "tok==");
    return Answer{.status = 403, .body = ""};
  };
  EXPECT_NE(Told().find("role arn:aws:iam::1:role/far"), std::string::npos);
  EXPECT_EQ(asked_.size(), 4u);
}

}  // namespace
}  // namespace longhaul
