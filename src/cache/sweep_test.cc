#include "cache/sweep.h"

#include <gtest/gtest.h>

#include "tests/support/cache_world.h"

namespace longhaul::testing {
namespace {

using namespace std::chrono_literals;
using cache::EntryState;

// On stores that heed If-Match of deletes, and on those that do not.
class CacheSweep : public ::testing::TestWithParam<bool> {
 protected:
  CacheSweep() {
    world.target->options.capabilities.delete_if_match = GetParam();
    for (int i = 0; i < 5; ++i) world.Put("a/" + std::to_string(i), std::string(10, 'x'));
  }
  CacheWorld world;
};
INSTANTIATE_TEST_SUITE_P(Conditional, CacheSweep, ::testing::Bool());

// Copies would stay for ever, and be paid for.
TEST_P(CacheSweep, RemovesWhatHasEndedAndNothingBefore) {
  world.Fill({""});
  world.Pass(59min);
  EXPECT_EQ(world.Sweep().counts.removed, 0);
  EXPECT_EQ(world.target->Keys("cache").size(), 5U);
  world.Pass(2min);
  const cache::SweepResult swept = world.Sweep();
  EXPECT_EQ(swept.counts.removed, 5);
  EXPECT_EQ(swept.counts.bytes, 50);
  EXPECT_TRUE(world.target->Keys("cache").empty());
  EXPECT_TRUE(world.Entries().empty());
  EXPECT_EQ(world.CountedBytes(), 0);
}

// What a later fill needs would go with the earlier end.
TEST_P(CacheSweep, LeavesWhatWasExtendedOrFilledAnew) {
  world.Fill({""});
  world.Pass(30min);
  world.Fill({"a/0"});
  world.Put("a/1", "changed");
  world.Fill({"a/1"});
  world.Pass(40min);
  EXPECT_EQ(world.Sweep().counts.removed, 3);
  EXPECT_EQ(world.target->Keys("cache"), (std::vector<std::string>{"a/0", "a/1"}));
  EXPECT_EQ(world.CountedBytes(), 17);
}

// A lease that ran out and was renewed holds nothing of what it held before: somebody may have
// taken it over. And under a session that goes on nobody else would.
TEST_P(CacheSweep, WhatWasClaimedBeforeTheLeaseRanOutIsGivenBack) {
  world.Fill({""});
  FakeState rows(world.base.runtime, world.state);
  MemoryStore store(world.base.runtime, world.target);
  cache::EntryPages pages(rows, world.Where(), "");
  Result<std::vector<cache::EntryRow>> page = world.Run(pages.Next());
  ASSERT_TRUE(page);
  cache::CountedBytes bytes(world.base.runtime, rows, world.Where());
  int64_t lapses = 0;
  cache::Remover remover(
      world.base.runtime, rows, store, world.Where(), bytes,
      [&] {
        return cache::Claimant{.run = 99,
                               .session = "me",
                               .lease_until = world.base.clock.Now() + 30s,
                               .lapses = lapses++};
      },
      GetParam());
  Result<cache::RemovalCounts> counts = world.Run(remover.Remove(*page));
  ASSERT_TRUE(counts) << counts.error().Describe();
  EXPECT_EQ(counts->removed, 0);
  EXPECT_EQ(counts->changed, 5);
  EXPECT_EQ(world.target->Keys("cache").size(), 5U);
  for (const auto& [key, entry] : world.Entries()) EXPECT_EQ(entry.state, EntryState::kReady);
  EXPECT_EQ(world.CountedBytes(), 50);
}

// Else whoever stopped it would be told that all of it is done.
TEST_P(CacheSweep, WhatIsStoppedSaysSo) {
  world.Fill({""});
  world.Pass(2h);
  FakeState rows(world.base.runtime, world.state);
  MemoryStore store(world.base.runtime, world.target);
  Event stop;
  stop.Set();
  auto evicted =
      world.Run(cache::Evict(world.base.runtime, rows, store, world.Where(), "", {.stop = &stop}));
  ASSERT_FALSE(evicted);
  EXPECT_EQ(evicted.error().kind, ErrorKind::kCancelled);
  auto swept =
      world.Run(cache::Sweep(world.base.runtime, rows, store, world.Where(), {.stop = &stop}));
  ASSERT_FALSE(swept);
  EXPECT_EQ(swept.error().kind, ErrorKind::kCancelled);
}

// Between the look at a row and the claim anybody may fill the key anew.
TEST_P(CacheSweep, LeavesWhatHasChangedSinceItWasRead) {
  world.Fill({""});
  world.Pass(2h);
  FakeState rows(world.base.runtime, world.state);
  MemoryStore store(world.base.runtime, world.target);
  cache::EntryPages pages(rows, world.Where(), "");
  Result<std::vector<cache::EntryRow>> page = world.Run(pages.Next());
  ASSERT_TRUE(page);
  world.Fill({"a/1"});
  cache::CountedBytes bytes(world.base.runtime, rows, world.Where());
  cache::Remover remover(
      world.base.runtime, rows, store, world.Where(), bytes,
      [&] {
        return cache::Claimant{
            .run = 99, .session = "me", .lease_until = world.base.clock.Now() + 30s};
      },
      GetParam());
  Result<cache::RemovalCounts> counts = world.Run(remover.Remove(*page));
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->removed, 4);
  EXPECT_EQ(world.target->Keys("cache"), (std::vector<std::string>{"a/1"}));
}

// The look and the delete are two requests: what is put there in between would go.
TEST(CacheSweepConditional, LeavesWhatIsPutThereDuringTheDelete) {
  CacheWorld world;
  world.Put("a", "text");
  world.Fill({""});
  world.Pass(2h);
  world.target_plan.on_operation = [&](StoreOperation operation, const std::string& key) {
    if (operation != StoreOperation::kRemove || key != "a") return;
    // As if another client's PUT came first.
    world.target->buckets["cache"].objects["a"].back().info.etag = "another";
  };
  EXPECT_EQ(world.Sweep().counts.foreign, 1);
  EXPECT_TRUE(world.Has("a"));
}

// A person has said that it is to stay.
TEST_P(CacheSweep, LeavesWhatIsPinned) {
  world.Fill({""});
  EXPECT_EQ(world.Pin("a/2", true).changed, 1);
  world.Pass(2h);
  EXPECT_EQ(world.Sweep().counts.removed, 4);
  EXPECT_TRUE(world.Has("a/2"));
  EXPECT_EQ(world.Evict("").counts.removed, 0);
  EXPECT_TRUE(world.Has("a/2"));
  EXPECT_EQ(world.Pin("a/2", false).changed, 1);
  EXPECT_EQ(world.Sweep().counts.removed, 1);
  EXPECT_FALSE(world.Has("a/2"));
}

// A copy that counts no more would lie there for ever, and count, if nobody could let it go.
TEST_P(CacheSweep, WhatIsPinnedAndCountsNoMoreCanBeLetGo) {
  world.Fill({""});
  EXPECT_EQ(world.Pin("a/", true).changed, 5);
  for (const char* key : {"a/1", "a/2"}) {
    world.Change(key, [](cache::Entry& entry) { entry.state = cache::EntryState::kFailed; });
  }
  EXPECT_EQ(world.Evict("a/1").counts.removed, 1);
  EXPECT_FALSE(world.Has("a/1"));
  EXPECT_EQ(world.Pin("a/2", false).changed, 1);
  EXPECT_EQ(world.Sweep().counts.removed, 1);
  EXPECT_FALSE(world.Has("a/2"));
  EXPECT_TRUE(world.Has("a/3"));
}

// Somebody else's object would be lost.
TEST_P(CacheSweep, LeavesObjectsThatTheStateDoesNotKnow) {
  world.Fill({""});
  world.PutByHand("mine", "precious");
  world.PutByHand("a/3", "put in place of a copy");
  world.Pass(2h);
  const cache::SweepResult swept = world.Sweep();
  EXPECT_EQ(swept.counts.removed, 4);
  EXPECT_EQ(swept.counts.foreign, 1);
  EXPECT_EQ(world.target->Keys("cache"), (std::vector<std::string>{"a/3", "mine"}));
  EXPECT_TRUE(world.Entries().empty());
}

// A copy that arrived while its run was killed is nobody's else; it must not stay for ever.
TEST_P(CacheSweep, RemovesWhatDeadRunsHaveLeft) {
  CacheWorld::Process& fill = world.StartFill({""});
  ASSERT_TRUE(world.Drive([&] { return !world.target->Keys("cache").empty(); }));
  world.Kill(fill);
  EXPECT_EQ(world.Sweep().counts.removed, 0);  // It may live.
  world.Pass(2h);
  EXPECT_GE(world.Sweep().counts.removed, 1);
  EXPECT_TRUE(world.target->Keys("cache").empty());
  EXPECT_TRUE(world.Entries().empty());
  EXPECT_EQ(world.CountedBytes(), 0);
}

// Its claims would hold up every fill, and its copies stay.
TEST_P(CacheSweep, GoesOnAfterASweepThatWasKilled) {
  world.Fill({""});
  world.Pass(2h);
  CacheWorld::Process& sweep = world.StartSweep();
  ASSERT_TRUE(world.Drive([&] {
    for (const auto& [key, entry] : world.Entries()) {
      if (entry.state == EntryState::kRemoving) return true;
    }
    return false;
  }));
  world.Kill(sweep);
  world.Pass(31s);
  world.Fill({"a/0"});
  EXPECT_TRUE(world.Has("a/0"));
  world.Sweep();
  EXPECT_EQ(world.target->Keys("cache"), (std::vector<std::string>{"a/0"}));
}

// A fill would copy a key, and the delete that was under way would take the copy with it.
TEST_P(CacheSweep, AFillWaitsForTheRemovalOfItsKey) {
  world.Fill({""});
  world.Pass(2h);
  world.target_plan.random = &world.base.random;
  world.target_plan.delay_max = 3s;
  CacheWorld::Process& sweep = world.StartSweep();
  ASSERT_TRUE(world.Drive([&] { return world.Entries()["a/0"].state == EntryState::kRemoving; }));
  CacheWorld::Process& fill = world.StartFill({""}, false, false);
  ASSERT_TRUE(world.DriveAll());
  EXPECT_TRUE(*sweep.swept && *fill.filled);
  EXPECT_EQ(world.target->Keys("cache").size(), 5U);
  for (const auto& [key, entry] : world.Entries())
    EXPECT_EQ(entry.state, EntryState::kReady) << key;
}

// Fail State at each step in turn: whatever happens, a row that says ready has its copy, and the
// next sweep ends the work.
TEST_P(CacheSweep, StateFailsAtEachStep) {
  for (const bool after : {false, true}) {
    for (int64_t step = 1;; ++step) {
      CacheWorld one;
      one.target->options.capabilities.delete_if_match = GetParam();
      for (int i = 0; i < 3; ++i) one.Put("a/" + std::to_string(i), "text");
      one.Fill({""});
      one.Pass(2h);
      one.Fill({"a/2"});
      (after ? one.state_faults.fail_after_at : one.state_faults.fail_before_at) =
          one.state_faults.operations + step;
      const int64_t failures = one.state_faults.failures;
      CacheWorld::Process& sweep = one.StartSweep();
      ASSERT_TRUE(one.Drive([&] { return sweep.swept.has_value(); })) << step;
      const bool failed = one.state_faults.failures > failures;
      one.state_faults.fail_after_at = one.state_faults.fail_before_at = 0;
      for (const auto& [key, entry] : one.Entries()) {
        if (entry.state == EntryState::kReady) EXPECT_TRUE(one.Has(key)) << key << step;
      }
      one.Pass(31s);
      one.Sweep();
      EXPECT_EQ(one.target->Keys("cache"), (std::vector<std::string>{"a/2"})) << step;
      if (!failed) break;
    }
  }
}

// The cache would grow over what is paid for; or lose what is in use.
TEST(CacheBudget, MakesRoomByWhatWasUsedLongestAgo) {
  CacheWorld world;
  for (int i = 0; i < 10; ++i) world.Put("a/" + std::to_string(i), std::string(100, 'x'));
  world.Fill({"a/0", "a/1"}, false, 400);
  world.Pass(1min);
  world.Fill({"a/2", "a/3"});
  world.Pass(1min);
  world.Fill({"a/0"});  // A hit: it is used now.
  world.Pin("a/1", true);
  world.Pass(1min);
  const cache::FillResult filled = world.Fill({"a/4", "a/5"});
  EXPECT_FALSE(filled.failed());
  EXPECT_EQ(world.target->Keys("cache"), (std::vector<std::string>{"a/0", "a/1", "a/4", "a/5"}));
  EXPECT_EQ(world.CountedBytes(), 400);
}

// A run would evict its own copies, and its end would say that they are there.
TEST(CacheBudget, ARunDoesNotEvictWhatItHasFilled) {
  CacheWorld world;
  for (int i = 0; i < 10; ++i) world.Put("a/" + std::to_string(i), std::string(100, 'x'));
  const cache::FillResult filled = world.Fill({""}, false, 450);
  EXPECT_EQ(filled.run.counts.copied, 4);
  EXPECT_EQ(filled.run.counts.failed, 6);
  EXPECT_EQ(world.StoredBytes(), 400U);
  EXPECT_EQ(world.CountedBytes(), 400);
}

// At no moment may more lie there than the budget says.
TEST(CacheBudget, IsNeverExceeded) {
  CacheWorld world;
  for (int i = 0; i < 30; ++i) {
    world.Put("a/" + std::to_string(i), std::string(static_cast<size_t>(50 + 7 * i), 'x'));
  }
  world.Fill({"a/1"}, false, 1000);
  world.target_plan.on_operation = [&](StoreOperation, const std::string&) {
    EXPECT_LE(world.StoredBytes(), 1000U);
  };
  for (const char* prefix : {"a/2", "a/", "a/1", "a/0"}) {
    world.Pass(1min);
    world.Fill({prefix});
    EXPECT_LE(world.StoredBytes(), 1000U);
    EXPECT_EQ(world.CountedBytes(), static_cast<int64_t>(world.StoredBytes()));
  }
}

}  // namespace
}  // namespace longhaul::testing
