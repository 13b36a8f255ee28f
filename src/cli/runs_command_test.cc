// Runs as people see them, in this process against folders.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "backup/restore.h"
#include "cli/local_state.h"
#include "state/fields.h"
#include "tests/support/commands.h"
#include "tests/support/run.h"
#include "transfer/runs/run_journal.h"

namespace longhaul {
namespace {

using testing::CommandsTest;

class RunsCommandTest : public CommandsTest {
 protected:
  RunsCommandTest() { console.environment["LONGHAUL_STATE"] = folder.file("made/here/state.db"); }
  // A run that was stopped after `copied` objects, of which `told` tells the names; its id.
  std::string Begun(RunRecord run, uint64_t copied = 1,
                    const std::function<void(RunJournal&)>& told = {}) {
    testing::RealWorld world;
    LocalState state(world.runtime, {.sqlite_path = folder.file("made/here/state.db")});
    auto journal = world.Run(RunJournal::Begin(world.runtime, state, std::move(run)));
    EXPECT_TRUE(journal) << journal.error().Describe();
    (*journal)->counts().copied = copied;
    if (told) told(**journal);
    EXPECT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "stopped by a signal")));
    return (*journal)->record().id;
  }
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

// What is only told, or asked of another source, is not done: the journal must not say so.
TEST_F(RunsCommandTest, ARunGoesOnAsItWasBegun) {
  WriteFile("in/bad", "1");
  WriteFile("out/bad/in-the-way", "3");
  WriteFile("names", "bad\n");
  ASSERT_EQ(Run({"sync", folder.file("in"), folder.file("out")}), 1) << console.error;
  ASSERT_EQ(Run({"ls", "-r", "--save-listing", folder.file("listing"), folder.file("in/")}), 0);
  for (const char* flag : {"--resume", "--retry-failed"}) {
    for (const std::vector<std::string>& other : {std::vector<std::string>{"--dry-run"},
                                                  {"--plan", folder.file("plan")},
                                                  {"--files-from", "/dev/null"},
                                                  {"--save-listing", folder.file("saved")},
                                                  {"--files-from", folder.file("names")},
                                                  {"--source-listing", folder.file("listing")}}) {
      std::vector<std::string> words = {"sync", flag, "last", folder.file("in"),
                                        folder.file("out")};
      words.insert(words.end(), other.begin(), other.end());
      EXPECT_EQ(Run(words), 2) << flag << other.front();
      EXPECT_TRUE(Says("go on with a run as it was begun")) << console.error;
    }
  }
  EXPECT_FALSE(std::filesystem::exists(folder.file("plan")));
  ASSERT_EQ(Run({"runs", "show", "last"}), 0);
  EXPECT_TRUE(Says("failed: bad: ")) << console.out;
  std::filesystem::remove_all(folder.file("out/bad"));
  EXPECT_EQ(Run({"sync", "--resume", "last", folder.file("in"), folder.file("out")}), 0)
      << console.error;
  EXPECT_EQ(ReadFile("out/bad"), "1");
}

