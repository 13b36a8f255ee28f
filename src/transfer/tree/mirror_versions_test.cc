#include "transfer/tree/mirror_versions.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <vector>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "transfer/tree/version_history.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::MemoryStoreOptions;
using testing::StoreOperation;

class Faults : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view key) override {
    Fault fault;
    if (decide) fault = decide(operation, key);
    // A large version takes longer than the small one behind it.
    if (fault.delay.count() == 0) fault.delay = std::chrono::milliseconds(1 + (++count_ * 7) % 13);
    return fault;
  }
  std::function<Fault(StoreOperation, std::string_view)> decide;

 private:
  int count_ = 0;
};

class Watcher : public SyncObserver {
 public:
  void OnFailed(const SyncStep& step, const Error& error) override {
    failed[std::string(step.name)] = error.message;
  }
  void OnLooking(const SyncStep& step) override { begun += step.name; }
  void OnEnded(const SyncStep& step) override { ended += step.name; }
  void OnListedAll() override { listed_all = true; }
  std::string begun;
  std::string ended;
  bool listed_all = false;
  std::map<std::string, std::string> failed;
};

class MirrorVersionsTest : public ::testing::Test {
 protected:
  MirrorVersionsTest() { SetUpStores({}); }
  void SetUpStores(MemoryStoreOptions target_options) {
    source_backend = std::make_shared<MemoryStoreBackend>();
    target_backend = std::make_shared<MemoryStoreBackend>(std::move(target_options));
    for (auto [backend, bucket] : {std::pair(source_backend, "from"), {target_backend, "to"}}) {
      MemoryStore store(world.runtime, backend);
      EXPECT_TRUE(world.Run(store.CreateBucket(bucket)));
      EXPECT_TRUE(world.Run(store.SetVersioning(bucket, true)));
    }
  }
  void Put(const std::string& name, const std::string& text, UserMetadata metadata = {}) {
    MemoryStore store(world.runtime, source_backend);
    PutRequest put{.bucket = "from", .key = "in/" + name, .metadata = std::move(metadata)};
    ASSERT_TRUE(world.Run(PutText(store, put, text)));
    world.clock.Advance(std::chrono::seconds(1));
  }
  void Remove(const std::string& name) {
    MemoryStore store(world.runtime, source_backend);
    ASSERT_TRUE(world.Run(store.Remove({.bucket = "from", .key = "in/" + name})));
    world.clock.Advance(std::chrono::seconds(1));
  }
  Result<void> Mirror(SyncOptions options = {}) {
    MemoryStore source(world.runtime, source_backend, &source_faults);
    MemoryStore target(world.runtime, target_backend, &target_faults);
    totals = {};
    watcher = {};
    auto left = OpenVersionListing(world.runtime, source, "from", "in/");
    auto right = OpenVersionListing(world.runtime, target, "to", target_prefix);
    Result<void> done = world.Run(
        MirrorVersions(world.runtime, {.store = source, .bucket = "from", .prefix = "in/"},
                       {.store = target, .bucket = "to", .prefix = target_prefix}, *left, *right,
                       std::move(options), watcher, totals));
    world.Run(left->Close());
    world.Run(right->Close());
    EXPECT_EQ(world.memory.reserved_bytes(), 0);
    return done;
  }
  // "key: one two - three" of all keys, oldest first.
  static std::string Of(MemoryStoreBackend& backend, const std::string& bucket, size_t prefix) {
    std::string text;
    for (const auto& [key, versions] : backend.buckets[bucket].objects) {
      text += key.substr(prefix) + ":";
      for (const auto& version : versions) {
        text += " " + (version.is_delete_marker ? "-" : *version.bytes);
      }
      text += "\n";
    }
    return text;
  }
  std::string Source() { return Of(*source_backend, "from", 3); }
  std::string Target() { return Of(*target_backend, "to", 4); }
  std::vector<MemoryStoreBackend::Version>& TargetVersions(const std::string& name) {
    return target_backend->buckets["to"].objects["out/" + name];
  }

  FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> source_backend;
  std::shared_ptr<MemoryStoreBackend> target_backend;
  Faults source_faults;
  Faults target_faults;
  Watcher watcher;
  std::string target_prefix = "out/";
  SyncTotals totals;
};

// The marker of the source's prefix has no key there.
TEST_F(MirrorVersionsTest, ToTheRootOfABucket) {
  Put("", "");
  Put("", "");
  Put("a", "one");
  target_prefix = "";
  ASSERT_TRUE(Mirror());
  EXPECT_TRUE(watcher.failed.empty());
  EXPECT_EQ(totals.skipped, 2U);
  EXPECT_EQ(Of(*target_backend, "to", 0), "a: one\n");
}

TEST_F(MirrorVersionsTest, HistoriesBecomeTheSameAndThenNothingIsDone) {
  Put("a", "1", {{"colour", "red"}});
  Put("b", "x");
  Put("a", "2");
  Remove("a");
  Put("a", "2");
  Remove("gone");
  Put("b", "x");
  ASSERT_TRUE(Mirror());
  EXPECT_EQ(Target(), Source());
  EXPECT_EQ(Target(), "a: 1 2 - 2\nb: x x\ngone: -\n");
  EXPECT_EQ(totals.copied, 5U);
  EXPECT_EQ(totals.removed, 2U);
  const auto& original = source_backend->buckets["from"].objects["in/a"];
  const auto& copies = TargetVersions("a");
  ASSERT_EQ(copies.size(), 4U);
  EXPECT_EQ(copies[0].info.metadata.at("colour"), "red");
  EXPECT_EQ(copies[0].info.metadata.at(kVersionIdEntry), original[0].info.version_id);
  EXPECT_EQ(copies[3].info.metadata.at(kVersionIdEntry), original[3].info.version_id);

  ASSERT_TRUE(Mirror());
  EXPECT_EQ(totals.copied + totals.removed, 0U);
  EXPECT_EQ(totals.skipped, 7U);
  EXPECT_EQ(Target(), Source());
}

// A version written into the source would be one of its own history.
TEST_F(MirrorVersionsTest, WhatLandsInTheSourceStays) {
  Put("a/x", "1");
  Put("b", "2");
  SyncOptions options;
  options.lands_in_source = [](std::string_view name) { return name.starts_with("a/"); };
  ASSERT_TRUE(Mirror(std::move(options)));
  EXPECT_EQ(Target(), "b: 2\n");
  EXPECT_TRUE(watcher.failed["a/x"].contains("lies in the source"));
}

// Once copies have settled, a run with nothing to do costs two listings.
TEST_F(MirrorVersionsTest, ASettledMirrorIsNotLookedAt) {
  Put("a", "1");
  Put("a", "2");
  world.clock.Advance(std::chrono::hours(25));
  ASSERT_TRUE(Mirror());
  target_backend->ResetCounts();
  ASSERT_TRUE(Mirror());
  EXPECT_EQ(totals.copied, 0U);
  EXPECT_EQ(target_backend->total_count(), 1);
}

TEST_F(MirrorVersionsTest, LaterRunsAppend) {
  Put("a", "1");
  ASSERT_TRUE(Mirror());
  Put("a", "1");
  Remove("a");
  Remove("a");
  Put("a", "3");
  ASSERT_TRUE(Mirror());
  EXPECT_EQ(Target(), "a: 1 1 - - 3\n");
  EXPECT_EQ(totals.copied, 2U);
}

