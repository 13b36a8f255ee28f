// sync and cp as people type them, run in this process against folders.

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/commands.h"
#include "tests/support/without_overrides.h"

namespace longhaul {
namespace {

using testing::CommandsTest;

class SyncCommandTest : public CommandsTest {
 protected:
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }
};

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

TEST_F(SyncCommandTest, PlanAndApply) {
  WriteFile("in/x", "1");
  WriteFile("in/y", "1");
  WriteFile("root/a/extra", "1");
  ASSERT_EQ(Run({"sync", "--delete", "--plan", folder.file("plan"), folder.file("in"), "disk:a"}),
            0)
      << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/x")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/extra")));
  ASSERT_EQ(Run({"apply", folder.file("plan")}), 0) << console.error;
  EXPECT_EQ(ReadFile("root/a/x"), "1");
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/extra")));
  // Once more, as after a kill: all of it is done.
  EXPECT_EQ(Run({"apply", folder.file("plan")}), 0) << console.error;
  // Somebody else's.
  WriteFile("root/a/x", "2");
  EXPECT_EQ(Run({"apply", folder.file("plan")}), 1);
  EXPECT_EQ(ReadFile("root/a/x"), "2");
  EXPECT_TRUE(Says("has changed since the plan")) << console.error;
  // A plan that was cut.
  std::filesystem::resize_file(folder.file("plan"),
                               std::filesystem::file_size(folder.file("plan")) - 10);
  EXPECT_EQ(Run({"apply", folder.file("plan")}), 2);
  EXPECT_EQ(Run({"apply", folder.file("none")}), 2);
}

// A plan that was made for one place must not be done at another that its addresses have come to
// mean: what is new there, it would take for new here.
TEST_F(SyncCommandTest, APlanIsOfItsPlaces) {
  const auto disk_at = [this](const std::string& root) {
    WriteFile("c.yaml", "version: 1\nstores:\n  disk: { type: file, root: " + root + " }\n");
  };
  WriteFile("in/x", "1");
  WriteFile("root/b/y", "2");
  std::filesystem::create_directories(folder.file("other/a"));
  std::filesystem::create_directories(folder.file("other/b"));
  std::filesystem::create_directories(folder.file("other/old"));
  std::filesystem::create_directories(folder.file("root/old"));
  const std::string plan = folder.file("plan");
  const auto refused = [&] {
    const bool told = Run({"apply", plan}) == 2 && Says("the plan was made when 'disk:") &&
                      Says("root/") && Says("and now it is at folder ");
    return told;
  };
  ASSERT_EQ(Run({"sync", "--plan", plan, folder.file("in"), "disk:a"}), 0) << console.error;
  disk_at("other");
  EXPECT_TRUE(refused()) << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("other/a/x")));
  disk_at("root");
  EXPECT_EQ(Run({"apply", plan}), 0) << console.error;
  EXPECT_EQ(ReadFile("root/a/x"), "1");
  // The source as well.
  ASSERT_EQ(Run({"sync", "--plan", plan, "disk:b", folder.file("out")}), 0) << console.error;
  disk_at("other");
  EXPECT_TRUE(refused()) << console.error;
  disk_at("root");
  EXPECT_EQ(Run({"apply", plan}), 0) << console.error;
  EXPECT_EQ(ReadFile("out/y"), "2");
  // And where things are set aside.
  WriteFile("in/x", "33");
  WriteFile("there/x", "2");
  std::filesystem::create_directories(folder.file("aside"));
  std::filesystem::create_directories(folder.file("beside"));
  std::filesystem::create_directory_symlink(folder.file("aside"), folder.file("link"));
  const std::string link = folder.file("link/");
  ASSERT_EQ(
      Run({"sync", "--plan", plan, "--backup-dir", link, folder.file("in"), folder.file("there")}),
      0)
      << console.error;
  std::filesystem::remove(folder.file("link"));
  std::filesystem::create_directory_symlink(folder.file("beside"), folder.file("link"));
  EXPECT_EQ(Run({"apply", plan}), 2);
  EXPECT_TRUE(Says("was at folder " + folder.file("aside/"))) << console.error;
  EXPECT_EQ(ReadFile("there/x"), "2");
}

// A plan is what a guard has let pass.
TEST_F(SyncCommandTest, AGuardRefusesThePlan) {
  WriteFile("in/x", "1");
  WriteFile("root/a/extra", "1");
  ASSERT_EQ(Run({"sync", "--delete", "--max-delete", "0", "--plan", folder.file("plan"),
                 folder.file("in"), "disk:a"}),
            12);
  EXPECT_EQ(Run({"apply", folder.file("plan")}), 2);
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/extra")));
}

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

// What a plan removes though the source has it is what the filters leave out, and is told so.
TEST_F(SyncCommandTest, APlanRemovesWhatIsExcluded) {
  WriteFile("in/x", "1");
  WriteFile("in/y", "1");
  WriteFile("root/a/x", "1");
  WriteFile("root/a/z", "1");
  const std::string plan = folder.file("plan");
  ASSERT_EQ(Run({"sync", "--delete", "--delete-excluded", "--exclude", "x", "--plan", plan,
                 folder.file("in"), "disk:a"}),
            0)
      << console.error;
  WriteFile("in/z", "1");
  EXPECT_EQ(Run({"apply", plan}), 1) << console.error;
  EXPECT_TRUE(Says("the source has it by now")) << console.error;
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/x")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/y")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/z")));
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
