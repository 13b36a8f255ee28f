// What a start of a run adds, of which prefixes, and what its row says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "migration/finder.h"
#include "migration/scope.h"
#include "tests/support/migration_fixture.h"

namespace longhaul {
namespace {

using migration::RunStatus;
using ::testing::ElementsAre;
using testing::FakeFaults;
using testing::FakeQueue;
using testing::FakeState;
using ::testing::IsEmpty;
using testing::MemoryStore;
using testing::MigrationTest;
using testing::MigrationWorld;
using testing::StoreOperation;

// A second start compares anew and carries what is new; what is there costs no request of its own.
TEST_F(MigrationTest, SecondStartCarriesOnlyWhatIsNew) {
  Fill(30);
  ASSERT_TRUE(world.Start());
  auto& first = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !first.running; }));
  world.PutSource("new", "x");
  world.target->ResetCounts();
  ASSERT_TRUE(world.Start());
  auto& second = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !second.running; }));
  ExpectDone();
  EXPECT_EQ(world.target->count(StoreOperation::kPut), 1);
  EXPECT_EQ(world.Status().done.copied, 1);
  EXPECT_EQ(world.Status().there_before, 30);
}

// Starting while a run is under way adds what is missing, and never refuses.
TEST_F(MigrationTest, StartWhileUnderWayAdds) {
  Fill(60);
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(world.Start());  // Nothing has begun: nothing to add.
  EXPECT_EQ(world.Status().finds.size(), 1U);
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.AtTarget().size() >= 5; }));
  world.PutSource("0/added", "late");  // Before where the comparison is by now.
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone();
}

// A worker that has looked at the runs a moment ago works by what the last start has asked for.
TEST_F(MigrationTest, WhatTheLastStartAsksForIsDone) {
  Fill(20);
  world.PutSource("new.log", "text");
  const MigrationOptions all = world.migration.options;
  ASSERT_TRUE(world.migration.options.filter.AddText("include *.log"));
  ASSERT_TRUE(world.Start());
  world.StartWorker({.refresh = std::chrono::hours(1)});
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.AtTarget().size(), 1U);
  world.migration.options = all;
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone();
  // What is newer at the target by now is left alone.
  world.PutSource("0/1", "changed");
  world.base.clock.Advance(std::chrono::minutes(1));
  MemoryStore target(world.base.runtime, world.target);
  ASSERT_TRUE(world.Run(PutText(target, {.bucket = "to", .key = "out/0/1"}, "newer")));
  world.migration.options.compare.update = true;
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.AtTarget()["0/1"], "newer");
}

// Another one of the same name goes where that one leads.
TEST_F(MigrationTest, AForgottenRunLeadsNoTaskElsewhere) {
  Fill(3);
  ASSERT_TRUE(world.Start());
  world.StartWorker({.refresh = std::chrono::hours(1)});
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ASSERT_TRUE(world.Forget());
  world.PutSource("0/1", "changed");
  world.migration.target.prefix = "elsewhere/";
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.AtTarget()["0/1"], "object 1");
  EXPECT_EQ(MigrationWorld::Contents(*world.target, "to", "elsewhere/"), world.AtSource());
}

// Whoever begins with a find has read the run before, and a start meanwhile has seen that nobody
// has begun: it asks for no other find.
TEST_F(MigrationTest, AFindIsComparedAsTheRunSaysWhenItBegins) {
  Fill(5);
  FakeState rows(world.base.runtime, world.state);
  FakeQueue queue(world.base.runtime, world.queue);
  MemoryStore source(world.base.runtime, world.source);
  MemoryStore target(world.base.runtime, world.target);
  const MigrationOptions all = world.migration.options;
  ASSERT_TRUE(world.migration.options.filter.AddText("include *.log"));
  Result<migration::Run> before = world.Start();
  ASSERT_TRUE(before);
  world.migration.options = all;
  ASSERT_TRUE(world.Start());
  ASSERT_EQ(world.Status().finds.size(), 1U);
  migration::TaskBoard board(world.base.runtime, queue, rows, "one");
  migration::Finder finder(world.base.runtime, queue, rows, board, {});
  Event stop;
  bool listing_failed = false;
  const migration::Ends ends{.source = &source, .target = &target};
  ASSERT_TRUE(world.Run(
      finder.Work(*before, ends, world.Status().finds.front().id, stop, &listing_failed)));
  EXPECT_EQ(world.Status().pending, 5);
}

