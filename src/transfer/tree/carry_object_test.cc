#include "transfer/tree/carry_object.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include "tests/support/folding_folder.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "transfer/limits/limited_store.h"
#include "transfer/local/local_folder.h"
#include "transfer/object/relay.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::RealWorld;
using testing::TempDir;

// A store in which "alias" is another name of the bucket "b", as that of an access point is.
class AliasedStore : public MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  Async<ObjectInfo> Head(HeadRequest request) override {
    request.bucket = Real(request.bucket);
    return MemoryStore::Head(std::move(request));
  }
  Async<PutResult> Copy(CopyRequest request) override {
    request.bucket = Real(request.bucket);
    request.source_bucket = Real(request.source_bucket);
    return MemoryStore::Copy(std::move(request));
  }
  Async<void> Remove(RemoveRequest request) override {
    request.bucket = Real(request.bucket);
    return MemoryStore::Remove(std::move(request));
  }

 private:
  static std::string Real(const std::string& bucket) { return bucket == "alias" ? "b" : bucket; }
};

class MoveObjectTest : public ::testing::Test {
 protected:
  MoveObjectTest() {
    for (const auto& backend : {one, other}) {
      MemoryStore store(world.runtime, backend);
      EXPECT_TRUE(world.Run(store.CreateBucket("b")));
    }
    MemoryStore store(world.runtime, one);
    EXPECT_TRUE(world.Run(PutText(store, {.bucket = "b", .key = "k"}, "text")));
  }
  Result<CopyOutcome> Move(std::shared_ptr<MemoryStoreBackend> from,
                           std::shared_ptr<MemoryStoreBackend> to) {
    MemoryStore source(world.runtime, std::move(from));
    MemoryStore target(world.runtime, std::move(to));
    return world.Run(MoveObject(world.runtime, {.store = source, .bucket = "b", .key = "k"},
                                {.store = target, .bucket = "b", .key = "k"}, {}));
  }

  FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> one = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> other = std::make_shared<MemoryStoreBackend>();
};

// An endpoint with two names: the copy has replaced the object, and is all there is of it.
TEST_F(MoveObjectTest, OneObjectUnderTwoNamesStays) {
  for (std::chrono::seconds age : {std::chrono::seconds(0), std::chrono::seconds(100)}) {
    world.clock.Advance(age);
    Result<CopyOutcome> moved = Move(one, one);
    ASSERT_FALSE(moved);
    EXPECT_EQ(moved.error().kind, ErrorKind::kPrecondition) << moved.error().Describe();
    ASSERT_NE(one->Find("b", "k"), nullptr);
    EXPECT_EQ(*one->Find("b", "k")->bytes, "text");
  }
}

// Nobody knows whether what goes in parts has tags where they may not be asked for, and the copy
// would be all there is.
TEST_F(MoveObjectTest, WhatMayHaveTagsThatNobodyMayReadStays) {
  class Faults : public testing::FaultPlan {
   public:
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kGetTags) {
        fault.error = Error{.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
      }
      return fault;
    }
  } faults;
  MemoryStore source(world.runtime, one, &faults);
  MemoryStore target(world.runtime, other);
  for (const uint64_t threshold : {uint64_t{1}, UINT64_MAX}) {
    Result<CopyOutcome> moved = world.Run(MoveObject(
        world.runtime, {.store = source, .bucket = "b", .key = "k"},
        {.store = target, .bucket = "b", .key = "k"}, {.multipart_threshold_bytes = threshold}));
    const bool in_parts = threshold == 1;
    EXPECT_EQ(moved.has_value(), !in_parts);
    EXPECT_EQ(one->Find("b", "k") != nullptr, in_parts);
  }
}

// Two objects may have been written in one second.
TEST_F(MoveObjectTest, EqualTimesAreNotTheSameObject) {
  Result<CopyOutcome> moved = Move(one, other);
  ASSERT_TRUE(moved) << moved.error().Describe();
  EXPECT_EQ(one->Find("b", "k"), nullptr);
  ASSERT_NE(other->Find("b", "k"), nullptr);
  EXPECT_EQ(*other->Find("b", "k")->bytes, "text");
}

