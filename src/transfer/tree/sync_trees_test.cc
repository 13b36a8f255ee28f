#include "transfer/tree/sync_trees.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <set>
#include <vector>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "transfer/listing/listing.h"
#include "transfer/local/local_file.h"
#include "transfer/local/local_folder.h"
#include "transfer/object/relay.h"
#include "transfer/tree/may_remove_at.h"
#include "transfer/tree/store_wide.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

class Faults : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view bucket, std::string_view key) override {
    Fault fault;
    fault.delay = std::chrono::milliseconds(1);
    if (decide) fault.error = decide(operation, bucket, key);
    return fault;
  }
  std::function<std::optional<Error>(StoreOperation, std::string_view, std::string_view)> decide;
};

class Watcher : public SyncObserver {
 public:
  void OnCopied(const SyncStep& step, const CopyOutcome&) override {
    copied[std::string(step.name)] = step.decision.reason;
  }
  void OnSkipped(const SyncStep& step) override {
    skipped[std::string(step.name)] = step.decision.reason;
  }
  void OnExcluded(const SyncStep& step) override { excluded.emplace(step.name); }
  void OnListedAll() override { listed_all = true; }
  void OnExtra(const SyncStep& step) override { extra.emplace(step.name); }
  void OnRemoved(const SyncStep& step) override { removed.emplace(step.name); }
  void OnChosen(const SyncStep& step) override { chosen.emplace(step.name); }
  void OnFailed(const SyncStep& step, const Error& error) override {
    failed.emplace(step.name);
    told += step.store_wide ? 0 : 1;
    last = error;
  }
  std::map<std::string, std::string> copied;
  std::map<std::string, std::string> skipped;
  std::set<std::string> excluded, extra, removed, chosen, failed;
  bool listed_all = false;
  int told = 0;
  std::optional<Error> last;
};

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

// A listing as it was kept.
class KeptBefore : public Listing {
 public:
  explicit KeptBefore(std::vector<ListedObject> objects) : objects_(std::move(objects)) {}
  Async<std::optional<ListedObject>> Next() override {
    if (next_ < objects_.size()) co_return std::optional<ListedObject>(objects_[next_++]);
    co_return std::nullopt;
  }
  asio::awaitable<void> Close() override { co_return; }

 private:
  std::vector<ListedObject> objects_;
  size_t next_ = 0;
};

class SyncTreesTest : public ::testing::Test {
 protected:
  SyncTreesTest() {
    source_backend->buckets["from"];
    target_backend->buckets["to"];
  }
  void PutSource(const std::string& name, const std::string& text) {
    MemoryStore store(world.runtime, source_backend);
    ASSERT_TRUE(world.Run(PutText(store, {.bucket = "from", .key = "in/" + name}, text)));
  }
  void PutTarget(const std::string& name, const std::string& text) {
    MemoryStore store(world.runtime, target_backend);
    ASSERT_TRUE(world.Run(PutText(store, {.bucket = "to", .key = "out/" + name}, text)));
  }
  Result<void> Sync(SyncOptions options = {}) {
    MemoryStore source(world.runtime, source_backend, &source_faults);
    MemoryStore target(world.runtime, target_backend, &target_faults);
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
    return SyncListed(source, target, *left, right.get(), std::move(options));
  }
  Result<void> SyncListed(Store& source, Store& target, Listing& left, Listing* right,
                          SyncOptions options) {
    totals = {};
    watcher = {};
    Result<void> done =
        world.Run(SyncTrees(world.runtime, {.store = source, .bucket = "from", .prefix = "in/"},
                            {.store = target, .bucket = "to", .prefix = "out/"}, left, right,
                            std::move(options), watcher, totals));
    world.Run(left.Close());
    if (right != nullptr) world.Run(right->Close());
    EXPECT_EQ(world.memory.reserved_bytes(), 0);
    return done;
  }
  std::vector<std::string> TargetKeys() { return target_backend->Keys("to"); }

  FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> source_backend = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> target_backend = std::make_shared<MemoryStoreBackend>();
  Faults source_faults;
  Faults target_faults;
  Watcher watcher;
  SyncTotals totals;
};

