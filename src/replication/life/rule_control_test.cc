#include "replication/life/rule_control.h"

#include <gtest/gtest.h>

#include "events/hint.h"
#include "replication/life/spool.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Keys = std::set<std::string>;

void PauseRule(ReplicationWorld& world, const std::string& target,
               std::optional<std::chrono::seconds> length = std::nullopt) {
  Pause pause{.since = world.world.clock.Now()};
  if (length) pause.until = pause.since + *length;
  ASSERT_TRUE(world.world.Run(WritePause(world.state, "r", target, pause)));
}
void Resume(ReplicationWorld& world, const std::string& target) {
  ASSERT_TRUE(world.world.Run(RemovePause(world.state, "r", target)));
}
void SendHint(ReplicationWorld& world, const std::string& key, const std::string& target = "") {
  HintMessage message{.store = "east",
                      .bucket = "in",
                      .rule = target.empty() ? "" : "r",
                      .target = target,
                      .hints = {{.key = key, .time = world.world.clock.Now()}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
}
size_t Spooled(ReplicationWorld& world) {
  auto rows = world.world.Run(world.state.Scan("spool/r", "", 1000));
  return rows ? rows->size() : 0;
}

// The whole promise of a pause: nothing is touched, nothing is forgotten, and it goes on soon.
TEST(RuleControlTest, APausedRuleKeepsItsEventsAndGoesOnWithThem) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();  // Nothing else may find them.
  world.Put("before", "text");
  world.Start();
  world.RunFor(20s);
  ASSERT_EQ(world.Replicas(), Keys{"before"});
  PauseRule(world, "");
  world.RunFor(3s);
  for (int i = 0; i < 20; ++i) {
    world.Put("k" + std::to_string(i), "text");
    SendHint(world, "k" + std::to_string(i));
    SendHint(world, "k" + std::to_string(i));
  }
  SendHint(world, "k0", "t0");
  world.RunFor(1h);
  EXPECT_EQ(world.Replicas(), Keys{"before"});
  EXPECT_TRUE(world.Staged().empty()) << "it was packed";
  EXPECT_TRUE(world.queue_backend->rows.empty()) << "its hints go round and round";
  EXPECT_EQ(Spooled(world), 21u);
  Resume(world, "");
  world.RunFor(15s);
  EXPECT_EQ(world.Replicas().size(), 21u);
  EXPECT_EQ(Spooled(world), 0u);
  world.Stop();
}

// A pause is no matter of one process: it holds after a restart, and in a run of --once, which says
// so instead of waiting for it.
TEST(RuleControlTest, OnceLeavesAPausedRuleAsItIs) {
  ReplicationWorld world;
  world.Put("a", "text");
  PauseRule(world, "");
  SendHint(world, "a");
  const SteadyTime start = world.world.clock.SteadyNow();
  OnceResult result = world.RunOnce({.timeout = 5min});
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(result.paused, std::vector<std::string>{"rule r"});
  EXPECT_LT(world.world.clock.SteadyNow() - start, 30s);
  EXPECT_TRUE(world.Replicas().empty());
  EXPECT_EQ(Spooled(world), 1u);
  Resume(world, "");
  result = world.RunOnce({.timeout = 5min});
  EXPECT_TRUE(result.paused.empty());
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_EQ(Spooled(world), 0u);
}

// Other rules of the same process go on, also when events of the paused one come all the time.
TEST(RuleControlTest, OtherRulesGoOn) {
  ReplicationWorld world;
  world.configuration.rules.push_back(world.configuration.rules[0]);
  Rule& other = world.configuration.rules[1];
  other.id = "other";
  other.targets[0].to.prefix = "other/";
  world.limits.hints_pending_max = 10;
  PauseRule(world, "");
  world.Start();
  for (int i = 0; i < 50; ++i) {
    world.Put("k" + std::to_string(i), "text");
    SendHint(world, "k" + std::to_string(i));
  }
  world.RunFor(60s);
  EXPECT_EQ(world.Replicas().size(), 50u);
  EXPECT_TRUE(world.Replicas().contains("other/k49"));
  EXPECT_EQ(Spooled(world), 50u);
  world.Stop();
}

// One of two targets that share each archive must not hold up the other, and gets it all later.
TEST(RuleControlTest, APausedTargetHoldsUpNobody) {
  ReplicationWorld world;
  Rule& rule = world.configuration.rules[0];
  rule.targets.push_back(rule.targets[0]);
  rule.targets[1].name = "t1";
  rule.targets[1].to.prefix = "second/";
  PauseRule(world, "t1");
  world.Start();
  for (int i = 0; i < 3; ++i) {
    world.Put("k" + std::to_string(i), "text");
    SendHint(world, "k" + std::to_string(i));
    world.RunFor(15s);
  }
  EXPECT_EQ(world.Replicas(), (Keys{"k0", "k1", "k2"}));
  EXPECT_FALSE(world.Staged().empty());
  const size_t staged = world.Staged().size();
  world.RunFor(10min);  // Comparisons, too, leave it alone: nothing is packed again.
  EXPECT_EQ(world.Staged().size(), staged);
  Resume(world, "t1");
  world.RunFor(15s);
  EXPECT_EQ(world.Replicas().size(), 6u);
  world.RunFor(15s);
  EXPECT_TRUE(world.Staged().empty());
  world.Stop();
}

// Nobody has to be awake when a maintenance window ends.
TEST(RuleControlTest, APauseEndsByItself) {
  ReplicationWorld world;
  world.Put("a", "text");
  PauseRule(world, "", 60s);
  world.Start();
  world.RunFor(50s);
  EXPECT_TRUE(world.Replicas().empty());
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_TRUE(world.log.Has("paused"));
  EXPECT_TRUE(world.log.Has("not paused any more"));
  world.Stop();
}

// Before State has been read nobody knows what is paused: a role that guesses would pack.
TEST(RuleControlTest, NothingIsDoneBeforeItIsKnownWhatIsPaused) {
  ReplicationWorld world;
  world.Put("a", "text");
  RuleControl control(world.state, world.world.clock);
  EXPECT_TRUE(control.Holds("r"));
  EXPECT_TRUE(control.Holds("r", "t0"));
  ASSERT_TRUE(world.world.Run(control.Refresh()));
  EXPECT_FALSE(control.Holds("r"));
  PauseRule(world, "t0");
  Result<bool> changed = world.world.Run(control.Refresh());
  EXPECT_TRUE(changed && *changed);
  changed = world.world.Run(control.Refresh());
  EXPECT_TRUE(changed && !*changed);
  EXPECT_FALSE(control.Holds("r"));
  EXPECT_TRUE(control.Holds("r", "t0"));
  EXPECT_FALSE(control.Holds("r", "t1"));
}

// Somebody has mended what was wrong and asks for a retry: not to be answered in ten minutes.
TEST(RuleControlTest, ARetryAsksForParkedArchivesAtOnce) {
  ReplicationWorld world;
  world.Put("a", "text a");
  world.Put("refused", "text");
  world.target().decide = [](StoreOperation operation, std::string_view bucket,
                             std::string_view key) {
    const bool hit = operation == StoreOperation::kPut && bucket == "out" && key == "refused";
    return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(60s);
  ASSERT_EQ(world.observer.Count(OutcomeState::kParked), 1);
  world.target().Heal();
  ASSERT_TRUE(world.world.Run(AskForRetry(world.state, "r", world.world.clock.Now())));
  world.RunFor(15s);
  EXPECT_TRUE(world.Replicas().contains("refused"));
  EXPECT_TRUE(world.Staged().empty());
  world.Stop();
}

// What no event told is found as soon as somebody asks, not in an hour; once, by one process.
TEST(RuleControlTest, ABackfillComparesNow) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(30s);
  world.Put("in/a", "text");
  world.Put("out/b", "text");
  world.RunFor(1h);
  EXPECT_TRUE(world.Replicas().empty());
  ASSERT_TRUE(world.world.Run(
      AskForBackfill(world.state, "r", {.asked = world.world.clock.Now(), .prefix = "in/"})));
  world.RunFor(15s);
  EXPECT_EQ(world.Replicas(), Keys{"in/a"}) << "only what is below the prefix";
  EXPECT_FALSE(world.state_backend->rows.contains({"rules", "r/backfill"}));
  ASSERT_TRUE(
      world.world.Run(AskForBackfill(world.state, "r", {.asked = world.world.clock.Now()})));
  world.RunFor(15s);
  EXPECT_EQ(world.Replicas(), (Keys{"in/a", "out/b"}));
  world.Stop();
}

// Whoever asks while the rule is paused is told that it is compared when it goes on.
TEST(RuleControlTest, ABackfillOfAPausedRuleWaitsForIt) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  ASSERT_TRUE(world.world.Run(
      WritePause(world.state, "r", "", {.since = world.world.clock.Now(), .until = {}})));
  world.Put("a", "text");
  ASSERT_TRUE(
      world.world.Run(AskForBackfill(world.state, "r", {.asked = world.world.clock.Now()})));
  world.RunFor(50h);
  world.Start();
  world.RunFor(30s);
  EXPECT_TRUE(world.Replicas().empty());
  ASSERT_TRUE(world.world.Run(RemovePause(world.state, "r", "")));
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_FALSE(world.state_backend->rows.contains({"rules", "r/backfill"}));
  world.Stop();
}

