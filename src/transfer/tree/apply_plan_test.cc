#include "transfer/tree/apply_plan.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::MemoryStore;
using testing::MemoryStoreBackend;

class Named : public SyncObserver {
 public:
  void OnFailed(const SyncStep& step, const Error& error) override {
    failed.emplace(step.name);
    last = error.message;
  }
  std::set<std::string> failed;
  std::string last;
};

class ApplyPlanTest : public ::testing::Test {
 protected:
  ApplyPlanTest() {
    source_backend->buckets["from"];
    target_backend->buckets["to"];
  }
  std::string PutSource(const std::string& name, const std::string& text) {
    return Put(source, "from", name, text);
  }
  std::string PutTarget(const std::string& name, const std::string& text) {
    return Put(target, "to", name, text);
  }
  std::string Put(Store& store, const std::string& bucket, const std::string& name,
                  const std::string& text) {
    Result<PutResult> put = world.Run(PutText(store, {.bucket = bucket, .key = name}, text));
    EXPECT_TRUE(put);
    return put->etag;
  }
  void Copy(const std::string& name, const std::string& text, const std::string& etag,
            std::optional<std::string> there = std::nullopt) {
    ++end.copies;
    plan += EncodePlan(PlanStep{.name = name,
                                .size_bytes = text.size(),
                                .etag = etag,
                                .target_etag = std::move(there),
                                .reason = "new"}) +
            "\n";
  }
  void Remove(const std::string& name, const std::string& etag,
              std::string_view why = reason::kOnlyAtTarget) {
    ++end.removals;
    plan += EncodePlan(PlanStep{.kind = PlanStep::Kind::kRemove,
                                .name = name,
                                .etag = etag,
                                .reason = std::string(why)}) +
            "\n";
  }
  Result<void> Apply() { return Apply(source, target); }
  Result<void> Apply(Store& from, Store& to) {
    totals = {};
    named = {};
    std::ofstream(folder.file("plan")) << plan << (cut ? "" : EncodePlan(end) + "\n");
    return world.Run(ApplyPlan(world.runtime, folder.file("plan"),
                               {.store = from, .bucket = "from", .prefix = ""},
                               {.store = to, .bucket = "to", .prefix = ""}, {}, named, totals));
  }

  testing::TempDir folder;
  FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> source_backend = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> target_backend = std::make_shared<MemoryStoreBackend>();
  MemoryStore source{world.runtime, source_backend};
  MemoryStore target{world.runtime, target_backend};
  std::string plan = EncodePlan(PlanHead{.source = "a:b/", .target = "c:d/"}) + "\n";
  PlanEnd end;
  bool cut = false;
  SyncTotals totals;
  Named named;
};

TEST_F(ApplyPlanTest, DoesWhatItSaysAndNothingElse) {
  Copy("new", "1", PutSource("new", "1"));
  Copy("other", "22", PutSource("other", "22"), PutTarget("other", "3"));
  PutSource("not in the plan", "1");
  Remove("extra", PutTarget("extra", "1"));
  PutTarget("keep", "1");
  Result<void> done = Apply();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(totals.copied, 2U);
  EXPECT_EQ(totals.removed, 1U);
  EXPECT_EQ(target_backend->Keys("to"), (std::vector<std::string>{"keep", "new", "other"}));
  EXPECT_EQ(*target_backend->Find("to", "other")->bytes, "22");
}

// A plan that someone has looked at is about these objects and no others.
TEST_F(ApplyPlanTest, WhatHasChangedSinceIsLeftAlone) {
  Copy("source changed", "1", PutSource("source changed", "1"));
  PutSource("source changed", "2");
  Copy("source gone", "1", "an etag");
  Copy("target changed", "1", PutSource("target changed", "1"), PutTarget("target changed", "3"));
  PutTarget("target changed", "4");
  Copy("target came", "1", PutSource("target came", "1"));
  PutTarget("target came", "4");
  Copy("target went", "1", PutSource("target went", "1"), "an etag");
  ASSERT_TRUE(Apply());
  EXPECT_EQ(named.failed.size(), 5U);
  EXPECT_EQ(totals.copied, 0U);
  EXPECT_EQ(*target_backend->Find("to", "target came")->bytes, "4");
  EXPECT_EQ(*target_backend->Find("to", "target changed")->bytes, "4");
  EXPECT_EQ(target_backend->Find("to", "target went"), nullptr);
}

// The objects change between the look at them and the first request that matters.
class AtThatMoment : public testing::FaultPlan {
 public:
  testing::Fault Next(testing::StoreOperation operation, std::string_view /*bucket*/,
                      std::string_view /*key*/) override {
    if (operation == when && then) std::exchange(then, nullptr)();
    return {};
  }
  testing::StoreOperation when{};
  std::function<void()> then;
};

