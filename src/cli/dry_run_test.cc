// Dry runs, plans and reports say what was looked at and what was done, and no more: commands run
// in this process against folders.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

using testing::CommandsTest;

class DryRunTest : public CommandsTest {
 protected:
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }
};

// "Only at the source" of what the target has is what somebody removes by.
TEST_F(DryRunTest, ListsOfNamesNeedBothSides) {
  WriteFile("in/x", "1");
  WriteFile("root/a/x", "1");
  for (const char* list :
       {"--combined", "--differ", "--missing-on-dst", "--missing-on-src", "--match"}) {
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"cp", "-r", list, folder.file("list"), folder.file("in"),
                                   "disk:a"},
          {"cp", list, folder.file("list"), folder.file("in/x"), "disk:a/"},
          {"mv", "-r", list, folder.file("list"), folder.file("in"), "disk:a"},
          {"rm", "-r", list, folder.file("list"), "disk:a"}}) {
      EXPECT_EQ(Run(words), 2) << words.front() << " " << list;
      EXPECT_TRUE(Says(std::string(list) + " compares two sides")) << console.error;
    }
  }
  EXPECT_EQ(ReadFile("in/x") + ReadFile("root/a/x"), "11");
  EXPECT_FALSE(std::filesystem::exists(folder.file("list")));
  ASSERT_EQ(Run({"cp", "-r", "--error", folder.file("list"), folder.file("in"), "disk:a"}), 0);
  ASSERT_EQ(Run({"sync", "-n", "--combined", "-", folder.file("in"), "disk:a"}), 0);
  EXPECT_TRUE(console.out.contains("= x\n")) << console.out;
}

// What cp has not looked at it does not call new.
TEST_F(DryRunTest, WhatIsNotComparedIsNotCalledNew) {
  WriteFile("in/x", "1");
  WriteFile("root/a/x", "old");
  const std::string report = folder.file("report");
  ASSERT_EQ(Run({"cp", "-r", "-n", "--report", report, folder.file("in"), "disk:a"}), 0);
  EXPECT_TRUE(Says("disk:a/x (1 B, not compared)")) << console.out;
  EXPECT_TRUE(ReadFile("report").contains("\"reason\":\"not compared\"")) << ReadFile("report");
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"cp", "-r", "-vv", folder.file("in"), "disk:a"},
        {"cp", folder.file("in/x"), "disk:a/"},
        {"cp", "-n", folder.file("in/x"), "disk:a/"}}) {
    std::vector<std::string> reported = words;
    reported.insert(reported.end(), {"--report", report});
    ASSERT_EQ(Run(reported), 0) << console.error;
    EXPECT_TRUE(ReadFile("report").contains("\"reason\":\"not compared\"")) << ReadFile("report");
  }
  // Where there is no folder yet all is new, and so is what is only copied where nothing is.
  ASSERT_EQ(Run({"cp", "-r", "--report", report, folder.file("in"), folder.file("fresh/")}), 0);
  EXPECT_TRUE(ReadFile("report").contains("\"reason\":\"new\"")) << ReadFile("report");
  ASSERT_EQ(Run({"cp", "-r", "--no-clobber", "--report", report, folder.file("in"), "disk:b"}), 0);
  EXPECT_TRUE(ReadFile("report").contains("\"reason\":\"new\"")) << ReadFile("report");
}

// A dry run of --no-clobber that names what will be left alone says nothing.
TEST_F(DryRunTest, NoClobberLooks) {
  WriteFile("in/x", "1");
  WriteFile("in/y", "1");
  WriteFile("root/a/x", "old");
  WriteFile("root/a/extra", "1");
  const std::string report = folder.file("report");
  for (const char* command : {"cp", "mv"}) {
    const std::string verb =
        std::string("would ") + (command == std::string("cp") ? "copy" : "move");
    ASSERT_EQ(
        Run({command, "-r", "-n", "--no-clobber", "--report", report, folder.file("in"), "disk:a"}),
        0)
        << console.error;
    EXPECT_TRUE(Says(verb + " " + folder.file("in/y") + " to disk:a/y (1 B, new)")) << console.out;
    EXPECT_FALSE(Says("disk:a/x")) << console.out;
    EXPECT_TRUE(ReadFile("report").contains("\"state\":\"skipped\",\"name\":\"x\""));
    EXPECT_FALSE(ReadFile("report").contains("\"state\":\"extra\"")) << ReadFile("report");
    ASSERT_EQ(Run({command, "-r", "-n", "--no-clobber", "--json", folder.file("in"), "disk:a"}), 0);
    EXPECT_TRUE(Says("\"left_alone\":1,\"excluded\":0,\"extra\":0")) << console.out;
    ASSERT_EQ(Run({command, "-n", "--no-clobber", folder.file("in/x"), "disk:a/"}), 0);
    EXPECT_TRUE(Says("left alone, it exists: disk:a/x")) << console.out;
    EXPECT_FALSE(Says("would")) << console.out;
    ASSERT_EQ(Run({command, "-n", "--no-clobber", folder.file("in/y"), "disk:a/"}), 0);
    EXPECT_TRUE(Says(verb)) << console.out;
  }
  EXPECT_EQ(ReadFile("root/a/x") + ReadFile("in/x") + ReadFile("in/y"), "old11");
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/y")));
}

