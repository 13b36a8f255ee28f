#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "rules/configuration.h"
#include "tests/support/configuration_text.h"

namespace longhaul {
namespace {

using ::testing::AllOf;
using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::kStores;
using ::testing::Not;
using testing::Parse;

Result<Configuration> WithStore(const std::string& fields, const std::string& rest = "") {
  return ParseConfiguration(
      "version: 1\nsite: here\nstores:\n  east: { type: s3, access_key_id: a, "
      "secret_access_key: b" +
          fields + " }\n" + rest,
      "c.yaml", "/there", [](std::string_view) { return std::nullopt; });
}

// Where there is no acceleration, requests would go to a host that is not there.
TEST(AccelerationTest, IsForAwsAlone) {
  Result<Configuration> read = WithStore(", region: eu-west-1, accelerate: true");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->stores.at("east").accelerate);
  EXPECT_FALSE(WithStore(", region: eu-west-1")->stores.at("east").accelerate);
  EXPECT_TRUE(WithStore(", provider: aws, region: us-east-1, accelerate: true"));
  EXPECT_TRUE(WithStore(", endpoint: 'http://127.0.0.1:9000', accelerate: false"));
  for (auto [fields, says] :
       {std::pair{", endpoint: 'http://127.0.0.1:9000', accelerate: true",
                  "there is no transfer acceleration at http://127.0.0.1:9000"},
        std::pair{", endpoint: 'https://s3.eu-west-1.amazonaws.com', accelerate: true",
                  "leave 'https://s3.eu-west-1.amazonaws.com' out"},
        std::pair{", region: cn-north-1, accelerate: true",
                  "no transfer acceleration at cn-north-1"},
        std::pair{", region: us-gov-west-1, accelerate: true", "AWS alone has it"},
        std::pair{", region: eu-west-1, addressing: path, accelerate: true",
                  "leave out addressing: path"},
        std::pair{", region: eu-west-1, accelerate: perhaps", "accelerate"}}) {
    read = WithStore(fields);
    ASSERT_FALSE(read) << fields;
    EXPECT_NE(read.error().message.find(says), std::string::npos) << read.error().message;
  }
}

// The certificate is for one level of names, so each request would fail.
TEST(AccelerationTest, BucketsWithDotsAreRefusedWithTheRemedy) {
  const std::string rule =
      "rules:\n  - id: r\n    source: east:my.logs/\n    targets: [{ to: 'east:copy/', staging: "
      "'east:staging/' }]\n";
  EXPECT_TRUE(WithStore(", region: eu-west-1", rule));
  Result<Configuration> read = WithStore(", region: eu-west-1, accelerate: true", rule);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("name it by a store without accelerate"), std::string::npos)
      << read.error().message;
}

TEST(InventoryIntakeTest, NamesAFolderOfAStore) {
  const std::string rule =
      "rules:\n  - id: r\n    source: east:logs/\n    intake: { inventory: "
      "'east:reports/inv/logs/daily/' }\n    targets: [{ to: 'east:copy/', staging: "
      "'east:staging/' }]\n";
  Result<Configuration> read = WithStore(", region: eu-west-1", rule);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_TRUE(read->rules[0].intake.inventory);
  EXPECT_EQ(read->rules[0].intake.inventory->ToString(), "east:reports/inv/logs/daily/");
  EXPECT_TRUE(read->rules[0].intake.listing) << "how often it is looked for";
}

// A role that nobody could assume is a mistake in the file, not a refusal hours later.
TEST(ConfigurationTest, RolesOfStoresMakeSense) {
  auto error_of = [](const std::string& fields) {
    return ErrorOf(std::string(kStores) + "  far: { type: s3, " + fields + " }\n" +
                   "rules: [{ id: r, source: 'disk:a', targets: [{ to: 'east:b', staging: "
                   "'east:s/t' }] }]\n");
  };
  EXPECT_THAT(error_of("role_arn: mover"), HasSubstr("no ARN of a role"));
  EXPECT_THAT(error_of("external_id: ext-1"), HasSubstr("give role_arn as well"));
  EXPECT_THAT(error_of("role_arn: 'arn:aws:iam::1:role/x', external_id: 'a b'"),
              HasSubstr("external_id: 2 to 1224"));
  EXPECT_THAT(error_of("role_arn: 'arn:aws:iam::1:role/x', anonymous: true"),
              HasSubstr("is anonymous"));
}

// A store that is described wrongly is not taken for AWS: what follows would mislead.
TEST(ConfigurationTest, SaysNothingOfBucketsInAStoreItDoesNotKnow) {
  const std::string rules =
      "site: s\nrules: [{ id: r, source: 'a:My_Bucket/', targets: [{ to: 'b:Other_One/', "
      "staging: 'b:st/', storage_class: MINE }] }]\n";
  const std::string said = ErrorOf(
      "version: 1\nstores:\n  a: { type: s4 }\n  b: { type: s3, "
      "endpont: 'http://x' }\n" +
      rules);
  EXPECT_EQ(said.find("AWS"), std::string::npos) << said;
  EXPECT_EQ(said.find("storage class"), std::string::npos) << said;
  const std::string known =
      ErrorOf("version: 1\nstores:\n  a: { type: s3 }\n  b: { type: s3 }\n" + rules);
  EXPECT_NE(known.find("'My_Bucket' cannot name a bucket: AWS allows"), std::string::npos) << known;
}

