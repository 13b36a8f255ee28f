#include "replication/life/left_spool.h"

#include <gtest/gtest.h>

#include "events/hint.h"
#include "replication/life/rule_control.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::ReplicationWorld;

constexpr char kTold[] = "hints are kept that nobody sends";

std::vector<LeftSpool> Find(ReplicationWorld& world) {
  std::vector<const Rule*> rules;
  for (const Rule& rule : world.configuration.rules) rules.push_back(&rule);
  Result<std::vector<LeftSpool>> left = world.world.Run(FindLeftSpools(world.state, rules));
  return left ? *left : std::vector<LeftSpool>();
}

void Tell(ReplicationWorld& world, const std::string& rule, const std::string& key) {
  HintMessage message{.store = "east", .bucket = "in", .rule = rule, .hints = {{.key = key}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
}

void RunForAMinute(ReplicationWorld& world) {
  world.stop.Reset();
  world.Start();
  world.RunFor(1min);
  world.Stop();
}

// A rule that was renamed while hints waited for it: nobody sends them, and a change of tags is
// found by no comparison.
TEST(LeftSpoolTest, HintsOfARenamedRuleAreTold) {
  for (const bool paused : {false, true}) {  // They wait in the Queue, or in State.
    ReplicationWorld world;
    world.configuration.rules[0].intake.listing.reset();
    if (paused) {
      ASSERT_TRUE(world.world.Run(WritePause(world.state, "r", "", Pause{})));
      RunForAMinute(world);
    }
    Tell(world, "r", "a");
    if (paused) RunForAMinute(world);
    EXPECT_FALSE(world.log.Has(kTold));

    world.configuration.rules[0].id = "another";
    RunForAMinute(world);
    const std::vector<LeftSpool> left = Find(world);
    ASSERT_EQ(left.size(), 1U) << paused;
    EXPECT_EQ(left[0].rule, "r");
    EXPECT_EQ(left[0].hints, 1U);
    EXPECT_NE(Describe(left[0]).find("1 hint of rule r is kept"), std::string::npos);
    RunForAMinute(world);
    EXPECT_TRUE(world.log.Has(kTold)) << paused;

    // The rule comes back, and sends them.
    world.configuration.rules[0].id = "r";
    EXPECT_TRUE(Find(world).empty());
    ASSERT_TRUE(world.world.Run(RemovePause(world.state, "r", "")));
    RunForAMinute(world);
    world.configuration.rules[0].id = "another";
    EXPECT_TRUE(Find(world).empty());
  }
}

}  // namespace
}  // namespace longhaul
