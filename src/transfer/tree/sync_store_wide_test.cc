#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

#include "tests/support/sync_fixture.h"
#include "transfer/listing/listing.h"
#include "transfer/local/local_file.h"
#include "transfer/local/local_folder.h"
#include "transfer/tree/store_wide.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {
namespace {

using testing::MemoryStore;
using testing::StoreOperation;

// What is wrong with a store as a whole is said once.
class StoreWideTest : public testing::SyncFixture {
 protected:
  StoreWideTest() {
    for (int i = 0; i < 500; ++i) PutSource(std::to_string(10'000 + i), "1");
  }
  static std::function<std::optional<Error>(StoreOperation, std::string_view, std::string_view)>
  FailPuts(Error error, int from = 0) {
    return [error, from, count = 0](StoreOperation operation, std::string_view,
                                    std::string_view) mutable -> std::optional<Error> {
      if (operation == StoreOperation::kPut && ++count > from) return error;
      return std::nullopt;
    };
  }
  Result<void> Copy(SyncOptions options = {}) {
    MemoryStore source(world.runtime, source_backend, &source_faults);
    MemoryStore target(world.runtime, target_backend, &target_faults);
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    return SyncListed(source, target, *left, nullptr, std::move(options));
  }
  int Puts() { return target_backend->count(StoreOperation::kPut); }
};

TEST_F(StoreWideTest, AMissingBucketIsTriedOnce) {
  target_backend->buckets.clear();
  Result<void> done = Copy();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, "NoSuchBucket");
  EXPECT_EQ(Puts(), 1);
  EXPECT_EQ(watcher.told, 0);
}

TEST_F(StoreWideTest, BadKeysAreTriedOnce) {
  target_faults.decide = FailPuts({.kind = ErrorKind::kDenied,
                                   .message = "no such key",
                                   .code = "InvalidAccessKeyId",
                                   .http_status = 403});
  Result<void> done = Copy();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, "InvalidAccessKeyId");
  EXPECT_EQ(Puts(), 1);
}

TEST_F(StoreWideTest, DenialOfAllEndsAfterThreeOrAfterOneWhereTheBucketIsClosedToo) {
  const Error denied{.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
  target_faults.decide = FailPuts(denied);
  ASSERT_FALSE(Copy());
  EXPECT_EQ(Puts(), 3);
  target_backend->ResetCounts();
  ASSERT_FALSE(Copy({.target_denied = true}));
  EXPECT_EQ(Puts(), 1);
}

// Servers have codes of their own for what is wrong with all.
TEST_F(StoreWideTest, AnUnknownRefusalOfTheFirstTenIsTheStores) {
  target_faults.decide = FailPuts(
      {.kind = ErrorKind::kInvalidInput, .message = "no", .code = "XOdd", .http_status = 400});
  Result<void> done = Copy();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, "XOdd");
  EXPECT_EQ(Puts(), 10);
  target_backend->ResetCounts();
  target_faults.decide =
      FailPuts({.kind = ErrorKind::kInvalidInput, .message = "no", .code = "KeyNotStorable"});
  ASSERT_TRUE(Copy());
  EXPECT_EQ(totals.failed, 500U);
}

// One key that nobody may write must not keep the others from being copied.
TEST_F(StoreWideTest, DenialOfOneIsItsOwnMatter) {
  target_faults.decide = [](StoreOperation operation, std::string_view,
                            std::string_view key) -> std::optional<Error> {
    if (operation != StoreOperation::kPut || (key != "out/10000" && key != "out/10300")) {
      return std::nullopt;
    }
    return Error{.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
  };
  ASSERT_TRUE(Copy());
  EXPECT_EQ(totals.copied, 498U);
  EXPECT_EQ(totals.failed, 2U);
}

// What has failed before says nothing of the store when it fails again.
TEST_F(StoreWideTest, DenialsOfWhatFailedBeforeEndNothing) {
  target_faults.decide = [](StoreOperation operation, std::string_view,
                            std::string_view key) -> std::optional<Error> {
    if (operation != StoreOperation::kPut || key >= "out/10005") return std::nullopt;
    return Error{.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
  };
  EXPECT_FALSE(Copy());
  ASSERT_TRUE(Copy({.failed_before = true}));
  EXPECT_EQ(totals.failed, 5U);
  EXPECT_EQ(totals.copied, 495U);
}

// Credentials that run out end the run, and all that was in flight meets the same once.
TEST_F(StoreWideTest, ATokenThatExpiresEndsTheRun) {
  target_faults.decide =
      FailPuts({.kind = ErrorKind::kDenied, .message = "expired", .code = "ExpiredToken"}, 100);
  Result<void> done = Copy({.in_flight = 16});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, "ExpiredToken");
  EXPECT_EQ(totals.copied, 100U);
  EXPECT_LE(totals.failed, 16U);
  EXPECT_EQ(watcher.told, 0);
  EXPECT_FALSE(watcher.listed_all);  // Else nobody looks at the rest again.
  target_faults.decide = nullptr;
  ASSERT_TRUE(Copy());
  EXPECT_TRUE(watcher.listed_all);
}

// Else all that is left is read, and thrown away.
TEST_F(StoreWideTest, ADiskThatIsFullEndsTheRun) {
  for (int number : {ENOSPC, EDQUOT, EROFS}) {
    source_backend->ResetCounts();
    target_backend->buckets["to"].objects.clear();
    target_faults.decide = FailPuts(FromErrno(number, "/data/x"), 10);
    Result<void> done = Copy({.in_flight = 4});
    ASSERT_FALSE(done);
    EXPECT_FALSE(RemedyFor(done.error()).empty());
    EXPECT_EQ(totals.copied, 10U);
    EXPECT_LE(source_backend->count(StoreOperation::kGet), 10 + 4);
  }
}

// A folder whose file system does not take its name; and one that does, and not a name in it.
class OddFolder : public LocalFolder {
 public:
  OddFolder(Runtime runtime, bool itself) : LocalFolder(runtime), itself_(itself) {}
  Async<PutResult> Put(PutRequest request, ByteSource&) override {
    ++puts;
    co_return FromErrno(EINVAL, request.key);
  }
  Async<void> CreateBucket(std::string bucket) override {
    made = bucket;
    if (itself_) co_return FromErrno(EINVAL, bucket);
    co_return Ok();
  }
  int puts = 0;
  std::string made;

 private:
  bool itself_;
};

TEST_F(StoreWideTest, ATargetThatCannotBeMadeEndsTheRun) {
  for (const bool itself : {true, false}) {
    OddFolder target(world.runtime, itself);
    MemoryStore source(world.runtime, source_backend);
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    Result<void> done = SyncListed(source, target, *left, nullptr, {});
    EXPECT_EQ(target.made, "to/out");
    EXPECT_EQ(done.has_value(), !itself);
    if (!done) EXPECT_EQ(done.error().code, kFolderNotPossible);
    EXPECT_EQ(target.puts, itself ? 1 : 500);
    EXPECT_EQ(watcher.told, itself ? 0 : 500);
  }
}

TEST_F(StoreWideTest, AStoreThatGoesAwayEndsTheRun) {
  target_faults.decide = FailPuts(Retryable("no answer"), 100);
  Result<void> done = Copy({.in_flight = 16});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kRetryable);
  EXPECT_LT(Puts(), 300);
}

}  // namespace
}  // namespace longhaul
