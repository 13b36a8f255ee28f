#include "replication/compare/compare_memory.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "replication/compare/comparisons.h"
#include "replication/memory_plan.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::ReplicationWorld;
using testing::StoreOperation;

asio::awaitable<void> Compare(Comparisons& comparisons, RuleContext& rule, int& compared) {
  Result<void> done = co_await comparisons.CompareDue(rule, nullptr);
  EXPECT_TRUE(done) << done.error().Describe();
  ++compared;
}

// A role that wants all of the memory, a moment after somebody has taken some of it.
asio::awaitable<void> WantAll(ReplicationWorld& world, bool& got_all) {
  for (int i = 0; i < 10'000 && world.runtime.memory.reserved_bytes() == 0; ++i) {
    co_await world.world.clock.Sleep(10ms);
  }
  EXPECT_GT(world.runtime.memory.reserved_bytes(), 0) << "nobody has taken any memory";
  Result<Reservation> all =
      co_await world.runtime.memory.Reserve(world.runtime.memory.limit_bytes());
  EXPECT_TRUE(all);
  got_all = true;
}

class CompareMemoryTest : public ::testing::Test {
 protected:
  // So many rules, each with a backup of the same bucket.
  explicit CompareMemoryTest(int rules = 1) {
    Target& target = world.configuration.rules[0].targets[0];
    target.to.prefix = "v0/";
    target.backup = BackupOptions();
    for (int i = 1; i < rules; ++i) {
      Rule rule = world.configuration.rules[0];
      rule.id = "r" + std::to_string(i);
      rule.targets[0].to.prefix = "v" + std::to_string(i) + "/";
      world.configuration.rules.push_back(std::move(rule));
    }
  }

  void Keep(const std::string& key) {
    world.Put(key, "text of " + key);
    world.RunFor(5s);
    EXPECT_FALSE(world.RunOnce().store_error);
  }
  void MakeSlow() {
    world.target().decide = [](StoreOperation, std::string_view bucket, std::string_view) {
      Fault fault;
      if (bucket == "out") fault.delay = 1s;
      return fault;
    };
  }
  // Of a process that has found everything.
  void MakeComparisons() {
    world.MakeContext();
    EXPECT_TRUE(world.world.Run(world.context->control->Refresh()));
    for (const auto& rule : world.context->rules) {
      rule->targets[0]->target_found = rule->targets[0]->compare_due = true;
    }
    comparisons = std::make_unique<Comparisons>(*world.context);
  }
  ReplicationWorld world{1};
  std::unique_ptr<Comparisons> comparisons;
};

// A comparison that holds memory and asks for more, behind a role that wants all of it, would stand
// still for ever, and the process with it.
TEST_F(CompareMemoryTest, AComparisonAsksOnceForItsMemory) {
  Keep("a");
  Keep("b");
  MakeSlow();
  MakeComparisons();
  bool got_all = false;
  int compared = 0;
  world.world.Start(WantAll(world, got_all));
  world.world.Start(Compare(*comparisons, *world.context->rules[0], compared));
  world.world.Drive([&] { return compared == 1 && got_all; });
  EXPECT_TRUE(got_all);
}

class SixRulesTest : public CompareMemoryTest {
 protected:
  SixRulesTest() : CompareMemoryTest(6) {}
};

// At the start all rules are compared at once: together they may not take what the roles need, and
// none may wait for what another one holds that waits itself.
TEST_F(SixRulesTest, TogetherTheyTakeNoMoreThanIsTheirs) {
  Keep("a");
  Keep("b");
  MakeSlow();
  MakeComparisons();
  const int64_t before = world.runtime.memory.reserved_bytes();
  int64_t most = 0;
  int compared = 0;
  for (const auto& rule : world.context->rules) {
    world.world.Start(Compare(*comparisons, *rule, compared));
  }
  world.world.Drive([&] {
    most = std::max(most, world.runtime.memory.reserved_bytes() - before);
    return compared == 6;
  });
  EXPECT_EQ(compared, 6);
  EXPECT_GT(most, 0);
  EXPECT_LE(most, CompareBytes(*world.context));
}

// Nor may one that looks into the archives that wait in staging.
TEST(CompareMemoryOfReplicasTest, ALookIntoStagingAsksOnceForItsMemory) {
  ReplicationWorld world(1);
  for (const char* key : {"a", "b"}) {
    world.Put(key, std::string("text of ") + key);
    world.RunFor(5s);
    EXPECT_FALSE(world.RunOnce({.source = true, .target = false}).store_error);
  }
  ASSERT_GE(world.Staged().size(), 2u);
  world.target().decide = [](StoreOperation, std::string_view bucket, std::string_view) {
    Fault fault;
    if (bucket == "staging") fault.delay = 1s;
    return fault;
  };
  world.MakeContext();
  EXPECT_TRUE(world.world.Run(world.context->control->Refresh()));
  RuleContext& rule = *world.context->rules[0];
  rule.targets[0]->target_found = rule.targets[0]->compare_due = true;
  Comparisons comparisons(*world.context);
  bool got_all = false;
  int compared = 0;
  world.world.Start(WantAll(world, got_all));
  world.world.Start(Compare(comparisons, rule, compared));
  world.world.Drive([&] { return compared == 1 && got_all; });
  EXPECT_TRUE(got_all);
}

// Whoever packs must not wait for a comparison of hours.
TEST_F(CompareMemoryTest, ThePlanLeavesItToThem) {
  world.MakeContext();
  Result<MemoryPlan> plan = PlanMemory(*world.context, true, false);
  ASSERT_TRUE(plan) << plan.error().Describe();
  EXPECT_LE(plan->pack_jobs * plan->pack.total() + CompareBytes(*world.context),
            world.runtime.memory.limit_bytes());
}

}  // namespace
}  // namespace longhaul
