#include "aws/aws_settings.h"

#include "tests/support/credentials_fixture.h"

namespace longhaul {
namespace {

class AwsSettingsTest : public testing::CredentialsFixture {
 protected:
  Result<AwsSettings> Read(std::string_view service = "S3", std::string_view profile = "") {
    return ReadAwsSettings(service, profile, Environment());
  }
  std::string Endpoint(std::string_view service) {
    Result<AwsSettings> read = Read(service);
    if (!read) return read.error().message;
    return read->endpoint_url.value + " by " + read->endpoint_url.origin;
  }
};

TEST_F(AwsSettingsTest, NamesOfServicesByPartition) {
  auto host = [](const char* service, const char* region, AwsWishes wishes = {}) {
    Result<std::string> found = AwsServiceHost(service, region, wishes);
    return found ? *found : found.error().message;
  };
  constexpr AwsWishes kFips{.fips = true};
  constexpr AwsWishes kDual{.dual_stack = true};
  constexpr AwsWishes kBoth{.fips = true, .dual_stack = true};
  EXPECT_EQ(host("s3", "eu-west-1"), "s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(host("s3", "cn-north-1"), "s3.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(host("s3", "us-gov-west-1"), "s3.us-gov-west-1.amazonaws.com");
  EXPECT_EQ(host("s3", "us-east-2", kFips), "s3-fips.us-east-2.amazonaws.com");
  EXPECT_EQ(host("s3", "eu-west-1", kDual), "s3.dualstack.eu-west-1.amazonaws.com");
  EXPECT_EQ(host("s3", "cn-north-1", kDual), "s3.dualstack.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(host("s3", "us-gov-east-1", kBoth), "s3-fips.dualstack.us-gov-east-1.amazonaws.com");
  EXPECT_EQ(host("ssm", "eu-west-1"), "ssm.eu-west-1.amazonaws.com");
  EXPECT_EQ(host("ssm", "us-gov-west-1", kFips), "ssm-fips.us-gov-west-1.amazonaws.com");
  EXPECT_EQ(host("dynamodb", "us-gov-west-1", kFips), "dynamodb.us-gov-west-1.amazonaws.com");
  EXPECT_EQ(host("secretsmanager", "us-east-1", kFips),
            "secretsmanager-fips.us-east-1.amazonaws.com");
  EXPECT_EQ(host("sqs", "eu-west-1", kDual), "sqs.eu-west-1.api.aws");
  EXPECT_EQ(host("sqs", "cn-north-1", kDual), "sqs.cn-north-1.api.amazonwebservices.com.cn");
  EXPECT_EQ(host("s3", "cn-north-1", kFips), "AWS_USE_FIPS_ENDPOINT: there are none in cn-north-1");
  EXPECT_EQ(host("s3", "evil.test/"), "'evil.test/' is no region: write it as eu-west-1");
  EXPECT_EQ(AwsPartitionOf("cn-northwest-1"), "aws-cn");
  EXPECT_EQ(AwsPartitionOf("us-gov-east-1"), "aws-us-gov");
  EXPECT_EQ(AwsPartitionOf("ap-east-1"), "aws");
}

TEST_F(AwsSettingsTest, EndpointsOfServices) {
  EXPECT_EQ(Endpoint("S3"), " by ");
  Write("config",
        "[default]\nendpoint_url = http://profile.test\nservices = local\n"
        "[services local]\ns3 =\n  endpoint_url = http://s3.services.test/\n"
        "secrets_manager = \n  endpoint_url = http://sm.services.test\n");
  EXPECT_EQ(Endpoint("S3"), "http://s3.services.test by services 'local' of profile 'default'");
  EXPECT_EQ(Endpoint("SECRETS_MANAGER"),
            "http://sm.services.test by services 'local' of profile 'default'");
  EXPECT_EQ(Endpoint("SSM"), "http://profile.test by profile 'default'");
  variables_["AWS_ENDPOINT_URL"] = "http://all.test";
  EXPECT_EQ(Endpoint("S3"), "http://all.test by AWS_ENDPOINT_URL");
  variables_["AWS_ENDPOINT_URL_S3"] = "http://s3.test/";
  EXPECT_EQ(Endpoint("S3"), "http://s3.test by AWS_ENDPOINT_URL_S3");
  EXPECT_EQ(Endpoint("SSM"), "http://all.test by AWS_ENDPOINT_URL");
  variables_["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true";
  EXPECT_EQ(Endpoint("S3"), " by ");
}

TEST_F(AwsSettingsTest, TheEnvironmentComesBeforeTheProfile) {
  Write("config",
        "[default]\nuse_fips_endpoint = true\nuse_dualstack_endpoint=true\nmax_attempts = 4\n"
        "ca_bundle = /profile.pem\nregion = eu-west-1\n");
  Result<AwsSettings> read = Read();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->wishes().fips && read->wishes().dual_stack);
  EXPECT_EQ(read->AttemptsMax(10), 4);
  EXPECT_EQ(read->ca_bundle.value, "/profile.pem");
  EXPECT_EQ(read->ca_bundle.origin, "profile 'default'");
  EXPECT_EQ(read->region.origin, "profile 'default'");
  EXPECT_TRUE(read->proxy().url.empty());
  variables_["AWS_USE_FIPS_ENDPOINT"] = "False";
  variables_["AWS_MAX_ATTEMPTS"] = "7";
  variables_["AWS_CA_BUNDLE"] = "/environment.pem";
  variables_["AWS_DEFAULT_REGION"] = "us-west-2";
  variables_["https_proxy"] = "http://proxy.test:3128";
  variables_["NO_PROXY"] = ".internal";
  read = Read();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_FALSE(read->wishes().fips);
  EXPECT_EQ(read->AttemptsMax(10), 7);
  EXPECT_EQ(read->ca_bundle.origin, "AWS_CA_BUNDLE");
  EXPECT_EQ(read->region.value, "us-west-2");
  EXPECT_EQ(read->proxy().url.Reveal(), "http://proxy.test:3128");
  EXPECT_EQ(read->proxy().no_proxy, ".internal");
  variables_.erase("AWS_MAX_ATTEMPTS");
  Result<AwsSettings> own = ReadAwsSettings("S3", "", WithoutProfiles(Environment()));
  ASSERT_TRUE(own);
  EXPECT_EQ(own->AttemptsMax(10), 10);
  EXPECT_EQ(own->ca_bundle.origin, "AWS_CA_BUNDLE");
}

// A wish that is written wrongly and then not heeded would send data where it must not go.
TEST_F(AwsSettingsTest, WhatMakesNoSenseIsNamed) {
  struct Case {
    const char* variable;
    const char* value;
  };
  for (const Case& one :
       {Case{"AWS_USE_FIPS_ENDPOINT", "yes"}, Case{"AWS_USE_DUALSTACK_ENDPOINT", "1"},
        Case{"AWS_MAX_ATTEMPTS", "0"}, Case{"AWS_MAX_ATTEMPTS", "3x"},
        Case{"AWS_ENDPOINT_URL", "s3.test"}, Case{"HTTPS_PROXY", "socks5://u:HUSH@h:1"}}) {
    variables_[one.variable] = one.value;
    Result<AwsSettings> read = Read();
    ASSERT_FALSE(read) << one.variable;
    EXPECT_EQ(read.error().kind, ErrorKind::kInvalidInput);
    EXPECT_TRUE(read.error().message.starts_with(one.variable)) << read.error().message;
    EXPECT_EQ(read.error().message.find("HUSH"), std::string::npos);
    variables_.erase(one.variable);
  }
  EXPECT_FALSE(Read("S3", "missing"));
}

}  // namespace
}  // namespace longhaul
