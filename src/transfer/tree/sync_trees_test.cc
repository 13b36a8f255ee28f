#include "transfer/tree/sync_trees.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>
#include <vector>

#include "base/process.h"
#include "tests/support/fake_state.h"
#include "tests/support/sync_fixture.h"
#include "tests/support/temp_dir.h"
#include "transfer/listing/listing.h"
#include "transfer/local/local_folder.h"
#include "transfer/object/upload_records.h"
#include "transfer/tree/may_remove_at.h"

namespace longhaul {
namespace {

using testing::MemoryStore;
using testing::StoreOperation;

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

Async<void> CloseBoth(Listing& one, Listing& other) {
  co_await one.Close();
  co_await other.Close();
  co_return Ok();
}

class SyncTreesTest : public testing::SyncFixture {};

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

// What the listings hold is held until all has been copied: with a small budget nothing would be
// left for the objects, and both would wait for each other.
TEST(SyncTreesMemoryTest, ListingsLeaveRoomForTheObjects) {
  testing::FakeWorld world{1, 64 << 20};
  auto from = std::make_shared<testing::MemoryStoreBackend>();
  auto to = std::make_shared<testing::MemoryStoreBackend>();
  from->buckets["b"];
  to->buckets["b"];
  testing::SyncFaults slow;
  MemoryStore source(world.runtime, from, &slow);
  MemoryStore target(world.runtime, to, &slow);
  // Both have been listed for some pages when the first is copied, and are not at their ends.
  for (MemoryStore* store : {&source, &target}) {
    for (int i = 0; i < 40; ++i) {
      const std::string name = (i < 20 ? "a" : "c") + std::to_string(i);
      ASSERT_TRUE(world.Run(PutText(*store, {.bucket = "b", .key = name}, "same")));
    }
  }
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(world.Run(PutText(source, {.bucket = "b", .key = "b" + std::to_string(i)},
                                  std::string(5 << 20, 'x'))));
  }
  const ListingOptions options{.parallel_from = std::chrono::milliseconds(1), .page_keys = 5};
  std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "b", "", options);
  std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "b", "", options);
  testing::SyncWatcher watcher;
  SyncTotals totals;
  ASSERT_TRUE(world.Run(SyncTrees(world.runtime, {.store = source, .bucket = "b", .prefix = ""},
                                  {.store = target, .bucket = "b", .prefix = ""}, *left,
                                  right.get(), {.in_flight = 1}, watcher, totals)));
  EXPECT_EQ(totals.copied, 3U);
  EXPECT_GE(world.memory.peak_bytes(), 10 << 20);  // The listings held some.
  ASSERT_TRUE(world.Run(CloseBoth(*left, *right)));
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

// Every console makes one. At the root of a bucket there is no key for it: it would fail for ever,
// and nothing be removed.
TEST_F(SyncTreesTest, TheMarkerOfTheSourcesPrefixHasNoKeyAtARoot) {
  PutSource("", "");
  PutSource("a", "1");
  PutTarget("extra", "1");
  MemoryStore source(world.runtime, source_backend);
  MemoryStore target(world.runtime, target_backend);
  for (const char* prefix : {"", "out/"}) {
    totals = {};
    watcher = {};
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", prefix);
    SyncOptions options{.remove = true};
    options.guard.percent_max = 100;
    ASSERT_TRUE(
        world.Run(SyncTrees(world.runtime, {.store = source, .bucket = "from", .prefix = "in/"},
                            {.store = target, .bucket = "to", .prefix = prefix}, *left, right.get(),
                            std::move(options), watcher, totals)));
    world.Run(left->Close());
    world.Run(right->Close());
    EXPECT_EQ(totals.failed, 0U) << prefix;
    const bool at_root = *prefix == '\0';
    EXPECT_EQ(watcher.skipped[""], at_root ? "folder marker" : "");
    EXPECT_EQ(watcher.copied.contains(""), !at_root);
    EXPECT_TRUE(watcher.copied.contains("a"));
  }
  EXPECT_EQ(TargetKeys(), (std::vector<std::string>{"a", "out/", "out/a"}));
}

