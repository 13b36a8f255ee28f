#include <cstdlib>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

class IamPolicyCommandTest : public testing::CommandsTest {
 protected:
  ~IamPolicyCommandTest() override {
    ::unsetenv("AWS_CONFIG_FILE");
    ::unsetenv("AWS_REGION");
  }
  void Configure(const std::string& bucket, const std::string& intake) {
    WriteFile("c.yaml",
              "version: 1\nsite: a\nstores:\n  east: { type: s3, region: us-east-1 }\n"
              "rules:\n  - id: main\n    source: east:" +
                  bucket + "/logs/\n    intake: " + intake +
                  "\n    targets:\n      - { to: 'east:copy/in/', staging: 'east:staging/' }\n");
  }
};

// A policy of another region or partition allows nothing.
TEST_F(IamPolicyCommandTest, QueuesOfEventsAreWhereTheirClientsFindThem) {
  WriteFile("config", "[profile gov]\nregion = us-gov-west-1\n");
  ::setenv("AWS_CONFIG_FILE", folder.file("config").c_str(), 1);
  ::setenv("AWS_REGION", "eu-west-1", 1);
  Configure("data", "{ sqs: 'events?profile=gov' }");
  EXPECT_EQ(Run({"iam-policy"}), 0) << console.error;
  EXPECT_TRUE(console.out.contains("arn:aws-us-gov:sqs:us-gov-west-1:*:events")) << console.out;
  Configure("data", "{ sqs: events }");
  EXPECT_EQ(Run({"iam-policy"}), 0) << console.error;
  EXPECT_TRUE(console.out.contains("arn:aws:sqs:eu-west-1:*:events")) << console.out;
}

TEST_F(IamPolicyCommandTest, AnAliasOfAnAccessPointIsToldOf) {
  Configure("reports-abc-s3alias", "{}");
  EXPECT_EQ(Run({"iam-policy"}), 0) << console.error;
  EXPECT_TRUE(console.error.contains("reports-abc-s3alias is the alias of an access point"))
      << console.error;
  Configure("reports", "{}");
  EXPECT_EQ(Run({"iam-policy"}), 0) << console.error;
  EXPECT_FALSE(console.error.contains("alias")) << console.error;
}

}  // namespace
}  // namespace longhaul
