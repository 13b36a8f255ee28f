// What goes in parts is described by a HEAD, and not every server's HEAD tells of tags.

#include "transfer/object/object_tags.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "transfer/object/copy_to_move.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

const Tags kTags{{"tier", "hot"}};

// Answers each question for tags, or each write of them, with an error.
class NoTagsFor : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation == refused) fault.error = error;
    return fault;
  }
  StoreOperation refused = StoreOperation::kGetTags;
  std::optional<Error> error;
};

Error Denied(std::string code) {
  return {.kind = ErrorKind::kDenied, .message = "no", .code = std::move(code)};
}

class UntoldTagsTest : public ::testing::Test {
 protected:
  UntoldTagsTest() {
    testing::MemoryStoreOptions options;
    options.capabilities.part_size_bytes_min = 1;
    options.heads_tell_tags = false;
    for (auto& backend : {from, to}) {
      backend->options = options;
      backend->buckets["b"];
    }
    Write(kTags);
  }
  void Write(const Tags& tags) {
    MemoryStore store(world.runtime, from);
    ASSERT_TRUE(world.Run(PutText(store, {.bucket = "b", .key = "k", .tags = tags}, text)));
  }
  Result<CopyOutcome> Copy(bool move = false, uint64_t threshold = 1, bool inside = false) {
    MemoryStore source(world.runtime, from, &faults);
    MemoryStore target(world.runtime, to);
    CopySource what{.store = source, .bucket = "b", .key = "k"};
    CopyTarget where{.store = inside ? source : target, .bucket = "b", .key = "copy"};
    CopyOptions options{.multipart_threshold_bytes = threshold, .part_size_bytes = 1000};
    return world.Run(move ? CopyToMove(world.runtime, what, where, options)
                          : CopyObject(world.runtime, what, where, options));
  }
  static Tags TagsAt(MemoryStoreBackend& backend) {
    const auto* copy = backend.Find("b", "copy");
    return copy == nullptr ? Tags{{"there is", "no copy"}} : copy->tags;
  }

  FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> from = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> to = std::make_shared<MemoryStoreBackend>();
  NoTagsFor faults;
  const std::string text = std::string(5000, 'x');
};

TEST_F(UntoldTagsTest, WhatGoesInPartsKeepsThem) {
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_GT(to->count(StoreOperation::kUploadPart), 1);
  EXPECT_EQ(TagsAt(*to), kTags);
  from->options.capabilities.copy_size_bytes_max = 1000;
  done = Copy(false, 1, /*inside=*/true);
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(TagsAt(*from), kTags);
}

// Of millions of small objects each request counts, and their GET has told of tags.
TEST_F(UntoldTagsTest, WhatGoesInOnePieceIsNotAskedFor) {
  Write({});
  ASSERT_TRUE(Copy(false, UINT64_MAX));
  ASSERT_TRUE(Copy(true, UINT64_MAX));
  EXPECT_EQ(from->count(StoreOperation::kGetTags), 0);
}

// What nobody may know keeps no copy from being made; but a move would be the end of it.
TEST_F(UntoldTagsTest, WhereTheyAreDeniedACopyGoesOnAndAMoveDoesNot) {
  faults.error = Denied("AccessDenied");
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(TagsAt(*to), Tags());
  to->ResetCounts();
  done = Copy(/*move=*/true);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kDenied);
  EXPECT_NE(done.error().message.find("tags would be lost"), std::string::npos);
  EXPECT_EQ(to->total_count(), 0) << "known before anything is sent";
}

TEST_F(UntoldTagsTest, AStoreWithoutTagsHasNone) {
  Write({});
  faults.error = Error{.kind = ErrorKind::kInvalidInput, .message = "no", .code = "NotImplemented"};
  for (const bool move : {false, true}) EXPECT_TRUE(Copy(move));
  from->options.capabilities.tags = false;
  from->ResetCounts();
  EXPECT_TRUE(Copy());
  EXPECT_EQ(from->count(StoreOperation::kGetTags), 0);
}

// Keys that have expired say nothing of tags.
TEST_F(UntoldTagsTest, OtherErrorsAreNoAnswer) {
  for (const Error& error : {Denied("ExpiredToken"), Retryable("busy")}) {
    faults.error = error;
    EXPECT_FALSE(Copy());
  }
}

// Where it is said that there are some, they are wanted.
TEST_F(UntoldTagsTest, ToldTagsThatAreDeniedAreAnError) {
  from->options.heads_tell_tags = true;
  for (const char* code : {"AccessDenied", "NotImplemented"}) {
    faults.error = Denied(code);
    EXPECT_FALSE(Copy());
  }
}

// It may go between the look at it and its tags. In a bucket with versions a delete marker is
// there.
TEST_F(UntoldTagsTest, WhatHasGoneNeedsNoTags) {
  MemoryStore store(world.runtime, from, &faults);
  faults.refused = StoreOperation::kPutTags;
  for (const char* code : {"NoSuchKey", "DeleteMarker", "NoSuchBucket"}) {
    faults.error = NotFound("not there", code);
    Result<void> set = world.Run(
        SetTags({.store = store, .bucket = "b", .key = "k", .etag = "", .tags = {{"a", "b"}}}));
    EXPECT_EQ(set.has_value(), std::string_view(code) != "NoSuchBucket") << code;
  }
}

}  // namespace
}  // namespace longhaul
