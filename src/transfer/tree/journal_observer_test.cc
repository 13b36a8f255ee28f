#include "transfer/tree/journal_observer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <climits>

#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "transfer/tree/named_objects.h"

namespace longhaul {
namespace {

using testing::FakeState;
using testing::FakeStateBackend;
using testing::FakeWorld;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

constexpr int kObjects = 300;

std::string NameOfNumber(int number) {
  std::string digits = std::to_string(number);
  return "n" + std::string(6 - digits.size(), '0') + digits;
}

// Writes take a while, some fail for good. With `looking` looks do, too.
class SlowWrites : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view key) override {
    Fault fault;
    if (looking && operation == StoreOperation::kHead) {
      fault.delay = std::chrono::milliseconds(random_.Below(20'000));
    }
    if (operation != StoreOperation::kPut) return fault;
    fault.delay = std::chrono::milliseconds(random_.Below(8000));
    if (++puts > puts_max) {
      fault.error = Error{.kind = ErrorKind::kDenied, .message = "expired", .code = "ExpiredToken"};
    }
    if (failing && key.ends_with("7")) {
      fault.error = Error{.kind = ErrorKind::kInvalidInput, .message = "refused"};
    }
    return fault;
  }
  bool failing = true;
  bool looking = false;
  int puts_max = INT_MAX;
  int puts = 0;

 private:
  SeededRandom random_{5};
};

class JournalObserverTest : public ::testing::Test {
 protected:
  JournalObserverTest() {
    from->buckets["from"];
    to->buckets["to"];
    MemoryStore store(world.runtime, from);
    for (int i = 0; i < kObjects; ++i) {
      EXPECT_TRUE(
          world.Run(PutText(store, {.bucket = "from", .key = "in/" + NameOfNumber(i)}, "text")));
    }
  }

  // Whoever takes the run over now does again what is open or failed, and what comes behind.
  void ExpectAllElseIsThere() {
    FakeState state(world.runtime, rows);
    Runs runs(world.runtime, state);
    Result<RunRecord> run = world.Run(runs.Find("last"));
    ASSERT_TRUE(run);
    Result<std::vector<RunFailure>> failures = world.Run(runs.Failures(run->id, "", 1000));
    ASSERT_TRUE(failures);
    std::set<std::string> excepted(run->open.begin(), run->open.end());
    for (const RunFailure& failure : *failures) excepted.insert(failure.name);
    for (int i = 0; i < kObjects && NameOfNumber(i) <= run->upto; ++i) {
      if (excepted.contains(NameOfNumber(i))) continue;
      const auto* there = to->Find("to", "out/" + NameOfNumber(i));
      EXPECT_TRUE(there != nullptr && *there->bytes == "text")
          << NameOfNumber(i) << " is called done and is not";
    }
  }

  asio::awaitable<void> Sync(RunJournal& journal, Event* stop, Result<void>& result, bool& done,
                             SyncOptions options = {}) {
    MemoryStore source(world.runtime, from);
    MemoryStore target(world.runtime, to, &writes);
    JournalObserver observer(journal);
    SyncTotals totals;
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
    options.in_flight = 16;
    options.copy.stop = stop;
    result = co_await SyncTrees(world.runtime, {.store = source, .bucket = "from", .prefix = "in/"},
                                {.store = target, .bucket = "to", .prefix = "out/"}, *left,
                                right.get(), options, observer, totals);
    co_await left->Close();
    co_await right->Close();
    done = true;
  }

  FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> from = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> to = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<FakeStateBackend> rows = std::make_shared<FakeStateBackend>();
  SlowWrites writes;
};

// Of a history each version is told: the first that is there is not the last.
TEST_F(JournalObserverTest, AHistoryIsDoneAtItsEnd) {
  FakeState state(world.runtime, rows);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  JournalObserver observer(**journal, true);
  const ListedObject version{.key = "a"};
  const SyncStep step{.name = "a", .source = &version};
  observer.OnLooking(step);
  observer.OnSkipped(step);
  ASSERT_TRUE(world.Run((*journal)->Checkpoint()));
  EXPECT_EQ((*journal)->record().open, std::vector<std::string>{"a"});
  observer.OnChosen(step);
  observer.OnCopied(step, {});
  ASSERT_TRUE(world.Run((*journal)->Checkpoint()));
  EXPECT_EQ((*journal)->record().open, std::vector<std::string>{"a"});
  observer.OnEnded(step);
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "killed")));
  EXPECT_TRUE((*journal)->record().open.empty());
  EXPECT_EQ((*journal)->record().upto, "a");
  EXPECT_EQ((*journal)->counts().copied, 1U);
}

// A list tells it before it gives its first name: whoever took the run over would go on behind it.
TEST_F(JournalObserverTest, WhatAListLacksStandsForNothingElse) {
  FakeState state(world.runtime, rows);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  JournalObserver observer(**journal);
  observer.OnNotThere("z", NotFound("no such object"));
  observer.OnLooking({.name = "a"});
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "killed")));
  EXPECT_EQ((*journal)->record().upto, "a");
  EXPECT_EQ((*journal)->counts().failed, 1U);
}

