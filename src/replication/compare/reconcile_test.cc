#include "replication/compare/reconcile.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "events/hint.h"
#include "replication/make_context.h"
#include "tests/support/fake_queue.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

class ReconcileTest : public ::testing::Test {
 protected:
  ReconcileTest()
      : east_(std::make_shared<testing::MemoryStoreBackend>()),
        west_(std::make_shared<testing::MemoryStoreBackend>()),
        queue_backend_(std::make_shared<testing::FakeQueueBackend>()),
        source_(world_.runtime, east_),
        target_(world_.runtime, west_),
        queue_(world_.runtime, queue_backend_),
        state_(world_.runtime, std::make_shared<testing::FakeStateBackend>()) {
    east_->buckets["in"].created = world_.clock.Now();
    west_->buckets["out"].created = world_.clock.Now();
    west_->buckets["staging"].created = world_.clock.Now();
    configuration_.site = "here";
    Rule rule;
    rule.id = "r";
    rule.source = {.store = "east", .bucket = "in", .prefix = "a/"};
    rule.deletes = true;
    Target target;
    target.name = "t";
    target.to = {.store = "west", .bucket = "out", .prefix = "b/"};
    target.staging = {.store = "west", .bucket = "staging", .prefix = ""};
    rule.targets.push_back(target);
    configuration_.rules.push_back(rule);
  }

  void Put(Store& store, std::string bucket, std::string key, std::string text,
           UserMetadata metadata = {}) {
    PutRequest request{.bucket = std::move(bucket), .key = std::move(key)};
    request.metadata = std::move(metadata);
    ASSERT_TRUE(world_.Run(PutText(store, std::move(request), std::move(text))));
  }
  // A replica of something that had `source_etag`.
  void PutReplica(const std::string& key, const std::string& source_etag) {
    Mark mark{.site = "here", .stamp = world_.clock.Now(), .source_etag = source_etag};
    Put(target_, "out", key, "replica of " + source_etag,
        {{std::string(kMarkName), *FormatMark(mark, "out", key)}});
  }

  ReconcileResult Compare() { return CompareFrom(source_); }
  ReconcileResult CompareFrom(Store& source) {
    auto context = MakeReplicationContext(world_.runtime, configuration_,
                                          {{"east", &source}, {"west", &target_}}, queue_, state_,
                                          observer_, {});
    EXPECT_TRUE(context);
    Result<ReconcileResult> result = world_.Run(
        Reconcile(**context, *(*context)->rules.front(), {0}, "", nullptr, {known_until_}));
    EXPECT_TRUE(result) << (result ? "" : result.error().Describe());
    return result ? *result : ReconcileResult{};
  }
  [[nodiscard]] std::set<std::string> HintedKeys() const {
    std::set<std::string> keys;
    for (const std::string& body : queue_backend_->Bodies()) {
      for (const Hint& hint : DecodeHints(body)->hints) keys.insert(hint.key);
    }
    return keys;
  }

  testing::FakeWorld world_;
  std::shared_ptr<testing::MemoryStoreBackend> east_;
  std::shared_ptr<testing::MemoryStoreBackend> west_;
  std::shared_ptr<testing::FakeQueueBackend> queue_backend_;
  testing::MemoryStore source_;
  testing::MemoryStore target_;
  testing::FakeQueue queue_;
  testing::FakeState state_;
  Observer observer_;
  Configuration configuration_;
  SystemTime known_until_ = SystemTime::min();
};

// What no event told is found: missing, different, and gone at the source.
TEST_F(ReconcileTest, FindsWhatDiffers) {
  Put(source_, "in", "a/equal", "same");
  Put(target_, "out", "b/equal", "same");
  Put(source_, "in", "a/missing", "x");
  Put(source_, "in", "a/other", "x");
  PutReplica("b/other", "another-etag");
  PutReplica("b/gone", "etag");
  Put(target_, "out", "b/foreign", "not a replica");
  Put(source_, "in", "elsewhere", "not of this rule");
  ReconcileResult result = Compare();
  EXPECT_EQ(HintedKeys(), (std::set<std::string>{"a/missing", "a/other", "a/gone"}));
  EXPECT_EQ(result.hints, 2u);
  EXPECT_EQ(result.delete_hints, 1u);
  EXPECT_EQ(result.writes, 3u);
}

// A replica whose ETag is not that of its source (other part sizes) is not carried for ever.
TEST_F(ReconcileTest, TrustsTheMarkWhereEtagsDiffer) {
  Put(source_, "in", "a/k", "text");
  PutReplica("b/k", east_->Find("in", "a/k")->info.etag);
  Compare();
  EXPECT_TRUE(HintedKeys().empty());
}