// An object in a store, and a folder whose disk is watched: as fsync is called, and before it says
// that all is well.
class MoveToAFolderTest : public ::testing::Test {
 protected:
  MoveToAFolderTest() {
    EXPECT_TRUE(world.Run(source.CreateBucket("b")));
    EXPECT_TRUE(world.Run(PutText(source, {.bucket = "b", .key = "k"}, "text")));
  }
  int Sync(int fd) {
    struct stat status{};
    EXPECT_EQ(::fstat(fd, &status), 0);
    synced.insert(status.st_ino);
    EXPECT_NE(backend->Find("b", "k"), nullptr);  // Its source is still there.
    if (!fails) return 0;
    errno = EIO;
    return -1;
  }
  [[nodiscard]] bool IsSynced(const std::string& name) const {
    struct stat status{};
    EXPECT_EQ(::stat(folder.file(name).c_str(), &status), 0) << name;
    return synced.contains(status.st_ino);
  }
  CopySource From() { return {.store = source, .bucket = "b", .key = "k"}; }
  CopyTarget To(const std::string& key) {
    return {.store = limited, .bucket = folder.path(), .key = key};
  }

  RealWorld world;
  TempDir folder;
  std::shared_ptr<MemoryStoreBackend> backend = std::make_shared<MemoryStoreBackend>();
  MemoryStore source{world.runtime, backend};
  std::set<ino_t> synced;
  bool fails = false;
  LocalFolder files{world.runtime, [this](int fd) { return Sync(fd); }};
  TransferLimits limits{world.runtime.clock};
  LimitedStore limited{files, limits};
};

// A machine that goes down just after a move must not have lost the object on both sides: neither
// its bytes nor the names that lead to them.
TEST_F(MoveToAFolderTest, TheSourceGoesWhenTheCopyIsOnTheDisk) {
  fails = true;
  Result<CopyOutcome> moved =
      world.Run(MoveObject(world.runtime, From(), To("new/folder/file"), {}));
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().kind, ErrorKind::kRetryable) << moved.error().Describe();
  EXPECT_NE(backend->Find("b", "k"), nullptr);
  fails = false;
  synced.clear();
  moved = world.Run(MoveObject(world.runtime, From(), To("new/folder/file"), {}));
  ASSERT_TRUE(moved) << moved.error().Describe();
  EXPECT_EQ(backend->Find("b", "k"), nullptr);
  for (const char* name : {"new/folder/file", "new/folder", "new", ""}) {
    EXPECT_TRUE(IsSynced(name)) << name;
  }
}

TEST_F(MoveToAFolderTest, TheSecondFileOfAFolderIsOnTheDiskToo) {
  ASSERT_TRUE(world.Run(limited.MakeDurable(folder.path(), "none")).error().kind ==
              ErrorKind::kNotFound);
  ASSERT_TRUE(world.Run(CopyObject(world.runtime, From(), To("a/1"), {})));
  ASSERT_TRUE(world.Run(CopyObject(world.runtime, From(), To("a/2"), {})));
  ASSERT_TRUE(world.Run(limited.MakeDurable(folder.path(), "a/1")));
  synced.clear();
  ASSERT_TRUE(world.Run(limited.MakeDurable(folder.path(), "a/2")));
  EXPECT_TRUE(IsSynced("a/2"));
  EXPECT_TRUE(IsSynced("a"));
  EXPECT_FALSE(IsSynced("a/1"));
}

// A copy waits for no disk: its source is not removed.
TEST_F(MoveToAFolderTest, ACopyWaitsForNoDisk) {
  ASSERT_TRUE(world.Run(CopyObject(world.runtime, From(), To("a"), {})));
  EXPECT_TRUE(synced.empty());
}

// What is set aside is all there is of what is about to be replaced.
TEST_F(MoveToAFolderTest, WhatIsSetAsideIsOnTheDisk) {
  const TreeTarget target{.store = source, .bucket = "b", .prefix = ""};
  const TreeTarget backup{.store = limited, .bucket = folder.path(), .prefix = ""};
  Result<ObjectInfo> there = world.Run(source.Head({.bucket = "b", .key = "k"}));
  ASSERT_TRUE(there);
  const ListedObject listed{.key = "k", .size_bytes = 4, .etag = there->etag};
  ASSERT_TRUE(world.Run(SetAside(world.runtime, target, backup, listed, {})));
  EXPECT_TRUE(IsSynced("k"));
  fails = true;
  EXPECT_FALSE(world.Run(SetAside(world.runtime, target, backup, listed, {})));
}

// Of more metadata than any file system takes (64 KiB is Linux's own bound) nothing is kept.
const CopyOptions kUnkept{.metadata = {{"note", std::string(70 << 10, 'x')}}};

