// What workers carry, and what becomes of a run when something fails, stops or dies. What is
// started: start_test.cc; what is taken for the same: compare_test.cc.

#include "migration/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/migration_fixture.h"
#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

using migration::RunStatus;
using testing::FakeFaults;
using testing::FakeQueue;
using testing::FakeState;
using testing::Fault;
using ::testing::IsEmpty;
using testing::KeyFault;
using testing::MigrationTest;
using testing::MigrationWorld;
using testing::StoreOperation;

TEST_F(MigrationTest, CarriesWhatIsMissingAndEnds) {
  Fill(95);
  world.PutSource("empty", "");
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  ExpectDone();
  RunStatus status = world.Status();
  EXPECT_EQ(status.state(), "finished");
  EXPECT_EQ(status.done.copied, 96);
  EXPECT_EQ(status.listed, 96);
  EXPECT_EQ(status.failed, 0);
  EXPECT_TRUE(world.queue->rows.empty());
}

// What nobody understands is kept, in lanes that are a run's own as in others: a later version may
// know what it asked for.
TEST_F(MigrationTest, AMessageThatNobodyUnderstandsBecomesADeadLetter) {
  Fill(10);
  ASSERT_TRUE(world.Start());
  FakeQueue queue(world.base.runtime, world.queue);
  std::vector<NewMessage> messages{{.body = "no task at all", .lane = "run/work"},
                                   {.body = "nor this", .lane = "run/find"}};
  ASSERT_TRUE(world.Run(queue.Send(std::move(messages), {})));
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone();
  const auto all_buried = [&] {
    return std::ranges::all_of(world.queue->rows,
                               [](const auto& row) { return row.second.buried; });
  };
  EXPECT_TRUE(world.Drive(all_buried, std::chrono::minutes(10)));
  Result<std::vector<QueueMessage>> dead = world.Run(queue.DeadLetters(10));
  ASSERT_TRUE(dead);
  ASSERT_EQ(dead->size(), 2U);
  EXPECT_EQ(dead->at(0).body, "no task at all");
  EXPECT_EQ(dead->at(0).lane, "run/work");
  EXPECT_EQ(dead->at(1).body, "nor this");
  EXPECT_EQ(dead->at(1).lane, "run/find");
  for (const QueueMessage& letter : *dead) {
    EXPECT_THAT(letter.reason,
                ::testing::StartsWith("not a message of a migration, says longhaul"));
  }
}

// Roles in processes of their own; a worker that may not find leaves comparisons alone.
TEST_F(MigrationTest, RolesInDifferentProcesses) {
  Fill(50);
  ASSERT_TRUE(world.Start());
  world.StartWorker({.finds = false});
  EXPECT_FALSE(world.Drive([&] { return world.Finished(); }, std::chrono::minutes(2)));
  EXPECT_TRUE(world.AtTarget().empty());
  world.StartWorker({.works = false});
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone();
}

// One object that cannot be read must not keep the others; it is named, with the reason, and comes
// with a retry.
TEST_F(MigrationTest, WhatFailsIsNamedAndRetried) {
  Fill(30);
  KeyFault faults;
  faults.bad_key = "in/1/17";
  faults.error = {.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
  world.source_faults = &faults;
  ASSERT_TRUE(world.Start());
  auto& first = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !first.running; }));
  EXPECT_EQ(world.AtTarget().size(), 29U);
  RunStatus status = world.Status();
  EXPECT_EQ(status.failed, 1);
  EXPECT_EQ(status.done.copied, 29);
  EXPECT_EQ(faults.calls[StoreOperation::kGet], 29 + world.migration.options.tries_max);
  std::vector<migration::ObjectStatus> objects;
  FakeState rows(world.base.runtime, world.state);
  ASSERT_TRUE(world.Run(migration::ReadObjects(rows, world.base.clock, "run", [&](const auto& one) {
    objects.push_back(one);
    return true;
  })));
  ASSERT_EQ(objects.size(), 1U);
  EXPECT_EQ(objects[0].object.name, "1/17");
  EXPECT_EQ(objects[0].object.tries, world.migration.options.tries_max);
  EXPECT_THAT(objects[0].reason, ::testing::HasSubstr("AccessDenied"));

  faults.times = 0;
  FakeQueue queue(world.base.runtime, world.queue);
  auto retried = world.Run(migration::RetryRun(world.base.runtime, queue, rows, "run"));
  ASSERT_TRUE(retried);
  EXPECT_EQ(retried->objects, 1);
  auto& second = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !second.running; }));
  ExpectDone();
  EXPECT_EQ(world.Status().failed, 0);
}