// The same bytes with other headers: no event told of it, and the ETag does not.
TEST_F(ReconcileTest, FindsWhatWasWrittenAnewWithTheSameBytes) {
  auto put = [this](const std::string& key) { Put(source_, "in", "a/" + key, "text"); };
  auto replicate = [this](const std::string& key, SystemTime stamp) {
    Mark mark{.site = "here",
              .stamp = std::chrono::floor<std::chrono::seconds>(stamp),
              .source_etag = east_->Find("in", "a/" + key)->info.etag};
    Put(target_, "out", "b/" + key, "text",
        {{std::string(kMarkName), *FormatMark(mark, "out", "b/" + key)}});
  };
  const SystemTime first = world_.clock.Now();
  for (const char* key : {"anew", "known", "same"}) {
    put(key);
    replicate(key, first);
  }
  Put(target_, "out", "b/foreign", "text");
  world_.clock.Advance(std::chrono::minutes(1));
  put("known");
  world_.clock.Advance(std::chrono::minutes(1));
  const SystemTime compared = world_.clock.Now();
  world_.clock.Advance(std::chrono::minutes(1));
  put("anew");
  put("foreign");  // Whose it is is not known, and the bytes are the same.
  // The clock of the target is an hour behind: its times say nothing, the mark does.
  west_->buckets["out"].objects["b/same"].back().info.last_modified -= std::chrono::hours(1);
  known_until_ = compared;
  Compare();
  EXPECT_EQ(HintedKeys(), (std::set<std::string>{"a/anew"}));
  queue_backend_->rows.clear();
  known_until_ = SystemTime::min();
  Compare();
  EXPECT_EQ(HintedKeys(), (std::set<std::string>{"a/anew", "a/known"}));
}

// An empty or wrongly named source must not empty the target.
TEST_F(ReconcileTest, AnEmptySourceDeletesNothing) {
  PutReplica("b/k", "etag");
  EXPECT_TRUE(Compare().guarded);
  EXPECT_TRUE(HintedKeys().empty());
}

// More than the guard allows is told to a person, not done.
TEST_F(ReconcileTest, TheDeleteGuardHoldsManyDeletesBack) {
  configuration_.rules[0].delete_guard = {.enabled = true, .keys = 3, .share = 0.5};
  Put(source_, "in", "a/kept", "x");
  for (int i = 0; i < 5; ++i) PutReplica("b/" + std::to_string(i), "etag");
  EXPECT_TRUE(Compare().guarded);
  EXPECT_EQ(HintedKeys(), (std::set<std::string>{"a/kept"}));
  // Allowed, and more than are kept in memory: a second pass sends them.
  configuration_.rules[0].delete_guard.share = 1.0;
  queue_backend_->rows.clear();
  EXPECT_FALSE(Compare().guarded);
  EXPECT_EQ(HintedKeys(), (std::set<std::string>{"a/kept", "a/0", "a/1", "a/2", "a/3", "a/4"}));
}

// A source that loses keys before it is listed for the second time.
class Losing : public testing::MemoryStore {
 public:
  Losing(Runtime runtime, std::shared_ptr<testing::MemoryStoreBackend> backend,
         std::vector<std::string> lost)
      : MemoryStore(std::move(runtime), backend),
        backend_(std::move(backend)),
        lost_(std::move(lost)) {}
  Async<ListPage> List(ListRequest request) override {
    if (++lists_ == 2) {
      for (const std::string& key : lost_) backend_->buckets["in"].objects.erase(key);
    }
    co_return co_await MemoryStore::List(std::move(request));
  }

 private:
  std::shared_ptr<testing::MemoryStoreBackend> backend_;  // shared with its other clients.
  std::vector<std::string> lost_;
  int lists_ = 0;
};

// Deletes were allowed for what the source had when they were counted. What it has lost since, with
// a mount that is gone, must not go by that leave.
TEST_F(ReconcileTest, WhatTheSourceLosesBetweenTwoPassesIsNotDeleted) {
  const std::set<std::string> counted{"a/0", "a/1", "a/2"};
  struct Case {
    std::vector<std::string> lost;
    bool guard = true;
    std::set<std::string> deleted;
    std::optional<uint64_t> held;
  };
  const Case cases[] = {
      {.lost = {}, .deleted = counted, .held = std::nullopt},
      {.lost = {"a/3"}, .deleted = counted, .held = std::nullopt},
      {.lost = {"a/3", "a/4", "a/5", "a/6"}, .deleted = counted, .held = 4},
      {.lost = {"a/3", "a/4", "a/5", "a/6", "a/7"}, .deleted = {}, .held = 8},
      {.lost = {"a/3", "a/4", "a/5", "a/6", "a/7"}, .guard = false, .deleted = {}, .held = 8}};
  for (const Case& test : cases) {
    configuration_.rules[0].delete_guard = {.enabled = test.guard, .keys = 1, .share = 0.75};
    queue_backend_->rows.clear();
    for (int i = 0; i < 8; ++i) {
      const std::string name = std::to_string(i);
      if (i >= 3) Put(source_, "in", "a/" + name, "x");
      PutReplica("b/" + name, i < 3 ? "etag" : east_->Find("in", "a/" + name)->info.etag);
    }
    Losing losing(world_.runtime, east_, test.lost);
    const ReconcileResult result = CompareFrom(losing);
    EXPECT_EQ(HintedKeys(), test.deleted) << test.lost.size();
    EXPECT_EQ(result.guarded, test.held.has_value()) << test.lost.size();
    ASSERT_EQ(result.held.size(), test.held ? 1u : 0u);
    if (test.held) EXPECT_EQ(result.held.at(0).keys, *test.held);
  }
}

