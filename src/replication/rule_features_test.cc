// What a rule says of an object, seen at the target: which rule carries it, and how it is kept
// there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "events/hint.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using ::testing::HasSubstr;
using testing::ReplicationWorld;
using testing::StoreOperation;

using Keys = std::set<std::string>;

// Rule "r" carries everything to west0:out; `Add` makes more rules to there, each of which is known
// at the target by the storage class of its replicas.
class RuleFeaturesTest : public ::testing::Test {
 protected:
  Rule& Add(const std::string& id, int priority, const std::string& prefix = "") {
    Rule rule = world.configuration.rules[0];
    rule.id = id;
    rule.priority = priority;
    rule.source.prefix = prefix;
    rule.targets.resize(1);
    Target& target = rule.targets[0];
    target.to.prefix = prefix;
    target.name = "t0-" + id;
    target.storage_class = "CLASS_" + id;
    world.configuration.rules.push_back(std::move(rule));
    return world.configuration.rules.back();
  }
  void PutTagged(const std::string& key, const std::string& text, Tags tags) {
    MemoryStore direct(world.runtime, world.source().backend);
    PutRequest request{.bucket = "in", .key = key};
    request.tags = std::move(tags);
    ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), text)));
  }
  void RemoveAtSource(const std::string& key) {
    MemoryStore direct(world.runtime, world.source().backend);
    ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = key})));
  }
  void SendEvent(const std::string& key) {
    HintMessage message{
        .store = "east", .bucket = "in", .hints = {{.key = key, .time = world.world.clock.Now()}}};
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  }
  void RunOnce() {
    OnceResult result = world.RunOnce({.timeout = 60s});
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  }
  // The rule that wrote the replica; "r" has no class. "-": there is none.
  [[nodiscard]] std::string WriterOf(const std::string& key, int target = 0) {
    const auto* version = world.target(target).backend->Find("out", key);
    if (version == nullptr) return "-";
    const std::string& name = version->info.storage_class;
    return name.empty() ? "r" : name.substr(std::string("CLASS_").size());
  }
  [[nodiscard]] int Writes() const {
    int writes = 0;
    for (const Outcome& outcome : world.observer.outcomes) {
      writes += outcome.state == OutcomeState::kApplied && outcome.op == "put" ? 1 : 0;
    }
    return writes;
  }

  using MemoryStore = testing::MemoryStore;
  ReplicationWorld world;
};

// Two rules that both carry an object overwrite each other, and pay twice.
TEST_F(RuleFeaturesTest, TheHighestPriorityCarriesAlone) {
  Add("logs", 2, "logs/");
  Add("old", 1, "logs/2020/");
  world.Put("a", "text");
  world.Put("logs/b", "text");
  world.Put("logs/2020/c", "text");
  RunOnce();
  EXPECT_EQ(WriterOf("a"), "r");
  EXPECT_EQ(WriterOf("logs/b"), "logs");
  EXPECT_EQ(WriterOf("logs/2020/c"), "logs");
  EXPECT_EQ(Writes(), 3);
  // By events as well.
  world.observer.outcomes.clear();
  world.Put("logs/b", "other text");
  SendEvent("logs/b");
  world.Start();
  world.RunFor(20s);
  world.Stop();
  EXPECT_EQ(WriterOf("logs/b"), "logs");
  EXPECT_EQ(Writes(), 1);
}

