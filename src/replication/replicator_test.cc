#include "replication/replicator.h"

#include <gtest/gtest.h>

#include "events/hint.h"
#include "replication/context/loops.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Keys = std::set<std::string>;

// One store that is away at the start must not keep the others waiting, and must be taken in when
// it comes, without a restart.
TEST(ReplicatorTest, AStoreAwayAtTheStartKeepsNobodyWaiting) {
  ReplicationWorld world(2);
  world.Put("a", "text");
  world.target(1).Fails(ErrorKind::kRetryable);
  world.Start();
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(0), Keys{"a"});
  EXPECT_FALSE(world.observer.unready.contains("target t0 of rule r"));
  EXPECT_TRUE(world.observer.unready.contains("target t1 of rule r"));
  world.target(1).Heal();
  world.RunFor(90s);
  EXPECT_EQ(world.Replicas(1), Keys{"a"});
  EXPECT_TRUE(world.observer.unready.empty()) << world.observer.unready.begin()->second;
  world.Stop();
}

// The same with two rules: the source of one of them is away.
TEST(ReplicatorTest, ARuleWhoseSourceIsAwayDoesNotStopTheOthers) {
  ReplicationWorld world;
  world.AddStore("north", {"in"}).Fails(ErrorKind::kDenied);
  world.configuration.rules.push_back(world.configuration.rules[0]);
  Rule& other = world.configuration.rules[1];
  other.id = "other";
  other.source.store = "north";
  other.targets[0].to.prefix = "north/";
  world.Put("a", "text");
  world.Start();
  // Hints for what is away must not fill the memory that the others need.
  HintMessage message{.store = "north", .bucket = "in", .hints = {{.key = "n"}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  ASSERT_EQ(world.observer.unready.size(), 1u);
  EXPECT_EQ(world.observer.unready.begin()->first, "source of rule other");
  EXPECT_EQ(world.queue_backend->rows.size(), 1u);
  world.store("north").Heal();
  world.store("north").backend->buckets["in"].objects =
      world.source().backend->buckets["in"].objects;
  world.RunFor(90s);
  EXPECT_EQ(world.Replicas(), (Keys{"a", "north/a"}));
  EXPECT_TRUE(world.queue_backend->rows.empty());
  EXPECT_TRUE(world.observer.unready.empty());
  world.Stop();
}

// A look at a staging is a request that is billed. While the source reads for long, one every few
// milliseconds would cost more than all that is carried.
TEST(ReplicatorTest, OnceLooksSeldomIntoAStagingWhileTheSourceWorks) {
  ReplicationWorld world;
  for (const char* key : {"a", "b", "c"}) world.Put(key, "text");
  world.source().decide = [](StoreOperation operation, std::string_view, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kGet) fault.delay = 20s;
    return fault;
  };
  EXPECT_FALSE(world.RunOnce().store_error);
  EXPECT_EQ(world.Replicas(), (Keys{"a", "b", "c"}));
  EXPECT_LE(world.target().backend->count(StoreOperation::kList), 40);
}

Async<void> RunOnceAfter(ReplicationWorld& world, Replicator& replicator,
                         std::chrono::seconds wait) {
  co_await world.world.clock.Sleep(wait);
  OnceResult result = co_await replicator.RunOnce(world.stop);
  if (result.store_error) co_return *result.store_error;
  co_return Ok();
}

// A hundred objects of which each takes four seconds, and two processes that pack them.
struct TwoSources {
  TwoSources() {
    for (int i = 0; i < 100; ++i) world.Put("k" + std::to_string(i), "text");
    world.configuration.rules[0].batch.count = 10;
    world.source().decide = [this](StoreOperation operation, std::string_view,
                                   std::string_view key) {
      Fault fault;
      if (operation == StoreOperation::kGet) {
        ++reads[std::string(key)];
        fault.delay = 4s;
      }
      if (operation == StoreOperation::kList) fault.delay = 1s;
      return fault;
    };
    world.MakeReplicator({.target = false});
    first_context = std::move(world.context);
    first = std::move(world.replicator);
    world.MakeReplicator({.target = false});
  }
  void ExpectEachReadOnce() {
    EXPECT_EQ(reads.size(), 100U);
    for (const auto& [key, count] : reads) EXPECT_EQ(count, 1) << key;
    EXPECT_TRUE(world.queue_backend->rows.empty());
  }

  ReplicationWorld world;
  std::map<std::string, int> reads;
  std::unique_ptr<ReplicationContext> first_context;
  std::unique_ptr<Replicator> first;
};

// Two that begin together, or one after the other, would each find all that the target lacks, and
// read, pack and send it twice.
TEST(ReplicatorTest, TwoThatRunOnceCarryEachObjectOnce) {
  for (const auto later : {0s, 3s}) {
    TwoSources two;
    TaskGroup both(two.world.runtime.executor);
    both.Spawn(RunOnceAfter(two.world, *two.first, 0s));
    both.Spawn(RunOnceAfter(two.world, *two.world.replicator, later));
    Result<void> joined = two.world.world.Run(both.Join());
    ASSERT_TRUE(joined) << joined.error().Describe();
    two.ExpectEachReadOnce();
  }
}

TEST(ReplicatorTest, TwoThatRunOnCarryEachObjectOnce) {
  TwoSources two;
  TaskGroup both(two.world.runtime.executor);
  both.Spawn(AsTask(two.first->RunContinuous(two.world.stop)));
  both.Spawn(AsTask(two.world.replicator->RunContinuous(two.world.stop)));
  two.world.RunFor(3min);
  two.world.stop.Set();
  ASSERT_TRUE(two.world.world.Run(both.Join()));
  two.ExpectEachReadOnce();
}

// Whoever mends stores one after the other wants to know of all of them at once.
TEST(ReplicatorTest, OnceNamesEveryStoreThatIsAway) {
  ReplicationWorld world(2);
  world.source().Fails(ErrorKind::kRetryable);
  world.target(1).Fails(ErrorKind::kDenied);
  OnceResult result = world.RunOnce({.timeout = 5s});
  ASSERT_TRUE(result.store_error);
  EXPECT_EQ(result.store_error->kind, ErrorKind::kDenied) << "what waiting does not cure";
  EXPECT_NE(result.store_error->message.find("source bucket in"), std::string::npos);
  EXPECT_NE(result.store_error->message.find("west1"), std::string::npos);
  EXPECT_EQ(result.store_error->message.find("west0"), std::string::npos);
}

// Two stores that do not answer must not be waited for one after the other.
TEST(ReplicatorTest, StoresAreLookedForSideBySide) {
  ReplicationWorld world(4);
  for (int i = 0; i < 4; ++i) {
    world.target(i).decide = [](StoreOperation, std::string_view bucket, std::string_view) {
      Fault fault;
      if (bucket == "staging") fault = TroubledStore::Failing(ErrorKind::kDenied);
      fault.delay = 30s;
      return fault;
    };
  }
  const SteadyTime start = world.world.clock.SteadyNow();
  ASSERT_TRUE(world.RunOnce().store_error);
  EXPECT_LT(world.world.clock.SteadyNow() - start, 40s);
}

// An object that goes between its bytes and its tags has changed; to park it would lose its delete.
TEST(ReplicatorTest, AnObjectThatGoesWhileItIsReadIsReadAgain) {
  ReplicationWorld world;
  testing::MemoryStore direct(world.runtime, world.source().backend);
  PutRequest request{.bucket = "in", .key = "tagged"};
  request.tags["color"] = "red";
  ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), "text")));
  world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    if (operation == StoreOperation::kGetTags) {
      world.source().backend->buckets["in"].objects.erase("tagged");
    }
    return Fault();
  };
  EXPECT_FALSE(world.RunOnce().store_error);
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  EXPECT_TRUE(world.Replicas().empty());
}

