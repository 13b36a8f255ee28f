#include "replication/staging/local_staging.h"

#include <gtest/gtest.h>

#include "replication/explain/explain.h"
#include "tests/support/fake_copier.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeCopier;
using testing::Fault;
using testing::MemoryStoreBackend;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Keys = std::set<std::string>;
using Delays = std::vector<std::chrono::nanoseconds>;

// Rule "r" by east:local/, which the store replicates to the stagings of its targets.
class CopiedWorld : public ReplicationWorld {
 public:
  explicit CopiedWorld(int targets = 1) : ReplicationWorld(targets) {
    MemoryStoreBackend::Bucket& bucket = source().backend->buckets["local"];
    bucket.created = world.clock.Now();
    bucket.versioning = MemoryStoreBackend::Versioning::kEnabled;
    Rule& rule = configuration.rules[0];
    rule.transport = Transport::kS3Replication;
    rule.local_staging = Address{.store = "east", .bucket = "local", .prefix = ""};
    rule.replication_timeout = 6min;
    rule.intake.listing.reset();
    std::vector<FakeCopier::Destination> destinations;
    for (int i = 0; i < targets; ++i) {
      destinations.push_back({.backend = target(i).backend, .bucket = "staging"});
    }
    copier = std::make_unique<FakeCopier>(world.clock, source().backend, "local",
                                          std::move(destinations));
  }

  // Archives that longhaul itself has put into the staging of a target.
  void CountUploads() {
    for (auto& [name, store] : stores) {
      if (name == "east") continue;
      store->decide = [this, name](StoreOperation operation, std::string_view bucket,
                                   std::string_view key) {
        const bool write =
            operation == StoreOperation::kPut || operation == StoreOperation::kCreateMultipart;
        if (write && bucket == "staging" && key.ends_with(".tar.zst")) ++uploads[name];
        return Fault();
      };
    }
  }
  [[nodiscard]] Keys LocalKeys() {
    Keys keys;  // Of all versions, also those that a delete marker hides.
    for (const auto& [key, versions] : source().backend->buckets["local"].objects) {
      keys.insert(key);
    }
    return keys;
  }
  [[nodiscard]] int SettledRows() {
    int rows = 0;
    for (const auto& [place, row] : state_backend->rows) {
      rows += place.first == "local-staging/r" ? 1 : 0;
    }
    return rows;
  }
  void Restart() {
    Stop();
    stop.Reset();
    Start();
  }

  std::unique_ptr<FakeCopier> copier;
  std::map<std::string, int> uploads;
};

// The point of it: one upload whatever the number of targets, and nothing left of it anywhere.
TEST(LocalStagingTest, AnArchiveIsUploadedOnce) {
  CopiedWorld world(2);
  world.CountUploads();
  for (int i = 0; i < 5; ++i) world.Put("k" + std::to_string(i), "text " + std::to_string(i));
  world.Put("large", std::string(300'000, 'x'));
  world.Start();
  world.RunFor(5min);
  world.Stop();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(world.Replicas(i), (Keys{"k0", "k1", "k2", "k3", "k4", "large"}));
    EXPECT_EQ(world.Staged(i), Keys{});
  }
  EXPECT_TRUE(world.uploads.empty());
  EXPECT_GE(world.copier->copies(), 4);
  EXPECT_EQ(world.LocalKeys(), Keys{});
  EXPECT_EQ(world.SettledRows(), 0);
}

// A local copy that goes with the first receipt is lost for the slower target.
TEST(LocalStagingTest, TheCopyStaysUntilEveryTargetHasAppliedIt) {
  CopiedWorld world(2);
  world.CountUploads();
  world.copier->delays = [](const std::string&, size_t destination) {
    return destination == 0 ? Delays{1ms} : Delays{3min};
  };
  world.Put("a", "text");
  world.Start();
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(0), Keys{"a"});
  EXPECT_EQ(world.Staged(0), Keys{}) << "receipts go as soon as their archive has gone";
  EXPECT_EQ(world.LocalKeys().size(), 1U);
  // What the first target has settled must be known after a restart, too.
  world.Restart();
  world.RunFor(1min);
  EXPECT_EQ(world.LocalKeys().size(), 1U);
  EXPECT_EQ(world.SettledRows(), 1);
  world.RunFor(3min);
  EXPECT_EQ(world.Replicas(1), Keys{"a"});
  EXPECT_EQ(world.LocalKeys(), Keys{});
  EXPECT_EQ(world.SettledRows(), 0);
  // (The comparison at the restart found that the second target lacks the object.)
  EXPECT_FALSE(world.uploads.contains("west0"));
  world.Stop();
}

