#include "replication/source/choose_route.h"

#include <gtest/gtest.h>

#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Routes = std::map<std::string, std::string>;  // By key.

// Bytes in which zstd finds nothing.
std::string Noise(size_t size, uint64_t seed = 1) {
  SeededRandom random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random.Below(256));
  return text;
}

// Rule "r" with `transport: auto`.
class AutoWorld : public ReplicationWorld {
 public:
  explicit AutoWorld(int targets = 1) : ReplicationWorld(targets) {
    limits.carried_object_bytes_min = 20'000;
    limits.sample_bytes = 4'000;
    configuration.rules[0].transport = Transport::kAuto;
  }
  // The target's bucket, "copy", is one of the source's store, and so is its staging: what was
  // probed there holds for the target as well.
  void TargetInTheSource() {
    for (const char* bucket : {"copy", "staging"}) {
      source().backend->buckets[bucket].created = world.clock.Now();
    }
    Target& target = configuration.rules[0].targets[0];
    target.staging = {.store = "east", .bucket = "staging", .prefix = ""};
    target.to = {.store = "east", .bucket = "copy", .prefix = ""};
    target.store_can_copy = true;
  }
  void Hear(const std::string& key) {
    HintMessage message{.store = "east", .bucket = "in"};
    message.hints.push_back({.key = key, .time = world.clock.Now()});
    ASSERT_TRUE(world.Run(queue.Send(EncodeHints(message), {})));
  }
  void RunWell(ReplicatorOptions options = {}) {
    OnceResult result = RunOnce(options);
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  }
  [[nodiscard]] Routes TakeRoutes() {
    Routes routes;
    for (const Outcome& outcome : observer.outcomes) {
      if (outcome.state == OutcomeState::kApplied) routes[outcome.key] = outcome.route;
    }
    observer.outcomes.clear();
    return routes;
  }
};

