// Options that nothing uses are refused where somebody typed them, and never where the environment
// has them for all commands.

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "cli/run_context.h"
#include "cli/store_options.h"
#include "cli/stores.h"
#include "tests/support/commands.h"

namespace longhaul {
namespace {

using Words = std::vector<std::string>;

class GivenOptionsTest : public testing::CommandsTest {
 protected:
  GivenOptionsTest() {
    console.environment["LONGHAUL_STATE"] = folder.file("state.db");
    WriteFile("in/x", "1");
    WriteFile("root/a/x", "1");
  }
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }
  bool There(const std::string& name) { return std::filesystem::exists(folder.file(name)); }
};

// Who types a profile means its keys: nothing is removed by those of the configuration instead.
TEST_F(GivenOptionsTest, StoreOptionsThatNoAddressUsesAreRefused) {
  for (const Words& option : std::vector<Words>{{"--endpoint-url", "http://127.0.0.1:1"},
                                                {"--profile", "staging"},
                                                {"--region=eu-west-1"},
                                                {"--provider", "r2"},
                                                {"--no-sign-request"},
                                                {"--addressing", "path"},
                                                {"--payload-signing", "always"},
                                                {"--requester-pays"},
                                                {"--accelerate"},
                                                {"--no-checksums"}}) {
    Words words = {"rm", "-r", "--yes", "disk:a"};
    words.insert(words.end(), option.begin(), option.end());
    EXPECT_EQ(Run(words), 2) << option[0];
    EXPECT_TRUE(Says(option[0].substr(0, option[0].find('=')) +
                     " counts for s3:// addresses alone, and there is none here"))
        << console.error;
    words = {"ls", folder.file("in/")};
    words.insert(words.end(), option.begin(), option.end());
    EXPECT_EQ(Run(words), 2) << option[0];
  }
  EXPECT_EQ(ReadFile("root/a/x"), "1");
  EXPECT_EQ(Run({"ls", "--timeout", "3s", "--no-sign-request=false", "disk:a"}), 0)
      << console.error;
}

TEST_F(GivenOptionsTest, ThoseOfTheEnvironmentRefuseNothing) {
  console.environment["LONGHAUL_PROFILE"] = "staging";
  console.environment["LONGHAUL_TARGET_PROFILE"] = "staging";
  console.environment["LONGHAUL_REQUESTER_PAYS"] = "1";
  EXPECT_EQ(Run({"ls", "disk:a"}), 0) << console.error;
  EXPECT_EQ(Run({"cp", folder.file("in/x"), folder.file("out/")}), 0) << console.error;
  EXPECT_EQ(Run({"sync", folder.file("in"), "disk:b"}), 0) << console.error;
  EXPECT_EQ(ReadFile("root/b/x"), "1");
  console.environment["LONGHAUL_SSE"] = "AES256";
  EXPECT_EQ(Run({"sync", folder.file("in"), folder.file("two")}), 0) << console.error;
  EXPECT_EQ(ReadFile("two/x"), "1");
}

TEST_F(GivenOptionsTest, OptionsOfAnEndAreOfThatEnd) {
  for (const char* command : {"cp", "sync", "check"}) {
    EXPECT_EQ(Run({command, "--source-profile", "p", folder.file("in"), "s3://b/"}), 2);
    EXPECT_TRUE(Says("--source-profile counts for s3:// addresses alone, and the source is none"))
        << console.error;
    EXPECT_EQ(Run({command, "--target-no-sign-request", "s3://b/", folder.file("in")}), 2);
    EXPECT_TRUE(Says("and the target is none")) << console.error;
  }
  EXPECT_EQ(Run({"check", "--root", "--target-region", "r", "s3://b/"}), 2);
  EXPECT_TRUE(Says("and the target is none")) << console.error;
  EXPECT_EQ(Run({"cache", "fill", "s3://b/", "--to", "disk:b", "--target-profile", "p"}), 2);
  EXPECT_TRUE(Says("and the target is none")) << console.error;
}

TEST_F(GivenOptionsTest, OneAddressThatUsesThemIsEnough) {
  struct Case {
    std::string command;
    Words words;
  };
  for (const Case& one : std::vector<Case>{
           {"cp", {"--profile", "p", "./a", "s3://b"}},
           {"cp", {"--source-profile", "p", "./a", "s3://b", "disk:c/"}},
           {"sync", {"--target-profile", "p", "--region", "r", "./a", "s3://b"}},
           {"sync",
            {"--source-region", "r", "--listing", "s3://l/manifest.json", "disk:a", "disk:b"}},
           {"check", {"--target-profile", "p", "--target-listing", "s3://l/k", "disk:a", "disk:b"}},
           {"check", {"--root", "--source-profile", "p", "--against", "s3://l/tree", "disk:a"}},
           {"cache fill", {"--source-profile", "p", "s3://b", "--to", "disk:b"}},
           {"cache fill", {"--target-profile", "p", "disk:b", "--to", "s3://b"}},
           {"backup restore", {"--source-profile", "p", "s3://v/", "", "./out"}},
           {"backup restore", {"--target-profile", "p", "--rule", "r", "", "s3://b/"}},
           {"runs forget", {"--profile", "p", "last"}}}) {
    for (CommandFactory make : AllCommands()) {
      const std::unique_ptr<Command> command = make();
      if (command->help().name != one.command) continue;
      FlagSet flags;
      CommonFlags common;
      command->Declare(flags);
      common.Declare(flags);
      ASSERT_TRUE(flags.Parse(one.words, [](const std::string&) { return std::nullopt; }));
      Result<void> sound = RefuseUnusedStoreOptions(flags);
      EXPECT_TRUE(sound) << one.command << ": " << sound.error().message;
    }
  }
}

// A variable that is set for one command must not make another fail, or mean something else there.
TEST(EnvironmentNamesTest, OneNameHasOneKindOfValue) {
  std::map<std::string, std::map<std::string, std::string>> kinds;  // By variable, then by kind.
  for (CommandFactory make : AllCommands()) {
    const std::unique_ptr<Command> command = make();
    FlagSet flags;
    CommonFlags common;
    command->Declare(flags);
    if (command->asynchronous()) common.Declare(flags);
    for (const FlagSet::Flag& flag : flags.flags()) {
      if (!flag.info.of_environment) continue;
      const std::string kind =
          flag.info.value_name.empty() ? "a switch" : std::string(flag.info.value_name);
      kinds[FlagSet::EnvironmentName(flag.info.name)][kind] = command->help().name;
    }
  }
  for (const auto& [variable, of] : kinds) {
    EXPECT_EQ(of.size(), 1U) << variable << ": " << ::testing::PrintToString(of);
  }
}

TEST_F(GivenOptionsTest, VariablesOfOtherCommandsAreNotRead) {
  console.environment["LONGHAUL_STORAGE_CLASS"] = "STANDARD_IA";
  console.environment["LONGHAUL_ROOT"] = "/srv";
  EXPECT_EQ(Run({"check", folder.file("in"), "disk:a"}), 0) << console.error;
  ASSERT_EQ(Run({"cache", "worker", "--help"}), 0);
  EXPECT_TRUE(Says("LONGHAUL_CONFIG")) << console.out;
  EXPECT_FALSE(Says("LONGHAUL_LISTEN")) << console.out;
  for (const char* command : {"migrate status", "migrate worker", "cache worker"}) {
    for (CommandFactory make : AllCommands()) {
      const std::unique_ptr<Command> made = make();
      if (made->help().name != command) continue;
      FlagSet flags;
      made->Declare(flags);
      Result<void> parsed = flags.Parse({}, [](const std::string& name) {
        return name == "LONGHAUL_STATE"    ? std::optional<std::string>("/srv/state.db")
               : name == "LONGHAUL_LISTEN" ? std::optional<std::string>("127.0.0.1:9000")
                                           : std::nullopt;
      });
      EXPECT_TRUE(parsed) << command << ": " << parsed.error().message;
    }
  }
}

TEST_F(GivenOptionsTest, ARootIgnoresNoOption) {
  const std::string tree = folder.file("tree");
  ASSERT_EQ(Run({"check", "--root", "--download", "--save", tree, folder.file("in")}), 0);
  WriteFile("in/more", "2");
  const Words against = {"check", "--root", "--download", "--against", tree, folder.file("in")};
  EXPECT_EQ(Run(against), 11);
  auto with = [&against](Words more) {
    more.insert(more.begin(), against.begin(), against.end());
    return more;
  };
  EXPECT_EQ(Run(with({"--one-way"})), 0) << console.out << console.error;
  EXPECT_TRUE(Says("is here and the same; only here: 1 object")) << console.out;
  std::filesystem::remove(folder.file("in/x"));
  EXPECT_EQ(Run(with({"--one-way"})), 11) << console.out;
  EXPECT_EQ(Run(with({"--storage-class"})), 2);
  EXPECT_EQ(Run(with({"--target-listing", "none"})), 2);
  EXPECT_EQ(Run(with({"--save-target-listing", folder.file("none")})), 2);
  EXPECT_TRUE(Says("they go without --root")) << console.error;
  EXPECT_EQ(Run({"check", "--root", "--one-way", folder.file("in")}), 2);
}

TEST_F(GivenOptionsTest, FoldersTakeNoEncryptionAndNoAcl) {
  for (const char* target : {"disk:b/", "./out/"}) {
    const std::string place = *target == '.' ? folder.file("out/") : target;
    for (const char* option : {"--sse=AES256", "--kms-key-id=k", "--acl=private"}) {
      for (const Words& words : std::vector<Words>{{"cp", option, folder.file("in/x"), place},
                                                   {"mv", "-r", option, folder.file("in/"), place},
                                                   {"sync", option, folder.file("in"), place}}) {
        EXPECT_EQ(Run(words), 2) << words[0] << " " << option;
        EXPECT_TRUE(Says("is a folder, which ")) << console.error;
      }
    }
  }
  // Classes a store of folders remembers, a folder does not.
  for (const char* command : {"cp", "mv"}) {
    EXPECT_EQ(
        Run({command, "--storage-class", "GLACIER_IR", folder.file("in/x"), folder.file("out/")}),
        2);
    EXPECT_TRUE(Says("is a folder, which has no storage classes")) << console.error;
  }
  EXPECT_EQ(Run({"sync", "--storage-class", "GLACIER_IR", folder.file("in"), folder.file("out")}),
            2);
  EXPECT_EQ(Run({"cp", "--sse", "foo", folder.file("in/x"), "s3://b/"}), 2);
  EXPECT_TRUE(Says("'foo' is none of AES256, aws:kms, aws:kms:dsse")) << console.error;
  EXPECT_TRUE(There("in/x"));
  EXPECT_FALSE(There("out") || There("root/b/x"));
}

// What a server without versions answers to a listing of them says nothing of what may be removed.
TEST_F(GivenOptionsTest, VersionsAreAskedOfStoresThatHaveThem) {
  for (const Words& command : std::vector<Words>{
           {"ls", "--versions"}, {"du", "--versions"}, {"rm", "-r", "--yes", "--versions"}}) {
    for (const Words& address :
         std::vector<Words>{{"disk:a"},
                            {folder.file("in/")},
                            {"--provider", "gcs", "--no-sign-request", "s3://b"}}) {
      Words words = command;
      words.insert(words.end(), address.begin(), address.end());
      EXPECT_EQ(Run(words), 2) << command[0] << " " << address.back();
      EXPECT_TRUE(Says("is at a store that has no versions")) << console.error;
    }
  }
  EXPECT_TRUE(There("in/x") && There("root/a/x"));
}

TEST_F(GivenOptionsTest, QuietKeepsResults) {
  ASSERT_EQ(Run({"check", "-q", "--download", folder.file("in"), "disk:a"}), 0) << console.error;
  EXPECT_TRUE(Says("hash of the source")) << console.out;
  for (const Words& words :
       std::vector<Words>{{"cp", "-n", "-q", folder.file("in/x"), "disk:b/"},
                          {"cp", "-r", "-n", "-q", folder.file("in"), "disk:b"},
                          {"sync", "-n", "-q", folder.file("in"), "disk:b"}}) {
    EXPECT_EQ(Run(words), 0) << console.error;
    EXPECT_TRUE(Says("would copy ")) << words[0];
  }
  EXPECT_EQ(Run({"mv", "-n", "-q", folder.file("in/x"), "disk:b/"}), 0);
  EXPECT_TRUE(Says("would move "));
  EXPECT_EQ(Run({"rm", "-r", "-n", "-q", "disk:a"}), 0);
  EXPECT_TRUE(Says("would remove ")) << console.out;
  EXPECT_EQ(Run({"cp", "-q", folder.file("in/x"), "disk:b/"}), 0);
  EXPECT_EQ(console.out, "");
}

// More than all of it is no bound.
TEST_F(GivenOptionsTest, ABoundOfMoreThanAllIsRefused) {
  EXPECT_EQ(Run({"sync", "--delete", "--max-delete-percent", "150", folder.file("in"), "disk:a"}),
            2);
  EXPECT_TRUE(Says("'150' is not a number from 0 to 100")) << console.error;
  EXPECT_EQ(Run({"rm", "-r", "--yes", "--max-delete-percent=100.5", "disk:a"}), 2);
  EXPECT_TRUE(There("root/a/x"));
  EXPECT_EQ(Run({"rm", "-r", "--yes", "--max-delete-percent=100", "disk:a"}), 0) << console.error;
}

TEST_F(GivenOptionsTest, WhatIsNotThereIsSaid) {
  EXPECT_EQ(Run({"rm", "-r", "--yes", folder.file("nonexist")}), 3);
  EXPECT_TRUE(Says("there is no folder '")) << console.error;
  for (const char* command : {"ls", "abort"}) {
    EXPECT_EQ(Run({"uploads", command, folder.file("nonexist")}), 3);
    EXPECT_TRUE(Says("there is nothing at '")) << console.error;
    EXPECT_EQ(Run({"uploads", command, folder.file("in/")}), 0) << console.error;
  }
}

}  // namespace
}  // namespace longhaul
