#include "replication/life/rule_meter.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "events/hint.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

RuleTotals Totals(ReplicationWorld& world) {
  auto totals = world.world.Run(ReadTotals(world.state, "r"));
  return totals ? *totals : RuleTotals();
}
std::vector<RuleNow> Running(ReplicationWorld& world) {
  auto now = world.world.Run(ReadNow(world.state, "r"));
  return now ? *now : std::vector<RuleNow>();
}
void HintFor(ReplicationWorld& world, const std::string& key,
             HintOrigin origin = HintOrigin::kWebhook, SystemTime time = {}) {
  if (time == SystemTime{}) time = world.world.clock.Now();
  HintMessage message{
      .store = "east", .bucket = "in", .origin = origin, .hints = {{.key = key, .time = time}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
}

// A quantile that is far off would hide a problem, or make one up.
TEST(LagHistogramTest, QuantilesAreAnEighthOffAtMost) {
  LagHistogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.Add(std::chrono::milliseconds(i * 10));
  EXPECT_GE(histogram.Quantile(0.5), 5000ms);
  EXPECT_LE(histogram.Quantile(0.5), 5000ms * 9 / 8);
  EXPECT_GE(histogram.Quantile(0.99), 9900ms);
  EXPECT_EQ(histogram.Quantile(1), 10s) << "never above the maximum";
  EXPECT_EQ(histogram.max(), 10s);
  LagHistogram other;
  other.Add(-5ms);
  other.Add(std::chrono::hours(24 * 365), 1000);
  histogram.Merge(LagHistogram::FromJson(other.ToJson()));
  EXPECT_EQ(histogram.count(), 2001u);
  EXPECT_EQ(histogram.Quantile(0), 0ms);
  EXPECT_EQ(histogram.max(), std::chrono::hours(24 * 365));
  EXPECT_GT(histogram.Quantile(0.9), std::chrono::hours(24 * 300));
  EXPECT_EQ(LagHistogram().Quantile(0.99), 0ms);
  EXPECT_EQ(
      LagHistogram::FromJson(boost::json::object{{"counts", {{7}, {-1, 2}, {1 << 20, 1}}}}).count(),
      0u);
}

// Lag counts from the event, not from when the object happened to be read.
TEST(RuleMeterTest, MeasuresFromTheEventToTheReceipt) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(10s);
  world.Put("a", "some text");
  HintFor(world, "a", HintOrigin::kWebhook, world.world.clock.Now() - 60s);
  world.RunFor(30s);
  RuleTotals totals = Totals(world);
  const TargetTotals& target = totals.targets["t0"];
  EXPECT_EQ(target.applied, 1u);
  EXPECT_EQ(target.applied_bytes, 9u);
  EXPECT_EQ(totals.archives, 1u);
  EXPECT_EQ(totals.plain_bytes, 9u);
  EXPECT_GT(totals.sent_bytes, 0u);
  const LagHistogram lag = target.RecentLag(world.world.clock.Now());
  EXPECT_EQ(lag.count(), 1u);
  EXPECT_GE(lag.max(), 60s);
  EXPECT_LT(lag.max(), 80s);
  // In three hours this says nothing of how things are.
  EXPECT_EQ(target.RecentLag(world.world.clock.Now() + 3h).count(), 0u);
  world.Stop();
}

// An archive is visible in one staging while it is still on its way to another, and whoever applies
// it there may be done before the source knows that it is durable. Were that forgotten, it would
// seem to wait for that target for ever.
TEST(RuleMeterTest, AReceiptMayComeFirst) {
  ReplicationWorld world(2);
  world.MakeContext();
  RuleMeter& meter = *world.context->meter;
  meter.Runs({"r"}, true, false, nullptr);
  const SystemTime now = world.world.clock.Now();
  meter.OnReceipt("X", "t0", now + 5s);
  world.RunFor(1min);
  meter.OnStaged("r", "X", {"t0", "t1"}, {}, {{.key = "k", .heard = now}});
  ASSERT_TRUE(world.world.Run(meter.Publish(false)));
  std::vector<RuleNow> running = Running(world);
  ASSERT_EQ(running.size(), 1U);
  EXPECT_EQ(running[0].targets["t0"].archives_waiting, 0U);
  EXPECT_EQ(running[0].targets["t1"].archives_waiting, 1U);
  RuleTotals totals = Totals(world);
  EXPECT_EQ(totals.targets["t0"].RecentLag(now).count(), 1U);
  EXPECT_EQ(totals.targets["t0"].RecentLag(now).max(), 5s);
  meter.OnReceipt("X", "t1", now + 2min);
  EXPECT_TRUE(meter.ArchivesWaiting().empty());
}

// One of which the other side does not know has applied nothing, however short its lag would be.
TEST(RuleMeterTest, WhoNeverAnsweredHasNoLag) {
  ReplicationWorld world(2);
  world.MakeContext();
  RuleMeter& meter = *world.context->meter;
  meter.Runs({"r"}, true, false, nullptr);
  const SystemTime now = world.world.clock.Now();
  for (const char* archive : {"X", "Y"}) {
    meter.OnStaged("r", archive, {"t0", "t1"}, {}, {{.key = "k", .heard = now}});
  }
  meter.OnAnswer("r", "t0");
  meter.OnReceipt("X", "t0", now);
  meter.OnArchiveGone("X");
  meter.OnArchiveGone("Y");
  EXPECT_TRUE(meter.ArchivesWaiting().empty());
  ASSERT_TRUE(world.world.Run(meter.Publish(true)));
  RuleTotals totals = Totals(world);
  EXPECT_TRUE(totals.targets["t0"].HasAnswered());
  EXPECT_EQ(totals.targets["t0"].RecentLag(now).count(), 2U);
  EXPECT_FALSE(totals.targets["t1"].HasAnswered());
}

// An object that was there for years before the first comparison is not years late.
TEST(RuleMeterTest, WhatAComparisonFindsIsLateFromThenOn) {
  ReplicationWorld world;
  world.Put("old", "text");
  world.RunFor(1h);
  world.Start();
  world.RunFor(30s);
  RuleTotals totals = Totals(world);
  const LagHistogram lag = totals.targets["t0"].RecentLag(world.world.clock.Now());
  EXPECT_EQ(lag.count(), 1u);
  EXPECT_LT(lag.max(), 30s);
  world.Stop();
}

// A key that fails and comes back again and again has been late since it was heard of.
TEST(RuleMeterTest, TriesDoNotMakeAKeyYounger) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(10s);
  world.Put("a", "text");
  world.source().Fails(ErrorKind::kRetryable);
  HintFor(world, "a");
  world.RunFor(10min);
  std::vector<RuleNow> running = Running(world);
  ASSERT_EQ(running.size(), 1u);
  world.source().Heal();
  world.RunFor(2min);
  RuleTotals totals = Totals(world);
  EXPECT_GE(totals.targets["t0"].RecentLag(world.world.clock.Now()).max(), 10min);
  EXPECT_GT(totals.failures, 0u);
  world.Stop();
}

