// Objects in archive classes: parked with the reason, or asked back and carried when they are
// there.

#include <gmock/gmock.h>

#include "events/hint.h"
#include "replication/life/parked.h"
#include "storage/restores_objects.h"
#include "tests/support/replication_world.h"

namespace longhaul::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// What is in these classes cannot be read before it has been restored.
class ArchivingStore : public MemoryStore, public RestoresObjects {
 public:
  using MemoryStore::MemoryStore;

  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at) override {
    Result<ObjectStream> stream = co_await MemoryStore::Get(request, absent_at);
    const std::string in = stream ? stream->info.storage_class : "";
    if ((in == "GLACIER" || in == kTieringClass) && !restored.contains(request.key)) {
      Error error{.kind = ErrorKind::kDenied, .message = "it lies in " + in};
      error.code = kArchivedCode;
      co_return error;
    }
    co_return stream;
  }
  Async<void> Restore(RestoreRequest request) override {
    asked.push_back(request.key + " " + request.tier + " " + std::to_string(request.days));
    if (refuses) co_return Error{.kind = ErrorKind::kDenied, .message = "may not restore"};
    co_return Ok();
  }

  Async<bool> IsBeingRestored(std::string /*bucket*/, std::string key) override {
    co_return !restored.contains(key);
  }

  std::set<std::string> restored;
  std::vector<std::string> asked;
  bool refuses = false;
};

class ArchiveClassesTest : public ::testing::Test {
 protected:
  ArchiveClassesTest() {
    TroubledStore& source = world_.source();
    auto made = std::make_unique<ArchivingStore>(world_.runtime, source.backend, &source);
    store_ = made.get();
    source.store = std::move(made);
    world_.Put("near", "1");
    MemoryStore direct(world_.runtime, source.backend);
    PutRequest request{.bucket = "in", .key = "far"};
    request.storage_class = "GLACIER";
    EXPECT_TRUE(world_.world.Run(PutText(direct, std::move(request), "2")));
  }
  std::string ReasonOf(const std::string& key) {
    auto parked = world_.world.Run(ScanParked(world_.state, "r", "", "", 100));
    if (!parked) return "failed: " + parked.error().Describe();
    for (const ParkedKey& one : *parked) {
      if (one.key == key) return one.reason;
    }
    return "";
  }

  ReplicationWorld world_;
  ArchivingStore* store_ = nullptr;
};

// Without the reason nobody would know that it is the class, and not a right, that is missing.
TEST_F(ArchiveClassesTest, WithoutRestoreTheyAreParkedWithTheRemedy) {
  world_.RunOnce();
  EXPECT_EQ(world_.Replicas(), std::set<std::string>{"near"});
  EXPECT_THAT(ReasonOf("far"), HasSubstr("GLACIER"));
  EXPECT_THAT(ReasonOf("far"), HasSubstr("restore: {"));
  EXPECT_TRUE(store_->asked.empty()) << "nobody has agreed to what it costs";
}

// An object that was asked back and then forgotten would never arrive.
TEST_F(ArchiveClassesTest, WithRestoreTheyAreCarriedWhenTheyAreThere) {
  world_.configuration.rules[0].restore = RestoreOptions{.tier = "Bulk", .days = 3};
  world_.configuration.rules[0].intake.listing.reset();  // No listing finds it again.
  world_.Start();
  world_.RunFor(2min);
  EXPECT_EQ(world_.Replicas(), std::set<std::string>{"near"});
  EXPECT_EQ(store_->asked, std::vector<std::string>{"far Bulk 3"});
  EXPECT_THAT(ReasonOf("far"), HasSubstr("asked back"));
  store_->restored.insert("far");
  world_.RunFor(1h);
  world_.Stop();
  EXPECT_EQ(world_.Replicas(), (std::set<std::string>{"far", "near"}));
  EXPECT_EQ(ReasonOf("far"), "");
}

// S3 refuses days where the object itself moves back: it would stay parked for ever.
TEST_F(ArchiveClassesTest, WhatMovesBackIsAskedForWithoutDays) {
  MemoryStore direct(world_.runtime, world_.source().backend);
  PutRequest request{.bucket = "in", .key = "cool"};
  request.storage_class = kTieringClass;
  ASSERT_TRUE(world_.world.Run(PutText(direct, std::move(request), "3")));
  world_.configuration.rules[0].restore = RestoreOptions{.tier = "Bulk", .days = 3};
  world_.RunOnce();
  EXPECT_THAT(store_->asked, ::testing::UnorderedElementsAre("far Bulk 3", "cool Bulk 0"));
}

TEST_F(ArchiveClassesTest, WhatCannotBeAskedBackSaysWhy) {
  world_.configuration.rules[0].restore = RestoreOptions{};
  store_->refuses = true;
  world_.RunOnce();
  EXPECT_THAT(ReasonOf("far"), HasSubstr("may not restore"));
}

// A batch that began before it and ends after it says nothing of what was parked: nobody would try
// that again, and nobody would be told.
TEST_F(ArchiveClassesTest, WhatWasParkedMeanwhileStaysParked) {
  world_.configuration.rules[0].intake.listing.reset();
  world_.Start();
  world_.RunFor(1min);  // All has been compared, and nothing else tells of what comes.
  auto change = [this](const std::string& text, const std::string& storage_class) {
    MemoryStore direct(world_.runtime, world_.source().backend);
    PutRequest request{.bucket = "in", .key = "k"};
    request.storage_class = storage_class;
    ASSERT_TRUE(world_.world.Run(PutText(direct, std::move(request), text)));
    HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = "k"}}};
    ASSERT_TRUE(world_.world.Run(world_.queue.Send(EncodeHints(message), {})));
  };
  bool held = false;
  world_.target().decide = [&held](StoreOperation operation, std::string_view bucket,
                                   std::string_view key) {
    Fault fault;
    const bool hit = operation == StoreOperation::kPut && bucket == "staging" &&
                     key.ends_with(".tar.zst") && !held;
    held = held || hit;
    if (hit) fault.delay = 3min;
    return fault;
  };
  change("before", "");
  world_.RunFor(30s);
  ASSERT_TRUE(held);
  change("after", "GLACIER");
  world_.RunFor(30s);
  ASSERT_THAT(ReasonOf("k"), HasSubstr("GLACIER"));
  ASSERT_FALSE(world_.Replicas().contains("k"));
  world_.RunFor(3min);
  ASSERT_TRUE(world_.Replicas().contains("k"));
  EXPECT_THAT(ReasonOf("k"), HasSubstr("GLACIER"));
  store_->restored.insert("k");
  world_.RunFor(1h);
  world_.Stop();
  EXPECT_EQ(*world_.target().backend->Find("out", "k")->bytes, "after");
  EXPECT_EQ(ReasonOf("k"), "");
}

}  // namespace
}  // namespace longhaul::testing
