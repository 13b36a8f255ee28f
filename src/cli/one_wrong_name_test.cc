// One name that is wrong is told and counted, and the others are copied.

#include <gtest/gtest.h>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

class OneWrongNameTest : public testing::CommandsTest {
 protected:
  OneWrongNameTest() {
    console.environment["LONGHAUL_STATE"] = folder.file("state.db");
    WriteFile("in/f1.txt", "1");
    WriteFile("in/f2.txt", "2");
    WriteFile("in/f3.txt", "3");
  }
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }
  // Whether only f1 and f2 came.
  void ExpectTheOthers(const std::string& out) {
    EXPECT_EQ(ReadFile(out + "/f1.txt"), "1");
    EXPECT_EQ(ReadFile(out + "/f2.txt"), "2");
    EXPECT_FALSE(std::filesystem::exists(folder.file(out + "/f3.txt")));
    EXPECT_TRUE(Says("failed  1")) << console.out;
  }
};

TEST_F(OneWrongNameTest, OfAListOfNames) {
  WriteFile("names", "f1.txt\n../x\nf2.txt\n");
  const std::string names = folder.file("names");
  ASSERT_EQ(Run({"cp", "-r", "--files-from", names, folder.file("in"), folder.file("one")}), 1);
  EXPECT_TRUE(Says("line 2: ../x: no file can have the name")) << console.error;
  ExpectTheOthers("one");
  ASSERT_EQ(Run({"sync", "--files-from", names, folder.file("in"), folder.file("two")}), 1);
  ExpectTheOthers("two");
}

TEST_F(OneWrongNameTest, OfLinesOfJson) {
  WriteFile("l.jsonl", "{\"key\":\"f1.txt\"}\ngarbage\n{\"key\":\"f2.txt\"}\n");
  ASSERT_EQ(
      Run({"sync", "--listing", folder.file("l.jsonl"), folder.file("in"), folder.file("out")}), 1)
      << console.error;
  EXPECT_TRUE(Says("line 2: ")) << console.error;
  ExpectTheOthers("out");
}

// What is removed is named by nobody who cannot write its name.
TEST_F(OneWrongNameTest, EndsARemoval) {
  WriteFile("names", "f1.txt\n../x\nf2.txt\n");
  EXPECT_NE(Run({"rm", "-r", "--files-from", folder.file("names"), folder.file("in")}), 0);
  EXPECT_EQ(ReadFile("in/f1.txt"), "1");
}

// Else what was only denied for a while is nowhere, and all that is asked says that it is well.
TEST_F(OneWrongNameTest, IsInTheReportAndTriedAgain) {
  WriteFile("names", "f1.txt\nlate\nf2.txt\n");
  const std::string report = folder.file("report");
  const std::vector<std::string> from_list = {
      "--files-from", folder.file("names"), "--report", report, "--error", folder.file("error")};
  for (const char* command : {"cp", "sync"}) {
    std::vector<std::string> words = {command};
    if (words[0] == "cp") words.emplace_back("-r");
    words.insert(words.end(), from_list.begin(), from_list.end());
    words.insert(words.end(), {folder.file("in"), folder.file("out")});
    ASSERT_EQ(Run(words), 1) << console.error;
    EXPECT_EQ(ReadFile("error"), "late\n");
    EXPECT_TRUE(ReadFile("report").contains("\"state\":\"failed\",\"name\":\"late\""));
  }
  EXPECT_EQ(Run({"sync", "--retry-failed", report, folder.file("in"), folder.file("out")}), 1);
  EXPECT_TRUE(Says("late: it is not there any more")) << console.error;
  WriteFile("in/late", "3");
  EXPECT_EQ(Run({"sync", "--retry-failed", report, folder.file("in"), folder.file("out")}), 0)
      << console.error;
  EXPECT_EQ(ReadFile("out/late"), "3");
}

// Nobody knows how little was known of it: an object of no bytes is not its copy.
TEST_F(OneWrongNameTest, WhatStillCannotBeLookedAtFailsAgain) {
  std::filesystem::create_directory_symlink("d", folder.file("in/d"));  // Leads to itself.
  WriteFile("names", "f1.txt\nd/x\n");
  WriteFile("out/d/x", "");
  const std::string report = folder.file("report");
  ASSERT_EQ(Run({"sync", "--files-from", folder.file("names"), "--report", report,
                 folder.file("in"), folder.file("out")}),
            1)
      << console.error;
  EXPECT_EQ(Run({"sync", "--retry-failed", report, folder.file("in"), folder.file("out")}), 1)
      << console.out;
  EXPECT_TRUE(Says("d/x")) << console.error;
}

// A line that names nothing is in no report: what was meant by it nobody can try again.
TEST_F(OneWrongNameTest, AReportThatLacksAFailureIsRefused) {
  WriteFile("l.jsonl", "{\"key\":\"f1.txt\"}\ngarbage\n{\"key\":\"f2.txt\"}\n");
  const std::string report = folder.file("report");
  ASSERT_EQ(Run({"sync", "--listing", folder.file("l.jsonl"), "--report", report, folder.file("in"),
                 folder.file("out")}),
            1);
  EXPECT_EQ(Run({"sync", "--retry-failed", report, folder.file("in"), folder.file("out")}), 2);
  EXPECT_TRUE(Says("names 0 of the 1 that failed")) << console.error;
}

// Who moves takes "there is nothing" for "all of it has been moved".
TEST_F(OneWrongNameTest, AloneIsNotNothing) {
  WriteFile("root/a/p/x", "1");
  WriteFile("names", "../x\n");
  EXPECT_EQ(Run({"mv", "-r", "--files-from", folder.file("names"), "disk:a/p/", "disk:b"}), 1);
  EXPECT_TRUE(Says("failed  1")) << console.out << console.error;
  EXPECT_FALSE(Says("there is nothing")) << console.error;
}

// A file that is no list at all is said once, and not with each of its lines.
TEST_F(OneWrongNameTest, AFileOfNonsenseEndsIt) {
  std::string names;
  for (int i = 0; i < 1000; ++i) names += "bucket,%zz\n";
  WriteFile("l.csv", names);
  EXPECT_EQ(Run({"sync", "--listing", folder.file("l.csv"), folder.file("in"), folder.file("out")}),
            2);
  EXPECT_FALSE(Says("line 11: ")) << console.error;
}

// Folders that stand where files should be: of ten names, and not of the target.
TEST_F(OneWrongNameTest, FoldersInTheWayAreOfTheirNames) {
  for (int i = 10; i < 22; ++i) {
    WriteFile("many/a" + std::to_string(i), "1");
    WriteFile("there/a" + std::to_string(i) + "/x", "1");
  }
  WriteFile("many/z", "2");
  EXPECT_EQ(Run({"sync", folder.file("many"), folder.file("there")}), 1);
  EXPECT_EQ(ReadFile("there/z"), "2");
  EXPECT_TRUE(Says("failed              12")) << console.out;
}

}  // namespace
}  // namespace longhaul
