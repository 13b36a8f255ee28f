// What rules do to each other when they share a process.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/replication_world.h"
#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::ReplicationWorld;
using testing::StoreOperation;

// More than two processes read in the time that a test gives them.
constexpr int kBacklog = testing::kSanitized ? 30'000 : 100'000;

// Rule "r", and rule "other" from a bucket of its own to a store of its own.
class FairnessTest : public ::testing::Test {
 protected:
  FairnessTest() {
    world_.AddStore("north", {"out", "staging"});
    world_.source().backend->buckets["other"].created = world_.world.clock.Now();
    Rule other = world_.configuration.rules[0];
    other.id = "other";
    other.source.bucket = "other";
    other.targets[0].to.store = "north";
    other.targets[0].staging.store = "north";
    world_.configuration.rules.push_back(std::move(other));
    for (Rule& rule : world_.configuration.rules) {
      rule.intake.listing.reset();
      rule.deletes = false;  // What is not there is nothing to carry.
    }
  }
  void Put(const std::string& bucket, const std::string& key, std::string text) {
    testing::MemoryStore direct(world_.runtime, world_.source().backend);
    ASSERT_TRUE(world_.world.Run(PutText(direct, {.bucket = bucket, .key = key}, std::move(text))));
  }
  // Tells rule "r" of `count` keys that are not there (any more).
  void SendBacklog(int count, HintOrigin origin) {
    HintMessage message{.store = "east", .bucket = "in", .rule = "r", .origin = origin};
    for (int i = 0; i < count; ++i) {
      message.hints.push_back(
          {.key = "k" + std::to_string(i), .time = world_.world.clock.Now(), .size_bytes = 10});
    }
    ASSERT_TRUE(world_.world.Run(world_.queue.Send(EncodeHints(message), {})));
  }
  void SendFresh(const std::string& rule, const std::string& bucket, const std::string& key) {
    HintMessage message{.store = "east", .bucket = bucket, .rule = rule};
    message.hints.push_back({.key = key, .time = world_.world.clock.Now()});
    ASSERT_TRUE(world_.world.Run(world_.queue.Send(EncodeHints(message), {})));
  }
  [[nodiscard]] bool Carried(const std::string& store, const std::string& key) {
    const std::vector<std::string> keys = world_.store(store).backend->Keys("out");
    return std::ranges::find(keys, key) != keys.end();
  }
  // How long until it is there; at most `max`.
  std::chrono::nanoseconds TimeUntilCarried(const std::string& store, const std::string& key,
                                            std::chrono::seconds max) {
    const SteadyTime start = world_.world.clock.SteadyNow();
    while (!Carried(store, key) && world_.world.clock.SteadyNow() < start + max) {
      world_.RunFor(100ms);
    }
    return world_.world.clock.SteadyNow() - start;
  }
  // Reading takes time, else there is no backlog.
  void SlowSource(std::chrono::milliseconds each) {
    world_.source().decide = [each](StoreOperation operation, std::string_view bucket,
                                    std::string_view) {
      Fault fault;
      if (operation == StoreOperation::kGet && bucket == "in") fault.delay = each;
      return fault;
    };
  }
  // An event of rule "other" is carried as if there were no backlog of rule "r".
  void ExpectAnEventOvertakes() {
    Put("other", "fresh", "text");
    SendFresh("other", "other", "fresh");
    EXPECT_LT(TimeUntilCarried("north", "fresh", 60s), world_.configuration.rules[1].settle + 3s);
    EXPECT_GT(world_.queue_backend->rows.size(), 20u) << "the backlog is still there";
    world_.source().Heal();
  }

  ReplicationWorld world_;
};

// Very many keys of one rule wait, and reading them takes minutes; another rule has one event.
class FairnessBacklogTest : public FairnessTest,
                            public ::testing::WithParamInterface<HintOrigin> {};
TEST_P(FairnessBacklogTest, IsNotBeforeAnEventOfAnotherRule) {
  world_.Start();
  world_.RunFor(5s);
  SlowSource(500ms);  // 64 at a time: 13 minutes.
  SendBacklog(kBacklog, GetParam());
  world_.RunFor(20s);
  const auto taken = std::ranges::count_if(world_.queue_backend->rows,
                                           [](const auto& row) { return row.second.in_flight; });
  EXPECT_LE(taken, 61) << "one rule fills half of the memory for keys, a Receive apart";
  ExpectAnEventOvertakes();
  world_.Stop();
}
INSTANTIATE_TEST_SUITE_P(All, FairnessBacklogTest,
                         ::testing::Values(HintOrigin::kWebhook, HintOrigin::kListing),
                         [](const auto& info) {
                           return info.param == HintOrigin::kListing ? "Listing" : "Webhook";
                         });