// A number that is out of range, or for a folder, must not become 64 in silence.
TEST(ConfigurationTest, ReadsHowManyRequestsAStoreTakes) {
  auto with = [](const std::string& store) {
    return Parse("version: 1\nstores: { a: { " + store + " } }\n");
  };
  Result<Configuration> read = with("type: s3, requests: 256");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->stores.at("a").requests, 256);
  EXPECT_EQ(with("type: s3")->stores.at("a").requests, std::nullopt);
  for (const char* number : {"0", "1025", "-1"}) {
    read = with(std::string("type: s3, requests: ") + number);
    ASSERT_FALSE(read);
    EXPECT_THAT(read.error().message, HasSubstr("give 1 to 1024"));
  }
  EXPECT_FALSE(with("type: file, root: /srv, requests: 2"));
}

// Half a set of credentials would be silently replaced by another identity.
TEST(ConfigurationTest, ChecksCredentials) {
  auto error_of = [](std::string_view fields) {
    return ErrorOf("version: 1\nsite: s\nrules: []\nstores:\n  a: { type: s3, " +
                   std::string(fields) + " }\n");
  };
  EXPECT_THAT(error_of("access_key_id: x"), HasSubstr("no secret_access_key"));
  EXPECT_THAT(error_of("secret_access_key: x"), HasSubstr("no access_key_id"));
  EXPECT_THAT(error_of("session_token: x"), HasSubstr("session_token without the keys"));
  EXPECT_THAT(error_of("profile: x, anonymous: true"), HasSubstr("in several ways"));
  EXPECT_THAT(error_of("access_key_id: '${UNSET}', secret_access_key: x"),
              AllOf(HasSubstr("lh.yaml:5:33: the environment variable UNSET is not set"),
                    Not(HasSubstr("no access_key_id"))));
  for (const char* bad : {"localhost:9000", "ftp://x", "http://", "http://a/b", "http://u:p@h",
                          "http://h:99999", "http://h:", "http://a b"}) {
    EXPECT_THAT(error_of("endpoint: '" + std::string(bad) + "'"), HasSubstr("is not an endpoint"))
        << bad;
  }
  EXPECT_THAT(error_of("endpoint: 'https://KEY:hunter2@host'"),
              AllOf(HasSubstr("'https://…@host' is not an endpoint"), Not(HasSubstr("hunter2"))));
}

// Commands such as ls name stores of a file that has no rules.
TEST(ConfigurationTest, StoresAloneAreEnough) {
  Result<Configuration> read = Parse("version: 1\nstores: { a: { type: s3 } }\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->rules.empty());
  EXPECT_THAT(ErrorOf("version: 1\nstores: { a: { type: s3 } }\nrules: []\n"),
              AllOf(HasSubstr("'site' is missing"), HasSubstr("rules: is empty")));
}

// What a provider gives is what a person would have written.
TEST(ConfigurationTest, AProviderGivesEndpointAndAddressing) {
  auto read = [](const std::string& fields) {
    return Parse("version: 1\nstores:\n  a: { type: s3, " + fields + " }\n");
  };
  Result<Configuration> wasabi = read("provider: wasabi, region: eu-central-1");
  ASSERT_TRUE(wasabi) << wasabi.error().message;
  EXPECT_EQ(wasabi->stores.at("a").endpoint, "https://s3.eu-central-1.wasabisys.com");
  EXPECT_EQ(wasabi->stores.at("a").addressing, Addressing::kPath);
  Result<Configuration> oss = read("provider: aliyun-oss, region: cn-hangzhou");
  ASSERT_TRUE(oss) << oss.error().message;
  EXPECT_EQ(oss->stores.at("a").addressing, Addressing::kVirtualHost);
  // Known by its endpoint as well.
  Result<Configuration> named = read("endpoint: \"https://s3.oss-cn-hangzhou.aliyuncs.com\"");
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->stores.at("a").addressing, Addressing::kVirtualHost);
  Result<Configuration> r2 = read("provider: r2, account: abc");
  ASSERT_TRUE(r2) << r2.error().message;
  EXPECT_EQ(r2->stores.at("a").endpoint, "https://abc.r2.cloudflarestorage.com");
  for (const char* wrong :
       {"provider: nimbus", "provider: b2", "provider: r2", "provider: minio", "account: abc",
        "provider: aliyun-oss, region: cn-hangzhou, addressing: path",
        "provider: wasabi, endpoint: \"https://proxy.example.com\"",
        "provider: aws-cn, region: eu-west-1", "provider: aws-cn"}) {
    EXPECT_FALSE(read(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace longhaul
