#include "migration/triggers.h"

#include <gtest/gtest.h>

#include "tests/support/migration_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeQueue;
using testing::FakeState;
using testing::MigrationWorld;

class TriggersTest : public ::testing::Test {
 protected:
  TriggersTest() : queue(world.base.runtime, world.queue), rows(world.base.runtime, world.state) {}

  void Look(const std::vector<Migration>& migrations, const std::string& worker = "w1") {
    migration::Triggers triggers(
        world.base.runtime, queue, rows, migrations,
        [](const Migration& one) -> Result<migration::StartRequest> {
          return migration::StartRequest{.migration = one};
        },
        worker);
    ASSERT_TRUE(world.Run(triggers.Look()));
  }
  int64_t Starts(const std::string& id) {
    migration::RunBook book(world.base.runtime, rows);
    Result<std::optional<migration::Run>> run = world.Run(book.Find(id));
    return run && *run ? (*run)->starts : 0;
  }
  Migration Of(const std::string& id, MigrationTriggers triggers) {
    Migration made = world.migration;
    made.id = id;
    made.triggers = std::move(triggers);
    return made;
  }
  MigrationWorld world;  // It is 9:00 there.
  FakeQueue queue;
  FakeState rows;
};

// Once when it falls due, by whichever worker looks first, and once for all that was missed.
TEST_F(TriggersTest, ScheduleStartsOnce) {
  const std::vector<Migration> all = {Of("a", {.schedule = "30 * * * *"})};
  Look(all);
  EXPECT_EQ(Starts("a"), 0);
  world.base.clock.Advance(31min);
  Look(all);
  Look(all, "w2");
  Look(all);
  EXPECT_EQ(Starts("a"), 1);
  world.base.clock.Advance(24h);  // Nobody was there.
  Look(all, "w2");
  Look(all);
  EXPECT_EQ(Starts("a"), 2);
}

// However long ago: not once for each time of the year before.
TEST_F(TriggersTest, WhatWasMissedForYearsIsMadeUpForOnce) {
  const std::vector<Migration> all = {Of("daily", {.schedule = "30 3 * * *"}),
                                      Of("often", {.schedule = "*/5 * * * *"}),
                                      Of("yearly", {.schedule = "0 0 1 1 *"})};
  Look(all);
  world.base.clock.Advance(24h * 366 * 3);
  for (int i = 0; i < 3; ++i) Look(all, "w" + std::to_string(i));
  for (const Migration& one : all) EXPECT_EQ(Starts(one.id), 1) << one.id;
}

// A clock that was a year ahead once does not hold the schedule for a year.
TEST_F(TriggersTest, ATimeThatIsYetToComeIsNotBelieved) {
  const std::vector<Migration> all = {Of("a", {.schedule = "30 * * * *"})};
  const SystemTime ahead = world.base.clock.Now() + 24h * 365;
  ASSERT_TRUE(world.Run(rows.Write(migration::kTriggerRows,
                                   {.key = "a", .value = Row().Set("last", ahead).Encode()})));
  Look(all);
  EXPECT_EQ(Starts("a"), 0);
  world.base.clock.Advance(31min);
  Look(all);
  EXPECT_EQ(Starts("a"), 1);
}

// One of the same name is not started for what the forgotten one has missed.
TEST_F(TriggersTest, ARunThatIsForgottenHasNoSchedule) {
  const std::vector<Migration> all = {Of("run", {.schedule = "30 * * * *"})};
  Look(all);
  world.base.clock.Advance(31min);
  Look(all);
  ASSERT_EQ(Starts("run"), 1);
  ASSERT_TRUE(world.Stop());
  ASSERT_TRUE(world.Forget());
  world.base.clock.Advance(24h);
  Look(all);
  EXPECT_EQ(Starts("run"), 0);
}

TEST_F(TriggersTest, SuccessorStartsWhenTheOtherHasFinished) {
  const std::vector<Migration> all = {Of("run", {}), Of("b", {.after = "run"})};
  world.PutSource("x", "y");
  Look(all);
  ASSERT_TRUE(world.Start());
  Look(all);
  EXPECT_EQ(Starts("b"), 0);
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  Look(all);
  Look(all, "w2");
  EXPECT_EQ(Starts("b"), 1);
}

// One that cannot be started does not keep the others from their time.
TEST_F(TriggersTest, OneThatFailsHoldsNoOther) {
  const std::vector<Migration> all = {Of("a", {.schedule = "30 * * * *"}),
                                      Of("b", {.schedule = "30 * * * *"})};
  Look(all);
  world.base.clock.Advance(31min);
  migration::Triggers triggers(
      world.base.runtime, queue, rows, all,
      [](const Migration& one) -> Result<migration::StartRequest> {
        if (one.id == "a") return InvalidInput("no such store");
        return migration::StartRequest{.migration = one};
      },
      "w1");
  EXPECT_FALSE(world.Run(triggers.Look()));
  EXPECT_EQ(Starts("a"), 0);
  EXPECT_EQ(Starts("b"), 1);
}

// Whoever claimed a start may have died over it.
TEST_F(TriggersTest, ClaimOfADeadWorkerRunsOut) {
  const std::vector<Migration> all = {Of("a", {.schedule = "30 * * * *"})};
  Look(all);
  world.base.clock.Advance(31min);
  world.state->read_only = "migrations";  // The start fails after the claim.
  migration::Triggers triggers(
      world.base.runtime, queue, rows, all,
      [](const Migration& one) -> Result<migration::StartRequest> {
        return migration::StartRequest{.migration = one};
      },
      "w1");
  EXPECT_FALSE(world.Run(triggers.Look()));
  world.state->read_only.clear();
  Look(all, "w2");
  EXPECT_EQ(Starts("a"), 0);
  world.base.clock.Advance(2min);
  Look(all, "w2");
  EXPECT_EQ(Starts("a"), 1);
}

}  // namespace
}  // namespace longhaul