// Of what a start asks for, nothing is there before it has said how.
TEST_F(MigrationTest, OptionsAreThereBeforeTheFindsOfAStart) {
  bool whole = false;
  for (int64_t step = 1; !whole; ++step) {
    MigrationWorld one;
    ASSERT_TRUE(one.Start({"1/"}));
    one.migration.options.compare.checksum = true;
    FakeFaults faults(1);
    faults.fail_before_at = step;
    FakeState broken(one.base.runtime, one.state, &faults);
    const std::unique_ptr<Queue> client = one.OpenQueue(one.base.runtime);
    Result<migration::Run> started = one.Run(migration::StartRun(
        one.base.runtime, *client, broken, {.migration = one.migration, .prefixes = {"0/"}}));
    whole = started.has_value();
    const RunStatus status = one.Status();
    if (status.finds.size() > 1) {
      EXPECT_TRUE(status.run.options.compare.checksum) << step;
    }
  }
}

TEST_F(MigrationTest, PrefixesAreComparedSideBySide) {
  Fill(50);
  world.PutSource("other", "x");
  ASSERT_TRUE(world.Start({"0/", "1/", "1/1", "4/"}));
  EXPECT_EQ(world.Status().finds.size(), 3U);  // "1/1" lies in "1/".
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  EXPECT_EQ(world.AtTarget().size(), 30U);
  EXPECT_THAT(world.Leftovers(), IsEmpty());
}

// A prefix with which no name begins is told; one of which the filter leaves nothing is none.
TEST_F(MigrationTest, PrefixesOfNothingAreTold) {
  Fill(20);
  ASSERT_TRUE(world.migration.options.filter.AddRule("- 1/**", "rule"));
  ASSERT_TRUE(world.Start({"0/", "1/", "/0/", "9"}));
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  const RunStatus status = world.Status();
  EXPECT_THAT(status.nothing_below, ElementsAre("/0/", "9"));
  EXPECT_EQ(status.empty_prefixes, 2);
  EXPECT_EQ(status.done.copied, 10);
}

// What verifying a run is of: all that any start of it was for. Less, and what was lost since would
// be called sound.
TEST_F(MigrationTest, TheScopeOfARunOutlivesItsStarts) {
  Fill(40);
  FakeState rows(world.base.runtime, world.state);
  const auto scope = [&] {
    Result<std::vector<std::string>> prefixes =
        world.Run(migration::ScopeOf(rows, world.Status().run));
    EXPECT_TRUE(prefixes);
    return *prefixes;
  };
  const auto carry = [&](std::vector<std::string> prefixes) {
    ASSERT_TRUE(world.Start(std::move(prefixes)));
    auto& process = world.StartWorker({.until_done = {"run"}});
    ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  };
  carry({"0/", "2/"});
  EXPECT_THAT(scope(), ElementsAre("0/", "2/"));
  carry({"1/"});
  EXPECT_THAT(scope(), ElementsAre("0/", "1/", "2/"));
  carry({"0/1"});
  carry({"2/", "1/"});
  EXPECT_THAT(scope(), ElementsAre("0/", "1/", "2/"));
  std::vector<std::string> keys;
  MemoryStore store(world.base.runtime, world.source);
  std::unique_ptr<Listing> listing =
      migration::OpenScope(world.base.runtime, store, "from", "in/", {"1/11", "2/", "9", "3/"});
  while (true) {
    Result<std::optional<ListedObject>> next = world.Run(listing->Next());
    ASSERT_TRUE(next);
    if (!*next) break;
    keys.push_back((*next)->key);
  }
  EXPECT_EQ(keys.size(), 21U);
  EXPECT_EQ(keys.front(), "in/1/11");
  EXPECT_EQ(keys.back(), "in/3/39");
  carry({});
  EXPECT_THAT(scope(), ElementsAre(""));
  carry({"1/"});
  EXPECT_THAT(scope(), ElementsAre(""));
  ASSERT_TRUE(world.Forget());
  EXPECT_EQ(
      std::ranges::count_if(world.state->rows,
                            [](const auto& row) { return row.first.second.starts_with("scope/"); }),
      0);
}