// What of an object has no place at the target must not be removed with the source.
TEST_F(MoveToAFolderTest, WhatTheFileSystemDoesNotKeepStaysAtTheSource) {
  ASSERT_TRUE(world.Run(
      PutText(source, {.bucket = "b", .key = "k", .metadata = {{"policy", "{}"}}}, "text")));
  Result<CopyOutcome> moved = world.Run(MoveObject(world.runtime, From(), To("k"), kUnkept));
  ASSERT_FALSE(moved);
  EXPECT_TRUE(moved.error().message.contains("copied, but not removed at the source"));
  EXPECT_TRUE(moved.error().message.contains("policy")) << moved.error().message;
  EXPECT_FALSE(IsThereAlready(moved.error()));
  EXPECT_NE(backend->Find("b", "k"), nullptr);
  EXPECT_TRUE(std::filesystem::exists(folder.file("k")));
}

// Headers and tags have their place beside the metadata, and get lost with it.
TEST_F(MoveToAFolderTest, WhatHasNothingToLoseIsMovedAnyway) {
  const PutRequest plain{.bucket = "b", .key = "k", .headers = {.content_type = "text/csv"}};
  PutRequest tagged = plain;
  tagged.tags = {{"tier", "hot"}};
  PutRequest cached = plain;
  cached.headers.cache_control = "no-store";
  for (const PutRequest& put : {tagged, cached}) {
    ASSERT_TRUE(world.Run(PutText(source, put, "text")));
    EXPECT_FALSE(world.Run(MoveObject(world.runtime, From(), To("k.csv"), kUnkept)));
    EXPECT_NE(backend->Find("b", "k"), nullptr);
  }
  ASSERT_TRUE(world.Run(PutText(source, plain, "text")));
  EXPECT_FALSE(world.Run(MoveObject(world.runtime, From(), To("k.html"), kUnkept)));
  ASSERT_NE(backend->Find("b", "k"), nullptr);
  Result<CopyOutcome> moved = world.Run(MoveObject(world.runtime, From(), To("k.csv"), kUnkept));
  ASSERT_TRUE(moved) << moved.error().Describe();
  EXPECT_EQ(backend->Find("b", "k"), nullptr);
}

TEST_F(MoveToAFolderTest, WhatIsKeptIsMoved) {
  ASSERT_TRUE(world.Run(PutText(source,
                                {.bucket = "b",
                                 .key = "k",
                                 .headers = {.content_type = "text/x", .expires = "never"},
                                 .metadata = {{"a", "b"}, {"mtime", "1354040105.123456789"}},
                                 .tags = {{"tier", "hot"}}},
                                "text")));
  Result<CopyOutcome> moved =
      world.Run(MoveObject(world.runtime, From(), To("k"), {.metadata = {{"a", "other"}}}));
  ASSERT_TRUE(moved) << moved.error().Describe();
  EXPECT_EQ(backend->Find("b", "k"), nullptr);
}

// The time of a file is in its metadata, and file systems round it.
TEST(LostOfTest, AFileKeepsItsTimeAsWellAsItsFileSystemCan) {
  ObjectInfo source;
  source.metadata = {{"mtime", "1354040105.123456789"}};
  ObjectInfo copy;
  for (const char* time : {"1354040105.123456789", "1354040105.12", "1354040104"}) {
    copy.metadata = {{"mtime", time}};
    EXPECT_EQ(LostOf(copy, source, {}), "") << time;
  }
  for (const char* time : {"1354040110", "1354040100.5", "x"}) {
    copy.metadata = {{"mtime", time}};
    EXPECT_EQ(LostOf(copy, source, {}), "its metadata (mtime)") << time;
  }
  EXPECT_EQ(LostOf({}, source, {}), "its metadata (mtime)");
  EXPECT_EQ(LostOf({}, source, {{"mtime", "1"}}), "");
}

class MoveInOneStoreTest : public MoveObjectTest {
 protected:
  Result<CopyOutcome> MoveTo(const std::string& bucket, CopyOptions options) {
    AliasedStore store(world.runtime, one);
    return world.Run(MoveObject(world.runtime, {.store = store, .bucket = "b", .key = "k"},
                                {.store = store, .bucket = bucket, .key = "k"}, options));
  }
};

// S3 copies an object onto itself where its class is said, and an access point is a name more.
TEST_F(MoveInOneStoreTest, OneObjectInABucketOfTwoNamesStays) {
  one->options.capabilities.create_if_absent = false;  // Else the copy is refused already.
  for (const CopyOptions& options : {CopyOptions{.storage_class = "STANDARD"},
                                     CopyOptions{.storage_class = "STANDARD", .if_absent = true}}) {
    for (std::chrono::seconds age : {std::chrono::seconds(0), std::chrono::seconds(100)}) {
      world.clock.Advance(age);
      Result<CopyOutcome> moved = MoveTo("alias", options);
      ASSERT_FALSE(moved);
      EXPECT_EQ(moved.error().kind, ErrorKind::kPrecondition) << moved.error().Describe();
      EXPECT_FALSE(IsThereAlready(moved.error()));
      ASSERT_NE(one->Find("b", "k"), nullptr);
      EXPECT_EQ(*one->Find("b", "k")->bytes, "text");
    }
  }
}

