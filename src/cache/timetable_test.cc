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

}  // namespace
}  // namespace longhaul::testing
