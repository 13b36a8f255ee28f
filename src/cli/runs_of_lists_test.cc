// Runs whose names come out of a file, stopped and gone on with.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "cli/local_state.h"
#include "state/fields.h"
#include "tests/support/commands.h"
#include "tests/support/run.h"
#include "tests/support/sanitized.h"
#include "transfer/runs/run_journal.h"

namespace longhaul {
namespace {

class RunsOfListsTest : public testing::CommandsTest {
 protected:
  RunsOfListsTest() {
    console.environment["LONGHAUL_STATE"] = folder.file("state.db");
    for (const char* name : {"a", "b", "c", "d"}) WriteFile(std::string("in/") + name, name);
    WriteFile("names", "d\nb\n# not this\na\nc\n");
  }

  // A run of `command` by the list `file` that was killed when the journal was as `told` says.
  std::string Killed(const std::string& command, const std::string& kind, const std::string& file,
                     const std::function<void(RunJournal&)>& told) {
    testing::RealWorld world;
    LocalState state(world.runtime, {.sqlite_path = folder.file("state.db")});
    auto journal = world.Run(RunJournal::Begin(
        world.runtime, state,
        {.command = command,
         .arguments = {command},
         .source = folder.file("in"),
         .target = target,
         .listing = kind.empty() ? "" : kind + " sha256:" + HexEncode(Sha256(ReadFile(file)))}));
    EXPECT_TRUE(journal) << journal.error().Describe();
    (*journal)->counts().copied = 1;
    told(**journal);
    EXPECT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "stopped by a signal")));
    return (*journal)->record().id;
  }
  // The same command with the list `option` once more.
  int GoOn(const std::string& command, const std::string& option, const std::string& file,
           const std::string& flag, const std::string& id) {
    std::vector<std::string> words = {command,           option, folder.file(file), flag, id,
                                      folder.file("in"), target};
    if (command == "cp") words.insert(words.begin() + 1, "-r");
    return Run(std::move(words));
  }
  // As if the run had begun so long ago.
  void BegunBefore(const std::string& id, std::chrono::minutes age) {
    testing::RealWorld world;
    LocalState state(world.runtime, {.sqlite_path = folder.file("state.db")});
    auto row = world.Run(state.Get("runs", id));
    ASSERT_TRUE(row && *row);
    Result<Fields> fields = Fields::Read((*row)->value);
    ASSERT_TRUE(fields);
    fields->SetTime("started", world.runtime.clock.Now() - age);
    ASSERT_TRUE(world.Run(state.Write("runs", {.key = id, .value = fields->Write()})));
  }
  RunRecord Last() {
    testing::RealWorld world;
    LocalState state(world.runtime, {.sqlite_path = folder.file("state.db")});
    Result<RunRecord> run = world.Run(Runs(world.runtime, state).Find("last"));
    EXPECT_TRUE(run);
    return run ? std::move(*run) : RunRecord{};
  }
  std::string There() {
    std::string names;
    for (const char* name : {"a", "b", "c", "d", "y", "z"}) {
      if (std::filesystem::exists(folder.file(std::string("root/a/") + name))) names += name;
    }
    return names;
  }
  std::string target = "disk:a";
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }
};

// a was done, b was in flight.
void UpToB(RunJournal& journal) {
  journal.Started("a");
  journal.Done("a");
  journal.Started("b");
}

