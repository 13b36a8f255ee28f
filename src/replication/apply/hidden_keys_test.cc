// At a store that hides "a/b" while there is an "a": what was in the way may go, and what was to be
// written need not come.

#include "replication/apply/hidden_keys.h"

#include "replica/floor.h"
#include "replication/life/parked.h"
#include "tests/support/cut_over.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::CutOver;
using testing::ReplicationWorld;

using Keys = std::set<std::string>;

template <class World>
void HideBelowKeys(World& world) {
  world.target().backend->options.capabilities.key_file_beside_folder = false;
}

void RemoveAtSource(ReplicationWorld& world, const std::string& key) {
  world.source().backend->buckets["in"].objects.erase(key);
}

// An archive holds both; the one in the way is deleted when the other has been parked. It must not
// be parked for ever: comparisons leave it alone, as it is under way.
TEST(HiddenKeysTest, WhatIsParkedComesWhenItsHiderHasGone) {
  ReplicationWorld world;
  HideBelowKeys(world);
  world.Put("a", "text");
  world.Put("a/b", "text");
  world.Start();
  world.RunFor(30s);
  ASSERT_EQ(world.Replicas(), Keys{"a"});
  ASSERT_EQ(world.Staged().size(), 1u);
  RemoveAtSource(world, "a");
  world.RunFor(kParkedRetry + 3min);
  EXPECT_EQ(world.Replicas(), Keys{"a/b"});
  EXPECT_TRUE(world.Staged().empty());
  world.Stop();
}

// It is deleted with the same archive, or batch.
TEST(HiddenKeysTest, WhatIsDeletedBesideItHidesNothing) {
  for (const Transport transport : {Transport::kDirect, Transport::kPlain}) {
    ReplicationWorld world;
    world.configuration.rules[0].transport = transport;
    world.configuration.rules[0].intake.listing.reset();
    HideBelowKeys(world);
    world.Put("a", "text");
    world.Start();
    world.RunFor(30s);
    ASSERT_EQ(world.Replicas(), Keys{"a"});
    RemoveAtSource(world, "a");
    world.Put("a/b", "text");
    const HintMessage both{.store = "east",
                           .bucket = "in",
                           .hints = {{.key = "a", .time = world.world.clock.Now()},
                                     {.key = "a/b", .time = world.world.clock.Now()}}};
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(both), {})));
    world.RunFor(30s);
    EXPECT_EQ(world.Replicas(), Keys{"a/b"});
    EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
    world.Stop();
  }
}

// What an archive would write has been deleted since.
TEST(HiddenKeysTest, WhatIsTooOldToBeWrittenHidesNothing) {
  ReplicationWorld world;
  HideBelowKeys(world);
  world.Put("a", "text");
  world.Put("a/b", "text");
  EXPECT_FALSE(world.RunOnce({.source = true, .target = false}).store_error);
  world.RunFor(5s);
  const Floor deleted{.stamp = world.world.clock.Now(), .deleted = true};
  ASSERT_TRUE(world.world.Run(world.context->rules[0]->targets[0]->floors->Raise("a", deleted)));
  EXPECT_FALSE(world.RunOnce({.source = false, .target = true, .timeout = 60s}).store_error);
  EXPECT_EQ(world.Replicas(), Keys{"a/b"});
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
}

// What hides is parked, whatever order the writes come in: of two that would be written one is.
TEST(HiddenKeysTest, WhatIsHiddenIsParked) {
  for (const Transport transport : {Transport::kDirect, Transport::kPlain}) {
    ReplicationWorld world;
    world.configuration.rules[0].transport = transport;
    HideBelowKeys(world);
    for (const char* key : {"a", "a/b", "a/b/c", "d/e", "d/e/f"}) world.Put(key, "text");
    static_cast<void>(world.RunOnce({.timeout = 60s}));
    EXPECT_EQ(world.Replicas(), (Keys{"a", "d/e"}));
    for (const char* key : {"a/b", "a/b/c", "d/e/f"}) {
      bool parked = false;
      for (const Outcome& outcome : world.observer.outcomes) {
        parked = parked || (outcome.key == key && outcome.state == OutcomeState::kParked);
      }
      EXPECT_TRUE(parked) << key;
    }
  }
}

TEST(HiddenKeysTest, WhatIsTakenOverComesWhenItsHiderHasGone) {
  CutOver world;
  HideBelowKeys(world);
  world.Leave({.objects = {{.relative_key = "a", .content = "text", .created = world.now - 1h},
                           {.relative_key = "a/b", .content = "text", .created = world.now - 1h}}});
  world.Start({.source = false, .target = true});
  world.RunFor(3min);
  ASSERT_EQ(world.Replicas(), Keys{"a"});
  ASSERT_EQ(world.Left(), 1u);
  world.target().backend->buckets["out"].objects.erase("a");
  world.RunFor(kParkedRetry + 3min);
  EXPECT_EQ(world.Replicas(), Keys{"a/b"});
  EXPECT_EQ(world.Left(), 0u);
  world.Stop();
}

}  // namespace
}  // namespace longhaul