// What the filters of the run left alone counts as done: with others it would never be looked at.
TEST_F(RunsCommandTest, ARunGoesOnWithItsFilters) {
  WriteFile("in/a", "1");
  WriteFile("in/bad", "1");
  WriteFile("out/bad/in-the-way", "3");
  ASSERT_EQ(Run({"sync", "--exclude", "a", folder.file("in"), folder.file("out")}), 1)
      << console.error;
  std::filesystem::remove_all(folder.file("out/bad"));
  for (const char* flag : {"--resume", "--retry-failed"}) {
    for (const std::vector<std::string>& other : {std::vector<std::string>{},
                                                  {"--exclude", "b"},
                                                  {"--exclude", "a", "--size-only"},
                                                  {"--include", "a", "--exclude", "a"}}) {
      // What failed the filters have let in.
      if (other.empty() && std::string(flag) == "--retry-failed") continue;
      std::vector<std::string> words = {"sync", flag, "last", folder.file("in"),
                                        folder.file("out")};
      words.insert(words.end(), other.begin(), other.end());
      EXPECT_EQ(Run(words), 2) << flag;
      EXPECT_TRUE(Says("was begun with --exclude=a, and this is ")) << console.error;
    }
  }
  EXPECT_EQ(Run({"sync", "--exclude", "a", "--resume", "last", "--multipart-threshold", "9MiB",
                 "-v", folder.file("in"), folder.file("out")}),
            0)
      << console.error;
  EXPECT_EQ(ReadFile("out/bad"), "1");
  EXPECT_FALSE(std::filesystem::exists(folder.file("out/a")));
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

// An address that leads elsewhere by now: what is left of the run would come from another source
// than the rest, or go to another target, and the run would say that it is done.
TEST_F(RunsCommandTest, ARunIsThatOfItsPlaces) {
  const auto disk_at = [this](const std::string& root) {
    std::filesystem::create_directories(folder.file(root + "/a"));
    WriteFile("c.yaml", "version: 1\nstores:\n  disk: { type: file, root: " + root + " }\n");
  };
  WriteFile("other/a/new", "4");
  WriteFile("out/bad/in-the-way", "3");
  for (const char* flag : {"--resume", "--retry-failed"}) {
    for (const std::string command : {"cp", "sync", "mv"}) {
      disk_at("root");
      WriteFile("root/a/bad", "1");
      WriteFile("root/a/good", "2");
      std::vector<std::string> words = {command, "disk:a", folder.file("out")};
      if (command != "sync") words.emplace_back("-r");
      ASSERT_EQ(Run(words), 1) << console.error;
      words.insert(words.end(), {flag, "last"});
      disk_at("other");
      EXPECT_EQ(Run(words), 2) << command << flag;
      EXPECT_TRUE(Says("was begun when 'disk:a' was at folder ")) << console.error;
      EXPECT_TRUE(Says("root/a/, and now it is at folder ")) << console.error;
      EXPECT_TRUE(Says("or begin a new run")) << console.error;
      EXPECT_FALSE(std::filesystem::exists(folder.file("out/new")));
      disk_at("root");
      EXPECT_EQ(Run(words), 1) << "the place is the same again: " << console.error;
    }
  }
  // The target, too.
  const std::string id = Begun({.command = "sync",
                                .arguments = {"sync"},
                                .source = folder.file("out"),
                                .target = "disk:a",
                                .source_place = "folder " + folder.file("out") + "/",
                                .target_place = "folder " + folder.file("root/a") + "/"});
  disk_at("other");
  EXPECT_EQ(Run({"sync", folder.file("out"), "disk:a", "--resume", id}), 2);
  EXPECT_FALSE(std::filesystem::exists(folder.file("other/a/good")));
  disk_at("root");
  EXPECT_EQ(Run({"sync", folder.file("out"), "disk:a", "--resume", id}), 0) << console.error;
}

// `cp -r` replaces what is there, whatever it is: what a sync leaves alone is still to be copied
// when it goes on, or half of the target would stay what it was.
TEST_F(RunsCommandTest, ACopyThatGoesOnReplacesAsItDidBefore) {
  const auto age = [this](const std::string& name, int hours) {
    std::filesystem::last_write_time(
        folder.file(name),
        std::filesystem::file_time_type::clock::now() - std::chrono::hours(hours));
  };
  const RunRecord copy{
      .command = "cp", .arguments = {"cp", "-r"}, .source = "disk:a", .target = "disk:b"};
  WriteFile("root/a/x", "11");
  WriteFile("root/a/y", "33");
  WriteFile("root/a/z", "44");
  for (const char* name : {"root/a/x", "root/a/y", "root/a/z"}) age(name, 3);
  const auto spoil = [&] {
    WriteFile("root/b/x", "22");
    WriteFile("root/b/y", "33");
    WriteFile("root/b/z", "22");
    for (const char* name : {"root/b/x", "root/b/y", "root/b/z"}) age(name, 1);
  };
  const auto written = [this](const std::string& name) {
    return std::filesystem::last_write_time(folder.file(name));
  };
  spoil();
  const auto before = written("root/b/y");
  // Nothing of it was done; y was copied, and the journal does not know yet.
  std::string id = Begun(copy, 1, [](RunJournal& journal) {
    journal.Started("x");
    journal.Started("y");
  });
  EXPECT_EQ(Run({"cp", "-r", "--resume", id, "disk:a", "disk:b"}), 0) << console.error;
  EXPECT_EQ(ReadFile("root/b/x"), "11");
  EXPECT_EQ(ReadFile("root/b/z"), "44");
  EXPECT_EQ(written("root/b/y"), before);
  spoil();
  id = Begun(copy, 1, [](RunJournal& journal) {
    journal.Started("x");
    journal.Failed("x", "denied");
  });
  EXPECT_EQ(Run({"cp", "-r", "--retry-failed", id, "disk:a", "disk:b"}), 0) << console.error;
  EXPECT_EQ(ReadFile("root/b/x"), "11");
  EXPECT_EQ(ReadFile("root/b/z"), "22");
}

// What was in flight when it was killed is not done because what failed works now.
TEST_F(RunsCommandTest, WhatWasInFlightIsLeftWhenOnlyFailuresAreDoneAgain) {
  WriteFile("in/a", "1");
  WriteFile("in/b", "2");
  const std::string id = Begun(
      {.command = "sync", .arguments = {"sync"}, .source = folder.file("in"), .target = "disk:a"},
      1, [](RunJournal& journal) {
        journal.Started("a");
        journal.Started("b");
        journal.Failed("b", "denied");
        journal.ListedAll();
      });
  EXPECT_EQ(Run({"sync", "--retry-failed", id, folder.file("in"), "disk:a"}), 0) << console.error;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/b")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/a")));
  EXPECT_EQ(Run({"sync", "--resume", id, folder.file("in"), "disk:a"}), 0) << console.error;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/a")));
}

