// sync as people type it, run in this process against folders; and what goes for all that copies.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/sync_commands.h"
#include "tests/support/without_overrides.h"

namespace longhaul {
namespace {

using testing::SyncCommandTest;

TEST_F(SyncCommandTest, ThereAndBackAndNothingToDo) {
  WriteFile("in/x.txt", "hello");
  WriteFile("in/sub/y.json", "{}");
  ASSERT_EQ(Run({"sync", "-v", folder.file("in"), "disk:a/p"}), 0) << console.error;
  EXPECT_TRUE(Says("to disk:a/p/x.txt")) << console.out;
  ASSERT_EQ(Run({"check", folder.file("in"), "disk:a/p/"}), 0) << console.out;
  ASSERT_EQ(Run({"sync", "--json", folder.file("in"), "disk:a/p"}), 0);
  EXPECT_TRUE(Says("\"objects\":0,\"bytes\":0,\"left_alone\":2")) << console.out;
  // Back to a folder that is not there yet, and again nothing.
  ASSERT_EQ(Run({"sync", "--json", "disk:a/p", folder.file("out/new/")}), 0) << console.error;
  EXPECT_TRUE(Says("\"objects\":2")) << console.out;
  EXPECT_EQ(ReadFile("out/new/sub/y.json"), "{}");
  ASSERT_EQ(Run({"sync", "--json", "disk:a/p", folder.file("out/new")}), 0);
  EXPECT_TRUE(Says("\"objects\":0,\"bytes\":0,\"left_alone\":2")) << console.out;
  // Nor the other way round, although the files are as old as they ever were.
  ASSERT_EQ(Run({"sync", "--json", folder.file("out/new"), "disk:a/p"}), 0);
  EXPECT_TRUE(Says("\"objects\":0,\"bytes\":0,\"left_alone\":2")) << console.out;
  EXPECT_EQ(std::filesystem::last_write_time(folder.file("in/x.txt")),
            std::filesystem::last_write_time(folder.file("out/new/x.txt")));
}

TEST_F(SyncCommandTest, DeleteAndItsGuards) {
  WriteFile("in/x", "1");
  WriteFile("root/a/x", "1");
  WriteFile("root/a/y", "1");
  ASSERT_EQ(Run({"sync", folder.file("in"), "disk:a"}), 0);
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/y")));  // Not without --delete.
  ASSERT_EQ(Run({"sync", "--delete", "--max-delete", "0", folder.file("in"), "disk:a"}), 12);
  EXPECT_TRUE(Says("--max-delete allows 0")) << console.error;
  ASSERT_EQ(Run({"sync", "--delete", "--max-delete-percent", "10", folder.file("in"), "disk:a"}),
            12);
  ASSERT_EQ(Run({"sync", "--delete", "--dry-run", folder.file("in"), "disk:a"}), 0);
  EXPECT_TRUE(Says("would remove disk:a/y")) << console.out;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/y")));
  ASSERT_EQ(Run({"sync", "--delete", folder.file("in"), "disk:a"}), 0) << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/y")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/x")));
}

// As rsync and rclone have it: the rest is carried, the folder is named, nothing is removed; and
// whoever goes on with the run reads it then.
TEST_F(SyncCommandTest, AFolderThatMayNotBeReadIsAFailureOfItsOwn) {
  const testing::WithoutOverrides rights;
  console.environment["LONGHAUL_STATE"] = folder.file("state.db");
  WriteFile("in/a", "1");
  WriteFile("in/m/x", "1");
  WriteFile("root/a/m/x", "1");
  WriteFile("root/a/old", "1");
  testing::UnreadableFolder closed(folder.file("in/m"));
  ASSERT_EQ(Run({"sync", "--delete", "--ignore-errors", folder.file("in"), "disk:a"}), 1);
  EXPECT_TRUE(console.error.contains("in/m/: Permission denied")) << console.error;
  EXPECT_TRUE(console.error.contains("not all folders of the source could be read"));
  EXPECT_FALSE(console.error.contains("--ignore-errors")) << console.error;
  EXPECT_EQ(ReadFile("root/a/a"), "1");
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/m/x")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/old")));
  EXPECT_EQ(Run({"check", folder.file("in"), "disk:a"}), 11);  // "old"; and not m/x.
  EXPECT_FALSE(console.out.contains("m/x")) << console.out;
  EXPECT_EQ(Run({"check", "--one-way", folder.file("in"), "disk:a"}), 1) << console.out;
  EXPECT_EQ(Run({"du", folder.file("in")}), 1);
  EXPECT_TRUE(console.error.contains("in/m/: Permission denied")) << console.error;
  EXPECT_EQ(Run({"ls", "-r", folder.file("in")}), 1);
  EXPECT_TRUE(console.error.contains("in/m/: Permission denied")) << console.error;
  EXPECT_TRUE(console.out.contains("  a\n")) << console.out;
  // The folder itself is none of its own parts.
  EXPECT_EQ(Run({"sync", folder.file("in/m"), "disk:b"}), 4) << console.error;
  EXPECT_EQ(Run({"du", folder.file("in/m")}), 4) << console.error;

  ASSERT_EQ(Run({"cp", "-r", folder.file("in"), "disk:b/"}), 1) << console.error;
  EXPECT_TRUE(console.error.contains("in/m/: Permission denied")) << console.error;
  ASSERT_EQ(Run({"cp", "-r", "--retry-failed", "last", folder.file("in"), "disk:b/"}), 1)
      << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/b/m/x")));
  closed.Open();
  ASSERT_EQ(Run({"cp", "-r", "--retry-failed", "last", folder.file("in"), "disk:b/"}), 0)
      << console.error;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/b/m/x"))) << console.out;
}

