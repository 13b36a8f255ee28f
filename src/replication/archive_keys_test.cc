#include "replication/archive_keys.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// One staging may get an archive later than another has applied it, and find it damaged: its keys
// must still be known then. And nothing may stay for ever.
TEST(ArchiveKeysTest, AreKnownForAnHourAndNotForEver) {
  testing::FakeWorld world;
  testing::FakeState state(world.runtime, std::make_shared<testing::FakeStateBackend>());
  auto recalled = [&](const std::string& archive) {
    return world.Run(RecallArchiveKeys(state, archive))->size();
  };
  const std::string young = NewUlid(world.clock.Now(), world.random);
  const std::string old = NewUlid(world.clock.Now() - 61min, world.random);
  for (const std::string& archive : {young, old}) {
    HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = "k"}}};
    ASSERT_TRUE(world.Run(RememberArchiveKeys(state, world.clock.Now(), archive, message)));
    ASSERT_EQ(recalled(archive), 1u);
    ASSERT_TRUE(world.Run(ForgetArchiveKeys(state, world.clock.Now(), archive)));
  }
  EXPECT_EQ(recalled(old), 0u);
  EXPECT_EQ(recalled(young), 1u);
  world.clock.Advance(59min);
  EXPECT_EQ(recalled(young), 1u);
  world.clock.Advance(2min);
  EXPECT_EQ(recalled(young), 0u);
}

}  // namespace
}  // namespace longhaul