// What was in flight is done again, what is behind is done, and what was done is left alone: "a" is
// not there only because the journal has been told so without a copy.
TEST_F(RunsOfListsTest, GoOnBehindWhatIsDone) {
  ASSERT_EQ(Run({"ls", "-r", "--save-listing", folder.file("kept"), folder.file("in/")}), 0);
  WriteFile("l.jsonl", "{\"key\":\"d\"}\n{\"key\":\"a\"}\n{\"key\":\"b\"}\n{\"key\":\"c\"}\n");
  for (const std::string command : {"sync", "cp"}) {
    const std::string listing = command == "sync" ? "--source-listing" : "--listing";
    for (const auto& [kind, option, file] :
         {std::tuple<std::string, std::string, std::string>{"names", "--files-from", "names"},
          {"raw names", "--files-from-raw", "names"},
          {"listing", listing, "kept"},
          {"listing", listing, "l.jsonl"}}) {
      const std::string id = Killed(command, kind, file, UpToB);
      EXPECT_EQ(GoOn(command, option, file, "--resume", id), 0)
          << command << " " << kind << ": " << console.error;
      EXPECT_EQ(There(), "bcd") << command << " " << kind;
      for (const char* name : {"b", "c", "d"}) {
        std::filesystem::remove(folder.file(std::string("root/a/") + name));
      }
    }
  }
}

// Names that have come to lie before those that are done would never be looked at.
TEST_F(RunsOfListsTest, AListThatHasChangedIsRefused) {
  const std::string id = Killed("sync", "names", "names", UpToB);
  const std::string before = ReadFile("names");
  WriteFile("in/0", "0");
  WriteFile("names", before + "0\n");
  for (const char* flag : {"--resume", "--retry-failed"}) {
    EXPECT_EQ(GoOn("sync", "--files-from", "names", flag, id), 2) << console.error;
    EXPECT_TRUE(Says("The file has changed since")) << console.error;
    EXPECT_TRUE(Says("begin a new run")) << console.error;
  }
  WriteFile("names", before);
  EXPECT_EQ(GoOn("sync", "--files-from-raw", "names", "--resume", id), 2) << "read differently";
  EXPECT_EQ(Run({"sync", "--resume", id, folder.file("in"), "disk:a"}), 2);
  EXPECT_TRUE(Says("which has to be given again")) << console.error;
  EXPECT_EQ(There(), "");
  EXPECT_EQ(GoOn("sync", "--files-from", "names", "--resume", id), 0) << console.error;
  EXPECT_EQ(There(), "bcd");
}

// It is told before names that have not been looked at, and must not stand for those.
TEST_F(RunsOfListsTest, ANameThatIsNotThereDoesNotPassTheOthers) {
  WriteFile("names", "z\nd\n0\nc\nb\na\n");
  const std::string id = Killed("sync", "names", "names", [](RunJournal& journal) {
    journal.NotThere("0", "there is no such object");
    journal.NotThere("z", "there is no such object");
    UpToB(journal);
  });
  EXPECT_EQ(GoOn("sync", "--files-from", "names", "--resume", id), 1) << console.out;
  EXPECT_EQ(There(), "bcd");
  EXPECT_TRUE(Says("failed  2")) << console.out;
  // Each time until it is there, or the list does without it.
  ASSERT_EQ(Run({"runs", "show", "last"}), 0);
  EXPECT_TRUE(Says("failed: 0: ") && Says("failed: z: ")) << console.out;
  EXPECT_EQ(GoOn("sync", "--files-from", "names", "--resume", id), 1) << console.out;
  EXPECT_TRUE(Says("failed  2")) << console.out;
  WriteFile("in/z", "z");
  EXPECT_EQ(GoOn("sync", "--files-from", "names", "--retry-failed", id), 1) << console.out;
  EXPECT_EQ(There(), "bcdz");
  WriteFile("in/0", "0");
  EXPECT_EQ(GoOn("sync", "--files-from", "names", "--resume", id), 0) << console.error;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/0")));
}

