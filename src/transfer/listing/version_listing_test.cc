#include <gtest/gtest.h>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "transfer/listing/listing.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::MemoryStore;
using testing::MemoryStoreBackend;

class VersionListingTest : public ::testing::Test {
 protected:
  VersionListingTest() {
    EXPECT_TRUE(world_.Run(store_.CreateBucket("b")));
    EXPECT_TRUE(world_.Run(store_.SetVersioning("b", true)));
  }
  SystemTime Put(const std::string& key, const std::string& text) {
    EXPECT_TRUE(world_.Run(PutText(store_, {.bucket = "b", .key = key}, text)));
    return Passed();
  }
  SystemTime Remove(const std::string& key) {
    EXPECT_TRUE(world_.Run(store_.Remove({.bucket = "b", .key = key})));
    return Passed();
  }
  // The time at which the last change was there.
  SystemTime Passed() {
    SystemTime now = world_.clock.Now();
    world_.clock.Advance(std::chrono::seconds(10));
    return now;
  }
  std::vector<ListedObject> All(std::unique_ptr<Listing> listing) {
    std::vector<ListedObject> all;
    while (true) {
      auto next = world_.Run(listing->Next());
      EXPECT_TRUE(next) << next.error().Describe();
      if (!next || !*next) break;
      all.push_back(std::move(**next));
    }
    world_.Run(listing->Close());
    return all;
  }
  // "key=size" of each, as of `time`.
  std::string At(SystemTime time) {
    std::string text;
    for (const ListedObject& object : All(OpenListingAt(world_.runtime, store_, "b", "", time))) {
      text += object.key + "=" + std::to_string(object.size_bytes) + " ";
      auto info = world_.Run(
          store_.Head({.bucket = "b", .key = object.key, .version_id = object.version_id}));
      EXPECT_TRUE(info);
      if (info) EXPECT_EQ(info->size_bytes, object.size_bytes);
    }
    return text;
  }

  FakeWorld world_;
  std::shared_ptr<MemoryStoreBackend> backend_ = std::make_shared<MemoryStoreBackend>();
  MemoryStore store_{world_.runtime, backend_};
};

// A mirror of all versions writes them oldest first, so it must be able to rely on their order.
TEST_F(VersionListingTest, AllVersionsInOrder) {
  Put("a", "1");
  Put("b", "1");
  Remove("a");
  Put("a", "123");
  std::string text;
  for (const ListedObject& object : All(OpenVersionListing(world_.runtime, store_, "b", ""))) {
    text += object.key + (object.is_delete_marker ? "-" : std::to_string(object.size_bytes)) +
            (object.is_latest ? "! " : " ");
  }
  EXPECT_EQ(text, "a3! a- a1 b1! ");
}

// A bucket as of then must be the one that readers saw then, deletes included.
TEST_F(VersionListingTest, BucketAsItWasAtATime) {
  SystemTime before = Passed();
  SystemTime t1 = Put("a", "1");
  SystemTime t2 = Put("b", "12");
  SystemTime t3 = Put("a", "123");
  SystemTime t4 = Remove("b");
  SystemTime t5 = Put("b", "1234");
  EXPECT_EQ(At(before), "");
  EXPECT_EQ(At(t1), "a=1 ");
  EXPECT_EQ(At(t2), "a=1 b=2 ");
  EXPECT_EQ(At(t3), "a=3 b=2 ");
  EXPECT_EQ(At(t4), "a=3 ");
  EXPECT_EQ(At(t5), "a=3 b=4 ");
}

// What is uploaded in parts has the time at which its upload began: the version that it replaced
// may say a later one, and is not the current one for that.
TEST_F(VersionListingTest, TheOrderOfVersionsIsTheStores) {
  SystemTime before = Put("a", "1");
  SystemTime after = Put("a", "123");
  backend_->buckets["b"].objects["a"][1].info.last_modified = before - std::chrono::seconds(5);
  EXPECT_EQ(At(after), "a=3 ");
  EXPECT_EQ(At(before - std::chrono::seconds(6)), "");
}

}  // namespace
}  // namespace longhaul
