// What people are told who write wildcards into addresses.

#include <gtest/gtest.h>

#include "tests/support/sync_commands.h"

namespace longhaul {
namespace {

using testing::SyncCommandTest;

// In a shell and to s5cmd '*' is a wildcard. Here it is a character of keys, and who does not know
// that has to be told, above all where a delete of nothing counts as done.
TEST_F(SyncCommandTest, AddressesHaveNoWildcards) {
  WriteFile("root/a/logs/x.gz", "1");
  const auto tells = [this](const std::string& words) {
    const std::string whole =
        "an address has no wildcards, to take what matches: `longhaul " + words + "`";
    EXPECT_TRUE(console.error.contains(whole)) << console.error << "instead of " << words;
  };
  EXPECT_EQ(Run({"cp", "disk:a/logs/*.gz", "disk:b/"}), 3);
  tells("cp --recursive --include '*.gz' disk:a/logs/ disk:b/");
  EXPECT_EQ(Run({"cp", "--dry-run", "disk:a/logs/*", "disk:b/"}), 3);
  tells("cp --recursive disk:a/logs/ disk:b/");
  EXPECT_EQ(Run({"cp", "-r", "disk:a/lo*/?.gz", "disk:b/"}), 3);
  tells("cp --recursive --include 'lo*/?.gz' disk:a/ disk:b/");
  EXPECT_EQ(Run({"mv", "disk:a/logs/*.gz", "disk:b/"}), 3);
  tells("mv --recursive --include '*.gz' disk:a/logs/ disk:b/");
  EXPECT_EQ(Run({"sync", "disk:a/logs/*", "disk:b/"}), 0);
  tells("sync disk:a/logs/ TARGET");
  EXPECT_EQ(Run({"rm", "disk:a/logs/*"}), 3);
  tells("rm --recursive disk:a/logs/");
  EXPECT_EQ(Run({"rm", "-r", "disk:a/logs/*.gz"}), 3);
  tells("rm --recursive --include '*.gz' disk:a/logs/");
  EXPECT_EQ(Run({"ls", "disk:a/logs/*.gz"}), 3);
  tells("ls --include '*.gz' disk:a/logs/");
  EXPECT_EQ(Run({"du", "disk:a/logs/*.gz"}), 3);
  tells("du --include '*.gz' disk:a/logs/");
  EXPECT_EQ(ReadFile("root/a/logs/x.gz"), "1");
  // What they say is what does it.
  ASSERT_EQ(Run({"cp", "--recursive", "--include", "lo*/?.gz", "disk:a/", "disk:b/"}), 0);
  EXPECT_EQ(ReadFile("root/b/logs/x.gz"), "1");
  // Names that have these characters are names.
  WriteFile("odd/what?*", "2");
  ASSERT_EQ(Run({"cp", folder.file("odd/what?*"), "disk:a/"}), 0) << console.error;
  ASSERT_EQ(Run({"cp", "disk:a/what?*", "disk:b/"}), 0) << console.error;
  ASSERT_EQ(Run({"rm", "disk:a/what?*"}), 0) << console.error;
  EXPECT_EQ(Run({"stat", "disk:a/what?*"}), 3);
  EXPECT_EQ(Run({"stat", "disk:b/what?*"}), 0);
}

}  // namespace
}  // namespace longhaul
