// Folders that may not be read, at a source, at a target and at both.

#include "transfer/tree/unlisted_folders.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/sync_fixture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/without_overrides.h"
#include "transfer/local/local_folder.h"
#include "transfer/tree/compare_trees.h"

namespace longhaul {
namespace {

using testing::MemoryStore;

class UnlistedFoldersTest : public testing::SyncFixture {
 protected:
  UnlistedFoldersTest() {
    for (const char* name : {"a", "m/1", "m/2", "m/n/3", "z"}) Write(name);
  }
  void Write(const std::string& name) {
    const std::filesystem::path path = folder.file(name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "here";
  }
  Result<void> SyncFolder(SyncOptions options = {}) {
    options.leave_out_unreadable = true;
    LocalFolder source(world.runtime);
    MemoryStore target(world.runtime, target_backend);
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, folder.path() + "/", "");
    std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
    totals = {};
    watcher = {};
    Result<void> done = world.Run(
        SyncTrees(world.runtime, {.store = source, .bucket = folder.path() + "/", .prefix = ""},
                  {.store = target, .bucket = "to", .prefix = "out/"}, *left, right.get(),
                  std::move(options), watcher, totals));
    world.Run(left->Close());
    world.Run(right->Close());
    return done;
  }

  testing::WithoutOverrides rights;
  testing::TempDir folder;
};

TEST_F(UnlistedFoldersTest, TheRestIsCarriedAndTheFolderNamed) {
  testing::UnreadableFolder closed(folder.file("m"));
  Result<void> done = SyncFolder();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(TargetKeys(), (std::vector<std::string>{"out/a", "out/z"}));
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"m/"}));
  EXPECT_EQ(totals.failed, 1U);
  EXPECT_EQ(totals.unlisted, 1U);
  ASSERT_TRUE(watcher.last);
  EXPECT_EQ(watcher.last->kind, ErrorKind::kDenied);
  EXPECT_TRUE(watcher.last->message.contains(folder.file("m"))) << watcher.last->message;
  closed.Open();
  ASSERT_TRUE(SyncFolder());
  EXPECT_EQ(TargetKeys().size(), 5U);
  EXPECT_EQ(totals.failed, 0U);
}

// Names without anything behind them: a folder that may be read and not searched.
TEST_F(UnlistedFoldersTest, AFolderWhoseFilesMayNotBeLookedAtIsOne) {
  ASSERT_EQ(::chmod(folder.file("m").c_str(), 0400), 0);
  Result<void> done = SyncFolder();
  ASSERT_EQ(::chmod(folder.file("m").c_str(), 0700), 0);
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(TargetKeys(), (std::vector<std::string>{"out/a", "out/z"}));
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"m/"}));
}

// What is below it at the target is not "only there". And nothing else goes either: rsync and
// rclone remove nothing after an error of the source's listing.
TEST_F(UnlistedFoldersTest, NothingIsRemovedAfterOne) {
  for (const char* name : {"m/1", "m/only", "extra"}) PutTarget(name, "there");
  testing::UnreadableFolder closed(folder.file("m"));
  for (const bool despite : {false, true}) {
    ASSERT_TRUE(SyncFolder({.remove = true, .remove_despite_failures = despite}));
    EXPECT_EQ(totals.removed, 0U);
    EXPECT_TRUE(totals.removals_withheld);
    EXPECT_EQ(watcher.extra, (std::set<std::string>{"extra"}));
    EXPECT_EQ(TargetKeys(),
              (std::vector<std::string>{"out/a", "out/extra", "out/m/1", "out/m/only", "out/z"}));
  }
  closed.Open();
  ASSERT_TRUE(SyncFolder({.remove = true}));
  EXPECT_EQ(watcher.removed, (std::set<std::string>{"extra", "m/only"}));
}

// Whoever keeps a journal goes on behind the last name that was told.
TEST_F(UnlistedFoldersTest, OneThatTheRunHasNotComeToIsNotTold) {
  testing::UnreadableFolder closed(folder.file("m"));
  Result<void> done = SyncFolder({.bytes_max = 2});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, kLimitCode);
  EXPECT_TRUE(watcher.failed.empty());
}

// A lost+found that nobody wants must not keep a nightly run from ever being well.
TEST_F(UnlistedFoldersTest, OneThatIsLeftOutIsNoFailure) {
  PutTarget("extra", "there");
  testing::UnreadableFolder closed(folder.file("m"));
  SyncOptions options{.remove = true};
  options.filter.AddGlob(false, "m/*", "");
  ASSERT_TRUE(SyncFolder(options));
  EXPECT_EQ(totals.failed, 0U);
  EXPECT_EQ(watcher.removed, (std::set<std::string>{"extra"}));
}

// Who has not asked for it is not told less than all.
TEST_F(UnlistedFoldersTest, AListingEndsUnlessSomebodyHasAsked) {
  testing::UnreadableFolder closed(folder.file("m"));
  LocalFolder store(world.runtime);
  const std::string bucket = folder.path() + "/";
  EXPECT_FALSE(world.Run(store.List({.bucket = bucket})));
  store.LeaveOutUnreadable(bucket, "other/");
  EXPECT_FALSE(world.Run(store.List({.bucket = bucket})));
  store.LeaveOutUnreadable(bucket, "");
  Result<ListPage> page = world.Run(store.List({.bucket = bucket}));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->objects.size(), 2U);
  std::vector<LeftOutFolder> left = store.TakeUnreadable(bucket, "");
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].prefix, "m/");
  EXPECT_TRUE(store.TakeUnreadable(bucket, "").empty());
  // Not the one that was asked for.
  testing::UnreadableFolder all(folder.path());
  EXPECT_FALSE(world.Run(store.List({.bucket = bucket})));
}

class Compared : public CompareObserver {
 public:
  void OnDifference(const Difference& difference) override {
    differences.insert(std::string(difference.name));
  }
  void OnFailed(std::string_view name, const Error&) override { failed.emplace(name); }
  std::set<std::string> differences, failed;
};

// Neither equal nor different: nobody knows.
TEST_F(UnlistedFoldersTest, WhatWasNotReadIsNotCompared) {
  ASSERT_TRUE(SyncFolder());
  PutTarget("m/only", "there");
  PutTarget("zz", "there");
  testing::UnreadableFolder closed(folder.file("m"));
  for (const bool local_source : {true, false}) {
    LocalFolder local(world.runtime);
    MemoryStore remote(world.runtime, target_backend);
    const TreeSource files{.store = local, .bucket = folder.path() + "/", .prefix = ""};
    const TreeSource objects{.store = remote, .bucket = "to", .prefix = "out/"};
    const TreeSource& source = local_source ? files : objects;
    const TreeSource& target = local_source ? objects : files;
    Compared observer;
    CompareTotals compared;
    Result<void> done = world.Run(CompareTrees(
        world.runtime, source,
        {.store = target.store, .bucket = target.bucket, .prefix = target.prefix},
        {.download = true, .metadata = false, .leave_out_unreadable = true, .roots = true},
        observer, compared));
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(observer.failed, (std::set<std::string>{"m/"}));
    EXPECT_EQ(observer.differences, (std::set<std::string>{"zz"}));
    EXPECT_EQ(compared.failed, 1U);
    EXPECT_EQ(compared.equal, 2U);
    EXPECT_EQ(compared.different, 1U);
    EXPECT_EQ(compared.source_root + compared.target_root, "");
  }
}

}  // namespace
}  // namespace longhaul