// What is wrong with the folder itself each name would meet.
TEST_F(SyncCommandTest, ATargetThatIsNoFolderIsToldOnce) {
  for (const char* name : {"1", "2", "3"}) WriteFile(std::string("root/a/") + name, "x");
  std::filesystem::create_symlink("loop", folder.file("loop"));
  std::filesystem::create_symlink("nowhere/at/all", folder.file("dangling"));
  WriteFile("file", "x");
  for (const char* target : {"loop", "dangling", "file"}) {
    ASSERT_EQ(Run({"sync", "disk:a", folder.file(target) + "/"}), 2) << console.error;
    EXPECT_TRUE(console.error.contains("name another TARGET")) << target << ": " << console.error;
    EXPECT_FALSE(console.error.contains(std::string(target) + "/2")) << console.error;
  }
  EXPECT_EQ(ReadFile("file"), "x");
}

// A mistyped or unmounted source must not empty the target.
TEST_F(SyncCommandTest, AnEmptyOrMissingSourceRemovesNothing) {
  WriteFile("root/a/x", "1");
  std::filesystem::create_directories(folder.file("empty"));
  EXPECT_EQ(Run({"sync", "--delete", folder.file("empty"), "disk:a"}), 12);
  EXPECT_EQ(Run({"sync", "--delete", folder.file("typo/"), "disk:a"}), 3);
  EXPECT_EQ(Run({"sync", "--delete", folder.file("typo"), "disk:a"}), 3);
  EXPECT_EQ(Run({"sync", "--delete", "disk:nobucket", "disk:a"}), 3);
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/x")));
}

// A prefix that is mistyped looks like one that is empty: nothing is done, and nobody learns why.
// But an empty bucket that is mirrored every night is no failure.
TEST_F(SyncCommandTest, ASourceWithNothingIsTold) {
  WriteFile("root/a/logs/x", "1");
  std::filesystem::create_directories(folder.file("empty"));
  const auto warns = [this](const std::string& words) { return console.error.contains(words); };
  ASSERT_EQ(Run({"sync", "disk:a/lgos/", "disk:b/"}), 0);
  EXPECT_TRUE(warns("nothing under 'disk:a/lgos/': is the prefix right?")) << console.error;
  ASSERT_EQ(Run({"sync", "--json", "disk:a/lgos", "disk:b/"}), 0);
  EXPECT_TRUE(console.out.contains("{\"event\":\"nothing_found\",\"source\":\"disk:a/lgos\"}"))
      << console.out;
  ASSERT_EQ(Run({"sync", folder.file("empty"), "disk:b/"}), 0);
  EXPECT_TRUE(warns("nothing under '" + folder.file("empty") + "': it is empty")) << console.error;
  ASSERT_EQ(Run({"sync", "disk:b", "disk:a/x/"}), 0);
  EXPECT_TRUE(warns("nothing under 'disk:b': it is empty")) << console.error;
  ASSERT_EQ(Run({"sync", "--dry-run", "disk:b", "disk:a/x/"}), 0);
  EXPECT_TRUE(warns("nothing under")) << console.error;
  ASSERT_EQ(Run({"cp", "-r", "disk:b", "disk:a/x/"}), 0);
  EXPECT_TRUE(warns("nothing under 'disk:b': it is empty")) << console.error;
  // Whoever names a prefix to copy or move names a thing, as with a key.
  for (const char* command : {"cp", "mv"}) {
    EXPECT_EQ(Run({command, "-r", "disk:a/lgos/", "disk:b/"}), 3);
    EXPECT_TRUE(warns("there is nothing below 'disk:a/lgos/'")) << console.error;
  }
  // Something is there in all of these.
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"sync", "disk:a/logs", "disk:b/"},
        {"sync", "disk:a/logs", "disk:b/"},
        {"sync", "--exclude", "*", "disk:a/logs", "disk:b/"},
        {"cp", "-r", "--exclude", "*", "disk:a", "disk:b/"}}) {
    ASSERT_EQ(Run(words), 0);
    EXPECT_FALSE(warns("nothing")) << console.error;
  }
}

