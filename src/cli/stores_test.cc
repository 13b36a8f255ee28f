// How stores are reached, as words: what a plan keeps of it.

#include "cli/stores.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "rules/configuration.h"
#include "tests/support/commands.h"

namespace longhaul {
namespace {

// A server that knows buckets in host names alone is asked in vain where `addressing` counts only
// beside an endpoint of the same file.
TEST(AddressingTest, WhatIsWrittenCountsWhereverTheEndpointComesFrom) {
  const std::string own = "http://127.0.0.1:9000";
  const std::string oss = "https://s3.oss-cn-hangzhou.aliyuncs.com";
  struct Case {
    std::string fields;
    std::string endpoint;
    S3Addressing expected;
  };
  for (const Case& one : std::vector<Case>{
           {"", "", S3Addressing::kAuto},
           {"", own, S3Addressing::kPath},
           {"", oss, S3Addressing::kVirtualHost},
           {", addressing: virtual", "", S3Addressing::kAuto},
           {", addressing: virtual", own, S3Addressing::kVirtualHost},
           {", addressing: path", "", S3Addressing::kPath},
           {", addressing: path", own, S3Addressing::kPath},
           {", provider: aws", own, S3Addressing::kPath},
           {", endpoint: '" + own + "'", own, S3Addressing::kPath},
           {", endpoint: '" + own + "', addressing: virtual", own, S3Addressing::kVirtualHost},
           {", endpoint: '" + oss + "'", oss, S3Addressing::kVirtualHost}}) {
    Result<Configuration> read =
        ParseConfiguration("version: 1\nstores:\n  a: { type: s3" + one.fields + " }\n", "c.yaml",
                           "/", [](std::string_view) { return std::nullopt; });
    ASSERT_TRUE(read) << read.error().Describe();
    EXPECT_EQ(AddressingOf(read->stores.at("a"), one.endpoint), one.expected)
        << one.fields << " at " << one.endpoint;
  }
}

class AddressingShownTest : public testing::CommandsTest {};

TEST_F(AddressingShownTest, AsStoresAreOpened) {
  WriteFile("c.yaml",
            "version: 1\nstores:\n  a: { type: s3, access_key_id: K, secret_access_key: S }\n");
  console.environment["HOME"] = folder.file("home");
  console.environment["AWS_ACCESS_KEY_ID"] = "K";
  console.environment["AWS_SECRET_ACCESS_KEY"] = "S";
  console.environment["AWS_ENDPOINT_URL_S3"] = "https://s3.oss-cn-hangzhou.aliyuncs.com";
  ASSERT_EQ(Run({"config", "show"}), 0) << console.error;
  const size_t at = console.out.find("stores.a.addressing");
  ASSERT_NE(at, std::string::npos) << console.out;
  const std::string line = console.out.substr(at, console.out.find('\n', at) - at);
  EXPECT_TRUE(line.ends_with(" virtual")) << line;
}

// A plan that forgets one of them is applied to another place, or to none.
class AddressingOptionTest : public testing::CommandsTest {};

TEST_F(AddressingOptionTest, VirtualIsSpelledAsInAConfiguration) {
  for (const char* style : {"virtual", "virtual-host", "path"}) {
    // Nobody has that name: who was asked stands in the error.
    EXPECT_EQ(
        Run({"ls", "s3://bucket", "--addressing", style, "--endpoint-url", "http://store.invalid",
             "--region", "us-east-1", "--no-sign-request", "--timeout", "100ms"}),
        5);
    EXPECT_EQ(console.error.contains("bucket.store.invalid"), std::string_view(style) != "path")
        << style << ": " << console.error;
  }
}

TEST(StoreFlagsTest, ArgumentsHaveEveryOption) {
  FlagSet declared;
  StoreFlags unused;
  unused.Declare(declared, true);
  ASSERT_FALSE(declared.flags().empty());
  for (const FlagSet::Flag& flag : declared.flags()) {
    const std::string name = "--" + std::string(flag.info.name);
    std::string word = name;
    if (!flag.choices.empty()) {
      word += "=" + std::string(flag.choices.back());
    } else if (flag.info.value_name == "DURATION") {
      word += "=7s";
    } else if (!flag.info.value_name.empty()) {
      word += "=minio";
    }
    FlagSet flags;
    StoreFlags given;
    given.Declare(flags, true);
    ASSERT_TRUE(flags.Parse({word}, [](const std::string&) { return std::nullopt; })) << word;
    const std::vector<std::string> arguments = given.Arguments();
    EXPECT_NE(std::ranges::find(arguments, word), arguments.end()) << word;
    FlagSet again;
    StoreFlags same;
    same.Declare(again, true);
    ASSERT_TRUE(again.Parse(arguments, [](const std::string&) { return std::nullopt; })) << word;
    EXPECT_EQ(same.Arguments(), arguments) << word;
  }
}

}  // namespace
}  // namespace longhaul
