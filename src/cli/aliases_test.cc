// Names of options that other tools have for what an option here means, and lists that come by a
// pipe: commands run in this process against folders.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/command_list.h"
#include "cli/help.h"
#include "tests/support/commands.h"

namespace longhaul {
namespace {

using testing::CommandsTest;

class AliasesTest : public CommandsTest {
 protected:
  static std::unique_ptr<Command> Named(const std::string& name) {
    for (CommandFactory make : AllCommands()) {
      if (make()->help().name == name) return make();
    }
    return nullptr;
  }
  // What the options of a command come to: "dry-run=true recursive=true"; else the mistake.
  static std::string Given(const std::string& name, std::vector<std::string> words) {
    std::unique_ptr<Command> command = Named(name);
    FlagSet flags;
    DeclareForHelp(*command, flags);
    words.insert(words.end(), {"./a", "./b"});
    Result<void> parsed = flags.Parse(words, [](const std::string&) { return std::nullopt; });
    if (!parsed) return parsed.error().message;
    std::string given;
    for (const GivenWords::Option& option : flags.given().options) {
      given += (given.empty() ? "" : " ") + option.name + "=" + option.value;
    }
    return given;
  }
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }
  bool There(const std::string& name) const { return std::filesystem::exists(folder.file(name)); }
};

TEST_F(AliasesTest, MeanTheOptionsThatTheyStandFor) {
  for (const char* command : {"sync", "cp", "mv", "rm"}) {
    EXPECT_EQ(Given(command, {"--dryrun"}), "dry-run=true") << command;
    EXPECT_EQ(Given(command, {"--only-show-errors"}), "quiet=true") << command;
    // The AWS CLI takes it with its only value, or without.
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"--request-payer"},
                                               {"--request-payer", "requester"},
                                               {"--request-payer=requester"}}) {
      EXPECT_EQ(Given(command, words), "requester-pays=true") << command;
    }
    EXPECT_TRUE(Given(command, {"--request-payer=nobody"}).contains("'nobody' is neither"));
  }
  for (const char* command : {"sync", "cp", "mv", "check"}) {
    EXPECT_EQ(Given(command, {"--destination-region", "eu-west-1"}), "target-region=eu-west-1")
        << command;
  }
  for (const char* command : {"cp", "mv", "rm"}) {
    EXPECT_EQ(Given(command, {"-Rn"}), "recursive=true dry-run=true") << command;
  }
  EXPECT_EQ(Given("sync", {"--remove"}), "delete=true");
  EXPECT_EQ(Given("sync", {"--rewind", "1h"}), "at=1h");
  EXPECT_EQ(Given("cp", {"--rewind=1h"}), "at=1h");
  // A letter is no long name.
  EXPECT_TRUE(Given("cp", {"--R"}).contains("unknown option --R"));
  // And only the alias takes the word.
  EXPECT_TRUE(Given("sync", {"--requester-pays", "requester"}).contains("unexpected argument"));
}

TEST_F(AliasesTest, ListingsTakeThem) {
  WriteFile("root/a/sub/x", "1");
  EXPECT_EQ(Run({"ls", "-R", "disk:a"}), 0) << console.error;
  EXPECT_TRUE(Says("sub/x")) << console.out;
  EXPECT_EQ(Run({"ls", "--rewind", "nonsense", "disk:a"}), 2);
  EXPECT_TRUE(Says("'nonsense' is no time")) << console.error;
}

TEST_F(AliasesTest, AreShownByHelpAndNotOfferedByTheShell) {
  ASSERT_EQ(Run({"cp", "--help"}), 0);
  EXPECT_TRUE(Says("-r, --recursive, -R\n")) << console.out;
  EXPECT_TRUE(Says("--requester-pays, --request-payer[=requester]\n")) << console.out;
  EXPECT_TRUE(Says("--target-region=REGION, --destination-region\n")) << console.out;
  EXPECT_TRUE(Says("-q, --quiet, --only-show-errors\n")) << console.out;
  for (const char* shell : {"bash", "zsh", "fish"}) {
    ASSERT_EQ(Run({"completion", shell}), 0);
    for (const char* alias : {"request-payer", "dryrun", "rewind", "only-show-errors"}) {
      EXPECT_FALSE(Says(alias)) << shell << " " << alias;
    }
  }
}

// What a command refuses is nothing to choose from.
TEST_F(AliasesTest, ListsThatCompareAreShownWhereBothSidesAreLookedAt) {
  for (const char* command : {"cp", "mv", "rm", "sync", "check"}) {
    const bool both = std::string(command) == "sync" || std::string(command) == "check";
    ASSERT_EQ(Run({command, "--help"}), 0);
    for (const char* list :
         {"--combined", "--differ", "--missing-on-dst", "--missing-on-src", "--match"}) {
      EXPECT_EQ(Says(std::string(list) + "=FILE"), both) << command << " " << list;
    }
    EXPECT_TRUE(Says("--error=FILE")) << command;
  }
  ASSERT_EQ(Run({"completion", "fish"}), 0);
  EXPECT_FALSE(Says("-n '__fish_seen_subcommand_from cp' -l combined"));
  EXPECT_TRUE(Says(" -l combined"));
}

