#include "transfer/copy_tree.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

class KeyFaults : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view key) override {
    Fault fault;
    fault.delay = std::chrono::milliseconds(10);
    if (operation == StoreOperation::kGet) {
      ++gets;
      if (key == bad_key) {
        fault.error = Error{.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
      }
      if (gets == stop_at && stop != nullptr) stop->Set();
    }
    if (operation == StoreOperation::kList && ++lists == bad_list) fault.error = Retryable("lost");
    return fault;
  }
  std::string bad_key;
  int bad_list = 0;
  int lists = 0;
  int gets = 0;
  int stop_at = 0;
  Event* stop = nullptr;
};

class CopyTreeTest : public ::testing::Test {
 protected:
  CopyTreeTest() {
    source_backend->buckets["from"];
    target_backend->buckets["to"];
    MemoryStore store(world.runtime, source_backend);
    for (int i = 0; i < 2500; ++i) {
      std::string key = "in/" + std::to_string(i) + (i % 2 == 0 ? ".log" : ".txt");
      EXPECT_TRUE(world.Run(PutText(store, {.bucket = "from", .key = key}, key)));
    }
    EXPECT_TRUE(world.Run(PutText(store, {.bucket = "from", .key = "other"}, "x")));
  }
  Result<void> Copy(TreeCopyOptions options) {
    MemoryStore source(world.runtime, source_backend, &faults);
    MemoryStore target(world.runtime, target_backend);
    totals = {};
    return world.Run(CopyTree(world.runtime, {.store = source, .bucket = "from", .prefix = "in/"},
                              {.store = target, .bucket = "to", .prefix = "out/"}, options,
                              observer, totals));
  }

  FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> source_backend = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> target_backend = std::make_shared<MemoryStoreBackend>();
  KeyFaults faults;
  TreeObserver observer;
  TreeTotals totals;
};

TEST_F(CopyTreeTest, CopiesAllPagesUnderTheNewPrefix) {
  SteadyTime before = world.clock.SteadyNow();
  ASSERT_TRUE(Copy({}));
  EXPECT_EQ(totals.copied, 2500U);
  EXPECT_EQ(target_backend->Keys("to").size(), 2500U);
  EXPECT_EQ(*target_backend->Find("to", "out/7.txt")->bytes, "in/7.txt");
  // 2,500 requests of 10 ms one after another would take 25 s.
  EXPECT_LT(world.clock.SteadyNow() - before, std::chrono::seconds(2));
}

TEST_F(CopyTreeTest, FilterLooksAtTheNameBelowThePrefix) {
  ASSERT_TRUE(Copy({.filter = {.include = {"*.log"}, .exclude = {"1*"}}}));
  EXPECT_EQ(target_backend->Find("to", "out/10.log"), nullptr);
  EXPECT_NE(target_backend->Find("to", "out/20.log"), nullptr);
  EXPECT_EQ(target_backend->Find("to", "out/21.txt"), nullptr);
}

// One object without permission must not keep the others from being copied.
TEST_F(CopyTreeTest, OneFailureDoesNotStopTheOthers) {
  faults.bad_key = "in/77.txt";
  ASSERT_TRUE(Copy({}));
  EXPECT_EQ(totals.failed, 1U);
  EXPECT_EQ(totals.copied, 2499U);
}

// A listing that ended early must not look like a finished copy.
TEST_F(CopyTreeTest, FailedListingIsAnError) {
  faults.bad_list = 2;
  auto done = Copy({});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kRetryable);
  EXPECT_EQ(totals.copied, 1000U);
  EXPECT_EQ(world.memory.reserved_bytes(), 0);
}

TEST_F(CopyTreeTest, StopEndsSoon) {
  Event stop;
  faults.stop = &stop;
  faults.stop_at = 100;
  auto done = Copy({.copy = {.stop = &stop}, .in_flight = 8});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kCancelled);
  EXPECT_LT(totals.copied, 120U);
}

TEST_F(CopyTreeTest, DryRunWritesNothing) {
  ASSERT_TRUE(Copy({.dry_run = true}));
  EXPECT_EQ(totals.listed, 2500U);
  EXPECT_EQ(target_backend->total_count(), 0);
}

TEST_F(CopyTreeTest, SecondRunWithIfAbsentCopiesNothing) {
  ASSERT_TRUE(Copy({}));
  ASSERT_TRUE(Copy({.copy = {.if_absent = true}}));
  EXPECT_EQ(totals.copied, 0U);
  EXPECT_EQ(totals.existing, 2500U);
  EXPECT_EQ(totals.failed, 0U);
}

TEST(Glob, Matches) {
  EXPECT_TRUE(GlobMatches("*.log", "a/b/c.log"));
  EXPECT_TRUE(GlobMatches("a*b*c", "aXXbYYc"));
  EXPECT_FALSE(GlobMatches("a*b*c", "aXXbYY"));
  EXPECT_TRUE(GlobMatches("file-?.txt", "file-1.txt"));
  EXPECT_TRUE(GlobMatches("[a-c]x", "bx"));
  EXPECT_FALSE(GlobMatches("[!a-c]x", "bx"));
  EXPECT_TRUE(GlobMatches("[x", "[x"));
  EXPECT_TRUE(GlobMatches("", ""));
  EXPECT_FALSE(GlobMatches("", "a"));
  // Patterns like this one take exponential time in a naive matcher.
  EXPECT_FALSE(GlobMatches("*a*a*a*a*a*a*a*a*b", std::string(10'000, 'a')));
}

}  // namespace
}  // namespace longhaul
