#include "cli/true_places.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/transfer_ends.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "transfer/local/local_folder.h"

namespace longhaul {
namespace {

using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::RealWorld;
using testing::TempDir;

class TruePlacesTest : public ::testing::Test {
 protected:
  static OpenedAddress At(Store& store, const std::string& place, const std::string& bucket,
                          const std::string& prefix) {
    return {.address = {.kind = CommandAddress::Kind::kNamed,
                        .text = place + ":" + bucket,
                        .bucket = bucket,
                        .key = prefix},
            .store = &store,
            .place = place};
  }
  OpenedAddress Folder(const std::string& name) {
    return {.address = {.text = folder.file(name), .bucket = folder.file(name) + "/"},
            .store = &files};
  }
  TruePlaces Find(const OpenedAddress& source, const OpenedAddress& target,
                  bool equal_too = false) {
    Result<TruePlaces> places = world.Run(FindTruePlaces(world.runtime, source, target, equal_too));
    EXPECT_TRUE(places) << places.error().Describe();
    return places ? *places : TruePlaces();
  }
  // Of a source and a target: which lies in which.
  std::string Compared(const OpenedAddress& source, const OpenedAddress& target) {
    const TruePlaces places = Find(source, target);
    const OpenedAddress one = places.Of(source);
    const OpenedAddress other = places.Of(target);
    if (LiesIn(one, other)) return LiesIn(other, one) ? "one" : "source in target";
    return LiesIn(other, one) ? "target in source" : "apart";
  }

