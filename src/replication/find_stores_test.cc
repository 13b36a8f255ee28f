#include "replication/find_stores.h"

#include <gtest/gtest.h>

#include "replication/staging/staging.h"
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

// Whose objects say that they have no tags, to whoever may not read them.
class SecretTags : public MemoryStore {
 public:
  using MemoryStore::MemoryStore;

  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at) override {
    Result<ObjectStream> stream = co_await MemoryStore::Get(std::move(request), absent_at);
    if (stream && denied) stream->info.tag_count = 0;
    co_return stream;
  }
  Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) override {
    if (std::exchange(busy, false)) co_return Retryable("busy");
    if (denied) co_return Error{.kind = ErrorKind::kDenied, .message = "no right to tags"};
    co_return co_await MemoryStore::GetTags(bucket, key, version_id);
  }
  Async<ObjectInfo> Head(HeadRequest request) override {
    if (heads_denied) co_return Error{.kind = ErrorKind::kDenied, .message = "no right to it"};
    co_return co_await MemoryStore::Head(std::move(request));
  }

  bool denied = true;
  bool heads_denied = false;
  bool busy = false;  // At the first question.
};

class SecretTagsTest : public ::testing::Test {
 protected:
  SecretTagsTest() {
    auto store = std::make_unique<SecretTags>(world_.runtime, world_.source().backend);
    store_ = store.get();
    world_.source().store = std::move(store);
  }
  void Filter() { world_.configuration.rules[0].filter.tags["color"] = "red"; }
  void PutRed() {
    MemoryStore direct(world_.runtime, world_.source().backend);
    PutRequest request{.bucket = "in", .key = "k"};
    request.tags["color"] = "red";
    ASSERT_TRUE(world_.world.Run(PutText(direct, std::move(request), "text")));
  }
  [[nodiscard]] bool Told(const std::string& part) const {
    const auto found = world_.observer.unready.find(part);
    return found != world_.observer.unready.end() &&
           found->second.find("(s3:GetObjectTagging)") != std::string::npos;
  }

  ReplicationWorld world_;
  SecretTags* store_ = nullptr;
};

// Replicas lose theirs, as their operator may want: it is told, and the process is fit for work.
TEST_F(SecretTagsTest, ThatReplicasGoWithoutIsTold) {
  PutRed();
  world_.Start();
  world_.RunFor(1min);
  EXPECT_TRUE(world_.log.Has("replicas are without tags"));
  EXPECT_TRUE(world_.observer.unready.empty());
  EXPECT_EQ(world_.Replicas().size(), 1u) << "it is carried all the same";
  world_.Stop();
}

// Nobody can say which objects the rule carries.
TEST_F(SecretTagsTest, ARuleThatFiltersByThemCarriesNothingAndSaysSo) {
  Filter();
  PutRed();
  OnceResult once = world_.RunOnce({.timeout = 60s});
  ASSERT_TRUE(once.store_error);
  EXPECT_EQ(once.store_error->kind, ErrorKind::kDenied);
  world_.Start();
  world_.RunFor(1min);
  EXPECT_TRUE(Told("source of rule r"));
  EXPECT_TRUE(world_.Replicas().empty());
  store_->denied = false;
  world_.RunFor(3min);
  EXPECT_TRUE(world_.observer.unready.empty());
  EXPECT_EQ(world_.Replicas().size(), 1u);
  world_.Stop();
}

// A store that is busy as all processes start: it is asked again.
TEST_F(SecretTagsTest, WhatABusyStoreDoesNotSayIsAskedAgain) {
  Filter();
  PutRed();
  store_->busy = true;
  world_.Start();
  world_.RunFor(2min);
  EXPECT_TRUE(Told("source of rule r"));
  world_.Stop();
}

// Where there is no object to try it with, it is known before one comes.
TEST_F(SecretTagsTest, AnEmptySourceShowsItToo) {
  Filter();
  world_.Start();
  world_.RunFor(1min);
  EXPECT_TRUE(Told("source of rule r"));
  PutRed();
  world_.RunFor(5min);
  EXPECT_TRUE(world_.Replicas().empty());
  store_->denied = false;
  world_.RunFor(3min);
  EXPECT_TRUE(world_.observer.unready.empty());
  EXPECT_EQ(world_.Replicas().size(), 1u) << "it was kept, not passed over";
  world_.Stop();
}

// A role may be let read some objects alone, by their tags: one that it may not read says nothing.
TEST_F(SecretTagsTest, AnObjectThatMayNotBeReadAtAllSaysNothingOfTags) {
  Filter();
  PutRed();
  store_->heads_denied = true;
  world_.Start();
  world_.RunFor(1min);
  EXPECT_FALSE(Told("source of rule r"));
  world_.Stop();
}

}  // namespace
}  // namespace longhaul
