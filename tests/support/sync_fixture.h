// SyncFixture: SyncTrees between two stores in memory, each of which fails as it is told.

#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "transfer/listing/listing.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul::testing {

class SyncFaults : public FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view bucket, std::string_view key) override {
    Fault fault;
    fault.delay = std::chrono::milliseconds(1);
    if (decide) fault.error = decide(operation, bucket, key);
    return fault;
  }
  std::function<std::optional<Error>(StoreOperation, std::string_view, std::string_view)> decide;
};

class SyncWatcher : public SyncObserver {
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

class SyncFixture : public ::testing::Test {
 protected:
  SyncFixture() {
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
  SyncFaults source_faults;
  SyncFaults target_faults;
  SyncWatcher watcher;
  SyncTotals totals;
};

}  // namespace longhaul::testing