// Whatever fails, at each single request of a run: no version stands before one that is older, none
// is left out or doubled, and the next runs end with the whole history.
TEST_F(MirrorVersionsTest, AFailureAtAnyStepNeverMixesAHistory) {
  for (const bool done_all_the_same : {false, true}) {
    for (int at = 0;; ++at) {
      SetUpStores({});
      for (const char* text : {"1", "2", "2", "3"}) {
        for (const char* key : {"a", "b", "c"}) Put(key, text);
      }
      Remove("a");
      Put("a", "4");
      int count = 0;
      bool failed = false;
      target_faults.decide = [&](StoreOperation operation, std::string_view) {
        Fault fault;
        if (operation == StoreOperation::kList || count++ != at) return fault;
        failed = true;
        fault.error = Retryable("the connection broke");
        if (done_all_the_same) fault.effect = Fault::Effect::kDone;
        return fault;
      };
      Result<void> first = Mirror({.in_flight = 4});
      target_faults.decide = nullptr;
      // Each history is a beginning of the source's.
      for (const auto& [key, versions] : target_backend->buckets["to"].objects) {
        const auto& original = source_backend->buckets["from"].objects["in/" + key.substr(4)];
        ASSERT_LE(versions.size(), original.size()) << at;
        for (size_t i = 0; i < versions.size(); ++i) {
          ASSERT_EQ(versions[i].is_delete_marker, original[i].is_delete_marker) << at;
          if (versions[i].is_delete_marker) continue;
          ASSERT_EQ(versions[i].info.metadata.at(kVersionIdEntry), original[i].info.version_id)
              << at;
        }
      }
      Result<void> second = Mirror();
      ASSERT_TRUE(second) << second.error().Describe();
      ASSERT_EQ(totals.failed, 0U);
      ASSERT_EQ(Target(), Source()) << at;
      if (!failed) break;
    }
  }
}

// A version that cannot be copied holds up those behind it, and no other key.
TEST_F(MirrorVersionsTest, AFailureStopsItsKeyAlone) {
  Put("a", "1");
  Put("a", "2");
  Put("a", "3");
  Put("b", "1");
  Put("c", "1");
  Put("c", "2");
  int gets = 0;
  source_faults.decide = [&](StoreOperation operation, std::string_view key) {
    Fault fault;
    if (operation == StoreOperation::kGet && key == "in/a" && ++gets == 2) {
      fault.error = Error{.kind = ErrorKind::kDenied, .message = "archived"};
    }
    return fault;
  };
  ASSERT_TRUE(Mirror());
  EXPECT_EQ(Target(), "a: 1\nb: 1\nc: 1 2\n");
  EXPECT_EQ(totals.failed, 1U);
  EXPECT_NE(watcher.failed.at("a").find("1 newer of this key wait for it"), std::string::npos);
  source_faults.decide = nullptr;
  ASSERT_TRUE(Mirror());
  EXPECT_EQ(Target(), Source());
}

// Two mirrors at once, or a mirror and a person, would mix their versions.
TEST_F(MirrorVersionsTest, AWriterBesideItIsNoticed) {
  Put("a", "1");
  Put("a", "2");
  Put("a", "3");
  int puts = 0;
  target_faults.decide = [&](StoreOperation operation, std::string_view) {
    if (operation == StoreOperation::kPut && ++puts == 2) {
      // In place: the fault plan has no coroutine to write with.
      auto& versions = TargetVersions("a");
      auto other = versions.back();
      other.bytes = std::make_shared<const std::string>("other");
      other.info.etag = "0123456789abcdef0123456789abcdef";
      other.info.metadata.clear();
      other.info.version_id = "other";
      versions.push_back(other);
    }
    return Fault{};
  };
  ASSERT_TRUE(Mirror());
  EXPECT_EQ(Target(), "a: 1 other\n");
  EXPECT_EQ(totals.failed, 1U);
  ASSERT_TRUE(Mirror());
  EXPECT_EQ(Target(), "a: 1 other\n") << "appended behind a foreign version";
  EXPECT_EQ(totals.failed, 1U);
}

TEST_F(MirrorVersionsTest, DryRunFiltersAndLimits) {
  Put("a", "1");
  Put("a", "2");
  Put("b.tmp", "1");
  ASSERT_TRUE(Mirror({.dry_run = true}));
  EXPECT_EQ(Target(), "");
  EXPECT_EQ(totals.chosen, 3U);
  SyncOptions options;
  options.filter.AddGlob(false, "*.tmp", "");
  options.bytes_max = 1;
  Result<void> done = Mirror(options);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, kLimitCode);
  EXPECT_EQ(Target(), "a: 1\n");
  options.bytes_max = 100;
  ASSERT_TRUE(Mirror(options));
  EXPECT_EQ(Target(), "a: 1 2\n");
  EXPECT_EQ(totals.excluded, 1U);
}

