// Changes of metadata and tags alone, from the event to the replica: no byte of the body travels
// where the target holds it.

#include "replication/source/attributes.h"

#include <gtest/gtest.h>

#include "events/webhook.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

constexpr uint64_t kBodyBytes = 200'000;
constexpr uint64_t kLittle = 20'000;  // Archives, receipts, without any body.

class AttributesAloneTest : public ::testing::Test {
 protected:
  explicit AttributesAloneTest(int targets = 1) : world_(targets) {
    world_.configuration.rules[0].intake.listing = std::nullopt;
    // What does not shrink shows in what is sent.
    SeededRandom random(7);
    for (char& c : body_) c = static_cast<char>(random.Next());
  }

  void Start() {
    world_.Put("k", body_, {{"writer", "ann"}});
    world_.Start();
    world_.RunFor(15s);
    ASSERT_TRUE(world_.Replicas().contains("k"));
    moved_ = world_.context->bytes_moved;
  }
  // Of bodies and archives, since the last time.
  uint64_t Moved() {
    return world_.context->bytes_moved - std::exchange(moved_, world_.context->bytes_moved);
  }
  void Tell(const std::string& name, const std::string& key = "k") {
    EventWebhook webhook(world_.runtime, world_.configuration, world_.queue, Secret());
    const std::string body =
        R"({"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":")" +
        FormatRfc3339(world_.world.clock.Now()) + R"(","eventName":")" + name +
        R"(","s3":{"bucket":{"name":"in"},"object":{"key":")" + key + R"("}}}]})";
    EXPECT_EQ(world_.world.Run(webhook.Handle("", body)).status, 200);
    world_.RunFor(15s);
  }
  void Tag(const std::string& color, const std::string& key = "k") {
    MemoryStore direct(world_.runtime, world_.source().backend);
    ASSERT_TRUE(world_.world.Run(direct.PutTags("in", key, {{"color", color}})));
  }
  void CopyOntoItself(const std::string& writer) {
    MemoryStore direct(world_.runtime, world_.source().backend);
    CopyRequest request{.source_bucket = "in",
                        .source_key = "k",
                        .bucket = "in",
                        .key = "k",
                        .replacement = CopyRequest::Replacement{}};
    request.replacement->headers.content_type = "text/" + writer;
    request.replacement->metadata["writer"] = writer;
    ASSERT_TRUE(world_.world.Run(direct.Copy(std::move(request))));
  }
  [[nodiscard]] const testing::MemoryStoreBackend::Version& Replica(int target = 0) {
    return *world_.target(target).backend->Find("out", "k");
  }
  [[nodiscard]] int Copies(int target = 0) {
    return world_.target(target).backend->count(StoreOperation::kCopy);
  }

  std::string body_ = std::string(kBodyBytes, '\0');
  ReplicationWorld world_;
  uint64_t moved_ = 0;
};

// Source and target say with a HEAD how many tags there are, or with a GET alone.
class TagsAloneTest : public AttributesAloneTest, public ::testing::WithParamInterface<bool> {
 protected:
  TagsAloneTest() {
    world_.source().backend->options.heads_tell_tags = GetParam();
    world_.target().backend->options.heads_tell_tags = GetParam();
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, TagsAloneTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "ToldByHead" : "ToldByGet"; });

TEST_P(TagsAloneTest, TagsTravelWithoutTheBody) {
  Start();
  Tag("red");
  Tell("ObjectTagging:Put");
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  EXPECT_EQ(*Replica().bytes, body_);
  EXPECT_LT(Moved(), kLittle);
  EXPECT_EQ(Copies(), 1);
  EXPECT_EQ(world_.observer.outcomes.back().op, "attributes");
  EXPECT_TRUE(world_.Staged().empty());
  world_.Stop();
}

