#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "tests/support/sync_fixture.h"
#include "transfer/listing/listing.h"
#include "transfer/object/relay.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {
namespace {

using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

// A move removes nothing that was not copied as it is.
class MoveTest : public testing::SyncFixture {
 protected:
  Result<void> Move(SyncOptions options = {}) {
    options.move = true;
    MemoryStore source(world.runtime, source_backend, &source_faults);
    MemoryStore target(world.runtime, target_backend, &target_faults);
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    return SyncListed(source, target, *left, nullptr, std::move(options));
  }
  // Does `what` before the n-th operation of that kind on the source.
  void Before(StoreOperation wanted, int nth, std::function<void()> what) {
    source_faults.decide = [=, count = 0](StoreOperation operation, std::string_view,
                                          std::string_view) mutable -> std::optional<Error> {
      if (operation == wanted && ++count == nth) what();
      return std::nullopt;
    };
  }
  // As another client would, in no time.
  void Overwrite(const std::string& name, const std::string& text) {
    MemoryStoreBackend::Version& version =
        source_backend->buckets["from"].objects.at("in/" + name).back();
    version.bytes = std::make_shared<const std::string>(text);
    version.info.size_bytes = text.size();
    version.info.etag = "0123456789abcdef0123456789abcdef";
    version.info.checksums.clear();
  }
};

TEST_F(MoveTest, MovesAll) {
  for (int i = 0; i < 50; ++i) PutSource(std::to_string(i), "1");
  ASSERT_TRUE(Move());
  EXPECT_EQ(totals.copied, 50U);
  EXPECT_EQ(TargetKeys().size(), 50U);
  EXPECT_TRUE(source_backend->Keys("from").empty());
}

// A server that does not heed If-Match on a delete must not lose what was written meanwhile.
TEST_F(MoveTest, ASourceThatHasChangedStaysAlsoWhereIfMatchIsIgnored) {
  source_backend->options.capabilities.delete_if_match = false;
  PutSource("a", "before");
  Before(StoreOperation::kHead, 1, [this] { Overwrite("a", "after"); });
  ASSERT_TRUE(Move());
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a"}));
  ASSERT_NE(source_backend->Find("from", "in/a"), nullptr);
  EXPECT_EQ(*source_backend->Find("from", "in/a")->bytes, "after");
}

// Between the look and the delete only the server's condition holds.
TEST_F(MoveTest, ASourceThatChangesBeforeItsRemovalStays) {
  source_backend->options.capabilities.delete_if_match = true;
  PutSource("a", "before");
  Before(StoreOperation::kRemove, 1, [this] { Overwrite("a", "after"); });
  ASSERT_TRUE(Move());
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a"}));
  ASSERT_NE(source_backend->Find("from", "in/a"), nullptr);
}

// Headers and metadata are written anew without a new ETag: the copy has the old ones.
TEST_F(MoveTest, ASourceWithOtherMetadataThanItsCopyStays) {
  PutSource("a", "1");
  Before(StoreOperation::kHead, 1, [this] {
    MemoryStoreBackend::Version& version =
        source_backend->buckets["from"].objects.at("in/a").back();
    version.info.metadata["colour"] = "blue";
    version.info.last_modified += std::chrono::seconds(10);
  });
  ASSERT_TRUE(Move());
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a"}));
  EXPECT_NE(source_backend->Find("from", "in/a"), nullptr);
}

// What exists is left alone and no failure: neither of these does.
TEST_F(MoveTest, WhatHasChangedIsNotCalledThere) {
  source_backend->options.capabilities.delete_if_match = true;
  PutSource("a", "before");
  Before(StoreOperation::kRemove, 1, [this] { Overwrite("a", "after"); });
  ASSERT_TRUE(Move({.copy = {.if_absent = true}}));
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a"}));
  EXPECT_TRUE(watcher.skipped.empty());

  source_backend->buckets["from"].objects.clear();
  PutSource("b", "1");
  PutTarget("c", "1");
  PutSource("c", "1");
  source_faults.decide = [](StoreOperation operation, std::string_view,
                            std::string_view key) -> std::optional<Error> {
    if (operation == StoreOperation::kGet && key == "in/b") return SourceChanged("from", "in/b");
    return std::nullopt;
  };
  ASSERT_TRUE(Move({.copy = {.if_absent = true}}));
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"b"}));
  EXPECT_EQ(watcher.skipped, (std::map<std::string, std::string>{{"c", "exists"}}));
}

TEST_F(MoveTest, ASourceWhoseCopyIsNotThereStays) {
  PutSource("a", "1");
  target_faults.decide = [this](StoreOperation operation, std::string_view,
                                std::string_view) -> std::optional<Error> {
    if (operation == StoreOperation::kHead) target_backend->buckets["to"].objects.clear();
    return std::nullopt;
  };
  ASSERT_TRUE(Move());
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a"}));
  EXPECT_NE(source_backend->Find("from", "in/a"), nullptr);
}

TEST_F(MoveTest, ASourceThatCannotBeCopiedStays) {
  PutSource("a", "1");
  PutSource("b", "1");
  target_faults.decide = [](StoreOperation operation, std::string_view,
                            std::string_view key) -> std::optional<Error> {
    if (operation == StoreOperation::kPut && key == "out/a") return Corrupt("no");
    return std::nullopt;
  };
  ASSERT_TRUE(Move());
  EXPECT_EQ(source_backend->Keys("from"), (std::vector<std::string>{"in/a"}));
}

}  // namespace
}  // namespace longhaul
