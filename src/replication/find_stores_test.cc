#include "replication/find_stores.h"

#include <gtest/gtest.h>

#include "replication/staging/staging.h"
#include "storage/bucket_kinds.h"
#include "tests/support/archive.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::MemoryStore;
using testing::Noise;
using testing::ReplicationWorld;

// A target whose server heeds conditions of a PUT, and not those of an upload's end.
class FindStoresTest : public ::testing::Test {
 protected:
  FindStoresTest() {
    Capabilities& can = world_.target().backend->options.capabilities;
    can.complete_if_absent = false;
    can.complete_if_match = false;
    can.put_size_bytes_max = 100'000;
  }
  std::string There() { return *world_.target().backend->Find("out", "k")->bytes; }

  ReplicationWorld world_;
};

// By leases then, also for what is small: the same key may be written by both ways at once.
TEST_F(FindStoresTest, ConditionsThatUploadsIgnoreAreNotRelied) {
  world_.RunOnce({.timeout = 60s});
  const Capabilities& can = world_.context->rules[0]->targets[0]->applier->policy().capabilities;
  EXPECT_FALSE(can.create_if_absent);
  EXPECT_FALSE(can.replace_if_match);
}

// Archives come in any order.
TEST_F(FindStoresTest, AnOlderUploadDoesNotReplaceANewerOne) {
  const std::string older = Noise(300'000, 1);
  const std::string newer = Noise(300'000, 2);
  world_.Put("k", older);
  world_.RunOnce({.target = false, .timeout = 60s});
  ASSERT_EQ(world_.Staged().size(), 1u);
  auto& staged = world_.target().backend->buckets["staging"].objects;
  auto held = staged.extract(*world_.Staged().begin());
  world_.RunFor(10s);
  world_.Put("k", newer);
  world_.RunOnce({.target = false, .timeout = 60s});
  ASSERT_EQ(world_.Staged().size(), 1u);
  world_.RunOnce({.source = false, .timeout = 60s});
  ASSERT_TRUE(There() == newer);
  staged.insert(std::move(held));
  world_.RunOnce({.source = false, .timeout = 60s});
  EXPECT_TRUE(There() == newer);
}

// Nothing would bring it back.
TEST_F(FindStoresTest, AnUploadDoesNotReplaceWhatIsNoReplica) {
  const std::string theirs = Noise(50'000, 1);
  MemoryStore direct(world_.runtime, world_.target().backend);
  ASSERT_TRUE(world_.world.Run(PutText(direct, {.bucket = "out", .key = "k"}, theirs)));
  world_.Put("k", Noise(300'000, 2));
  world_.RunOnce({.timeout = 60s});
  EXPECT_TRUE(There() == theirs);
  EXPECT_EQ(world_.observer.Count(OutcomeState::kConflict), 1);
}

// A server that heeds conditions in its staging bucket, and not in the target's, which is of
// another kind.
class TwoKinds : public MemoryStore, public BucketKinds {
 public:
  using MemoryStore::MemoryStore;

  Async<PutResult> Put(PutRequest request, ByteSource& body) override {
    if (request.bucket == "out") request.condition = {};
    co_return co_await MemoryStore::Put(std::move(request), body);
  }
  Async<void> Remove(RemoveRequest request) override {
    if (request.bucket == "out") request.if_match.clear();
    co_return co_await MemoryStore::Remove(std::move(request));
  }
  Async<std::string> KindOf(std::string bucket) override {
    if (denied) co_return Error{.kind = ErrorKind::kDenied, .message = "no right to see it"};
    co_return bucket == "out" ? std::string("Suspended") : std::string();
  }

  bool denied = false;
};

class TwoKindsTest : public ::testing::Test {
 protected:
  TwoKindsTest() {
    auto store = std::make_unique<TwoKinds>(world_.runtime, world_.target().backend);
    store_ = store.get();
    world_.target().store = std::move(store);
  }
  std::string There() { return *world_.target().backend->Find("out", "k")->bytes; }

  ReplicationWorld world_;
  TwoKinds* store_ = nullptr;
};

TEST_F(TwoKindsTest, ConditionsAreNotReliedOnInABucketOfAnotherKind) {
  for (const bool denied : {false, true}) {
    store_->denied = denied;
    world_.RunOnce({.timeout = 60s});
    const Capabilities& can = world_.context->rules[0]->targets[0]->applier->policy().capabilities;
    EXPECT_FALSE(can.create_if_absent);
    EXPECT_FALSE(can.replace_if_match);
    EXPECT_FALSE(can.delete_if_match);
    EXPECT_TRUE(can.tags) << "all else is the store's";
    EXPECT_EQ(world_.log.Has("may not be seen (s3:GetBucketVersioning)"), denied);
  }
}

// Nothing would bring it back.
TEST_F(TwoKindsTest, WhatIsNoReplicaIsNotReplaced) {
  MemoryStore direct(world_.runtime, world_.target().backend);
  ASSERT_TRUE(world_.world.Run(PutText(direct, {.bucket = "out", .key = "k"}, "theirs")));
  world_.Put("k", "ours");
  world_.RunOnce({.timeout = 60s});
  EXPECT_EQ(There(), "theirs");
  EXPECT_EQ(world_.observer.Count(OutcomeState::kConflict), 1);
}

// An object says that it has no tags to whoever may not read them: replicas lose theirs.
TEST(FindSourceTest, TagsThatMayNotBeReadAreToldOf) {
  for (const bool may_read : {true, false}) {
    for (const bool filters : {false, true}) {
      ReplicationWorld world;
      if (filters) world.configuration.rules[0].filter.tags["color"] = "red";
      MemoryStore direct(world.runtime, world.source().backend);
      PutRequest request{.bucket = "in", .key = "k"};
      request.tags["color"] = "red";
      ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), "text")));
      world.source().decide = [may_read](testing::StoreOperation operation, std::string_view,
                                         std::string_view) {
        const bool denied = operation == testing::StoreOperation::kGetTags && !may_read;
        return denied ? testing::TroubledStore::Failing(ErrorKind::kDenied) : testing::Fault();
      };
      world.RunOnce({.target = false, .timeout = 60s});
      EXPECT_EQ(world.log.Has("may not be read (s3:GetObjectTagging)"), !may_read);
      EXPECT_EQ(world.log.Has("carries nothing"), !may_read && filters);
    }
  }
}

}  // namespace
}  // namespace longhaul