// What shrinks pays for its archive, what does not would pay for nothing; small objects share one
// whatever they are.
TEST(ChooseRouteTest, WhatDoesNotShrinkLeavesTheArchives) {
  AutoWorld world(2);
  world.Put("small.jpg", Noise(10'000));
  world.Put("medium.jpg", Noise(50'000));
  world.Put("medium.txt", std::string(50'000, 'x'));
  world.Put("large.jpg", Noise(300'000));
  world.Put("large.txt", std::string(300'000, 'x'));
  world.RunWell();
  EXPECT_EQ(world.TakeRoutes(), (Routes{{"small.jpg", "archive"},
                                        {"medium.jpg", "plain"},
                                        {"medium.txt", "archive"},
                                        {"large.jpg", "plain"},
                                        {"large.txt", "archive"}}));
  for (int i = 0; i < 2; ++i) {
    for (const auto& key : world.source().backend->Keys("in")) {
      const auto* replica = world.target(i).backend->Find("out", key);
      ASSERT_NE(replica, nullptr) << key;
      EXPECT_EQ(*replica->bytes, *world.source().backend->Find("in", key)->bytes) << key;
    }
    EXPECT_TRUE(world.Staged(i).empty());
  }
  // Nothing is written twice, and deletes arrive by whatever way their objects came.
  world.RunFor(5s);
  world.source().backend->buckets["in"].objects.erase("large.jpg");
  world.source().backend->buckets["in"].objects.erase("medium.txt");
  world.RunWell();
  EXPECT_EQ(world.TakeRoutes().size(), 2U);
  EXPECT_EQ(world.Replicas(1), (std::set<std::string>{"large.txt", "medium.jpg", "small.jpg"}));
}

// Without compression no archive makes anything smaller, and nobody needs a sample to know it.
TEST(ChooseRouteTest, NothingShrinksThatIsNotCompressed) {
  AutoWorld world;
  world.configuration.rules[0].compression_level = 0;
  world.Put("small", "text");
  world.Put("large", std::string(300'000, 'x'));
  world.RunWell();
  EXPECT_EQ(world.TakeRoutes(), (Routes{{"small", "archive"}, {"large", "plain"}}));
}

// An event need not tell a size; the object is found out all the same, and not read for nothing
// more than once.
TEST(ChooseRouteTest, AnUnknownSizeIsLookedUp) {
  AutoWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(5s);
  world.Put("medium.jpg", Noise(50'000));
  world.Hear("medium.jpg");
  world.RunFor(30s);
  EXPECT_EQ(world.TakeRoutes(), (Routes{{"medium.jpg", "plain"}}));
  EXPECT_LE(world.source().backend->count(StoreOperation::kGet), 3);
  world.Stop();
}

// Samples cost requests: a kind that has been found out is not asked for again and again.
TEST(ChooseRouteTest, AKindIsSampledAFewTimes) {
  AutoWorld world;
  constexpr int kObjects = 30;
  for (int i = 0; i < kObjects; ++i) world.Put("k" + std::to_string(i) + ".jpg", Noise(30'000, i));
  world.RunWell();
  EXPECT_EQ(world.TakeRoutes().size(), size_t{kObjects});
  const int samples = world.source().backend->count(StoreOperation::kGet) - kObjects;
  EXPECT_GE(samples, ContentKinds::kSamplesMin);
  EXPECT_LE(samples, ContentKinds::kSamplesMin + 4) << "and those that were under way";
}

// Where the store can copy, no byte that does not shrink passes through this machine.
TEST(ChooseRouteTest, WithinOneStoreTheStoreCopies) {
  AutoWorld world;
  world.TargetInTheSource();
  world.Put("medium.jpg", Noise(50'000));
  world.Put("large.jpg", Noise(300'000));
  world.Put("large.txt", std::string(300'000, 'x'));
  world.RunWell();
  EXPECT_EQ(world.TakeRoutes(),
            (Routes{{"medium.jpg", "copy"}, {"large.jpg", "copy"}, {"large.txt", "archive"}}));
  EXPECT_EQ(world.source().backend->count(StoreOperation::kCopy), 2);
  EXPECT_EQ(*world.source().backend->Find("copy", "large.jpg")->bytes, Noise(300'000));
  // Copies heed no condition, so what comes by archive must not rely on one either.
  const auto& target = *world.context->rules[0]->targets[0];
  EXPECT_FALSE(target.applier->policy().capabilities.create_if_absent);
}

// A store that refuses to copy keeps nothing away from its target, and is left alone with it.
TEST(ChooseRouteTest, WhatIsNotCopiedIsStreamed) {
  AutoWorld world;
  world.TargetInTheSource();
  for (int i = 0; i < 5; ++i) world.Put("k" + std::to_string(i) + ".jpg", Noise(50'000, i));
  world.Put("large.jpg", Noise(300'000));
  int copies = 0;
  world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    if (operation != StoreOperation::kCopy) return Fault();
    ++copies;
    return TroubledStore::Failing(ErrorKind::kDenied);
  };
  world.configuration.rules[0].batch.count = 1;
  world.RunWell();
  const Routes routes = world.TakeRoutes();
  EXPECT_EQ(routes.size(), 6U);
  for (const auto& [key, route] : routes) EXPECT_EQ(route, "plain") << key;
  EXPECT_LE(copies, 2) << "one for each batch that was under way";
  EXPECT_EQ(*world.source().backend->Find("copy", "large.jpg")->bytes, Noise(300'000));
}

// Else a lease for each write would be paid for nothing.
TEST(ChooseRouteTest, WhereNobodyCopiesConditionsDo) {
  AutoWorld world;
  world.TargetInTheSource();
  world.configuration.rules[0].transport = Transport::kDirect;
  world.RunWell();
  const auto& target = *world.context->rules[0]->targets[0];
  EXPECT_TRUE(target.applier->policy().capabilities.create_if_absent);
  EXPECT_TRUE(target.applier->policy().capabilities.replace_if_match);
}

// Rules that write to one bucket must keep each other away by the same means.
TEST(ChooseRouteTest, WhereOneRuleCopiesAllTakeLeases) {
  AutoWorld world;
  world.TargetInTheSource();
  Rule other = world.configuration.rules[0];
  other.id = "other";
  other.transport = Transport::kDirect;
  other.source.prefix = "other/";
  other.targets[0].to.prefix = "other/";
  other.priority = 1;
  world.configuration.rules.push_back(other);
  world.RunWell();
  const auto& target = *world.context->rules[1]->targets[0];
  EXPECT_FALSE(target.applier->policy().capabilities.create_if_absent);
  EXPECT_FALSE(target.applier->policy().capabilities.replace_if_match);
}

// An archive that is late must find what was carried past it, and deleted, meanwhile.
TEST(ChooseRouteTest, ALateArchiveIsOlderThanWhatWasCarried) {
  AutoWorld world;
  world.Put("a", std::string(50'000, 'x'));
  world.Put("b", std::string(50'000, 'x'));
  const ReplicatorOptions source_alone{.source = true, .target = false};
  world.RunWell(source_alone);
  EXPECT_FALSE(world.Staged().empty());
  world.RunFor(5s);
  world.Put("a", Noise(50'000));
  world.Put("b", Noise(50'000));
  world.RunWell(source_alone);
  EXPECT_EQ(world.TakeRoutes(), (Routes{{"a", "plain"}, {"b", "plain"}}));
  const auto before = world.target().backend->Find("out", "a")->info.etag;
  world.RunFor(5s);
  // Carried as well, as the key is known to be large.
  world.source().backend->buckets["in"].objects.erase("b");
  HintMessage message{.store = "east", .bucket = "in"};
  message.hints.push_back({.key = "b", .time = world.world.clock.Now(), .size_bytes = 50'000});
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunWell();
  EXPECT_TRUE(world.Staged().empty());
  EXPECT_EQ(world.target().backend->Find("out", "a")->info.etag, before);
  EXPECT_EQ(world.Replicas(), (std::set<std::string>{"a"}));
  EXPECT_GE(world.observer.Count(OutcomeState::kSuperseded), 1);
}

// Whoever does not know what the source has deleted could bring it back: it applies nothing.
TEST(ChooseRouteTest, AnArchiveIsRefusedWhereAnotherStateIs) {
  AutoWorld world;
  world.Put("a", "text");
  world.RunWell({.source = true, .target = false});
  const std::set<std::string> staged = world.Staged();
  ASSERT_EQ(staged.size(), 1U);

  const auto rows = std::exchange(world.state_backend->rows, {});
  OnceResult result = world.RunOnce({.source = false, .target = true});
  EXPECT_EQ(result.parked_archives, 1);
  EXPECT_EQ(world.Replicas(), std::set<std::string>{});
  EXPECT_EQ(world.Staged(), staged);
  ASSERT_EQ(world.observer.outcomes.size(), 1U);
  EXPECT_EQ(world.observer.outcomes[0].state, OutcomeState::kParked);
  EXPECT_NE(world.observer.outcomes[0].reason.find("needs one state"), std::string::npos);

  world.state_backend->rows = rows;
  world.RunWell({.source = false, .target = true});
  EXPECT_EQ(world.Replicas(), (std::set<std::string>{"a"}));
}

// A giant that was carried, and then is again what its segments hold, has been written over by what
// was carried: the segments that are under way do not stand for it.
TEST(ChooseRouteTest, AGiantThatWasCarriedIsPlannedAnew) {
  AutoWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.limits.single_object_bytes_max = 300'000;
  world.limits.segment_bytes_min = 100'000;
  world.limits.giant_part_bytes_min = 20'000;
  MemoryStore direct(world.runtime, world.source().backend);
  const std::string text(400'000, 'x');
  ASSERT_TRUE(world.world.Run(PutText(direct, PutRequest{.bucket = "in", .key = "a.bin"}, text)));
  const ReplicatorOptions source_alone{.source = true, .target = false};
  world.RunWell(source_alone);
  EXPECT_FALSE(world.Staged().empty());
  EXPECT_EQ(world.Replicas(), std::set<std::string>{});

  auto change = [&](Tags tags, bool shrinks) {
    world.RunFor(5s);
    ASSERT_TRUE(world.world.Run(direct.PutTags("in", "a.bin", std::move(tags))));
    world.Hear("a.bin");
    world.MakeReplicator(source_alone);
    for (int i = 0; i < ContentKinds::kSamplesKept; ++i) {
      world.context->kinds.Learn("r", "a.bin", shrinks);
    }
    OnceResult result = world.world.Run(world.replicator->RunOnce(world.stop));
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  };
  change({{"color", "red"}}, false);
  ASSERT_NE(world.target().backend->Find("out", "a.bin"), nullptr);
  EXPECT_EQ(world.target().backend->Find("out", "a.bin")->tags, (Tags{{"color", "red"}}));
  change({}, true);
  world.RunWell();
  const auto* replica = world.target().backend->Find("out", "a.bin");
  ASSERT_NE(replica, nullptr);
  EXPECT_EQ(*replica->bytes, text);
  EXPECT_EQ(replica->tags, Tags{});
}

}  // namespace
}  // namespace longhaul