// The upload of "image" began before the target got what was there, and ended after it.
TEST_F(SyncTreesTest, WhatWasUploadedInPartsWhileItWasCopiedIsCopied) {
  source_backend->options.capabilities.part_size_bytes_min = 1;
  MemoryStore source(world.runtime, source_backend);
  PutTarget("image", "old");
  Result<MultipartUpload> upload =
      world.Run(source.CreateMultipart({.bucket = "from", .key = "in/image"}));
  ASSERT_TRUE(upload);
  CompleteRequest complete{.upload = *upload};
  for (int number : {1, 2}) {
    MemorySource body(std::string_view(number == 1 ? "n" : "ew"));
    Result<UploadedPart> part = world.Run(source.UploadPart(*upload, number, body));
    ASSERT_TRUE(part);
    complete.parts.push_back(*part);
  }
  ASSERT_TRUE(world.Run(source.CompleteMultipart(complete)));
  source_backend->buckets["from"].objects["in/image"][0].info.last_modified =
      target_backend->Find("to", "out/image")->info.last_modified - std::chrono::seconds(5);

  // Nothing tells, or nobody may look: the times do.
  for (bool denied : {true, false}) {
    source_backend->options.capabilities.checksums = denied;
    target_faults.decide = [denied](StoreOperation operation, std::string_view,
                                    std::string_view) -> std::optional<Error> {
      if (!denied || operation != StoreOperation::kHead) return std::nullopt;
      return Error{.kind = ErrorKind::kDenied, .message = "denied"};
    };
    ASSERT_TRUE(Sync());
    EXPECT_EQ(totals.copied, 0U);
    EXPECT_EQ(totals.failed, 0U);
    EXPECT_EQ(watcher.skipped["image"], "same");
  }
  source_backend->options.capabilities.checksums = true;
  target_faults.decide = {};
  ASSERT_TRUE(Sync());
  EXPECT_EQ(watcher.copied["image"], "bytes differ");
  EXPECT_EQ(*target_backend->Find("to", "out/image")->bytes, "new");
}

// The state of then may have expired at the source, and the copy be all that is left of it. What
// has only come since goes: the source has it.
TEST_F(SyncTreesTest, OfATimeOnlyWhatTheSourceStillHasIsRemoved) {
  MemoryStore source(world.runtime, source_backend);
  MemoryStore target(world.runtime, target_backend);
  ASSERT_TRUE(world.Run(source.SetVersioning("from", true)));
  PutSource("kept", "1");
  PutSource("deleted", "1");
  ASSERT_TRUE(world.Run(source.Remove({.bucket = "from", .key = "in/deleted"})));
  world.clock.Advance(std::chrono::seconds(10));
  const SystemTime time = world.clock.Now();
  world.clock.Advance(std::chrono::seconds(10));
  PutSource("expired", "younger");
  PutSource("expired-too", "younger");
  PutSource("new", "since");
  PutTarget("kept", "1");
  PutTarget("deleted", "1");
  PutTarget("expired", "as it was then");
  PutTarget("new", "since");
  PutTarget("of-nowhere", "1");
  SyncOptions options;
  options.remove = true;
  options.guard.percent_max = 100;
  options.remove_despite_failures = true;
  options.may_remove = [&source, time](const std::string& name, ListedObject there) {
    return MayRemoveAt(source, "from", "in/" + name, time, std::move(there));
  };
  std::unique_ptr<Listing> left = OpenListingAt(world.runtime, source, "from", "in/", time);
  std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
  ASSERT_TRUE(SyncListed(source, target, *left, right.get(), options));
  EXPECT_EQ(watcher.failed, std::set<std::string>{"expired"});
  EXPECT_EQ(watcher.removed, (std::set<std::string>{"deleted", "new", "of-nowhere"}));
  EXPECT_EQ(TargetKeys(), (std::vector<std::string>{"out/expired", "out/kept"}));
}

TEST_F(SyncTreesTest, CopiesWhatDiffersAndNothingTheSecondTime) {
  PutSource("new", "1");
  PutSource("same", "2");
  PutSource("longer", "333");
  world.clock.Advance(std::chrono::seconds(10));
  PutTarget("same", "2");
  PutTarget("longer", "3");
  PutTarget("extra", "4");
  ASSERT_TRUE(Sync());
  EXPECT_EQ(watcher.copied,
            (std::map<std::string, std::string>{{"longer", "size differs"}, {"new", "new"}}));
  EXPECT_EQ(watcher.skipped, (std::map<std::string, std::string>{{"same", "same"}}));
  EXPECT_EQ(watcher.extra, (std::set<std::string>{"extra"}));
  EXPECT_EQ(totals.removed, 0U);
  EXPECT_EQ(*target_backend->Find("to", "out/longer")->bytes, "333");
  EXPECT_NE(target_backend->Find("to", "out/extra"), nullptr);

  source_backend->ResetCounts();
  target_backend->ResetCounts();
  ASSERT_TRUE(Sync());
  EXPECT_EQ(totals.copied, 0U);
  EXPECT_EQ(totals.skipped, 3U);
  // Nothing to do takes two listings and no look at any object.
  EXPECT_EQ(source_backend->total_count(), 1);
  EXPECT_EQ(target_backend->total_count(), 1);
}

