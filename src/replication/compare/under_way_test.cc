// What waits in staging for a target that was away is not sent a second time.

#include "replication/compare/under_way.h"

#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::ReplicationWorld;

constexpr ReplicatorOptions kSourceAlone{.source = true, .target = false};

// A process that starts compares; a target that was away for a day has that day's archives before
// it, and would get all of them twice.
TEST(UnderWayTest, AComparisonSendsNothingThatWaitsInStaging) {
  ReplicationWorld world;
  world.configuration.rules[0].deletes = true;
  world.Put("gone", "text");
  EXPECT_FALSE(world.RunOnce().store_error);
  world.Put("k", "text");
  world.Put("other", "text");
  world.RunFor(5s);
  ASSERT_TRUE(world.world.Run(world.source().store->Remove({.bucket = "in", .key = "gone"})));
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  const size_t staged = world.Staged().size();
  ASSERT_GE(staged, 1u);

  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(world.Staged().size(), staged) << "nothing has changed since";
  EXPECT_EQ(std::ranges::count(world.log.lines, "not sent again: it waits in staging"), 1);

  world.Put("k", "TEXT");  // Of the same size.
  world.RunFor(5s);
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(world.Staged().size(), staged + 1) << "what has changed since is sent";
  EXPECT_FALSE(world.RunOnce().store_error);
  EXPECT_EQ(*world.target().backend->Find("out", "k")->bytes, "TEXT");
  EXPECT_NE(world.target().backend->Find("out", "other"), nullptr);
  EXPECT_EQ(world.target().backend->Find("out", "gone"), nullptr);
}

// An archive that cannot be opened brings nothing: what was in it is sent again.
TEST(UnderWayTest, ADamagedArchiveBringsNothing) {
  ReplicationWorld world;
  world.Put("k", "text");
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  ASSERT_EQ(world.Staged().size(), 1u);
  const std::string archive = *world.Staged().begin();
  const size_t size = world.target().backend->Find("staging", archive)->bytes->size();
  for (size_t offset = size / 2; offset < size; ++offset) {
    world.target().backend->CorruptStored("staging", archive, offset);
  }
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(world.Staged().size(), 2u);
}

}  // namespace
}  // namespace longhaul
