// Deletes, from the event to the bucket of replicas.

#include <gtest/gtest.h>

#include <algorithm>

#include "events/webhook.h"
#include "replication/staging/seal.h"
#include "replication/staging/staging.h"
#include "tests/support/archive.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Keys = std::set<std::string>;
using Versioning = MemoryStoreBackend::Versioning;

class DeletesTest : public ::testing::Test {
 protected:
  DeletesTest() {
    // Events alone tell: a comparison would hide what they lack.
    world_.configuration.rules[0].intake.listing = std::nullopt;
    world_.target().decide = [this](StoreOperation operation, std::string_view bucket,
                                    std::string_view) {
      const bool removes =
          operation == StoreOperation::kRemove || operation == StoreOperation::kRemoveMany;
      if (bucket == "out" && removes) ++removes_;
      return Fault();
    };
  }

  [[nodiscard]] Rule& rule() { return world_.configuration.rules[0]; }
  void Keeps(TroubledStore& store, const std::string& bucket, Versioning versioning) {
    store.backend->buckets[bucket].versioning = versioning;
  }
  // As the server sends it.
  void Tell(const std::string& name, const std::string& key, const std::string& source = "aws:s3") {
    Send(R"({"Records":[{"eventVersion":"2.1","eventSource":")" + source + R"(","eventTime":")" +
         FormatRfc3339(world_.world.clock.Now()) + R"(","eventName":")" + name +
         R"(","s3":{"bucket":{"name":"in"},"object":{"key":")" + key + R"("}}}]})");
  }
  // As EventBridge sends it. A delete has a type: "Permanently Deleted", "Delete Marker Created".
  void TellByEventBridge(const std::string& key, const std::string& reason,
                         const std::string& deletion_type) {
    Send(R"({"version":"0","detail-type":"Object Deleted","source":"aws.s3","time":")" +
         FormatRfc3339(world_.world.clock.Now()) +
         R"(","detail":{"version":"0","bucket":{"name":"in"},"object":{"key":")" + key +
         R"(","version-id":"v1","sequencer":"0066DA1CBF"},"reason":")" + reason +
         R"(","deletion-type":")" + deletion_type + R"("}})");
  }
  void Send(const std::string& body) {
    EventWebhook webhook(world_.runtime, world_.configuration, world_.queue, Secret());
    const WebhookReply reply = world_.world.Run(webhook.Handle("", body));
    EXPECT_EQ(reply.status, 200) << reply.body;
  }
  void Put(const std::string& key, const std::string& text) {
    world_.Put(key, text);
    Tell("ObjectCreated:Put", key);
    world_.RunFor(10s);
    ASSERT_TRUE(world_.Replicas().contains(key));
  }
  // `version_id`: that one alone, for good.
  void RemoveAtSource(const std::string& key, const std::string& version_id = "") {
    MemoryStore direct(world_.runtime, world_.source().backend);
    ASSERT_TRUE(
        world_.world.Run(direct.Remove({.bucket = "in", .key = key, .version_id = version_id})));
  }
  [[nodiscard]] const std::vector<MemoryStoreBackend::Version>& Versions(TroubledStore& store,
                                                                         const std::string& bucket,
                                                                         const std::string& key) {
    return store.backend->buckets[bucket].objects[key];
  }
  [[nodiscard]] std::string Content(const std::string& key) {
    const auto* version = world_.target().backend->Find("out", key);
    return version == nullptr ? "-" : *version->bytes;
  }

  ReplicationWorld world_;
  int removes_ = 0;  // At the bucket of replicas.
};