// A run of its own from beginning to end, that fails at two names and ends well when they do.
TEST_F(RunsOfListsTest, WhatFailedIsDoneAgain) {
  WriteFile("names", "z\nc\nb\na\n");
  target = folder.file("root/a");  // Where no file can be beside a folder of its name.
  WriteFile("root/a/b/in-the-way", "1");
  const std::vector<std::string> words = {"sync", "--files-from", folder.file("names"),
                                          folder.file("in"), target};
  ASSERT_EQ(Run(words), 1) << console.error;
  EXPECT_TRUE(Says("longhaul runs resume")) << console.out;
  std::filesystem::remove_all(folder.file("root/a/b"));
  std::filesystem::remove(folder.file("root/a/a"));
  WriteFile("in/z", "z");
  EXPECT_EQ(GoOn("sync", "--files-from", "names", "--resume", "last"), 0) << console.error;
  EXPECT_EQ(There(), "bcz") << "what was done is not looked at again";
}

// A line that says nothing has no name to be noted by: it is told again, once.
TEST_F(RunsOfListsTest, ALineThatMakesNoSenseIsToldAgain) {
  WriteFile("l.jsonl", "{\"key\":\"d\"}\ngarbage\n{\"key\":\"a\"}\n{\"key\":\"b\"}\n");
  std::string id = Killed("sync", "listing", "l.jsonl", UpToB);
  EXPECT_EQ(GoOn("sync", "--source-listing", "l.jsonl", "--resume", id), 1) << console.out;
  EXPECT_EQ(There(), "bd");
  EXPECT_TRUE(Says("line 2: ") && Says("failed  1")) << console.out << console.error;
  // Also where nothing else is left to be done.
  EXPECT_EQ(GoOn("sync", "--source-listing", "l.jsonl", "--resume", id), 1) << console.out;
  EXPECT_TRUE(Says("line 2: ") && Says("failed  1")) << console.out << console.error;
}

// What has been moved is missing at the source: it is not what was never there.
TEST_F(RunsOfListsTest, AMoveByAListHasNoJournal) {
  EXPECT_EQ(Run({"mv", "-r", "--files-from", folder.file("names"), folder.file("in"), "disk:a"}), 0)
      << console.error;
  EXPECT_TRUE(Says("this run cannot be resumed: no journal is kept of a move")) << console.out;
  EXPECT_EQ(GoOn("sync", "--files-from", "names", "--resume", "last"), 3) << console.error;
}

// What was in the window of a run that was killed yesterday is in it today.
TEST_F(RunsOfListsTest, AgesCountFromTheBeginning) {
  for (const char* name : {"b", "c"}) {
    std::filesystem::last_write_time(
        folder.file(std::string("in/") + name),
        std::filesystem::file_time_type::clock::now() - std::chrono::minutes(90));
  }
  for (const std::string command : {"sync", "cp", "mv"}) {
    const std::string id = Killed(command, command == "mv" ? "" : "names", "names", UpToB);
    BegunBefore(id, std::chrono::minutes(120));
    std::vector<std::string> words = {command, "--max-age",       "1h",  "--resume",
                                      id,      folder.file("in"), target};
    if (command != "sync") words.insert(words.begin() + 1, "-r");
    if (command != "mv") words.insert(words.end() - 2, {"--files-from", folder.file("names")});
    EXPECT_EQ(Run(words), 0) << command << ": " << console.error;
    EXPECT_EQ(There(), "bcd") << command << ": " << console.out;
    for (const char* name : {"b", "c", "d"}) {
      std::filesystem::remove(folder.file(std::string("root/a/") + name));
    }
  }
  // And what came in behind the beginning is not.
  for (const char* name : {"b", "c", "d"}) WriteFile(std::string("in/") + name, name);
  std::filesystem::last_write_time(
      folder.file("in/d"),
      std::filesystem::file_time_type::clock::now() - std::chrono::minutes(90));
  const std::string id = Killed("sync", "names", "names", UpToB);
  BegunBefore(id, std::chrono::minutes(120));
  EXPECT_EQ(Run({"sync", "--min-age", "1h", "--files-from", folder.file("names"), "--resume", id,
                 folder.file("in"), target}),
            0)
      << console.error;
  EXPECT_EQ(There(), "");
}