// What waits for a paused target is the first thing that somebody wants to see.
TEST(RuleMeterTest, TheOldestPendingKeyIsNamed) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  Pause pause;
  ASSERT_TRUE(world.world.Run(WritePause(world.state, "r", "t0", pause)));
  world.Start();
  world.RunFor(5s);
  const SystemTime first = world.world.clock.Now();
  for (const char* key : {"b", "a", "c"}) {
    world.Put(key, "text");
    HintFor(world, key);
    world.RunFor(30s);
  }
  std::vector<RuleNow> running = Running(world);
  ASSERT_EQ(running.size(), 1u);
  EXPECT_TRUE(running[0].source && running[0].target);
  const TargetNow& target = running[0].targets["t0"];
  EXPECT_EQ(target.archives_waiting, 3u);
  ASSERT_TRUE(target.oldest);
  EXPECT_EQ(target.oldest->key, "b");
  EXPECT_EQ(target.oldest->heard, first);
  ASSERT_TRUE(world.world.Run(RemovePause(world.state, "r", "t0")));
  world.RunFor(60s);
  running = Running(world);
  EXPECT_EQ(running.at(0).targets["t0"].archives_waiting, 0u);
  EXPECT_FALSE(running.at(0).targets["t0"].oldest);
  EXPECT_GT(running.at(0).targets["t0"].objects_per_second, 0);
  world.Stop();
}

// Counts are sums over processes and restarts; who has ended is not running any more.
TEST(RuleMeterTest, TotalsAddUpOverProcesses) {
  ReplicationWorld world;
  world.Put("a", "text");
  world.RunOnce();
  world.Put("b", "text");
  world.RunOnce();
  RuleTotals totals = Totals(world);
  EXPECT_EQ(totals.targets["t0"].applied, 2u);
  EXPECT_EQ(totals.archives, 2u);
  EXPECT_EQ(totals.targets["t0"].RecentLag(world.world.clock.Now()).count(), 2u);
  ASSERT_TRUE(totals.since);
  EXPECT_TRUE(Running(world).empty());
}

// A process that is killed must not be taken for one that runs.
TEST(RuleMeterTest, ARowOfADeadProcessExpires) {
  ReplicationWorld world;
  world.Start();
  world.RunFor(5s);
  EXPECT_EQ(Running(world).size(), 1u);
  world.Stop();
  EXPECT_TRUE(Running(world).empty());
  RuleNow now{.beat = world.world.clock.Now(), .source = true};
  ASSERT_TRUE(world.world.Run(
      world.state.Write("status", {.key = "r/dead",
                                   .value = EncodeNow(now),
                                   .expires = world.world.clock.Now() + kStatusLifetime})));
  EXPECT_EQ(Running(world).size(), 1u);
  world.RunFor(kStatusLifetime + 1s);
  EXPECT_TRUE(Running(world).empty());
}