// What the target's store has not, or does not take at once, must not fail object by object.
TEST_F(MigrationTest, AStoreOfOneClassThatTakesSmallPutsGetsAll) {
  Fill(10);
  world.PutSource("large", std::string(300'000, 'l'));
  testing::MemoryStore source(world.base.runtime, world.source);
  ASSERT_TRUE(world.Run(PutText(
      source, {.bucket = "from", .key = "in/cold", .storage_class = "STANDARD_IA"}, "cold")));
  world.target->options.capabilities.storage_classes = false;
  world.target->options.capabilities.put_size_bytes_max = 100'000;
  ASSERT_TRUE(world.Start());
  auto& worker = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !worker.running; }));
  ExpectDone();
  EXPECT_EQ(world.Status().failed, 0);
}

// A try that fails costs a delay, not the object, and not the others a second copy.
TEST_F(MigrationTest, WhatPassesIsTriedAgainAlone) {
  Fill(10);
  KeyFault faults;
  faults.at = StoreOperation::kPut;
  faults.bad_key = "out/0/3";
  faults.times = 3;
  world.target_faults = &faults;
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  ExpectDone();
  EXPECT_EQ(faults.calls[StoreOperation::kPut], 13);
  EXPECT_EQ(world.Status().done.copied, 10);
}

TEST_F(MigrationTest, WhatHasGoneIsSaidSo) {
  Fill(10);
  KeyFault faults;
  faults.bad_key = "in/0/3";
  faults.error = NotFound("gone", "NoSuchKey");
  world.source_faults = &faults;
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  EXPECT_EQ(world.Status().gone, 1);
  EXPECT_EQ(world.Status().failed, 0);
}

// A bucket that is not there ends the comparison with its reason, not the worker.
TEST_F(MigrationTest, ListingThatFailsIsGivenUpWithItsReason) {
  Fill(5);
  world.target->buckets.erase("to");
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  RunStatus status = world.Status();
  ASSERT_EQ(status.finds.size(), 1U);
  EXPECT_THAT(status.finds[0].failure, ::testing::HasSubstr("NoSuchBucket"));
  world.target->buckets["to"];
  FakeState rows(world.base.runtime, world.state);
  FakeQueue queue(world.base.runtime, world.queue);
  ASSERT_TRUE(world.Run(migration::RetryRun(world.base.runtime, queue, rows, "run")));
  auto& second = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !second.running; }));
  ExpectDone();
}

// By two endpoints, or an access point: no name says that the copies would replace what is not
// copied yet.
TEST_F(MigrationTest, OneBucketUnderTwoNamesIsNotCopiedOntoItself) {
  Fill(5);
  world.PutSource("in/0", "of the same name, one level deeper");
  world.target = world.source;
  world.migration.target = {.store = "b", .bucket = "from", .prefix = ""};
  const size_t before = world.source->Keys("from").size();
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  RunStatus status = world.Status();
  ASSERT_EQ(status.finds.size(), 1U);
  EXPECT_THAT(status.finds[0].failure, ::testing::HasSubstr("'a:from/in/' lies in 'b:from/'"));
  EXPECT_EQ(world.source->Keys("from").size(), before);
}

// A retry that breaks off at any step must not have forgotten which prefix is to be listed again.
TEST_F(MigrationTest, RetryThatBreaksOffForgetsNoPrefix) {
  for (const bool after : {false, true}) {
    int broken = 0;
    for (int at = 1;; ++at) {
      MigrationWorld one(static_cast<uint64_t>(at));
      for (int i = 0; i < 5; ++i) one.PutSource(std::to_string(i), "text");
      one.target->buckets.erase("to");
      ASSERT_TRUE(one.Start());
      auto& first = one.StartWorker({.until_done = {"run"}});
      ASSERT_TRUE(one.Drive([&] { return !first.running; }));
      ASSERT_FALSE(one.Status().finds.empty());
      one.target->buckets["to"];
      testing::FakeFaults faults(1);
      (after ? faults.fail_after_at : faults.fail_before_at) = at;
      FakeState faulty(one.base.runtime, one.state, &faults);
      FakeQueue faulty_queue(one.base.runtime, one.queue, &faults);
      const bool whole(one.Run(migration::RetryRun(one.base.runtime, faulty_queue, faulty, "run")));
      if (!whole) {
        ++broken;
        FakeState rows(one.base.runtime, one.state);
        FakeQueue queue(one.base.runtime, one.queue);
        ASSERT_TRUE(one.Run(migration::RetryRun(one.base.runtime, queue, rows, "run")));
      }
      auto& second = one.StartWorker({.until_done = {"run"}});
      ASSERT_TRUE(one.Drive([&] { return !second.running; }));
      EXPECT_EQ(one.AtTarget(), one.AtSource()) << "broken at " << at;
      // (Of a task that was not written to its end the body may stay until the run is forgotten.)
      if (!whole) continue;
      EXPECT_THAT(one.Leftovers(), IsEmpty());
      // What could not be listed is no failure any more when it has been.
      const RunStatus status = one.Status();
      EXPECT_TRUE(status.finds.empty());
      EXPECT_TRUE(status.all_listed);
      EXPECT_EQ(status.listed, 5);
      break;
    }
    EXPECT_GT(broken, 5);
  }
}