// Every name under which a server says that something went. The event is a hint: what happened is
// read from the source, so none of them can delete what is there.
TEST_F(DeletesTest, EveryKindOfRemovalIsHeard) {
  world_.Start();
  Put("stays", "for the source to be no empty one");
  const std::vector<std::pair<std::string, std::string>> names = {
      {"ObjectRemoved:Delete", "aws:s3"},
      {"ObjectRemoved:DeleteMarkerCreated", "aws:s3"},
      {"LifecycleExpiration:Delete", "aws:s3"},
      {"LifecycleExpiration:DeleteMarkerCreated", "aws:s3"},
      {"s3:ObjectRemoved:Delete", "minio:s3"},
      {"s3:ObjectRemoved:DeleteMarkerCreated", "minio:s3"},
      {"s3:ObjectRemoved:DeleteAllVersions", "minio:s3"},
      {"s3:LifecycleDelMarkerExpiration:Delete", "minio:s3"},
      {"s3:ObjectRemoved:DeleteObjects", "aws:s3"},  // versitygw
      {"ObjectRemoved:Delete", "ceph:s3"},
      {"ObjectRemoved:DeleteMarkerCreated", "ceph:s3"},
      {"ObjectLifecycle:Expiration:Current", "ceph:s3"},
      {"ObjectLifecycle:Expiration:NonCurrent", "ceph:s3"},
      {"ObjectLifecycle:Expiration:DeleteMarker", "ceph:s3"},
      {"ObjectSynced:Delete", "ceph:s3"},
      {"ObjectSynced:DeletionMarkerCreated", "ceph:s3"}};
  const auto is_heard = [this](const std::function<void()>& tell) {
    Put("k", "text");
    tell();
    world_.RunFor(10s);
    EXPECT_TRUE(world_.Replicas().contains("k")) << "it is there";
    RemoveAtSource("k");
    tell();
    world_.RunFor(10s);
    EXPECT_EQ(world_.Replicas(), Keys{"stays"});
  };
  for (const auto& [name, source] : names) {
    SCOPED_TRACE(name);
    is_heard([&] { Tell(name, "k", source); });
  }
  for (const char* reason : {"DeleteObject", "Lifecycle Expiration"}) {
    for (const char* type : {"Permanently Deleted", "Delete Marker Created"}) {
      SCOPED_TRACE(std::string(reason) + ", " + type);
      is_heard([&] { TellByEventBridge("k", reason, type); });
    }
  }
  world_.Stop();
}

// In a bucket that keeps versions a delete hides what is there, and destroys nothing.
TEST_F(DeletesTest, AVersionedTargetGetsADeleteMarker) {
  Keeps(world_.target(), "out", Versioning::kEnabled);
  world_.Start();
  Put("k", "one");
  Put("k", "two");
  RemoveAtSource("k");
  Tell("ObjectRemoved:Delete", "k");
  world_.RunFor(10s);
  const auto& versions = Versions(world_.target(), "out", "k");
  ASSERT_EQ(versions.size(), 3u);
  EXPECT_EQ(*versions[0].bytes, "one");
  EXPECT_EQ(*versions[1].bytes, "two");
  EXPECT_TRUE(versions[2].is_delete_marker);
  // Told twice it is no second marker.
  Tell("ObjectRemoved:Delete", "k");
  world_.RunFor(10s);
  EXPECT_EQ(Versions(world_.target(), "out", "k").size(), 3u);
  EXPECT_EQ(removes_, 1);
  world_.Stop();
}

// Versions from before versioning was suspended stay.
TEST_F(DeletesTest, ASuspendedTargetKeepsItsOldVersions) {
  Keeps(world_.target(), "out", Versioning::kEnabled);
  world_.Start();
  Put("k", "old");
  Keeps(world_.target(), "out", Versioning::kSuspended);
  Put("k", "new");
  RemoveAtSource("k");
  Tell("ObjectRemoved:DeleteMarkerCreated", "k");
  world_.RunFor(10s);
  EXPECT_EQ(Content("k"), "-");
  const auto& versions = Versions(world_.target(), "out", "k");
  ASSERT_FALSE(versions.empty());
  EXPECT_EQ(*versions[0].bytes, "old");
  world_.Stop();
}

// Of a versioned source, what counts is what a GET finds: deleting an old version is no delete of
// the key, deleting the delete marker brings the object back, and deleting the current version
// brings the one before it back.
TEST_F(DeletesTest, AVersionedSourceIsFollowedByItsCurrentVersion) {
  for (const Versioning versioning : {Versioning::kNever, Versioning::kEnabled}) {
    Keeps(world_.source(), "in", Versioning::kEnabled);
    Keeps(world_.target(), "out", versioning);
    world_.Start();
    const std::string key = versioning == Versioning::kNever ? "a" : "b";
    Put(key, "one");
    Put(key, "two");
    const std::string one = Versions(world_.source(), "in", key)[0].info.version_id;
    const std::string two = Versions(world_.source(), "in", key)[1].info.version_id;
    RemoveAtSource(key, one);
    Tell("ObjectRemoved:Delete", key);
    world_.RunFor(10s);
    EXPECT_EQ(Content(key), "two");

    Put(key, "three");
    RemoveAtSource(key);
    Tell("ObjectRemoved:DeleteMarkerCreated", key);
    world_.RunFor(10s);
    EXPECT_EQ(Content(key), "-");
    ASSERT_TRUE(Versions(world_.source(), "in", key).back().is_delete_marker);
    RemoveAtSource(key, Versions(world_.source(), "in", key).back().info.version_id);
    Tell("ObjectRemoved:Delete", key);
    world_.RunFor(10s);
    EXPECT_EQ(Content(key), "three");

    RemoveAtSource(key, Versions(world_.source(), "in", key).back().info.version_id);
    Tell("ObjectRemoved:Delete", key);
    world_.RunFor(10s);
    EXPECT_EQ(Content(key), "two");
    world_.Stop();
    world_.stop.Reset();
  }
}

