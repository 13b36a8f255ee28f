#include <gtest/gtest.h>

#include "tests/support/cache_world.h"

namespace longhaul::testing {
namespace {

using namespace std::chrono_literals;

class CacheFill : public ::testing::Test {
 protected:
  // The same bytes each time, so the ETag stays.
  void PutOfType(std::string type) {
    world.Pass(2s);
    MemoryStore store(world.base.runtime, world.source);
    PutRequest request{.bucket = "data", .key = "a"};
    request.headers.content_type = std::move(type);
    ASSERT_TRUE(world.Run(PutText(store, std::move(request), "the same text")));
  }
  [[nodiscard]] std::string TypeOfCopy() const {
    return world.target->Find("cache", "a")->info.headers.content_type;
  }

  // A run that has put its copy of "a" there, and not said so.
  void KillWithACopy() {
    CacheWorld::Process& process = world.StartFill({""});
    ASSERT_TRUE(world.Drive([&] {
      return world.Has("a") && world.Entries()["a"].state == cache::EntryState::kCopying;
    }));
    world.Kill(process);
  }

  CacheWorld world;
};

// Each fill would call the old headers a hit, and keep them for another time to live.
TEST_F(CacheFill, CopiesAgainWhatHasOtherHeaders) {
  PutOfType("text/plain");
  EXPECT_EQ(world.Fill({""}).run.counts.copied, 1);
  EXPECT_EQ(world.Fill({""}).run.counts.hits, 1);
  PutOfType("text/html");
  EXPECT_EQ(world.Fill({""}).run.counts.copied, 1);
  EXPECT_EQ(TypeOfCopy(), "text/html");
  EXPECT_EQ(world.Fill({""}).run.counts.hits, 1);
}

// A fill would stamp the old headers with the time of the new ones, which nothing then finds.
TEST_F(CacheFill, CopiesAgainWhatHadChangedWhenItWasCopied) {
  PutOfType("text/plain");
  const MemoryStoreBackend::Version plain = *world.source->Find("data", "a");
  world.Put("a", "what was listed");
  world.source_plan.on_operation = [&](StoreOperation operation, const std::string&) {
    if (operation != StoreOperation::kGet) return;
    world.source->buckets["data"].objects["a"].back() = plain;
  };
  EXPECT_EQ(world.Fill({""}).run.counts.copied, 1);
  world.source_plan.on_operation = nullptr;
  EXPECT_EQ(TypeOfCopy(), "text/plain");
  PutOfType("text/html");
  EXPECT_EQ(world.Fill({""}).run.counts.copied, 1);
  EXPECT_EQ(TypeOfCopy(), "text/html");
}

// The copy that lies there from before has the ETag of the one that never came.
TEST_F(CacheFill, TakesNoEarlierCopyForTheOneThatWasBegun) {
  PutOfType("text/plain");
  world.Fill({""});
  PutOfType("text/html");
  CacheWorld::Process& process = world.StartFill({""});
  ASSERT_TRUE(
      world.Drive([&] { return world.Entries()["a"].state == cache::EntryState::kCopying; }));
  world.Kill(process);
  ASSERT_EQ(TypeOfCopy(), "text/plain");
  world.Pass(world.lease * 2);
  EXPECT_EQ(world.Fill({""}).run.counts.copied, 1);
  EXPECT_EQ(TypeOfCopy(), "text/html");
}

// It was made, and the row does not say so; by then the source has other headers.
TEST_F(CacheFill, TakesNoCopyOfAKilledRunForOneOfNewHeaders) {
  PutOfType("text/plain");
  KillWithACopy();
  PutOfType("text/html");
  world.Pass(world.lease * 2);
  EXPECT_EQ(world.Fill({""}).run.counts.copied, 1);
  EXPECT_EQ(TypeOfCopy(), "text/html");
}

// Nor where another run was killed in between, which had seen the new ones and copied nothing.
TEST_F(CacheFill, TakesNoCopyOfTheKilledRunBeforeTheLastOne) {
  PutOfType("text/plain");
  KillWithACopy();
  const SystemTime claimed = world.Entries()["a"].claimed;
  PutOfType("text/html");
  world.Pass(world.lease * 2);
  CacheWorld::Process& second = world.StartFill({""});
  ASSERT_TRUE(world.Drive([&] { return world.Entries()["a"].claimed > claimed; }));
  world.Kill(second);
  ASSERT_EQ(TypeOfCopy(), "text/plain");
  world.Pass(world.lease * 2);
  EXPECT_EQ(world.Fill({""}).run.counts.copied, 1);
  EXPECT_EQ(TypeOfCopy(), "text/html");
}

// Nobody would know of that copy, and readers of the bucket itself would go on reading it.
TEST_F(CacheFill, WhatAKilledRunHasMadeGoesWhenItsSourceIsGone) {
  world.Put("a", "text");
  KillWithACopy();
  world.Pass(world.lease * 2);
  world.source_plan.on_operation = [&](StoreOperation operation, const std::string&) {
    if (operation == StoreOperation::kGet) world.source->buckets["data"].objects.erase("a");
  };
  EXPECT_EQ(world.Fill({""}, true).run.counts.gone, 1);
  world.source_plan.on_operation = nullptr;
  EXPECT_EQ(world.Sweep().counts.removed, 1);
  EXPECT_FALSE(world.Has("a"));
  EXPECT_TRUE(world.Entries().empty());
}

// Its parts would lie there and be paid for, and each restart of an endpoint would add as many.
TEST(CacheFillOfKey, ALargeCopyThatWasKilledOrStoppedIsGoneOnWith) {
  for (const bool killed : {true, false}) {
    SCOPED_TRACE(killed);
    CacheWorld world;
    world.Put("small", "text");
    world.StartFillOfKey("small");
    ASSERT_TRUE(world.DriveAll());  // The probe is over.
    ASSERT_TRUE(world.Has("small"));
    world.target->options.sparse_part_bytes_min = 1;
    world.target_plan.random = &world.base.random;
    world.target_plan.delay_max = 2s;
    MemoryStore store(world.base.runtime, world.source);
    constexpr uint64_t kPartBytes = 16 << 20;
    const uint64_t parts = killed ? 3 : 6;  // More than are in flight at once.
    ASSERT_TRUE(store.PutSparse({.bucket = "data", .key = "big"}, parts * kPartBytes, kPartBytes));
    auto& uploads = world.target->buckets["cache"].uploads;
    CacheWorld::Process& first = world.StartFillOfKey("big");
    ASSERT_TRUE(
        world.Drive([&] { return !uploads.empty() && !uploads.begin()->second.parts.empty(); }));
    if (killed) {
      world.Kill(first);
    } else {
      first.stop.Set();
      ASSERT_TRUE(world.Drive([&] { return first.key_filled.has_value(); }, 1min));
      ASSERT_FALSE(*first.key_filled);
      EXPECT_EQ(first.key_filled->error().kind, ErrorKind::kCancelled);
    }
    EXPECT_EQ(uploads.size(), 1U);
    EXPECT_FALSE(world.Has("big"));
    world.Pass(world.lease * 2);
    CacheWorld::Process& second = world.StartFillOfKey("big");
    ASSERT_TRUE(world.Drive([&] { return second.key_filled.has_value(); }));
    EXPECT_TRUE(*second.key_filled);
    EXPECT_TRUE(world.Has("big"));
    EXPECT_TRUE(uploads.empty());
    EXPECT_EQ(world.Entries()["big"].state, cache::EntryState::kReady);
  }
}

}  // namespace
}  // namespace longhaul::testing
