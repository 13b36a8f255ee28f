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
  EXPECT_NE(too_many.error().message.find("and the stores' requests"), std::string::npos)
      << too_many.error().message;
}

}  // namespace
}  // namespace longhaul
