#include "base/shards.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"

namespace longhaul {
namespace {

// Up to 15 cores nothing changes: all stays on one thread, without a hop.
TEST(ShardsTest, OneForEachEightCores) {
  EXPECT_EQ(DefaultShards(1), 1);
  EXPECT_EQ(DefaultShards(4), 1);
  EXPECT_EQ(DefaultShards(15), 1);
  EXPECT_EQ(DefaultShards(16), 2);
  EXPECT_EQ(DefaultShards(32), 4);
  EXPECT_EQ(DefaultShards(192), 8);
}

TEST(ShardsTest, FewerThanTwoAreNone) {
  for (int count : {0, 1}) {
    Shards shards(count);
    EXPECT_TRUE(shards.all().empty());
    EXPECT_EQ(shards.LeastBusy(), nullptr);
    shards.Stop();
  }
}

// The order is what a client relies on when it goes: what it asked for before has been begun.
TEST(ShardsTest, WorkRunsOnTheShardInOrder) {
  Shards shards(2);
  std::vector<int> order;
  std::thread::id ran_on;
  for (int i = 0; i < 100; ++i) {
    shards.all()[1]->Post([&order, i] { order.push_back(i); });
  }
  shards.all()[1]->RunAndWait([&ran_on] { ran_on = std::this_thread::get_id(); });
  ASSERT_EQ(order.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  EXPECT_NE(ran_on, std::this_thread::get_id());
  std::thread::id other;
  shards.all()[0]->RunAndWait([&other] { other = std::this_thread::get_id(); });
  EXPECT_NE(other, ran_on);
}

TEST(ShardsTest, TimersFireOnTheirShard) {
  Shards shards(2);
  Shard& shard = *shards.all()[0];
  std::thread::id home, fired_on;
  std::unique_ptr<Clock::Timer> timer;
  std::atomic<bool> fired = false;
  shard.RunAndWait([&] {
    home = std::this_thread::get_id();
    timer = shard.clock().StartTimer(std::chrono::milliseconds(5), [&] {
      fired_on = std::this_thread::get_id();
      fired = true;
    });
  });
  while (!fired) std::this_thread::yield();
  EXPECT_EQ(fired_on, home);
  shard.RunAndWait([&timer] { timer.reset(); });
}

// What was posted is not lost at the end: it may be what destroys something at the right place.
TEST(ShardsTest, StoppingRunsWhatWasPosted) {
  Shards shards(2);
  Shard& shard = *shards.all()[0];
  int count = 0;
  for (int i = 0; i < 1000; ++i) shard.Post([&count] { ++count; });
  shards.Stop();
  EXPECT_EQ(count, 1000);
  std::thread::id ran_on;
  shard.Post([&ran_on] { ran_on = std::this_thread::get_id(); });
  EXPECT_EQ(ran_on, std::this_thread::get_id())
      << "a shard that has ended is nobody's but its home's";
  bool ran = false;
  shard.RunAndWait([&ran] { ran = true; });
  EXPECT_TRUE(ran);
  shards.Stop();
}

TEST(ShardsTest, TheFirstOfThoseWithLeastUnderWay) {
  Shards shards(3);
  EXPECT_EQ(shards.LeastBusy(), shards.all()[0].get());
  shards.all()[0]->under_way = 2;
  shards.all()[1]->under_way = 1;
  shards.all()[2]->under_way = 1;
  EXPECT_EQ(shards.LeastBusy(), shards.all()[1].get());
}

}  // namespace
}  // namespace longhaul