// Somebody must hear of it, and of its end.
TEST(LocalStagingTest, LateReplicationIsTold) {
  CopiedWorld world;
  world.CountUploads();
  world.copier->delays = [](const std::string&, size_t) { return Delays{4min}; };
  world.Put("a", "text");
  world.Start();
  world.RunFor(90s);
  EXPECT_TRUE(world.observer.unready.empty());
  world.RunFor(60s);  // 6 min / 3 have passed.
  const std::string part = "replication to the staging of target t0 of rule r";
  ASSERT_TRUE(world.observer.unready.contains(part));
  EXPECT_NE(world.observer.unready[part].find("since 20"), std::string::npos);
  EXPECT_TRUE(world.log.Has("the store is late with replicating archives to a staging"));
  world.RunFor(3min);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_TRUE(world.observer.unready.empty());
  EXPECT_TRUE(world.uploads.empty());
  world.Stop();
}

// Replication that fails, or was never configured for one of the targets, must not keep it waiting
// for ever.
TEST(LocalStagingTest, WhatIsNotReplicatedIsUploadedByTheSource) {
  CopiedWorld world(2);
  world.CountUploads();
  world.copier->delays = [](const std::string&, size_t destination) {
    return destination == 0 ? Delays{1s} : Delays{};
  };
  world.Put("a", "text");
  world.Put("large", std::string(300'000, 'x'));
  world.Start();
  world.RunFor(5min);
  EXPECT_EQ(world.Replicas(0), (Keys{"a", "large"}));
  EXPECT_EQ(world.Replicas(1), Keys{});
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas(1), (Keys{"a", "large"}));
  EXPECT_EQ(world.uploads, (std::map<std::string, int>{{"west1", 2}}));
  EXPECT_EQ(world.LocalKeys(), Keys{});
  EXPECT_TRUE(world.observer.unready.empty());
  EXPECT_TRUE(world.target(1).backend->buckets["staging"].uploads.empty());
  world.Stop();
}

// Copies that come twice, the second after everything was settled, are applied again and go.
TEST(LocalStagingTest, DoubledAndLateCopiesAreHarmless) {
  CopiedWorld world(2);
  world.copier->delays = [](const std::string&, size_t destination) {
    return destination == 0 ? Delays{30s, 1s, 3min} : Delays{9min, 20min};
  };
  world.Put("a", "text");
  world.Start();
  world.RunFor(1min);
  world.Put("a", "newer text");
  HintMessage message{.store = "east", .bucket = "in"};
  message.hints.push_back({.key = "a", .time = world.world.clock.Now()});
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(40min);
  for (int i = 0; i < 2; ++i) {
    const auto* replica = world.target(i).backend->Find("out", "a");
    ASSERT_NE(replica, nullptr);
    EXPECT_EQ(*replica->bytes, "newer text");
    EXPECT_EQ(world.Staged(i), Keys{});
  }
  EXPECT_EQ(world.LocalKeys(), Keys{});
  EXPECT_EQ(world.SettledRows(), 0);
  world.Stop();
}

// An archive that somebody removed from a staging before it was applied is not lost.
TEST(LocalStagingTest, AnArchiveThatVanishesFromAStagingIsBroughtAgain) {
  CopiedWorld world;
  ASSERT_TRUE(
      world.world.Run(WritePause(world.state, "r", "t0", Pause{.since = world.world.clock.Now()})));
  world.Put("a", "text");
  world.Start();
  world.RunFor(1min);
  // It is compared when it goes on; until then the archive is all that knows of the object.
  ASSERT_EQ(world.LocalKeys().size(), 0U);
  HintMessage message{.store = "east", .bucket = "in"};
  message.hints.push_back({.key = "a", .time = world.world.clock.Now()});
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(1min);
  ASSERT_EQ(world.Staged().size(), 1U);
  world.target().backend->buckets["staging"].objects.erase(*world.Staged().begin());
  world.RunFor(7min);
  EXPECT_EQ(world.Staged().size(), 1U);
  ASSERT_TRUE(world.world.Run(RemovePause(world.state, "r", "t0")));
  world.RunFor(1min);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_EQ(world.LocalKeys(), Keys{});
  world.Stop();
}

// A local copy that rots can help nobody; what it carried is read anew.
TEST(LocalStagingTest, TheKeysOfADamagedCopyAreReadAnew) {
  CopiedWorld world;
  world.copier->delays = [](const std::string&, size_t) { return Delays{}; };
  world.Put("a", "text");
  world.Start();
  world.RunFor(1min);
  ASSERT_EQ(world.LocalKeys().size(), 1U);
  const std::string damaged = *world.LocalKeys().begin();
  world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
    const bool read = operation == StoreOperation::kGet && key == damaged;
    return read ? TroubledStore::Failing(ErrorKind::kCorrupt) : Fault();
  };
  world.RunFor(6min);
  EXPECT_TRUE(world.log.Has("an archive is damaged in local staging; its keys are read anew"));
  EXPECT_EQ(world.Staged(), Keys{}) << "no damaged byte goes to a staging";
  EXPECT_FALSE(world.LocalKeys().contains(damaged));
  world.RunFor(7min);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_EQ(world.LocalKeys(), Keys{});
  world.Stop();
}

