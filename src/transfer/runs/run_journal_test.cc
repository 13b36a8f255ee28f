#include "transfer/runs/run_journal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::FakeFaults;
using testing::FakeState;
using testing::FakeStateBackend;
using testing::FakeWorld;

std::string NameOfNumber(int number) {
  std::string digits = std::to_string(number);
  return "n" + std::string(6 - digits.size(), '0') + digits;
}

class RunJournalTest : public ::testing::Test {
 protected:
  RunRecord Found(const std::string& id = "last") {
    FakeState state(world.runtime, backend);
    Result<RunRecord> run = world.Run(Runs(world.runtime, state).Find(id));
    EXPECT_TRUE(run);
    return run ? std::move(*run) : RunRecord{};
  }
  // As if the process that has it were gone.
  void Orphan() {
    for (auto& [key, row] : backend->rows) {
      if (key.first != "runs") continue;
      const std::string mine = std::to_string(ThisProcess().started);
      size_t at = row.value.find("%20" + mine);
      ASSERT_NE(at, std::string::npos);
      row.value.replace(at + 3, mine.size(), "1");
    }
  }
  std::vector<std::string> FailedNames(const std::string& id) {
    FakeState state(world.runtime, backend);
    Result<std::vector<RunFailure>> failures =
        world.Run(Runs(world.runtime, state).Failures(id, "", 10'000));
    std::vector<std::string> names;
    for (const RunFailure& failure : *failures) names.push_back(failure.name);
    return names;
  }

  FakeWorld world;
  std::shared_ptr<FakeStateBackend> backend = std::make_shared<FakeStateBackend>();
};

// A list tells it before it gives any of its names: whoever took the run over would go on behind
// the last of those, and leave the others out.
TEST_F(RunJournalTest, WhatIsNotThereDoesNotStandForWhatIsBeforeIt) {
  FakeState state(world.runtime, backend);
  auto journal = world.Run(
      RunJournal::Begin(world.runtime, state,
                        {.command = "sync",
                         .listing = "names sha256:1",
                         .at = SystemTime(std::chrono::microseconds(1'700'000'000'123'456))}));
  ASSERT_TRUE(journal);
  (*journal)->NotThere("z", "there is no such object");
  (*journal)->NotThere("0", "there is no such object");
  ASSERT_TRUE(world.Run((*journal)->Checkpoint()));
  EXPECT_EQ(Found().upto, "");
  (*journal)->Started("a");
  (*journal)->Done("a");
  (*journal)->Started("b");
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "SIGTERM")));
  const RunRecord run = Found();
  EXPECT_EQ(run.upto, "b");
  EXPECT_EQ(run.open, std::vector<std::string>{"b"});
  EXPECT_EQ(FailedNames(run.id), (std::vector<std::string>{"0", "z"}));
  EXPECT_EQ(run.listing, "names sha256:1");
  EXPECT_EQ(run.at, SystemTime(std::chrono::microseconds(1'700'000'000'123'456)));
}

TEST_F(RunJournalTest, TellsWhatIsDoneAndWhatIsNot) {
  FakeState state(world.runtime, backend);
  auto journal = world.Run(RunJournal::Begin(
      world.runtime, state,
      {.command = "sync", .arguments = {"a b", "s3://x/\n"}, .source = "a", .target = "b"}));
  ASSERT_TRUE(journal);
  (*journal)->Passed("a");
  (*journal)->Started("b");
  (*journal)->Started("c");
  (*journal)->Started("d");
  (*journal)->Skipped("e");
  (*journal)->Done("c");
  (*journal)->Failed("d", "denied");
  (*journal)->counts().copied = 1;
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "SIGTERM")));
  RunRecord run = Found((*journal)->record().id.substr(0, 12));
  EXPECT_EQ(run.upto, "e");
  EXPECT_EQ(run.open, std::vector<std::string>{"b"});
  EXPECT_EQ(FailedNames(run.id), std::vector<std::string>{"d"});
  EXPECT_EQ(run.phase, RunPhase::kStopped);
  EXPECT_EQ(run.reason, "SIGTERM");
  EXPECT_EQ(run.arguments, (std::vector<std::string>{"a b", "s3://x/\n"}));
  EXPECT_EQ(run.counts.copied, 1U);

  // What is done again and works has not failed any more.
  auto again = world.Run(RunJournal::Resume(world.runtime, state, run));
  ASSERT_TRUE(again) << again.error().Describe();
  (*again)->set_redoing(true);
  for (const char* name : {"b", "d"}) {
    (*again)->Started(name);
    (*again)->Done(name);
  }
  (*again)->set_redoing(false);
  (*again)->Started("f");
  (*again)->Done("f");
  ASSERT_TRUE(world.Run((*again)->Finish(RunPhase::kDone, "")));
  run = Found();
  EXPECT_EQ(run.upto, "f");
  EXPECT_TRUE(run.open.empty());
  EXPECT_TRUE(FailedNames(run.id).empty());
}

// What is durable only after a while: a machine may go down, and the journal outlive the copies.
class HeldNamesTest : public RunJournalTest {
 protected:
  HeldNamesTest() {
    auto begun = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
    EXPECT_TRUE(begun);
    journal = std::move(*begun);
    journal->set_make_durable([this] { return MakeDurable(); });
  }
  ~HeldNamesTest() override {
    may_end.Set();
    if (journal) EXPECT_TRUE(world.Run(journal->Finish(RunPhase::kStopped, "")));
  }
  Async<void> MakeDurable() {
    ++calls;
    if (hangs) co_await may_end.Wait();
    if (fails) co_return Retryable("the disk");
    co_return Ok();
  }
  void Do(std::string_view name) {
    journal->Started(name);
    journal->Done(name);
  }
  void RunFor(std::chrono::nanoseconds time) {
    const SteadyTime end = world.clock.SteadyNow() + time;
    auto timer = world.clock.StartTimer(time, [] {});
    world.Drive([&] { return world.clock.SteadyNow() >= end; });
  }
  RunRecord Written() {
    EXPECT_TRUE(world.Run(journal->Checkpoint()));
    return Found();
  }

  FakeState state{world.runtime, backend};
  std::unique_ptr<RunJournal> journal;
  Event may_end;
  int calls = 0;
  bool hangs = false;
  bool fails = false;
};

TEST_F(HeldNamesTest, AreLookedAtAgainUntilTheyAreDurable) {
  for (const char* name : {"a", "b", "c"}) Do(name);
  journal->Started("d");
  journal->ListedAll();
  RunRecord run = Written();
  EXPECT_EQ(run.upto, "a");
  EXPECT_FALSE(run.listed_all);
  EXPECT_EQ(run.open, (std::vector<std::string>{"a", "d"}));
  RunFor(std::chrono::seconds(6));
  EXPECT_EQ(calls, 1);
  run = Written();
  EXPECT_EQ(run.upto, "d");
  EXPECT_TRUE(run.listed_all);
  EXPECT_EQ(run.open, (std::vector<std::string>{"d"}));
}

TEST_F(HeldNamesTest, WhatIsDoneMeanwhileIsForTheNextTime) {
  hangs = true;
  Do("b");
  RunFor(std::chrono::seconds(6));
  ASSERT_EQ(calls, 1);
  Do("c");
  EXPECT_EQ(Written().upto, "b");
  hangs = false;
  may_end.Set();
  RunFor(std::chrono::seconds(1));
  EXPECT_EQ(Written().upto, "c");
  RunFor(std::chrono::seconds(6));
  EXPECT_TRUE(Written().open.empty());
}

// The next time the operating system would say that all is well, and the run be done.
TEST_F(HeldNamesTest, ADiskThatHasFailedIsNotAskedAgain) {
  fails = true;
  Do("b");
  RunFor(std::chrono::seconds(6));
  fails = false;
  Do("a");
  Do("c");
  RunFor(std::chrono::seconds(20));
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(journal->not_durable());
  EXPECT_TRUE(journal->has_open());
  EXPECT_EQ(Written().upto, "a");
  ASSERT_TRUE(world.Run(journal->Finish(RunPhase::kDone, "")));
  EXPECT_EQ(Found().phase, RunPhase::kStopped);
  EXPECT_NE(Found().reason.find("the disk"), std::string::npos) << Found().reason;
  EXPECT_EQ(Found().upto, "a");
  journal.reset();
}

// Its row says that it has failed until then.
TEST_F(HeldNamesTest, WhatWorksAtLastHasFailedUntilItIsDurable) {
  journal->Failed("a", "denied");
  const std::string id = Written().id;
  ASSERT_EQ(FailedNames(id), (std::vector<std::string>{"a"}));
  journal->set_redoing(true);
  Do("a");
  journal->set_redoing(false);
  Written();
  EXPECT_EQ(FailedNames(id), (std::vector<std::string>{"a"}));
  RunFor(std::chrono::seconds(6));
  Written();
  EXPECT_TRUE(FailedNames(id).empty());
}

// Nobody goes on with a run that is done: it need not wait for the disk.
TEST_F(HeldNamesTest, ARunThatIsDoneHoldsNone) {
  Do("a");
  ASSERT_TRUE(world.Run(journal->Finish(RunPhase::kDone, "")));
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(Found().open.empty());
  EXPECT_EQ(Found().upto, "a");
  journal.reset();
}

// What failed is done again, and nothing else is looked at.
TEST_F(HeldNamesTest, ARunThatHasFailedWaitsForTheDisk) {
  Do("a");
  journal->Failed("b", "denied");
  ASSERT_TRUE(world.Run(journal->Finish(RunPhase::kFailed, "")));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(Found().upto, "b");
  EXPECT_EQ(Found().phase, RunPhase::kFailed);
  journal.reset();
}

TEST_F(HeldNamesTest, WhatIsSkippedMayHaveBeenWrittenAMomentAgo) {
  journal->Skipped("a");
  journal->Skipped("b");
  EXPECT_EQ(Written().upto, "a");
  RunFor(std::chrono::seconds(6));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(Written().upto, "b");
}

TEST_F(HeldNamesTest, ARunThatIsStoppedHoldsThem) {
  Do("a");
  Do("b");
  ASSERT_TRUE(world.Run(journal->Finish(RunPhase::kStopped, "SIGTERM")));
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(Found().upto, "a");
  EXPECT_EQ(Found().open, (std::vector<std::string>{"a"}));
  journal.reset();
}

// A run that two processes work on would be told of by neither rightly.
TEST_F(RunJournalTest, OneProcessAtATime) {
  FakeState state(world.runtime, backend);
  auto first = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(first);
  auto second = world.Run(RunJournal::Resume(world.runtime, state, Found()));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kPrecondition);
  Result<void> forgotten = world.Run(Runs(world.runtime, state).Forget(Found()));
  EXPECT_EQ(forgotten.error().kind, ErrorKind::kPrecondition);

  Orphan();  // Its process is thought to be gone, while it is not.
  second = world.Run(RunJournal::Resume(world.runtime, state, Found()));
  ASSERT_TRUE(second) << second.error().Describe();
  EXPECT_FALSE((*second)->lost().is_set());
  ASSERT_TRUE(world.Run((*second)->Finish(RunPhase::kDone, "")));
  EXPECT_FALSE(world.Run((*first)->Finish(RunPhase::kDone, "")));
  EXPECT_TRUE((*first)->lost().is_set());
}

// Whatever moment the process dies at: each name is done at the target, or the journal does not say
// that it is.
TEST_F(RunJournalTest, NothingIsCalledDoneThatIsNot) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    backend->rows.clear();
    FakeFaults faults(seed);
    faults.fails_before = 0.1;
    faults.fails_after = 0.1;
    faults.slow = 0.5;
    faults.delay_max = std::chrono::seconds(3);
    FakeState state(world.runtime, backend, &faults);
    SeededRandom random(seed);
    auto begun = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
    if (!begun) continue;
    RunJournal& journal = **begun;
    std::set<std::string> in_flight;
    std::set<std::string> durable;
    std::set<std::string> failed;
    auto settle_one = [&] {
      auto at = in_flight.begin();
      std::advance(at, static_cast<ptrdiff_t>(random.Below(in_flight.size())));
      if (random.Below(10) == 0) {
        failed.insert(*at);
        journal.Failed(*at, "it failed");
      } else {
        durable.insert(*at);
        journal.Done(*at);
      }
      in_flight.erase(at);
    };
    auto look = [&](int begun_until) {
      // What another process would find now.
      FakeState other(world.runtime, backend);
      Result<RunRecord> run = world.Run(Runs(world.runtime, other).Find("last"));
      if (!run) return;
      std::vector<std::string> failures = FailedNames(run->id);
      std::set<std::string> excepted(failures.begin(), failures.end());
      excepted.insert(run->open.begin(), run->open.end());
      for (int i = 0; i < begun_until && NameOfNumber(i) <= run->upto; ++i) {
        if (excepted.contains(NameOfNumber(i))) continue;
        EXPECT_TRUE(durable.contains(NameOfNumber(i))) << "seed " << seed << " name " << i;
      }
    };
    for (int i = 0; i < 300; ++i) {
      journal.Started(NameOfNumber(i));
      in_flight.insert(NameOfNumber(i));
      if (in_flight.size() > 8) settle_one();
      if (random.Below(10) == 0) {
        world.Run(world.clock.Sleep(std::chrono::seconds(random.Below(8))));
        look(i + 1);
      }
    }
    Result<void> finished = world.Run(journal.Finish(RunPhase::kStopped, ""));
    look(300);
  }
}

// Thousands in flight must not make a row that State refuses.
TEST_F(RunJournalTest, ManyOpenNamesFit) {
  FakeState state(world.runtime, backend);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  for (int i = 0; i < 4096; ++i) (*journal)->Started(NameOfNumber(i) + std::string(900, '\n'));
  (*journal)->ListedAll();
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "")));
  RunRecord run = Found();
  EXPECT_EQ(run.open.size(), 1U);
  EXPECT_TRUE(run.open[0].starts_with(NameOfNumber(0)));
  EXPECT_EQ(run.upto, run.open[0]);
  EXPECT_FALSE(run.listed_all) << "nobody would look at the others";
}