// What nobody may remove at the source must not be removable at the target that asks for it, and
// must be at the one that does not.
TEST_F(RuleFeaturesTest, ALockIsCarriedToTheTargetThatAsksForIt) {
  Rule second = world.configuration.rules[0];
  second.targets[0].object_lock = true;
  world.configuration.rules[0] = second;
  const ObjectLock lock{.mode = "COMPLIANCE",
                        .until = std::chrono::floor<std::chrono::seconds>(world.world.clock.Now() +
                                                                          std::chrono::hours(24)),
                        .legal_hold = true};
  MemoryStore direct(world.runtime, world.source().backend);
  PutRequest request{.bucket = "in", .key = "locked"};
  request.lock = lock;
  ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), "text")));
  world.Put("free", "text");
  RunOnce();
  const auto* locked = world.target(0).backend->Find("out", "locked");
  ASSERT_NE(locked, nullptr);
  EXPECT_EQ(locked->lock, lock);
  const auto* free = world.target(0).backend->Find("out", "free");
  ASSERT_NE(free, nullptr);
  EXPECT_EQ(free->lock, std::nullopt);
  if (second.targets.size() > 1) {
    const auto* other = world.target(1).backend->Find("out", "locked");
    ASSERT_NE(other, nullptr);
    EXPECT_EQ(other->lock, std::nullopt);
  }
}

// The reason stands where a person looks for it, and nothing without a lock is left there.
TEST_F(RuleFeaturesTest, ALockThatTheTargetCannotKeepIsParked) {
  world.configuration.rules[0].targets.resize(1);
  world.configuration.rules[0].targets[0].object_lock = true;
  world.target(0).backend->options.locks_objects = false;
  MemoryStore direct(world.runtime, world.source().backend);
  PutRequest request{.bucket = "in", .key = "locked"};
  request.lock = ObjectLock{.legal_hold = true};
  ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), "text")));
  world.Put("free", "text");
  RunOnce();
  EXPECT_EQ(world.target(0).backend->Find("out", "locked"), nullptr);
  EXPECT_NE(world.target(0).backend->Find("out", "free"), nullptr);
  std::string reason;
  for (const Outcome& outcome : world.observer.outcomes) {
    if (outcome.state == OutcomeState::kParked && outcome.key == "locked") reason = outcome.reason;
  }
  EXPECT_THAT(reason, HasSubstr("give the target a bucket with Object Lock"));
}

// A server that tells a retention nobody knows must cost one replica, not the whole archive, and
// not the lock.
TEST_F(RuleFeaturesTest, ALockThatNobodyKnowsIsParkedAlone) {
  world.configuration.rules[0].targets.resize(1);
  world.configuration.rules[0].targets[0].object_lock = true;
  MemoryStore direct(world.runtime, world.source().backend);
  PutRequest request{.bucket = "in", .key = "odd"};
  request.lock = ObjectLock{.mode = "WISH", .until = world.world.clock.Now() + 24h};
  ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), "text")));
  world.Put("free", "text");
  RunOnce();
  EXPECT_EQ(world.target(0).backend->Find("out", "odd"), nullptr);
  EXPECT_NE(world.target(0).backend->Find("out", "free"), nullptr);
  std::string reason;
  for (const Outcome& outcome : world.observer.outcomes) {
    if (outcome.state == OutcomeState::kParked && outcome.key == "odd") reason = outcome.reason;
  }
  EXPECT_THAT(reason, HasSubstr("a retention that is none, 'WISH'"));
}

// A rule that filters by tag stands above the others for its own objects alone.
TEST_F(RuleFeaturesTest, TagsDecideObjectByObject) {
  Add("hot", 5).filter.tags = {{"tier", "hot"}};
  PutTagged("hot", "text", {{"tier", "hot"}, {"x", "y"}});
  PutTagged("cold", "text", {{"tier", "cold"}});
  world.Put("none", "text");
  RunOnce();
  EXPECT_EQ(WriterOf("hot"), "hot");
  EXPECT_EQ(WriterOf("cold"), "r");
  EXPECT_EQ(WriterOf("none"), "r");
  EXPECT_EQ(Writes(), 3);
  // It changes hands with its tags.
  PutTagged("cold", "new text", {{"tier", "hot"}});
  world.RunFor(2s);
  RunOnce();
  EXPECT_EQ(WriterOf("cold"), "hot");
}