// What has gone at the source must not decide for ever who reads the replica.
TEST_P(TagsAloneTest, TheLastTagGoesWithoutTheBody) {
  Start();
  Tag("red");
  Tell("ObjectTagging:Put");
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  MemoryStore direct(world_.runtime, world_.source().backend);
  ASSERT_TRUE(world_.world.Run(direct.PutTags("in", "k", {})));
  Tell("ObjectTagging:Delete");
  EXPECT_TRUE(Replica().tags.empty());
  EXPECT_EQ(*Replica().bytes, body_);
  EXPECT_LT(Moved(), kLittle);
  EXPECT_EQ(Copies(), 2);
  world_.Stop();
}

TEST_F(AttributesAloneTest, HeadersAndMetadataTravelWithoutTheBody) {
  Start();
  Tag("red");
  CopyOntoItself("bob");
  Tell("s3:ObjectCreated:Copy");
  EXPECT_EQ(Replica().info.metadata.at("writer"), "bob");
  EXPECT_EQ(Replica().info.headers.content_type, "text/bob");
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  EXPECT_LT(Moved(), kLittle);
  world_.Stop();
}

// An event that tells of a new object is one of a new body, and so is whatever comes with it.
TEST_F(AttributesAloneTest, OtherEventsBringTheBody) {
  Start();
  Tag("red");
  Tell("ObjectCreated:Put");
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  EXPECT_GT(Moved(), kBodyBytes);
  EXPECT_EQ(Copies(), 0);
  world_.Stop();
}

// The event says tags, and the body is another one by now.
TEST_F(AttributesAloneTest, AnotherBodyTravels) {
  Start();
  body_[7] ^= 1;
  world_.Put("k", body_);
  Tag("red");
  Tell("ObjectTagging:Put");
  EXPECT_EQ(*Replica().bytes, body_);
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  EXPECT_EQ(Copies(), 0);
  world_.Stop();
}

TEST_F(AttributesAloneTest, ALostReplicaIsSentWhole) {
  Start();
  MemoryStore direct(world_.runtime, world_.target().backend);
  ASSERT_TRUE(world_.world.Run(direct.Remove({.bucket = "out", .key = "k"})));
  Tag("red");
  Tell("ObjectTagging:Put");
  EXPECT_EQ(*Replica().bytes, body_);
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  world_.Stop();
}

// Lost between the question and the copy: the target says so, and the body comes.
TEST_F(AttributesAloneTest, AReplicaLostAfterTheQuestionIsSentWhole) {
  Start();
  auto lose = std::make_shared<bool>(true);
  world_.target().decide = [this, lose](StoreOperation operation, std::string_view bucket,
                                        std::string_view) {
    if (operation == StoreOperation::kCopy && std::exchange(*lose, false)) {
      world_.target().backend->buckets[std::string(bucket)].objects.clear();
    }
    return Fault();
  };
  Tag("red");
  Tell("ObjectTagging:Put");
  world_.RunFor(30s);
  EXPECT_FALSE(*lose);
  ASSERT_NE(world_.target().backend->Find("out", "k"), nullptr);
  EXPECT_EQ(*Replica().bytes, body_);
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  world_.Stop();
}

// A store that will not copy an object onto itself gets the body, once.
TEST_F(AttributesAloneTest, AStoreThatDoesNotCopyGetsTheBody) {
  Start();
  world_.target().decide = [](StoreOperation operation, std::string_view, std::string_view) {
    return operation == StoreOperation::kCopy ? TroubledStore::Failing(ErrorKind::kInvalidInput)
                                              : Fault();
  };
  Tag("red");
  Tell("ObjectTagging:Put");
  world_.RunFor(30s);
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  EXPECT_EQ(Copies(), 1);
  EXPECT_EQ(world_.observer.Count(OutcomeState::kParked), 0);
  world_.Stop();
}

TEST_F(AttributesAloneTest, SmallObjectsAreNotAskedFor) {
  body_.resize(world_.limits.attributes_alone_bytes_min - 1);
  Start();
  Tag("red");
  Tell("ObjectTagging:Put");
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  EXPECT_EQ(Copies(), 0);
  world_.Stop();
}