// MinIO, GCS, Ceph, R2: a listing has milliseconds, an answer to GET or HEAD whole seconds.
class SecondsStore : public MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  Async<ObjectInfo> Head(HeadRequest request) override {
    Result<ObjectInfo> info = co_await MemoryStore::Head(std::move(request));
    if (info) Floor(info->last_modified);
    co_return info;
  }
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at) override {
    Result<ObjectStream> stream = co_await MemoryStore::Get(std::move(request), absent_at);
    if (stream) Floor(stream->info.last_modified);
    co_return stream;
  }

 private:
  static void Floor(SystemTime& time) { time = std::chrono::floor<std::chrono::seconds>(time); }
};

Async<void> CloseBoth(Listing& one, Listing& other) {
  co_await one.Close();
  co_await other.Close();
  co_return Ok();
}

// Else a folder is downloaded anew by each run, with nothing to do.
TEST_F(SyncTreesTest, AFolderHasTheTimesOfTheListing) {
  testing::RealWorld disk;
  testing::TempDir folder;
  SecondsStore source(disk.runtime, source_backend);
  LocalFolder target(disk.runtime);
  // The larger one goes by parts, after a look at it.
  for (size_t size : {size_t{1}, (size_t{64} << 20) + 1}) {
    ASSERT_TRUE(disk.Run(PutText(source, {.bucket = "from", .key = "in/" + std::to_string(size)},
                                 std::string(size, 'x'))));
    source_backend->buckets["from"]
        .objects["in/" + std::to_string(size)]
        .back()
        .info.last_modified += std::chrono::milliseconds(512);
  }
  for (uint64_t copied : {2U, 0U}) {
    std::unique_ptr<Listing> left = OpenListing(disk.runtime, source, "from", "in/");
    std::unique_ptr<Listing> right = OpenListing(disk.runtime, target, folder.path(), "");
    totals = {};
    ASSERT_TRUE(
        disk.Run(SyncTrees(disk.runtime, {.store = source, .bucket = "from", .prefix = "in/"},
                           {.store = target, .bucket = folder.path(), .prefix = ""}, *left,
                           right.get(), {}, watcher, totals)));
    ASSERT_TRUE(disk.Run(CloseBoth(*left, *right)));
    EXPECT_EQ(totals.copied, copied);
  }
}

TEST_F(SyncTreesTest, DryRunChangesNothing) {
  PutSource("new", "1");
  PutTarget("extra", "4");
  ASSERT_TRUE(Sync({.dry_run = true, .remove = true}));
  EXPECT_EQ(watcher.chosen, (std::set<std::string>{"new"}));
  EXPECT_EQ(watcher.removed, (std::set<std::string>{"extra"}));
  EXPECT_EQ(TargetKeys(), (std::vector<std::string>{"out/extra"}));
}

TEST_F(SyncTreesTest, RemovesWhatIsOnlyAtTheTarget) {
  PutSource("a", "1");
  PutTarget("a0", "1");
  for (int i = 0; i < 900; ++i) PutTarget("x" + std::to_string(i), "1");
  for (int i = 0; i < 900; ++i) PutSource("x" + std::to_string(i), "1");
  PutTarget("z", "1");
  ASSERT_TRUE(Sync({.remove = true}));
  EXPECT_EQ(watcher.removed, (std::set<std::string>{"a0", "z"}));
  EXPECT_EQ(TargetKeys().size(), 901U);
}

// What a filter leaves out is nobody's to remove, unless asked for.
TEST_F(SyncTreesTest, FiltersProtectFromRemoval) {
  PutSource("a.log", "1");
  PutTarget("b.log", "1");
  PutTarget("b.txt", "1");
  SyncOptions options{.remove = true};
  options.filter.AddGlob(false, "*.txt", "");
  ASSERT_TRUE(Sync(options));
  EXPECT_EQ(watcher.removed, (std::set<std::string>{"b.log"}));
  EXPECT_NE(target_backend->Find("to", "out/b.txt"), nullptr);
  options.remove_excluded = true;
  ASSERT_TRUE(Sync(options));
  EXPECT_EQ(watcher.removed, (std::set<std::string>{"b.txt"}));
}

