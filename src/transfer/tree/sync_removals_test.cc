#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <vector>

#include "tests/support/sync_fixture.h"
#include "transfer/listing/listing.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {
namespace {

using testing::MemoryStore;
using testing::StoreOperation;

// A listing that someone else wrote down, and that may be wrong.
class GivenListing : public Listing {
 public:
  explicit GivenListing(std::vector<std::string> keys, bool fails = false)
      : keys_(std::move(keys)), fails_(fails) {}
  Async<std::optional<ListedObject>> Next() override {
    if (next_ < keys_.size()) {
      co_return std::optional<ListedObject>(ListedObject{.key = keys_[next_++], .size_bytes = 1});
    }
    if (fails_) co_return Retryable("the connection broke");
    co_return std::nullopt;
  }
  asio::awaitable<void> Close() override { co_return; }

 private:
  std::vector<std::string> keys_;
  bool fails_;
  size_t next_ = 0;
};

// What must keep a removal from happening, cause by cause.
class SyncRemovalsTest : public testing::SyncFixture {
 protected:
  SyncRemovalsTest() {
    for (int i = 0; i < 1200; ++i) {
      const std::string name = "k" + std::to_string(10'000 + i);
      PutSource(name, "1");
      PutTarget(name, "1");
    }
    PutTarget("extra", "1");
  }
  void ExpectNothingRemoved() {
    EXPECT_EQ(totals.removed, 0U);
    EXPECT_EQ(target_backend->count(StoreOperation::kRemove), 0);
    EXPECT_EQ(target_backend->count(StoreOperation::kRemoveMany), 0);
    EXPECT_NE(target_backend->Find("to", "out/extra"), nullptr);
  }
  static std::function<std::optional<Error>(StoreOperation, std::string_view, std::string_view)>
  FailList(int nth) {
    return [nth, count = 0](StoreOperation operation, std::string_view,
                            std::string_view) mutable -> std::optional<Error> {
      if (operation == StoreOperation::kList && ++count == nth) return Retryable("cut");
      return std::nullopt;
    };
  }
};

TEST_F(SyncRemovalsTest, HappenWhenAllIsWell) {
  ASSERT_TRUE(Sync({.remove = true}));
  EXPECT_EQ(watcher.removed, (std::set<std::string>{"extra"}));
}

TEST_F(SyncRemovalsTest, NotAfterASourceListingThatFails) {
  source_faults.decide = FailList(1);
  EXPECT_FALSE(Sync({.remove = true}));
  ExpectNothingRemoved();
}

TEST_F(SyncRemovalsTest, NotAfterASourceListingThatFailsHalfWay) {
  source_faults.decide = FailList(2);
  EXPECT_FALSE(Sync({.remove = true}));
  ExpectNothingRemoved();
}

TEST_F(SyncRemovalsTest, NotAfterATargetListingThatFails) {
  target_faults.decide = FailList(2);
  EXPECT_FALSE(Sync({.remove = true}));
  ExpectNothingRemoved();
}

TEST_F(SyncRemovalsTest, NotWhenTheSourceIsEmpty) {
  source_backend->buckets["from"].objects.clear();
  Result<void> done = Sync({.remove = true, .guard = {.percent_max = 100}});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, kDeleteGuardCode);
  ExpectNothingRemoved();
}

TEST_F(SyncRemovalsTest, NotWhenTheFiltersLeaveNothingOfTheSource) {
  SyncOptions options{.remove = true, .guard = {.percent_max = 100}};
  options.filter.AddGlob(true, "ext*", "");
  Result<void> done = Sync(options);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, kDeleteGuardCode);
  ExpectNothingRemoved();
}