// An idle process writes once in twenty seconds, however many rules it has.
TEST(RuleMeterTest, AnIdleProcessWritesLittle) {
  ReplicationWorld world;
  world.Start();
  world.RunFor(60s);
  const int64_t before =
      world.state_backend->rows.at({"status", "r/" + world.context->owner}).revision;
  const auto revision = [&] {
    return world.state_backend->rows.at({"status", "r/" + world.context->owner}).revision;
  };
  int writes = 0;
  int64_t last = before;
  for (int i = 0; i < 60; ++i) {
    world.RunFor(1s);
    if (std::exchange(last, revision()) != last) ++writes;
  }
  EXPECT_LE(writes, 3);
  EXPECT_GE(writes, 2);
  EXPECT_FALSE(world.state_backend->rows.contains({"totals", "r"}));
  world.Stop();
}

// The hour may turn between two processes' rows, and each must count once.
TEST(RuleMeterTest, LagMovesOnWithTheHours) {
  auto of = [](int64_t hour, std::chrono::milliseconds lag) {
    TargetTotals totals{.hour = hour};
    totals.lag.Add(lag);
    return totals;
  };
  TargetTotals totals = of(100, 1s);
  totals.Add(of(101, 2s));
  EXPECT_EQ(totals.hour, 101);
  EXPECT_EQ(totals.lag.count(), 1u);
  EXPECT_EQ(totals.lag_before.count(), 1u);
  totals.Add(of(100, 3s));  // Late.
  EXPECT_EQ(totals.lag_before.count(), 2u);
  totals.Add(of(103, 4s));
  EXPECT_EQ(totals.lag.count(), 1u);
  EXPECT_EQ(totals.lag_before.count(), 0u);
  TargetTotals empty;
  empty.Add(totals);
  EXPECT_EQ(empty.lag.max(), 4s);
}

// An alarm on what waits must see it, and must see it gone: a metric that stays at its last value
// is worse than none.
TEST(RuleMeterTest, MetricsTellWhatWaits) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  const auto metric = [&](const char* name, MetricLabels labels = {{"rule", "r"}}) {
    return world.world.metrics.gauge(name, "", std::move(labels)).value();
  };
  world.Start();
  for (const auto& [key, size] : {std::pair("a", size_t{100}), std::pair("b", size_t{200})}) {
    world.Put(key, std::string(size, 'x'));
    HintMessage message{.store = "east", .bucket = "in"};
    message.hints = {{.key = key, .time = world.world.clock.Now() + 30min, .size_bytes = size}};
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  }
  world.RunFor(2min);
  EXPECT_EQ(metric("longhaul_pending_keys"), 2);
  EXPECT_EQ(metric("longhaul_pending_bytes"), 300);
  EXPECT_NEAR(metric("longhaul_oldest_pending_seconds"), 115, 10);
  world.target().decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    return operation == StoreOperation::kPut && bucket == "out"
               ? TroubledStore::Failing(ErrorKind::kRetryable)
               : Fault();
  };
  world.RunFor(30min);
  EXPECT_EQ(metric("longhaul_pending_keys"), 0);
  EXPECT_EQ(metric("longhaul_archives_waiting", {{"rule", "r"}, {"target", "t0"}}), 1);
  EXPECT_NEAR(metric("longhaul_oldest_pending_seconds"), 32 * 60, 30);
  world.target().Heal();
  world.RunFor(10min);
  EXPECT_EQ(world.Replicas(), (std::set<std::string>{"a", "b"}));
  EXPECT_EQ(metric("longhaul_pending_bytes"), 0);
  EXPECT_EQ(metric("longhaul_archives_waiting", {{"rule", "r"}, {"target", "t0"}}), 0);
  EXPECT_EQ(metric("longhaul_oldest_pending_seconds"), 0);
  world.Stop();
}

// What is told of a rule must come back from State as it was.
TEST(RuleMeterTest, RowsComeBack) {
  RuleNow now{.host = "a\xff",
              .pid = 12,
              .version = "1.2.3",
              .beat = SystemTime(1s),
              .started = SystemTime(2s),
              .source = true,
              .keys_pending = 7,
              .bytes_pending = 9,
              .oldest = OldestKey{.heard = SystemTime(3s), .key = "k\xff\n"}};
  now.targets["t"] = {.objects_per_second = 1.5,
                      .bytes_per_second = 3,
                      .archives_waiting = 4,
                      .oldest = OldestKey{.heard = SystemTime(4s)}};
  now.troubles["target t"] = "no \xff answer";
  now.deletes_held = 5;
  RuleNow back = DecodeNow(EncodeNow(now));
  EXPECT_EQ(back.host, now.host);
  EXPECT_EQ(back.pid, 12);
  EXPECT_EQ(back.version, "1.2.3");
  EXPECT_EQ(back.troubles, now.troubles);
  EXPECT_EQ(back.deletes_held, 5u);
  EXPECT_EQ(back.oldest, now.oldest);
  EXPECT_EQ(back.targets["t"].oldest, now.targets["t"].oldest);
  EXPECT_EQ(back.targets["t"].objects_per_second, 1.5);
  EXPECT_EQ(back.targets["t"].archives_waiting, 4u);
  EXPECT_EQ(back.keys_pending, 7u);
  EXPECT_EQ(back.bytes_pending, 9u);
  EXPECT_EQ(DecodeTotals("no JSON").archives, 0u);
}

}  // namespace
}  // namespace longhaul
