#include "net/client_pool.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// A process that runs for months must not hold what its busiest minute took: each connection is a
// descriptor and 16 KiB.
TEST(ClientPoolTest, WhatABurstLeftGoesAfterAMinute) {
  testing::FakeWorld world;
  ClientPool pool(world.runtime, 8);
  std::vector<std::shared_ptr<ClientConnection>> burst;
  for (int i = 0; i < 8; ++i) burst.push_back(pool.TakeNew("s3.example:80"));
  std::vector<std::weak_ptr<ClientConnection>> kept;
  for (auto& connection : burst) {
    kept.emplace_back(connection);
    pool.GiveBack(std::move(connection), true);
  }
  const auto kept_count = [&] {
    return std::ranges::count_if(kept,
                                 [](const auto& connection) { return !connection.expired(); });
  };
  const SteadyTime end = world.clock.SteadyNow() + 50s;
  while (world.clock.SteadyNow() < end) ASSERT_TRUE(world.clock.AdvanceToNextTimer());
  EXPECT_EQ(kept_count(), 8);
  while (world.clock.SteadyNow() < end + 11s && world.clock.AdvanceToNextTimer()) {
  }
  EXPECT_EQ(kept_count(), 0);
  EXPECT_FALSE(world.clock.AdvanceToNextTimer()) << "an idle process sleeps";
}

}  // namespace
}  // namespace longhaul
