#include "replication/target/target_role.h"

#include <gtest/gtest.h>

#include "events/hint.h"
#include "replica/floor.h"
#include "replication/life/parked.h"
#include "replication/staging/staging.h"
#include "tests/support/archive.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Keys = std::set<std::string>;

auto DenyWrites(std::string only_key) {
  return [only_key](StoreOperation operation, std::string_view bucket, std::string_view key) {
    const bool hit = operation == StoreOperation::kPut && bucket == "out" &&
                     (only_key.empty() || key == only_key);
    return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
}

// Of the only archive that has one.
ArchiveReceipt ReceiptOf(ReplicationWorld& world) {
  MemoryStore direct(world.runtime, world.target().backend);
  auto staged = world.world.Run(ListStaging(direct, "staging", "r/"));
  if (!staged || staged->size() != 1 || staged->front().receipts.size() != 1) {
    ADD_FAILURE() << "not one receipt";
    return {};
  }
  auto text = world.world.Run(
      GetAll(direct, {.bucket = "staging", .key = staged->front().receipts.front().key}, 1 << 20));
  auto receipt = text ? DecodeReceipt(*text) : Result<ArchiveReceipt>(text.error());
  EXPECT_TRUE(receipt);
  return receipt ? *receipt : ArchiveReceipt();
}

// Credentials that were withdrawn are not the fault of every object: nothing is parked, somebody is
// told, and when they are mended all goes on.
TEST(TargetRoleTest, AStoreThatDeniesEverythingIsAStoreError) {
  ReplicationWorld world;
  for (int i = 0; i < 5; ++i) world.Put("k" + std::to_string(i), "text " + std::to_string(i));
  world.target().decide = DenyWrites("");
  world.Start();
  world.RunFor(10min);
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  EXPECT_TRUE(world.observer.unready.contains("target t0 of rule r"));
  world.target().Heal();
  world.RunFor(70s);
  EXPECT_EQ(world.Replicas().size(), 5u);
  EXPECT_TRUE(world.observer.unready.empty());
  world.Stop();
}

// Figures of sizes and times are made of this alone.
TEST(TargetRoleTest, AnArchiveIsToldOfByBothSides) {
  ReplicationWorld world;
  world.Put("a", std::string(50'000, 'a'));
  world.Put("b", std::string(30'000, 'b'));
  world.target().decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kPut) fault.delay = bucket == "out" ? 2s : 1s;
    return fault;
  };
  EXPECT_FALSE(world.RunOnce({.timeout = 60s}).store_error);
  ASSERT_EQ(world.observer.staged.size(), 1u);
  const ArchiveBytes& staged = world.observer.staged[0];
  EXPECT_EQ(staged.rule, "r");
  EXPECT_EQ(staged.objects, 80'000u);
  EXPECT_GE(staged.took, 1s);
  EXPECT_LT(staged.took, 10s);
  ASSERT_EQ(world.observer.applied.size(), 1u);
  const ArchiveApplied& applied = world.observer.applied[0];
  EXPECT_EQ(applied.rule, "r");
  EXPECT_EQ(applied.target, "t0");
  EXPECT_EQ(applied.archive_bytes, staged.sent);
  EXPECT_EQ(applied.object_bytes, 80'000u);
  EXPECT_GE(applied.took, 2s);
  EXPECT_LT(applied.took, 10s);
}

TEST(TargetRoleTest, OnceEndsAsDeniedWhenTheTargetDeniesEverything) {
  ReplicationWorld world;
  world.Put("a", "text");
  world.Put("b", "text");
  world.target().decide = DenyWrites("");
  OnceResult result = world.RunOnce({.timeout = 20s});
  ASSERT_TRUE(result.store_error);
  EXPECT_EQ(result.store_error->kind, ErrorKind::kDenied);
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
}

// Nothing but the record remembers a conflict: the archive must not go before it is written.
TEST(TargetRoleTest, AConflictIsRecordedBeforeItsArchiveGoes) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  testing::MemoryStore direct(world.runtime, world.target().backend);
  ASSERT_TRUE(world.world.Run(PutText(direct, {.bucket = "out", .key = "k"}, "somebody's")));
  world.Put("k", "text");
  world.state_backend->read_only = "parked/r/t0";
  world.Start();
  world.RunFor(1min);
  EXPECT_EQ(world.Staged().size(), 1u);
  EXPECT_TRUE(world.observer.unready.contains("target t0 of rule r"));
  world.state_backend->read_only.clear();
  world.RunFor(2min);
  Result<std::optional<ParkedKey>> parked =
      world.world.Run(FindParked(world.state, "r", "t0", "k"));
  ASSERT_TRUE(parked && *parked);
  EXPECT_TRUE((*parked)->reason.starts_with("conflict: "));
  EXPECT_TRUE(world.Staged().empty());
  EXPECT_TRUE(world.observer.unready.empty());
  world.Stop();
}

// One object that the target refuses is parked, by itself, and not before it has been tried again.
TEST(TargetRoleTest, AnObjectThatIsRefusedIsParkedAfterSomeTries) {
  ReplicationWorld world;
  world.Put("a", "text a");
  world.Put("refused", "text");
  int tries = 0;
  auto deny = DenyWrites("refused");
  world.target().decide = [&](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    Fault fault = deny(operation, bucket, key);
    tries += fault.error ? 1 : 0;
    return fault;
  };
  OnceResult result = world.RunOnce({.timeout = 60s});
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(result.parked_archives, 1);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_GE(tries, 3);
  ASSERT_EQ(world.observer.Count(OutcomeState::kParked), 1);
  EXPECT_EQ(world.observer.outcomes.back().key, "refused");
}

// An archive that waits for one of two targets, which is called otherwise when it comes to it.
TEST(TargetRoleTest, WhatIsForATargetThatTheRuleDoesNotHaveIsReadAnew) {
  ReplicationWorld world(2);
  std::vector<Target>& targets = world.configuration.rules[0].targets;
  targets[1].staging = targets[0].staging;
  world.configuration.rules[0].intake.listing.reset();
  world.Start({.target = false});
  world.RunFor(5s);
  world.Put("k", "text");
  const HintMessage alone{
      .store = "east", .bucket = "in", .rule = "r", .target = "t0", .hints = {{.key = "k"}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(alone), {})));
  world.RunFor(30s);
  world.Stop();
  world.stop.Reset();
  ASSERT_EQ(world.Staged().size(), 1u);
  targets[0].name = "uno";
  world.Start({.source = false});
  world.RunFor(1min);
  world.Stop();
  auto staged = world.world.Run(ListStaging(*world.target().store, "staging",
                                            world.context->rules[0]->targets[0]->staging_prefix));
  ASSERT_TRUE(staged);
  ASSERT_EQ(staged->size(), 1u);
  std::map<std::string, std::vector<std::string>> asked;
  for (const StagedReceipt& found : (*staged)[0].receipts) {
    auto text = world.world.Run(
        GetAll(*world.target().store, {.bucket = "staging", .key = found.key}, 1 << 20));
    ASSERT_TRUE(text);
    auto receipt = DecodeReceipt(*text);
    ASSERT_TRUE(receipt);
    asked[found.target] = receipt->reread;
  }
  EXPECT_EQ(asked["uno"], std::vector<std::string>{"k"});
  EXPECT_EQ(world.Replicas(), Keys{});
}

// A refusal that passes leaves nothing behind.
TEST(TargetRoleTest, ARefusalThatPassesIsForgotten) {
  ReplicationWorld world;
  world.Put("a", "text a");
  world.Put("refused", "text");
  int left = 2;
  auto deny = DenyWrites("refused");
  world.target().decide = [&](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    Fault fault = deny(operation, bucket, key);
    return fault.error && left-- > 0 ? fault : Fault();
  };
  OnceResult result = world.RunOnce({.timeout = 60s});
  EXPECT_FALSE(result.store_error);
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  EXPECT_EQ(world.Replicas(), (Keys{"a", "refused"}));
}

// What the target has one of alone, and does not take at once, must not park what is replicated.
TEST(TargetRoleTest, AStoreOfOneClassThatTakesSmallPutsGetsAll) {
  ReplicationWorld world;
  MemoryStore source(world.runtime, world.source().backend);
  ASSERT_TRUE(world.world.Run(
      PutText(source, {.bucket = "in", .key = "cold", .storage_class = "STANDARD_IA"}, "cold")));
  ASSERT_TRUE(world.world.Run(
      PutText(source, {.bucket = "in", .key = "plain", .storage_class = "STANDARD"}, "plain")));
  world.Put("large", testing::Noise(300'000, 1));
  Capabilities& can = world.target().backend->options.capabilities;
  can.storage_classes = false;
  can.put_size_bytes_max = 100'000;
  OnceResult result = world.RunOnce({.timeout = 60s});
  EXPECT_FALSE(result.store_error);
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  EXPECT_EQ(world.Replicas(), (Keys{"cold", "large", "plain"}));
}

// An upload that was aborted under us is begun again; the object is not to blame.
TEST(TargetRoleTest, AnUploadThatWasAbortedIsBegunAgain) {
  ReplicationWorld world;
  std::string noise(300'000, '\0');
  SeededRandom random(7);
  for (char& c : noise) c = static_cast<char>(random.Below(256));
  world.Put("large", noise);
  // In parts at the target, as it is at the source's.
  world.target().backend->options.capabilities.put_size_bytes_max = 100'000;
  int left = 1;
  world.target().decide = [&](StoreOperation operation, std::string_view bucket, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kUploadPart && bucket == "out" && left-- > 0) {
      fault.error = NotFound("aborted", "NoSuchUpload");
    }
    return fault;
  };
  OnceResult result = world.RunOnce({.timeout = 60s});
  EXPECT_FALSE(result.store_error);
  EXPECT_LE(left, 0) << "it never went in parts";
  EXPECT_EQ(result.parked_archives, 0);
  EXPECT_EQ(world.Replicas(), Keys{"large"});
}

// What is wrong with State or with the target's answer is not wrong with the archive: it must not
// be thrown away and read anew for ever.
TEST(TargetRoleTest, CorruptionElsewhereIsNotBlamedOnTheArchive) {
  for (const bool in_state : {false, true}) {
    ReplicationWorld world;
    world.Put("large", std::string(300'000, 'x'));
    world.Put("small", "text");
    if (in_state) {
      const Rule& rule = world.configuration.rules[0];
      Floors floors(world.state, world.world.clock, ReplicaPartition(rule.targets[0]));
      ASSERT_TRUE(world.world.Run(floors.Raise("large", {.stamp = world.world.clock.Now() - 1h})));
      for (auto& [name, row] : world.state_backend->rows) {
        if (name.second == "large") row.value = "rubbish";
      }
    } else {
      world.target().decide = [](StoreOperation operation, std::string_view bucket,
                                 std::string_view key) {
        const bool hit =
            bucket == "out" && key == "large" &&
            (operation == StoreOperation::kPut || operation == StoreOperation::kCompleteMultipart);
        return hit ? TroubledStore::Failing(ErrorKind::kCorrupt) : Fault();
      };
    }
    OnceResult result = world.RunOnce({.timeout = 60s});
    EXPECT_EQ(result.corrupt_archives, 0) << "in_state " << in_state;
    EXPECT_EQ(result.parked_archives, 1) << "in_state " << in_state;
    EXPECT_EQ(world.Replicas(), Keys{"small"});
    ASSERT_EQ(world.observer.Count(OutcomeState::kParked), 1);
    EXPECT_EQ(world.observer.outcomes.back().key, "large");
  }
}

// Who had not its key refused it; who has finds that it is damaged, and it goes.
TEST(TargetRoleTest, ARefusedArchiveThatIsDamagedIsNotRecordedAnyMore) {
  ReplicationWorld world;
  world.Put("a", std::string(100'000, 'x'));
  ASSERT_FALSE(world.RunOnce({.source = true, .target = false}).store_error);
  const std::set<std::string> staged = world.Staged();
  ASSERT_EQ(staged.size(), 1u);
  const std::string& key = *staged.begin();
  const size_t name = key.rfind('/') + 1;
  ParkedKey row{.target = "t0",
                .archive = key.substr(name, key.find('.', name) - name),
                .op = "archive",
                .reason = "the archive is sealed with the unknown key 12"};
  row.when = world.world.clock.Now();
  ASSERT_TRUE(world.world.Run(WriteParked(world.state, "r", row)));
  ASSERT_EQ(world.world.Run(CountParkedArchives(world.state, "r", "t0", 10)), 1u);
  world.target().backend->CorruptStored("staging", key, 300);
  EXPECT_EQ(world.RunOnce({.timeout = 60s}).corrupt_archives, 1);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_EQ(world.world.Run(CountParkedArchives(world.state, "r", "t0", 10)), 0u);
}

// Thousands of archives may wait: who is asked to stop must not apply all of them first.
TEST(TargetRoleTest, StopsBetweenTwoArchives) {
  ReplicationWorld world;
  world.configuration.rules[0].batch.count = 1;
  for (int i = 0; i < 60; ++i) world.Put("k" + std::to_string(i), "text " + std::to_string(i));
  ReplicatorOptions source_only{.source = true, .target = false};
  EXPECT_FALSE(world.RunOnce(source_only).store_error);
  ASSERT_EQ(world.Staged().size(), 60u);
  world.target().decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kPut && bucket == "out") fault.delay = 10s;
    return fault;
  };
  world.Start({.source = false, .target = true});
  world.RunFor(25s);
  const SteadyTime asked = world.world.clock.SteadyNow();
  world.Stop();
  EXPECT_LT(world.world.clock.SteadyNow() - asked, 25s);
  EXPECT_LT(world.Replicas().size(), 60u);
  EXPECT_GT(world.Replicas().size(), 0u);
}

// One request that hangs, or one object that takes hours, is no reason for the others to get old.
TEST(TargetRoleTest, AnArchiveThatHangsKeepsNoOtherWaiting) {
  ReplicationWorld world;
  world.configuration.rules[0].batch.count = 1;
  for (int i = 0; i < 20; ++i) world.Put("k" + std::to_string(i), "text " + std::to_string(i));
  bool hung = false;
  world.target().decide = [&](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    Fault fault;
    if (operation == StoreOperation::kPut && bucket == "out" && key == "k0" &&
        !std::exchange(hung, true)) {
      fault.delay = 10min;
    }
    return fault;
  };
  world.Start();
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas().size(), 19u);
  world.Put("k20", "text");
  HintMessage message{.store = "east", .bucket = "in", .rule = "r", .hints = {{.key = "k20"}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(10s);
  EXPECT_EQ(world.Replicas().size(), 20u) << "nor those that come later";
  EXPECT_EQ(world.Staged().size(), 1u);
  world.RunFor(15min);
  EXPECT_EQ(world.Replicas().size(), 21u);
  EXPECT_TRUE(world.Staged().empty());
  EXPECT_EQ(world.observer.Count(OutcomeState::kApplied), 21) << "each once";
  world.Stop();
}

// Keys that wait for a request without an answer say nothing of their store: it is not left alone.
TEST(TargetRoleTest, BusyKeysKeepNoOtherArchiveWaiting) {
  ReplicationWorld world;
  world.configuration.rules[0].batch.count = 1;
  for (int i = 10; i < 30; ++i) world.Put("k" + std::to_string(i), "text " + std::to_string(i));
  EXPECT_FALSE(world.RunOnce({.source = true, .target = false}).store_error);
  Floors floors(world.state, world.world.clock,
                ReplicaPartition(world.configuration.rules[0].targets[0]));
  for (int i = 10; i < 29; ++i) {
    ASSERT_TRUE(world.world.Run(floors.Note(
        "k" + std::to_string(i),
        {.kind = PendingKind::kDelete, .until = world.world.clock.Now() + kRequestLifetime})));
  }
  world.Start({.source = false, .target = true});
  world.RunFor(500ms);
  EXPECT_EQ(world.observer.outcomes.size(), 1u);
  EXPECT_TRUE(world.observer.unready.empty());
  world.RunFor(kRequestLifetime + 2s);
  EXPECT_EQ(world.observer.outcomes.size(), 20u);
  world.Stop();
}

// A target that hangs must not slow down the others.
TEST(TargetRoleTest, ATargetThatHangsKeepsNobodyWaiting) {
  ReplicationWorld world(2);
  world.Put("a", "text");
  world.Start();
  world.RunFor(20s);
  world.target(1).decide = [](StoreOperation, std::string_view, std::string_view) {
    Fault fault = TroubledStore::Failing(ErrorKind::kRetryable);
    fault.delay = 10min;
    return fault;
  };
  world.RunFor(2min);
  ASSERT_EQ(world.Replicas(0), Keys{"a"});
  // Staging 0 gets an archive while target 1 hangs.
  HintMessage message{
      .store = "east", .bucket = "in", .rule = "r", .target = "t0", .hints = {{.key = "b"}}};
  world.Put("b", "text");
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(0), (Keys{"a", "b"}));
  world.target(1).Heal();
  world.Stop();
}

// Large archives take much memory each: those for a target that hangs leave enough for another's.
TEST(TargetRoleTest, LargeArchivesOfATargetThatHangsLeaveMemoryToOthers) {
  ReplicationWorld world(2);
  const size_t large = 400'000;
  for (int i = 0; i < 8; ++i) {
    std::string bytes(large, '\0');
    for (char& byte : bytes) byte = static_cast<char>(world.world.random.Next());
    world.Put("large" + std::to_string(i), std::move(bytes));
  }
  world.target(1).decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    Fault fault;
    if (bucket == "out" && operation == StoreOperation::kPut) {
      fault = TroubledStore::Failing(ErrorKind::kRetryable);
      fault.delay = 10min;
    }
    return fault;
  };
  world.Start();
  world.RunFor(1min);
  EXPECT_EQ(world.Staged(1).size(), 8u);
  ASSERT_EQ(world.Replicas(0).size(), 8u);
  EXPECT_EQ(world.Replicas(1), Keys{});
  world.target(1).Heal();
  world.RunFor(20min);
  EXPECT_EQ(world.Replicas(1).size(), 8u);
  world.Stop();
}

// Nor do they keep small ones of the same target waiting.
TEST(TargetRoleTest, LargeArchivesThatHangLeavePlacesToSmallOnes) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  for (int i = 0; i < 20; ++i) {
    std::string bytes(300'000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(world.world.random.Next());
    world.Put("large" + std::to_string(i), std::move(bytes));
  }
  int hanging = 0;
  world.target().decide = [&](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    Fault fault;
    if (bucket == "out" && key.starts_with("large") && operation == StoreOperation::kPut) {
      fault = TroubledStore::Failing(ErrorKind::kRetryable);
      fault.delay = 10min;
      ++hanging;
    }
    return fault;
  };
  world.Start();
  world.RunFor(1min);
  EXPECT_EQ(world.Staged().size(), 20u);
  ASSERT_EQ(hanging, 2);
  world.Put("small", "text");
  HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = "small"}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(15s);
  EXPECT_EQ(world.Replicas(), Keys{"small"});
  world.target().Heal();
  world.RunFor(20min);
  EXPECT_EQ(world.Replicas().size(), 21u);
  world.Stop();
}

// A store at which everything hangs gets fewer tries at a time, until one of them succeeds.
TEST(TargetRoleTest, AStoreThatFailsGetsFewTriesAtATime) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  std::vector<SteadyTime> tries;
  world.target().decide = [&](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    Fault fault;
    if (bucket == "out" && key.starts_with("k") && operation == StoreOperation::kPut) {
      tries.push_back(world.world.clock.SteadyNow());
      fault = TroubledStore::Failing(ErrorKind::kRetryable);
      fault.delay = 5min;
    }
    return fault;
  };
  world.Start();
  world.RunFor(5s);
  for (int i = 0; i < 30; ++i) {  // Archives of their own.
    const std::string key = "k" + std::to_string(i);
    world.Put(key, "text");
    HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = key}}};
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
    world.RunFor(8s);
  }
  EXPECT_EQ(tries.size(), 16u);
  world.RunFor(30min);  // Those have failed.
  tries.clear();
  world.RunFor(5min);
  EXPECT_GT(tries.size(), 0u);
  EXPECT_LE(tries.size(), 6u) << "Three at a time.";
  world.target().Heal();
  world.RunFor(30min);
  EXPECT_EQ(world.Replicas().size(), 30u);
  world.Stop();
}

// What a small archive takes in memory is not known before it is opened. One that shrinks well
// needs more than small ones get, and must not wait for it for ever.
TEST(TargetRoleTest, ASmallArchiveThatUnpacksToMuchIsApplied) {
  for (const size_t kibibytes : {2600, 3000, 3200, 3300, 3400, 3500, 3600, 3800, 4200, 7000}) {
    ReplicationWorld world;
    world.limits.frame_bytes = 8 << 20;
    world.limits.bundle_object_bytes_max = 8 << 20;
    std::string bytes(kibibytes << 10, 'x');
    for (size_t i = 0; i < 190'000; ++i) bytes[i] = static_cast<char>(world.world.random.Next());
    world.Put("log", bytes);
    EXPECT_FALSE(world.RunOnce({.source = true, .target = false}).store_error);
    ASSERT_EQ(world.Staged().size(), 1u);
    world.Start({.source = false, .target = true});
    world.RunFor(1min);
    ASSERT_EQ(world.Replicas(), Keys{"log"}) << kibibytes;
    EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
    world.Stop();
  }
}

// A DELETE without an answer may land for two minutes: an archive that waits for that is looked at
// a few times in case it is over sooner, and then when it is over, not a while after it.
TEST(TargetRoleTest, WhatARequestHoldsUpIsTriedAgainWhenThatIsOver) {
  ReplicationWorld world;
  world.Put("k", "text");
  EXPECT_FALSE(world.RunOnce({.source = true, .target = false}).store_error);
  ASSERT_EQ(world.Staged().size(), 1u);
  Floors floors(world.state, world.world.clock,
                ReplicaPartition(world.configuration.rules[0].targets[0]));
  ASSERT_TRUE(world.world.Run(floors.Note(
      "k", {.kind = PendingKind::kDelete, .until = world.world.clock.Now() + kRequestLifetime})));
  world.log.lines.clear();
  world.Start({.source = false, .target = true});
  world.RunFor(kRequestLifetime - 1s);
  EXPECT_FALSE(world.Staged().empty());
  EXPECT_EQ(std::ranges::count(world.log.lines, "archive not applied yet"), 4);
  world.RunFor(2s + world.limits.staging_poll);
  EXPECT_EQ(world.observer.outcomes.size(), 1u);
  world.Stop();
  EXPECT_EQ(world.Replicas(), Keys{"k"});
}

// Two processes see an archive in the staging at once. What the slower one finds, in a bucket with
// versions, is a delete marker.
TEST(TargetRoleTest, AnArchiveThatAnotherProcessWasFasterWithIsNoFailure) {
  for (const char* code : {"NoSuchKey", "DeleteMarker"}) {
    ReplicationWorld world;
    world.Put("k", "text");
    EXPECT_FALSE(world.RunOnce({.source = true, .target = false}).store_error);
    ASSERT_EQ(world.Staged().size(), 1u);
    int left = 1;
    world.target().decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
      Fault fault;
      if (operation == StoreOperation::kGet && key.ends_with(".tar.zst") && left-- > 0) {
        fault.error = NotFound("there is no such key", code);
      }
      return fault;
    };
    world.log.lines.clear();
    world.Start({.source = false, .target = true});
    world.RunFor(1min);
    world.Stop();
    EXPECT_LE(left, 0) << "no archive was opened";
    EXPECT_EQ(std::ranges::count(world.log.lines, "archive not applied yet"), 0) << code;
    EXPECT_EQ(world.Replicas(), Keys{"k"});
  }
}

// Of two processes the slower one has a listing from before the other was done. What it finds by
// then is settled, and its receipt would ask the source for nothing.
TEST(TargetRoleTest, AReceiptOfAnotherProcessIsNotWrittenOver) {
  ReplicationWorld world;
  world.Put("k", "text");
  EXPECT_FALSE(world.RunOnce({.source = true, .target = false}).store_error);
  ASSERT_EQ(world.Staged().size(), 1u);
  const std::string archive = *world.Staged().begin();
  const ArchiveReceipt receipt{.archive = *UlidOfArchive("r/", archive),
                               .rule = "r",
                               .target = "t0",
                               .bucket = "in",
                               .reread = {"k"}};
  bool written = false;
  world.target().decide = [&](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    const bool looks = operation == StoreOperation::kHead || operation == StoreOperation::kGet;
    if (looks && bucket == "staging" && key.find(receipt.archive) != key.npos && !written) {
      written = true;
      const std::string text = EncodeReceipt(receipt);
      testing::MemoryStoreBackend::Version version;
      version.bytes = std::make_shared<const std::string>(text);
      version.info.size_bytes = text.size();
      version.info.etag = "of-another";
      world.target().backend->buckets["staging"].objects[ReceiptKey("r/", receipt.archive, "t0")] =
          {version};
    }
    return Fault();
  };
  world.Start({.source = false, .target = true});
  world.RunFor(1min);
  world.Stop();
  EXPECT_TRUE(written);
  EXPECT_EQ(ReceiptOf(world).reread, std::vector<std::string>{"k"});
  EXPECT_EQ(world.Replicas(), Keys{});
  EXPECT_FALSE(world.Staged().contains(archive)) << "it is done with";
}

// An archive that took several attempts has applied what all of them have.
TEST(TargetRoleTest, AReceiptTellsOfAllAttempts) {
  ReplicationWorld world;
  MemoryStore direct(world.runtime, world.target().backend);
  ASSERT_TRUE(world.world.Run(PutText(direct, {.bucket = "out", .key = "foreign"}, "somebody's")));
  for (const char* key : {"a", "foreign", "refused"}) world.Put(key, "text");
  EXPECT_FALSE(world.RunOnce({.source = true, .target = false}).store_error);
  int left = 2;
  auto deny = DenyWrites("refused");
  world.target().decide = [&](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    Fault fault = deny(operation, bucket, key);
    return fault.error && left-- > 0 ? fault : Fault();
  };
  world.Start({.source = false, .target = true});
  world.RunFor(1min);
  world.Stop();
  EXPECT_LE(left, 0);
  const ArchiveReceipt receipt = ReceiptOf(world);
  EXPECT_EQ(receipt.entries, 3u);
  EXPECT_EQ(receipt.applied, 2u);
  EXPECT_EQ(receipt.conflicts, 1u);
}

// Floors are kept for 15 days. What lay in staging for longer than 14 may be older than something
// that nobody remembers: the source reads its keys anew.
TEST(TargetRoleTest, AnArchiveOfTwoWeeksIsNotApplied) {
  ReplicationWorld world;
  world.Put("k", "text");
  world.RunOnce({.source = true, .target = false, .timeout = 60s});
  ASSERT_EQ(world.Staged().size(), 1u);
  world.RunFor(15 * 24h);
  world.RunOnce({.source = false, .target = true, .timeout = 60s});
  EXPECT_TRUE(world.Replicas().empty());
  EXPECT_EQ(world.Staged().size(), 1u) << "a receipt";
  world.RunOnce({.timeout = 60s});
  EXPECT_EQ(world.Replicas(), Keys{"k"});
}

}  // namespace
}  // namespace longhaul