// What is left to another rule at the targets that are there is not left to it at one that is away:
// a change of tags is seen by no comparison that comes later.
TEST_F(RuleFeaturesTest, ATargetThatIsAwayIsNotForgotten) {
  for (const int targets : {2, 3}) {  // With three of them one is there that the rule carries to.
    ReplicationWorld many(targets);
    Rule hot = many.configuration.rules[0];
    hot.id = "hot";
    hot.priority = 5;
    hot.filter.tags = {{"tier", "hot"}};
    hot.targets.resize(1);
    many.configuration.rules.push_back(hot);
    testing::MemoryStore direct(many.runtime, many.source().backend);
    PutRequest request{.bucket = "in", .key = "a"};
    request.tags = {{"tier", "cold"}};
    ASSERT_TRUE(many.world.Run(PutText(direct, request, "text")));
    ASSERT_FALSE(many.RunOnce({.timeout = 60s}).store_error);

    testing::TroubledStore& away = many.target(targets - 1);
    away.Fails(ErrorKind::kRetryable);
    many.Start();
    many.RunFor(5s);
    request.tags = {{"tier", "hot"}};
    ASSERT_TRUE(many.world.Run(PutText(direct, request, "text")));
    HintMessage event{
        .store = "east", .bucket = "in", .hints = {{.key = "a", .time = many.world.clock.Now()}}};
    ASSERT_TRUE(many.world.Run(many.queue.Send(EncodeHints(event), {})));
    many.RunFor(30s);
    away.Heal();
    many.RunFor(3min);
    many.Stop();
    for (int i = 0; i < targets; ++i) {
      EXPECT_EQ(many.target(i).backend->Find("out", "a")->tags, request.tags) << i;
    }
  }
}