// Who reads "removed 7" of a dry run looks for a backup.
TEST_F(DryRunTest, WhatWouldBeRemovedIsNotCountedAsRemoved) {
  WriteFile("in/x", "1");
  WriteFile("root/a/extra", "1");
  ASSERT_EQ(Run({"sync", "-n", "--delete", "--report", folder.file("report"), folder.file("in"),
                 "disk:a"}),
            0);
  EXPECT_TRUE(Says("would remove  1")) << console.out;
  EXPECT_FALSE(Says("removed")) << console.out;
  EXPECT_TRUE(ReadFile("report").contains("\"removed\":0")) << ReadFile("report");
  EXPECT_TRUE(ReadFile("report").contains("\"would_remove\":1")) << ReadFile("report");
  ASSERT_EQ(Run({"sync", "--json", "--delete", "--plan", folder.file("plan"), folder.file("in"),
                 "disk:a"}),
            0);
  EXPECT_TRUE(Says("\"removed\":0") && Says("\"would_remove\":1")) << console.out;
  ASSERT_EQ(Run({"sync", "--json", "--delete", folder.file("in"), "disk:a"}), 0);
  EXPECT_TRUE(Says("\"removed\":1") && Says("\"would_remove\":0")) << console.out;
  ASSERT_EQ(Run({"rm", "-n", "--json", "disk:a/x"}), 0);
  EXPECT_TRUE(Says("\"removed\":0") && Says("\"would_remove\":1")) << console.out;
  // There is no other side that rm could have looked at.
  ASSERT_EQ(Run({"rm", "-r", "--report", folder.file("report"), "disk:a"}), 0);
  EXPECT_TRUE(ReadFile("report").contains("\"state\":\"removed\",\"name\":\"x\""));
  EXPECT_FALSE(ReadFile("report").contains("reason")) << ReadFile("report");
}

// One object that fails must not make a plan of all others worthless, nor a plan that removes.
TEST_F(DryRunTest, APlanGoesWithoutWhatFailed) {
  WriteFile("in/differs", "22");
  WriteFile("in/new", "1");
  WriteFile("root/a/differs", "1");
  WriteFile("root/a/extra", "1");
  const std::string plan = folder.file("plan");
  ASSERT_EQ(Run({"sync", "--immutable", "--delete", "--plan", plan, folder.file("in"), "disk:a"}),
            1);
  EXPECT_TRUE(Says("has nothing of what failed (1 object), and removes nothing")) << console.error;
  // Who has the plan alone has not seen that.
  ASSERT_EQ(Run({"apply", plan}), 1) << console.error;
  EXPECT_TRUE(Says("has nothing of 1 object that failed when it was made, and removes nothing"))
      << console.error;
  EXPECT_EQ(ReadFile("root/a/new") + ReadFile("root/a/differs"), "11");
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/extra")));
  WriteFile("names", "new\nnone\n");
  ASSERT_EQ(Run({"sync", "--plan", plan, "--files-from", folder.file("names"), folder.file("in"),
                 "disk:b"}),
            1);
  ASSERT_EQ(Run({"apply", plan}), 1) << console.error;
  EXPECT_EQ(ReadFile("root/b/new"), "1");
  ASSERT_EQ(Run({"sync", "--plan", plan, folder.file("in"), "disk:b"}), 0);
  ASSERT_EQ(Run({"apply", plan}), 0) << console.error;
  // One that a limit has cut is none.
  ASSERT_EQ(Run({"sync", "--plan", plan, "--max-transfer", "1", folder.file("in"), "disk:b/p/"}),
            10);
  EXPECT_TRUE(Says("is not complete: apply refuses it")) << console.error;
  EXPECT_EQ(Run({"apply", plan}), 2);
}

}  // namespace
}  // namespace longhaul
