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