// Who asks for a little must not be the end of what somebody else has asked for.
TEST(RuleControlTest, ABackfillIsWidenedByTheNext) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(30s);
  for (const char* key : {"logs/a", "logs/b", "other"}) world.Put(key, "text");
  auto ask = [&](const std::string& prefix) {
    ASSERT_TRUE(world.world.Run(
        AskForBackfill(world.state, "r", {.asked = world.world.clock.Now(), .prefix = prefix})));
  };
  ask("logs/a");
  ask("logs/b");
  world.RunFor(15s);
  EXPECT_EQ(world.Replicas(), (Keys{"logs/a", "logs/b"}));
  ask("");
  ask("nothing/");
  world.RunFor(15s);
  EXPECT_EQ(world.Replicas().size(), 3u);
  world.Stop();
}

// An inventory of last night spares a listing of the source; it must not delete what came since,
// nor keep the process at one that is not there.
TEST(RuleControlTest, ABackfillByAListingCarriesAndDeletesNothing) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  for (const char* key : {"a", "b", "kept"}) world.Put(key, "text");
  world.Start();
  world.RunFor(30s);
  ASSERT_EQ(world.Replicas(), (Keys{"a", "b", "kept"}));
  MemoryStore direct(world.runtime, world.source().backend);
  ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = "b"})));
  world.Put("a", "changed");
  world.Put("new", "text");
  world.Put("unlisted", "text");
  world.source().backend->buckets["lists"].created = world.world.clock.Now();
  ASSERT_TRUE(world.world.Run(PutText(
      direct, {.bucket = "lists", .key = "day.jsonl"},
      "{\"key\":\"a\",\"size\":4,\"etag\":\"old\"}\n{\"key\":\"kept\"}\n{\"key\":\"new\"}\n")));
  auto ask = [&](const std::string& list) {
    ASSERT_TRUE(world.world.Run(AskForBackfill(
        world.state, "r",
        {.asked = world.world.clock.Now(), .listing = ListedBy{.bucket = "lists", .key = list}})));
    world.RunFor(15s);
    EXPECT_FALSE(world.state_backend->rows.contains({"rules", "r/backfill"})) << list;
  };
  ask("nothing.jsonl");
  EXPECT_FALSE(world.Replicas().contains("new"));
  ask("day.jsonl");
  EXPECT_EQ(world.Replicas(), (Keys{"a", "b", "kept", "new"}));
  EXPECT_EQ(*world.target().backend->Find("out", "a")->bytes, "changed");
  world.Stop();
}

