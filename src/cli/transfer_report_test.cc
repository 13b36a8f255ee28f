// Reports of transfers, and what is tried again by them.

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/sync_commands.h"

namespace longhaul {
namespace {

using testing::SyncCommandTest;

TEST_F(SyncCommandTest, ReportsOfSingleObjects) {
  WriteFile("in/x", "1");
  WriteFile("in/y", "2");
  WriteFile("root/a/y", "old");
  ASSERT_EQ(Run({"cp", "--no-clobber", "--report", folder.file("report"), folder.file("in/y"),
                 "disk:a/"}),
            0);
  std::string report = ReadFile("report");
  EXPECT_TRUE(report.contains("\"state\":\"skipped\",\"name\":\"y\"")) << report;
  EXPECT_EQ(Run({"cp", "--report", folder.file("report"), "--error", folder.file("error"),
                 folder.file("in/x"), folder.file("in/z"), "disk:a/"}),
            1);
  EXPECT_EQ(ReadFile("error"), "z\n");
  report = ReadFile("report");
  EXPECT_TRUE(report.contains("\"state\":\"copied\",\"name\":\"x\"")) << report;
  EXPECT_TRUE(report.contains("\"state\":\"failed\",\"name\":\"z\"")) << report;
  EXPECT_TRUE(report.contains("\"target\":\"disk:a/z\"")) << report;
  // Such a report is done again as that of a tree.
  WriteFile("in/z", "3");
  EXPECT_EQ(Run({"sync", "--retry-failed", folder.file("report"), folder.file("in"), "disk:a"}), 0)
      << console.error;
  EXPECT_EQ(ReadFile("root/a/z") + ReadFile("root/a/y"), "3old");
  // Under another name, and what would be done.
  ASSERT_EQ(Run({"mv", "--report", folder.file("report"), "disk:a/x", "disk:b/deep/other"}), 0);
  EXPECT_TRUE(ReadFile("report").contains(
      "\"name\":\"x\",\"source\":\"disk:a/x\",\"target\":\"disk:b/deep/other\""))
      << ReadFile("report");
  ASSERT_EQ(Run({"cp", "-n", "--report", "-", "disk:a/z", "disk:b/"}), 0);
  EXPECT_TRUE(Says("\"state\":\"would_copy\",\"name\":\"z\"")) << console.out;
}

TEST_F(SyncCommandTest, ReportsAndRetry) {
  WriteFile("in/new", "1");
  WriteFile("in/differs", "22");
  WriteFile("in/same", "1");
  WriteFile("root/a/differs", "1");
  WriteFile("root/a/extra", "1");
  ASSERT_EQ(Run({"cp", folder.file("in/same"), "disk:a/same"}), 0);
  ASSERT_EQ(Run({"sync", "--immutable", "--report", folder.file("report"), "--combined",
                 folder.file("combined"), folder.file("in"), "disk:a"}),
            1);
  EXPECT_EQ(ReadFile("combined").size(), std::string("! differs\n- extra\n+ new\n= same\n").size());
  for (const char* sign : {"! differs", "- extra", "+ new", "= same"}) {
    EXPECT_TRUE(ReadFile("combined").contains(sign)) << ReadFile("combined");
  }
  const std::string report = ReadFile("report");
  EXPECT_TRUE(report.contains("\"state\":\"failed\",\"name\":\"differs\"")) << report;
  EXPECT_TRUE(report.contains("\"event\":\"summary\"")) << report;
  // What failed, and nothing else.
  WriteFile("in/another", "1");
  ASSERT_EQ(
      Run({"sync", "--json", "--retry-failed", folder.file("report"), folder.file("in"), "disk:a"}),
      0)
      << console.error;
  EXPECT_TRUE(Says("\"objects\":1")) << console.out;
  EXPECT_EQ(ReadFile("root/a/differs"), "22");
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/another")));
  EXPECT_EQ(Run({"sync", "--retry-failed", folder.file("report"), folder.file("in/"), "disk:b"}),
            0);
  std::filesystem::create_directories(folder.file("elsewhere"));
  EXPECT_EQ(
      Run({"sync", "--retry-failed", folder.file("report"), folder.file("elsewhere"), "disk:b"}),
      2);
  EXPECT_EQ(Run({"sync", "--report", folder.file("no/such/folder"), folder.file("in"), "disk:b"}),
            2);
}

// What is at the target is not known from a report: it may have been written since, and by others.
TEST_F(SyncCommandTest, RetryLooksAtTheTarget) {
  WriteFile("in/gone", "1");
  WriteFile("in/mended", "1");
  WriteFile("in/newer", "1");
  WriteFile("in/differs", "1");
  for (const char* name : {"gone", "mended", "newer", "differs"}) {
    WriteFile(std::string("out/") + name + "/in-the-way", "");
  }
  const std::string report = folder.file("report");
  ASSERT_EQ(Run({"sync", "--report", report, folder.file("in"), folder.file("out")}), 1);
  for (const char* name : {"gone", "mended", "newer", "differs"}) {
    std::filesystem::remove_all(folder.file(std::string("out/") + name));
  }
  std::filesystem::remove(folder.file("in/gone"));
  ASSERT_EQ(Run({"cp", folder.file("in/mended"), folder.file("out/")}), 0);
  WriteFile("out/newer", "somebody's");
  const std::vector<std::string> again = {
      "sync", "--json",          "--update",        "--retry-failed",
      report, folder.file("in"), folder.file("out")};
  EXPECT_EQ(Run(again), 1);
  EXPECT_TRUE(Says("in/gone: it is not there any more")) << console.out << console.error;
  EXPECT_TRUE(Says("\"objects\":1,\"bytes\":1,\"left_alone\":2")) << console.out;
  EXPECT_EQ(ReadFile("out/newer"), "somebody's");
  EXPECT_EQ(ReadFile("out/differs"), "1");
  EXPECT_EQ(
      Run({"sync", "--immutable", "--retry-failed", report, folder.file("in"), folder.file("out")}),
      1);
  EXPECT_TRUE(Says("--immutable")) << console.error;
  EXPECT_EQ(ReadFile("out/newer"), "somebody's");
  EXPECT_EQ(Run({"sync", "--backup-dir", folder.file("old/"), "--retry-failed", report,
                 folder.file("in"), folder.file("out")}),
            1);
  EXPECT_EQ(ReadFile("out/newer"), "1");
  EXPECT_EQ(ReadFile("old/newer"), "somebody's");
}

// Of a version of old the newest is no copy.
TEST_F(SyncCommandTest, AReportOfVersionsIsNotRetried) {
  WriteFile("in/x", "1");
  WriteFile("report",
            "{\"op\":\"copy\",\"state\":\"failed\",\"name\":\"x\",\"source\":\"" +
                folder.file("in/x") +
                "\",\"target\":\"disk:a/x\",\"size\":1,\"etag\":\"e\",\"version_id\":\"v1\"}\n");
  EXPECT_EQ(Run({"sync", "--retry-failed", folder.file("report"), folder.file("in"), "disk:a"}), 2);
  EXPECT_TRUE(Says("the report is of versions")) << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/x")));
}

}  // namespace
}  // namespace longhaul