// However many have failed: they are taken some thousands at a time.
TEST_F(MigrationTest, ManyThatFailedAreRetried) {
  constexpr int kCount = 5'700;
  ASSERT_TRUE(world.Start({"nothing/"}));
  for (int i = 0; i < kCount; ++i) {
    const migration::ObjectRow failed{.object = {.name = std::to_string(i), .size_bytes = 1},
                                      .reason = "denied"};
    const std::string key = "object/" + failed.object.name;
    world.state->rows[{migration::RowsOf("run"), key}] = {
        .key = key, .value = migration::EncodeObject(failed), .revision = 1'000'000 + i};
  }
  world.queue->rows.clear();
  FakeState rows(world.base.runtime, world.state);
  FakeQueue queue(world.base.runtime, world.queue);
  Result<migration::Retried> retried =
      world.Run(migration::RetryRun(world.base.runtime, queue, rows, "run"));
  ASSERT_TRUE(retried);
  EXPECT_EQ(retried->objects, kCount);
  EXPECT_EQ(world.queue->rows.size(), kCount / 10U) << "tasks of ten each";
  EXPECT_EQ(std::ranges::count_if(
                world.state->rows,
                [](const auto& row) { return row.first.second.starts_with("object/"); }),
            0);
}

// A stopped run is left alone; started again it goes on where it was.
TEST_F(MigrationTest, StopHoldsAndStartGoesOn) {
  Fill(80);
  KeyFault slow;
  slow.delay = std::chrono::milliseconds(500);
  world.source_faults = &slow;
  ASSERT_TRUE(world.Start());
  world.StartWorker({.in_flight = 2});
  ASSERT_TRUE(world.Drive([&] { return world.AtTarget().size() >= 4; }));
  FakeState rows(world.base.runtime, world.state);
  ASSERT_TRUE(world.Run(migration::StopRun(world.base.runtime, rows, "run")));
  EXPECT_FALSE(world.Drive([&] { return world.Finished(); }, std::chrono::minutes(5)));
  const size_t held = world.AtTarget().size();
  EXPECT_LT(held, 40U);
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone();
}

// Who waits for a run that somebody stops is not to be told that all is done.
TEST_F(MigrationTest, AStoppedRunEndsTheWaitAndIsNotCarried) {
  Fill(80);
  KeyFault slow;
  slow.delay = std::chrono::milliseconds(500);
  world.source_faults = &slow;
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}, .in_flight = 2});
  ASSERT_TRUE(world.Drive([&] { return world.AtTarget().size() >= 4; }));
  ASSERT_TRUE(world.Stop());
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  ASSERT_LT(world.AtTarget().size(), 80U);
  EXPECT_TRUE(world.Status().finds.empty());
  EXPECT_FALSE(world.Status().all_carried());
  slow.delay = {};
  ASSERT_TRUE(world.Start());
  auto& second = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !second.running; }));
  EXPECT_TRUE(world.Status().all_carried());
}

// A worker that is asked to stop hands back what is in flight: nobody waits for its leases.
TEST_F(MigrationTest, StoppedWorkerHandsBack) {
  Fill(40);
  KeyFault slow;
  slow.delay = std::chrono::milliseconds(300);
  world.source_faults = &slow;
  ASSERT_TRUE(world.Start());
  auto& first = world.StartWorker({.in_flight = 2});
  ASSERT_TRUE(world.Drive([&] { return world.AtTarget().size() >= 4; }));
  first.stop.Set();
  ASSERT_TRUE(world.Drive([&] { return !first.running; }, std::chrono::minutes(1)));
  EXPECT_EQ(first.memory.reserved_bytes(), 0);
  slow.delay = {};
  const SystemTime before = world.base.clock.Now();
  auto& second = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !second.running; }));
  EXPECT_LT(world.base.clock.Now() - before, std::chrono::seconds(8));  // Not a whole visibility.
  ExpectDone();
}

