#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/support/sync_fixture.h"
#include "transfer/listing/listing.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {
namespace {

using testing::MemoryStore;
using testing::StoreOperation;

// What is replaced or removed is kept aside.
class SyncBackupTest : public testing::SyncFixture {
 protected:
  SyncBackupTest() { target_backend->buckets["old"]; }
  // What is replaced or removed goes to `bucket`, below `prefix`.
  Result<void> SyncAside(SyncOptions options, const std::string& bucket = "old",
                         const std::string& prefix = "") {
    MemoryStore source(world.runtime, source_backend, &source_faults);
    MemoryStore target(world.runtime, target_backend, &target_faults);
    options.backup.emplace(TreeTarget{.store = target, .bucket = bucket, .prefix = prefix});
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
    return SyncListed(source, target, *left, right.get(), std::move(options));
  }
};

TEST_F(SyncBackupTest, BackupKeepsWhatIsReplacedAndRemoved) {
  PutSource("a", "new");
  PutTarget("a", "old one");
  PutTarget("b", "gone");
  ASSERT_TRUE(SyncAside({.remove = true}, "old", "kept/"));
  EXPECT_EQ(totals.removed, 1U);
  EXPECT_EQ(target_backend->Keys("old"), (std::vector<std::string>{"kept/a", "kept/b"}));
  EXPECT_EQ(*target_backend->Find("old", "kept/a")->bytes, "old one");
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "new");
}

// A run that broke off and goes on, or is made again, finds its own copy at the target: what is set
// aside is the state of before it.
TEST_F(SyncBackupTest, ABackupIsNotReplacedByTheCopy) {
  PutSource("a", "newer");
  PutTarget("a", "older");
  const auto sync = [&] {
    ASSERT_TRUE(SyncAside({.compare = {.ignore_times = true}}));
    EXPECT_EQ(totals.copied, 1U);
    EXPECT_EQ(totals.failed, 0U);
  };
  sync();
  EXPECT_EQ(*target_backend->Find("old", "a")->bytes, "older");
  sync();
  EXPECT_EQ(*target_backend->Find("old", "a")->bytes, "older");
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "newer");
  // Another state is set aside again.
  PutTarget("a", "other");
  sync();
  EXPECT_EQ(*target_backend->Find("old", "a")->bytes, "other");
}

// While it is set aside, and while the new one is on its way, somebody may write it again.
TEST_F(SyncBackupTest, OnlyWhatWasSetAsideIsReplacedOrRemoved) {
  target_backend->options.capabilities.replace_if_match = true;
  target_backend->options.capabilities.delete_if_match = true;
  PutSource("a", "new");
  PutTarget("a", "old one");
  PutTarget("b", "gone");
  MemoryStore target(world.runtime, target_backend);
  ASSERT_TRUE(world.Run(target.CreateBucket("later")));
  for (const char* key : {"out/a", "out/b"}) {
    ASSERT_TRUE(world.Run(PutText(target, {.bucket = "later", .key = key}, "somebody's")));
  }
  target_faults.decide = [this](StoreOperation operation, std::string_view bucket,
                                std::string_view) -> std::optional<Error> {
    std::string key;
    if (operation == StoreOperation::kPut && bucket == "to") key = "out/a";
    if (operation == StoreOperation::kRemove || operation == StoreOperation::kRemoveMany) {
      key = "out/b";
    }
    auto& later = target_backend->buckets["later"].objects;
    if (!later.contains(key)) return std::nullopt;
    target_backend->buckets["to"].objects[key] = later.at(key);
    later.erase(key);
    return std::nullopt;
  };
  ASSERT_TRUE(SyncAside({.remove = true, .remove_despite_failures = true}));
  EXPECT_TRUE(target_backend->buckets["later"].objects.empty());
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a", "b"}));
  for (const char* key : {"out/a", "out/b"}) {
    ASSERT_NE(target_backend->Find("to", key), nullptr) << key;
    EXPECT_EQ(*target_backend->Find("to", key)->bytes, "somebody's") << key;
  }
}

