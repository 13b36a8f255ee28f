#include "aws/sts_credentials.h"

#include "aws/signer.h"
#include "aws/sts_endpoint.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/credentials_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr const char* kRole = "arn:aws:iam::123456789012:role/path/mover";

class StsCredentialsTest : public testing::CredentialsFixture {
 protected:
  StsCredentialsTest() {
    variables_["AWS_ENDPOINT_URL_STS"] = url_;
    variables_["AWS_REGION"] = "eu-west-1";
    answer_ = [](const Asked& asked) { return Answer{.body = Given(asked, "ASIA9")}; };
  }

  static std::string Given(const Asked& asked, const std::string& id) {
    const std::string action =
        asked.body.contains("WebIdentityToken=") ? "AssumeRoleWithWebIdentity" : "AssumeRole";
    return "<" + action + "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" +
           action + "Result><AssumedRoleUser><Arn>x</Arn></AssumedRoleUser><Credentials>" +
           "<AccessKeyId>" + id + "</AccessKeyId><SecretAccessKey>s9&amp;</SecretAccessKey>" +
           "<SessionToken>t9</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>" +
           "</Credentials></" + action + "Result></" + action + "Response>";
  }
  static Answer Refusal(int status, const std::string& code, const std::string& message) {
    return {.status = status,
            .body = "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>" +
                    message + "</Message></Error><RequestId>4N8Q</RequestId></ErrorResponse>"};
  }
  void WriteWebIdentity() {
    variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = Write("token", "eyJ.a_b-c.sig\n");
    variables_["AWS_ROLE_ARN"] = kRole;
  }
  void WriteRole(const std::string& more = "") {
    Write("config",
          "[default]\nrole_arn = " + std::string(kRole) + "\nsource_profile = keys\n" + more);
    Write("credentials",
          "[keys]\naws_access_key_id = AKIA1\naws_secret_access_key = HUSH/+1\n"
          "aws_session_token = HUSHTOKEN==\n");
  }
};

TEST_F(StsCredentialsTest, WebIdentityOfThePod) {
  WriteWebIdentity();
  variables_["AWS_ROLE_SESSION_NAME"] = "pod@7";
  auto got = Get();
  ASSERT_TRUE(got) << got.error().Describe();
  EXPECT_EQ((*got)->access_key_id, "ASIA9");
  EXPECT_EQ((*got)->secret_access_key.Reveal(), "s9&");
  EXPECT_EQ((*got)->session_token.Reveal(), "t9");
  EXPECT_TRUE((*got)->expires);
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].method, "POST");
  EXPECT_EQ(asked_[0].body,
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A"
            "123456789012%3Arole%2Fpath%2Fmover&RoleSessionName=pod%407&"
            "WebIdentityToken=eyJ.a_b-c.sig");
  EXPECT_EQ(asked_[0].headers.Find("Authorization"), nullptr);
}

// The kubelet replaces the token; a provider that had kept the first would end after a day.
TEST_F(StsCredentialsTest, WebIdentityReadsTheTokenForEachFetch) {
  WriteWebIdentity();
  auto chain = Chain();
  EXPECT_TRUE(world_.Run(chain->Get()));
  Write("token", "second");
  answer_ = [](const Asked& asked) {
    return asked.body.ends_with("=second") ? Answer{.body = Given(asked, "ASIA10")}
                                           : Answer{.status = 400, .body = ""};
  };
  auto again = Chain();
  EXPECT_EQ((*world_.Run(again->Get()))->access_key_id, "ASIA10");
}