TEST_F(MoveInOneStoreTest, BucketsThatAreTwoAreMovedBetween) {
  MemoryStore store(world.runtime, one);
  for (const char* bucket : {"c", "d"}) {
    ASSERT_TRUE(world.Run(store.CreateBucket(bucket)));
    // Within the second in which it was written.
    ASSERT_TRUE(world.Run(PutText(store, {.bucket = "b", .key = "k"}, "text")));
    Result<CopyOutcome> moved = MoveTo(bucket, {.if_absent = bucket == std::string("d")});
    ASSERT_TRUE(moved) << moved.error().Describe();
    EXPECT_EQ(one->Find("b", "k"), nullptr);
    ASSERT_NE(one->Find(bucket, "k"), nullptr);
  }
}

// Whoever leaves alone what is there must not take anything else for that.
TEST(IsThereAlreadyTest, ASourceThatHasChangedIsNoObjectInTheWay) {
  EXPECT_TRUE(IsThereAlready(PreconditionFailed("there is one")));
  EXPECT_FALSE(IsThereAlready(SourceChanged("b", "k")));
  EXPECT_FALSE(IsThereAlready(NotFound("gone", "NoSuchKey")));
}

// What cannot be written aside would be taken for gone, and replaced without a copy.
TEST(SetAsideTest, NotFoundIsTheTargetsToSay) {
  testing::RealWorld world;
  testing::TempDir folder;
  LocalFolder files(world.runtime);
  std::filesystem::create_directories(folder.file("to"));
  std::ofstream(folder.file("to/a")) << "old";
  std::ofstream(folder.file("in-the-way")) << "a file";
  const TreeTarget target{.store = files, .bucket = folder.file("to"), .prefix = ""};
  const TreeTarget backup{.store = files, .bucket = folder.file("in-the-way/old"), .prefix = ""};
  Result<void> aside =
      world.Run(SetAside(world.runtime, target, backup, {.key = "a", .size_bytes = 3}, {}));
  ASSERT_FALSE(aside);
  EXPECT_TRUE(aside.error().message.contains("set aside what is there")) << aside.error().message;
  std::filesystem::remove(folder.file("to/a"));
  EXPECT_TRUE(
      world.Run(SetAside(world.runtime, target, backup, {.key = "a", .size_bytes = 3}, {})));
}

// 409: another request for the name was under way, a delete perhaps. A restore that takes it for an
// object leaves one out.
TEST(IsThereAlreadyTest, AConflictOfTwoWritesIsNoObject) {
  Error conflict = PreconditionFailed("a conflict");
  conflict.code = "ConditionalRequestConflict";
  EXPECT_FALSE(IsThereAlready(conflict));
  Error other = PreconditionFailed("in another state");
  other.http_status = 409;
  EXPECT_FALSE(IsThereAlready(other));
}

// Two objects whose names are one on the disk: the second stays where it is.
TEST(MoveObjectToADiskTest, WhatWouldReplaceAnotherSpellingStays) {
  RealWorld world;
  TempDir folder;
  auto backend = std::make_shared<MemoryStoreBackend>();
  MemoryStore source(world.runtime, backend);
  LocalFolder files(world.runtime, ::fsync, testing::FoldsAsciiCase);
  ASSERT_TRUE(world.Run(source.CreateBucket("b")));
  std::vector<bool> moved;
  for (const char* key : {"README", "Readme"}) {
    ASSERT_TRUE(world.Run(PutText(source, {.bucket = "b", .key = key}, key)));
    moved.push_back(world
                        .Run(MoveObject(world.runtime, {.store = source, .bucket = "b", .key = key},
                                        {.store = files, .bucket = folder.path(), .key = key}, {}))
                        .has_value());
  }
  EXPECT_EQ(moved, (std::vector<bool>{true, false}));
  EXPECT_EQ(backend->Find("b", "README"), nullptr);
  EXPECT_NE(backend->Find("b", "Readme"), nullptr);
  EXPECT_EQ(*world.Run(GetAll(files, {.bucket = folder.path(), .key = "README"}, 100)), "README");
}

}  // namespace
}  // namespace longhaul
