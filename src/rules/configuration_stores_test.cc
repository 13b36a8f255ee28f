#include <gtest/gtest.h>

#include <string>

#include "rules/configuration.h"

namespace longhaul {
namespace {

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

}  // namespace
}  // namespace longhaul