// A name that is called done before its copy is durable would be left out after a kill.
TEST_F(JournalObserverTest, NothingIsCalledDoneBeforeItIs) {
  FakeState state(world.runtime, rows);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  Event stop;
  Result<void> result;
  bool done = false;
  world.Start(Sync(**journal, &stop, result, done));
  for (int second = 0; second < 3000 && !done; ++second) {
    world.Run(world.clock.Sleep(std::chrono::seconds(1)));
    ExpectAllElseIsThere();
    if (HasFailure()) break;
  }
  world.Drive([&] { return done; });
  EXPECT_TRUE(result) << result.error().Describe();
  EXPECT_EQ((*journal)->counts().copied, 270U);
  EXPECT_EQ((*journal)->counts().failed, 30U);
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kFailed, "")));
  FakeState after(world.runtime, rows);
  EXPECT_EQ(
      world.Run(Runs(world.runtime, after).Failures((*journal)->record().id, "", 1000))->size(),
      30U);
}

// What is stopped in the middle stays open.
TEST_F(JournalObserverTest, WhatIsStoppedStaysOpen) {
  FakeState state(world.runtime, rows);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  Event stop;
  Result<void> result;
  bool done = false;
  world.Start(Sync(**journal, &stop, result, done));
  world.Run(world.clock.Sleep(std::chrono::seconds(20)));
  stop.Set();
  world.Drive([&] { return done; });
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "")));
  ExpectAllElseIsThere();
}

// A token that expires ends the run: whoever takes it over lists what is behind.
TEST_F(JournalObserverTest, WhatAStoreEndsHasNotListedAll) {
  writes.failing = false;
  writes.puts_max = 100;
  FakeState state(world.runtime, rows);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  Event stop;
  Result<void> result;
  bool done = false;
  world.Start(Sync(**journal, &stop, result, done));
  world.Drive([&] { return done; });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, "ExpiredToken");
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "")));
  EXPECT_FALSE((*journal)->record().listed_all);
  ExpectAllElseIsThere();
}

class LooksTest : public JournalObserverTest {
 protected:
  LooksTest() {
    writes.failing = false;
    writes.looking = true;
    MemoryStore store(world.runtime, to);
    for (int i = 0; i < kObjects; ++i) {
      EXPECT_TRUE(
          world.Run(PutText(store, {.bucket = "to", .key = "out/" + NameOfNumber(i)}, "rots")));
    }
  }
};

// What is being looked at may have to be copied: it is not done when a kill comes.
TEST_F(LooksTest, WhatIsBeingLookedAtIsNotDone) {
  FakeState state(world.runtime, rows);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  Event stop;
  Result<void> result;
  bool done = false;
  world.Start(Sync(**journal, &stop, result, done, {.compare = {.checksum = true}}));
  for (int second = 0; second < 3000 && !done; ++second) {
    world.Run(world.clock.Sleep(std::chrono::seconds(1)));
    ExpectAllElseIsThere();
    if (HasFailure()) break;
  }
  world.Drive([&] { return done; });
  EXPECT_TRUE(result) << result.error().Describe();
  EXPECT_EQ((*journal)->counts().copied, 300U);
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kDone, "")));
  EXPECT_TRUE((*journal)->record().open.empty());
}

// Nor when a limit ends the run.
TEST_F(LooksTest, WhatWasLookedAtBehindALimitIsNotDone) {
  FakeState state(world.runtime, rows);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  Event stop;
  Result<void> result;
  bool done = false;
  world.Start(
      Sync(**journal, &stop, result, done, {.compare = {.checksum = true}, .bytes_max = 400}));
  world.Drive([&] { return done; });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, kLimitCode);
  EXPECT_EQ((*journal)->counts().copied, 100U);
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "")));
  EXPECT_FALSE((*journal)->record().open.empty());
  ExpectAllElseIsThere();
}

TEST_F(JournalObserverTest, NamedObjectsAreThoseThatAreThere) {
  MemoryStore store(world.runtime, from);
  std::vector<std::string> names = {"a", NameOfNumber(3), NameOfNumber(99), "z"};
  std::unique_ptr<Listing> listing = OpenNamedObjects(world.runtime, store, "from", "in/", names);
  std::vector<std::string> found;
  while (true) {
    Result<std::optional<ListedObject>> object = world.Run(listing->Next());
    ASSERT_TRUE(object);
    if (!*object) break;
    found.push_back((*object)->key);
    EXPECT_EQ((*object)->size_bytes, 4U);
  }
  world.Run(listing->Close());
  EXPECT_EQ(found, (std::vector<std::string>{"in/" + NameOfNumber(3), "in/" + NameOfNumber(99)}));
}

// Else whoever does names again would take what was begun and has not ended for what is gone.
TEST_F(JournalObserverTest, WhatIsBegunIsTold) {
  FakeState state(world.runtime, rows);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  JournalObserver observer(**journal, true);
  std::string told;
  observer.set_on_told([&told](std::string_view name) { told += name; });
  observer.OnLooking({.name = "a"});
  observer.OnChosen({.name = "b"});
  EXPECT_EQ(told, "ab");
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "")));
  EXPECT_EQ((*journal)->record().open, (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace longhaul