// A history that breaks off, or comes in another order, is not written.
TEST_F(MirrorVersionsTest, AListingThatFailsOrLiesEndsIt) {
  for (int i = 0; i < 1500; ++i) Put("k", std::to_string(i));
  int pages = 0;
  source_faults.decide = [&](StoreOperation operation, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kList && ++pages == 2) fault.error = InvalidInput("no");
    return fault;
  };
  EXPECT_FALSE(Mirror());
  EXPECT_EQ(Target(), "");
  source_faults.decide = nullptr;
  ASSERT_TRUE(Mirror());
  EXPECT_EQ(Target(), Source());
}

TEST_F(MirrorVersionsTest, OnlyIntoABucketThatKeepsVersions) {
  MemoryStore source(world.runtime, source_backend);
  MemoryStore target(world.runtime, target_backend);
  const TreeSource from{.store = source, .bucket = "from", .prefix = ""};
  const TreeTarget to{.store = target, .bucket = "to", .prefix = ""};
  EXPECT_TRUE(world.Run(CheckKeepsVersions(from, to)));
  ASSERT_TRUE(world.Run(target.SetVersioning("to", false)));
  Result<void> kept = world.Run(CheckKeepsVersions(from, to));
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().kind, ErrorKind::kInvalidInput);
  ASSERT_TRUE(world.Run(target.SetVersioning("to", true)));
  source_backend->options.capabilities.versions = false;
  EXPECT_FALSE(world.Run(CheckKeepsVersions(from, to)));
}

// Whoever keeps a journal calls it done then, and nobody looks at its other versions again.
TEST_F(MirrorVersionsTest, AKeyEndsWithItsLastVersion) {
  for (const char* key : {"a", "b"}) {
    Put(key, "1");
    Put(key, "2");
  }
  int puts = 0;
  target_faults.decide = [&](StoreOperation operation, std::string_view key) {
    Fault fault;
    if (operation == StoreOperation::kPut && key == "out/a" && ++puts == 2) {
      fault.error = InvalidInput("refused");
    }
    return fault;
  };
  ASSERT_TRUE(Mirror());
  EXPECT_EQ(Target(), "a: 1\nb: 1 2\n");
  EXPECT_EQ(watcher.begun, "ab");
  EXPECT_EQ(watcher.ended, "b");
  EXPECT_TRUE(watcher.listed_all);
  ASSERT_TRUE(Mirror());
  EXPECT_EQ(watcher.ended, "ab");
  // At a limit neither the key ends nor are those behind it looked at.
  SetUpStores({});
  for (const char* key : {"a", "b"}) {
    Put(key, "1");
    Put(key, "2");
  }
  SyncOptions options;
  options.bytes_max = 1;
  EXPECT_FALSE(Mirror(options));
  EXPECT_EQ(watcher.begun, "a");
  EXPECT_EQ(watcher.ended, "");
  EXPECT_FALSE(watcher.listed_all);
}

// All is listed, and what was under way ends without being done.
TEST_F(MirrorVersionsTest, AStopOfTheLastCopyIsNoEnd) {
  Put("a", "1");
  target_faults.decide = [](StoreOperation operation, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kPut) fault.error = Cancelled("stopped");
    return fault;
  };
  Result<void> done = Mirror();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kCancelled);
}

// A small version is written to its end all the same, and those behind it are not there yet.
TEST_F(MirrorVersionsTest, AStopBetweenTwoVersionsIsNoEnd) {
  Put("a", "1");
  Put("a", "2");
  Event stop;
  target_faults.decide = [&stop](StoreOperation operation, std::string_view) {
    if (operation == StoreOperation::kPut) stop.Set();
    return Fault{};
  };
  SyncOptions options;
  options.copy.stop = &stop;
  Result<void> done = Mirror(options);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(Target(), "a: 1\n");
  EXPECT_EQ(watcher.ended, "");
}

}  // namespace
}  // namespace longhaul
