#include "replication/source/fair_slots.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// Rules that pack batches of some bytes, one after the other, for a time that goes by bytes.
class FairSlotsTest : public ::testing::Test {
 protected:
  struct Rule {
    int64_t batch_bytes = 0;
    std::chrono::milliseconds takes{0};
    SteadyTime first_batch{};
    int64_t done_bytes = 0;
    int running = 0;
    int running_most = 0;
  };

  Async<void> Pack(FairSlots& slots, Rule& rule, size_t index) {
    slots.Charge(index, rule.batch_bytes);
    rule.running_most = std::max(rule.running_most, ++rule.running);
    co_await world_.clock.Sleep(rule.takes);
    --rule.running;
    rule.done_bytes += rule.batch_bytes;
    slots.Release(index);
    co_return Ok();
  }
  // A rule with a backlog until `end`, that begins at `start`.
  Async<void> Work(FairSlots& slots, Rule& rule, size_t index, std::chrono::seconds start,
                   std::chrono::seconds end) {
    const SteadyTime begun = world_.clock.SteadyNow();
    co_await world_.clock.Sleep(start);
    TaskGroup batches(world_.runtime.executor);
    while (world_.clock.SteadyNow() < begun + end) {
      co_await slots.Acquire(index);
      if (rule.first_batch == SteadyTime{}) rule.first_batch = world_.clock.SteadyNow();
      batches.Spawn(Pack(slots, rule, index));
    }
    co_return co_await batches.Join();
  }
  Async<void> All(FairSlots& slots, std::vector<Rule>& rules, std::vector<int> starts) {
    TaskGroup working(world_.runtime.executor);
    for (size_t i = 0; i < rules.size(); ++i) {
      working.Spawn(Work(slots, rules[i], i, std::chrono::seconds(starts[i]), 1000s));
    }
    co_return co_await working.Join();
  }

  testing::FakeWorld world_;
};

// Two backlogs get the same share in bytes, though the batches of one are a tenth of the other's.
TEST_F(FairSlotsTest, EqualSharesInBytes) {
  for (const int places : {1, 2, 3}) {
    FairSlots slots(places, 2);
    std::vector<Rule> rules{{.batch_bytes = 100'000, .takes = 1000ms},
                            {.batch_bytes = 10'000, .takes = 100ms}};
    ASSERT_TRUE(world_.Run(All(slots, rules, {0, 0})));
    const double ratio =
        static_cast<double>(rules[0].done_bytes) / static_cast<double>(rules[1].done_bytes);
    EXPECT_GT(ratio, 1 / 1.5) << places;
    EXPECT_LT(ratio, 1.5) << places;
  }
}

// A rule that was idle must neither wait for what another has before it nor make up for lost time.
TEST_F(FairSlotsTest, WhoComesLateBeginsAtOnceAndGetsItsShareFromThen) {
  FairSlots slots(2, 2);
  std::vector<Rule> rules{{.batch_bytes = 100'000, .takes = 1000ms},
                          {.batch_bytes = 100'000, .takes = 1000ms}};
  const SteadyTime start = world_.clock.SteadyNow();
  ASSERT_TRUE(world_.Run(All(slots, rules, {0, 500})));
  EXPECT_EQ(rules[1].first_batch - start, 500s) << "a place is kept free";
  EXPECT_EQ(rules[0].running_most, 1);
  EXPECT_NEAR(static_cast<double>(rules[1].done_bytes) / 100'000, 500, 5);
  EXPECT_NEAR(static_cast<double>(rules[0].done_bytes) / 100'000, 1000, 5);
}

// A rule alone has all places.
TEST_F(FairSlotsTest, ARuleAloneHasAllPlaces) {
  FairSlots slots(2, 1);
  std::vector<Rule> rules{{.batch_bytes = 100, .takes = 1000ms}};
  ASSERT_TRUE(world_.Run(All(slots, rules, {0})));
  EXPECT_EQ(rules[0].running_most, 2);
}

// Rules whose stores hang must not hold all places together.
TEST_F(FairSlotsTest, TheSickShareOnePlace) {
  FairSlots slots(3, 3);
  slots.SetSick(0, true);
  slots.SetSick(1, true);
  std::vector<Rule> rules{{.batch_bytes = 1, .takes = 100s},
                          {.batch_bytes = 1, .takes = 100s},
                          {.batch_bytes = 1'000'000, .takes = 1s}};
  ASSERT_TRUE(world_.Run(All(slots, rules, {0, 0, 0})));
  EXPECT_EQ(rules[0].running_most, 1);
  EXPECT_EQ(rules[1].running_most, 1);
  EXPECT_EQ(rules[2].running_most, 2);
  EXPECT_GE(rules[2].done_bytes, 1'900 * 1'000'000LL);
  EXPECT_NEAR(static_cast<double>(rules[0].done_bytes + rules[1].done_bytes), 10, 2);
}

// A rule with several batches under way looks for the next one when there is a place for it; one
// that has none or one of them does at once: it waits in the line with what it found.
TEST_F(FairSlotsTest, ARuleCrowdsWhereNoPlaceIsLeft) {
  FairSlots slots(3, 2);
  const auto acquire = [&](FairSlots& places, size_t rule) { world_.Run(places.Acquire(rule)); };
  acquire(slots, 0);
  acquire(slots, 0);
  EXPECT_FALSE(slots.Crowds(0)) << "one is left";
  acquire(slots, 1);
  EXPECT_TRUE(slots.Crowds(0));
  EXPECT_FALSE(slots.Crowds(1));
  slots.Release(1);
  EXPECT_FALSE(slots.Crowds(0));
  FairSlots single(1, 1);
  acquire(single, 0);
  EXPECT_FALSE(single.Crowds(0)) << "the next batch is to be at hand when this one is packed";
}

}  // namespace
}  // namespace longhaul