// No row can have it: it is counted and told, and the names beside it are noted all the same.
TEST_F(RunsOfListsTest, ALineThatIsTooLongForAKey) {
  WriteFile("names", "d\nzz\n" + std::string(3000, 'x') + "\nb\n");
  const std::vector<std::string> words = {"sync", "--files-from", folder.file("names"),
                                          folder.file("in"), target};
  EXPECT_EQ(Run(words), 1) << console.error;
  EXPECT_TRUE(Says("failed  2")) << console.out;
  EXPECT_EQ(There(), "bd");
  RunRecord run = Last();
  EXPECT_EQ(run.phase, RunPhase::kFailed) << console.error;
  EXPECT_EQ(run.upto, "d");
  EXPECT_TRUE(run.listed_all);
  EXPECT_EQ(run.open, std::vector<std::string>{std::string(3000, 'x')});
  ASSERT_EQ(Run({"runs", "show", "last"}), 0);
  EXPECT_TRUE(Says("failed: zz: ")) << console.out;
  // It is tried again, and what else was done is left alone.
  std::filesystem::remove(folder.file("root/a/b"));
  EXPECT_EQ(GoOn("sync", "--files-from", "names", "--resume", "last"), 1) << console.error;
  EXPECT_TRUE(Says("failed  2")) << console.out;
  EXPECT_EQ(There(), "d");
  EXPECT_EQ(Last().phase, RunPhase::kFailed);
}

// As all names of another folder would be. A move has moved those that are not there.
TEST_F(RunsOfListsTest, NoneOfTheFirstNamesIsThere) {
  std::string names;
  for (int i = 0; i < 10'300; ++i) names += "no/" + std::to_string(i) + "\n";
  WriteFile("names", names + "a\n");
  for (const std::string command : {"sync", "cp", "mv"}) {
    if (testing::kSanitized && command == "cp") continue;
    std::vector<std::string> words = {command, "--files-from", folder.file("names"),
                                      folder.file("in"), target};
    if (command != "sync") words.insert(words.begin() + 1, "-r");
    EXPECT_EQ(Run(words), command == "mv" ? 1 : 3) << command;
    EXPECT_EQ(Says("is the prefix right?"), command != "mv") << command;
    EXPECT_EQ(There(), command == "mv" ? "a" : "") << command;
  }
  // One that is there tells that it is the place that is meant.
  WriteFile("names", "b\n" + names);
  EXPECT_EQ(Run({"sync", "--files-from", folder.file("names"), folder.file("in"), target}), 1);
  EXPECT_EQ(There(), "ab");
}

// What was done again first is at the target once.
TEST_F(RunsOfListsTest, TheGuardOfARunThatGoesOnCountsTheTargetOnce) {
  const auto of_number = [](char first, int number) {
    return first + std::to_string(100 + number);
  };
  for (const char* name : {"a", "b", "c", "d"}) {
    std::filesystem::remove(folder.file(std::string("in/") + name));
  }
  for (int i = 0; i < 65; ++i) {
    WriteFile("root/a/" + of_number('n', i), "as it was");
    WriteFile("in/" + of_number('n', i), "now");
  }
  for (int i = 0; i < 35; ++i) WriteFile("root/a/" + of_number('x', i), "only there");
  const std::string id = Killed("sync", "", "", [&](RunJournal& journal) {
    for (int i = 0; i < 65; ++i) journal.Failed(of_number('n', i), "denied");
  });
  EXPECT_EQ(Run({"sync", "--delete", "--max-delete-percent", "30", "--resume", id,
                 folder.file("in"), target}),
            12)
      << console.out;
  EXPECT_TRUE(Says("35 of 100 objects")) << console.error;
  EXPECT_TRUE(std::filesystem::exists(folder.file("root/a/x100")));
  EXPECT_EQ(ReadFile("root/a/n100"), "now");
}

}  // namespace
}  // namespace longhaul
