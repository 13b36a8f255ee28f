#include "aws/credentials.h"

#include "aws/profile_files.h"
#include "tests/support/credentials_fixture.h"

namespace longhaul {
namespace {

class CredentialsTest : public testing::CredentialsFixture {
 protected:
  Result<std::shared_ptr<const Credentials>> Default(std::string profile = "") {
    return Get({.profile = std::move(profile)});
  }
};

// The order in which people's other AWS tools look is the one they expect here.
TEST_F(CredentialsTest, EnvironmentBeforeFilesAndNamedProfileBeforeBoth) {
  Write("credentials",
        "[default]\naws_access_key_id = FILE\naws_secret_access_key = s1\n\n"
        "# a comment\n[other]\naws_access_key_id=OTHER\r\naws_secret_access_key=s2 # note\r\n"
        "aws_session_token = t2\n");
  EXPECT_EQ((*Default())->access_key_id, "FILE");
  variables_["AWS_PROFILE"] = "other";
  auto other = Default();
  ASSERT_TRUE(other);
  EXPECT_EQ((*other)->access_key_id, "OTHER");
  EXPECT_EQ((*other)->secret_access_key.Reveal(), "s2");
  EXPECT_EQ((*other)->session_token.Reveal(), "t2");
  variables_["AWS_ACCESS_KEY_ID"] = "ENV";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s3";
  EXPECT_EQ((*Default())->access_key_id, "ENV");
  EXPECT_EQ((*Default("other"))->access_key_id, "OTHER");
}

TEST_F(CredentialsTest, ConfigFileNamesProfilesItsOwnWay) {
  Write("config",
        "[default]\nregion = eu-west-1\ns3 =\n  addressing_style = path\n"
        "[profile two]\nregion = us-west-2\nendpoint_url = http://127.0.0.1:9\n"
        "aws_access_key_id = ID\naws_secret_access_key = S\n");
  auto profile = ReadAwsProfile("two", Environment());
  ASSERT_TRUE(profile) << profile.error().Describe();
  EXPECT_EQ(profile->region, "us-west-2");
  EXPECT_EQ(profile->endpoint_url, "http://127.0.0.1:9");
  EXPECT_EQ(profile->credentials->access_key_id, "ID");
  EXPECT_EQ(*FindAwsRegion("", Environment()), "eu-west-1");
  variables_["AWS_DEFAULT_REGION"] = "ap-east-1";
  EXPECT_EQ(*FindAwsRegion("", Environment()), "ap-east-1");
  EXPECT_EQ(*FindAwsRegion("two", Environment()), "us-west-2");
}

// As configparser reads them, and so the AWS CLI: only what is indented further than a name before
// it goes on from it. A profile that came out empty would leave its store to another identity.
TEST_F(CredentialsTest, AProfileMayBeIndented) {
  Write("config",
        "[profile two]\n  region = us-west-2\n  s3 =\n    endpoint_url = http://127.0.0.1:9\n"
        "  aws_access_key_id = ID\n  aws_secret_access_key = S\n");
  auto profile = ReadAwsProfile("two", Environment());
  ASSERT_TRUE(profile) << profile.error().Describe();
  EXPECT_EQ(profile->region, "us-west-2");
  EXPECT_EQ(profile->credentials->access_key_id, "ID");
  Result<ProfileSections> read = ParseProfileFile(
      "config",
      "[profile two]\n  s3 =\n    endpoint_url = e\n[three]\n\ta = b\n\t\tc = d\ne = f\n");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->at("profile two"), (ProfileSection{{"s3", ""}, {"s3.endpoint_url", "e"}}));
  EXPECT_EQ(read->at("three"), (ProfileSection{{"a", "b"}, {"e", "f"}}));
}

// Whoever wrote the mistake needs the file and the line, not "access denied" later.
TEST_F(CredentialsTest, MistakesNameFileAndLine) {
  struct Case {
    const char* text;
    const char* message;
  };
  for (const Case& one : {Case{"[default]\nnonsense\n", "credentials, line 2: "},
                          Case{"a = b\n", "line 1: 'name = value' before"},
                          Case{"\n[default\n", "line 2: '[' without"},
                          Case{"[default]\naws_access_key_id = X\n", "aws_secret_access_key is"},
                          Case{"[]\n", "line 1: a profile without"}}) {
    Write("credentials", one.text);
    auto found = Default();
    ASSERT_FALSE(found) << one.text;
    EXPECT_EQ(found.error().kind, ErrorKind::kInvalidInput);
    EXPECT_NE(found.error().message.find(one.message), std::string::npos) << found.error().message;
  }
  Write("credentials", std::string((1 << 20) + 1, '#'));
  EXPECT_NE(Default().error().message.find("larger than 1 MiB"), std::string::npos);
}

TEST_F(CredentialsTest, NothingAnywhereIsDeniedAndSaysWhereItLooked) {
  auto found = Default();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::kDenied);
  EXPECT_NE(found.error().message.find("AWS_ACCESS_KEY_ID"), std::string::npos);
  EXPECT_EQ(Default("missing").error().kind, ErrorKind::kInvalidInput);
}

// A file that a person has mended must count without a restart.
TEST_F(CredentialsTest, InvalidateReadsTheFileAnew) {
  Write("credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = s\n");
  auto provider = Chain();
  EXPECT_EQ((*world_.Run(provider->Get()))->access_key_id, "A");
  EXPECT_FALSE(provider->Invalidate());
  EXPECT_EQ((*world_.Run(provider->Get()))->access_key_id, "A");
  Write("credentials", "[default]\naws_access_key_id = B\naws_secret_access_key = s\n");
  EXPECT_EQ((*world_.Run(provider->Get()))->access_key_id, "A");
  EXPECT_TRUE(provider->Invalidate());
  EXPECT_EQ((*world_.Run(provider->Get()))->access_key_id, "B");
}

}  // namespace
}  // namespace longhaul