// CopyObject takes up to 5 GiB.
TEST_F(AttributesAloneTest, WhatIsTooLargeToCopyTravels) {
  world_.target().backend->options.capabilities.copy_size_bytes_max = kBodyBytes - 1;
  Start();
  Tag("red");
  Tell("ObjectTagging:Put");
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  EXPECT_EQ(Copies(), 0);
  world_.Stop();
}

// The copy says how the replica is to be kept, as any write does: the body need not come for that.
TEST_F(AttributesAloneTest, ATargetWithKeyAclAndOwnerGetsNoBody) {
  Target& target = world_.configuration.rules[0].targets[0];
  target.storage_class = "STANDARD_IA";
  target.sse = "aws:kms";
  target.kms_key = "alias/copy";
  target.bucket_key = true;
  target.acl = "bucket-owner-full-control";
  target.bucket_owner = "111122223333";
  Start();
  Tag("red");
  Tell("ObjectTagging:Put");
  EXPECT_LT(Moved(), kLittle);
  EXPECT_EQ(Copies(), 1);
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  EXPECT_EQ(Replica().info.storage_class, "STANDARD_IA");
  EXPECT_EQ(Replica().sse, "aws:kms");
  EXPECT_EQ(Replica().kms_key, "alias/copy");
  EXPECT_EQ(Replica().bucket_key, true);
  EXPECT_EQ(Replica().acl, "bucket-owner-full-control");
  EXPECT_EQ(Replica().bucket_owner, "111122223333");
  world_.Stop();
}

