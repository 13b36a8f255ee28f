#include "transfer/tree/removals.h"

#include <gtest/gtest.h>

#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::FakeWorld;

std::string KeyOf(int i) { return "some/key/" + std::to_string(i) + std::string(i % 50, 'x'); }

// What went through the file must come back whole and in order.
TEST(Removals, ComeBackInOrderAlsoFromTheFile) {
  for (const size_t memory_bytes : {size_t{1}, size_t{1000}, size_t{1} << 30}) {
    FakeWorld world;
    Removals removals(world.pool, memory_bytes);
    constexpr int kCount = 30'000;
    for (int i = 0; i < kCount; ++i) {
      removals.Add({.key = KeyOf(i),
                    .etag = std::to_string(i),
                    .version_id = "v" + std::to_string(i),
                    .size_bytes = uint64_t(i)});
      if (removals.full()) {
        ASSERT_TRUE(world.Run(removals.Spill()));
      }
    }
    EXPECT_EQ(removals.count(), kCount);
    for (int i = 0; i < kCount; ++i) {
      Result<std::optional<Removals::Entry>> entry = world.Run(removals.Next());
      ASSERT_TRUE(entry && *entry);
      ASSERT_EQ((*entry)->key, KeyOf(i));
      ASSERT_EQ((*entry)->etag, std::to_string(i));
      ASSERT_EQ((*entry)->version_id, "v" + std::to_string(i));
      ASSERT_EQ((*entry)->size_bytes, uint64_t(i));
    }
    EXPECT_FALSE(*world.Run(removals.Next()));
  }
}

TEST(RemovalGuard, EachLimit) {
  auto allowed = [](RemovalCount count, RemovalGuard guard = {}) {
    return CheckRemovals(count, guard).has_value();
  };
  EXPECT_TRUE(allowed({.removals = 0, .target_objects = 0, .source_objects = 0}));
  EXPECT_FALSE(allowed({.removals = 1, .target_objects = 9, .source_objects = 0}));
  EXPECT_TRUE(allowed({.removals = 1000, .target_objects = 1001, .source_objects = 1}));
  EXPECT_TRUE(allowed({.removals = 2000, .target_objects = 8000, .source_objects = 1}));
  EXPECT_FALSE(allowed({.removals = 2001, .target_objects = 8000, .source_objects = 1}));
  EXPECT_FALSE(
      allowed({.removals = 3, .target_objects = 100, .source_objects = 1}, {.count_max = 2}));
  EXPECT_FALSE(
      allowed({.removals = 3, .target_objects = 100, .source_objects = 1}, {.percent_max = 2.9}));
  EXPECT_TRUE(allowed({.removals = 3, .target_objects = 100, .source_objects = 1},
                      {.count_max = 3, .percent_max = 3}));
  EXPECT_FALSE(
      allowed({.removals = 1, .target_objects = 100, .source_objects = 1}, {.count_max = 0}));
}

}  // namespace
}  // namespace longhaul
