// Random schedules of fills, forced fills, sweeps and evictions that overlap and are killed,
// against what a simple model says.

#include <gtest/gtest.h>

#include "tests/support/cache_world.h"
#include "tests/support/sanitized.h"

namespace longhaul::testing {
namespace {

using namespace std::chrono_literals;
using cache::EntryState;

class Schedule {
 public:
  explicit Schedule(uint64_t seed) : world(seed), dice(seed) {
    world.target->options.capabilities.delete_if_match = dice.Below(2) == 0;
    world.source_plan.random = world.target_plan.random = &dice;
    world.source_plan.delay_max = world.target_plan.delay_max = 40ms;
    world.lease = 20s;
    world.ttl = 60s;
    for (const char* folder : {"a/b/", "a/c/", "d/"}) {
      for (int i = 0; i < 4; ++i) world.Put(folder + std::to_string(i), Text());
    }
    world.PutByHand("mine", "precious");
  }

  std::string Text() {
    return std::string(1 + dice.Below(20), static_cast<char>('a' + dice.Below(26)));
  }
  std::string Prefix() {
    static constexpr const char* kPrefixes[] = {"", "a/", "a/b/", "a/c/", "d/", "a/b/1", "d/2"};
    return kPrefixes[dice.Below(std::size(kPrefixes))];
  }

  void Run() {
    for (int step = 0; step < 25; ++step) {
      switch (dice.Below(8)) {
        case 0:
        case 1:
        case 2: {
          std::vector<std::string> prefixes{Prefix()};
          if (dice.Below(3) == 0) prefixes.push_back(Prefix());
          world.StartFill(std::move(prefixes), dice.Below(4) == 0, dice.Below(2) == 0);
          break;
        }
        case 3:
          world.StartSweep();
          break;
        case 4:
          if (dice.Below(3) == 0) world.StartEvict(Prefix());
          break;
        case 5:
          if (!world.processes.empty() && dice.Below(2) == 0) {
            world.Kill(*world.processes[dice.Below(world.processes.size())]);
          }
          break;
        case 6:
          world.Put("a/b/" + std::to_string(dice.Below(4)), Text());
          break;
        default:
          if (dice.Below(6) == 0) world.Pass(std::chrono::seconds(dice.Below(70)));
      }
      const SystemTime until = world.base.clock.Now() + std::chrono::milliseconds(dice.Below(300));
      world.Drive([&] { return world.base.clock.Now() >= until; });
      // At any moment.
      EXPECT_NE(world.target->Find("cache", "mine"), nullptr);
    }
    ASSERT_TRUE(world.DriveAll()) << "somebody waits for ever";
    CheckNothingReadyIsMissing();
    // No lock is left: what the last fill is asked for is there at its end.
    world.Pass(world.lease + 1s);
    const cache::FillResult last = world.Fill({""});
    EXPECT_FALSE(last.failed());
    for (const std::string& key : world.source->Keys("data")) {
      ASSERT_TRUE(world.Has(key)) << key;
      EXPECT_EQ(*world.target->Find("cache", key)->bytes, *world.source->Find("data", key)->bytes);
      EXPECT_EQ(world.Entries()[key].state, EntryState::kReady);
    }
    // And all of it goes when its time has come, and nothing else.
    world.Pass(world.ttl + 1s);
    world.Sweep();
    world.Pass(10min);
    world.Sweep();
    EXPECT_EQ(world.target->Keys("cache"), (std::vector<std::string>{"mine"}));
    EXPECT_TRUE(world.Entries().empty());
    // Whoever is killed leaves the count too large, never too small.
    EXPECT_GE(world.CountedBytes(), 0);
  }

  void CheckNothingReadyIsMissing() {
    for (const auto& [key, entry] : world.Entries()) {
      if (entry.state != EntryState::kReady) continue;
      const auto* copy = world.target->Find("cache", key);
      ASSERT_NE(copy, nullptr) << key << " is called cached";
      EXPECT_EQ(copy->info.etag, entry.cached_etag) << key;
    }
  }

  CacheWorld world;
  SeededRandom dice;
};

// A key that is called cached and is not there; a lock that stays; an object that should live.
TEST(CacheProperty, RandomSchedulesEndAsTheModelSays) {
  for (uint64_t seed = 1; seed <= (testing::kSanitized ? 30 : 120); ++seed) {
    SCOPED_TRACE(seed);
    Schedule schedule(seed);
    schedule.Run();
    if (::testing::Test::HasFailure()) return;
  }
}

// Whoever fills what another one fills would pay for it twice; a forced run would count what was
// before it.
TEST(CacheProperty, EachKeyIsCopiedOncePerForcedGeneration) {
  for (uint64_t seed = 1; seed <= (testing::kSanitized ? 20 : 80); ++seed) {
    SCOPED_TRACE(seed);
    CacheWorld world(seed);
    SeededRandom dice(seed);
    world.source_plan.random = world.target_plan.random = &dice;
    world.source_plan.delay_max = world.target_plan.delay_max = 50ms;
    for (int i = 0; i < 12; ++i) world.Put((i % 2 ? "a/" : "b/") + std::to_string(i), "text");
    std::map<std::string, int> writes;
    world.target_plan.on_operation = [&](StoreOperation operation, const std::string& key) {
      if (operation == StoreOperation::kPut) ++writes[key];
    };
    int forced = 0;
    world.on_begin = [&](const cache::Run& run) { forced += run.force ? 1 : 0; };
    // Forced runs are of the whole bucket, so that each is a generation of every key.
    for (int run = 0; run < 8; ++run) {
      const bool force = dice.Below(4) == 0;
      static constexpr const char* kPrefixes[] = {"", "a/", "b/", "a/1"};
      world.StartFill({force ? "" : kPrefixes[dice.Below(4)]}, force, true);
      const SystemTime until = world.base.clock.Now() + std::chrono::milliseconds(dice.Below(150));
      world.Drive([&] { return world.base.clock.Now() >= until; });
    }
    world.StartFill({""});
    ASSERT_TRUE(world.DriveAll());
    for (const auto& [key, count] : writes) {
      // Two forced runs that both wait for a key: what the later one copies counts for the earlier.
      EXPECT_LE(count, forced + 1) << key;
      EXPECT_GE(count, 1) << key;
    }
    EXPECT_EQ(writes.size(), 12U);
    if (forced == 0) {
      for (const auto& [key, count] : writes) EXPECT_EQ(count, 1) << key;
    }
    for (const auto& process : world.processes) {
      ASSERT_TRUE(process->filled && *process->filled);
      EXPECT_FALSE((*process->filled)->failed());
    }
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace longhaul::testing
