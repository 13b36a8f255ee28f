#include "replication/staging/archive_keys.h"

#include <gtest/gtest.h>

#include <set>

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

// Who has told of an archive is no key of it, and is forgotten with its keys.
TEST(ArchiveKeysTest, WhoHasToldIsKnownAsLongAsItsKeys) {
  testing::FakeWorld world;
  auto backend = std::make_shared<testing::FakeStateBackend>();
  testing::FakeState state(world.runtime, backend);
  const SystemTime now = world.clock.Now();
  const std::string archive = NewUlid(now, world.random);
  HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = "k"}}};
  ASSERT_TRUE(world.Run(RememberArchiveKeys(state, now, archive, std::move(message))));
  EXPECT_TRUE(world.Run(RecallTold(state, archive))->empty());
  ASSERT_TRUE(world.Run(RememberTold(state, now, archive, {"b"})));
  ASSERT_TRUE(world.Run(RememberTold(state, now, archive, {"a", "b"})));
  EXPECT_EQ(world.Run(RecallTold(state, archive)).value(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(world.Run(RecallArchiveKeys(state, archive))->size(), 1U);
  ASSERT_TRUE(world.Run(ForgetArchiveKeys(state, now + 61min, archive)));
  EXPECT_TRUE(backend->rows.empty());
}

// Percent-encoded, the longest keys take more rows than are looked at together: those of the others
// would be in no archive and in no hint, and their rows would stay for 15 days.
TEST(ArchiveKeysTest, OfAFullArchiveOfTheLongestKeysNoneIsLeftOut) {
  testing::FakeWorld world;
  auto backend = std::make_shared<testing::FakeStateBackend>();
  testing::FakeState state(world.runtime, backend);
  const SystemTime now = world.clock.Now();
  const std::string archive = NewUlid(now, world.random);
  HintMessage message{.store = "east", .bucket = "in"};
  std::string name;
  for (int i = 0; i < 339; ++i) name += "漢";
  std::set<std::string> keys;
  for (int i = 0; i < 10'000; ++i) {
    std::string key = std::to_string(1'000'000 + i) + name;
    ASSERT_EQ(key.size(), 1024u);
    message.hints.push_back({.key = key, .time = now});
    keys.insert(std::move(key));
  }
  ASSERT_TRUE(world.Run(RememberArchiveKeys(state, now, archive, std::move(message))));
  ASSERT_GT(backend->rows.size(), 100u);

  Result<std::vector<std::string>> bodies = world.Run(RecallArchiveKeys(state, archive));
  ASSERT_TRUE(bodies);
  size_t hints = 0;
  std::set<std::string> recalled;
  for (const std::string& body : *bodies) {
    Result<HintMessage> decoded = DecodeHints(body);
    ASSERT_TRUE(decoded);
    hints += decoded->hints.size();
    for (Hint& hint : decoded->hints) recalled.insert(std::move(hint.key));
  }
  EXPECT_EQ(hints, 10'000u);
  EXPECT_TRUE(recalled == keys);

  ASSERT_TRUE(world.Run(ForgetArchiveKeys(state, now, archive)));
  for (const auto& [where, row] : backend->rows) EXPECT_LE(row.expires, now + kArchiveKeysKept);
  ASSERT_TRUE(world.Run(ForgetArchiveKeys(state, now + 61min, archive)));
  EXPECT_EQ(backend->rows.size(), 0u);
}

}  // namespace
}  // namespace longhaul