// A key that no file can have has failed once, and must not keep the run from going on for ever.
TEST_F(RunsCommandTest, AKeyThatNoFileCanHaveDoesNotHoldUpTheRest) {
  WriteFile("one", "1");
  WriteFile("out/there", "1");
  ASSERT_EQ(Run({"cp", folder.file("one"), "disk:a/x//y"}), 0) << console.error;
  WriteFile("root/a/z", "2");
  const std::string id = Begun(
      {.command = "sync", .arguments = {"sync"}, .source = "disk:a", .target = folder.file("out")},
      1, [](RunJournal& journal) {
        journal.Started("x//y");
        journal.Failed("x//y", "no file can have the name of this key");
      });
  EXPECT_EQ(Run({"sync", "--resume", id, "disk:a", folder.file("out")}), 1) << console.error;
  EXPECT_TRUE(Says("x//y")) << console.error;
  EXPECT_EQ(ReadFile("out/z"), "2");
}

// A link that leads elsewhere is another folder; the same one by another way is not.
TEST_F(RunsCommandTest, LinksAreFollowedToThePlace) {
  WriteFile("in/bad", "1");
  WriteFile("one/bad/in-the-way", "3");
  WriteFile("two/x", "3");
  std::filesystem::create_directory_symlink(folder.file("one"), folder.file("out"));
  ASSERT_EQ(Run({"sync", folder.file("in"), folder.file("out")}), 1) << console.error;
  std::filesystem::remove(folder.file("out"));
  std::filesystem::create_directory_symlink(folder.file("two"), folder.file("out"));
  EXPECT_EQ(Run({"sync", folder.file("in"), folder.file("out"), "--resume", "last"}), 2);
  std::filesystem::remove(folder.file("out"));
  std::filesystem::rename(folder.file("one"), folder.file("out"));
  EXPECT_EQ(Run({"sync", folder.file("in"), folder.file("out"), "--resume", "last"}), 2);
  std::filesystem::rename(folder.file("out"), folder.file("one"));
  std::filesystem::create_directory_symlink(folder.file("one"), folder.file("out"));
  EXPECT_EQ(Run({"sync", folder.file("in"), folder.file("out"), "--resume", "last"}), 1);
}