// Whoever looks at a rule must see that its deletes are held back, and that its target fails.
TEST(RuleControlTest, StatusTellsOfTroublesAndOfDeletesHeld) {
  ReplicationWorld world;
  world.configuration.rules[0].delete_guard = {.keys = 1, .share = 0.1};
  for (const char* key : {"a", "b", "c"}) world.Put(key, "text");
  world.Start();
  world.RunFor(30s);
  ASSERT_EQ(world.Replicas().size(), 3u);
  MemoryStore direct(world.runtime, world.source().backend);
  for (const char* key : {"a", "b"}) {
    ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = key})));
  }
  world.RunFor(90s);
  auto seen = [&world] {
    Result<std::vector<RuleNow>> now = world.world.Run(ReadNow(world.state, "r"));
    EXPECT_TRUE(now && now->size() == 1);
    return now->front();
  };
  EXPECT_EQ(seen().deletes_held, 2u);
  EXPECT_TRUE(seen().troubles.empty());
  world.target().Fails(ErrorKind::kRetryable);
  world.Put("d", "text");
  world.RunFor(90s);
  EXPECT_FALSE(seen().troubles.empty());
  world.target().Heal();
  world.Put("a", "text");
  world.RunFor(4min);
  EXPECT_TRUE(seen().troubles.empty());
  EXPECT_EQ(seen().deletes_held, 0u) << "one is no more than the guard allows";
  EXPECT_EQ(world.Replicas(), (Keys{"a", "c", "d"}));
  world.Stop();
}

