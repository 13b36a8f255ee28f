// What waits in staging for a target that was away is not sent a second time.

#include "replication/compare/under_way.h"

#include "tests/support/replication_world.h"
#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

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

// As many objects as an archive has by default.
TEST(UnderWayTest, AFullArchiveIsLookedInto) {
  ReplicationWorld world;
  // The first archive is closed before it is full.
  constexpr int kObjects = testing::kSanitized ? 4'000 : 20'000;
  for (int i = 0; i < kObjects; ++i) world.Put("a/key/of/some/length/" + std::to_string(i), "text");
  world.RunFor(5s);
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  const std::set<std::string> staged = world.Staged();
  ASSERT_LE(staged.size(), 3u) << "none has 10,000 objects";
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(world.Staged(), staged);
}

// Two targets share a staging. While another rule carried the key to the first one, an archive of
// this rule's was made for the second alone.
TEST(UnderWayTest, WhatIsForAnotherTargetBringsNothing) {
  ReplicationWorld world(2);
  std::vector<Target>& targets = world.configuration.rules[0].targets;
  targets[1].staging = targets[0].staging;
  Rule above = world.configuration.rules[0];
  above.id = "above";
  above.priority = 2;
  above.targets.resize(1);
  world.configuration.rules.push_back(above);
  world.Put("k", "text");
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  const size_t staged = world.Staged().size();
  ASSERT_EQ(staged, 2u) << "one of each rule";
  world.configuration.rules.resize(1);
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(world.Staged().size(), staged + 1);
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(world.Staged().size(), staged + 1);
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

// What an archive has brought before something of it was parked, it does not bring again.
TEST(UnderWayTest, AnArchiveOfWhichSomethingIsParkedBringsOnlyThat) {
  ReplicationWorld world;
  world.Put("k", "text");
  world.Put("refused", "text");
  world.target().decide = [](StoreOperation operation, std::string_view bucket,
                             std::string_view key) {
    const bool hit = operation == StoreOperation::kPut && bucket == "out" && key == "refused";
    return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  EXPECT_EQ(world.RunOnce({.timeout = 60s}).parked_archives, 1);
  ASSERT_EQ(world.Staged().size(), 1u);
  ASSERT_NE(world.target().backend->Find("out", "k"), nullptr);

  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(world.Staged().size(), 1u) << "what is parked waits, and the other is there";

  ASSERT_TRUE(world.world.Run(world.target().store->Remove({.bucket = "out", .key = "k"})));
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(world.Staged().size(), 2u) << "it was thought to be under way";
  EXPECT_FALSE(world.RunOnce(kSourceAlone).store_error);
  EXPECT_EQ(world.Staged().size(), 2u) << "now it is";

  EXPECT_EQ(world.RunOnce({.timeout = 60s}).parked_archives, 1);
  EXPECT_NE(world.target().backend->Find("out", "k"), nullptr);
  EXPECT_EQ(world.Staged().size(), 1u);
}

}  // namespace
}  // namespace longhaul