// An object that has become too large to be copied is still there: its copy is not "extra".
TEST_F(SyncTreesTest, ASourceThatAFilterLeavesOutKeepsItsCopy) {
  PutSource("big", "12345");
  PutSource("small", "1");
  PutTarget("big", "1");
  SyncOptions options{.remove = true};
  options.filter.size_bytes_max = 3;
  ASSERT_TRUE(Sync(options));
  EXPECT_EQ(totals.removed, 0U);
  EXPECT_EQ(TargetKeys().size(), 2U);
}

class OldTargetListingTest : public SyncTreesTest {
 protected:
  // What the target has now, for SyncBy later.
  std::vector<ListedObject> Keep() {
    MemoryStore store(world.runtime, target_backend);
    std::unique_ptr<Listing> listing = OpenListing(world.runtime, store, "to", "out/");
    std::vector<ListedObject> objects;
    while (true) {
      auto next = world.Run(listing->Next());
      EXPECT_TRUE(next);
      if (!next || !*next) break;
      objects.push_back(std::move(**next));
    }
    world.Run(listing->Close());
    return objects;
  }
  Result<void> SyncBy(std::vector<ListedObject> kept, bool remove) {
    MemoryStore source(world.runtime, source_backend, &source_faults);
    MemoryStore target(world.runtime, target_backend, &target_faults);
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    KeptBefore right(std::move(kept));
    return SyncListed(
        source, target, *left, &right,
        {.remove = remove, .remove_despite_failures = true, .target_listed_before = true});
  }
  std::string TextOf(const std::string& name) {
    const auto* version = target_backend->Find("to", "out/" + name);
    return version == nullptr ? "" : *version->bytes;
  }
};

// A listing of yesterday must not replace or remove what somebody has written since.
TEST_F(OldTargetListingTest, WhatHasChangedSinceStays) {
  for (const char* name : {"appeared", "changed", "fine"}) PutSource(name, "from the source");
  for (const char* name : {"changed", "fine", "x", "x-changed", "x-gone"}) PutTarget(name, "old");
  std::vector<ListedObject> kept = Keep();
  for (const char* name : {"appeared", "changed", "x-changed"}) PutTarget(name, "of today");
  MemoryStore target(world.runtime, target_backend);
  ASSERT_TRUE(world.Run(target.Remove({.bucket = "to", .key = "out/x-gone"})));

  ASSERT_TRUE(SyncBy(kept, true));
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"appeared", "changed", "x-changed"}));
  EXPECT_TRUE(watcher.last->message.contains("has changed since it was listed"));
  for (const char* name : {"appeared", "changed", "x-changed"}) EXPECT_EQ(TextOf(name), "of today");
  EXPECT_EQ(TextOf("fine"), "from the source");
  EXPECT_EQ(TextOf("x"), "");
  EXPECT_EQ(totals.copied, 1U);
}

// Nor what is written between the look and the copy.
TEST_F(OldTargetListingTest, AWriteBesideTheCopyStays) {
  PutSource("fine", "from the source");
  PutTarget("fine", "old");
  target_faults.decide = [&](StoreOperation operation, std::string_view,
                             std::string_view) -> std::optional<Error> {
    if (operation == StoreOperation::kPut) {
      auto& version = target_backend->buckets["to"].objects["out/fine"].back();
      version.bytes = std::make_shared<const std::string>("of today");
      version.info.etag = "0123456789abcdef0123456789abcdef";
    }
    return std::nullopt;
  };
  ASSERT_TRUE(SyncBy(Keep(), false));
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"fine"}));
  EXPECT_EQ(TextOf("fine"), "of today");
}

// Ceph refuses each If-Match in some buckets; what has just been looked at is replaced all the
// same.
TEST_F(OldTargetListingTest, AServerWithoutConditionsIsWrittenToAfterALook) {
  PutSource("fine", "from the source");
  PutTarget("fine", "old");
  int puts = 0;
  target_faults.decide = [&](StoreOperation operation, std::string_view,
                             std::string_view) -> std::optional<Error> {
    if (operation == StoreOperation::kPut && ++puts == 1) return PreconditionFailed("If-Match");
    return std::nullopt;
  };
  ASSERT_TRUE(SyncBy(Keep(), false));
  EXPECT_EQ(TextOf("fine"), "from the source");
}