// Deletes found below a prefix are those of the prefix alone.
TEST(RuleControlTest, ABackfillOfAPrefixDeletesNothingElsewhere) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  for (const char* key : {"a/1", "a/2", "b/1"}) world.Put(key, "text");
  world.Start();
  world.RunFor(30s);
  ASSERT_EQ(world.Replicas().size(), 3u);
  MemoryStore direct(world.runtime, world.source().backend);
  for (const char* key : {"a/1", "b/1"}) {
    ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = key})));
  }
  ASSERT_TRUE(world.world.Run(
      AskForBackfill(world.state, "r", {.asked = world.world.clock.Now(), .prefix = "a/"})));
  world.RunFor(15s);
  EXPECT_EQ(world.Replicas(), (Keys{"a/2", "b/1"}));
  world.Stop();
}

// A request that a process cannot fulfil must not be lost, nor fulfilled while the rule is paused.
TEST(RuleControlTest, ABackfillWaitsForWhatItNeeds) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(30s);
  world.Put("a", "text");
  PauseRule(world, "");
  world.RunFor(5s);
  ASSERT_TRUE(
      world.world.Run(AskForBackfill(world.state, "r", {.asked = world.world.clock.Now()})));
  world.RunFor(60s);
  EXPECT_TRUE(world.state_backend->rows.contains({"rules", "r/backfill"}));
  world.source().Fails(ErrorKind::kRetryable);
  Resume(world, "");
  world.RunFor(60s);
  EXPECT_TRUE(world.state_backend->rows.contains({"rules", "r/backfill"}));
  world.source().Heal();
  world.RunFor(90s);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_FALSE(world.state_backend->rows.contains({"rules", "r/backfill"}));
  world.Stop();
}

