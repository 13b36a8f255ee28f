#include "server/parked_counts.h"

#include <gtest/gtest.h>

#include "replication/life/parked.h"
#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// Tells how often it was asked for what is parked.
class CountingState : public testing::FakeState {
 public:
  using FakeState::FakeState;
  Async<std::vector<StateRow>> Scan(std::string partition, std::string after,
                                    int count_max) override {
    if (partition.starts_with("parked/")) ++scans;
    return FakeState::Scan(std::move(partition), std::move(after), count_max);
  }
  int scans = 0;
};

class ParkedCountsTest : public ::testing::Test {
 protected:
  ParkedCountsTest() {
    for (const char* id : {"a", "b"}) {
      Rule rule;
      rule.id = id;
      rule.targets.push_back({.name = "copy"});
      configuration_.rules.push_back(rule);
    }
  }
  void Park(const std::string& rule, const std::string& target, int first, int count) {
    for (int number = first; number < first + count; ++number) {
      ASSERT_TRUE(world_.Run(WriteParked(
          state_, rule,
          {.key = std::to_string(number), .target = target, .op = "put", .reason = "denied"})));
    }
  }
  void Publish(const std::string& rule, uint64_t parked) {
    ASSERT_TRUE(world_.Run(state_.Write(
        "totals", {.key = rule, .value = EncodeTotals(RuleTotals{.parked = parked})})));
  }
  void Refresh() {
    Result<RuleSights> sights = world_.Run(ReadRuleSights(state_));
    ASSERT_TRUE(sights);
    ASSERT_TRUE(world_.Run(counts_.Refresh(std::make_shared<RuleSights>(std::move(*sights)))));
  }

  testing::FakeWorld world_;
  Configuration configuration_;
  std::shared_ptr<testing::FakeStateBackend> backend_ =
      std::make_shared<testing::FakeStateBackend>();
  CountingState state_{world_.runtime, backend_};
  ParkedCounts counts_{world_.clock, state_, configuration_};
};

TEST_F(ParkedCountsTest, CountsByPlace) {
  Park("a", "", 0, 3);
  Park("a", "copy", 0, 2);
  Park("b", "copy", 0, ParkedCounts::kCountMax + 5);
  for (const char* rule : {"a", "b"}) {
    ASSERT_TRUE(world_.Run(WriteParked(
        state_, rule, {.target = "copy", .archive = "01", .op = "archive", .reason = "no seal"})));
  }
  Refresh();
  EXPECT_EQ(counts_.Of("a", ""), 3u);
  EXPECT_EQ(counts_.Of("a", "copy"), 3u) << "an archive that is refused as a whole counts as one";
  EXPECT_EQ(counts_.Of("b", ""), 0u);
  EXPECT_EQ(counts_.Of("b", "copy"), static_cast<uint64_t>(ParkedCounts::kCountMax));
  EXPECT_EQ(counts_.Of("none", ""), 0u);
}

// A list that counted every rule each time would read all that is parked for each page of them.
TEST_F(ParkedCountsTest, CountsAgainWhatHasMoved) {
  Park("a", "", 0, 3);
  Publish("a", 3);
  Refresh();
  state_.scans = 0;
  world_.clock.Advance(1min);
  Refresh();
  EXPECT_EQ(state_.scans, 0);

  Park("a", "", 3, 4);
  Publish("a", 7);
  world_.clock.Advance(ParkedCounts::kEvery);
  Refresh();
  EXPECT_EQ(counts_.Of("a", ""), 7u);
  EXPECT_EQ(state_.scans, 2) << "the other rule was counted, too";

  // What was written just after the totals is not missed.
  Park("a", "", 7, 1);
  world_.clock.Advance(ParkedCounts::kEvery);
  Refresh();
  EXPECT_EQ(counts_.Of("a", ""), 8u);
}

// Rows that somebody has removed by hand move no totals.
TEST_F(ParkedCountsTest, FindsInTurnWhatNoTotalsTell) {
  Park("a", "", 0, 3);
  Park("b", "", 0, 3);
  Refresh();
  world_.clock.Advance(10min);
  Refresh();
  for (const char* rule : {"a", "b"}) {
    ASSERT_TRUE(world_.Run(state_.Write("parked/" + std::string(rule), {.key = "0", .value = {}})));
  }
  world_.clock.Advance(10min);
  Refresh();
  EXPECT_EQ(counts_.Of("a", "") + counts_.Of("b", ""), 6u);
  world_.clock.Advance(1s);
  ASSERT_TRUE(world_.Run(counts_.RefreshOldest(1)));
  EXPECT_EQ(counts_.Of("a", "") + counts_.Of("b", ""), 5u);
  world_.clock.Advance(1s);
  ASSERT_TRUE(world_.Run(counts_.RefreshOldest(1)));
  EXPECT_EQ(counts_.Of("a", "") + counts_.Of("b", ""), 4u);
}

}  // namespace
}  // namespace longhaul