// What is decided for one target says nothing of the others.
TEST_F(RuleFeaturesTest, EachTargetForItself) {
  ReplicationWorld two(2);
  two.limits.single_object_bytes_max = 300'000;
  two.limits.segment_bytes_min = 200'000;
  two.limits.giant_part_bytes_min = 50'000;
  Rule rule = two.configuration.rules[0];
  rule.id = "hot";
  rule.priority = 5;
  rule.filter.tags = {{"tier", "hot"}};
  rule.targets.resize(1);  // t0 alone.
  rule.targets[0].storage_class = "CLASS_hot";
  two.configuration.rules.push_back(rule);
  rule.id = "logs";
  rule.filter.tags.clear();
  rule.source.prefix = rule.targets[0].to.prefix = "logs/";
  rule.targets[0].storage_class = "CLASS_logs";
  rule.priority = 4;
  two.configuration.rules.push_back(rule);
  testing::MemoryStore direct(two.runtime, two.source().backend);
  PutRequest request{.bucket = "in", .key = "a"};
  request.tags = {{"tier", "hot"}};
  ASSERT_TRUE(two.world.Run(PutText(direct, request, "text")));
  request.key = "large";
  ASSERT_TRUE(two.world.Run(PutText(direct, request, std::string(200'000, 'x'))));
  request.key = "giant";
  ASSERT_TRUE(two.world.Run(PutText(direct, request, std::string(900'000, 'x'))));
  two.Put("logs/b", "text");
  two.Put("c", "text");
  OnceResult result = two.RunOnce({.timeout = 60s});
  ASSERT_FALSE(result.store_error) << result.store_error->Describe();
  for (int target = 0; target < 2; ++target) {
    ASSERT_EQ(two.Replicas(target), (Keys{"a", "c", "giant", "large", "logs/b"}));
  }
  auto class_at = [&two](int target, const std::string& key) {
    return two.target(target).backend->Find("out", key)->info.storage_class;
  };
  EXPECT_EQ(class_at(0, "a"), "CLASS_hot");
  EXPECT_EQ(class_at(0, "large"), "CLASS_hot");
  EXPECT_EQ(class_at(0, "giant"), "CLASS_hot");
  EXPECT_EQ(class_at(0, "logs/b"), "CLASS_logs");
  EXPECT_EQ(class_at(0, "c"), "");
  for (const char* key : {"a", "large", "giant", "logs/b", "c"}) EXPECT_EQ(class_at(1, key), "");
  int puts = 0;
  for (const Outcome& outcome : two.observer.outcomes) {
    puts += outcome.state == OutcomeState::kApplied && outcome.key != "giant" ? 1 : 0;
  }
  EXPECT_EQ(puts, 8);
}

// Another rule carries "kept/" to the first target, and deletes nothing there. What the rule below
// it packs for the second one alone lies in the staging that both share.
TEST_F(RuleFeaturesTest, WhatIsForOneTargetIsNotForThoseThatShareItsStaging) {
  ReplicationWorld two(2);
  std::vector<Target>& targets = two.configuration.rules[0].targets;
  targets[1].staging = targets[0].staging;
  Rule kept = two.configuration.rules[0];
  kept.id = "kept";
  kept.priority = 2;
  kept.deletes = false;
  kept.source.prefix = "kept/";
  kept.targets.resize(1);
  kept.targets[0].to.prefix = "kept/";
  kept.targets[0].storage_class = "CLASS_kept";
  two.configuration.rules.push_back(kept);
  two.Put("a", "text");
  two.Put("kept/b", "text");
  const auto run = [&two] {
    // The rule above comes first: who is last with a reading of the same second has no say.
    for (const bool source : {true, false}) {
      OnceResult result = two.RunOnce({.source = source, .target = !source, .timeout = 60s});
      EXPECT_FALSE(result.store_error) << result.store_error->Describe();
    }
    OnceResult result = two.RunOnce({.timeout = 60s});
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
    EXPECT_TRUE(two.Staged().empty());
  };
  run();
  for (int target = 0; target < 2; ++target) {
    ASSERT_EQ(two.Replicas(target), (Keys{"a", "kept/b"}));
    EXPECT_EQ(two.target(target).backend->Find("out", "kept/b")->info.storage_class,
              target == 0 ? "CLASS_kept" : "");
  }
  int puts = 0;
  for (const Outcome& outcome : two.observer.outcomes) {
    puts += outcome.state == OutcomeState::kApplied ? 1 : 0;
  }
  EXPECT_EQ(puts, 4);
  MemoryStore direct(two.runtime, two.source().backend);
  HintMessage message{.store = "east", .bucket = "in"};
  ASSERT_TRUE(two.world.Run(direct.Remove({.bucket = "in", .key = "kept/b"})));
  message.hints.push_back({.key = "kept/b", .time = two.world.clock.Now()});
  ASSERT_TRUE(two.world.Run(two.queue.Send(EncodeHints(message), {})));
  two.RunFor(5s);
  run();
  EXPECT_EQ(two.Replicas(0), (Keys{"a", "kept/b"}));
  EXPECT_EQ(two.Replicas(1), Keys{"a"});
}

// Each reading is paid for: several targets share one.
TEST_F(RuleFeaturesTest, ReadsOnceForAllTargets) {
  ReplicationWorld three(3);
  three.Put("a", "text");
  three.Put("large", std::string(200'000, 'x'));
  OnceResult result = three.RunOnce({.timeout = 60s});
  ASSERT_FALSE(result.store_error) << result.store_error->Describe();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(three.Replicas(i), (Keys{"a", "large"}));
  EXPECT_EQ(three.source().backend->count(testing::StoreOperation::kGet), 2);
}

// A rule that is off must not keep its keys from the others.
TEST_F(RuleFeaturesTest, ADisabledRuleDoesNothing) {
  Add("logs", 2, "logs/").enabled = false;
  world.Put("logs/b", "text");
  RunOnce();
  EXPECT_EQ(WriterOf("logs/b"), "r");
  world.configuration.rules[0].enabled = false;
  world.Put("c", "text");
  RunOnce();
  EXPECT_EQ(WriterOf("c"), "-");
}

// The rule that stands above decides whether deletes are replicated, where it needs to know no more
// than the key. A time and encryption in its filter, as imported rules have them, take nothing from
// that: what it does not delete, no rule below it may.
TEST_F(RuleFeaturesTest, PriorityDecidesDeletes) {
  Rule& kept = Add("kept", 2, "kept/");
  kept.deletes = false;
  kept.filter.modified_since = world.world.clock.Now() - 1h;
  kept.filter.kms_encrypted = false;
  Rule& tagged = Add("hot", 3);
  tagged.filter.tags = {{"tier", "hot"}};
  tagged.deletes = false;
  world.Put("a", "text");
  world.Put("kept/b", "text");
  PutTagged("hot", "text", {{"tier", "hot"}});
  RunOnce();
  ASSERT_EQ(world.Replicas(), (Keys{"a", "hot", "kept/b"}));
  for (const char* key : {"a", "kept/b", "hot"}) {
    RemoveAtSource(key);
    SendEvent(key);
  }
  world.Put("stays", "text");  // A source that is empty deletes nothing.
  world.RunFor(5s);
  RunOnce();
  // Nobody knows any more that "hot" was hot, so it is the others' to delete.
  EXPECT_EQ(world.Replicas(), (Keys{"kept/b", "stays"}));
}

// In buckets that keep versions a delete is a marker on both sides, and takes nothing away for
// good.
TEST_F(RuleFeaturesTest, DeletesAreMarkersWhereVersionsAreKept) {
  using Versioning = testing::MemoryStoreBackend::Versioning;
  world.source().backend->buckets["in"].versioning = Versioning::kEnabled;
  world.target().backend->buckets["out"].versioning = Versioning::kEnabled;
  world.Put("a", "text");
  world.Put("stays", "text");
  RunOnce();
  RemoveAtSource("a");
  ASSERT_TRUE(world.source().backend->buckets["in"].objects["a"].back().is_delete_marker);
  SendEvent("a");
  world.RunFor(5s);
  RunOnce();
  EXPECT_EQ(world.Replicas(), Keys{"stays"});
  const auto& versions = world.target().backend->buckets["out"].objects["a"];
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_TRUE(versions[1].is_delete_marker);
  EXPECT_EQ(*versions[0].bytes, "text");
}

// A late archive of one rule must not bring back what another has deleted meanwhile.
TEST_F(RuleFeaturesTest, RivalsRememberTheSameDeletes) {
  Rule& hot = Add("hot", 5);
  hot.filter.tags = {{"tier", "hot"}};
  hot.deletes = false;
  PutTagged("a", "text", {{"tier", "hot"}});
  world.Put("stays", "text");
  RunOnce();
  ASSERT_EQ(WriterOf("a"), "hot");
  // Rule hot packs a newer state, which stays in staging.
  PutTagged("a", "newer", {{"tier", "hot"}});
  world.RunFor(3s);
  world.RunOnce({.source = true, .target = false, .timeout = 60s});
  ASSERT_FALSE(world.Staged().empty());
  auto held = world.target().backend->buckets["staging"].objects;
  std::erase_if(world.target().backend->buckets["staging"].objects,
                [](const auto& object) { return object.first.starts_with("hot/"); });
  // The object is deleted, by rule r.
  RemoveAtSource("a");
  SendEvent("a");
  world.RunFor(5s);
  RunOnce();
  ASSERT_EQ(WriterOf("a"), "-");
  // The archive turns up.
  for (auto& [key, versions] : held) {
    if (key.starts_with("hot/")) {
      world.target().backend->buckets["staging"].objects[key] = std::move(versions);
    }
  }
  world.RunOnce({.source = false, .target = true, .timeout = 60s});
  EXPECT_EQ(WriterOf("a"), "-");
}

// How replicas are kept is decided by the target's configuration, for small and large objects.
TEST_F(RuleFeaturesTest, WritesWithKeyOwnerAndAcl) {
  Target& target = world.configuration.rules[0].targets[0];
  target.sse = "aws:kms";
  target.kms_key = "alias/copy";
  target.bucket_key = true;
  target.acl = "bucket-owner-full-control";
  target.bucket_owner = "111122223333";
  target.storage_class = "STANDARD_IA";
  world.Put("small", "text");
  world.Put("large", std::string(200'000, 'x'));
  RunOnce();
  for (const char* key : {"small", "large"}) {
    const auto* version = world.target().backend->Find("out", key);
    ASSERT_NE(version, nullptr) << key;
    EXPECT_EQ(version->sse, "aws:kms");
    EXPECT_EQ(version->kms_key, "alias/copy");
    EXPECT_EQ(version->bucket_key, true);
    EXPECT_EQ(version->acl, "bucket-owner-full-control");
    EXPECT_EQ(version->bucket_owner, "111122223333");
    EXPECT_EQ(version->info.storage_class, "STANDARD_IA");
  }
}

// A store far away needs more requests at a time than a near one; one that is weak, fewer. The
// number of one store must not become that of another.
TEST_F(RuleFeaturesTest, AsManyObjectsAtATimeAsTheStoreTakes) {
  struct Begun {
    int at_once = 0;
    int most = 0;
    SystemTime time{};
    // A request takes a second: what begins within half of one is under way at once.
    void Count(SystemTime now) {
      if (now - time > 500ms) {
        time = now;
        at_once = 0;
      }
      most = std::max(most, ++at_once);
    }
  };
  for (Transport transport : {Transport::kDirect, Transport::kPlain}) {
    for (const auto& [reads, writes] : {std::pair(std::optional(100), std::optional(90)),
                                        std::pair(std::optional(3), std::optional(7)),
                                        std::pair(std::optional<int>(), std::optional<int>())}) {
      ReplicationWorld many;
      many.configuration.rules[0].transport = transport;
      many.configuration.stores["east"].requests = reads;
      many.configuration.stores["west0"].requests = writes;
      for (int i = 0; i < 250; ++i) many.Put("k" + std::to_string(i), "text" + std::to_string(i));
      Begun gets;
      Begun puts;
      auto slow = [&](StoreOperation counted, std::string_view counted_in, Begun& begun) {
        return [&, counted, counted_in](StoreOperation operation, std::string_view bucket,
                                        std::string_view) {
          Fault fault;
          if (operation == counted && bucket == counted_in) {
            begun.Count(many.world.clock.Now());
            fault.delay = 1s;
          }
          return fault;
        };
      };
      many.source().decide = slow(StoreOperation::kGet, "in", gets);
      many.target().decide = slow(StoreOperation::kPut, "out", puts);
      OnceResult result = many.RunOnce();
      ASSERT_FALSE(result.store_error) << result.store_error->Describe();
      EXPECT_EQ(many.Replicas().size(), 250U);
      const int most_reads = reads.value_or(many.limits.reads_max);
      const int most_writes = writes.value_or(many.limits.writes_max);
      if (transport == Transport::kDirect) {
        EXPECT_EQ(gets.most, most_reads);
        EXPECT_EQ(puts.most, most_writes);
      } else {
        // One object at a time is read and then written; the HTTP client bounds either.
        EXPECT_EQ(gets.most, std::max(most_reads, most_writes));
      }
    }
  }
}

// What was there before the rule, and what is under a key of the KMS, is left where the rule says
// so; S3's own replication does the same.
TEST_F(RuleFeaturesTest, FiltersByTimeAndEncryption) {
  world.Put("before", "text");
  world.RunFor(10s);
  Rule& rule = world.configuration.rules[0];
  rule.filter.modified_since = std::chrono::floor<std::chrono::seconds>(world.world.clock.Now());
  rule.filter.kms_encrypted = false;
  world.RunFor(1s);
  world.Put("after", "text");
  testing::MemoryStore direct(world.runtime, world.source().backend);
  PutRequest request{.bucket = "in", .key = "secret"};
  request.kms_key = "alias/k";
  ASSERT_TRUE(world.world.Run(PutText(direct, request, "text")));
  SendEvent("before");
  RunOnce();
  EXPECT_EQ(world.Replicas(), Keys{"after"});
  world.Put("before", "changed since");
  world.RunFor(3s);
  RunOnce();
  EXPECT_EQ(world.Replicas(), (Keys{"after", "before"}));
}

}  // namespace
}  // namespace longhaul