TEST_F(ApplyPlanTest, ASourceThatChangesAfterTheLookIsNotCopied) {
  source_backend->buckets["later"];
  Copy("object", "1", PutSource("object", "1"));
  Put(source, "later", "object", "2");
  AtThatMoment moment;
  moment.when = testing::StoreOperation::kGet;
  moment.then = [this] {
    source_backend->buckets["from"].objects = source_backend->buckets["later"].objects;
  };
  MemoryStore changing(world.runtime, source_backend, &moment);
  ASSERT_TRUE(Apply(changing, target));
  EXPECT_EQ(named.failed, (std::set<std::string>{"object"}));
  EXPECT_TRUE(target_backend->Keys("to").empty());
}

TEST_F(ApplyPlanTest, ATargetThatChangesAfterTheLookIsNotReplaced) {
  target_backend->buckets["later"];
  Copy("object", "1", PutSource("object", "1"), PutTarget("object", "3"));
  Put(target, "later", "object", "4");
  AtThatMoment moment;
  moment.when = testing::StoreOperation::kPut;
  moment.then = [this] {
    target_backend->buckets["to"].objects = target_backend->buckets["later"].objects;
  };
  MemoryStore changing(world.runtime, target_backend, &moment);
  ASSERT_TRUE(Apply(source, changing));
  EXPECT_EQ(named.failed, (std::set<std::string>{"object"}));
  EXPECT_EQ(*target_backend->Find("to", "object")->bytes, "4");
}

class Stopping : public testing::FaultPlan {
 public:
  testing::Fault Next(testing::StoreOperation operation, std::string_view /*bucket*/,
                      std::string_view /*key*/) override {
    testing::Fault fault;
    if (operation == testing::StoreOperation::kPut) fault.error = Cancelled("stopped");
    return fault;
  }
};

// The last copies are under way when it is stopped: they are not done, and nothing is removed.
TEST_F(ApplyPlanTest, AStopAfterTheLastLineIsNoEnd) {
  Copy("object", "1", PutSource("object", "1"));
  Stopping stopping;
  MemoryStore stopped(world.runtime, target_backend, &stopping);
  for (const char* extra : {"", "extra"}) {
    if (*extra != '\0') Remove(extra, PutTarget(extra, "1"));
    Result<void> done = Apply(source, stopped);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::kCancelled);
  }
  EXPECT_EQ(target_backend->Keys("to"), (std::vector<std::string>{"extra"}));
}

// Servers without conditional writes: the look before is what there is.
TEST_F(ApplyPlanTest, ReplacesWhereTheServerKnowsNoConditions) {
  target_backend->options.refuse_unknown_conditions = true;
  target_backend->options.capabilities.replace_if_match = false;
  Copy("object", "1", PutSource("object", "1"), PutTarget("object", "3"));
  ASSERT_TRUE(Apply());
  EXPECT_EQ(totals.copied, 1U);
  EXPECT_EQ(*target_backend->Find("to", "object")->bytes, "1");
}

TEST_F(ApplyPlanTest, WhatHasChangedIsNotReplacedWhereTheServerKnowsNoConditions) {
  target_backend->options.capabilities.replace_if_match = false;
  target_backend->options.capabilities.create_if_absent = false;
  Copy("changed", "1", PutSource("changed", "1"), PutTarget("changed", "3"));
  PutTarget("changed", "4");
  Copy("came", "1", PutSource("came", "1"));
  PutTarget("came", "4");
  Copy("went", "1", PutSource("went", "1"), "an etag");
  ASSERT_TRUE(Apply());
  EXPECT_EQ(named.failed, (std::set<std::string>{"changed", "came", "went"}));
  EXPECT_EQ(*target_backend->Find("to", "changed")->bytes, "4");
  EXPECT_EQ(*target_backend->Find("to", "came")->bytes, "4");
  EXPECT_EQ(target_backend->Find("to", "went"), nullptr);
}

TEST_F(ApplyPlanTest, ARemovalOfWhatHasChangedIsLeftAlone) {
  Remove("extra", PutTarget("extra", "1"));
  PutTarget("extra", "someone needs this now");
  ASSERT_TRUE(Apply());
  EXPECT_EQ(named.failed, (std::set<std::string>{"extra"}));
  EXPECT_NE(target_backend->Find("to", "extra"), nullptr);
}