// A failure is written before the row that has passed its name: to do it again tells nothing of the
// names before it.
TEST_F(RunJournalTest, WhatIsDoneAgainPassesNoName) {
  FakeState state(world.runtime, backend);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  (*journal)->Started("a");
  (*journal)->Done("a");
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kStopped, "")));
  auto again = world.Run(RunJournal::Resume(world.runtime, state, Found()));
  ASSERT_TRUE(again);
  (*again)->set_redoing(true);
  (*again)->Started("y");
  (*again)->Failed("y", "denied");
  (*again)->Started("z");
  (*again)->Done("z");
  (*again)->set_redoing(false);
  ASSERT_TRUE(world.Run((*again)->Finish(RunPhase::kStopped, "")));
  EXPECT_EQ(Found().upto, "a");
  EXPECT_EQ(FailedNames(Found().id), std::vector<std::string>{"y"});
}

// Journals must not grow for ever, and what is to be resumed must stay.
TEST_F(RunJournalTest, FinishedRunsAreForgottenInTime) {
  FakeState state(world.runtime, backend);
  for (int i = 0; i < 5; ++i) {
    auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
    ASSERT_TRUE(journal);
    (*journal)->Started("x");
    (*journal)->Failed("x", "why");
    ASSERT_TRUE(world.Run((*journal)->Finish(i == 0 ? RunPhase::kFailed : RunPhase::kDone, "")));
    world.clock.Advance(std::chrono::hours(1));
  }
  Runs runs(world.runtime, state);
  ASSERT_TRUE(world.Run(runs.Prune(3, std::chrono::hours(100))));
  EXPECT_EQ(world.Run(runs.All())->size(), 4U);
  ASSERT_TRUE(world.Run(runs.Prune(3, std::chrono::hours(0))));
  Result<std::vector<RunRecord>> left = world.Run(runs.All());
  ASSERT_EQ(left->size(), 1U);
  EXPECT_EQ(left->front().phase, RunPhase::kFailed);
  EXPECT_EQ(FailedNames(left->front().id).size(), 1U);
  // Of a command that nobody resumes after so long, what has failed goes as well.
  ASSERT_TRUE(world.Run(runs.Prune(3, std::chrono::hours(0), "cp")));
  ASSERT_TRUE(world.Run(runs.Prune(3, std::chrono::hours(100), "sync")));
  EXPECT_EQ(world.Run(runs.All())->size(), 1U);
  ASSERT_TRUE(world.Run(runs.Prune(3, std::chrono::hours(0), "sync")));
  EXPECT_TRUE(backend->rows.empty());
}

