#include "aws/container_credentials.h"

#include "tests/support/credentials_fixture.h"

namespace longhaul {
namespace {

class ContainerCredentialsTest : public testing::CredentialsFixture {
 protected:
  ContainerCredentialsTest() {
    variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url_ + "/v1/credentials?id=7";
    answer_ = [this](const Asked& asked) {
      if (asked.headers.Get("Authorization") != token_) {
        return Answer{.status = 401, .body = "bad token " + token_};
      }
      return Answer{.body = R"({"RoleArn":"r","AccessKeyId":"ASIA2","SecretAccessKey":"s",
                                "Token":"t","Expiration":"2099-01-01T00:00:00Z"})"};
    };
  }
  std::string token_;
};

TEST_F(ContainerCredentialsTest, GivesTheRoleOfTheTask) {
  EXPECT_EQ(Told(), "ASIA2");
  EXPECT_EQ(asked_.at(0).target, "/v1/credentials?id=7");
}

// The token of a pod's identity is replaced in its file: it is read for each fetch.
TEST_F(ContainerCredentialsTest, SendsTheTokenOfTheVariableOrTheFile) {
  token_ = "Basic HUSH=";
  variables_["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = token_;
  EXPECT_EQ(Told(), "ASIA2");
  token_ = "HUSH2";
  const std::string denied = Told();
  EXPECT_EQ(denied.find("HUSH="), std::string::npos) << denied;
  variables_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = Write("pod", "HUSH2\n");
  EXPECT_EQ(Told(), "ASIA2");
  Write("pod", "HUSH3");
  token_ = "HUSH3";
  EXPECT_EQ(Told(), "ASIA2");
  asked_.clear();
  Write("pod", "HUSH\r\nX-Other: 1");
  const std::string told = Told();
  EXPECT_NE(told.find("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: holds no token"), std::string::npos)
      << told;
  EXPECT_TRUE(asked_.empty());
}

// Whoever can set a variable must not have the keys' token sent to a host of theirs.
TEST_F(ContainerCredentialsTest, PlainHttpGoesToLocalHostsAlone) {
  auto url = [this](const std::string& full) {
    variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = full;
    return ContainerCredentialsUrl(Environment());
  };
  for (const char* good :
       {"http://127.0.0.1:9/x", "http://127.9.9.9/", "http://[::1]:80/", "http://localhost/x",
        "http://169.254.170.2/v2", "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1", "https://example.com/keys"}) {
    EXPECT_TRUE(url(good)) << good;
  }
  for (const char* bad :
       {"http://example.com/x", "http://169.254.170.3/", "http://169.254.169.254/",
        "http://127.0.0.1.example.com/", "http://user@127.0.0.1/", "http://[fd00:ec2::24]/",
        "ftp://127.0.0.1/", "127.0.0.1", "http://0x7f.1/"}) {
    Result<std::optional<std::string>> found = url(bad);
    ASSERT_FALSE(found) << bad;
    EXPECT_EQ(found.error().kind, ErrorKind::kInvalidInput);
    EXPECT_EQ(found.error().message.find(bad), std::string::npos);
  }
  EXPECT_NE(Told().find("AWS_CONTAINER_CREDENTIALS_FULL_URI"), std::string::npos);
  variables_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials/7";
  EXPECT_EQ(**url("http://example.com/"), "http://169.254.170.2/v2/credentials/7");
  variables_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "@example.com/";
  EXPECT_FALSE(url(""));
}

TEST_F(ContainerCredentialsTest, WrongAnswersAreDenied) {
  for (const Answer& one :
       {Answer{.status = 404, .body = "HTTP\x01 nothing"}, Answer{.body = "{}"},
        Answer{.body = std::string(70'000, '[')}, Answer{.body = std::string(60'000, '[')}}) {
    answer_ = [&one](const Asked&) { return one; };
    auto got = Get();
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().kind, ErrorKind::kDenied) << got.error().Describe();
    EXPECT_EQ(got.error().message.find('\x01'), std::string::npos);
  }
}

TEST_F(ContainerCredentialsTest, SlowAndBrokenAnswers) {
  ExpectSlowAndBrokenAnswersAreHeld("ASIA2", "container credentials at " + url_);
}

TEST_F(ContainerCredentialsTest, MayBeTheSourceOfARole) {
  Write("config",
        "[default]\nrole_arn = arn:aws:iam::1:role/far\ncredential_source = EcsContainer\n");
  variables_["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:1";
  const std::string told = Told();
  EXPECT_NE(told.find("role arn:aws:iam::1:role/far from http://127.0.0.1:1"), std::string::npos)
      << told;
  EXPECT_EQ(asked_.size(), 1u);
}

}  // namespace
}  // namespace longhaul
