#include "cli/sqs_place.h"

#include <gtest/gtest.h>

#include <set>

#include "rules/configuration.h"

namespace longhaul {
namespace {

// Dead letters of all lanes lie in one queue, and each goes back to the lane that it names: a task
// of a migration that came to a rule would be an event that nobody understands.
TEST(SqsPlaceTest, NoRuleHasALaneOfTheMigrations) {
  Configuration configuration;
  configuration.queue.sqs = AwsPlace{.name = "p"};
  for (const char* id : {"find", "work", "migrations"}) {
    Rule rule;
    rule.id = id;
    configuration.rules.push_back(rule);
  }
  std::set<std::string> lanes;
  std::set<std::string> queues;
  const SqsQueueOptions options = AllSqsOptionsOf(configuration);
  for (const SqsLane& lane : options.lanes) {
    EXPECT_TRUE(lanes.insert(lane.lane).second) << lane.lane << " is two lanes";
    EXPECT_TRUE(queues.insert(lane.queue).second) << lane.queue << " is of two lanes";
  }
  EXPECT_EQ(lanes.size(), 3U * 3 + 2);
}

}  // namespace
}  // namespace longhaul
