#include "replication/capability_cache.h"

#include <gtest/gtest.h>

#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using testing::Fault;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

Result<Capabilities> Probe(ReplicationWorld& world) {
  return world.world.Run(
      ProbedCapabilities(*world.context, *world.target().store, "staging", "below/"));
}

Async<void> AskOnce(ReplicationWorld& world) {
  Result<Capabilities> probed =
      co_await ProbedCapabilities(*world.context, *world.target().store, "staging", "below/");
  if (!probed) co_return probed.error();
  co_return Ok();
}

Async<void> AskTwice(ReplicationWorld& world) {
  TaskGroup group(world.runtime.executor);
  group.Spawn(AskOnce(world));
  group.Spawn(AskOnce(world));
  co_return co_await group.Join();
}

// A probe that is killed has uploads open, which cost money, and which some stores list by their
// whole key alone: nobody would ever find them.
TEST(CapabilityCacheTest, WhatAKilledProbeHasLeftGoesWithTheNextOne) {
  ReplicationWorld world;
  world.target().backend->options.capabilities.lists_uploads = false;
  world.MakeContext();
  bool dead = false;
  world.target().decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
    dead = dead || (operation == StoreOperation::kUploadPart && key.ends_with("complete"));
    return dead ? TroubledStore::Failing(ErrorKind::kRetryable) : Fault();
  };
  EXPECT_FALSE(Probe(world));
  ASSERT_FALSE(world.target().backend->buckets["staging"].uploads.empty());
  world.target().Heal();
  Result<Capabilities> probed = Probe(world);
  ASSERT_TRUE(probed) << probed.error().Describe();
  EXPECT_TRUE(world.target().backend->buckets["staging"].uploads.empty());
  EXPECT_TRUE(world.target().backend->Keys("staging").empty());
}

// A policy that allows neither to read tags nor to list uploads is common, and the work can do
// without: the target starts, and says what it does without.
TEST(CapabilityCacheTest, WhatMayBeDeniedKeepsNoTargetFromStarting) {
  ReplicationWorld world;
  world.Put("k", "text");
  world.target().decide = [](StoreOperation operation, std::string_view, std::string_view) {
    const bool denied =
        operation == StoreOperation::kGetTags || operation == StoreOperation::kListMultipartUploads;
    return denied ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  world.MakeContext();
  Result<Capabilities> probed = Probe(world);
  ASSERT_TRUE(probed) << probed.error().Describe();
  EXPECT_TRUE(probed->tags) << "of the target's bucket nothing is known";
  EXPECT_FALSE(probed->lists_uploads);
  EXPECT_EQ(std::ranges::count(world.log.lines, "a target does without what it may not do"), 2);
  EXPECT_TRUE(world.target().backend->Keys("staging").empty());

  EXPECT_FALSE(world.RunOnce().store_error);
  const auto* replica = world.target().backend->Find("out", "k");
  ASSERT_NE(replica, nullptr);
  EXPECT_EQ(*replica->bytes, "text");
}

// What was found must be what is remembered, each ability of it.
TEST(CapabilityCacheTest, EachAbilityIsRemembered) {
  Capabilities none = *DecodeCapabilities(EncodeCapabilities({}));
  EXPECT_EQ(none, Capabilities{});
  none.heads_parts = none.lists_uploads = none.tags = none.sorted_listing = false;
  EXPECT_EQ(*DecodeCapabilities(EncodeCapabilities(none)), none);
}

// Two rules with one staging must not probe it twice, nor one clean up what the other is at.
TEST(CapabilityCacheTest, ThoseWhoAskAtOnceShareAProbe) {
  ReplicationWorld world;
  world.MakeContext();
  int firsts = 0;
  world.target().decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
    firsts += operation == StoreOperation::kPut && key.ends_with("/first") ? 1 : 0;
    Fault fault;
    fault.delay = std::chrono::milliseconds(100);
    return fault;
  };
  Result<void> joined = world.world.Run(AskTwice(world));
  EXPECT_TRUE(joined);
  EXPECT_EQ(firsts, 1);
}

// What was killed late, when another had found out already, must not lie there for a day.
TEST(CapabilityCacheTest, LeftoversGoAlsoWhenTheAnswerIsKnown) {
  ReplicationWorld world;
  world.MakeContext();
  ASSERT_TRUE(Probe(world));
  MemoryStore& store = *world.target().store;
  ASSERT_TRUE(world.world.Run(
      store.CreateMultipart({.bucket = "staging", .key = "below/probe/dead/uploads/one"})));
  const std::string key = store.description() + "/staging/below/\n01JC5N0XVRKGBGSKP4ZPQE4M7T";
  const std::string value =
      "somebody " + FormatRfc3339(world.world.clock.Now()) + " below/probe/dead/";
  ASSERT_TRUE(world.world.Run(world.state.Write("probes", {.key = key, .value = value})));
  ASSERT_TRUE(Probe(world));
  EXPECT_FALSE(world.target().backend->buckets["staging"].uploads.empty())
      << "it may live: what it probes must not go while it looks";
  world.RunFor(std::chrono::minutes(1));
  ASSERT_TRUE(Probe(world));
  EXPECT_TRUE(world.target().backend->buckets["staging"].uploads.empty());
  EXPECT_EQ(world.state_backend->rows.count({"probes", key}), 0u);
}

// A probe is some 60 requests: each start of a process would pay for it.
TEST(CapabilityCacheTest, AStoreIsProbedOnceADay) {
  ReplicationWorld world;
  world.MakeContext();
  int requests = 0;
  world.target().decide = [&](StoreOperation, std::string_view, std::string_view) {
    ++requests;
    return Fault();
  };
  Result<Capabilities> first = Probe(world);
  ASSERT_TRUE(first);
  const int once = requests;
  EXPECT_GT(once, 20);
  Result<Capabilities> second = Probe(world);
  ASSERT_TRUE(second);
  EXPECT_EQ(*second, *first);
  EXPECT_EQ(requests, once);
  world.RunFor(std::chrono::hours(25));
  ASSERT_TRUE(Probe(world));
  EXPECT_EQ(requests, 2 * once);
}

// Rules that share a staging ask for it at the same time. Two probes would cost twice, and of two
// that are killed only one would be found again.
TEST(CapabilityCacheTest, RulesThatShareAStagingProbeItOnce) {
  ReplicationWorld world;
  world.MakeContext();
  int requests = 0;
  world.target().decide = [&](StoreOperation, std::string_view, std::string_view) {
    ++requests;
    return Fault();
  };
  struct Asker {
    static asio::awaitable<void> Ask(ReplicationWorld& world, int& done) {
      Result<Capabilities> probed =
          co_await ProbedCapabilities(*world.context, *world.target().store, "staging", "below/");
      EXPECT_TRUE(probed);
      ++done;
    }
  };
  int done = 0;
  world.world.Start(Asker::Ask(world, done));
  world.world.Drive([&] { return done == 1; });
  const int once = requests;
  world.RunFor(std::chrono::hours(25));
  for (int i = 0; i < 3; ++i) world.world.Start(Asker::Ask(world, done));
  world.world.Drive([&] { return done == 4; });
  EXPECT_EQ(requests, 2 * once);
}

}  // namespace
}  // namespace longhaul