TEST_F(AliasesTest, NothingIsCopiedOrRemovedByADryRunOfAnotherName) {
  WriteFile("in/x", "1");
  WriteFile("root/b/y", "1");
  EXPECT_EQ(Run({"cp", "-R", "--dryrun", folder.file("in"), "disk:a"}), 0) << console.error;
  EXPECT_EQ(Run({"sync", "--remove", "--dryrun", folder.file("in"), "disk:b"}), 0) << console.error;
  EXPECT_EQ(Run({"rm", "-R", "--dryrun", "--yes", "disk:b"}), 0) << console.error;
  EXPECT_FALSE(There("root/a/x"));
  EXPECT_TRUE(There("root/b/y"));
  EXPECT_EQ(Run({"sync", "--remove", folder.file("in"), "disk:b"}), 0) << console.error;
  EXPECT_TRUE(There("root/b/x"));
  EXPECT_FALSE(There("root/b/y"));
}

TEST_F(AliasesTest, PatternsComeFromFilesAsRcloneWritesThem) {
  for (const char* name : {"in/d/1.tmp", "in/d/2.log", "in/e/3.log", "in/4.txt"}) {
    WriteFile(name, "1");
  }
  WriteFile("out.txt", "# comment\n\n/e/**\r\n*.{tmp,bak}\n");
  EXPECT_EQ(
      Run({"cp", "-r", "--exclude-from", folder.file("out.txt"), folder.file("in"), "disk:a"}), 0)
      << console.error;
  EXPECT_FALSE(There("root/a/d/1.tmp"));
  EXPECT_TRUE(There("root/a/d/2.log"));
  EXPECT_FALSE(There("root/a/e/3.log"));
  EXPECT_TRUE(There("root/a/4.txt"));

  WriteFile("in.txt", "; comment\n*.log\n");
  EXPECT_EQ(Run({"cp", "-r", "-vv", "--include-from", folder.file("in.txt"), folder.file("in"),
                 "disk:b"}),
            0)
      << console.error;
  EXPECT_FALSE(There("root/b/d/1.tmp"));
  EXPECT_TRUE(There("root/b/d/2.log"));
  EXPECT_TRUE(There("root/b/e/3.log"));
  EXPECT_FALSE(There("root/b/4.txt"));
  EXPECT_TRUE(Says("excluded by no --include-from matches")) << console.error;

  // A file of nothing but comments lets nothing in, and one that is not there is no filter.
  WriteFile("none.txt", "# nothing\n");
  EXPECT_EQ(Run({"du", "--include-from", folder.file("none.txt"), folder.file("in")}), 0);
  EXPECT_EQ(Run({"rm", "-r", "--yes", "--include-from", folder.file("none.txt"), "disk:a"}), 0);
  EXPECT_TRUE(There("root/a/4.txt"));
  EXPECT_EQ(Run({"rm", "-r", "--yes", "--exclude-from", folder.file("gone.txt"), "disk:a"}), 2);
  EXPECT_TRUE(There("root/a/4.txt"));
  WriteFile("wrong.txt", "good\n{bad\n");
  EXPECT_EQ(Run({"rm", "-r", "--yes", "--exclude-from", folder.file("wrong.txt"), "disk:a"}), 2);
  EXPECT_TRUE(Says("wrong.txt:2")) << console.error;
}

// A pipe gives its bytes once, and `sync` asks both sides for the names.
TEST_F(AliasesTest, NamesComeByAPipe) {
  for (const char* name : {"in/1", "in/2", "in/3"}) WriteFile(name, "1");
  int ends[2];
  const auto pipe_with = [&ends](const std::string& names) {
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ASSERT_EQ(::write(ends[1], names.data(), names.size()), static_cast<ssize_t>(names.size()));
    ::close(ends[1]);
  };
  pipe_with("1\n2\n");
  const std::string path = "/dev/fd/" + std::to_string(ends[0]);
  EXPECT_EQ(Run({"sync", "--files-from", path, folder.file("in"), "disk:a"}), 0) << console.error;
  ::close(ends[0]);
  EXPECT_TRUE(There("root/a/1") && There("root/a/2"));
  EXPECT_FALSE(There("root/a/3"));

  const int before = ::dup(STDIN_FILENO);
  pipe_with("3\nmissing\n");
  ASSERT_EQ(::dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
  EXPECT_EQ(Run({"cp", "-r", "--files-from", "-", folder.file("in"), "disk:a"}), 1);
  EXPECT_TRUE(Says("standard input line 2: missing")) << console.error;
  EXPECT_TRUE(There("root/a/3"));
  ::close(ends[0]);
  if (before >= 0) {
    ::dup2(before, STDIN_FILENO);
    ::close(before);
  }
}

}  // namespace
}  // namespace longhaul
