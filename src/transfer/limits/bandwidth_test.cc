#include "transfer/limits/bandwidth.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "transfer/limits/limited_store.h"

namespace longhaul {
namespace {

using testing::FakeWorld;

constexpr int kHour = 60;
constexpr int kDay = 24 * kHour;

TEST(BandwidthTable, OneRate) {
  EXPECT_EQ(BandwidthTable::Parse("50M")->BytesPerSecond(17), 50ULL << 20);
  EXPECT_EQ(BandwidthTable::Parse("1.5M")->BytesPerSecond(17), 3ULL << 19);
  EXPECT_EQ(BandwidthTable::Parse("512KB")->BytesPerSecond(17), 512'000U);
  EXPECT_EQ(BandwidthTable::Parse("off")->BytesPerSecond(17), 0U);
  EXPECT_EQ(BandwidthTable().BytesPerSecond(0), 0U);
}

TEST(BandwidthTable, Timetable) {
  auto table = BandwidthTable::Parse("08:00,512k 19:00,10M 23:00,off");
  ASSERT_TRUE(table);
  EXPECT_EQ(table->BytesPerSecond(3 * kDay + 8 * kHour), 512U << 10);
  EXPECT_EQ(table->BytesPerSecond(3 * kDay + 19 * kHour - 1), 512U << 10);
  EXPECT_EQ(table->BytesPerSecond(3 * kDay + 19 * kHour), 10U << 20);
  EXPECT_EQ(table->BytesPerSecond(3 * kDay + 23 * kHour), 0U);
  EXPECT_EQ(table->BytesPerSecond(3 * kDay), 0U);  // From the evening before.
  EXPECT_EQ(table->BytesPerSecond(0), 0U);
}

TEST(BandwidthTable, Days) {
  auto table = BandwidthTable::Parse("Mon-08:00,1M Fri-20:00,off");
  ASSERT_TRUE(table);
  EXPECT_EQ(table->BytesPerSecond(7 * kHour), 0U);  // Still the weekend.
  EXPECT_EQ(table->BytesPerSecond(8 * kHour), 1U << 20);
  EXPECT_EQ(table->BytesPerSecond(3 * kDay), 1U << 20);
  EXPECT_EQ(table->BytesPerSecond(4 * kDay + 20 * kHour), 0U);
  EXPECT_EQ(table->BytesPerSecond(6 * kDay), 0U);
}

TEST(BandwidthTable, RefusesWhatItDoesNotUnderstand) {
  for (const char* bad :
       {"", "512", "fast", "08:00", "8:00,1M", "24:00,1M", "08:60,1M", "Foo-08:00,1M",
        "08:00,1M 09:00", "10M:1M", "-1M", ",", "08:00,1M 08:00,2M"}) {
    EXPECT_FALSE(BandwidthTable::Parse(bad)) << bad;
  }
}

// Ten readers side by side must not get ten times the rate.
TEST(LimitedStore, KeepsToTheRateOfAllReadersTogether) {
  FakeWorld world;
  auto backend = std::make_shared<testing::MemoryStoreBackend>();
  backend->buckets["b"];
  testing::MemoryStore plain(world.runtime, backend);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(world.Run(
        PutText(plain, {.bucket = "b", .key = std::to_string(i)}, std::string(100'000, 'x'))));
  }
  TransferLimits limits(world.clock);
  limits.bandwidth = *BandwidthTable::Parse("100KB");
  LimitedStore store(plain, limits);
  const SteadyTime before = world.clock.SteadyNow();
  TaskGroup group(world.runtime.executor);
  for (int i = 0; i < 10; ++i) {
    group.Spawn([](Store& from, std::string key) -> Async<void> {
      Result<std::string> text = co_await GetAll(from, {.bucket = "b", .key = key}, 1 << 20);
      if (!text) co_return text.error();
      co_return text->size() == 100'000 ? Ok() : Result<void>(Corrupt("length"));
    }(store, std::to_string(i)));
  }
  ASSERT_TRUE(world.Run(group.Join()));
  const auto took = world.clock.SteadyNow() - before;
  EXPECT_GE(took, std::chrono::milliseconds(9'800));
  EXPECT_LE(took, std::chrono::milliseconds(10'500));
}

// A copy that is slowed down must not send what it would not send otherwise.
TEST(LimitedStore, TellsThatEtagsOfPartsAreNoMd5s) {
  FakeWorld world;
  auto backend = std::make_shared<testing::MemoryStoreBackend>();
  backend->options.encrypts_by_kms = true;
  backend->buckets["b"];
  testing::MemoryStore plain(world.runtime, backend);
  TransferLimits limits(world.clock);
  LimitedStore store(plain, limits);
  Result<MultipartUpload> upload = world.Run(store.CreateMultipart({.bucket = "b", .key = "k"}));
  ASSERT_TRUE(upload);
  EXPECT_FALSE(PartEtagsOpaque(store, *upload));
  MemorySource body("bytes");
  ASSERT_TRUE(world.Run(store.UploadPart(*upload, 1, body)));
  EXPECT_TRUE(PartEtagsOpaque(store, *upload));
}

TEST(LimitedStore, KeepsToRequestsPerSecond) {
  FakeWorld world;
  auto backend = std::make_shared<testing::MemoryStoreBackend>();
  backend->buckets["b"];
  testing::MemoryStore plain(world.runtime, backend);
  TransferLimits limits(world.clock);
  limits.requests_per_second = 10;
  LimitedStore store(plain, limits);
  const SteadyTime before = world.clock.SteadyNow();
  for (int i = 0; i < 51; ++i) ASSERT_TRUE(world.Run(store.HeadBucket("b")));
  const auto took = world.clock.SteadyNow() - before;
  EXPECT_GE(took, std::chrono::milliseconds(4'999));
  EXPECT_LE(took, std::chrono::milliseconds(5'100));
}

// Someone who presses Ctrl-C must not wait for the pace.
TEST(Pace, StopEndsTheWait) {
  FakeWorld world;
  Event stop;
  Pace pace(world.clock, &stop);
  world.Run(pace.Take(1000, 1));
  stop.Set();
  const SteadyTime before = world.clock.SteadyNow();
  world.Run(pace.Take(1, 1));
  EXPECT_LT(world.clock.SteadyNow() - before, std::chrono::seconds(1));
}

}  // namespace
}  // namespace longhaul
