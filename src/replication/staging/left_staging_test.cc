#include "replication/staging/left_staging.h"

#include <gtest/gtest.h>

#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::ReplicationWorld;

Result<std::vector<LeftStaging>> Find(ReplicationWorld& world, bool forget = true) {
  std::vector<const Rule*> rules;
  for (const Rule& rule : world.configuration.rules) rules.push_back(&rule);
  std::map<std::string, Store*> stores;
  for (const auto& [name, troubled] : world.stores) stores[name] = troubled->store.get();
  return world.world.Run(FindLeftStagings(world.state, rules, stores, forget));
}

// With `deletes: false`, and the object gone at the source since, its only copy lies there.
TEST(LeftStagingTest, ArchivesOfARenamedRuleAreTold) {
  ReplicationWorld world;
  world.Put("a", "text");
  world.RunOnce({.target = false, .timeout = 60s});
  ASSERT_FALSE(world.Staged().empty());
  EXPECT_TRUE(Find(world).value().empty());

  world.configuration.rules[0].id = "another";
  const std::vector<LeftStaging> left = Find(world, false).value();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].rule, "r");
  EXPECT_EQ(left[0].place, "west0:staging/");
  EXPECT_EQ(left[0].archives, 1U);
  world.RunOnce({.timeout = 60s});
  EXPECT_TRUE(world.log.Has("archives wait that nobody carries"));

  // The rule comes back, and carries them: then there is nothing to tell, and nothing is kept.
  world.configuration.rules[0].id = "r";
  world.RunOnce({.timeout = 60s});
  world.configuration.rules[0].id = "another";
  EXPECT_TRUE(Find(world).value().empty());
  world.stores.erase("west0");
  EXPECT_TRUE(Find(world).value().empty());
}

TEST(LeftStagingTest, ArchivesInAFormerStagingAreTold) {
  ReplicationWorld world;
  world.Put("a", "text");
  world.RunOnce({.target = false, .timeout = 60s});
  world.target().backend->buckets["elsewhere"].created = world.world.clock.Now();
  world.configuration.rules[0].targets[0].staging.bucket = "elsewhere";
  const std::vector<LeftStaging> left = Find(world).value();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].archives, 1U);
  // A place that cannot be looked at is not taken for empty.
  world.configuration.rules.clear();
  world.stores.erase("west0");
  const std::vector<LeftStaging> unknown = Find(world).value();
  ASSERT_EQ(unknown.size(), 1U);
  EXPECT_NE(unknown[0].not_looked, "");
}

}  // namespace
}  // namespace longhaul