// A person removed it, and no target has it.
TEST(LocalStagingTest, TheKeysOfACopyThatWentAreReadAnew) {
  CopiedWorld world;
  world.configuration.rules[0].replication_timeout = 10h;
  world.copier->delays = [](const std::string&, size_t) { return Delays{24h}; };
  world.Put("a", "text");
  world.Start();
  world.RunFor(30s);
  ASSERT_EQ(world.LocalKeys().size(), 1U);
  world.source().backend->buckets["local"].objects.clear();
  world.RunFor(80min);
  EXPECT_EQ(world.LocalKeys(), Keys{});
  world.RunFor(12min);
  EXPECT_EQ(world.LocalKeys().size(), 1U);
  world.Stop();
}

// Another process may have removed the copy since it was listed. The bucket keeps versions, and the
// copy was asked for by its own.
TEST(LocalStagingTest, ACopyThatAnotherProcessRemovedIsNoFailure) {
  CopiedWorld world;
  world.copier->delays = [](const std::string&, size_t) { return Delays{}; };
  world.Put("a", "text");
  world.Start();
  world.RunFor(1min);
  ASSERT_EQ(world.LocalKeys().size(), 1U);
  const std::string copy = *world.LocalKeys().begin();
  int left = 1;
  world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
    Fault fault;
    if (operation == StoreOperation::kGet && key == copy && left-- > 0) {
      fault.error = NotFound("no such version", "NoSuchVersion");
    }
    return fault;
  };
  world.RunFor(7min);
  EXPECT_LE(left, 0) << "the copy was not read";
  EXPECT_FALSE(world.log.Has("the local staging cannot be cleared"));
  EXPECT_EQ(world.Replicas(), Keys{"a"}) << "it was still there, and is brought at the next look";
  world.Stop();
}

// The store replicates to all targets: what is for some of them alone must not go that way.
TEST(LocalStagingTest, WhatIsForSomeTargetsAloneGoesDirectly) {
  CopiedWorld world(2);
  world.CountUploads();
  Rule rival = world.configuration.rules[0];
  rival.id = "rival";
  rival.priority = 1;
  rival.filter.suffix = ".log";
  rival.transport = Transport::kDirect;
  rival.local_staging.reset();
  rival.targets.resize(1);
  rival.targets[0].storage_class = "RIVAL";
  world.configuration.rules.push_back(rival);
  world.Put("a.log", "text");
  world.Put("b.txt", "text");
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.target(0).backend->Find("out", "a.log")->info.storage_class, "RIVAL");
  EXPECT_EQ(world.target(1).backend->Find("out", "a.log")->info.storage_class, "");
  EXPECT_EQ(world.uploads, (std::map<std::string, int>{{"west0", 1}, {"west1", 1}}));
  EXPECT_EQ(world.Replicas(0), (Keys{"a.log", "b.txt"}));
  EXPECT_EQ(world.LocalKeys(), Keys{});
}

