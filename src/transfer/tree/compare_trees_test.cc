#include "transfer/tree/compare_trees.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::MemoryStore;
using testing::MemoryStoreBackend;

class CompareTest : public ::testing::Test, public CompareObserver {
 protected:
  CompareTest() {
    left_backend->buckets["l"];
    right_backend->buckets["r"];
  }
  void OnDifference(const Difference& difference) override {
    found.push_back(std::string(difference.name) + ": " + std::string(difference.aspect));
  }
  void Put(bool left, PutRequest request, const std::string& bytes) {
    MemoryStore store(world.runtime, left ? left_backend : right_backend);
    request.bucket = left ? "l" : "r";
    request.key = (left ? "from/" : "to/") + request.key;
    ASSERT_TRUE(world.Run(PutText(store, request, bytes)));
  }
  void Both(PutRequest request, const std::string& bytes) {
    Put(true, request, bytes);
    Put(false, request, bytes);
  }
  Result<void> Compare(CompareOptions options = {}) {
    MemoryStore left(world.runtime, left_backend);
    MemoryStore right(world.runtime, right_backend);
    found.clear();
    totals = {};
    auto done = world.Run(CompareTrees(
        world.runtime, {.store = left, .bucket = "l", .prefix = "from/"},
        {.store = right, .bucket = "r", .prefix = "to/"}, std::move(options), *this, totals));
    std::sort(found.begin(), found.end());
    return done;
  }

  FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> left_backend = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> right_backend = std::make_shared<MemoryStoreBackend>();
  std::vector<std::string> found;
  CompareTotals totals;
};

// A difference that is not named is data lost without a word.
TEST_F(CompareTest, NamesEveryDifference) {
  Both({.key = "equal", .metadata = {{"a", "1"}}, .tags = {{"t", "1"}}}, "same");
  Put(true, {.key = "missing"}, "x");
  Put(false, {.key = "extra"}, "x");
  Put(true, {.key = "size"}, "12345");
  Put(false, {.key = "size"}, "123456");
  Put(true, {.key = "bytes"}, "12345");
  Put(false, {.key = "bytes"}, "54321");
  Put(true,
      {.key = "all",
       .headers = {.content_type = "a/b"},
       .metadata = {{"m", "1"}},
       .tags = {{"t", "1"}},
       .storage_class = "STANDARD_IA"},
      "x");
  Put(false,
      {.key = "all",
       .headers = {.content_type = "c/d"},
       .metadata = {{"n", "1"}},
       .tags = {{"t", "2"}}},
      "y");
  ASSERT_TRUE(Compare({.storage_class = true}));
  EXPECT_EQ(found, (std::vector<std::string>{"all: bytes", "all: header content-type",
                                             "all: metadata m", "all: metadata n",
                                             "all: storage class", "all: tag t", "bytes: bytes",
                                             "extra: extra", "missing: missing", "size: size"}));
  EXPECT_EQ(totals.equal, 1U);
  EXPECT_EQ(totals.different, 5U);
  ASSERT_TRUE(Compare({.metadata = false, .one_way = true}));
  EXPECT_EQ(found, (std::vector<std::string>{"all: bytes", "bytes: bytes", "missing: missing",
                                             "size: size"}));
}

// The mark is longhaul's own: a replica is equal to its source.
TEST_F(CompareTest, TheMarkIsNoDifference) {
  Put(true, {.key = "k"}, "x");
  Put(false, {.key = "k", .metadata = {{"longhaul", "1 east …"}}}, "x");
  ASSERT_TRUE(Compare());
  EXPECT_EQ(found, std::vector<std::string>());
  EXPECT_EQ(totals.equal, 1U);
}

// Names that sort around each other on the two sides must still be paired.
TEST_F(CompareTest, MergesManyPages) {
  for (int i = 0; i < 2300; ++i) {
    std::string name = std::to_string(i);
    if (i % 10 != 3) Put(true, {.key = name}, name);
    if (i % 10 != 7) Put(false, {.key = name}, name);
  }
  ASSERT_TRUE(Compare());
  EXPECT_EQ(totals.different, 460U);
  EXPECT_EQ(totals.equal, 1840U);
}

// Where the HEAD of one side tells of no tags, what the other one says of its own is reason to ask:
// each object with tags would be a difference, and none of the real ones would be.
TEST_F(CompareTest, TagsThatOneSidesHeadDoesNotTellAreAskedFor) {
  right_backend->options.heads_tell_tags = false;
  Both({.key = "equal", .tags = {{"t", "1"}}}, "x");
  Both({.key = "none"}, "x");
  Put(true, {.key = "other", .tags = {{"t", "1"}}}, "x");
  Put(false, {.key = "other", .tags = {{"t", "2"}}}, "x");
  ASSERT_TRUE(Compare({.roots = true}));
  EXPECT_EQ(found, std::vector<std::string>{"other: tag t"});
  EXPECT_NE(totals.source_root, totals.target_root);
  Put(false, {.key = "other", .tags = {{"t", "1"}}}, "x");
  ASSERT_TRUE(Compare({.roots = true}));
  EXPECT_EQ(found, std::vector<std::string>());
  EXPECT_EQ(totals.source_root, totals.target_root);
}

// What a migration has carried is equal to its source, whatever else lies at the target; and a root
// that hides a difference would be worse than none.
TEST_F(CompareTest, RootsOfTheNamesOfTheSource) {
  for (int i = 0; i < 50; ++i)
    Both({.key = "d" + std::to_string(i % 5) + "/" + std::to_string(i)}, "x");
  Put(false, {.key = "d1/extra"}, "only here");
  Put(false, {.key = "zz"}, "only here");
  const auto options = [] {
    return CompareOptions{.one_way = true, .roots_of_source = true, .roots = true};
  };
  ASSERT_TRUE(Compare(options()));
  EXPECT_EQ(found, std::vector<std::string>());
  EXPECT_FALSE(totals.source_root.empty());
  EXPECT_EQ(totals.source_root, totals.target_root);
  ASSERT_TRUE(Compare({.one_way = true, .roots = true}));
  EXPECT_NE(totals.source_root, totals.target_root);
  for (const PutRequest& request : {PutRequest{.key = "d1/1", .metadata = {{"m", "1"}}},
                                    PutRequest{.key = "d1/1", .tags = {{"t", "1"}}}}) {
    Put(true, request, "x");
    ASSERT_TRUE(Compare(options()));
    EXPECT_EQ(found.size(), 1U);
    EXPECT_NE(totals.source_root, totals.target_root);
  }
  // Of a filter by size or age it is asked of the source's object alone.
  CompareOptions large = options();
  large.filter.size_bytes_min = 2;
  ASSERT_TRUE(Compare(std::move(large)));
  EXPECT_EQ(found, std::vector<std::string>());
  EXPECT_EQ(totals.compared, 0U);
  EXPECT_EQ(totals.source_root, totals.target_root);
}

}  // namespace
}  // namespace longhaul
