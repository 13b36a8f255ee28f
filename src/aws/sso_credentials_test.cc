#include "aws/sso_credentials.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/credentials_fixture.h"

namespace longhaul {
namespace {

class SsoCredentialsTest : public testing::CredentialsFixture {
 protected:
  SsoCredentialsTest() {
    variables_["AWS_ENDPOINT_URL_SSO"] = url_;
    Write("config",
          "[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\n"
          "sso_role_name = Data+Mover\n"
          "[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://c.test/start\n"
          "[profile old]\nsso_start_url = https://old.test/start\nsso_region = us-east-1\n"
          "sso_account_id = 1\nsso_role_name = R\n");
    answer_ = [](const Asked& asked) {
      if (asked.headers.Get("x-amz-sso_bearer_token") != "HUSHTOKEN") return Answer{.status = 401};
      return Answer{.body = R"({"roleCredentials": {"accessKeyId": "ASIA4",
          "secretAccessKey": "s", "sessionToken": "t", "expiration": 4070908800000}})"};
    };
  }
  void WriteToken(const std::string& name, const std::string& expires,
                  const std::string& token = "HUSHTOKEN") {
    Write("sso/cache/" + HexEncode(Sha1(name)) + ".json",
          R"({"startUrl": "x", "region": "x", "accessToken": ")" + token + R"(", "expiresAt": ")" +
              expires + R"("})");
  }
};

TEST_F(SsoCredentialsTest, GivesTheRoleOfWhoHasLoggedIn) {
  WriteToken("corp", "2099-01-01T00:00:00Z");
  auto got = Get({.profile = "dev"});
  ASSERT_TRUE(got) << got.error().Describe();
  EXPECT_EQ((*got)->access_key_id, "ASIA4");
  EXPECT_EQ(FormatRfc3339((*got)->expires.value()), "2099-01-01T00:00:00Z");
  EXPECT_EQ(asked_.at(0).target,
            "/federation/credentials?role_name=Data%2BMover&account_id=123456789012");
  WriteToken("https://old.test/start", "2099-01-01T00:00:00UTC");
  EXPECT_EQ(Told({.profile = "old"}), "ASIA4");
}

// Whoever has to log in must be told what to type.
TEST_F(SsoCredentialsTest, WhatWantsALoginSaysSo) {
  auto expect = [this](const char* why) {
    auto got = Get({.profile = "dev"});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().kind, ErrorKind::kDenied);
    EXPECT_NE(got.error().message.find(why), std::string::npos) << got.error().message;
    EXPECT_NE(got.error().message.find("aws sso login --profile dev"), std::string::npos);
    EXPECT_EQ(got.error().message.find("HUSH"), std::string::npos);
  };
  expect("nobody has logged in");
  WriteToken("corp", "2020-01-01T00:00:00Z");
  expect("the login has run out");
  WriteToken("corp", "HUSH");
  expect("expiresAt is no time");
  WriteToken("corp", "2099-01-01T00:00:00Z", "HUSH\\r\\nX: y");
  expect("no accessToken");
  EXPECT_TRUE(asked_.empty());
  WriteToken("corp", "2099-01-01T00:00:00Z", "HUSHOTHER");
  expect("not taken any more");
}

TEST_F(SsoCredentialsTest, WrongAnswersAreDenied) {
  WriteToken("corp", "2099-01-01T00:00:00Z");
  for (const Answer& one :
       {Answer{.status = 403, .body = "No access, HUSHTOKEN"}, Answer{.body = "{}"},
        Answer{.body = R"({"roleCredentials": {"accessKeyId": "A", "secretAccessKey": "HUSH",
                           "sessionToken": "t", "expiration": "HUSH"}})"},
        Answer{.body = R"({"roleCredentials": {"accessKeyId": "A", "secretAccessKey": "HUSH",
                           "sessionToken": "t", "expiration": 99999999999999999}})"}}) {
    answer_ = [&one](const Asked&) { return one; };
    auto got = Get({.profile = "dev"});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().kind, ErrorKind::kDenied);
    EXPECT_EQ(got.error().Describe().find("HUSH"), std::string::npos) << got.error().Describe();
  }
}

TEST_F(SsoCredentialsTest, SlowAndBrokenAnswers) {
  WriteToken("corp", "2099-01-01T00:00:00Z");
  ExpectSlowAndBrokenAnswersAreHeld("ASIA4", "role Data+Mover from " + url_, {.profile = "dev"});
}

// As of every other service.
TEST_F(SsoCredentialsTest, TheSettingsOfEnvironmentAndProfileCount) {
  const std::string settings =
      "[profile dev]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = R\n";
  const std::string session = "[sso-session corp]\nsso_start_url = https://c.test\nsso_region = ";
  WriteToken("corp", "2099-01-01T00:00:00Z");
  variables_.erase("AWS_ENDPOINT_URL_SSO");
  variables_["AWS_MAX_ATTEMPTS"] = "1";
  testing::NobodyHttp nobody;
  auto asks = [&](const std::string& more, const std::string& region = "eu-west-1") {
    Write("config", settings + more + session + region + "\n");
    nobody.urls.clear();
    Told({.profile = "dev", .http = &nobody});
    return nobody.urls.size() == 1 ? nobody.urls[0].substr(0, nobody.urls[0].find("/fed")) : "";
  };
  EXPECT_EQ(asks(""), "https://portal.sso.eu-west-1.amazonaws.com");
  EXPECT_EQ(asks("", "cn-north-1"), "https://portal.sso.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(asks("use_fips_endpoint = true\n"), "https://portal.sso-fips.eu-west-1.amazonaws.com");
  EXPECT_EQ(asks("use_fips_endpoint = true\n", "us-gov-west-1"),
            "https://portal.sso.us-gov-west-1.amazonaws.com");
  EXPECT_EQ(asks("endpoint_url = http://p.test/\n"), "http://p.test");
  EXPECT_EQ(asks("services = l\n[services l]\nsso =\n  endpoint_url = http://s.test\n"),
            "http://s.test");
  variables_["AWS_USE_DUALSTACK_ENDPOINT"] = "true";
  EXPECT_EQ(asks(""), "https://portal.sso.eu-west-1.api.aws");
  variables_["AWS_ENDPOINT_URL"] = "http://all.test";
  EXPECT_EQ(asks(""), "http://all.test");
  variables_["AWS_ENDPOINT_URL_SSO"] = "http://sso.test";
  EXPECT_EQ(asks(""), "http://sso.test");
  variables_["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true";
  EXPECT_EQ(asks(""), "https://portal.sso.eu-west-1.api.aws");
}

TEST_F(SsoCredentialsTest, HalfASettingIsNamed) {
  for (const char* missing : {"sso_region", "sso_account_id", "sso_role_name"}) {
    std::string text = "[default]\nsso_start_url = https://c.test\n";
    for (const char* setting : {"sso_region", "sso_account_id", "sso_role_name"}) {
      if (std::string_view(setting) != missing) text += std::string(setting) + " = x-1\n";
    }
    Write("config", text);
    EXPECT_NE(Told().find(std::string(missing) + " is missing"), std::string::npos) << Told();
  }
  Write("config", "[default]\nsso_session = gone\n");
  EXPECT_NE(Told().find("[sso-session gone]"), std::string::npos) << Told();
}

}  // namespace
}  // namespace longhaul
