#include "cli/replication_observer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "cli/progress.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
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

// A run compares once more where something was under way: what still fails then is one failure, and
// not two objects to look for.
TEST(ReplicationObserverTest, ARunThatEndsTellsAndCountsAFailureOnce) {
  testing::FakeWorld world;
  testing::TempDir folder;
  Outcome outcome{.rule = "main",
                  .target = "west",
                  .op = "put",
                  .key = "2026/f.log",
                  .state = OutcomeState::kConflict,
                  .reason = "no replica"};
  for (const bool ends : {true, false}) {
    testing::TestConsole console;
    Output output(console, false, false);
    Readiness readiness;
    ReplicationObserver observer(world.clock, world.metrics, output, readiness, false);
    const std::string report = folder.file(ends ? "once.jsonl" : "always.jsonl");
    ASSERT_TRUE(observer.OpenReport(report));
    Progress progress(output, world.clock, "replicated", 0);
    observer.set_progress(&progress);
    if (ends) observer.TellEachFailureOnce();
    for (const char* archive : {"01A", "01B"}) {
      outcome.archive = archive;
      observer.OnOutcome(outcome);
    }
    const uint64_t times = ends ? 1 : 2;
    EXPECT_EQ(observer.counts().conflicts, times);
    EXPECT_EQ(progress.totals.objects_failed, times);
    const std::string line = "longhaul: conflict: 2026/f.log: no replica\n";
    EXPECT_EQ(console.error, ends ? line : line + line);

    // Another target, another key, and another way to fail are others.
    Outcome other = outcome;
    other.target = "north";
    observer.OnOutcome(other);
    other.key = "2026/g.log";
    observer.OnOutcome(other);
    EXPECT_EQ(observer.counts().conflicts, times + 2);
    other.state = OutcomeState::kParked;
    observer.OnOutcome(other);
    EXPECT_EQ(observer.counts().parked, 1);
    ASSERT_TRUE(observer.CloseReport(1, 0));
    std::ostringstream written;
    written << std::ifstream(report).rdbuf();
    EXPECT_TRUE(written.str().contains("\"conflicts\":" + std::to_string(times + 2)));
    EXPECT_TRUE(written.str().contains("01A"));
    EXPECT_TRUE(written.str().contains("01B")) << "each time has a line: " << written.str();
  }
}

}  // namespace
}  // namespace longhaul
