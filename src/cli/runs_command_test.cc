// Runs as people see them, in this process against folders.

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

using testing::CommandsTest;

class RunsCommandTest : public CommandsTest {
 protected:
  RunsCommandTest() { console.environment["LONGHAUL_STATE"] = folder.file("made/here/state.db"); }
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }
};

// What failed is named with its reason, and is all that is done again.
TEST_F(RunsCommandTest, WhatFailedIsDoneAgain) {
  WriteFile("in/bad", "1");
  WriteFile("in/good", "2");
  WriteFile("out/bad/in-the-way", "3");
  ASSERT_EQ(Run({"sync", folder.file("in"), folder.file("out")}), 1) << console.error;
  EXPECT_TRUE(Says("longhaul runs resume")) << console.out;
  ASSERT_EQ(Run({"runs", "ls"}), 0) << console.error;
  EXPECT_TRUE(Says("failed   ")) << console.out;
  EXPECT_TRUE(Says("1 object copied, 1 failed")) << console.out;
  ASSERT_EQ(Run({"runs", "show", "last"}), 0) << console.error;
  EXPECT_TRUE(Says("failed: bad: ")) << console.out;
  EXPECT_FALSE(Says("failed: good")) << console.out;

  std::filesystem::remove_all(folder.file("out/bad"));
  WriteFile("in/new", "4");
  ASSERT_EQ(Run({"sync", "--retry-failed", "last", folder.file("in"), folder.file("out")}), 0)
      << console.error;
  EXPECT_EQ(ReadFile("out/bad"), "1");
  EXPECT_FALSE(std::filesystem::exists(folder.file("out/new")));
  ASSERT_EQ(Run({"runs", "show", "last", "--json"}), 0);
  EXPECT_TRUE(Says("\"phase\":\"done\"")) << console.out;
  EXPECT_TRUE(Says("\"failed\":0,\"uploads\":0}")) << console.out;
}

// A run of one source and target must not go on with another.
TEST_F(RunsCommandTest, ARunIsThatOfItsAddresses) {
  WriteFile("in/bad", "1");
  WriteFile("out/bad/in-the-way", "3");
  ASSERT_EQ(Run({"cp", "-r", folder.file("in"), folder.file("out")}), 1) << console.error;
  EXPECT_EQ(Run({"cp", "-r", "--resume", "last", folder.file("in"), folder.file("other")}), 2);
  EXPECT_EQ(Run({"sync", "--resume", "last", folder.file("in"), folder.file("out")}), 2);
  EXPECT_EQ(Run({"cp", "-r", "--resume", "01XX", folder.file("in"), folder.file("out")}), 3);
  EXPECT_EQ(Run({"cp", "--resume", "last", folder.file("in/bad"), folder.file("x")}), 2);
  std::filesystem::remove_all(folder.file("out/bad"));
  EXPECT_EQ(Run({"cp", "-r", "--resume", "last", folder.file("in"), folder.file("out")}), 0)
      << console.error;
  EXPECT_EQ(Run({"cp", "-r", "--resume", "last", folder.file("in"), folder.file("out")}), 2);
  EXPECT_TRUE(Says("nothing to go on with")) << console.error;
}

// Mistakes leave no run behind, and neither does a dry one.
TEST_F(RunsCommandTest, WhatDidNothingIsNoRun) {
  WriteFile("in/x", "1");
  EXPECT_EQ(Run({"sync", folder.file("in"), "disk:missing"}), 3);
  EXPECT_EQ(Run({"sync", "--dry-run", folder.file("in"), "disk:a"}), 0);
  ASSERT_EQ(Run({"runs", "ls"}), 0);
  EXPECT_TRUE(Says("no runs")) << console.out;
  ASSERT_EQ(Run({"sync", folder.file("in"), "disk:a"}), 0);
  ASSERT_EQ(Run({"runs", "forget", "last"}), 0) << console.error;
  ASSERT_EQ(Run({"runs", "ls"}), 0);
  EXPECT_TRUE(Says("no runs")) << console.out;
}

// A State that cannot be written is no reason not to copy.
TEST_F(RunsCommandTest, WithoutAStateCopiesWork) {
  WriteFile("in/x", "1");
  WriteFile("file", "not a folder");
  console.environment["LONGHAUL_STATE"] = folder.file("file/state.db");
  EXPECT_EQ(Run({"sync", folder.file("in"), "disk:a"}), 0) << console.error;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/x")));
}

}  // namespace
}  // namespace longhaul