TEST_F(SyncCommandTest, OverlapsAreRefused) {
  WriteFile("in/sub/x", "1");
  EXPECT_EQ(Run({"sync", folder.file("in"), folder.file("in/sub/deeper")}), 2);
  EXPECT_EQ(Run({"sync", "--delete", folder.file("in/sub"), folder.file("in")}), 2);
  EXPECT_EQ(Run({"sync", "--delete", "disk:a/p/q", "disk:a/p"}), 2);
  EXPECT_EQ(Run({"sync", folder.file("in/sub/x"), "disk:a"}), 2);
}

// Which rule decided is what people ask when a file is missing.
TEST_F(SyncCommandTest, VeryVerboseNamesTheRule) {
  WriteFile("in/a.log", "1");
  WriteFile("in/a.tmp", "1");
  WriteFile("in/b.txt", "1");
  ASSERT_EQ(
      Run({"sync", "-vv", "--exclude", "*.tmp", "--filter", "- b*", folder.file("in"), "disk:a"}),
      0);
  EXPECT_TRUE(Says("excluded by --exclude '*.tmp'")) << console.out;
  EXPECT_TRUE(Says("excluded by --filter '- b*'")) << console.out;
  ASSERT_EQ(Run({"sync", "-vv", "--include", "*.log", folder.file("in"), "disk:a"}), 0);
  EXPECT_TRUE(Says("a.log: same")) << console.out;
  EXPECT_TRUE(Says("excluded by no --include matches")) << console.out;
  EXPECT_EQ(Run({"sync", "--filter", "* b", folder.file("in"), "disk:a"}), 2);
}

// A flag that is taken and does nothing copies, or with --delete removes, what was not meant.
TEST_F(SyncCommandTest, RulesFromAFileAndAgesLeaveOut) {
  WriteFile("in/a.log", "1");
  WriteFile("in/a.tmp", "1");
  WriteFile("in/old.log", "1");
  std::filesystem::last_write_time(
      folder.file("in/old.log"),
      std::filesystem::file_time_type::clock::now() - std::chrono::days(30));
  WriteFile("rules", "# ours\n+ *.log\n\n- *\n");
  ASSERT_EQ(Run({"sync", "--newer-than", "7d", "--filter-from", folder.file("rules"),
                 folder.file("in"), "disk:a"}),
            0)
      << console.error;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/a.log")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/a.tmp")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/old.log")));
  ASSERT_EQ(Run({"sync", folder.file("in"), "disk:a"}), 0);
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/a.tmp")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/old.log")));
}

