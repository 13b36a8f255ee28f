// Runs over a queue whose lanes were named beforehand, as those of SQS are: all runs share them, so
// that what becomes of one run's messages must not be another's business.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "migration/worker.h"
#include "tests/support/migration_world.h"

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using testing::FakeQueue;
using testing::FakeState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MigrationWorld;
using ::testing::Pair;

using namespace std::chrono_literals;

class SharedLanesTest : public ::testing::Test {
 protected:
  SharedLanesTest() { world.sqs.on = true; }

  void Fill(int count) {
    for (int i = 0; i < count; ++i) world.PutSource(std::to_string(i), std::to_string(i));
  }
  void ExpectDone() {
    EXPECT_EQ(world.AtTarget(), world.AtSource());
    EXPECT_THAT(world.queue->Bodies(), IsEmpty());
    EXPECT_THAT(world.sqs.buried, IsEmpty());
  }
  bool Finish() {
    auto& process = world.StartWorker({.until_done = {"run"}});
    return world.Drive([&] { return !process.running; });
  }
  // A message that somebody else has put there.
  void Inject(std::string body) {
    FakeQueue queue(world.base.runtime, world.queue);
    std::vector<NewMessage> messages;
    messages.push_back({.body = std::move(body), .lane = migration::kSharedWorkLane});
    ASSERT_TRUE(world.Run(queue.Send(std::move(messages), {})));
  }
  static std::string BodyOf(const std::string& run) {
    return migration::MessageOf(run, "01TASK", migration::TaskKind::kObjects).body;
  }
  bool Drained() {
    return world.Drive([&] { return world.queue->rows.empty(); }, 10min);
  }

  MigrationWorld world;
};

// A task would need a lane that nobody has made.
TEST_F(SharedLanesTest, CarriesWhatIsMissingAndEnds) {
  Fill(95);
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(Finish());
  ExpectDone();
  EXPECT_THAT(world.Leftovers(), IsEmpty());
}

// Counts of SQS come late: a worker that believed a zero would send all that waits once more.
TEST_F(SharedLanesTest, CountsThatComeLateDoubleNothing) {
  Fill(200);
  ASSERT_TRUE(world.Start());
  world.StartWorker({.finds = false});  // It is idle, and what waits is nobody's yet.
  EXPECT_FALSE(world.Drive([&] { return world.sqs.sent > 1; }, 2min));
  for (int i = 0; i < 3; ++i) world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.sqs.sent, 21);  // One that compares, and 20 lists of ten.
  ASSERT_TRUE(Drained());
  ExpectDone();
}

// A process that is killed must not take a message with it, wherever it was.
TEST_F(SharedLanesTest, KillAtEachStep) {
  int kills = 0;
  for (int at = 1;; at = at * 5 / 4 + 1) {
    MigrationWorld one(static_cast<uint64_t>(at));
    one.sqs.on = true;
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
    EXPECT_THAT(one.sqs.buried, IsEmpty()) << "killed at " << at;
  }
  EXPECT_GT(kills, 10);
}

// The messages of a run that is stopped would come again and again, until they are dead letters.
TEST_F(SharedLanesTest, StoppedRunLeavesNoMessages) {
  Fill(80);
  ASSERT_TRUE(world.Start());
  {
    auto& finder = world.StartWorker({.works = false});
    ASSERT_TRUE(world.Drive([&] { return world.sqs.sent >= 9; }));
    world.Kill(finder);
  }
  ASSERT_TRUE(world.Stop());
  world.StartWorker();
  ASSERT_TRUE(Drained());
  EXPECT_TRUE(world.AtTarget().empty());
  EXPECT_EQ(world.Status().state(), "stopped");
  EXPECT_EQ(world.Status().pending, 80);

  // Started again, all of its tasks are there.
  const int64_t sent = world.sqs.sent;
  ASSERT_TRUE(world.Start());
  EXPECT_GE(world.sqs.sent, sent + 9);
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }, 1min));  // Before counts settle.
  ASSERT_TRUE(Drained());
  ExpectDone();
}

