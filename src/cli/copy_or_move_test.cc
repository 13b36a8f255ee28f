// What cp and mv do with one object or with all below a folder.

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/sync_commands.h"

namespace longhaul {
namespace {

using testing::SyncCommandTest;

TEST_F(SyncCommandTest, MoveTakesOneOrAll) {
  WriteFile("in/x", "1");
  WriteFile("in/sub/y", "2");
  WriteFile("one", "3");
  ASSERT_EQ(Run({"mv", "-n", folder.file("one"), "disk:a/"}), 0);
  EXPECT_TRUE(std::filesystem::exists(folder.file("one")));
  ASSERT_EQ(Run({"mv", folder.file("one"), "disk:a/"}), 0) << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("one")));
  EXPECT_EQ(ReadFile("root/a/one"), "3");
  ASSERT_EQ(Run({"mv", "-r", folder.file("in"), "disk:a/in"}), 0) << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("in/x")));
  EXPECT_EQ(ReadFile("root/a/in/sub/y"), "2");
  ASSERT_EQ(Run({"mv", "disk:a/one", "disk:b/two"}), 0) << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/one")));
  EXPECT_EQ(ReadFile("root/b/two"), "3");
  EXPECT_EQ(Run({"mv", "disk:b/two", "disk:b/two"}), 2);
  EXPECT_EQ(Run({"mv", "disk:b/none", "disk:a/"}), 3);
  EXPECT_EQ(Run({"mv", "--no-clobber", "disk:b/two", "disk:a/in/x"}), 0);
  EXPECT_EQ(ReadFile("root/b/two"), "3");  // It was not copied, so it stays.
}

// A move onto itself would remove the only one there is.
TEST_F(SyncCommandTest, OneObjectUnderTwoNamesIsNotMoved) {
  WriteFile("root/a/x", "1");
  const std::string real = folder.file("root/a/");
  const std::string link = folder.file("link");
  std::filesystem::create_directory_symlink(real, link);
  for (const std::string& name : {real, link + "/"}) {
    EXPECT_EQ(Run({"mv", "-r", "disk:a/", name}), 2) << name;
    EXPECT_EQ(Run({"mv", "disk:a/x", name + "x"}), 2) << name;
    EXPECT_EQ(Run({"mv", name + "x", "disk:a/x"}), 2) << name;
    EXPECT_EQ(Run({"sync", "disk:a/", name + "sub/"}), 2) << name;
  }
  EXPECT_EQ(ReadFile("root/a/x"), "1");
}

// Of two sources with one name the first would be gone.
TEST_F(SyncCommandTest, SourcesDoNotReplaceOneAnother) {
  WriteFile("one/x", "1");
  WriteFile("two/x", "2");
  EXPECT_EQ(Run({"mv", folder.file("one/x"), folder.file("two/x"), "disk:a/"}), 2);
  EXPECT_EQ(Run({"cp", folder.file("one/x"), folder.file("two/x"), "disk:a/"}), 2);
  EXPECT_EQ(ReadFile("one/x") + ReadFile("two/x"), "12");
  ASSERT_EQ(Run({"mv", "-r", folder.file("one"), folder.file("two"), "disk:a/"}), 1)
      << console.error;
  EXPECT_TRUE(Says("something is at the target already")) << console.error;
  EXPECT_EQ(ReadFile("root/a/x"), "1");
  EXPECT_EQ(ReadFile("two/x"), "2");
  WriteFile("one/x", "3");
  EXPECT_EQ(Run({"mv", "-r", "--no-clobber", folder.file("one"), folder.file("two"), "disk:a/"}), 0)
      << console.error;
  EXPECT_EQ(ReadFile("root/a/x"), "1");
}

// Flags that are not heeded move what was to stay.
TEST_F(SyncCommandTest, WhatChoosesGoesWithRecursive) {
  WriteFile("in/x", "1");
  for (const char* command : {"mv", "cp"}) {
    for (const std::string flag : {"--min-age=30d", "--max-age=1h", "--exclude=*", "--include=y",
                                   "--max-size=1k", "--max-transfer=1k", "--max-duration=1h"}) {
      EXPECT_EQ(Run({command, flag, folder.file("in/x"), "disk:a/"}), 2) << command << " " << flag;
      EXPECT_TRUE(Says("--recursive ... FOLDER/ TARGET`")) << console.error;
    }
  }
  EXPECT_EQ(ReadFile("in/x"), "1");
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/x")));
}

// A copy into the source would replace what has not been carried yet, the only one there is.
TEST_F(SyncCommandTest, WhatLandsInTheSourceStays) {
  for (const std::string command : {"mv", "cp", "sync"}) {
    for (const std::string& place : {std::string("disk:a/"), folder.file("root/a/")}) {
      std::filesystem::remove_all(folder.file("root/a"));
      WriteFile("root/a/backup/x", "one");
      WriteFile("root/a/backup/y", "two");
      WriteFile("root/a/backup/backup/x", "three");
      std::vector<std::string> words = {command, place + "backup", place};
      if (command != "sync") words.emplace_back("-r");
      EXPECT_EQ(Run(words), 1) << command << " " << place;
      EXPECT_TRUE(console.error.contains("backup/backup/x: left alone")) << console.error;
      EXPECT_EQ(ReadFile("root/a/x"), "one") << command << " " << place;
      EXPECT_EQ(ReadFile("root/a/y"), "two");
      EXPECT_EQ(ReadFile("root/a/backup/backup/x"), "three");
      EXPECT_EQ(ReadFile("root/a/backup/x"), command == "mv" ? "" : "one");
    }
  }
  // Nor into another source.
  WriteFile("root/b/one/two/x", "1");
  WriteFile("root/b/two/x", "2");
  EXPECT_EQ(Run({"mv", "-r", "disk:b/one/", "disk:b/two/", "disk:b/"}), 1);
  EXPECT_EQ(ReadFile("root/b/one/two/x") + ReadFile("root/b/x"), "12");
  // One level up is no harm where nothing is in the way.
  WriteFile("root/b/deep/er/z", "3");
  EXPECT_EQ(Run({"mv", "-r", "disk:b/deep/", "disk:b/"}), 0) << console.error;
  EXPECT_EQ(ReadFile("root/b/er/z"), "3");
}

}  // namespace
}  // namespace longhaul
