#include "transfer/listing/sorted_listing.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/run.h"
#include "transfer/listing/page_codec.h"
#include "transfer/listing/sorted_runs.h"

namespace longhaul {
namespace {

using testing::RealWorld;

class Given : public PagedListing {
 public:
  explicit Given(std::vector<ListedObject> objects, std::optional<Error> error = {})
      : objects_(std::move(objects)), error_(std::move(error)) {}

 protected:
  Async<std::vector<ListedObject>> NextPage() override {
    if (objects_.empty() && error_) co_return *error_;
    co_return std::exchange(objects_, {});
  }

 private:
  std::vector<ListedObject> objects_;
  std::optional<Error> error_;
};

ListedObject Object(std::string key, int64_t time = 0) {
  return {.key = std::move(key),
          .size_bytes = static_cast<uint64_t>(time) + 5,
          .etag = "",
          .storage_class = "",
          .last_modified = SystemTime(std::chrono::seconds(time)),
          .version_id = ""};
}

Result<std::vector<ListedObject>> Sorted(RealWorld& world, std::unique_ptr<Listing> source,
                                         Doubles doubles, size_t bytes) {
  auto listing = SortListing(world.runtime, std::move(source), "", doubles, bytes);
  std::vector<ListedObject> all;
  while (true) {
    auto next = world.Run(listing->Next());
    if (!next) return next.error();
    if (!*next) return all;
    all.push_back(std::move(**next));
  }
}

TEST(SortListing, InMemoryAndThroughManyRuns) {
  // With runs of 1,000 bytes there are more of them than are merged at once.
  for (size_t bytes : {size_t{1000}, size_t{20'000}, size_t{64} << 20}) {
    RealWorld world;
    std::vector<ListedObject> given;
    for (int i = 0; i < 5000; ++i) given.push_back(Object(std::to_string(i * 7919 % 5000), i));
    auto sorted = Sorted(world, std::make_unique<Given>(given), Doubles::kNewest, bytes);
    ASSERT_TRUE(sorted);
    ASSERT_EQ(sorted->size(), 5000u);
    std::ranges::sort(given, ListedBefore);
    for (size_t i = 0; i < given.size(); ++i) {
      ASSERT_EQ((*sorted)[i].key, given[i].key);
      ASSERT_EQ((*sorted)[i].size_bytes, given[i].size_bytes);
    }
  }
}

TEST(SortListing, Doubles) {
  for (size_t bytes : {size_t{200}, size_t{1} << 20}) {
    std::vector<ListedObject> given = {Object("b", 1), Object("a", 1), Object("b", 3),
                                       Object("b", 2)};
    RealWorld world;
    auto newest = Sorted(world, std::make_unique<Given>(given), Doubles::kNewest, bytes);
    ASSERT_TRUE(newest);
    ASSERT_EQ(newest->size(), 2u);
    EXPECT_EQ((*newest)[1].size_bytes, 8u);
    auto kept = Sorted(world, std::make_unique<Given>(given), Doubles::kKeep, bytes);
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->size(), 4u);
    auto refused = Sorted(world, std::make_unique<Given>(given), Doubles::kRefuse, bytes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kCorrupt);
  }
}

// Which of several versions is meant only who wants all of them need not ask.
TEST(SortListing, Versions) {
  auto version = [](int seconds, const std::string& id) {
    ListedObject object = Object("k", seconds);
    object.version_id = id;
    return object;
  };
  const std::vector<ListedObject> given = {version(1, "old"), version(3, "new"), version(1, "old"),
                                           Object("a", 1), Object("a", 1)};
  for (size_t bytes : {size_t{200}, size_t{1} << 20}) {
    RealWorld world;
    auto each = Sorted(world, std::make_unique<Given>(given), Doubles::kVersions, bytes);
    ASSERT_TRUE(each);
    ASSERT_EQ(each->size(), 3u);
    EXPECT_EQ((*each)[1].version_id, "new");
    EXPECT_EQ((*each)[2].version_id, "old");
    auto one = Sorted(world, std::make_unique<Given>(given), Doubles::kNewest, bytes);
    ASSERT_FALSE(one);
    EXPECT_TRUE(one.error().message.starts_with("more than one version of k"))
        << one.error().message;
  }
}

// Whoever deletes by it must hear of a source that failed.
TEST(SortListing, ErrorOfTheSourceComesOut) {
  RealWorld world;
  auto sorted =
      Sorted(world, std::make_unique<Given>(std::vector{Object("a")}, Retryable("cut off")),
             Doubles::kNewest, 1000);
  ASSERT_FALSE(sorted);
  EXPECT_EQ(sorted.error().message, "cut off");
}

TEST(PageCodec, WhatGoesInComesOut) {
  std::vector<ListedObject> objects;
  for (int i = 0; i < 300; ++i) {
    ListedObject object = Object("prefix/" + std::to_string(i * i), 1'700'000'000 - i * 1000);
    object.size_bytes = uint64_t{1} << (i % 53);
    object.etag = i % 3 == 0   ? "0123456789abcdef0123456789abcdef"
                  : i % 3 == 1 ? "0123456789ABCDEF0123456789abcdef-12"
                               : "";
    object.storage_class = i % 5 == 0 ? "GLACIER" : i % 7 == 0 ? "" : "STANDARD";
    object.version_id = i % 2 == 0 ? "null" : "";
    object.is_latest = i % 4 != 0;
    object.is_delete_marker = i % 9 == 0;
    objects.push_back(object);
  }
  std::string bytes = EncodeListed(objects);
  auto decoded = DecodeListed(bytes);
  ASSERT_TRUE(decoded);
  ASSERT_EQ(decoded->size(), objects.size());
  for (size_t i = 0; i < objects.size(); ++i) {
    const ListedObject& a = objects[i];
    const ListedObject& b = (*decoded)[i];
    EXPECT_TRUE(a.key == b.key && a.size_bytes == b.size_bytes && a.etag == b.etag &&
                a.storage_class == b.storage_class && a.last_modified == b.last_modified &&
                a.version_id == b.version_id && a.is_latest == b.is_latest &&
                a.is_delete_marker == b.is_delete_marker)
        << i;
  }
  for (size_t cut = 1; cut < 200; ++cut) {
    auto broken = DecodeListed(std::string_view(bytes).substr(0, bytes.size() - cut));
    if (broken) EXPECT_LT(broken->size(), objects.size());
  }
}

}  // namespace
}  // namespace longhaul