// Nor is it for those targets alone that happen to be there.
TEST(RuleControlTest, ABackfillWaitsForATargetThatIsAway) {
  ReplicationWorld world(2);
  world.configuration.rules[0].intake.listing.reset();
  world.target(1).Fails(ErrorKind::kRetryable);
  world.Start();
  world.RunFor(30s);
  world.Put("a", "text");
  ASSERT_TRUE(
      world.world.Run(AskForBackfill(world.state, "r", {.asked = world.world.clock.Now()})));
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(0), Keys{"a"});
  EXPECT_TRUE(world.state_backend->rows.contains({"rules", "r/backfill"}));
  const int lists = world.source().backend->count(testing::StoreOperation::kList);
  world.RunFor(10min);
  EXPECT_EQ(world.source().backend->count(testing::StoreOperation::kList), lists)
      << "what is there is compared once";
  world.target(1).Heal();
  world.RunFor(3min);
  EXPECT_EQ(world.Replicas(1), Keys{"a"});
  EXPECT_FALSE(world.state_backend->rows.contains({"rules", "r/backfill"}));
  world.Stop();
}

// One that cannot be listed is tried again by itself: the others would be listed in full, and be
// sent what is not there yet, each half a minute.
TEST(RuleControlTest, ABackfillIsRepeatedForTheTargetThatFailedAlone) {
  ReplicationWorld world(2);
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(30s);
  world.Put("a", "text");
  int listed[] = {0, 0};
  for (int i = 0; i < 2; ++i) {
    world.target(i).decide = [&listed, i](StoreOperation operation, std::string_view bucket,
                                          std::string_view) {
      if (operation != StoreOperation::kList || bucket != "out") return Fault();
      ++listed[i];
      return i == 1 ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
    };
  }
  ASSERT_TRUE(
      world.world.Run(AskForBackfill(world.state, "r", {.asked = world.world.clock.Now()})));
  world.RunFor(5min);
  EXPECT_EQ(world.Replicas(0), Keys{"a"});
  EXPECT_EQ(listed[0], 1);
  EXPECT_GT(listed[1], 1);
  EXPECT_TRUE(world.state_backend->rows.contains({"rules", "r/backfill"}));
  world.target(1).Heal();
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas(1), Keys{"a"});
  EXPECT_EQ(listed[0], 1);
  EXPECT_FALSE(world.state_backend->rows.contains({"rules", "r/backfill"}));
  world.Stop();
}

// A target that is compared alone says nothing of what is held back at another.
TEST(RuleControlTest, DeletesHeldAtOneTargetStayToldWhenAnotherIsCompared) {
  ReplicationWorld world(2);
  Rule& rule = world.configuration.rules[0];
  rule.intake.listing.reset();
  rule.delete_guard = {.keys = 1, .share = 0.1};
  for (const char* key : {"a", "b", "c"}) world.Put(key, "text");
  world.Start();
  world.RunFor(30s);
  ASSERT_EQ(world.Replicas(1).size(), 3u);
  PauseRule(world, "t1");
  world.RunFor(10s);
  MemoryStore direct(world.runtime, world.source().backend);
  for (const char* key : {"a", "b"}) {
    ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = key})));
  }
  auto ask = [&world] {
    ASSERT_TRUE(
        world.world.Run(AskForBackfill(world.state, "r", {.asked = world.world.clock.Now()})));
    world.RunFor(40s);
  };
  auto held = [&world] {
    Result<std::vector<RuleNow>> now = world.world.Run(ReadNow(world.state, "r"));
    EXPECT_TRUE(now && now->size() == 1);
    return now->front().deletes_held;
  };
  ask();
  EXPECT_EQ(held(), 2u);
  PauseRule(world, "t0");
  Resume(world, "t1");
  for (const char* key : {"a", "b"}) world.target(1).backend->buckets["out"].objects.erase(key);
  ask();
  EXPECT_EQ(held(), 2u) << "of the first, which was not looked at";
  Resume(world, "t0");
  for (const char* key : {"a", "b"}) world.target(0).backend->buckets["out"].objects.erase(key);
  ask();
  EXPECT_EQ(held(), 0u);
  world.Stop();
}

}  // namespace
}  // namespace longhaul