// "Up to date" must not be said while archives are still on their way.
TEST(LocalStagingTest, OnceWaitsForTheStore) {
  CopiedWorld world(2);
  world.CountUploads();
  world.copier->delays = [](const std::string&, size_t destination) {
    return destination == 0 ? Delays{7s} : Delays{40s};
  };
  world.Put("a", "text");
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.Replicas(1), Keys{"a"});
  EXPECT_EQ(world.LocalKeys(), Keys{});
  EXPECT_TRUE(world.uploads.empty());
}

// With a store that does not replicate at all it comes to its end, too.
TEST(LocalStagingTest, OnceUploadsWhatTheStoreDoesNotReplicate) {
  CopiedWorld world(2);
  world.CountUploads();
  world.copier->delays = [](const std::string&, size_t) { return Delays{}; };
  world.Put("a", "text");
  OnceResult result = world.RunOnce({.timeout = 60s});
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.Replicas(1), Keys{"a"});
  EXPECT_EQ(world.uploads, (std::map<std::string, int>{{"west0", 1}, {"west1", 1}}));
  EXPECT_EQ(world.LocalKeys(), Keys{});
}

// The source alone is done when its archives have come to the stagings.
TEST(LocalStagingTest, OnceOfTheSourceEndsWhenArchivesHaveArrived) {
  CopiedWorld world;
  world.copier->delays = [](const std::string&, size_t) { return Delays{20s}; };
  world.Put("a", "text");
  OnceResult result = world.RunOnce({.source = true, .target = false});
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.Staged().size(), 1U);
  EXPECT_EQ(world.LocalKeys().size(), 1U) << "nothing has been applied";
}

// The transport has been changed: what was under way comes to its end.
TEST(LocalStagingTest, WhatIsLeftThereGoesOnWithAnotherTransport) {
  CopiedWorld world;
  world.copier->delays = [](const std::string&, size_t) { return Delays{}; };
  world.Put("a", "text");
  world.Start();
  world.RunFor(1min);
  world.Stop();
  world.stop.Reset();
  ASSERT_EQ(world.LocalKeys().size(), 1U);
  world.configuration.rules[0].transport = Transport::kDirect;
  world.source().backend->buckets["in"].objects.clear();
  world.Start();
  world.RunFor(8min);
  EXPECT_EQ(world.LocalKeys(), Keys{});
  EXPECT_EQ(world.Staged(), Keys{});
  world.Stop();
}

// A target's staging that is away keeps neither the source nor the other target from it.
TEST(LocalStagingTest, AStagingThatIsAwayHoldsNothingUp) {
  CopiedWorld world(2);
  world.target(1).Fails(ErrorKind::kRetryable);
  world.Start();
  world.RunFor(5s);
  world.Put("a", "text");
  HintMessage message{.store = "east", .bucket = "in"};
  message.hints.push_back({.key = "a", .time = world.world.clock.Now()});
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(0), Keys{"a"});
  EXPECT_TRUE(world.queue_backend->rows.empty()) << "the local staging has it";
  EXPECT_EQ(world.LocalKeys().size(), 1U);
  world.target(1).Heal();
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas(1), Keys{"a"});
  EXPECT_EQ(world.LocalKeys(), Keys{});
  world.Stop();
}

// Whoever asks why an object is not at the target yet must be told of the archive on its way.
TEST(LocalStagingTest, ExplainKnowsOfAnArchiveOnItsWay) {
  CopiedWorld world(2);
  world.copier->delays = [](const std::string&, size_t destination) {
    return destination == 0 ? Delays{1ms} : Delays{2min};
  };
  world.Put("a", "text");
  world.Start();
  world.RunFor(1min);
  world.Stop();
  auto told = world.world.Run(
      Explain(*world.context, world.configuration, {"east"}, "in", "a", {.archives_max = 3}));
  ASSERT_TRUE(told);
  EXPECT_EQ(told->from[0].targets[0].pending.size(), 0U);
  ASSERT_EQ(told->from[0].targets[1].pending.size(), 1U);
  EXPECT_NE(told->next.find(told->from[0].targets[1].pending[0].archive), std::string::npos);
}

}  // namespace
}  // namespace longhaul
