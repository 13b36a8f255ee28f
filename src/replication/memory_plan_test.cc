#include "replication/memory_plan.h"

#include <gtest/gtest.h>

#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using testing::ReplicationWorld;

int64_t Planned(const MemoryPlan& plan) {
  return plan.pack_jobs * plan.pack.total() + plan.apply_job_bytes;
}

// What answers hold while they wait to be read is taken from the budget where a store has more
// requests than usual: it would come on top of it.
TEST(MemoryPlanTest, LeavesRoomForManyRequests) {
  ReplicationWorld world;
  world.MakeContext();
  const int64_t budget = world.runtime.memory.limit_bytes();
  Result<MemoryPlan> usual = PlanMemory(*world.context, true, true);
  ASSERT_TRUE(usual) << usual.error().Describe();
  EXPECT_LE(Planned(*usual), budget);

  world.configuration.stores["west0"].requests = 64;
  world.configuration.stores["east"].requests = 1;
  world.MakeContext();
  Result<MemoryPlan> same = PlanMemory(*world.context, true, true);
  ASSERT_TRUE(same);
  EXPECT_EQ(Planned(*same), Planned(*usual));

  world.configuration.stores["west0"].requests = 100;
  world.MakeContext();
  Result<MemoryPlan> many = PlanMemory(*world.context, true, true);
  ASSERT_TRUE(many) << many.error().Describe();
  EXPECT_LE(Planned(*many), budget - (36 * (320 << 10)));

  world.configuration.stores["west0"].requests = static_cast<int>(budget / (320 << 10)) + 64;
  world.MakeContext();
  Result<MemoryPlan> too_many = PlanMemory(*world.context, true, true);
  ASSERT_FALSE(too_many);
  EXPECT_NE(too_many.error().message.find("the stores' requests"), std::string::npos)
      << too_many.error().message;
  // What the message asks for is enough, and not much more than that.
  world.configuration.stores["west0"].requests.reset();
  auto plan = [&](int64_t bytes, bool packs, bool applies) {
    world.MakeContext();
    // As with a smaller budget: the rest is taken.
    world.context->request_bytes = world.runtime.memory.limit_bytes() - bytes;
    return PlanMemory(*world.context, packs, applies);
  };
  for (const bool packs : {false, true}) {
    for (const bool applies : {false, true}) {
      if (!packs && !applies) continue;
      Result<MemoryPlan> little = plan(1024, packs, applies);
      ASSERT_FALSE(little);
      const std::string& message = little.error().message;
      const size_t at = message.rfind("--memory ");
      ASSERT_NE(at, std::string::npos) << message;
      const int64_t asked = std::atoll(message.c_str() + at + 9) * (1 << 20);
      const int64_t enough = asked - (world.runtime.memory.limit_bytes() - 1024);
      EXPECT_TRUE(plan(enough, packs, applies)) << message;
      EXPECT_FALSE(plan(enough - (2 << 20), packs, applies)) << message;
    }
  }
}

// Money saved by a higher level must not be paid for with archives side by side, or with a program
// that does not start.
TEST(MemoryPlanTest, ATunerGetsTheHighestLevelThatCostsNothingElse) {
  ReplicationWorld world;
  world.configuration.rules[0].tuner = TunerBounds{.level_min = 1, .level_max = 19};
  world.configuration.rules[0].compression_level = 6;
  const int64_t budget = world.runtime.memory.limit_bytes();
  auto plan = [&](const std::string& unknown_price, int64_t taken) {
    world.MakeContext();
    world.context->request_bytes = taken;
    world.context->tuner = std::make_unique<Tuner>(1, "here");
    world.context->tuner->Add(
        world.configuration.rules[0],
        {.transfer_gib = 0.02, .cpu_second = 0.00001, .unknown = unknown_price});
    return PlanMemory(*world.context, true, true);
  };
  Result<MemoryPlan> without = plan("transfer/a/b", 0);
  ASSERT_TRUE(without);
  EXPECT_EQ(without->pack.level_max, 0);
  Result<MemoryPlan> roomy = plan("", 0);
  ASSERT_TRUE(roomy);
  EXPECT_GT(roomy->pack.level_max, 6);
  EXPECT_EQ(roomy->pack.slots, without->pack.slots);
  EXPECT_EQ(roomy->pack_jobs, without->pack_jobs);
  EXPECT_LE(Planned(*roomy), budget);
  // With just enough for the level of the rule there is room for no higher one, and for that one.
  Result<MemoryPlan> narrow = InvalidInput("");
  for (int64_t taken = 0; taken < budget; taken += 100'000) {
    Result<MemoryPlan> less = plan("", taken);
    Result<MemoryPlan> fixed = plan("transfer/a/b", taken);
    ASSERT_EQ(less.has_value(), fixed.has_value()) << taken;
    if (!less) break;
    EXPECT_EQ(less->pack.slots, fixed->pack.slots) << taken;
    EXPECT_EQ(less->pack_jobs, fixed->pack_jobs) << taken;
    narrow = less;
  }
  ASSERT_TRUE(narrow);
  EXPECT_LT(narrow->pack.level_max, roomy->pack.level_max);
}

}  // namespace
}  // namespace longhaul
