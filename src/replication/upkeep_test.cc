#include "replication/upkeep.h"

#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using testing::ReplicationWorld;

constexpr ReplicatorOptions kSourceAlone{.source = true, .target = false};
constexpr char kTold[] = "a new target shares a staging, and has not answered yet";

// A target process with a configuration of its own removes archives that it does not know another
// target for: whoever adds that one at the source first must be told.
TEST(UpkeepTest, TellsOfATargetThatJoinsAStagingUntilItAnswers) {
  ReplicationWorld world(2);
  Rule& rule = world.configuration.rules[0];
  rule.targets[1].staging = rule.targets[0].staging;
  const Target joining = rule.targets[1];
  rule.targets.pop_back();
  world.Put("a", "text");
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_FALSE(world.log.Has(kTold)) << "it is the only one";
  EXPECT_FALSE(world.RunOnce().store_error);

  rule.targets.push_back(joining);
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(std::ranges::count(world.log.lines, kTold), 1);
  EXPECT_FALSE(world.RunOnce().store_error);
  EXPECT_EQ(std::ranges::count(world.log.lines, kTold), 1) << "one process does both";
  EXPECT_EQ(world.Replicas(1).size(), 1u);
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(std::ranges::count(world.log.lines, kTold), 1) << "it has answered";
}

}  // namespace
}  // namespace longhaul
