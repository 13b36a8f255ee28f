// What lies in a cache and must not be served: copies of other keys, and damaged ones.

#include <gtest/gtest.h>

#include "cache/caching_store.h"
#include "cache/fill.h"
#include "tests/support/cache_world.h"

namespace longhaul::testing {
namespace {

using namespace std::chrono_literals;

// What lies in the cache has a byte that is another one, until it is written anew.
class Damage : public FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation == StoreOperation::kPut) there = false;
    if (operation == StoreOperation::kGet && there) fault.corrupt_body_at_byte = 2;
    return fault;
  }
  bool there = false;
};

class CacheCopiesTest : public ::testing::Test {
 protected:
  // An endpoint without a prefix.
  void Open() {
    filler = std::make_unique<cache::KeyFiller>(
        world.base.runtime, rows, source, target, world.Where(),
        cache::KeyFillerOptions{
            .source_bucket = "data", .ttl = 3600s, .owner = CacheWorld::Elsewhere()});
    ASSERT_TRUE(world.Run(filler->Begin()));
    store = std::make_unique<cache::CachingStore>(world.base.runtime, source, *filler,
                                                  cache::CachingOptions());
  }
  // Fills "a", behind "p/".
  cache::FillResult FillBehindPrefix() {
    Result<cache::FillResult> filled = world.Run(cache::Fill(world.base.runtime, rows,
                                                             {.source = source,
                                                              .source_bucket = "data",
                                                              .prefixes = {"a"},
                                                              .target = target,
                                                              .bucket = "cache",
                                                              .target_prefix = "p/",
                                                              .ttl = 3600s},
                                                             {.owner = CacheWorld::Elsewhere()}));
    EXPECT_TRUE(filled);
    return filled ? *filled : cache::FillResult();
  }
  ~CacheCopiesTest() override {
    if (store) world.base.Run(store->Stop());
    if (filler) EXPECT_TRUE(world.Run(filler->End()));
  }
  std::string Read(const std::string& key) {
    Result<std::string> read = world.Run(GetAll(*store, {.bucket = "data", .key = key}, 1 << 20));
    EXPECT_TRUE(read) << read.error().Describe();
    return read ? *read : "";
  }
  // Until nothing more is copied, and no row that was read counts.
  void Settle() { EXPECT_TRUE(world.Run(Wait())); }
  Async<void> Wait() {
    co_await world.base.clock.Sleep(2s);
    co_return Ok();
  }

  CacheWorld world;
  FakeState rows{world.base.runtime, world.state};
  MemoryStore source{world.base.runtime, world.source};
  Damage damage;
  MemoryStore target{world.base.runtime, world.target, &damage};
  std::unique_ptr<cache::KeyFiller> filler;
  std::unique_ptr<cache::CachingStore> store;
};

// Two ways to fill one cache can put two objects under one key: one would be served for the other.
TEST_F(CacheCopiesTest, ServesNoCopyOfAnotherKey) {
  world.Put("a", "text of a");
  world.Put("p/a", "text of p/a");
  EXPECT_EQ(FillBehindPrefix().run.counts.copied, 1);
  Open();
  EXPECT_EQ(Read("p/a"), "text of p/a");
  Settle();
  EXPECT_EQ(*world.target->Find("cache", "p/a")->bytes, "text of a");
  ASSERT_TRUE(world.Run(filler->Invalidate("p/a")));
  EXPECT_EQ(world.Entries()["p/a"].state, cache::EntryState::kReady);
}

// And the other way round.
TEST_F(CacheCopiesTest, ItsCopiesAreNotReplacedByThoseOfOtherKeys) {
  world.Put("a", "text of a");
  world.Put("p/a", "text of p/a");
  Open();
  Read("p/a");
  Settle();
  const cache::FillResult filled = FillBehindPrefix();
  ASSERT_EQ(filled.run.failures.size(), 1u);
  EXPECT_TRUE(filled.run.failures[0].reason.contains("another key"))
      << filled.run.failures[0].reason;
  EXPECT_EQ(*world.target->Find("cache", "p/a")->bytes, "text of p/a");
}

// Rows of old say of which bucket the copy is, and not of which key.
TEST_F(CacheCopiesTest, WhatOldRowsSayIsLookedAtFirst) {
  world.Put("a", "text of a");
  world.Put("p/a", "text of p/a");
  FillBehindPrefix();
  world.Change("p/a", [](cache::Entry& entry) { entry.target_prefix.reset(); });
  Open();
  EXPECT_EQ(Read("p/a"), "text of p/a");
  Settle();
  EXPECT_EQ(*world.target->Find("cache", "p/a")->bytes, "text of p/a");

  world.Change("p/a", [](cache::Entry& entry) { entry.target_prefix.reset(); });
  Settle();
  const int copies = world.source->count(StoreOperation::kGet);
  EXPECT_EQ(Read("p/a"), "text of p/a");
  Settle();
  EXPECT_EQ(Read("p/a"), "text of p/a");
  EXPECT_EQ(world.source->count(StoreOperation::kGet), copies + 1) << "it was copied again";
}

// Until the time to live of its copy ended, the object could not be read.
TEST_F(CacheCopiesTest, ADamagedCopyIsServedToOneReaderAtMost) {
  world.Put("a", "text of a");
  Open();
  Read("a");
  Settle();
  damage.there = true;
  Result<std::string> read = world.Run(GetAll(*store, {.bucket = "data", .key = "a"}, 1 << 20));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(Read("a"), "text of a");
  Settle();
  const int reads = world.source->count(StoreOperation::kGet);
  EXPECT_EQ(Read("a"), "text of a");
  EXPECT_EQ(world.source->count(StoreOperation::kGet), reads) << "it was not copied anew";
}

}  // namespace
}  // namespace longhaul::testing