// A start that is killed between its row and its messages leaves them to the next one.
TEST_F(SharedLanesTest, StartThatFailsInTheMiddleIsMadeUpFor) {
  Fill(30);
  ASSERT_TRUE(world.Start());
  {
    auto& finder = world.StartWorker({.works = false});
    ASSERT_TRUE(world.Drive([&] { return world.sqs.sent >= 4; }));
    world.Kill(finder);
  }
  ASSERT_TRUE(world.Stop());
  {
    auto& worker = world.StartWorker();
    ASSERT_TRUE(Drained());
    world.Kill(worker);
  }
  world.sqs.refuses = true;
  ASSERT_FALSE(world.Start());
  world.sqs.refuses = false;
  const int64_t sent = world.sqs.sent;
  ASSERT_TRUE(world.Start());
  EXPECT_GE(world.sqs.sent, sent + 3);
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }, 1min));
  ASSERT_TRUE(Drained());
  ExpectDone();
}

// A worker that knows the run as stopped, and has not heard of its start, would drop what it needs.
TEST_F(SharedLanesTest, WorkerThatIsLateDropsNothing) {
  Fill(10);
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(world.Stop());
  world.StartWorker({.refresh = 1h});
  ASSERT_TRUE(Drained());
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }, 1min));
  ASSERT_TRUE(Drained());
  ExpectDone();
}

// What is left of a forgotten run is no riddle to later ones, also where one has its name.
TEST_F(SharedLanesTest, ForgottenRunLeavesNothing) {
  Fill(40);
  ASSERT_TRUE(world.Start());
  {
    auto& finder = world.StartWorker({.works = false});
    ASSERT_TRUE(world.Drive([&] { return world.sqs.sent >= 5; }));
    world.Kill(finder);
  }
  ASSERT_TRUE(world.Stop());
  ASSERT_TRUE(world.Forget());
  ASSERT_FALSE(world.queue->rows.empty());
  auto& worker = world.StartWorker();
  ASSERT_TRUE(Drained());
  EXPECT_THAT(world.sqs.buried, IsEmpty());
  world.Kill(worker);

  Inject(BodyOf("run"));
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(Finish());
  ExpectDone();
}

// What nobody understands, and what is of another installation, is kept with the reason.
TEST_F(SharedLanesTest, WhatIsNotUnderstoodIsSetAside) {
  Inject("no task at all");
  Inject(R"({"run":"somebody's","task":"1"})");
  const std::string other = BodyOf("other");
  Inject(other);
  world.StartWorker();
  ASSERT_TRUE(Drained());
  ASSERT_EQ(world.sqs.buried.size(), 3U);
  std::ranges::sort(world.sqs.buried);
  EXPECT_THAT(world.sqs.buried, ::testing::Contains(Pair(
                                    "no task at all", HasSubstr("not a message of a migration"))));
  EXPECT_THAT(world.sqs.buried,
              ::testing::Contains(Pair(other, HasSubstr("the state has no run other"))));
}

// Runs take turns: the tasks of a later one do not wait until all of an earlier one is done.
TEST_F(SharedLanesTest, SeveralRunsAtOnce) {
  Fill(60);
  for (const std::string& id : {"run", "second", "third"}) {
    world.migration.id = id;
    world.migration.target.prefix = id == "run" ? "out/" : id + "/";
    ASSERT_TRUE(world.Start());
  }
  world.migration.id = "second";
  ASSERT_TRUE(world.Stop());
  for (int i = 0; i < 2; ++i) world.StartWorker();
  for (const std::string& id : {"run", "third"}) {
    world.migration.id = id;
    ASSERT_TRUE(world.Drive([&] { return world.Finished(); })) << id;
  }
  EXPECT_TRUE(MigrationWorld::Contents(*world.target, "to", "second/").empty());
  world.migration.id = "second";
  world.migration.target.prefix = "second/";
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  for (const std::string prefix : {"out/", "second/", "third/"}) {
    EXPECT_EQ(MigrationWorld::Contents(*world.target, "to", prefix), world.AtSource()) << prefix;
  }
  ASSERT_TRUE(Drained());
}

// A worker that may not compare must leave that to others, and not hold it.
TEST_F(SharedLanesTest, RolesInDifferentProcesses) {
  Fill(50);
  ASSERT_TRUE(world.Start());
  world.StartWorker({.finds = false});
  EXPECT_FALSE(world.Drive([&] { return world.Finished(); }, 2min));
  world.StartWorker({.works = false});
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ASSERT_TRUE(Drained());
  ExpectDone();
}

}  // namespace
}  // namespace longhaul