TEST_F(SyncCommandTest, LsDuAndCheckTakeTheSameFilters) {
  WriteFile("root/a/logs/x.log", "1");
  WriteFile("root/a/logs/y.tmp", "22");
  WriteFile("root/a/z", "333");
  ASSERT_EQ(Run({"ls", "--filter", "- *.tmp", "--max-size", "2", "disk:a"}), 0);
  EXPECT_TRUE(Says("logs/x.log")) << console.out;
  EXPECT_FALSE(Says("y.tmp") || Says("z")) << console.out;
  EXPECT_EQ(Run({"ls", "--include", "*.none", "disk:a/logs/"}), 0);
  ASSERT_EQ(Run({"du", "--json", "--exclude", "logs/*", "disk:a"}), 0);
  EXPECT_TRUE(Says("\"objects\":1,\"bytes\":3")) << console.out;
  ASSERT_EQ(Run({"du", "--json", "--exclude", "x.log", "disk:a/logs/"}), 0);
  EXPECT_TRUE(Says("\"objects\":1,\"bytes\":2")) << console.out;
  WriteFile("root/b/logs/x.log", "1");
  auto check = [this](std::vector<std::string> filters) {
    std::vector<std::string> words = {"check", "--no-metadata", "disk:a", "disk:b"};
    words.insert(words.end(), filters.begin(), filters.end());
    return Run(words);
  };
  EXPECT_EQ(check({}), 11);
  EXPECT_EQ(check({"--include", "*.log"}), 0) << console.out;
  EXPECT_EQ(check({"--filter", "+ *.log", "--filter", "- **"}), 0) << console.out;
  EXPECT_EQ(check({"--max-size", "1"}), 0) << console.out;
  EXPECT_EQ(check({"--exclude", "z", "--include", "*"}), 11);
  EXPECT_FALSE(Says("z: missing")) << console.out;
}

TEST_F(SyncCommandTest, AKeptListingOfTheTarget) {
  WriteFile("in/new", "1");
  WriteFile("in/there", "1");
  WriteFile("root/a/there", "1");
  WriteFile("root/a/extra", "1");
  const std::string kept = folder.file("kept.zst");
  ASSERT_EQ(Run({"sync", "-n", "--save-target-listing", kept, folder.file("in"), "disk:a"}), 0);
  WriteFile("root/a/extra", "changed since");
  const std::vector<std::string> sync = {"sync", "--delete",        "--target-listing",
                                         kept,   folder.file("in"), "disk:a"};
  EXPECT_EQ(Run(sync), 1);
  EXPECT_TRUE(Says("disk:a/extra: the target has changed since it was listed")) << console.error;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/extra")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/new")));
  for (const char* other : {"--versions", "--resume=last", "--files-from=x"}) {
    std::vector<std::string> words = sync;
    words[1] = other;
    EXPECT_EQ(Run(words), 2) << other;
  }
}

// By the listing of another store's bucket of that name all would be there, or be removed.
TEST_F(SyncCommandTest, AKeptListingIsOfItsStore) {
  WriteFile("in/x", "1");
  WriteFile("root/a/x", "1");
  std::filesystem::create_directories(folder.file("other/a"));
  WriteFile("c.yaml",
            "version: 1\nstores:\n  disk: { type: file, root: root }\n"
            "  else: { type: file, root: other }\n  same: { type: file, root: root }\n");
  const std::string kept = folder.file("kept.zst");
  ASSERT_EQ(Run({"ls", "-r", "--save-listing", kept, "disk:a"}), 0) << console.error;
  EXPECT_EQ(Run({"sync", "--target-listing", kept, folder.file("in"), "else:a"}), 2);
  EXPECT_TRUE(Says("it lists what is at folder ")) << console.error;
  EXPECT_EQ(Run({"rm", "-r", "--listing", kept, "else:a"}), 2);
  EXPECT_EQ(Run({"sync", "--target-listing", kept, folder.file("in"), "same:a"}), 0)
      << console.error;
}

TEST_F(SyncCommandTest, CompareFlags) {
  WriteFile("root/a/x", "1");
  std::filesystem::last_write_time(
      folder.file("root/a/x"),
      std::filesystem::file_time_type::clock::now() - std::chrono::seconds(10));
  WriteFile("in/x", "2");  // Newer, and of the same size.
  ASSERT_EQ(Run({"sync", "--size-only", folder.file("in"), "disk:a"}), 0);
  EXPECT_EQ(ReadFile("root/a/x"), "1");
  ASSERT_EQ(Run({"sync", "--ignore-existing", folder.file("in"), "disk:a"}), 0);
  EXPECT_EQ(ReadFile("root/a/x"), "1");
  ASSERT_EQ(Run({"sync", "--immutable", folder.file("in"), "disk:a"}), 1);
  EXPECT_EQ(ReadFile("root/a/x"), "1");
  EXPECT_TRUE(Says("--immutable")) << console.error;
  ASSERT_EQ(Run({"sync", folder.file("in"), "disk:a"}), 0);
  EXPECT_EQ(ReadFile("root/a/x"), "2");
}

