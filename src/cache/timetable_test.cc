#include "cache/timetable.h"

#include <gtest/gtest.h>

#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul::testing {
namespace {

using namespace std::chrono_literals;

// A cache would be filled by each process, or never, or a hundred times after a weekend.
TEST(CacheTimetable, EachTimeOnceForAllProcesses) {
  FakeWorld world;
  auto backend = std::make_shared<FakeStateBackend>();
  FakeState first(world.runtime, backend);
  FakeState second(world.runtime, backend);
  CacheSettings hourly;
  hourly.id = "hourly";
  hourly.schedule = "0 * * * *";
  CacheSettings never;
  never.id = "never";
  cache::Timetable one(world.runtime, first);
  cache::Timetable other(world.runtime, second);
  for (cache::Timetable* table : {&one, &other}) {
    ASSERT_TRUE(table->Add(hourly));
    ASSERT_TRUE(table->Add(never));
  }
  const auto due = [&](cache::Timetable& table) { return world.Run(table.Due())->size(); };
  EXPECT_EQ(due(one) + due(other), 0U);  // It counts from now on.
  world.clock.Advance(61min);
  EXPECT_EQ(due(one), 1U);
  EXPECT_EQ(due(other), 0U);
  world.clock.Advance(10h);
  EXPECT_EQ(due(other), 1U);
  EXPECT_EQ(due(one) + due(other), 0U);
}

// What has been noted as due is due once.
TEST(CacheTimetable, OneThatCannotBeLookedAtHoldsUpNoOther) {
  FakeWorld world;
  auto backend = std::make_shared<FakeStateBackend>();
  FakeState state(world.runtime, backend);
  CacheSettings hourly;
  hourly.id = "hourly";
  hourly.schedule = "0 * * * *";
  CacheSettings broken = hourly;
  broken.id = "later";
  cache::Timetable table(world.runtime, state);
  ASSERT_TRUE(table.Add(hourly));
  ASSERT_TRUE(table.Add(broken));
  ASSERT_TRUE(world.Run(table.Due()));
  for (auto& [key, row] : backend->rows) {
    if (key.second == "later") row.value = "no row of ours";
  }
  EXPECT_FALSE(world.Run(table.Due()));
  world.clock.Advance(61min);
  Result<std::vector<const CacheSettings*>> due = world.Run(table.Due());
  ASSERT_TRUE(due) << due.error().Describe();
  EXPECT_EQ(due->size(), 1U);
}

}  // namespace
}  // namespace longhaul::testing
