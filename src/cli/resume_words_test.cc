// What `runs resume` begins once more is the same run.

#include "cli/resume_words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "backup/restore.h"
#include "cli/local_state.h"
#include "tests/support/commands.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::CommandsTest;
using Words = std::vector<std::string>;

class ResumeWordsTest : public CommandsTest {
 protected:
  ResumeWordsTest() {
    place_.sqlite_path = folder.file("state.db");
    console.environment["LONGHAUL_STATE"] = place_.sqlite_path;
    WriteFile("in/bad", "1");
    WriteFile("in/good", "2");
    WriteFile("out/bad/in-the-way", "3");
    WriteFile("out/keepme", "4");
  }
  ~ResumeWordsTest() override { std::filesystem::current_path(before_); }

  RunRecord Last() {
    testing::RealWorld world;
    LocalState state(world.runtime, place_);
    auto run = world.Run(Runs(world.runtime, state).Find("last"));
    EXPECT_TRUE(run) << run.error().Describe();
    return run ? *run : RunRecord{};
  }
  // What is begun once more, with the environment that is left to it.
  Words Again(const GivenWords& now = {}) {
    Result<ResumeWords> again = WordsToResume(Last(), now, place_);
    EXPECT_TRUE(again) << again.error().Describe();
    if (!again) return {};
    for (const std::string& name : again->not_inherited) console.environment.erase(name);
    return again->words;
  }
  static bool Has(const Words& words, const std::string& word) {
    return std::ranges::find(words, word) != words.end();
  }
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }

  DatabasePlace place_;
  std::filesystem::path before_ = std::filesystem::current_path();
};

// A filter that the environment gave has kept an object from being removed: it must still do so in
// a shell, or a timer, that has no such environment.
TEST_F(ResumeWordsTest, OptionsOfTheEnvironmentAreTheRunsOwn) {
  console.environment["LONGHAUL_EXCLUDE"] = "keep*";
  ASSERT_EQ(Run({"sync", "--delete", folder.file("in"), folder.file("out")}), 1) << console.error;
  std::filesystem::remove_all(folder.file("out/bad"));
  console.environment.erase("LONGHAUL_EXCLUDE");
  const Words words = Again();
  EXPECT_TRUE(Has(words, "--exclude=keep*")) << ::testing::PrintToString(words);
  EXPECT_EQ(Run(words), 0) << console.error;
  EXPECT_EQ(ReadFile("out/bad"), "1");
  EXPECT_EQ(ReadFile("out/keepme"), "4");
}

// The other way round: an option that only the environment of now has.
TEST_F(ResumeWordsTest, OptionsOfTheEnvironmentOfNowAreNot) {
  ASSERT_EQ(Run({"sync", folder.file("in"), folder.file("out")}), 1) << console.error;
  std::filesystem::remove_all(folder.file("out/bad"));
  console.environment["LONGHAUL_DELETE"] = "1";
  console.environment["LONGHAUL_IGNORE_ERRORS"] = "1";
  EXPECT_EQ(Run(Again()), 0) << console.error;
  EXPECT_EQ(ReadFile("out/bad"), "1");
  EXPECT_EQ(ReadFile("out/keepme"), "4");
}

// As words they are refused; where nothing used them the run is the same without them.
TEST_F(ResumeWordsTest, OptionsOfTheEnvironmentThatNothingUsesAreLeftOut) {
  console.environment["LONGHAUL_PROFILE"] = "nobodys";
  console.environment["LONGHAUL_SSE"] = "AES256";
  ASSERT_EQ(Run({"sync", folder.file("in"), folder.file("out")}), 1) << console.error;
  std::filesystem::remove_all(folder.file("out/bad"));
  EXPECT_EQ(Run(Again()), 0) << console.error;
  EXPECT_EQ(ReadFile("out/bad"), "1");
}

