// Uploads that are gone on with where no object may be replaced, or one alone.

#include "transfer/object/open_upload.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "transfer/object/copy_object.h"
#include "transfer/object/upload_records.h"

namespace longhaul {
namespace {

using testing::FakeState;
using testing::FakeStateBackend;
using testing::FakeWorld;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

constexpr uint64_t kOpenPartBytes = 8 << 10;
constexpr uint64_t kOpenObjectBytes = 5 * kOpenPartBytes - 100;

// Denies what would come next, which leaves the upload as it is, as a kill does.
class Killed : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    const bool part = operation == StoreOperation::kUploadPart && ++parts_ > parts_max;
    const bool completion = operation == StoreOperation::kCompleteMultipart && at_completion;
    if (part || completion) fault.error = Error{.kind = ErrorKind::kDenied, .message = "killed"};
    return fault;
  }
  int parts_max = 1000;
  bool at_completion = false;

 private:
  int parts_ = 0;
};

class OpenUploadTest : public ::testing::Test {
 protected:
  OpenUploadTest() {
    testing::MemoryStoreOptions options;
    options.capabilities.part_size_bytes_min = 1;
    from = std::make_shared<MemoryStoreBackend>(options);
    to = std::make_shared<MemoryStoreBackend>(options);
    from->buckets["from"];
    to->buckets["to"];
  }

  void PutSource(const std::string& colour) {
    MemoryStore store(world.runtime, from);
    ASSERT_TRUE(
        world.Run(PutText(store, {.bucket = "from", .key = "k", .metadata = {{"colour", colour}}},
                          std::string(kOpenObjectBytes, 'x'))));
  }

  // One process, which is gone afterwards.
  Result<CopyOutcome> Copy(CopyOptions options, Killed kill = {}, bool recorded = true) {
    MemoryStore source(world.runtime, from);
    MemoryStore target(world.runtime, to, &kill);
    FakeState state(world.runtime, rows);
    ProcessName owner = ThisProcess();
    owner.started += ++processes;  // None that lives.
    UploadRecords records(world.runtime, state, owner, "run", "");
    options.multipart_threshold_bytes = 1;
    options.part_size_bytes = kOpenPartBytes;
    if (recorded) options.uploads = &records;
    return world.Run(CopyObject(world.runtime, {.store = source, .bucket = "from", .key = "k"},
                                {.store = target, .bucket = "to", .key = "k"}, options));
  }

  std::string ColourThere() { return to->Find("to", "k")->info.metadata.at("colour"); }

  FakeWorld world{5, 64 << 20};
  std::shared_ptr<MemoryStoreBackend> from;
  std::shared_ptr<MemoryStoreBackend> to;
  std::shared_ptr<FakeStateBackend> rows = std::make_shared<FakeStateBackend>();
  int64_t processes = 0;
};

// What it was created with is put right by a copy onto itself, in parts if it is large. Its own
// object must not pass for one that was there before: it would be said to have been left alone.
TEST_F(OpenUploadTest, WhatAFoundUploadBecameIsPutRightWhateverMayBeReplaced) {
  to->options.capabilities.copy_size_bytes_max = 2 * kOpenPartBytes;
  for (bool heeds : {true, false}) {
    to->options.capabilities.complete_if_match = heeds;
    for (bool absent : {true, false}) {
      to->buckets["to"] = {};
      CopyOptions options{.if_absent = absent};
      if (!absent) {
        MemoryStore store(world.runtime, to);
        Result<PutResult> old = world.Run(PutText(store, {.bucket = "to", .key = "k"}, "old"));
        ASSERT_TRUE(old);
        options.if_match = old->etag;
        world.clock.Advance(std::chrono::minutes(1));
      }
      PutSource("red");
      Killed kill;
      kill.parts_max = 2;
      ASSERT_FALSE(Copy(options, kill));
      rows->rows.clear();
      PutSource("blue");
      Result<CopyOutcome> done = Copy(options);
      ASSERT_TRUE(done) << done.error().Describe();
      EXPECT_EQ(done->found_bytes, 2 * kOpenPartBytes);
      EXPECT_EQ(ColourThere(), "blue");
      EXPECT_TRUE(to->buckets["to"].uploads.empty());
    }
  }
}

// A process that was killed at the completion has noted it. What somebody has put there since must
// stay where the server does not heed the condition.
TEST_F(OpenUploadTest, WhatCameSinceACompletionWasNotedStays) {
  for (bool heeds : {true, false}) {
    to->options.capabilities.complete_if_absent = heeds;
    to->buckets["to"] = {};
    PutSource("red");
    Killed kill;
    kill.at_completion = true;
    ASSERT_FALSE(Copy({.if_absent = true}, kill));
    ASSERT_EQ(to->buckets["to"].uploads.size(), 1U);
    MemoryStore store(world.runtime, to);
    ASSERT_TRUE(world.Run(PutText(store, {.bucket = "to", .key = "k"}, "since")));
    Result<CopyOutcome> done = Copy({.if_absent = true});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::kPrecondition);
    EXPECT_EQ(*to->Find("to", "k")->bytes, "since");
    EXPECT_TRUE(to->buckets["to"].uploads.empty());
    EXPECT_TRUE(rows->rows.empty());
  }
}

// Also what another copy has put there: it has the same bytes, and perhaps other metadata.
TEST_F(OpenUploadTest, AnotherCopyThatCameSinceACompletionWasNotedStays) {
  to->options.capabilities.complete_if_absent = false;
  PutSource("red");
  Killed kill;
  kill.at_completion = true;
  ASSERT_FALSE(Copy({.if_absent = true}, kill));
  ASSERT_TRUE(Copy({.metadata = {{"colour", "blue"}}}, {}, /*recorded=*/false));
  Result<CopyOutcome> done = Copy({.if_absent = true});
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(ColourThere(), "blue");
}

}  // namespace
}  // namespace longhaul