  TempDir folder;
  RealWorld world;
  LocalFolder files{world.runtime};
};

TEST_F(TruePlacesTest, OneBucketByTwoEndpoints) {
  MemoryStore store(world.runtime, std::make_shared<MemoryStoreBackend>());
  ASSERT_TRUE(world.Run(store.CreateBucket("b")));
  ASSERT_TRUE(world.Run(PutText(store, {.bucket = "b", .key = "new/x"}, "1")));
  const OpenedAddress all = At(store, "http://one", "b", "");
  const OpenedAddress below = At(store, "http://other", "b", "new/");
  EXPECT_EQ(Compared(below, all), "source in target");
  EXPECT_EQ(Compared(all, below), "target in source");
  // The same prefix of both is told by each object, but where objects are removed.
  const OpenedAddress other = At(store, "http://other", "b", "");
  EXPECT_FALSE(Find(all, other).found());
  EXPECT_TRUE(Find(all, other, true).found());
  // What lies beside each other does not meet.
  EXPECT_EQ(Compared(At(store, "http://other", "b", "old/"), below), "apart");
  // Nothing is left of the look.
  Result<ListPage> left = world.Run(store.List({.bucket = "b"}));
  ASSERT_TRUE(left);
  EXPECT_EQ(left->objects.size(), 1U);
}

TEST_F(TruePlacesTest, TwoBucketsWithOneObjectAreTwo) {
  MemoryStore one(world.runtime, std::make_shared<MemoryStoreBackend>());
  MemoryStore other(world.runtime, std::make_shared<MemoryStoreBackend>());
  for (MemoryStore* store : {&one, &other}) {
    ASSERT_TRUE(world.Run(store->CreateBucket("b")));
    ASSERT_TRUE(world.Run(PutText(*store, {.bucket = "b", .key = "new/x"}, "1")));
  }
  EXPECT_EQ(Compared(At(one, "http://one", "b", "new/"), At(other, "http://other", "b", "")),
            "apart");
}

// Who keeps versions without letting others remove them has a marker over the probe, at least.
TEST_F(TruePlacesTest, AProbeThatCannotBeRemovedByVersionIsRemoved) {
  auto backend = std::make_shared<MemoryStoreBackend>();
  class KeepsVersions : public MemoryStore {
   public:
    using MemoryStore::MemoryStore;
    Async<void> Remove(RemoveRequest request) override {
      if (!request.version_id.empty()) co_return Error{.kind = ErrorKind::kDenied, .message = "no"};
      co_return co_await MemoryStore::Remove(std::move(request));
    }
  } store(world.runtime, backend);
  ASSERT_TRUE(world.Run(store.CreateBucket("b")));
  ASSERT_TRUE(world.Run(store.SetVersioning("b", true)));
  ASSERT_TRUE(world.Run(PutText(store, {.bucket = "b", .key = "new/x"}, "1")));
  EXPECT_EQ(Compared(At(store, "http://one", "b", "new/"), At(store, "http://two", "b", "")),
            "source in target");
  EXPECT_EQ(backend->Keys("b"), std::vector<std::string>{"new/x"});
}

// Whether both are two nobody knows then; what refuses it says why.
TEST_F(TruePlacesTest, AProbeThatIsRefusedIsAnError) {
  class TakesNothing : public MemoryStore {
   public:
    using MemoryStore::MemoryStore;
    Async<void> Remove(RemoveRequest) override {
      ADD_FAILURE() << "it would leave a marker where versions are kept";
      co_return Ok();
    }
    Async<PutResult> Put(PutRequest, ByteSource&) override {
      co_return Error{.kind = ErrorKind::kDenied, .message = "read only"};
    }
  };
  auto backend = std::make_shared<MemoryStoreBackend>();
  MemoryStore store(world.runtime, backend);
  TakesNothing target(world.runtime, backend);
  ASSERT_TRUE(world.Run(store.CreateBucket("b")));
  ASSERT_TRUE(world.Run(PutText(store, {.bucket = "b", .key = "new/x"}, "1")));
  Result<TruePlaces> places =
      world.Run(FindTruePlaces(world.runtime, At(store, "http://one", "b", "new/"),
                               At(target, "http://two", "b", ""), false));
  ASSERT_FALSE(places);
  EXPECT_EQ(places.error().kind, ErrorKind::kDenied);
}

// Two buckets of one endpoint are two by their names, whatever is in them.
TEST_F(TruePlacesTest, TwoNamesOfOneEndpointNeedNoLook) {
  MemoryStore store(world.runtime, std::make_shared<MemoryStoreBackend>());
  EXPECT_EQ(Compared(At(store, "s3 aws", "one", "x/"), At(store, "s3 aws", "two", "")), "apart");
}

// A server's own folder: the LocalFolder stands for it, with the folder as its bucket.
TEST_F(TruePlacesTest, AFolderInWhichAServerKeepsItsObjects) {
  folder.Write("root/d/new/x", "1");
  folder.Write("root/d/new/deep/y", "2");
  folder.Write("root/e/new/x", "1");
  LocalFolder server(world.runtime);
  auto bucket = [this, &server](const std::string& prefix) {
    return At(server, "http://server", folder.file("root/d"), prefix);
  };
  EXPECT_EQ(Compared(bucket("new/"), Folder("root/d")), "source in target");
  EXPECT_EQ(Compared(bucket("new/"), Folder("root/d/new")), "one");
  EXPECT_EQ(Compared(bucket("new/"), Folder("root/d/new/deep")), "target in source");
  EXPECT_EQ(Compared(bucket(""), Folder("root/d/new")), "target in source");
  EXPECT_EQ(Compared(Folder("root/d/new"), bucket("")), "source in target");
  EXPECT_EQ(Compared(Folder("root/d"), bucket("new/")), "target in source");
  // What only looks alike.
  EXPECT_EQ(Compared(bucket("new/"), Folder("root/e")), "apart");
  EXPECT_EQ(Compared(Folder("root/e"), bucket("new/")), "apart");
  EXPECT_EQ(Compared(bucket("new/"), Folder("none")), "apart");
  EXPECT_EQ(folder.CountFiles(), 3U);
  // What a server keeps there for itself it shows nobody.
  folder.Write("root/d/.longhaul/a", "1");
  folder.Write("root/d/.temporary/a", "1");
  class HidesTemporary : public LocalFolder {
   public:
    using LocalFolder::LocalFolder;
    Async<ObjectInfo> Head(HeadRequest request) override {
      if (request.key.starts_with('.')) co_return NotFound(request.key);
      co_return co_await LocalFolder::Head(std::move(request));
    }
  } hides(world.runtime);
  EXPECT_EQ(Compared(At(hides, "http://server", folder.file("root/d"), "new/"), Folder("root/d")),
            "source in target");
}

// As servers lay out their buckets: the folder with all of them.
TEST_F(TruePlacesTest, TheFolderAboveThatOfABucket) {
  folder.Write("root/d/x", "1");
  LocalFolder server(world.runtime);
  // Its buckets are relative to where it runs.
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.file("root"));
  EXPECT_EQ(Compared(At(server, "http://server", "d", ""), Folder("root")), "source in target");
  EXPECT_EQ(Compared(Folder("root"), At(server, "http://server", "d", "")), "target in source");
  std::filesystem::current_path(before);
  EXPECT_EQ(folder.CountFiles(), 1U);
}

// Mounts tell it as a link does, and need no root: a link's target stands for one.
TEST_F(TruePlacesTest, FoldersAreOneByWhatTheyAre) {
  folder.Write("root/d/x", "1");
  EXPECT_TRUE(LiesIn(Folder("root/d"), Folder("root")));
  EXPECT_FALSE(LiesIn(Folder("root"), Folder("root/d")));
  std::filesystem::create_directory_symlink(folder.file("root"), folder.file("link"));
  EXPECT_TRUE(LiesIn(Folder("link/d"), Folder("root")));
  EXPECT_TRUE(LiesIn(Folder("root/d/none/yet"), Folder("link")));
}

}  // namespace
}  // namespace longhaul
