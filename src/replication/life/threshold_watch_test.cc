#include "replication/life/threshold_watch.h"

#include <gtest/gtest.h>

#include "events/hint.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::ReplicationWorld;

class ThresholdWatchTest : public ::testing::Test {
 protected:
  ThresholdWatchTest() {
    Rule& rule = world.configuration.rules[0];
    rule.intake.listing.reset();
    rule.threshold = 60s;
  }
  void SendHint(const std::string& key) {
    HintMessage message{
        .store = "east", .bucket = "in", .hints = {{.key = key, .time = world.world.clock.Now()}}};
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  }
  [[nodiscard]] int Count(ThresholdEvent::Kind kind) const {
    return static_cast<int>(std::ranges::count(world.observer.late, kind, &ThresholdEvent::kind));
  }
  [[nodiscard]] int missed() const { return Count(ThresholdEvent::Kind::kMissed); }
  [[nodiscard]] int reached() const { return Count(ThresholdEvent::Kind::kReachedAfter); }

  ReplicationWorld world;
};

// What is on time must not wake anybody.
TEST_F(ThresholdWatchTest, WhatArrivesInTimeIsNotTold) {
  world.Start();
  world.RunFor(10s);
  world.Put("a", "text");
  SendHint("a");
  world.RunFor(10min);
  EXPECT_TRUE(world.Replicas().contains("a"));
  EXPECT_TRUE(world.observer.late.empty());
  // An alert sees no increase where a series begins at 1.
  const std::string metrics = world.world.metrics.RenderPrometheus();
  for (const char* name :
       {"longhaul_threshold_missed_total", "longhaul_threshold_reached_after_total"}) {
    EXPECT_NE(metrics.find(std::string(name) + R"({rule="r",target="t0"} 0)"), std::string::npos)
        << metrics;
  }
  world.Stop();
}

// Each late object is told once, however long it takes, and once more when it arrives.
TEST_F(ThresholdWatchTest, AnArchiveThatIsNotAppliedIsLateAndThenArrives) {
  world.Start();
  world.RunFor(10s);
  ASSERT_TRUE(world.world.Run(WritePause(world.state, "r", "t0", {})));
  world.RunFor(5s);
  world.Put("a", "text");
  world.Put("b", "text");
  SendHint("a");
  SendHint("b");
  world.RunFor(50s);
  EXPECT_EQ(missed(), 0);
  world.RunFor(20min);
  EXPECT_EQ(missed(), 2);
  EXPECT_EQ(reached(), 0);
  EXPECT_EQ(world.observer.late[0].key, "a");
  EXPECT_EQ(world.observer.late[0].target, "t0");
  EXPECT_EQ(world.observer.late[0].threshold, 60s);
  EXPECT_TRUE(world.log.Has("an object is late"));
  ASSERT_TRUE(world.world.Run(RemovePause(world.state, "r", "t0")));
  world.RunFor(30s);
  EXPECT_EQ(missed(), 2);
  EXPECT_EQ(reached(), 2);
  EXPECT_GT(world.observer.late.back().time - world.observer.late.back().heard, 20min);
  auto totals = world.world.Run(ReadTotals(world.state, "r"));
  ASSERT_TRUE(totals);
  EXPECT_EQ(totals->targets["t0"].missed, 2u);
  EXPECT_EQ(totals->targets["t0"].reached_after, 2u);
  world.Stop();
}

// A source that cannot be read makes objects late, too: the key goes round through the Queue.
TEST_F(ThresholdWatchTest, AKeyThatCannotBeReadIsLate) {
  world.Start();
  world.RunFor(10s);
  world.Put("a", "text");
  world.source().Fails(ErrorKind::kRetryable);
  SendHint("a");
  world.RunFor(10min);
  EXPECT_EQ(missed(), 1);
  world.source().Heal();
  world.RunFor(3min);
  EXPECT_EQ(missed(), 1);
  EXPECT_EQ(reached(), 1);
  world.Stop();
}

// Between two looks an object may become late and arrive: both are told.
TEST_F(ThresholdWatchTest, WhatArrivesLateBetweenTwoLooksIsTold) {
  ThresholdWatch watch(world.runtime, world.observer);
  watch.Watch({{"r", {.threshold = 60s, .targets = {"t0"}}}}, nullptr);
  const SystemTime now = world.world.clock.Now();
  watch.OnStaged("r", "A", {"t0"},
                 {{.key = "new", .heard = now}, {.key = "old", .heard = now - 50s}});
  watch.Look();
  EXPECT_EQ(missed(), 0);
  watch.OnReceipt("A", "t0", now + 20s);
  EXPECT_EQ(missed(), 1);
  EXPECT_EQ(reached(), 1);
  EXPECT_EQ(world.observer.late[0].key, "old");
  watch.OnReceipt("A", "t0", now + 20s);
  EXPECT_EQ(missed(), 1) << "a receipt counts once";
}

// Twenty thousand late objects must not make twenty thousand lines of log.
TEST_F(ThresholdWatchTest, ABurstIsSummedUpInTheLog) {
  ThresholdWatch watch(world.runtime, world.observer);
  watch.Watch({{"r", {.threshold = 60s, .targets = {"t0"}}}}, nullptr);
  std::vector<LateKey> keys;
  for (int i = 0; i < 20'000; ++i) {
    keys.push_back({.key = std::to_string(i), .heard = world.world.clock.Now() - 2min});
  }
  watch.OnStaged("r", "A", {"t0"}, keys);
  watch.Look();
  EXPECT_EQ(missed(), 20'000);
  EXPECT_LE(world.log.lines.size(), ThresholdWatch::kLinesMax + 1);
}

}  // namespace
}  // namespace longhaul
