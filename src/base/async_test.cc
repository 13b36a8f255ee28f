#include "base/async.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/cpu_pool.h"
#include "base/memory_budget.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// Work that waits for a timeout must see it, and work that is notified first must not.
TEST(AsyncTest, EventWaitsForTheEarlierOfSetAndTimeout) {
  testing::FakeWorld world;
  Event event;
  EXPECT_FALSE(world.Run(event.WaitFor(world.clock, 5s)));
  EXPECT_EQ(world.clock.SteadyNow().time_since_epoch(), 5s);
  auto timer = world.clock.StartTimer(1s, [&] { event.Set(); });
  EXPECT_TRUE(world.Run(event.WaitFor(world.clock, 5s)));
  EXPECT_EQ(world.clock.SteadyNow().time_since_epoch(), 6s);
}

Async<int> CountThrough(Channel<int>& channel, testing::FakeWorld& world) {
  TaskGroup group(world.io.get_executor());
  struct Producer {
    static Async<void> Run(Channel<int>& channel) {
      for (int i = 0; i < 10; ++i) co_await channel.Send(i);
      channel.Close();
      co_return Ok();
    }
  };
  group.Spawn(Producer::Run(channel));
  int sum = 0;
  while (std::optional<int> item = co_await channel.Receive()) sum += *item;
  Result<void> joined = co_await group.Join();
  if (!joined) co_return joined.error();
  co_return sum;
}

// A full channel holds its sender back and loses nothing.
TEST(AsyncTest, ChannelCarriesEveryItemThroughASmallBuffer) {
  testing::FakeWorld world;
  Channel<int> channel(2);
  EXPECT_EQ(*world.Run(CountThrough(channel, world)), 45);
}

Async<void> FailAfter(Clock& clock, std::chrono::seconds delay, std::string text) {
  co_await clock.Sleep(delay);
  co_return InvalidInput(std::move(text));
}

Async<void> JoinTwo(testing::FakeWorld& world) {
  TaskGroup group(world.io.get_executor());
  group.Spawn(FailAfter(world.clock, 2s, "second"));
  group.Spawn(FailAfter(world.clock, 1s, "first"));
  co_return co_await group.Join();
}

// Join waits for all and tells the earliest failure: the cause, not what followed from it.
TEST(AsyncTest, TaskGroupReportsItsFirstError) {
  testing::FakeWorld world;
  Result<void> joined = world.Run(JoinTwo(world));
  ASSERT_FALSE(joined);
  EXPECT_EQ(joined.error().message, "first");
  EXPECT_EQ(world.clock.SteadyNow().time_since_epoch(), 2s);
}

Async<int> ComputeOnPool(CpuPool& pool) {
  int seven = co_await pool.Run([] { return 7; });
  co_return seven;
}

TEST(AsyncTest, PoolComputesAndComesHome) {
  testing::RealWorld world;
  EXPECT_EQ(*world.Run(ComputeOnPool(world.pool)), 7);
}

Async<void> TakeTurns(MemoryBudget& memory, std::string name, int64_t size, Clock& clock,
                      std::string* order) {
  Result<Reservation> reservation = co_await memory.Reserve(size);
  if (!reservation) co_return reservation.error();
  *order += name;
  co_await clock.Sleep(1s);
  co_return Ok();
}

Async<void> ReserveInOrder(testing::FakeWorld& world, MemoryBudget& memory, std::string* order) {
  TaskGroup group(world.io.get_executor());
  group.Spawn(TakeTurns(memory, "a", 60, world.clock, order));
  group.Spawn(TakeTurns(memory, "b", 100, world.clock, order));
  group.Spawn(TakeTurns(memory, "c", 10, world.clock, order));
  co_return co_await group.Join();
}

// A small request must not pass a large one that came first: the large one would starve.
TEST(MemoryBudgetTest, ServesInTheOrderOfAsking) {
  testing::FakeWorld world;
  MemoryBudget memory(100);
  std::string order;
  ASSERT_TRUE(world.Run(ReserveInOrder(world, memory, &order)));
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(memory.reserved_bytes(), 0);
  EXPECT_EQ(memory.peak_bytes(), 100);
}

Async<void> ReserveOnce(MemoryBudget& memory, int64_t size) {
  Result<Reservation> reservation = co_await memory.Reserve(size);
  if (!reservation) co_return reservation.error();
  co_return Ok();
}

Async<void> HoldOnce(testing::FakeWorld& world, Semaphore& semaphore, std::string name,
                     std::string* order) {
  co_await semaphore.Acquire();
  *order += name;
  co_await world.clock.Sleep(1s);
  semaphore.Release();
  co_return Ok();
}

// Takes and gives back at once, again and again, while another waits.
Async<void> Greedy(Semaphore& semaphore, std::string* order) {
  for (int i = 0; i < 3; ++i) {
    co_await semaphore.Acquire();
    *order += 'g';
    co_await Yield();
    semaphore.Release();
  }
  co_return Ok();
}

Async<void> ShareSemaphore(testing::FakeWorld& world, Semaphore& semaphore, std::string* order) {
  TaskGroup group(world.io.get_executor());
  group.Spawn(Greedy(semaphore, order));
  group.Spawn(HoldOnce(world, semaphore, "a", order));
  group.Spawn(HoldOnce(world, semaphore, "b", order));
  co_return co_await group.Join();
}

// One that never rests must not keep the others out.
TEST(SemaphoreTest, ServesInTheOrderOfAsking) {
  testing::FakeWorld world;
  Semaphore semaphore(1);
  std::string order;
  ASSERT_TRUE(world.Run(ShareSemaphore(world, semaphore, &order)));
  EXPECT_EQ(order, "gabgg");
  ASSERT_TRUE(world.Run(HoldOnce(world, semaphore, "c", &order)));  // The permit is back.
}

// What can never fit fails at once instead of waiting for ever.
TEST(MemoryBudgetTest, RefusesMoreThanTheWhole) {
  testing::FakeWorld world;
  MemoryBudget memory(100);
  Result<void> reserved = world.Run(ReserveOnce(memory, 101));
  ASSERT_FALSE(reserved);
  EXPECT_EQ(reserved.error().kind, ErrorKind::kInvalidInput);
  EXPECT_NE(reserved.error().message.find("--memory"), std::string::npos);
}

}  // namespace
}  // namespace longhaul
