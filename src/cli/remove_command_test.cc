// What rm removes, and what it leaves.

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/sync_commands.h"

namespace longhaul {
namespace {

using testing::SyncCommandTest;

TEST_F(SyncCommandTest, RemoveKeepsToFiltersAndGuards) {
  for (const char* name : {"a.log", "b.log", "c.txt"})
    WriteFile(std::string("root/a/") + name, "1");
  EXPECT_EQ(Run({"rm", "-r", "--max-delete", "2", "disk:a"}), 12);
  EXPECT_EQ(Run({"rm", "-r", "--max-delete-percent", "50", "--include", "*.log", "disk:a"}), 12);
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/a.log")));
  ASSERT_EQ(Run({"rm", "-r", "--max-delete", "2", "--include", "*.log", "disk:a"}), 0)
      << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/a.log")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/c.txt")));
  EXPECT_EQ(Run({"rm", "--include", "*", "disk:a/c.txt"}), 2);
}

// Each address alone would be within it.
TEST_F(SyncCommandTest, AGuardIsOfOneAddress) {
  for (const char* name : {"x/1", "y/1"}) WriteFile(std::string("root/a/") + name, "1");
  EXPECT_EQ(Run({"rm", "-r", "--max-delete", "1", "disk:a/x", "disk:a/y"}), 2);
  EXPECT_TRUE(Says("run it once for each")) << console.error;
  EXPECT_EQ(Run({"rm", "-r", "--max-delete-percent", "50", "disk:a/x", "disk:a/y"}), 2);
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/x/1")));
}

// What a file of patterns protects goes where its first one is not understood.
TEST_F(SyncCommandTest, AByteOrderMarkIsNotOfThePattern) {
  for (const char* name : {"keep/1", "2"}) WriteFile(std::string("root/a/") + name, "1");
  WriteFile("keep.txt", "\xEF\xBB\xBFkeep/**\r\n");
  ASSERT_EQ(Run({"rm", "-r", "--exclude-from", folder.file("keep.txt"), "disk:a"}), 0)
      << console.error;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/keep/1")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/2")));
}

// Of several one that fails is told, in the reports, too, and the others go.
TEST_F(SyncCommandTest, RemoveGoesOnBehindOneThatFails) {
  WriteFile("root/a/1", "1");
  WriteFile("root/a/2", "1");
  const std::string report = folder.file("report");
  EXPECT_EQ(Run({"rm", "--report", report, "disk:a/1", "disk:a/x*", "disk:a/2"}), 1)
      << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/2")));
  EXPECT_NE(ReadFile("report").find("\"failed\""), std::string::npos) << ReadFile("report");
}

// Keys of a listing are whole ones.
TEST_F(SyncCommandTest, AListingOfNothingHereIsTold) {
  WriteFile("root/a/logs/1", "1");
  WriteFile("keys.csv", "a,1\n");
  EXPECT_EQ(Run({"rm", "-r", "--listing", folder.file("keys.csv"), "disk:a/logs"}), 0);
  EXPECT_TRUE(Says("nothing under 'disk:a/logs'")) << console.error;
  EXPECT_EQ(Run({"sync", "--source-listing", folder.file("keys.csv"), "disk:a/logs", "disk:b"}), 0);
  EXPECT_TRUE(Says("nothing under 'disk:a/logs'")) << console.error;
}

// What has been written since it was listed nobody has decided about.
TEST_F(SyncCommandTest, RemoveByAListingSparesWhatHasChanged) {
  const std::string kept = folder.file("kept.zst");
  for (const char* name : {"old", "new", "gone"}) WriteFile(std::string("root/a/") + name, "1");
  ASSERT_EQ(Run({"ls", "-r", "--save-listing", kept, "disk:a"}), 0) << console.error;
  WriteFile("root/a/new", "written since");
  std::filesystem::remove(folder.file("root/a/gone"));
  WriteFile("root/a/beside", "1");
  EXPECT_EQ(Run({"rm", "-r", "--listing", kept, "disk:a"}), 1);
  EXPECT_TRUE(Says("disk:a/new: the target has changed since it was listed")) << console.error;
  EXPECT_EQ(ReadFile("root/a/new"), "written since");
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/old")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/beside")));
  // Of an inventory without ETags keys are all that is known.
  WriteFile("inventory/data/1.csv", "\"a\",\"new\",\"1\"\n\"a\",\"beside\",\"1\"\n");
  WriteFile("inventory/manifest.json",
            R"({"sourceBucket":"a","fileFormat":"CSV","fileSchema":"Bucket, Key, Size",)"
            R"("files":[{"key":"data/1.csv","size":1}]})");
  EXPECT_EQ(Run({"rm", "-r", "--listing", folder.file("inventory/manifest.json"), "disk:a"}), 0)
      << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/new")));
}

}  // namespace
}  // namespace longhaul