// Messages that come twice, late and in any order: nothing is lost, nothing counted twice.
TEST_F(MigrationTest, DoubledMessagesDoNoHarm) {
  world.queue_faults.duplicates = 0.5;
  world.queue_faults.reorders = 0.5;
  Fill(120);
  ASSERT_TRUE(world.Start());
  for (int i = 0; i < 3; ++i) world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone();
  EXPECT_EQ(world.Status().done.copied + world.Status().done.equal, 120);
}

// Queue and State fail now and then, before and after the fact.
TEST_F(MigrationTest, FaultsOfQueueAndState) {
  for (uint64_t seed = 1; seed <= (testing::kSanitized ? 5 : 20); ++seed) {
    MigrationWorld faulty(seed);
    for (testing::FakeFaults* faults : {&faulty.queue_faults, &faulty.state_faults}) {
      faults->fails_before = 0.03;
      faults->fails_after = 0.03;
      faults->duplicates = 0.1;
    }
    for (int i = 0; i < 60; ++i) faulty.PutSource(std::to_string(i), std::to_string(i));
    ASSERT_TRUE(faulty.Start());
    for (int i = 0; i < 3; ++i) faulty.StartWorker();
    ASSERT_TRUE(faulty.Drive([&] { return faulty.Finished(); })) << "seed " << seed;
    EXPECT_EQ(faulty.AtTarget(), faulty.AtSource()) << "seed " << seed;
    EXPECT_TRUE(faulty.Status().finds.empty()) << "seed " << seed;
  }
}

// A worker that dies between any two steps loses nothing and leaves nothing.
TEST_F(MigrationTest, KillAtEachStep) {
  int kills = 0;
  for (int at = 1;; at = at * 11 / 10 + 1) {
    MigrationWorld one(static_cast<uint64_t>(at));
    for (int i = 0; i < 25; ++i) one.PutSource(std::to_string(i), std::to_string(i));
    ASSERT_TRUE(one.Start());
    auto& victim = one.StartWorker();
    int steps = 0;
    one.Drive([&] { return ++steps > at || one.Finished(); });
    if (one.Finished()) break;
    ++kills;
    one.Kill(victim);
    auto& heir = one.StartWorker({.until_done = {"run"}});
    ASSERT_TRUE(one.Drive([&] { return !heir.running; })) << "killed at " << at;
    EXPECT_EQ(one.AtTarget(), one.AtSource()) << "killed at " << at;
    EXPECT_THAT(one.Leftovers(), IsEmpty()) << "killed at " << at;
    RunStatus status = one.Status();
    EXPECT_EQ(status.failed + status.gone, 0) << "killed at " << at;
  }
  EXPECT_GT(kills, 20);
}

// All that is read is refused, and State writes every second row only, as DynamoDB does when it has
// too many.
class RefusedAndThrottled : public testing::FaultPlan {
 public:
  explicit RefusedAndThrottled(testing::FakeFaults& state) : state_(state) {}
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation != StoreOperation::kGet) return fault;
    if (once) state_.halves = 1;
    fault.error = {.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
    return fault;
  }
  bool once = true;

 private:
  testing::FakeFaults& state_;
};

// A task that is done is not opened again: that its objects have failed must be written before.
TEST_F(MigrationTest, FailuresAreWrittenBeforeTheirTaskIsDone) {
  Fill(2);
  RefusedAndThrottled faults(world.state_faults);
  world.source_faults = &faults;
  world.migration.options.tries_max = 1;
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  const auto named = [&] {
    return std::ranges::count_if(world.state->rows, [](const auto& row) {
      return row.first.second.starts_with(migration::ObjectKey(""));
    });
  };
  ASSERT_TRUE(world.Drive([&] { return named() > 0; }));
  EXPECT_EQ(named(), 1);
  faults.once = false;
  world.state_faults.halves = 0;
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  EXPECT_EQ(world.Status().failed, 2);
  EXPECT_FALSE(world.Status().all_carried());
}