// Ten thousand errors about one bucket are one error.
TEST_F(SyncCommandTest, AMissingBucketIsOneMessage) {
  for (int i = 0; i < 100; ++i) WriteFile("in/" + std::to_string(i), "1");
  for (const char* command : {"cp", "sync"}) {
    std::vector<std::string> words = {command, folder.file("in"), "disk:nobucket"};
    if (words[0] == "cp") words.insert(words.begin() + 1, "-r");
    EXPECT_EQ(Run(words), 3);
    EXPECT_EQ(std::count(console.error.begin(), console.error.end(), '\n'), 1) << console.error;
    EXPECT_TRUE(Says("create the bucket first")) << console.error;
    EXPECT_EQ(console.out, "");
  }
}

// On a terminal the first failures of a cause are shown and the others counted.
TEST_F(SyncCommandTest, ManyFailuresOfOneCauseAreCounted) {
  WriteFile("in/ok", "1");
  for (int i = 0; i < 30; ++i) {
    WriteFile("in/x" + std::to_string(i), "22");
    WriteFile("root/a/x" + std::to_string(i), "1");
  }
  console.terminal = true;
  EXPECT_EQ(Run({"sync", "--immutable", folder.file("in"), "disk:a"}), 1);
  EXPECT_TRUE(Says("and 25 more")) << console.error;
  console.terminal = false;
  EXPECT_EQ(Run({"sync", "--json", "--immutable", folder.file("in"), "disk:a"}), 1);
  size_t count = 0;
  for (size_t at = 0; (at = console.out.find("\"event\":\"error\"", at)) != std::string::npos; ++at)
    ++count;
  EXPECT_EQ(count, 30U);
}

// A listing does not tell what lies behind a link to a folder: nothing says that it is gone.
TEST_F(SyncCommandTest, DeleteSparesWhatLiesBehindLinks) {
  WriteFile("in/x", "1");
  WriteFile("elsewhere/y", "2");
  WriteFile("root/a/x", "1");
  WriteFile("root/a/moved/y", "2");
  WriteFile("root/a/gone", "3");
  std::filesystem::create_directory_symlink(folder.file("elsewhere"), folder.file("in/moved"));
  EXPECT_EQ(Run({"sync", "--delete", folder.file("in"), "disk:a"}), 1);
  EXPECT_NE(console.error.find("moved/y"), std::string::npos) << console.error;
  EXPECT_EQ(ReadFile("root/a/moved/y") + ReadFile("root/a/gone"), "23");
  EXPECT_EQ(Run({"sync", "--delete", "--ignore-errors", folder.file("in"), "disk:a"}), 1);
  EXPECT_EQ(ReadFile("root/a/moved/y"), "2");
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/gone")));
  ASSERT_EQ(Run({"sync", "--delete", "--exclude", "moved/**", folder.file("in"), "disk:a"}), 0)
      << console.error;
}

// What lies behind a link is not copied, and a summary that counts only what was is read as "all".
TEST_F(SyncCommandTest, LinksThatAreNotFollowedAreCounted) {
  WriteFile("in/x", "1");
  WriteFile("elsewhere/y", "2");
  std::filesystem::create_symlink(folder.file("in/x"), folder.file("in/file"));
  for (const char* command : {"sync", "cp"}) {
    const std::string what = command == std::string("cp") ? "-r" : "--ignore-times";
    ASSERT_EQ(Run({command, what, folder.file("in"), "disk:a"}), 0);
    EXPECT_FALSE(Says("links")) << console.out;
  }
  std::filesystem::create_directory_symlink(folder.file("elsewhere"), folder.file("in/folder"));
  std::filesystem::create_symlink("nowhere", folder.file("in/nowhere"));
  for (const std::string& limit : {"0", "100"}) {  // Also behind what slows a store down.
    ASSERT_EQ(Run({"sync", "--tpslimit", limit, folder.file("in"), "disk:a"}), 0);
    EXPECT_TRUE(Says("links not followed  2\n")) << console.out;
  }
  ASSERT_EQ(Run({"cp", "-r", "--json", "--report", folder.file("r"), folder.file("in"), "disk:b"}),
            0);
  EXPECT_TRUE(Says("\"links\":2")) << console.out;
  EXPECT_TRUE(ReadFile("r").contains("\"links\":2")) << ReadFile("r");
  // Of a link at the target nothing is lost.
  ASSERT_EQ(Run({"sync", "--json", "disk:b", folder.file("in")}), 0);
  EXPECT_TRUE(Says("\"links\":0")) << console.out;
}