// A longhaul of before wrote down what was typed alone: the filter is nowhere but where it was.
TEST_F(ResumeWordsTest, ARunOfBeforeHasTheEnvironmentsOptions) {
  console.environment["LONGHAUL_EXCLUDE"] = "keep*";
  ASSERT_EQ(Run({"sync", "--delete", folder.file("in"), folder.file("out")}), 1) << console.error;
  std::filesystem::remove_all(folder.file("out/bad"));
  RunRecord run = Last();
  EXPECT_TRUE(run.whole_words);
  run.whole_words = false;
  run.arguments = {"sync", "--delete", folder.file("in"), folder.file("out")};
  Result<ResumeWords> again = WordsToResume(run, {}, place_);
  ASSERT_TRUE(again) << again.error().Describe();
  for (const std::string& name : again->not_inherited) console.environment.erase(name);
  EXPECT_EQ(Run(again->words), 0) << console.error;
  EXPECT_EQ(ReadFile("out/bad"), "1");
  EXPECT_EQ(ReadFile("out/keepme"), "4");
}

// Of the options that all commands have, those that are typed with `runs resume` count.
TEST_F(ResumeWordsTest, CommonOptionsOfNowCount) {
  ASSERT_EQ(Run({"sync", "--log-level", "error", "-q", folder.file("in"), folder.file("out")}), 1);
  const GivenWords now{
      .options = {{.name = "json", .value = "true", .is_switch = true},
                  {.name = "log-level", .value = "debug"},
                  {.name = "state", .value = "elsewhere"},
                  {.name = "config", .value = "/other.yaml", .of_environment = true}}};
  const Words words = Again(now);
  EXPECT_TRUE(Has(words, "--json"));
  EXPECT_TRUE(Has(words, "--log-level=debug"));
  EXPECT_FALSE(Has(words, "--log-level=error"));
  EXPECT_TRUE(Has(words, "--quiet"));
  EXPECT_TRUE(Has(words, "--state=" + place_.sqlite_path)) << ::testing::PrintToString(words);
  EXPECT_TRUE(Has(words, "--config=" + folder.file("c.yaml")));
}

TEST_F(ResumeWordsTest, ARunWithStateAndDashesGoesOn) {
  std::filesystem::current_path(folder.path());
  std::filesystem::rename(folder.file("in"), folder.file("-in"));
  ASSERT_EQ(Run({"sync", "--state", place_.sqlite_path, "--", "./-in", folder.file("out")}), 1)
      << console.error;
  const std::string hint = "longhaul runs resume " + Last().id + " --state " + place_.sqlite_path;
  EXPECT_TRUE(Says(hint)) << console.out;
  std::filesystem::remove_all(folder.file("out/bad"));
  EXPECT_EQ(Run(Again()), 0) << console.error;
  EXPECT_EQ(ReadFile("out/bad"), "1");
}

// The configuration has the state: without it nobody finds the run.
TEST_F(ResumeWordsTest, TheHintNamesTheConfiguration) {
  WriteFile("it's.yaml", "version: 1\nstate: sqlite:" + place_.sqlite_path +
                             "\nstores:\n  disk: { type: file, root: root }\n");
  console.environment.clear();
  ASSERT_EQ(
      Run({"cp", "-r", "-c", folder.file("it's.yaml"), folder.file("in"), folder.file("out")}), 1)
      << console.error;
  EXPECT_TRUE(Says(" --config '" + folder.path() + "/it'\\''s.yaml'")) << console.out;
}

TEST_F(ResumeWordsTest, ARestoreIsBegunAgain) {
  backup::RestoreOrder order{
      .rule = "r", .target = "vault", .what = {.prefix = "-a/"}, .destination = "disk:a/"};
  RunRecord run = backup::RestoreRun(order, "c.yaml", "disk:b/");
  Result<ResumeWords> again = WordsToResume(run, {}, place_);
  ASSERT_TRUE(again) << again.error().Describe();
  EXPECT_EQ(again->words,
            (Words{"backup", "restore", "--config=c.yaml", "--rule=r", "--target=vault",
                   "--state=" + place_.sqlite_path, "--", "-a/", "disk:a/"}));
}

TEST_F(ResumeWordsTest, WordsThatMakeNoSenseAreRefused) {
  EXPECT_FALSE(WordsToResume({.command = "sink", .arguments = {"sink"}}, {}, place_));
  EXPECT_FALSE(WordsToResume({.command = "sync", .arguments = {"cp"}}, {}, place_));
  EXPECT_FALSE(
      WordsToResume({.command = "sync", .arguments = {"sync", "--no-such", "a", "b"}}, {}, place_));
}

}  // namespace
}  // namespace longhaul