// ---- What must keep a removal from happening, cause by cause.

class SyncRemovalsTest : public SyncTreesTest {
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

// ---- What is wrong with a store as a whole is said once.

class StoreWideTest : public SyncTreesTest {
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

TEST_F(StoreWideTest, AStoreThatGoesAwayEndsTheRun) {
  target_faults.decide = FailPuts(Retryable("no answer"), 100);
  Result<void> done = Copy({.in_flight = 16});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kRetryable);
  EXPECT_LT(Puts(), 300);
}

// ---- What is replaced or removed is kept aside.

TEST_F(SyncTreesTest, BackupKeepsWhatIsReplacedAndRemoved) {
  PutSource("a", "new");
  PutTarget("a", "old one");
  PutTarget("b", "gone");
  target_backend->buckets["old"];
  MemoryStore source(world.runtime, source_backend);
  MemoryStore target(world.runtime, target_backend);
  std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
  std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
  SyncOptions options{.remove = true};
  options.backup.emplace(TreeTarget{.store = target, .bucket = "old", .prefix = "kept/"});
  ASSERT_TRUE(SyncListed(source, target, *left, right.get(), options));
  EXPECT_EQ(totals.removed, 1U);
  EXPECT_EQ(target_backend->Keys("old"), (std::vector<std::string>{"kept/a", "kept/b"}));
  EXPECT_EQ(*target_backend->Find("old", "kept/a")->bytes, "old one");
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "new");
}

// A run that broke off and goes on, or is made again, finds its own copy at the target: what is set
// aside is the state of before it.
TEST_F(SyncTreesTest, ABackupIsNotReplacedByTheCopy) {
  target_backend->buckets["old"];
  PutSource("a", "newer");
  PutTarget("a", "older");
  MemoryStore source(world.runtime, source_backend);
  MemoryStore target(world.runtime, target_backend);
  SyncOptions options{.compare = {.ignore_times = true}};
  options.backup.emplace(TreeTarget{.store = target, .bucket = "old", .prefix = ""});
  const auto sync = [&] {
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
    ASSERT_TRUE(SyncListed(source, target, *left, right.get(), options));
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
TEST_F(SyncTreesTest, OnlyWhatWasSetAsideIsReplacedOrRemoved) {
  target_backend->options.capabilities.replace_if_match = true;
  target_backend->options.capabilities.delete_if_match = true;
  target_backend->buckets["old"];
  PutSource("a", "new");
  PutTarget("a", "old one");
  PutTarget("b", "gone");
  MemoryStore source(world.runtime, source_backend);
  MemoryStore target(world.runtime, target_backend, &target_faults);
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
  std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
  std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
  SyncOptions options{.remove = true, .remove_despite_failures = true};
  options.backup.emplace(TreeTarget{.store = target, .bucket = "old", .prefix = ""});
  ASSERT_TRUE(SyncListed(source, target, *left, right.get(), options));
  EXPECT_TRUE(target_backend->buckets["later"].objects.empty());
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a", "b"}));
  for (const char* key : {"out/a", "out/b"}) {
    ASSERT_NE(target_backend->Find("to", key), nullptr) << key;
    EXPECT_EQ(*target_backend->Find("to", key)->bytes, "somebody's") << key;
  }
}

// The copy that was found at the target is that of one state of the source: what the source becomes
// then may not replace it.
TEST_F(SyncTreesTest, WhatASourceBecomesDoesNotReplaceWhatWasNotSetAside) {
  target_backend->options.capabilities.replace_if_match = true;
  target_backend->buckets["old"];
  PutSource("a", "two");
  PutTarget("a", "one");
  MemoryStore source(world.runtime, source_backend, &source_faults);
  MemoryStore target(world.runtime, target_backend, &target_faults);
  SyncOptions options{.compare = {.ignore_times = true}};
  options.backup.emplace(TreeTarget{.store = target, .bucket = "old", .prefix = ""});
  const auto sync = [&] {
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
    ASSERT_TRUE(SyncListed(source, target, *left, right.get(), options));
  };
  sync();
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
  sync();
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a"}));
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "two") << "set aside it is not";
  sync();
  EXPECT_EQ(*target_backend->Find("old", "a")->bytes, "two");
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "333");
}