// What is not durable is not acknowledged: a State that refuses the end of a task brings it back.
TEST_F(MigrationTest, TaskThatCannotBeNotedComesBack) {
  Fill(5);
  ASSERT_TRUE(world.Start());
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return !world.AtTarget().empty(); }));
  world.state->read_only = migration::RowsOf("run");
  EXPECT_FALSE(world.Drive([&] { return world.Finished(); }, std::chrono::minutes(3)));
  EXPECT_FALSE(world.queue->rows.empty());
  world.state->read_only.clear();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone();
}

// A worker that fails and lives has not died over its task: many that hand it on do not bury it.
TEST_F(MigrationTest, AClaimThatIsLeftIsNoDeath) {
  FakeState rows(world.base.runtime, world.state);
  FakeQueue queue(world.base.runtime, world.queue);
  migration::TaskBoard one(world.base.runtime, queue, rows, "one");
  migration::TaskBoard two(world.base.runtime, queue, rows, "two");
  Result<migration::Claim> claim = world.Run(one.TryClaim("run", "task", std::chrono::seconds(10)));
  ASSERT_TRUE(claim && claim->mine);
  EXPECT_FALSE(claim->again);
  EXPECT_FALSE(world.Run(two.TryClaim("run", "task", std::chrono::seconds(10)))->mine);
  EXPECT_TRUE(*world.Run(one.IsMine("run", "task")));
  ASSERT_TRUE(world.Run(one.Leave("run", "task", *claim)));
  EXPECT_FALSE(world.Run(one.Leave("run", "task", *claim)));
  claim = world.Run(two.TryClaim("run", "task", std::chrono::seconds(10)));
  ASSERT_TRUE(claim && claim->mine);
  EXPECT_EQ(claim->starts, 1);
  EXPECT_TRUE(claim->again) << "whoever had it may have done some of it";
  EXPECT_FALSE(*world.Run(one.IsMine("run", "task")));
  world.base.clock.Advance(std::chrono::seconds(20));
  claim = world.Run(one.TryClaim("run", "task", std::chrono::seconds(10)));
  ASSERT_TRUE(claim && claim->mine);
  EXPECT_EQ(claim->starts, 2);
}

// It was written, and the answer was lost: the claim is kept from the next time on.
TEST_F(MigrationTest, AClaimWhoseAnswerIsLostIsRenewed) {
  FakeFaults faults(1);
  FakeState rows(world.base.runtime, world.state, &faults);
  FakeQueue queue(world.base.runtime, world.queue);
  migration::TaskBoard one(world.base.runtime, queue, rows, "one");
  migration::TaskBoard two(world.base.runtime, queue, rows, "two");
  const auto lease = std::chrono::seconds(10);
  Result<migration::Claim> claim = world.Run(one.TryClaim("run", "task", lease));
  ASSERT_TRUE(claim && claim->mine);
  faults.fail_after_at = faults.operations + 1;
  EXPECT_FALSE(world.Run(one.Renew("run", "task", lease, &*claim)));
  EXPECT_FALSE(world.Run(one.Renew("run", "task", lease, &*claim)));
  EXPECT_TRUE(world.Run(one.Renew("run", "task", lease, &*claim)));
  world.base.clock.Advance(std::chrono::seconds(20));
  Result<migration::Claim> other = world.Run(two.TryClaim("run", "task", lease));
  ASSERT_TRUE(other && other->mine);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(world.Run(one.Renew("run", "task", lease, &*claim)));
}

// A task that kills whoever takes it ends as a dead letter with its reason.
TEST_F(MigrationTest, TaskThatKillsItsWorkersIsGivenUp) {
  Fill(5);
  ASSERT_TRUE(world.Start());
  KeyFault slow;
  slow.delay = std::chrono::seconds(1);
  world.source_faults = &slow;
  for (int i = 0; i < 3; ++i) {
    auto& victim = world.StartWorker({.starts_max = 3});
    ASSERT_TRUE(world.Drive([&] { return world.Copying(); }));
    world.Kill(victim);
    world.base.clock.Advance(std::chrono::seconds(15));  // Its claim runs out.
  }
  auto& last = world.StartWorker({.until_done = {"run"}, .starts_max = 3});
  ASSERT_TRUE(world.Drive([&] { return !last.running; }));
  EXPECT_EQ(world.Status().failed, 5);
}

// A message that got lost (a queue that was emptied by hand) costs time, not objects.
TEST_F(MigrationTest, LostMessagesAreSentAgain) {
  Fill(20);
  ASSERT_TRUE(world.Start());
  world.queue->rows.clear();
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  ExpectDone();
}

}  // namespace
}  // namespace longhaul