// Nor where two processes share it all.
TEST_F(FairnessTest, ABacklogOfTwoProcessesIsNotBeforeAnEventOfAnotherRule) {
  world_.Start();
  testing::AnotherProcess another(world_);
  another.Start();
  world_.RunFor(5s);
  SlowSource(500ms);
  SendBacklog(kBacklog, HintOrigin::kWebhook);
  world_.RunFor(20s);
  ExpectAnEventOvertakes();
  another.Stop();
  world_.Stop();
}

// What a listing of a rule found does not keep its own events waiting for all of it.
TEST_F(FairnessTest, AListingIsNotBeforeAnEventOfItsRule) {
  world_.configuration.rules[0].batch.count = 1000;
  world_.Start();
  world_.RunFor(5s);
  SlowSource(500ms);
  SendBacklog(kBacklog, HintOrigin::kListing);
  world_.RunFor(20s);
  world_.Put("fresh", "text");
  SendFresh("r", "in", "fresh");
  // Settle, linger, a place for packing, and the batches that are under way.
  EXPECT_LT(TimeUntilCarried("west0", "fresh", 120s), 30s);
  EXPECT_GT(world_.queue_backend->rows.size(), 20u) << "the backlog is still there";
  world_.source().Heal();
  world_.Stop();
}

// Two rules with the same backlog go forward side by side.
TEST_F(FairnessTest, EqualBacklogsGoForwardTogether) {
  world_.configuration.rules[0].batch.count = 50;
  world_.configuration.rules[1].batch.count = 500;
  constexpr int kObjects = 3000;
  HintMessage in{.store = "east", .bucket = "in", .rule = "r", .origin = HintOrigin::kListing};
  HintMessage other{
      .store = "east", .bucket = "other", .rule = "other", .origin = HintOrigin::kListing};
  for (int i = 0; i < kObjects; ++i) {
    const std::string key = "k" + std::to_string(i);
    Put("in", key, std::string(1000, 'x'));
    Put("other", key, std::string(1000, 'x'));
    in.hints.push_back({.key = key, .size_bytes = 1000});
    other.hints.push_back({.key = key, .size_bytes = 1000});
  }
  std::map<std::string, int, std::less<>> reads;
  world_.source().decide = [&](StoreOperation operation, std::string_view bucket,
                               std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kGet) {
      fault.delay = 1s;
      ++reads[std::string(bucket)];
    }
    return fault;
  };
  world_.Start({.source = true, .target = false});
  ASSERT_TRUE(world_.world.Run(world_.queue.Send(EncodeHints(in), {})));
  ASSERT_TRUE(world_.world.Run(world_.queue.Send(EncodeHints(other), {})));
  for (int i = 0; i < 600 && reads["in"] + reads["other"] < kObjects; ++i) world_.RunFor(100ms);
  const double ratio = static_cast<double>(reads["in"]) / std::max(1, reads["other"]);
  EXPECT_GT(ratio, 1 / 1.5);
  EXPECT_LT(ratio, 1.5);
  world_.source().Heal();
  world_.RunFor(1min);
  world_.Stop();
}

// A target that answers nothing until the deadline must not hold the places of other rules.
TEST_F(FairnessTest, ATargetThatHangsHoldsUpNoOtherRule) {
  world_.Start();
  world_.RunFor(5s);
  world_.target().decide = [](StoreOperation, std::string_view, std::string_view) {
    Fault fault = testing::TroubledStore::Failing(ErrorKind::kRetryable);
    fault.delay = 60s;
    return fault;
  };
  for (int i = 0; i < 50; ++i) {
    world_.Put("k" + std::to_string(i), "text");
    SendFresh("r", "in", "k" + std::to_string(i));
    world_.RunFor(1s);
  }
  for (int i = 0; i < 5; ++i) {
    const std::string key = "k" + std::to_string(i);
    Put("other", key, "text");
    SendFresh("other", "other", key);
    EXPECT_LT(TimeUntilCarried("north", key, 60s), world_.configuration.rules[1].settle + 3s);
  }
  world_.target().Heal();
  world_.RunFor(5min);
  EXPECT_EQ(world_.Replicas().size(), 50u);
  world_.Stop();
}

}  // namespace
}  // namespace longhaul