// Another server behind the same s3:// address. Nothing is asked of either: no port is open there.
TEST_F(RunsCommandTest, AnotherEndpointIsAnotherPlace) {
  console.environment["AWS_ACCESS_KEY_ID"] = "k";
  console.environment["AWS_SECRET_ACCESS_KEY"] = "s";
  console.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1";
  const std::string id = Begun({.command = "cp",
                                .arguments = {"cp"},
                                .source = "s3://big/",
                                .target = folder.file("out"),
                                .source_place = "s3 127.0.0.1:2",
                                .target_place = "folder " + folder.file("out") + "/"});
  const std::vector<std::string> again = {"cp",       "-r", "s3://big/", folder.file("out"),
                                          "--resume", id,   "--timeout", "100ms"};
  EXPECT_EQ(Run(again), 2);
  EXPECT_TRUE(Says("'s3://big/' was at s3 127.0.0.1:2, and now it is at s3 127.0.0.1:1"))
      << console.error;
  console.environment["AWS_ENDPOINT_URL"] = "http://localhost:2/";
  EXPECT_EQ(Run(again), 5) << "the same place: " << console.error;
}

// A process that was suspended while another one took its run over would copy, and remove, by a
// listing of old.
TEST_F(RunsCommandTest, ARunThatWasTakenOverStops) {
  for (int i = 0; i < 50; ++i) WriteFile("in/" + std::to_string(i), std::string(32 << 10, 'x'));
  WriteFile("root/a/extra", "1");
  std::jthread other([this](const std::stop_token& stop) {
    testing::RealWorld world;
    LocalState state(world.runtime, {.sqlite_path = folder.file("made/here/state.db")});
    for (; !stop.stop_requested(); std::this_thread::sleep_for(std::chrono::milliseconds(50))) {
      if (!std::filesystem::exists(folder.file("made/here/state.db"))) continue;
      auto rows = world.Run(state.Scan("runs", "", 1));
      if (!rows || rows->empty()) continue;
      Result<Fields> fields = Fields::Read(rows->front().value);
      if (!fields) continue;
      fields->Set("session", "another");
      StateWrite write{.key = rows->front().key,
                       .value = fields->Write(),
                       .expected = Expected::Revision(rows->front().revision)};
      if (world.Run(state.Write("runs", std::move(write)))) return;
    }
  });
  EXPECT_EQ(Run({"sync", "--delete", "--ignore-errors", "--bwlimit", "64k", "--transfers", "1",
                 folder.file("in"), "disk:a"}),
            1);
  EXPECT_TRUE(Says("belongs to another process by now")) << console.error;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/extra")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("root/a/9")));
}

// Runs that were begun before their places were kept go on as they did.
TEST_F(RunsCommandTest, ARunWithoutAPlaceGoesOn) {
  WriteFile("in/x", "1");
  const std::string id = Begun(
      {.command = "sync", .arguments = {"sync"}, .source = folder.file("in"), .target = "disk:a"});
  EXPECT_EQ(Run({"sync", folder.file("in"), "disk:a", "--resume", id}), 0) << console.error;
  EXPECT_EQ(ReadFile("root/a/x"), "1");
}

// Objects that were only counted are not there: whoever reads "done, 4 objects copied" believes so.
TEST_F(RunsCommandTest, ADryRunOfTheApiSaysSo) {
  backup::RestoreOrder order{.rule = "r",
                             .target = "vault",
                             .what = {.prefix = "a/"},
                             .destination = "disk:a/",
                             .dry_run = true};
  Begun(backup::RestoreRun(order, "c.yaml", "disk:b/"), 4);
  ASSERT_EQ(Run({"runs", "ls"}), 0) << console.error;
  EXPECT_TRUE(Says("4 objects would be copied (a dry run)")) << console.out;
  ASSERT_EQ(Run({"runs", "show", "last"}), 0) << console.error;
  EXPECT_TRUE(Says("would copy")) << console.out;
  EXPECT_TRUE(Says("a dry run: nothing was written")) << console.out;
  ASSERT_EQ(Run({"runs", "ls", "--json"}), 0) << console.error;
  EXPECT_TRUE(Says("\"dry_run\":true")) << console.out;
  order.dry_run = false;
  Begun(backup::RestoreRun(order, "c.yaml", "disk:b/"), 4);
  ASSERT_EQ(Run({"runs", "show", "last"}), 0) << console.error;
  EXPECT_FALSE(Says("dry run")) << console.out;
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