TEST_F(SyncRemovalsTest, NotAfterACopyThatFails) {
  PutSource("new", "1");
  source_faults.decide = [](StoreOperation operation, std::string_view,
                            std::string_view key) -> std::optional<Error> {
    if (operation == StoreOperation::kGet && key == "in/new") return Corrupt("bit rot");
    return std::nullopt;
  };
  ASSERT_TRUE(Sync({.remove = true}));
  EXPECT_EQ(totals.failed, 1U);
  EXPECT_TRUE(totals.removals_withheld);
  ExpectNothingRemoved();
  ASSERT_TRUE(Sync({.remove = true, .remove_despite_failures = true}));
  EXPECT_EQ(totals.removed, 1U);
}

TEST_F(SyncRemovalsTest, NotBeyondTheUsersLimits) {
  PutTarget("extra2", "1");
  Result<void> done = Sync({.remove = true, .guard = {.count_max = 1}});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, kDeleteGuardCode);
  ExpectNothingRemoved();
  done = Sync({.remove = true, .guard = {.percent_max = 0.1}});
  ASSERT_FALSE(done);
  ExpectNothingRemoved();
  ASSERT_TRUE(Sync({.remove = true, .guard = {.count_max = 2, .percent_max = 1}}));
  EXPECT_EQ(totals.removed, 2U);
}

TEST_F(SyncRemovalsTest, NotMuchOfTheTargetUnlessSaid) {
  source_backend->buckets["from"].objects.clear();
  PutSource("k10000", "1");
  Result<void> done = Sync({.remove = true});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, kDeleteGuardCode);
  ExpectNothingRemoved();
  ASSERT_TRUE(Sync({.remove = true, .guard = {.percent_max = 100}}));
  EXPECT_EQ(totals.removed, 1200U);
}

TEST_F(SyncRemovalsTest, NotAfterAStop) {
  Event stop;
  source_faults.decide = [&stop, count = 0](StoreOperation operation, std::string_view,
                                            std::string_view) mutable -> std::optional<Error> {
    if (operation == StoreOperation::kList && ++count == 2) stop.Set();
    return std::nullopt;
  };
  Result<void> done = Sync({.copy = {.stop = &stop}, .remove = true});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kCancelled);
  ExpectNothingRemoved();
}

// All is listed, and what was under way ends without being done.
TEST_F(SyncRemovalsTest, NotAfterAStopOfTheLastCopy) {
  PutSource("z", "1");
  Event stop;
  target_faults.decide = [&stop](StoreOperation operation, std::string_view,
                                 std::string_view) -> std::optional<Error> {
    if (operation != StoreOperation::kPut) return std::nullopt;
    stop.Set();
    return Cancelled("stopped");
  };
  for (const bool remove : {true, false}) {
    Result<void> done = Sync({.copy = {.stop = &stop}, .remove = remove});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::kCancelled);
    EXPECT_EQ(totals.failed, 0U);
    ExpectNothingRemoved();
    stop.Reset();
  }
}

// A key in the wrong place makes others look as if they were not there.
TEST_F(SyncRemovalsTest, NotByAListingThatIsNotInOrder) {
  MemoryStore source(world.runtime, source_backend);
  MemoryStore target(world.runtime, target_backend);
  for (const std::vector<std::string>& keys :
       {std::vector<std::string>{"in/b", "in/a"}, {"in/a", "in/a"}, {"in/a", "other"}, {"i"}}) {
    GivenListing left(keys);
    std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
    Result<void> done = SyncListed(source, target, left, right.get(), {.remove = true});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::kCorrupt);
    ExpectNothingRemoved();
  }
}

TEST_F(SyncRemovalsTest, OneThatIsRefusedIsNamed) {
  target_faults.decide = [](StoreOperation operation, std::string_view,
                            std::string_view) -> std::optional<Error> {
    if (operation == StoreOperation::kRemoveMany)
      return Error{.kind = ErrorKind::kInvalidInput, .message = "no", .code = "Odd"};
    return std::nullopt;
  };
  ASSERT_TRUE(Sync({.remove = true}));
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"extra"}));
  EXPECT_EQ(totals.failed, 1U);
}

}  // namespace
}  // namespace longhaul