// The copy that was found at the target is that of one state of the source: what the source becomes
// then may not replace it.
TEST_F(SyncBackupTest, WhatASourceBecomesDoesNotReplaceWhatWasNotSetAside) {
  target_backend->options.capabilities.replace_if_match = true;
  PutSource("a", "two");
  PutTarget("a", "one");
  const SyncOptions options{.compare = {.ignore_times = true}};
  ASSERT_TRUE(SyncAside(options));
  ASSERT_EQ(*target_backend->Find("old", "a")->bytes, "one");
  MemoryStore later(world.runtime, source_backend);
  ASSERT_TRUE(world.Run(later.CreateBucket("later")));
  ASSERT_TRUE(world.Run(PutText(later, {.bucket = "later", .key = "a"}, "333")));
  // Behind the look at the target, before the copy is read.
  bool looked = false;
  target_faults.decide = [&](StoreOperation operation, std::string_view bucket,
                             std::string_view) -> std::optional<Error> {
    looked = looked || (operation == StoreOperation::kHead && bucket == "old");
    return std::nullopt;
  };
  int heads = 0;
  source_faults.decide = [&](StoreOperation operation, std::string_view,
                             std::string_view) -> std::optional<Error> {
    heads += looked && operation == StoreOperation::kHead ? 1 : 0;
    auto& object = source_backend->buckets["from"].objects["in/a"];
    if (heads > 0 && operation == StoreOperation::kGet) {
      object = source_backend->buckets["later"].objects["a"];
    }
    return std::nullopt;
  };
  ASSERT_TRUE(SyncAside(options));
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a"}));
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "two") << "set aside it is not";
  ASSERT_TRUE(SyncAside(options));
  EXPECT_EQ(*target_backend->Find("old", "a")->bytes, "two");
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "333");
}

// A store does not repeat what has a condition; and what is set aside nobody need be able to read.
TEST_F(SyncBackupTest, WithABackupAWriteThatFailsForAMomentIsSentAgain) {
  target_backend->options.capabilities.replace_if_match = true;
  target_backend->options.capabilities.create_if_absent = true;
  target_backend->options.capabilities.complete_if_absent = true;
  PutSource("a", "newer");
  PutSource("b", "new");
  PutTarget("a", "older one");
  int puts = 0;
  int heads = 0;
  target_faults.decide = [&](StoreOperation operation, std::string_view bucket,
                             std::string_view key) -> std::optional<Error> {
    if (operation == StoreOperation::kHead && bucket == "old") {
      return Error{.kind = ErrorKind::kDenied, .message = "no", .http_status = 403};
    }
    heads += operation == StoreOperation::kHead && key == "out/b" ? 1 : 0;
    if (operation == StoreOperation::kPut && bucket == "to" && ++puts <= 2) {
      return Retryable("500");
    }
    return std::nullopt;
  };
  ASSERT_TRUE(SyncAside({}));
  EXPECT_EQ(totals.copied, 2U);
  EXPECT_EQ(totals.failed, 0U);
  EXPECT_LE(heads, 2) << "what is new needs a look only when its write has failed";
  EXPECT_EQ(*target_backend->Find("old", "a")->bytes, "older one");
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "newer");
}

// Without a copy aside nothing may be replaced or removed.
TEST_F(SyncBackupTest, WhatCannotBeSetAsideStays) {
  PutSource("a", "new");
  PutSource("c", "new");
  PutTarget("a", "old one");
  PutTarget("b", "gone");
  const SyncOptions options{.remove = true, .remove_despite_failures = true};
  ASSERT_FALSE(SyncAside(options, "missing"));
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "old one");
  EXPECT_NE(target_backend->Find("to", "out/b"), nullptr);
  target_faults.decide = [](StoreOperation operation, std::string_view bucket,
                            std::string_view) -> std::optional<Error> {
    if (operation == StoreOperation::kCopy && bucket == "old") return Corrupt("no");
    return std::nullopt;
  };
  ASSERT_TRUE(SyncAside(options));
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "old one");
  EXPECT_NE(target_backend->Find("to", "out/b"), nullptr);
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace longhaul