// Names that no row can have stay open; of many of them all is looked at again from the first on.
TEST_F(RunJournalTest, NamesThatAreTooLongForARow) {
  FakeState state(world.runtime, backend);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  for (char c : {'k', 'l', 'm', 'n'}) (*journal)->Failed(std::string(3000, c), "too long");
  (*journal)->Failed("p", "denied");
  (*journal)->Started("q");
  ASSERT_TRUE(world.Run((*journal)->Checkpoint()));
  RunRecord run = Found();
  EXPECT_EQ(run.upto, "q");
  EXPECT_EQ(run.open.size(), 5U);
  EXPECT_EQ(FailedNames(run.id), std::vector<std::string>{"p"});
  (*journal)->Done("q");
  (*journal)->Failed(std::string(3000, 's'), "too long");
  (*journal)->Failed(std::string(3000, 'r'), "too long");
  (*journal)->Passed("z");
  (*journal)->ListedAll();
  EXPECT_TRUE((*journal)->has_open());
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kFailed, "")));
  run = Found();
  EXPECT_EQ(run.upto, std::string(3000, 'r'));
  EXPECT_EQ(run.open.back(), std::string(3000, 'r'));
  EXPECT_EQ(run.open.size(), 5U);
  EXPECT_FALSE(run.listed_all);

  auto again = world.Run(RunJournal::Resume(world.runtime, state, run));
  ASSERT_TRUE(again) << again.error().Describe();
  (*again)->set_redoing(true);
  for (const std::string& name : run.open) (*again)->Done(name);
  (*again)->Done("p");
  (*again)->set_redoing(false);
  EXPECT_FALSE((*again)->has_open());
  ASSERT_TRUE(world.Run((*again)->Finish(RunPhase::kDone, "")));
  EXPECT_TRUE(FailedNames(run.id).empty());
}