// Suspended at the source: the marker replaces the version without an id, and the next put it.
TEST_F(DeletesTest, ASuspendedSourceIsFollowed) {
  Keeps(world_.source(), "in", Versioning::kSuspended);
  world_.Start();
  Put("k", "one");
  RemoveAtSource("k");
  Tell("ObjectRemoved:DeleteMarkerCreated", "k");
  world_.RunFor(10s);
  EXPECT_EQ(Content("k"), "-");
  Put("k", "two");
  EXPECT_EQ(Content("k"), "two");
  world_.Stop();
}

// What no event told, the comparison finds, up to the guard; the guard's numbers are the rule's, by
// count and by share, and what it holds back is in the result that becomes exit code 12.
TEST_F(DeletesTest, TheGuardIsTheRules) {
  struct Case {
    int64_t keys;
    double share;
    bool guarded;
  };
  for (const Case& guard : {Case{2, 0.25, true}, Case{2, 0.75, false}, Case{3, 0.25, false}}) {
    ReplicationWorld world;
    world.configuration.rules[0].delete_guard = {
        .enabled = true, .keys = guard.keys, .share = guard.share};
    for (int i = 0; i < 6; ++i) world.Put("k" + std::to_string(i), "text");
    EXPECT_FALSE(world.RunOnce().deletes_guarded);
    MemoryStore direct(world.runtime, world.source().backend);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = "k" + std::to_string(i)})));
    }
    EXPECT_EQ(world.RunOnce().deletes_guarded, guard.guarded);
    EXPECT_EQ(world.Replicas().size(), guard.guarded ? 6u : 3u);
  }
}

// `deletes: false` deletes nothing, whatever anybody says: no event, no comparison, no archive,
// made while deletes were allowed or forged. Not one Remove reaches the bucket of replicas.
TEST_F(DeletesTest, WithoutDeletesNothingIsEverRemoved) {
  for (const Versioning versioning :
       {Versioning::kNever, Versioning::kEnabled, Versioning::kSuspended}) {
    Keeps(world_.target(), "out", versioning);
    const std::string run = std::to_string(static_cast<int>(versioning));
    const Keys keys = {run + "event", run + "comparison", run + "archive", run + "forged",
                       run + "stays"};
    rule().deletes = true;
    for (const std::string& key : keys) world_.Put(key, "text of " + key);
    world_.RunOnce({.timeout = 60s});
    for (const std::string& key : keys) ASSERT_TRUE(world_.Replicas().contains(key));

    // An archive from before the rule was changed.
    RemoveAtSource(run + "archive");
    world_.RunOnce({.target = false, .timeout = 60s});
    ASSERT_FALSE(world_.Staged().empty());
    rule().deletes = false;
    removes_ = 0;

    // One that somebody made.
    testing::FakeWorld forger;
    ArchiveManifest manifest = testing::TestManifest();
    manifest.id = "01KJM000000000000000000A0" + run;
    manifest.rule_id = "r";
    manifest.site = "here";
    manifest.source = "east:in/";
    manifest.created = world_.world.clock.Now();
    testing::ArchiveItem gone = testing::Put(run + "forged", "");
    gone.entry.op = EntryOp::kDelete;
    gone.entry.stamp = world_.world.clock.Now();
    testing::MemorySink sink;
    ASSERT_TRUE(forger.Run(testing::WriteArchive(forger.runtime, {gone}, {}, sink, manifest)));
    MemoryStore direct(world_.runtime, world_.target().backend);
    ASSERT_TRUE(world_.world.Run(
        PutText(direct, {.bucket = "staging", .key = ArchiveKey("r/", manifest.id)}, sink.bytes)));

    world_.Start();
    RemoveAtSource(run + "event");
    for (const char* name :
         {"ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete",
          "LifecycleExpiration:DeleteMarkerCreated", "ObjectSynced:Delete"}) {
      Tell(name, run + "event");
      world_.RunFor(5s);
    }
    world_.Stop();
    world_.stop.Reset();
    RemoveAtSource(run + "comparison");
    world_.RunOnce({.timeout = 60s});

    EXPECT_EQ(removes_, 0);
    for (const std::string& key : keys) EXPECT_EQ(Content(key), "text of " + key);
    EXPECT_GT(world_.observer.Count(OutcomeState::kApplied), 0);
    world_.target().backend->buckets["staging"].objects.clear();
    world_.target().backend->buckets["out"].objects.clear();
    world_.state_backend->rows.clear();
    for (const std::string& key : keys) RemoveAtSource(key);
  }
}

}  // namespace
}  // namespace longhaul