// Whoever asks for a comparison while one runs asks for what that one has passed already.
TEST(ReplicatorTest, AComparisonAskedForWhileOneRunsIsMade) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.source().decide = [](StoreOperation operation, std::string_view, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kList) fault.answer_delay = 30s;
    return fault;
  };
  world.Put("a", "text");
  world.Start();
  world.RunFor(20s);
  world.Put("b", "text");
  world.replicator->CompareSoon("r");
  world.RunFor(3min);
  EXPECT_EQ(world.Replicas(), (Keys{"a", "b"}));
  world.Stop();
}

// A sweep that waits for a store that hangs must not let the others take us for dead: they would
// abort what we are uploading.
TEST(ReplicatorTest, ASweepThatHangsDoesNotStopTheHeart) {
  ReplicationWorld world(2);
  UploadLedger dead(world.runtime, world.state, "dead", {{"west1", world.target(1).store.get()}},
                    15'000ms);
  ASSERT_TRUE(
      world.world.Run(dead.Create(*world.target(1).store, {.bucket = "staging", .key = "left"})));
  world.target(1).decide = [](StoreOperation, std::string_view, std::string_view) {
    Fault fault = TroubledStore::Failing(ErrorKind::kRetryable);
    fault.delay = 10min;
    return fault;
  };
  world.Start();
  world.RunFor(2min);
  EXPECT_EQ(world.world.Run(world.state.Scan("process", "", 10))->size(), 1u);
  world.target(1).Heal();
  world.Stop();
}

// A large object that takes longer than the timeout is not "nothing goes forward".
TEST(ReplicatorTest, BytesThatMoveAreProgress) {
  ReplicationWorld world;
  world.Put("large", std::string(2 << 20, 'x') + "end");
  for (const char* name : {"east", "west0"}) {
    world.store(name).decide = [](StoreOperation operation, std::string_view, std::string_view) {
      Fault fault;
      if (operation == StoreOperation::kUploadPart) fault.delay = 8s;
      return fault;
    };
  }
  // No compression that would make it one part.
  std::string noise(2 << 20, '\0');
  SeededRandom random(7);
  for (char& c : noise) c = static_cast<char>(random.Below(256));
  world.Put("large", noise);
  const SteadyTime start = world.world.clock.SteadyNow();
  OnceResult result = world.RunOnce({.timeout = 10s});
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_GT(world.world.clock.SteadyNow() - start, 60s);
  EXPECT_EQ(world.Replicas(), Keys{"large"});
}

// A source that breaks off time after time moves bytes for ever; a run must end all the same.
TEST(ReplicatorTest, BytesOfTriesThatFailAreNotProgressForEver) {
  ReplicationWorld world;
  world.Put("large", std::string(1 << 20, 'x'));
  world.source().decide = [](StoreOperation operation, std::string_view, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kGet) fault.cut_body_after_bytes = 500'000;
    return fault;
  };
  const SteadyTime start = world.world.clock.SteadyNow();
  OnceResult result = world.RunOnce({.timeout = 10s});
  ASSERT_TRUE(result.store_error);
  EXPECT_LT(world.world.clock.SteadyNow() - start, 10min);
}