// A store does not repeat what has a condition; and what is set aside nobody need be able to read.
TEST_F(SyncTreesTest, WithABackupAWriteThatFailsForAMomentIsSentAgain) {
  target_backend->options.capabilities.replace_if_match = true;
  target_backend->options.capabilities.create_if_absent = true;
  target_backend->options.capabilities.complete_if_absent = true;
  target_backend->buckets["old"];
  PutSource("a", "newer");
  PutSource("b", "new");
  PutTarget("a", "older one");
  MemoryStore source(world.runtime, source_backend);
  MemoryStore target(world.runtime, target_backend, &target_faults);
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
  std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
  std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
  SyncOptions options;
  options.backup.emplace(TreeTarget{.store = target, .bucket = "old", .prefix = ""});
  ASSERT_TRUE(SyncListed(source, target, *left, right.get(), options));
  EXPECT_EQ(totals.copied, 2U);
  EXPECT_EQ(totals.failed, 0U);
  EXPECT_LE(heads, 2) << "what is new needs a look only when its write has failed";
  EXPECT_EQ(*target_backend->Find("old", "a")->bytes, "older one");
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "newer");
}

// Without a copy aside nothing may be replaced or removed.
TEST_F(SyncTreesTest, WhatCannotBeSetAsideStays) {
  PutSource("a", "new");
  PutSource("c", "new");
  PutTarget("a", "old one");
  PutTarget("b", "gone");
  MemoryStore source(world.runtime, source_backend);
  MemoryStore target(world.runtime, target_backend);
  std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
  std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
  SyncOptions options{.remove = true, .remove_despite_failures = true};
  options.backup.emplace(TreeTarget{.store = target, .bucket = "missing", .prefix = ""});
  ASSERT_FALSE(SyncListed(source, target, *left, right.get(), options));
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "old one");
  EXPECT_NE(target_backend->Find("to", "out/b"), nullptr);
  target_faults.decide = [](StoreOperation operation, std::string_view bucket,
                            std::string_view) -> std::optional<Error> {
    if (operation == StoreOperation::kCopy && bucket == "old") return Corrupt("no");
    return std::nullopt;
  };
  target_backend->buckets["old"];
  MemoryStore faulty(world.runtime, target_backend, &target_faults);
  options.backup.emplace(TreeTarget{.store = faulty, .bucket = "old", .prefix = ""});
  left = OpenListing(world.runtime, source, "from", "in/");
  right = OpenListing(world.runtime, faulty, "to", "out/");
  ASSERT_TRUE(SyncListed(source, faulty, *left, right.get(), options));
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "old one");
  EXPECT_NE(target_backend->Find("to", "out/b"), nullptr);
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"a", "b"}));
}

// ---- Limits end a run in order, and nothing is removed then.

TEST_F(SyncTreesTest, MaxTransferEndsInOrder) {
  for (int i = 0; i < 10; ++i) PutSource(std::to_string(i), "12345");
  PutTarget("extra", "1");
  Result<void> done = Sync({.remove = true, .bytes_max = 23});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, kLimitCode);
  EXPECT_EQ(totals.copied, 4U);
  EXPECT_EQ(totals.removed, 0U);
}

TEST_F(SyncTreesTest, MaxDurationEndsInOrder) {
  for (int i = 0; i < 500; ++i) PutSource(std::to_string(i), "12345");
  PutTarget("extra", "1");
  Result<void> done = Sync({.in_flight = 1,
                            .remove = true,
                            .until = world.clock.SteadyNow() + std::chrono::milliseconds(100)});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, kLimitCode);
  EXPECT_GT(totals.copied, 0U);
  EXPECT_LT(totals.copied, 100U);
  EXPECT_EQ(totals.removed, 0U);
}

// ---- Bytes alone decide with --checksum.

TEST_F(SyncTreesTest, ChecksumsDecideAndNothingIsRead) {
  PutSource("same", "11");
  PutTarget("same", "11");
  PutTarget("other", "22");
  world.clock.Advance(std::chrono::seconds(10));
  PutSource("other", "33");  // Of the same size.
  PutSource("touched", "44");
  PutTarget("touched", "44");
  source_backend->ResetCounts();
  ASSERT_TRUE(Sync({.compare = {.checksum = true}}));
  EXPECT_EQ(watcher.copied, (std::map<std::string, std::string>{{"other", "bytes differ"}}));
  EXPECT_EQ(watcher.skipped, (std::map<std::string, std::string>{{"same", "same bytes"},
                                                                 {"touched", "same bytes"}}));
  EXPECT_EQ(source_backend->count(StoreOperation::kGet), 1);
}

// ---- A move removes nothing that was not copied as it is.

class MoveTest : public SyncTreesTest {
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
