#include "cli/replication_observer.h"

#include <gtest/gtest.h>

#include "tests/support/run.h"
#include "tests/support/test_console.h"

namespace longhaul {
namespace {

// Prometheus sees no increase where a series begins at 1: the first object that is parked after
// weeks without one would be no alert.
TEST(ReplicationObserverTest, WhatAlertsAskForBeginsAtNought) {
  testing::FakeWorld world;
  testing::TestConsole console;
  Output output(console, false, false);
  Readiness readiness;
  ReplicationObserver observer(world.clock, world.metrics, output, readiness, false);
  Rule rule;
  rule.id = "main";
  rule.targets = {{.name = "west", .to = {"w", "out", ""}, .staging = {"w", "stage", ""}}};
  Rule off = rule;
  off.id = "off";
  off.enabled = false;
  observer.Expect({rule, off});
  const std::string metrics = world.metrics.RenderPrometheus();
  for (const char* series : {R"({rule="main",state="parked",target=""} 0)",
                             R"({rule="main",state="parked",target="west"} 0)",
                             R"({rule="main",state="conflict",target="west"} 0)"}) {
    EXPECT_NE(metrics.find("longhaul_replication_outcomes_total" + std::string(series)),
              std::string::npos)
        << metrics;
  }
  EXPECT_EQ(metrics.find("off"), std::string::npos);
}

}  // namespace
}  // namespace longhaul