// A target that cannot be listed must not keep the others from being brought up to date.
TEST(ReplicatorTest, OnceCarriesToTheTargetsThatCanBeListed) {
  ReplicationWorld world(2);
  world.Put("a", "text");
  world.target(1).decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    return operation == StoreOperation::kList && bucket == "out"
               ? TroubledStore::Failing(ErrorKind::kDenied)
               : Fault();
  };
  OnceResult result = world.RunOnce({.timeout = 5s});
  ASSERT_TRUE(result.store_error);
  EXPECT_NE(result.store_error->message.find("target t1"), std::string::npos);
  EXPECT_EQ(world.Replicas(0), Keys{"a"});
}

// A queue that fails for a moment must not keep a run from ending well (nor a store that works).
TEST(ReplicatorTest, AnErrorIsForgottenWhenTheSameThingSucceeds) {
  ReplicationWorld world(2);
  world.Put("a", "text");
  world.Start();
  world.RunFor(20s);
  world.target(1).decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    return operation == StoreOperation::kPut && bucket == "staging"
               ? TroubledStore::Failing(ErrorKind::kRetryable)
               : Fault();
  };
  world.Put("b", "text");
  world.replicator->CompareSoon("r");
  world.RunFor(20s);
  EXPECT_EQ(world.Replicas(0), (Keys{"a", "b"}));
  EXPECT_TRUE(world.observer.unready.contains("staging of target t1 of rule r"));
  // Another rule's, another target's success does not make it well.
  world.Put("c", "text");
  world.RunFor(20s);
  EXPECT_TRUE(world.observer.unready.contains("staging of target t1 of rule r"));
  world.target(1).Heal();
  world.RunFor(5min);
  EXPECT_TRUE(world.observer.unready.empty()) << world.observer.unready.begin()->second;
  EXPECT_EQ(world.Replicas(1), (Keys{"a", "b", "c"}));
  world.Stop();
}

// What a bucket with versions keeps of applied archives costs money for ever; somebody must say so.
TEST(ReplicatorTest, WarnsOfAStagingBucketThatKeepsVersions) {
  for (const bool versioned : {false, true}) {
    ReplicationWorld world;
    if (versioned) {
      world.target().backend->buckets["staging"].versioning =
          testing::MemoryStoreBackend::Versioning::kEnabled;
    }
    EXPECT_FALSE(world.RunOnce().store_error);
    EXPECT_EQ(world.log.Has("lifecycle rule"), versioned);
  }
}

// What waits in staging is not sent again, but what of it is another bucket's will be refused.
TEST(ReplicatorTest, ArchivesOfAnotherBucketAreNotUnderWay) {
  ReplicationWorld world;
  world.source().backend->buckets["other"].created = world.world.clock.Now();
  testing::MemoryStore direct(world.runtime, world.source().backend);
  ASSERT_TRUE(world.world.Run(PutText(direct, {.bucket = "other", .key = "a"}, "the same")));
  world.Put("a", "the same");
  world.RunOnce({.target = false, .timeout = 60s});
  ASSERT_EQ(world.Staged().size(), 1U);
  world.RunOnce({.target = false, .timeout = 60s});
  ASSERT_EQ(world.Staged().size(), 1U) << "it is under way";
  world.configuration.rules[0].source.bucket = "other";
  world.RunOnce({.target = false, .timeout = 60s});
  EXPECT_EQ(world.Staged().size(), 2U);
}

}  // namespace
}  // namespace longhaul