TEST_F(StsCredentialsTest, WebIdentityThatIsHalfThereSaysWhatIsMissing) {
  WriteWebIdentity();
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = home_.file("nowhere");
  EXPECT_NE(Told().find("nowhere: no such file"), std::string::npos) << Told();
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = Write("token", "\n");
  EXPECT_NE(Told().find("is empty"), std::string::npos);
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = Write("token", std::string(70'000, 'x'));
  EXPECT_NE(Told().find("larger than 64 KiB"), std::string::npos);
  variables_.erase("AWS_ROLE_ARN");
  EXPECT_NE(Told().find("but not AWS_ROLE_ARN"), std::string::npos);
  variables_["AWS_ROLE_ARN"] = "mover";
  EXPECT_NE(Told().find("no ARN of a role"), std::string::npos);
  EXPECT_TRUE(asked_.empty());
}

TEST_F(StsCredentialsTest, RoleOfAProfileIsSignedWithTheKeysOfAnother) {
  WriteRole("external_id = ex:1\nrole_session_name = me\nduration_seconds = 900\n");
  auto got = Get();
  ASSERT_TRUE(got) << got.error().Describe();
  EXPECT_EQ((*got)->access_key_id, "ASIA9");
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_TRUE(asked_[0].body.ends_with("&RoleSessionName=me&DurationSeconds=900&ExternalId=ex%3A1"))
      << asked_[0].body;
  // What was sent is what was signed.
  HttpHeaders headers;
  headers.Add("Content-Type", std::string(asked_[0].headers.Get("Content-Type")));
  const std::string date(asked_[0].headers.Get("X-Amz-Date"));
  Result<SystemTime> time =
      ParseRfc3339(date.substr(0, 4) + "-" + date.substr(4, 2) + "-" + date.substr(6, 5) + ":" +
                   date.substr(11, 2) + ":" + date.substr(13));
  ASSERT_TRUE(time) << date;
  Signer signer("eu-west-1", "sts");
  signer.Sign("POST", {.host = asked_[0].headers.Get("Host"), .path = "/", .query = ""}, headers,
              HexEncode(Sha256(asked_[0].body)),
              {.access_key_id = "AKIA1",
               .secret_access_key = Secret("HUSH/+1"),
               .session_token = Secret("HUSHTOKEN=="),
               .expires = {}},
              *time);
  EXPECT_EQ(asked_[0].headers.Get("Authorization"), headers.Get("Authorization"));
}

TEST_F(StsCredentialsTest, RolesOfProfilesMakeAChain) {
  Write("config",
        "[profile c]\nrole_arn = arn:aws:iam::3:role/c\nsource_profile = b\n"
        "[profile b]\nrole_arn = arn:aws:iam::2:role/b\nsource_profile = a\n"
        "[profile a]\naws_access_key_id = AKIA1\naws_secret_access_key = s\n");
  answer_ = [](const Asked& asked) {
    return Answer{.body = Given(asked, asked.body.contains("role%2Fb") ? "ASIAB" : "ASIAC")};
  };
  EXPECT_EQ(Told({.profile = "c"}), "ASIAC");
  ASSERT_EQ(asked_.size(), 2u);
  EXPECT_NE(asked_[0].headers.Get("Authorization").find("=AKIA1/"), std::string::npos);
  EXPECT_NE(asked_[1].headers.Get("Authorization").find("=ASIAB/"), std::string::npos);
}

TEST_F(StsCredentialsTest, AProfileMayNameItselfAndTheEnvironment) {
  Write("config", "[default]\nrole_arn = " + std::string(kRole) +
                      "\nsource_profile = default\naws_access_key_id = AKIA1\n"
                      "aws_secret_access_key = s\n");
  EXPECT_EQ(Told(), "ASIA9");
  Write("config",
        "[profile e]\nrole_arn = " + std::string(kRole) + "\ncredential_source = Environment\n");
  EXPECT_NE(Told({.profile = "e"}).find("AWS_ACCESS_KEY_ID is not set"), std::string::npos);
  variables_["AWS_ACCESS_KEY_ID"] = "AKIAE";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(Told({.profile = "e"}), "ASIA9");
  EXPECT_NE(asked_.back().headers.Get("Authorization").find("=AKIAE/"), std::string::npos);
}

TEST_F(StsCredentialsTest, WebIdentityOfAProfile) {
  Write("config", "[profile w]\nrole_arn = " + std::string(kRole) +
                      "\nweb_identity_token_file = " + Write("token", "tok") + "\n");
  EXPECT_EQ(Told({.profile = "w"}), "ASIA9");
  EXPECT_TRUE(asked_.at(0).body.ends_with("&WebIdentityToken=tok"));
}

TEST_F(StsCredentialsTest, WhatMakesNoSenseInAProfileIsAnErrorBeforeAnythingIsAsked) {
  const std::string role = "[default]\nrole_arn = " + std::string(kRole) + "\n";
  const std::string keys = "[profile k]\naws_access_key_id = A\naws_secret_access_key = s\n";
  struct Case {
    std::string text;
    const char* message;
  };
  for (const Case& one :
       {Case{role, "needs one of source_profile"},
        Case{role + "source_profile = k\ncredential_source = EcsContainer\n" + keys,
             "needs one of"},
        Case{role + "source_profile = gone\n", "'gone' is not there"},
        Case{role + "source_profile = default\n", "'default' is not there or has no"},
        Case{role + "credential_source = Magic\n", "Ec2InstanceMetadata"},
        Case{role + "source_profile = k\nduration_seconds = 10\n" + keys, "900 to 43200"},
        Case{role + "source_profile = k\nduration_seconds = 1h\n" + keys, "900 to 43200"},
        Case{role + "source_profile = k\nrole_session_name = a b\n" + keys, "role_session_name"},
        Case{role + "source_profile = k\nmfa_serial = arn:x\n" + keys, "mfa_serial"},
        Case{"[default]\nrole_arn = x\nsource_profile = k\n" + keys, "no ARN of a role"},
        Case{role + "source_profile = b\n[profile b]\nrole_arn = " + kRole +
                 "\nsource_profile = default\n",
             "circle or too far: default -> b -> default"}}) {
    Write("config", one.text);
    auto got = Get();
    ASSERT_FALSE(got) << one.text;
    EXPECT_EQ(got.error().kind, ErrorKind::kInvalidInput) << got.error().Describe();
    EXPECT_NE(got.error().message.find(one.message), std::string::npos) << got.error().Describe();
  }
  EXPECT_TRUE(asked_.empty());
}

// Servers explain a wrong signature by what they have signed, which holds the session token.
TEST_F(StsCredentialsTest, ErrorsHoldNoSecret) {
  WriteRole("external_id = HUSHEXTERNAL\n");
  answer_ = [](const Asked& asked) {
    std::string message = "The request signature we calculated: " + asked.body + "\n";
    for (const auto& [name, value] : asked.headers.entries()) message += name + ":" + value + "\n";
    return Refusal(403, "SignatureDoesNotMatch",
                   "HUSH/+1 HUSH%2F%2B1 HUSHTOKEN== HUSHTOKEN%3D%3D HUSHEXTERNAL " + message);
  };
  auto got = Get();
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind, ErrorKind::kDenied);
  const std::string told = got.error().Describe();
  EXPECT_EQ(told.find("HUSH"), std::string::npos) << told;
  for (const char* word : {"SignatureDoesNotMatch", "4N8Q", "HTTP 403", kRole, url_.c_str()}) {
    EXPECT_NE(told.find(word), std::string::npos) << told;
  }
  EXPECT_LT(told.size(), 700u);

  Write("config", "");
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = Write("token", "HUSH.jwt/+=");
  variables_["AWS_ROLE_ARN"] = kRole;
  answer_ = [](const Asked& asked) {
    return Refusal(400, "InvalidIdentityToken", asked.body + " HUSH.jwt/+=");
  };
  EXPECT_EQ(Told().find("HUSH"), std::string::npos) << Told();
}

// Both ways to a role.
TEST_F(StsCredentialsTest, WhatMayPassIsRetryableAndTheRestIsDenied) {
  struct Case {
    Answer answer;
    ErrorKind kind;
    size_t asked;
  };
  for (const Case& one :
       {Case{Refusal(500, "InternalFailure", "x"), ErrorKind::kRetryable, 3},
        Case{{.status = 429, .body = ""}, ErrorKind::kThrottled, 3},
        Case{Refusal(400, "Throttling", "x"), ErrorKind::kThrottled, 1},
        Case{Refusal(400, "IDPCommunicationError", "x"), ErrorKind::kRetryable, 1},
        Case{Refusal(400, "ExpiredTokenException", "x"), ErrorKind::kDenied, 1},
        Case{{.status = 404, .body = "<html>"}, ErrorKind::kDenied, 1},
        Case{{.body = "<html>"}, ErrorKind::kDenied, 1},
        Case{{.body = "<A><B><Credentials/></B></A>"}, ErrorKind::kDenied, 1},
        Case{{.body = std::string(70'000, ' ')}, ErrorKind::kDenied, 1}}) {
    answer_ = [&one](const Asked&) { return one.answer; };
    for (const bool web_identity : {true, false}) {
      if (web_identity) {
        WriteWebIdentity();
      } else {
        variables_.erase("AWS_WEB_IDENTITY_TOKEN_FILE");
        WriteRole();
      }
      asked_.clear();
      auto got = Get();
      ASSERT_FALSE(got);
      EXPECT_EQ(got.error().kind, one.kind) << got.error().Describe();
      EXPECT_EQ(asked_.size(), one.asked) << got.error().Describe();
    }
  }
}

TEST_F(StsCredentialsTest, SlowAndBrokenAnswersToAssumeRole) {
  WriteRole();
  ExpectSlowAndBrokenAnswersAreHeld("ASIA9", "role " + std::string(kRole) + " from " + url_);
}

TEST_F(StsCredentialsTest, SlowAndBrokenAnswersToAWebIdentity) {
  WriteWebIdentity();
  ExpectSlowAndBrokenAnswersAreHeld("ASIA9", "role " + std::string(kRole) + " from " + url_);
}

// What the profile says of S3 it says of its role: else a token would be had from where its keys
// were not to go.
TEST_F(StsCredentialsTest, TheSettingsOfTheProfileCount) {
  variables_.erase("AWS_ENDPOINT_URL_STS");
  const std::string services =
      "services = local\n[services local]\nsts =\n  endpoint_url = " + url_ +
      "/\ns3 =\n  endpoint_url = http://127.0.0.1:1\n";
  WriteRole(services);
  EXPECT_EQ(Told(), "ASIA9");
  // Of a store, with a profile of its own.
  Write("config",
        "[profile store]\naws_access_key_id = AKIA3\naws_secret_access_key = s\n" + services);
  EXPECT_EQ(Told({.profile = "store", .role_arn = kRole}), "ASIA9");
  EXPECT_NE(asked_.back().headers.Get("Authorization").find("=AKIA3/"), std::string::npos);
  // With keys of its own it has no profile.
  testing::NobodyHttp nobody;
  variables_["AWS_PROFILE"] = "store";
  variables_["AWS_MAX_ATTEMPTS"] = "1";
  Told({.keys = Credentials{.access_key_id = "AKIAS",
                            .secret_access_key = Secret("s"),
                            .session_token = {},
                            .expires = {}},
        .role_arn = kRole,
        .http = &nobody});
  EXPECT_EQ(nobody.urls, std::vector<std::string>{"https://sts.eu-west-1.amazonaws.com/"});
  WriteWebIdentity();
  EXPECT_EQ(Told(), "ASIA9");
  EXPECT_EQ(asked_.size(), 3u);

  // The endpoints of AWS.
  variables_.erase("AWS_WEB_IDENTITY_TOKEN_FILE");
  variables_.erase("AWS_PROFILE");
  auto asks = [&](const std::string& more) {
    WriteRole(more);
    nobody.urls.clear();
    Told({.http = &nobody});
    return nobody.urls.empty() ? std::string() : nobody.urls.back();
  };
  EXPECT_EQ(asks("use_fips_endpoint = true\n"), "https://sts-fips.eu-west-1.amazonaws.com/");
  EXPECT_EQ(asks("use_dualstack_endpoint = TRUE\n"), "https://sts.eu-west-1.api.aws/");
  EXPECT_EQ(asks("sts_regional_endpoints = legacy\n"), "https://sts.amazonaws.com/");
  variables_["AWS_ENDPOINT_URL"] = url_;
  variables_["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true";
  EXPECT_EQ(asks("endpoint_url = " + url_ + "\n"), "https://sts.eu-west-1.amazonaws.com/");
  EXPECT_EQ(asked_.size(), 3u);
  // Half a wish is none that may be passed over.
  variables_["AWS_USE_FIPS_ENDPOINT"] = "yes";
  WriteRole();
  EXPECT_NE(Told({.http = &nobody}).find("AWS_USE_FIPS_ENDPOINT"), std::string::npos);
}

// Whoever wishes for one attempt must not wait for three; more than three nobody waits for.
TEST_F(StsCredentialsTest, AttemptsAreThoseThatWereWishedFor) {
  testing::NobodyHttp nobody;
  auto asks = [&](const std::string& more) {
    WriteRole(more);
    nobody.urls.clear();
    Told({.http = &nobody});
    return nobody.urls.size();
  };
  EXPECT_EQ(asks(""), 3u);
  EXPECT_EQ(asks("max_attempts = 2\n"), 2u);
  variables_["AWS_MAX_ATTEMPTS"] = "1";
  EXPECT_EQ(asks("max_attempts = 2\n"), 1u);
  variables_["AWS_MAX_ATTEMPTS"] = "9";
  EXPECT_EQ(asks(""), 3u);
  // Also of keys that are kept.
  variables_["AWS_MAX_ATTEMPTS"] = "1";
  variables_["AWS_ACCESS_KEY_ID"] = "A";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  nobody.urls.clear();
  Told({.kept = ParseSecretReference("ssm:x").value(), .http = &nobody});
  EXPECT_EQ(nobody.urls.size(), 1u);
}

TEST_F(StsCredentialsTest, RoleOfAStoreIsAssumedWithItsKeysOrTheChain) {
  EXPECT_EQ(Told({.keys = Credentials{.access_key_id = "AKIAS",
                                      .secret_access_key = Secret("s"),
                                      .session_token = {},
                                      .expires = {}},
                  .role_arn = kRole,
                  .external_id = "ext-1"}),
            "ASIA9");
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_TRUE(asked_[0].body.ends_with("&ExternalId=ext-1")) << asked_[0].body;
  EXPECT_NE(asked_[0].headers.Get("Authorization").find("=AKIAS/"), std::string::npos);
  WriteWebIdentity();
  answer_ = [](const Asked& asked) {
    return Answer{.body = Given(asked, asked.body.contains("WebIdentity") ? "ASIA1" : "ASIA2")};
  };
  EXPECT_EQ(Told({.role_arn = kRole}), "ASIA2");
  EXPECT_NE(asked_.back().headers.Get("Authorization").find("=ASIA1/"), std::string::npos);
}

// The keys that a role is assumed with run out as well: STS says so, and they are renewed.
TEST_F(StsCredentialsTest, KeysThatHaveRunOutAreRenewedBeforeTheRoleIsGivenUp) {
  WriteRole();
  answer_ = [this](const Asked& asked) {
    if (asked.headers.Get("Authorization").contains("=AKIA2/")) {
      return Answer{.body = Given(asked, "ASIA9")};
    }
    Write("credentials", "[keys]\naws_access_key_id = AKIA2\naws_secret_access_key = s\n");
    return Refusal(403, "ExpiredToken", "run out");
  };
  EXPECT_EQ(Told(), "ASIA9");
  EXPECT_EQ(asked_.size(), 2u);
  answer_ = [](const Asked&) { return Refusal(403, "ExpiredToken", "run out"); };
  EXPECT_NE(Told().find("ExpiredToken"), std::string::npos);
  EXPECT_EQ(asked_.size(), 3u);
}

// A machine whose clock is an hour off can still get credentials: what else would tell it?
TEST_F(StsCredentialsTest, SignsByTheServersClockWhereOursIsWrong) {
  WriteRole();
  const SystemTime theirs = world_.clock.Now() + 3h;
  answer_ = [theirs](const Asked& asked) {
    if (asked.headers.Get("X-Amz-Date").substr(0, 11) == FormatAmzDate(theirs).substr(0, 11)) {
      return Answer{.body = Given(asked, "ASIA9")};
    }
    Answer refusal = Refusal(403, "SignatureDoesNotMatch", "Signature expired");
    refusal.headers = {{"Date", FormatHttpDate(theirs)}};
    return refusal;
  };
  EXPECT_EQ(Told(), "ASIA9");
  EXPECT_EQ(asked_.size(), 2u);
}

TEST_F(StsCredentialsTest, EndpointsByPartitionAndWish) {
  variables_.clear();
  auto url = [this](std::string_view region, std::string_view role = kRole) {
    Result<AwsSettings> settings = ReadAwsSettings("STS", "", Environment());
    if (!settings) return settings.error().message;
    Result<StsEndpoint> found = FindStsEndpoint(region, role, *settings);
    return found ? found->url + " " + found->region : found.error().message;
  };
  EXPECT_EQ(url("eu-west-1"), "https://sts.eu-west-1.amazonaws.com eu-west-1");
  EXPECT_EQ(url(""), "https://sts.us-east-1.amazonaws.com us-east-1");
  EXPECT_EQ(url("", "arn:aws-cn:iam::1:role/x"),
            "https://sts.cn-north-1.amazonaws.com.cn cn-north-1");
  EXPECT_EQ(url("", "arn:aws-us-gov:iam::1:role/x"),
            "https://sts.us-gov-west-1.amazonaws.com us-gov-west-1");
  EXPECT_EQ(url("a.evil.test/"), "'a.evil.test/' is no region of STS");
  variables_["AWS_STS_REGIONAL_ENDPOINTS"] = "legacy";
  EXPECT_EQ(url("eu-west-1"), "https://sts.amazonaws.com us-east-1");
  EXPECT_EQ(url("eu-south-1"), "https://sts.eu-south-1.amazonaws.com eu-south-1");
  EXPECT_EQ(url("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn cn-north-1");
  variables_["AWS_USE_FIPS_ENDPOINT"] = "true";
  EXPECT_EQ(url("us-west-2"), "https://sts-fips.us-west-2.amazonaws.com us-west-2");
  EXPECT_EQ(url("us-gov-east-1"), "https://sts.us-gov-east-1.amazonaws.com us-gov-east-1");
  variables_["AWS_USE_DUALSTACK_ENDPOINT"] = "true";
  EXPECT_EQ(url("us-west-2"), "https://sts-fips.us-west-2.api.aws us-west-2");
  variables_["AWS_USE_FIPS_ENDPOINT"] = "false";
  EXPECT_EQ(url("cn-north-1"), "https://sts.cn-north-1.api.amazonwebservices.com.cn cn-north-1");
  variables_["AWS_ENDPOINT_URL"] = "http://all.test";
  EXPECT_EQ(url("eu-west-1"), "http://all.test eu-west-1");
  variables_["AWS_ENDPOINT_URL_STS"] = "http://sts.test:80/";
  EXPECT_EQ(url("eu-west-1"), "http://sts.test:80 eu-west-1");
}

}  // namespace
}  // namespace longhaul