// Without archives the source sends the same: nothing but the attributes, of objects that are held
// in memory and of those that are streamed.
TEST_F(AttributesAloneTest, ACarriedObjectKeepsItsBodyToo) {
  world_.configuration.rules[0].transport = Transport::kPlain;
  const std::string small = body_.substr(0, 80'000);
  world_.Put("small", small);
  Start();
  ASSERT_TRUE(world_.Replicas().contains("small"));
  for (const char* key : {"k", "small"}) {
    Tag("red", key);
    Tell("ObjectTagging:Put", key);
    const auto& replica = *world_.target().backend->Find("out", key);
    EXPECT_EQ(replica.tags, (Tags{{"color", "red"}}));
    EXPECT_EQ(*replica.bytes, key == std::string("k") ? body_ : small);
    EXPECT_EQ(world_.observer.outcomes.back().op, "attributes");
  }
  EXPECT_LT(Moved(), kLittle);
  EXPECT_EQ(Copies(), 2);
  EXPECT_TRUE(world_.queue_backend->rows.empty());
  world_.Stop();
}

// Else the same question would be asked for ever.
TEST_F(AttributesAloneTest, ACarriedObjectThatIsNotCopiedIsSentWhole) {
  world_.configuration.rules[0].transport = Transport::kPlain;
  Start();
  world_.target().decide = [](StoreOperation operation, std::string_view, std::string_view) {
    return operation == StoreOperation::kCopy ? TroubledStore::Failing(ErrorKind::kInvalidInput)
                                              : Fault();
  };
  Tag("red");
  Tell("ObjectTagging:Put");
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  EXPECT_EQ(*Replica().bytes, body_);
  EXPECT_EQ(Copies(), 1);
  EXPECT_EQ(world_.observer.outcomes.back().op, "put");
  EXPECT_EQ(world_.observer.Count(OutcomeState::kParked), 0);
  EXPECT_TRUE(world_.queue_backend->rows.empty());
  world_.Stop();
}

class TwoTargetsTest : public AttributesAloneTest {
 protected:
  TwoTargetsTest() : AttributesAloneTest(2) {}
};

// One archive for both: it has the body when one of them needs it.
TEST_F(TwoTargetsTest, AllMustHoldTheBody) {
  Start();
  Tag("red");
  Tell("ObjectTagging:Put");
  EXPECT_EQ(Copies(0) + Copies(1), 2);
  world_.target(1).backend->buckets["out"].objects.clear();
  Tag("blue");
  Tell("ObjectTagging:Put");
  for (int target : {0, 1}) {
    EXPECT_EQ(Replica(target).tags, (Tags{{"color", "blue"}}));
    EXPECT_EQ(*Replica(target).bytes, body_);
  }
  EXPECT_EQ(Copies(0) + Copies(1), 2);
  world_.Stop();
}

// What the one took without its bytes stands: the body is for the other alone to want, and nothing
// is older or newer by that.
TEST_F(TwoTargetsTest, WhoWantsTheBodyOfACarriedObjectGetsIt) {
  world_.configuration.rules[0].transport = Transport::kPlain;
  Start();
  world_.target(1).decide = [](StoreOperation operation, std::string_view, std::string_view) {
    return operation == StoreOperation::kCopy ? TroubledStore::Failing(ErrorKind::kDenied)
                                              : Fault();
  };
  Tag("red");
  Tell("ObjectTagging:Put");
  for (int target : {0, 1}) {
    EXPECT_EQ(Replica(target).tags, (Tags{{"color", "red"}}));
    EXPECT_EQ(*Replica(target).bytes, body_);
  }
  std::vector<OutcomeState> first;
  for (const Outcome& outcome : world_.observer.outcomes) {
    if (outcome.target == "t0") first.push_back(outcome.state);
  }
  EXPECT_EQ(first.back(), OutcomeState::kEqual) << "not written again";
  EXPECT_TRUE(world_.queue_backend->rows.empty());
  world_.Stop();
}

// The next comparison has nothing to say of a replica whose ETag the copy has changed.
TEST_F(AttributesAloneTest, AComparisonIsContentAfterwards) {
  Start();
  Tag("red");
  Tell("ObjectTagging:Put");
  world_.Stop();
  world_.target().backend->buckets["out"].objects["k"].back().info.etag = "of-parts-2";
  world_.stop.Reset();
  const int outcomes = static_cast<int>(world_.observer.outcomes.size());
  EXPECT_FALSE(world_.RunOnce({.timeout = 60s}).store_error);
  EXPECT_EQ(static_cast<int>(world_.observer.outcomes.size()), outcomes);
}

// One object that the target refuses keeps its archive in staging, but no other from being read
// anew: who asks for that must not wait for the archive's end.
TEST_F(AttributesAloneTest, AParkedNeighbourKeepsNobodyFromBeingReadAnew) {
  Start();
  world_.target().decide = [](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    const bool refused = operation == StoreOperation::kPut && bucket == "out" && key == "refused";
    const bool no_copy = operation == StoreOperation::kCopy && bucket == "out";
    return refused || no_copy ? TroubledStore::Failing(ErrorKind::kInvalidInput) : Fault();
  };
  Tag("red");
  world_.Put("refused", "text");
  EventWebhook webhook(world_.runtime, world_.configuration, world_.queue, Secret());
  const std::string time = FormatRfc3339(world_.world.clock.Now());
  auto record = [&](const std::string& name, const std::string& key) {
    return R"({"eventVersion":"2.1","eventSource":"aws:s3","eventTime":")" + time +
           R"(","eventName":")" + name + R"(","s3":{"bucket":{"name":"in"},"object":{"key":")" +
           key + R"("}}})";
  };
  const std::string body = R"({"Records":[)" + record("ObjectTagging:Put", "k") + "," +
                           record("ObjectCreated:Put", "refused") + "]}";
  EXPECT_EQ(world_.world.Run(webhook.Handle("", body)).status, 200);
  world_.RunFor(5min);
  EXPECT_EQ(world_.Staged().size(), 1u) << "what is parked stays in staging";
  EXPECT_FALSE(world_.Replicas().contains("refused"));
  EXPECT_EQ(Replica().tags, (Tags{{"color", "red"}}));
  world_.Stop();
}

}  // namespace
}  // namespace longhaul