// What nobody replicated counts as well, and could never go: whoever is told must see that.
TEST_F(ReconcileTest, SaysHowManyOfTheDeletesThatAreHeldAreOfReplicas) {
  configuration_.rules[0].delete_guard = {.enabled = true, .keys = 3, .share = 0.5};
  Put(source_, "in", "a/kept", "x");
  PutReplica("b/0", "etag");
  for (int i = 1; i < 5; ++i) Put(target_, "out", "b/" + std::to_string(i), "by hand");
  const ReconcileResult result = Compare();
  ASSERT_EQ(result.held.size(), 1u);
  EXPECT_EQ(result.held.at(0).keys, 5u);
  EXPECT_EQ(result.held.at(0).looked_at, 4u) << "as many as are kept in memory";
  EXPECT_EQ(result.held.at(0).replicas, 1u);
}

// A rule that does not replicate deletes must not even hint at one.
TEST_F(ReconcileTest, WithoutDeletesNothingIsHintedThatOnlyTheTargetHas) {
  configuration_.rules[0].deletes = false;
  Put(source_, "in", "a/kept", "x");
  PutReplica("b/gone", "etag");
  Compare();
  EXPECT_EQ(HintedKeys(), (std::set<std::string>{"a/kept"}));
}

// Says that it lists in order, and does not.
class Liar : public testing::MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  [[nodiscard]] Capabilities capabilities() const override {
    Capabilities can = MemoryStore::capabilities();
    can.sorted_listing = true;
    return can;
  }
};

// A listing out of order would make equal keys look missing: it is an error, and deletes nothing.
TEST_F(ReconcileTest, RefusesAListingOutOfOrder) {
  west_->options.capabilities.sorted_listing = false;
  Liar liar(world_.runtime, west_);
  for (int i = 0; i < 20; ++i) PutReplica("b/" + std::to_string(i), "etag");
  Put(source_, "in", "a/kept", "x");
  auto context =
      MakeReplicationContext(world_.runtime, configuration_, {{"east", &source_}, {"west", &liar}},
                             queue_, state_, observer_, {});
  Result<ReconcileResult> result =
      world_.Run(Reconcile(**context, *(*context)->rules.front(), {0}));
  ASSERT_TRUE(result);
  ASSERT_EQ(result->failed.size(), 1u);
  EXPECT_EQ(result->failed.begin()->second.kind, ErrorKind::kCorrupt);
  EXPECT_FALSE(HintedKeys().contains("a/1"));
}

// An inventory without ETags would make every object look like one that the source does not have.
TEST_F(ReconcileTest, RefusesAListingWithoutETags) {
  class Etagless : public Listing {
   public:
    explicit Etagless(std::unique_ptr<Listing> listing) : listing_(std::move(listing)) {}
    Async<std::optional<ListedObject>> Next() override {
      Result<std::optional<ListedObject>> next = co_await listing_->Next();
      if (next && *next) (*next)->etag.clear();
      co_return next;
    }
    asio::awaitable<void> Close() override { co_await listing_->Close(); }

   private:
    std::unique_ptr<Listing> listing_;
  };
  Put(source_, "in", "a/k", "x");
  PutReplica("b/k", east_->Find("in", "a/k")->info.etag);
  auto context = MakeReplicationContext(world_.runtime, configuration_,
                                        {{"east", &source_}, {"west", &target_}}, queue_, state_,
                                        observer_, {});
  Result<ReconcileResult> result = world_.Run(
      Reconcile(**context, *(*context)->rules.front(), {0}, "",
                std::make_unique<Etagless>(OpenListing(world_.runtime, source_, "in", "a/"))));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(HintedKeys().empty());
}

// A store that lists in no order and says so is sorted first.
TEST_F(ReconcileTest, ComparesAStoreThatListsInNoOrder) {
  west_->options.capabilities.sorted_listing = false;
  for (int i = 0; i < 20; ++i) {
    Put(source_, "in", "a/" + std::to_string(i), "x");
    if (i != 7) PutReplica("b/" + std::to_string(i), "other");
  }
  PutReplica("b/gone", "etag");
  ReconcileResult result = Compare();
  EXPECT_TRUE(result.failed.empty());
  EXPECT_TRUE(HintedKeys().contains("a/7"));
  EXPECT_TRUE(HintedKeys().contains("a/gone"));
}

}  // namespace
}  // namespace longhaul
