#include "replication/apply/apply_archive.h"

#include <gtest/gtest.h>

#include "replica/mark.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using testing::ReplicationWorld;

// ETags that follow from the bytes do not travel: the target takes them anew, those of several
// objects at a time. Comparisons go by what the mark says: another object's would have it sent for
// ever, or an older state taken for it.
TEST(ApplyArchiveTest, EachMarkHasTheEtagOfItsObject) {
  ReplicationWorld world;
  constexpr int kObjects = 100;
  for (int i = 0; i < kObjects; ++i) {
    // Empty ones, equal ones, those that are too large to follow, and ETags that are no MD5s.
    const auto size = static_cast<size_t>(i % 10 == 0 ? 0 : i % 25 == 1 ? 70'000 : 37 * i);
    const char letter = i % 9 == 0 ? 'x' : static_cast<char>('a' + i % 26);
    world.source().backend->options.encrypts_by_kms = i % 7 == 0;
    world.Put("k" + std::to_string(1000 + i), std::string(i % 9 == 0 ? 500 : size, letter));
  }
  world.source().backend->options.encrypts_by_kms = false;
  ASSERT_FALSE(world.RunOnce().store_error);
  ASSERT_EQ(world.Replicas().size(), size_t{kObjects});
  for (const std::string& key : world.Replicas()) {
    const std::optional<Mark> mark =
        FindMark(world.target().backend->Find("out", key)->info.metadata, "out", key);
    ASSERT_TRUE(mark) << key;
    EXPECT_EQ(mark->source_etag, world.source().backend->Find("in", key)->info.etag) << key;
  }
}

}  // namespace
}  // namespace longhaul