// Refuses the row of "m" for what it is.
class RefusingState : public FakeState {
 public:
  using FakeState::FakeState;
  Async<std::vector<Result<int64_t>>> WriteMany(std::string partition,
                                                std::vector<StateWrite> writes) override {
    const auto refused = std::ranges::find(writes, "m", &StateWrite::key);
    if (refused == writes.end()) co_return co_await FakeState::WriteMany(partition, writes);
    const auto place = refused - writes.begin();
    writes.erase(refused);
    auto written = co_await FakeState::WriteMany(partition, std::move(writes));
    if (!written) co_return written.error();
    written->insert(written->begin() + place, Result<int64_t>(InvalidInput("no such row")));
    co_return written;
  }
};

TEST_F(RunJournalTest, ARowThatIsRefusedKeepsNothingElse) {
  RefusingState state(world.runtime, backend);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  for (const char* name : {"l", "m", "n"}) (*journal)->Failed(name, "denied");
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kFailed, "")));
  const RunRecord run = Found();
  EXPECT_EQ(run.upto, "n");
  EXPECT_EQ(run.open, std::vector<std::string>{"m"});
  EXPECT_EQ(FailedNames(run.id), (std::vector<std::string>{"l", "n"}));
}

// A list of a wrong place must not fill State. What has no row is asked for again.
TEST_F(RunJournalTest, NamesThatAreNotThereHaveSoManyRowsAndNoMore) {
  FakeState state(world.runtime, backend);
  auto journal = world.Run(RunJournal::Begin(world.runtime, state, {.command = "sync"}));
  ASSERT_TRUE(journal);
  const int rows = static_cast<int>(RunJournal::kNotThereRowsMax);
  (*journal)->NotThere("nothing", "there is no such object");
  for (int i = 0; i < rows + 5; ++i) (*journal)->NotThere(NameOfNumber(i), "no such object");
  ASSERT_TRUE(world.Run((*journal)->Checkpoint()));
  EXPECT_EQ(Found().upto, "");
  (*journal)->Started("a");
  (*journal)->Done("a");
  (*journal)->Started("z");
  (*journal)->Done("z");
  (*journal)->ListedAll();
  ASSERT_TRUE(world.Run((*journal)->Finish(RunPhase::kFailed, "")));
  RunRecord run = Found();
  EXPECT_EQ(run.upto, NameOfNumber(rows - 1));
  EXPECT_EQ(run.open, std::vector<std::string>{NameOfNumber(rows - 1)});
  EXPECT_FALSE(run.listed_all);
  // Before the rows that are there.
  const auto failed = static_cast<size_t>(std::ranges::count_if(
      backend->rows, [](const auto& row) { return row.first.first.starts_with("run-failed/"); }));
  EXPECT_EQ(failed, RunJournal::kNotThereRowsMax);

  // Those that are done again keep their rows, and there are no more of them then either.
  auto again = world.Run(RunJournal::Resume(world.runtime, state, run));
  ASSERT_TRUE(again) << again.error().Describe();
  (*again)->set_redoing(true);
  for (int i = 0; i < rows; ++i) (*again)->NotThere(NameOfNumber(i), "no such object");
  (*again)->set_redoing(false);
  (*again)->NotThere(NameOfNumber(rows + 1), "no such object");
  (*again)->Passed("z");
  ASSERT_TRUE(world.Run((*again)->Finish(RunPhase::kFailed, "")));
  EXPECT_EQ(Found().upto, NameOfNumber(rows + 1));
}

}  // namespace
}  // namespace longhaul