// --immutable is to keep what is there, also what has come since the target was listed.
TEST_F(SyncTreesTest, ImmutableKeepsWhatHasComeSinceTheListing) {
  PutSource("other", "from the source");
  PutSource("same", "of both");
  target_faults.decide = [&](StoreOperation operation, std::string_view,
                             std::string_view key) -> std::optional<Error> {
    auto& objects = target_backend->buckets["to"].objects;
    if (operation == StoreOperation::kPut && !objects.contains(std::string(key))) {
      const std::string name(key.substr(key.find('/') + 1));
      PutTarget(name, name == "same" ? "of both" : "of somebody");
    }
    return std::nullopt;
  };
  ASSERT_TRUE(Sync({.compare = {.immutable = true}}));
  EXPECT_EQ(watcher.failed, (std::set<std::string>{"other"}));
  EXPECT_EQ(watcher.skipped["same"], "same bytes");
  EXPECT_EQ(*target_backend->Find("to", "out/other")->bytes, "of somebody");
  EXPECT_EQ(totals.copied, 0U);
}

// A server that nobody has proven to heed conditions is looked at before each write.
TEST_F(SyncTreesTest, ConditionsThatNobodyHasProvenAreNotRelied) {
  target_backend->options.capabilities.conditions_proven = false;
  target_backend->options.capabilities.create_if_absent = true;
  PutSource("a", "from the source");
  int looks = 0;
  target_faults.decide = [&](StoreOperation operation, std::string_view,
                             std::string_view) -> std::optional<Error> {
    if (operation == StoreOperation::kHead && ++looks == 1) PutTarget("a", "of somebody");
    return std::nullopt;
  };
  ASSERT_TRUE(Sync({.compare = {.ignore_existing = true}}));
  EXPECT_GE(looks, 1);
  EXPECT_EQ(*target_backend->Find("to", "out/a")->bytes, "of somebody");
  EXPECT_EQ(watcher.skipped["a"], "exists");
}

// Nor is what a server's own copies do with them.
TEST_F(SyncTreesTest, ConditionsOfCopiesAreNotReliedOn) {
  source_backend->options.capabilities.copy_conditions = false;
  source_backend->buckets["to"];
  PutSource("a", "from the source");
  MemoryStore direct(world.runtime, source_backend);
  MemoryStore store(world.runtime, source_backend, &source_faults);
  int looks = 0;
  source_faults.decide = [&](StoreOperation operation, std::string_view bucket,
                             std::string_view) -> std::optional<Error> {
    if (operation == StoreOperation::kHead && bucket == "to" && ++looks == 1) {
      EXPECT_TRUE(world.Run(PutText(direct, {.bucket = "to", .key = "out/a"}, "of somebody")));
    }
    return std::nullopt;
  };
  std::unique_ptr<Listing> left = OpenListing(world.runtime, store, "from", "in/");
  std::unique_ptr<Listing> right = OpenListing(world.runtime, store, "to", "out/");
  ASSERT_TRUE(SyncListed(store, store, *left, right.get(), {.compare = {.ignore_existing = true}}));
  EXPECT_GE(looks, 1);
  EXPECT_EQ(*source_backend->Find("to", "out/a")->bytes, "of somebody");
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

// Some stores forget the tags of an upload, and whoever sets them afterwards may be killed before
// that: by size and time the copy is as it should be, so no sync would look at it again.
TEST_F(SyncTreesTest, WhatWasCompletedAndNotSeenToIsSeenTo) {
  class Killed : public testing::FaultPlan {
   public:
    testing::Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
      if (operation != StoreOperation::kCompleteMultipart) return {};
      return {.error = Error{.kind = ErrorKind::kDenied, .message = "killed"},
              .effect = testing::Fault::Effect::kDone};
    }
  } killed;
  for (const auto& backend : {source_backend, target_backend}) {
    backend->options.capabilities.part_size_bytes_min = 1;
  }
  target_backend->options.uploads_take_tags = false;
  PutSource("big", std::string(5000, 'x'));
  const Tags tags{{"tier", "hot"}};
  source_backend->buckets["from"].objects["in/big"].back().tags = tags;
  auto rows = std::make_shared<testing::FakeStateBackend>();
  int processes = 0;
  auto sync = [&](testing::FaultPlan* faults, bool dry_run = false) {
    MemoryStore source(world.runtime, source_backend);
    MemoryStore target(world.runtime, target_backend, faults);
    testing::FakeState state(world.runtime, rows);
    ProcessName owner = ThisProcess();
    owner.started += ++processes;  // None that lives.
    UploadRecords records(world.runtime, state, owner, "run", "");
    std::unique_ptr<Listing> left = OpenListing(world.runtime, source, "from", "in/");
    std::unique_ptr<Listing> right = OpenListing(world.runtime, target, "to", "out/");
    target_backend->ResetCounts();
    return SyncListed(
        source, target, *left, right.get(),
        {.copy = {.multipart_threshold_bytes = 1, .part_size_bytes = 1000, .uploads = &records},
         .dry_run = dry_run});
  };
  ASSERT_TRUE(sync(&killed));
  EXPECT_EQ(watcher.failed, std::set<std::string>{"big"});
  const auto* copy = target_backend->Find("to", "out/big");
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(copy->tags, Tags());
  ASSERT_TRUE(sync(nullptr, /*dry_run=*/true));
  EXPECT_EQ(watcher.chosen, std::set<std::string>{"big"});
  ASSERT_TRUE(sync(nullptr));
  EXPECT_EQ(watcher.copied, (std::map<std::string, std::string>{{"big", "its copy did not end"}}));
  EXPECT_EQ(target_backend->count(StoreOperation::kUploadPart), 0);
  EXPECT_EQ(target_backend->Find("to", "out/big")->tags, tags);
  EXPECT_TRUE(rows->rows.empty());
  ASSERT_TRUE(sync(nullptr));
  EXPECT_EQ(watcher.skipped, (std::map<std::string, std::string>{{"big", "same"}}));
}