// Of two starts of a finished run at one time the later one takes the finds of the other for those
// of before. What they were for is compared all the same.
TEST_F(MigrationTest, AFindWhoseRowIsGoneIsMadeAnew) {
  Fill(40);
  ASSERT_TRUE(world.Start({"1/"}));
  std::erase_if(world.state->rows,
                [](const auto& row) { return row.first.second.starts_with("find/"); });
  ASSERT_TRUE(world.Start({"0/"}));
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  EXPECT_EQ(world.AtTarget().size(), 20U);
  EXPECT_EQ(world.Status().listed, 20);
  EXPECT_THAT(world.Leftovers(), IsEmpty());
}

// A finder that stood still for longer than its claim has made a task while another one gathered
// more: what is in no task then must be found by whoever comes next. Or that task is done already.
TEST_F(MigrationTest, ATaskOfAnotherFinderEndsWhereThatOneSays) {
  for (const bool done : {false, true}) {
    MigrationWorld one;
    for (int i = 0; i < 25; ++i) one.PutSource("k" + std::to_string(100 + i), "text");
    ASSERT_TRUE(one.Start());
    class Rival : public testing::FaultPlan {
     public:
      testing::Fault Next(testing::StoreOperation operation, std::string_view,
                          std::string_view) override {
        if (operation == testing::StoreOperation::kList) std::exchange(then, [] {})();
        return {};
      }
      std::function<void()> then;
    };
    Rival rival;
    rival.then = [&] {
      std::string id;
      for (const auto& [key, row] : one.state->rows) {
        if (key.second.starts_with("find/")) {
          id = migration::NumberedId(key.second.substr(migration::FindKey("").size()), 0);
        }
      }
      const migration::Task task{.run = "run",
                                 .id = id,
                                 .objects = {{.name = "k100", .size_bytes = 4, .etag = ""}},
                                 .until = "k100"};
      const std::string key = done ? "done/" + id : id;
      one.state->rows[{done ? migration::RowsOf("run") : migration::BodiesOf("run"), key}] = {
          .key = key,
          .value = done ? Row().Set("kind", "objects").Encode() : migration::EncodeTask(task),
          .revision = 1'000'000};
    };
    one.source_faults = &rival;
    auto& process = one.StartWorker({.until_done = {"run"}});
    ASSERT_TRUE(one.Drive([&] { return !process.running; }));
    EXPECT_EQ(one.AtTarget(), one.AtSource()) << done;
    EXPECT_EQ(one.Status().failed, 0);
  }
}

// What a run is, and what it leaves out, is the same for every process that reads its row.
TEST_F(MigrationTest, RunIsReadAsItWasWritten) {
  MigrationOptions& options = world.migration.options;
  ASSERT_TRUE(options.filter.AddText("- tmp/**"));
  ASSERT_TRUE(options.filter.AddText("include *.log"));
  options.filter.size_bytes_min = 0;
  options.filter.size_bytes_max = 1ULL << 40;
  options.filter.modified_after = world.base.clock.Now();
  options.compare.checksum = true;
  options.compare.window = std::chrono::milliseconds(1500);
  options.events = true;
  options.storage_class = "STANDARD_IA";
  Result<migration::Run> run = world.Start();
  ASSERT_TRUE(run);
  FakeState rows(world.base.runtime, world.state);
  migration::RunBook book(world.base.runtime, rows);
  Result<std::optional<migration::Run>> read = world.Run(book.Find("run"));
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->options, options);
}

// What is yet to be compared waits in the same queue as tasks do: those who compare must not wait
// for it to become less.
TEST_F(MigrationTest, ManyPrefixesLeaveRoomForTasks) {
  std::vector<std::string> prefixes;
  for (int i = 0; i < 20; ++i) {
    prefixes.push_back("p" + std::to_string(i) + "/");
    world.PutSource(prefixes.back() + "a", "text");
  }
  ASSERT_TRUE(world.Start(prefixes));
  auto& process = world.StartWorker({.until_done = {"run"}, .finder = {.tasks_waiting_max = 3}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  EXPECT_EQ(world.AtTarget(), world.AtSource());
}

}  // namespace
}  // namespace longhaul
