#include "transfer/tree/named_objects.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "transfer/local/local_folder.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::RealWorld;
using testing::StoreOperation;
using testing::TempDir;

// Answers the first HEADs with a 404, as a server does that does not know yet.
class NotYet : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation == StoreOperation::kHead && times-- > 0) fault.error = NotFound("404", "404");
    return fault;
  }
  int times = 1;
};

// Who tries again what failed takes what is not there for done: a bucket that is missing must not
// look like that.
TEST(NamedObjects, AMissingBucketIsNoAbsence) {
  FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>();
  MemoryStore store(world.runtime, backend);
  std::unique_ptr<Listing> listing =
      OpenNamedObjects(world.runtime, store, "nowhere", "in/", {"a", "b"});
  Result<std::optional<ListedObject>> object = world.Run(listing->Next());
  ASSERT_FALSE(object);
  EXPECT_EQ(object.error().code, "NoSuchBucket") << object.error().Describe();
  world.Run(listing->Close());
  ASSERT_TRUE(world.Run(store.CreateBucket("nowhere")));
  listing = OpenNamedObjects(world.runtime, store, "nowhere", "in/", {"a", "b"});
  object = world.Run(listing->Next());
  ASSERT_TRUE(object) << object.error().Describe();
  EXPECT_FALSE(*object);
  world.Run(listing->Close());
}

// A HEAD has no body: what it says of an absence another request has to confirm.
TEST(NamedObjects, AHeadAloneProvesNoAbsence) {
  FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>();
  NotYet faults;
  MemoryStore store(world.runtime, backend, &faults);
  ASSERT_TRUE(world.Run(store.CreateBucket("b")));
  for (const std::string text : {"text", ""}) {
    faults.times = 0;
    ASSERT_TRUE(world.Run(PutText(store, {.bucket = "b", .key = "in/a"}, text)));
    faults.times = 1;
    std::unique_ptr<Listing> listing = OpenNamedObjects(world.runtime, store, "b", "in/", {"a"});
    Result<std::optional<ListedObject>> object = world.Run(listing->Next());
    ASSERT_FALSE(object);
    EXPECT_EQ(object.error().kind, ErrorKind::kRetryable) << object.error().Describe();
    world.Run(listing->Close());
  }
}

class DeniedHeads : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view key) override {
    Fault fault;
    if (operation == StoreOperation::kList && lists_denied) fault.error = denied;
    if (operation == StoreOperation::kHead && key == "in/a") fault.error = denied;
    return fault;
  }
  Error denied{.kind = ErrorKind::kDenied, .message = "403", .http_status = 403};
  bool lists_denied = false;
};

// One object that may not be read must not hold up the others for ever; what is there is told by a
// listing, and what is not is not taken for another key's object.
TEST(NamedObjects, AnObjectThatMayNotBeAskedForIsListed) {
  FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>();
  DeniedHeads faults;
  MemoryStore store(world.runtime, backend, &faults);
  ASSERT_TRUE(world.Run(store.CreateBucket("b")));
  for (const char* key : {"in/a", "in/ab", "in/b"}) {
    ASSERT_TRUE(world.Run(PutText(store, {.bucket = "b", .key = key}, "text")));
  }
  const auto names = [&] {
    std::vector<std::string> keys;
    std::unique_ptr<Listing> listing =
        OpenNamedObjects(world.runtime, store, "b", "in/", {"a", "b"});
    while (true) {
      Result<std::optional<ListedObject>> object = world.Run(listing->Next());
      EXPECT_TRUE(object) << object.error().Describe();
      if (!object || !*object) break;
      EXPECT_EQ((*object)->size_bytes, 4U);
      EXPECT_FALSE((*object)->etag.empty());
      keys.push_back((*object)->key);
    }
    world.Run(listing->Close());
    return keys;
  };
  EXPECT_EQ(names(), (std::vector<std::string>{"in/a", "in/b"}));
  ASSERT_TRUE(world.Run(store.Remove({.bucket = "b", .key = "in/a"})));
  EXPECT_EQ(names(), (std::vector<std::string>{"in/b"}));
  // Nothing tells whether it is there: whoever takes that for "gone" forgets it.
  faults.lists_denied = true;
  std::unique_ptr<Listing> listing = OpenNamedObjects(world.runtime, store, "b", "in/", {"a", "b"});
  Result<std::optional<ListedObject>> object = world.Run(listing->Next());
  ASSERT_FALSE(object);
  EXPECT_EQ(object.error().kind, ErrorKind::kDenied);
  world.Run(listing->Close());
}

// A disk that is not mounted has no file, and nothing of it is done.
TEST(NamedObjects, AMissingFolderIsNoAbsence) {
  RealWorld world;
  TempDir folder;
  LocalFolder store(world.runtime);
  std::unique_ptr<Listing> listing =
      OpenNamedObjects(world.runtime, store, folder.file("away"), "", {"a", "b"});
  Result<std::optional<ListedObject>> object = world.Run(listing->Next());
  ASSERT_FALSE(object);
  EXPECT_EQ(object.error().code, "NoSuchBucket") << object.error().Describe();
  std::filesystem::create_directories(folder.file("away"));
  std::ofstream(folder.file("away/b")) << "text";
  listing = OpenNamedObjects(world.runtime, store, folder.file("away"), "", {"a", "b"});
  object = world.Run(listing->Next());
  ASSERT_TRUE(object && *object);
  EXPECT_EQ((*object)->key, "b");
}

}  // namespace
}  // namespace longhaul