// A name that the source has is never removed: it may be all that is left of it since.
TEST_F(ApplyPlanTest, WhatTheSourceHasByNowIsNotRemoved) {
  Remove("came", PutTarget("came", "1"));
  Remove("extra", PutTarget("extra", "1"));
  Remove("left out", PutTarget("left out", "1"), reason::kExcluded);
  PutSource("came", "1");
  PutSource("left out", "1");
  ASSERT_TRUE(Apply());
  EXPECT_EQ(named.failed, (std::set<std::string>{"came"}));
  EXPECT_EQ(named.last, "the source has it by now");
  EXPECT_EQ(totals.removed, 2U);
  EXPECT_EQ(target_backend->Keys("to"), (std::vector<std::string>{"came"}));
  // A source that is not there is none that has nothing.
  source_backend->buckets.erase("from");
  plan = EncodePlan(PlanHead{.source = "a:b/", .target = "c:d/"}) + "\n";
  end = {};
  Remove("came", PutTarget("came", "1"));
  Result<void> done = Apply();
  EXPECT_TRUE(!done || !named.failed.empty());
  EXPECT_EQ(target_backend->Keys("to"), (std::vector<std::string>{"came"}));
}

TEST_F(ApplyPlanTest, NothingIsRemovedWhenACopyHasFailed) {
  Copy("gone", "1", "an etag");
  Remove("extra", PutTarget("extra", "1"));
  ASSERT_TRUE(Apply());
  EXPECT_TRUE(totals.removals_withheld);
  EXPECT_NE(target_backend->Find("to", "extra"), nullptr);
}

// Killed in the middle, and applied again: what was done is done.
TEST_F(ApplyPlanTest, WhatIsDoneAlreadyIsSkipped) {
  Copy("new", "1", PutSource("new", "1"));
  Copy("other", "22", PutSource("other", "22"), PutTarget("other", "3"));
  Remove("extra", PutTarget("extra", "1"));
  ASSERT_TRUE(Apply());
  ASSERT_TRUE(Apply());
  EXPECT_EQ(named.failed, std::set<std::string>());
  EXPECT_EQ(totals.copied, 0U);
  EXPECT_EQ(totals.skipped, 2U);
  EXPECT_EQ(totals.removed, 0U);
  EXPECT_FALSE(totals.removals_withheld);
  EXPECT_EQ(target_backend->Keys("to"), (std::vector<std::string>{"new", "other"}));
}

// The bytes that the plan wanted, but not the object: someone else's.
TEST_F(ApplyPlanTest, EqualBytesAloneAreNotWhatThePlanWanted) {
  struct Case {
    std::string name;
    PutRequest put;
  };
  std::vector<Case> cases = {{"metadata", {.metadata = {{"colour", "blue"}}}},
                             {"header", {.headers = {.cache_control = "no-store"}}},
                             {"tags", {.tags = {{"tier", "hot"}}}}};
  for (Case& one : cases) {
    Copy(one.name, "1", PutSource(one.name, "1"));
    one.put.bucket = "to";
    one.put.key = one.name;
    ASSERT_TRUE(world.Run(PutText(target, one.put, "1")));
  }
  for (const bool told : {true, false}) {
    // Not every server says with a HEAD that there are tags.
    for (const auto& backend : {source_backend, target_backend}) {
      backend->options.heads_tell_tags = told;
    }
    ASSERT_TRUE(Apply());
    EXPECT_EQ(named.failed.size(), cases.size());
    EXPECT_EQ(totals.skipped, 0U);
  }
}

// Where neither ETags nor checksums tell, the bytes do.
TEST_F(ApplyPlanTest, BytesAreComparedWhereNothingElseTells) {
  for (bool same : {true, false}) {
    source_backend->options.capabilities.checksums = false;
    target_backend->options.capabilities.checksums = false;
    const std::string bytes(64 << 10, 'x');
    Copy("object", bytes, PutSource("object", bytes));
    PutTarget("object", same ? bytes : std::string(64 << 10, 'y'));
    // As of a copy that was cut into other parts.
    target_backend->buckets["to"].objects["object"].back().info.etag =
        "0123456789abcdef0123456789abcdef-2";
    ASSERT_TRUE(Apply());
    EXPECT_EQ(totals.skipped, same ? 1U : 0U);
    EXPECT_EQ(named.failed.size(), same ? 0U : 1U);
    plan = EncodePlan(PlanHead{.source = "a:b/", .target = "c:d/"}) + "\n";
    end = {};
  }
}

// A bare 404 proves nothing: the bucket may be what is missing.
TEST_F(ApplyPlanTest, ARemovalIsNotDoneBecauseTheBucketIsGone) {
  Remove("extra", "an etag");
  target_backend->buckets.erase("to");
  Result<void> done = Apply();
  EXPECT_TRUE(!done || !named.failed.empty());
}

// Half a plan is another plan: nothing of it is done.
TEST_F(ApplyPlanTest, APlanThatWasCutIsRefused) {
  Copy("new", "1", PutSource("new", "1"));
  cut = true;
  Result<void> done = Apply();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(target_backend->Keys("to").empty());
}

}  // namespace
}  // namespace longhaul