// What somebody has written there since is not the copy.
TEST_F(SyncTreesTest, WhatDidNotEndIsCopiedAgainOnlyWhereItIs) {
  auto rows = std::make_shared<testing::FakeStateBackend>();
  testing::FakeState state(world.runtime, rows);
  ProcessName owner = ThisProcess();
  ++owner.started;
  UploadRecords records(world.runtime, state, owner, "run", "");
  MemoryStore target(world.runtime, target_backend);
  PutSource("k", "1");
  PutTarget("k", "2");
  UploadRecord record{.store = target.description(),
                      .upload = {.bucket = "to", .key = "out/k", .upload_id = "u"},
                      .source_etag = source_backend->Find("from", "in/k")->info.etag,
                      .source_size_bytes = 1,
                      .completes_as = "another"};
  ASSERT_TRUE(world.Run(records.Add(record)));
  ASSERT_TRUE(Sync({.copy = {.uploads = &records}}));
  EXPECT_EQ(watcher.skipped.size(), 1U);
  EXPECT_EQ(*target_backend->Find("to", "out/k")->bytes, "2");
}

// A copy that goes on would copy all that has tags again where the target's HEAD tells of none.
TEST_F(SyncTreesTest, TagsThatTheTargetsHeadDoesNotTellAreAskedFor) {
  target_backend->options.heads_tell_tags = false;
  for (const char* name : {"same", "other", "none"}) {
    PutSource(name, name);
    PutTarget(name, name);
  }
  auto tags = [](testing::MemoryStoreBackend& backend, const char* bucket,
                 const char* key) -> Tags& {
    return backend.buckets[bucket].objects[key].back().tags;
  };
  tags(*source_backend, "from", "in/same") = {{"tier", "hot"}};
  tags(*target_backend, "to", "out/same") = {{"tier", "hot"}};
  tags(*source_backend, "from", "in/other") = {{"tier", "hot"}};
  tags(*target_backend, "to", "out/other") = {{"tier", "cold"}};
  ASSERT_TRUE(Sync({.compare = {.checksum = true}, .descriptions = true}));
  EXPECT_EQ(watcher.copied,
            (std::map<std::string, std::string>{{"other", "headers, metadata or tags differ"}}));
  EXPECT_EQ(watcher.skipped.size(), 2U);
  EXPECT_EQ(target_backend->count(StoreOperation::kGetTags), 2) << "none for what has none";
}

}  // namespace
}  // namespace longhaul