// What a store does not keep is not known to have been nothing.
TEST_F(SyncCommandTest, AtATimeNeedsVersions) {
  WriteFile("in/x", "1");
  WriteFile("root/a/x", "1");
  WriteFile("root/b/old", "1");
  for (const std::string& source : {folder.file("in"), std::string("disk:a")}) {
    EXPECT_EQ(Run({"sync", "--delete", "--at", "1h", source, "disk:b"}), 2) << source;
    EXPECT_EQ(Run({"cp", "-r", "--at", "1h", source, "disk:b"}), 2) << source;
    EXPECT_NE(console.error.find("keeps no versions"), std::string::npos) << console.error;
  }
  EXPECT_EQ(ReadFile("root/b/old"), "1");
}

TEST_F(SyncCommandTest, CheckNamesAFolderThatIsNotThere) {
  WriteFile("in/x", "1");
  EXPECT_EQ(Run({"check", folder.file("no"), folder.file("nor")}), 3);
  EXPECT_EQ(Run({"check", folder.file("in/"), folder.file("no/")}), 3);
  EXPECT_NE(console.error.find("there is no folder"), std::string::npos) << console.error;
}

TEST_F(SyncCommandTest, BackupDirKeepsWhatGoes) {
  WriteFile("in/x", "new");
  WriteFile("root/a/x", "older");
  WriteFile("root/a/y", "1");
  ASSERT_EQ(Run({"sync", "--delete", "--backup-dir", "disk:b/old", folder.file("in"), "disk:a"}), 0)
      << console.error;
  EXPECT_EQ(ReadFile("root/b/old/x"), "older");
  EXPECT_EQ(ReadFile("root/b/old/y"), "1");
  EXPECT_EQ(ReadFile("root/a/x"), "new");
  EXPECT_EQ(Run({"sync", "--backup-dir", "disk:a/old", folder.file("in"), "disk:a"}), 2);
  EXPECT_EQ(Run({"sync", "--backup-dir", folder.file("old"), folder.file("in"), "disk:a"}), 2);
}

// A file where the folder of the backup should be: without a copy aside nothing is replaced.
TEST_F(SyncCommandTest, WhatCannotBeSetAsideStays) {
  WriteFile("in/x", "new");
  WriteFile("out/x", "older");
  WriteFile("out/y", "1");
  WriteFile("in-the-way", "a file");
  EXPECT_EQ(Run({"sync", "--delete", "--ignore-errors", "--backup-dir",
                 folder.file("in-the-way/old/"), folder.file("in"), folder.file("out")}),
            1);
  EXPECT_TRUE(Says("set aside what is there")) << console.error;
  EXPECT_EQ(ReadFile("out/x") + ReadFile("out/y"), "older1");
}

TEST_F(SyncCommandTest, LimitsEndInOrder) {
  for (int i = 0; i < 9; ++i) WriteFile("in/" + std::to_string(i), std::string(1000, 'x'));
  EXPECT_EQ(Run({"sync", "--json", "--max-transfer", "3500B", folder.file("in"), "disk:a"}), 10);
  EXPECT_TRUE(Says("\"objects\":3,")) << console.out;
  EXPECT_EQ(Run({"sync", "--bwlimit", "512", folder.file("in"), "disk:a"}), 2);
  EXPECT_EQ(Run({"sync", "--bwlimit", "08:00,512M 19:00,1G", "--tpslimit", "10000",
                 folder.file("in"), "disk:a"}),
            0);
}

TEST_F(SyncCommandTest, ChecksumFindsWhatTimesHide) {
  WriteFile("in/x", "1");
  WriteFile("root/a/x", "2");  // Newer, of the same size.
  ASSERT_EQ(Run({"sync", folder.file("in"), "disk:a"}), 0);
  EXPECT_EQ(ReadFile("root/a/x"), "2");
  ASSERT_EQ(Run({"sync", "-v", "--checksum", folder.file("in"), "disk:a"}), 0);
  EXPECT_EQ(ReadFile("root/a/x"), "1");
  ASSERT_EQ(Run({"sync", "--json", "--checksum", folder.file("in"), "disk:a"}), 0);
  EXPECT_TRUE(Says("\"objects\":0,\"bytes\":0,\"left_alone\":1")) << console.out;
  EXPECT_EQ(Run({"sync", "--download", folder.file("in"), "disk:a"}), 2);
}

}  // namespace
}  // namespace longhaul
