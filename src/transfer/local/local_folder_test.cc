#include "transfer/local/local_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/bytes.h"
#include "tests/support/folding_folder.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "transfer/listing/listing.h"
#include "transfer/local/local_file.h"
#include "transfer/object/copy_object.h"

namespace longhaul {
namespace {

using testing::RealWorld;
using testing::TempDir;

class LocalFolderTest : public ::testing::Test {
 protected:
  std::vector<std::string> Keys(const std::string& prefix, int page_size,
                                const std::string& start_after = "") {
    std::vector<std::string> keys;
    ListRequest request{.bucket = folder.path(),
                        .prefix = prefix,
                        .start_after = start_after,
                        .count_max = page_size};
    do {
      auto page = world.Run(store.List(request));
      EXPECT_TRUE(page) << page.error().Describe();
      if (!page) break;
      for (const ListedObject& object : page->objects) keys.push_back(object.key);
      request.token = page->next_token;
    } while (!request.token.empty());
    return keys;
  }

  TempDir folder;
  RealWorld world;
  LocalFolder store{world.runtime};
};

// On file systems that tell no types each name is looked at. A folder that passed for empty would
// be removed at the target of a sync.
TEST_F(LocalFolderTest, AFileThatGoesWhileItsFolderIsReadTakesNothingWithIt) {
  for (const char* name : {"a/1", "a/gone", "a/2", "b", "gone"}) folder.Write(name, name);
  LocalFolder typeless(world.runtime, ::fsync, {}, [](DIR* directory) {
    dirent* entry = ::readdir(directory);
    if (entry == nullptr) return entry;
    entry->d_type = DT_UNKNOWN;
    if (entry->d_name == std::string_view("gone")) {
      EXPECT_EQ(::unlinkat(::dirfd(directory), entry->d_name, 0), 0);
    }
    return entry;
  });
  auto page = world.Run(typeless.List({.bucket = folder.path()}));
  ASSERT_TRUE(page) << page.error().Describe();
  std::vector<std::string> keys;
  for (const ListedObject& object : page->objects) keys.push_back(object.key);
  EXPECT_EQ(keys, (std::vector<std::string>{"a/1", "a/2", "b"}));
}

TEST_F(LocalFolderTest, AFolderThatBreaksOffIsAnError) {
  for (const char* name : {"a/1", "b"}) folder.Write(name, name);
  LocalFolder broken(world.runtime, ::fsync, {}, [](DIR* directory) {
    dirent* entry = ::readdir(directory);
    if (entry == nullptr) errno = EIO;
    return entry;
  });
  auto page = world.Run(broken.List({.bucket = folder.path()}));
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().kind, ErrorKind::kRetryable);
}

// `check` merges two listings: a folder beside "a.b" and "a0" must sort as S3 sorts their keys.
TEST_F(LocalFolderTest, ListsInByteOrderOfKeys) {
  for (const char* name : {"a/x", "a/b/c", "a.b", "a0", "b", "a!c", "z/y/x/w", "\xc3\xa4"}) {
    folder.Write(name, name);
  }
  std::vector<std::string> expected = {"a!c", "a.b", "a/b/c",   "a/x",
                                       "a0",  "b",   "z/y/x/w", "\xc3\xa4"};
  EXPECT_EQ(Keys("", 1000), expected);
  EXPECT_EQ(Keys("", 1), expected);
  EXPECT_EQ(Keys("", 3), expected);
  EXPECT_EQ(Keys("a/", 1000), (std::vector<std::string>{"a/b/c", "a/x"}));
  EXPECT_EQ(Keys("a", 2), (std::vector<std::string>{"a!c", "a.b", "a/b/c", "a/x", "a0"}));
  EXPECT_EQ(Keys("b/", 2), std::vector<std::string>());
  EXPECT_EQ(Keys("a/nothing/", 2), std::vector<std::string>());
  EXPECT_EQ(Keys("", 2, "a/b/c"),
            (std::vector<std::string>{"a/x", "a0", "b", "z/y/x/w", "\xc3\xa4"}));
}

TEST_F(LocalFolderTest, DelimiterGivesFolders) {
  for (const char* name : {"a/x", "b", "c/d/e"}) folder.Write(name, name);
  auto page = world.Run(store.List({.bucket = folder.path(), .delimiter = "/"}));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->common_prefixes, (std::vector<std::string>{"a/", "c/"}));
  ASSERT_EQ(page->objects.size(), 1U);
  EXPECT_EQ(page->objects[0].key, "b");
}

// A listing does not show what lies behind a link to a folder, so whatever is there would be taken
// for missing: a move could replace what it has yet to move.
TEST_F(LocalFolderTest, NothingIsWrittenOrRemovedBehindALinkToAFolder) {
  folder.Write("there/x", "old");
  std::filesystem::create_directory(folder.file("a"));
  std::filesystem::create_directory_symlink("../there", folder.file("a/link"));
  for (const char* key : {"a/link/x", "a/link/y", "a/link/deep/er/z"}) {
    Result<PutResult> put = world.Run(PutText(store, {.bucket = folder.path(), .key = key}, "new"));
    ASSERT_FALSE(put) << key;
    EXPECT_EQ(put.error().code, "KeyNotStorable");
    EXPECT_TRUE(put.error().message.contains(folder.file("a/link") + " is a link"))
        << put.error().message;
    Result<PlacedUpload> upload =
        world.Run(store.OpenPlaced({.bucket = folder.path(), .key = key},
                                   {.origin = "o", .size_bytes = 4, .part_size_bytes = 4}));
    ASSERT_FALSE(upload) << key;
    EXPECT_EQ(upload.error().code, "KeyNotStorable");
  }
  Result<void> removed = world.Run(store.Remove({.bucket = folder.path(), .key = "a/link/x"}));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, "KeyNotStorable");
  EXPECT_EQ(*world.Run(GetAll(store, {.bucket = folder.path(), .key = "there/x"}, 100)), "old");
  EXPECT_EQ(folder.CountFiles(), 1U);
  // The folder that was named may be one.
  ASSERT_TRUE(world.Run(PutText(store, {.bucket = folder.file("a/link/"), .key = "x"}, "new")));
  EXPECT_EQ(*world.Run(GetAll(store, {.bucket = folder.path(), .key = "there/x"}, 100)), "new");
}

// A key from a foreign bucket must not write outside the folder that was named.
TEST_F(LocalFolderTest, NoKeyLeavesTheFolder) {
  for (const char* key :
       {"../evil", "a/../../evil", "/etc/passwd", "a//b", "./a", "a/.", "a/", "", ".."}) {
    auto put = world.Run(PutText(store, {.bucket = folder.path(), .key = key}, "x"));
    ASSERT_FALSE(put) << key;
    EXPECT_EQ(put.error().code, "KeyNotStorable") << key;
  }
  EXPECT_EQ(folder.CountFiles(), 0U);
}

// Under such a name lies what is being written: whoever writes "victim.txt" next would take the
// object for what a killed process has left, and remove it.
TEST_F(LocalFolderTest, NoKeyHasTheNameOfAHiddenFile) {
  for (const char* key : {"d/.longhaul-059a59b558c6fede.part", ".longhaul-x.part/bytes"}) {
    auto put = world.Run(PutText(store, {.bucket = folder.path(), .key = key}, "x"));
    ASSERT_FALSE(put) << key;
    EXPECT_EQ(put.error().code, "KeyNotStorable") << key;
  }
  for (const char* key : {".longhaul-x.parts", "longhaul-x.part"}) {
    EXPECT_TRUE(world.Run(PutText(store, {.bucket = folder.path(), .key = key}, "x"))) << key;
  }
}

// Where the folder is a bucket of a `file` store, too: what that one keeps of its objects would be
// copied along as files, and `sync --delete` would take it from the store.
TEST_F(LocalFolderTest, WhatAFileStoreKeepsIsNotThere) {
  for (const char* name : {".longhaul/meta/ab/cd", "a/.longhaul/tmp/x", "a/b", ".longhaulier/c"}) {
    folder.Write(name, name);
  }
  EXPECT_EQ(Keys("", 1000), (std::vector<std::string>{".longhaulier/c", "a/b"}));
  auto put = world.Run(PutText(store, {.bucket = folder.path(), .key = "a/.longhaul/x"}, "x"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, "KeyNotStorable");
}

// A half-written file under the name that was asked for would be taken for the whole.
TEST_F(LocalFolderTest, FailedWriteLeavesNothing) {
  auto put = world.Run(PutText(
      store,
      {.bucket = folder.path(), .key = "sub/file", .checksum = Checksum{.value = "AAAAAAAAAAA="}},
      "not zero"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(folder.CountFiles(), 0U);
}

TEST_F(LocalFolderTest, IfAbsentKeepsTheFile) {
  folder.Write("a", "old");
  auto put = world.Run(PutText(
      store, {.bucket = folder.path(), .key = "a", .condition = {.if_absent = true}}, "new"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kPrecondition);
  EXPECT_EQ(*world.Run(GetAll(store, {.bucket = folder.path(), .key = "a"}, 100)), "old");
  EXPECT_EQ(folder.CountFiles(), 1U);
}

// The processes of containers have the same number each time.
TEST_F(LocalFolderTest, WhatAKilledProcessLeftIsInNobodysWay) {
  folder.Write(".longhaul-" + std::to_string(::getpid()) + "-1.part", "of an earlier version");
  ASSERT_TRUE(world.Run(PutText(store, {.bucket = folder.path(), .key = "a"}, "first")));
  ASSERT_EQ(folder.CountFiles(), 2U);
  std::string hidden;
  {
    auto file = NewFile::Create(folder.file("a"));
    ASSERT_TRUE(file);
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      if (entry.file_size() == 0) hidden = entry.path().filename().string();
    }
  }
  ASSERT_FALSE(hidden.empty());
  folder.Write(hidden, "half of it");
  ASSERT_TRUE(world.Run(PutText(store, {.bucket = folder.path(), .key = "a"}, "whole")));
  EXPECT_EQ(*world.Run(GetAll(store, {.bucket = folder.path(), .key = "a"}, 100)), "whole");
  EXPECT_FALSE(std::filesystem::exists(folder.file(hidden)));
  EXPECT_EQ(folder.CountFiles(), 2U);
}

// What another process is writing must not be taken for what it left.
TEST_F(LocalFolderTest, TwoWritersOfAFileLeaveEachOtherAlone) {
  auto one = NewFile::Create(folder.file("a"));
  auto other = NewFile::Create(folder.file("a"));
  ASSERT_TRUE(one && other);
  ASSERT_TRUE((*one)->Write(AsBytes(std::string_view("one"))));
  ASSERT_TRUE((*other)->Write(AsBytes(std::string_view("other"))));
  ASSERT_TRUE((*other)->Commit(false));
  Result<struct stat> committed = (*one)->Commit(false);
  ASSERT_TRUE(committed) << committed.error().Describe();
  EXPECT_EQ(*world.Run(GetAll(store, {.bucket = folder.path(), .key = "a"}, 100)), "one");
  EXPECT_EQ(folder.CountFiles(), 1U);
}

// exFAT, FAT and SMB have no hard links, NFS no rename that replaces nothing, some FUSE mounts
// neither: what writes only where nothing is must work there, and replace nothing.
TEST_F(LocalFolderTest, AFileGetsANameThatNothingHasOnAnyFileSystem) {
  NameCalls no_rename;
  no_rename.rename_anew = [](const char*, const char*) {
    errno = EINVAL;
    return -1;
  };
  NameCalls neither = no_rename;
  neither.link = [](const char*, const char*) {
    errno = EPERM;
    return -1;
  };
  for (const NameCalls& calls : {NameCalls(), no_rename, neither}) {
    folder.Write("hidden", "new");
    folder.Write("a", "old");
    EXPECT_EQ(NameAnew(folder.file("hidden"), folder.file("a"), calls), -1);
    EXPECT_EQ(errno, EEXIST);
    EXPECT_EQ(*world.Run(GetAll(store, {.bucket = folder.path(), .key = "a"}, 100)), "old");
    std::filesystem::remove(folder.file("a"));
    EXPECT_EQ(NameAnew(folder.file("hidden"), folder.file("a"), calls), 0);
    EXPECT_EQ(*world.Run(GetAll(store, {.bucket = folder.path(), .key = "a"}, 100)), "new");
    EXPECT_EQ(folder.CountFiles(), 1U);
    // A failure leaves nothing that could be taken for the file.
    std::filesystem::remove(folder.file("a"));
    EXPECT_EQ(NameAnew(folder.file("hidden"), folder.file("a"), calls), -1);
    EXPECT_EQ(folder.CountFiles(), 0U);
  }
}

TEST_F(LocalFolderTest, ReadsRanges) {
  folder.Write("digits.txt", "0123456789");
  auto get = [&](GetRequest request) {
    request.bucket = folder.path();
    request.key = "digits.txt";
    return world.Run(GetAll(store, request, 100));
  };
  EXPECT_EQ(*get({.range = ByteRange{2, 3}}), "234");
  EXPECT_EQ(*get({.range = ByteRange{8, 30}}), "89");
  EXPECT_EQ(*get({.suffix_bytes = 4}), "6789");
  EXPECT_EQ(get({.range = ByteRange{10, 1}}).error().code, "InvalidRange");
  EXPECT_EQ(
      world.Run(store.Head({.bucket = folder.path(), .key = "digits.txt"}))->headers.content_type,
      "text/plain");
}

// An upload of a file that is being written would mix two states.
TEST_F(LocalFolderTest, FileThatChangesWhileReadIsNoticed) {
  folder.Write("a", "0123456789");
  auto stream = world.Run(store.Get({.bucket = folder.path(), .key = "a"}));
  ASSERT_TRUE(stream);
  folder.Write("a", "other bytes, more of them");
  auto read = world.Run(ReadAll(*stream->body, 1000));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kPrecondition);
}

// A copy out and back that lost headers, metadata or tags would not be the same object.
TEST_F(LocalFolderTest, KeepsWhatBelongsToAnObject) {
  PutRequest put{.bucket = folder.path(),
                 .key = "page.html",
                 .headers = {.content_type = "text/html; charset=x", .cache_control = "no-store"},
                 .metadata = {{"a", "b=c\nd"}},
                 .tags = {{"tier", "hot & cold"}}};
  ASSERT_TRUE(world.Run(PutText(store, put, "hello")));
  auto info = world.Run(store.Head({.bucket = folder.path(), .key = "page.html"}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->headers, put.headers);
  EXPECT_EQ(info->metadata, put.metadata);
  EXPECT_EQ(info->tag_count, 1);
  EXPECT_EQ(*world.Run(store.GetTags(folder.path(), "page.html", "")), put.tags);
  EXPECT_EQ(folder.CountFiles(), 1U);
}

// Both ways through another store: what comes back is what was there.
TEST_F(LocalFolderTest, CopiesOutAndBack) {
  auto backend = std::make_shared<testing::MemoryStoreBackend>();
  backend->buckets["b"];
  testing::MemoryStore memory(world.runtime, backend);
  for (size_t size : {size_t{0}, size_t{5}, size_t{20} << 20}) {
    std::string bytes(size, 'x');
    for (size_t i = 0; i < size; i += 4096) bytes[i] = static_cast<char>(i >> 12);
    folder.Write("in/file.bin", bytes);
    ASSERT_TRUE(world.Run(
        CopyObject(world.runtime, {.store = store, .bucket = folder.path(), .key = "in/file.bin"},
                   {.store = memory, .bucket = "b", .key = "k"}, {})));
    ASSERT_TRUE(world.Run(
        CopyObject(world.runtime, {.store = memory, .bucket = "b", .key = "k"},
                   {.store = store, .bucket = folder.path(), .key = "out/deep/file"}, {})));
    EXPECT_TRUE(*world.Run(GetAll(store, {.bucket = folder.path(), .key = "out/deep/file"},
                                  1 << 30)) == bytes);
  }
  EXPECT_EQ(folder.CountFiles(), 2U);
}

// The time of a file must come back after a trip to a store, and the trip must not make `sync`
// think that either side is newer.
TEST_F(LocalFolderTest, FileTimesSurviveTheTripThereAndBack) {
  folder.Write("in/x", "hello");
  const timespec old{.tv_sec = 1'354'040'105, .tv_nsec = 123'456'789};
  const timespec times[2] = {old, old};
  ASSERT_EQ(::utimensat(AT_FDCWD, folder.file("in/x").c_str(), times, 0), 0);

  auto backend = std::make_shared<testing::MemoryStoreBackend>();
  backend->buckets["b"];
  testing::MemoryStore remote(world.runtime, backend);
  ASSERT_TRUE(world.Run(CopyObject(world.runtime,
                                   {.store = store, .bucket = folder.file("in/"), .key = "x"},
                                   {.store = remote, .bucket = "b", .key = "x"}, {})));
  const auto* stored = backend->Find("b", "x");
  ASSERT_NE(stored, nullptr);
  EXPECT_EQ(stored->info.metadata.at("mtime"), "1354040105.123456789");

  std::filesystem::create_directories(folder.file("out"));
  ASSERT_TRUE(
      world.Run(CopyObject(world.runtime, {.store = remote, .bucket = "b", .key = "x"},
                           {.store = store, .bucket = folder.file("out/"), .key = "x"}, {})));
  struct stat status{};
  ASSERT_EQ(::stat(folder.file("out/x").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, old.tv_sec);
  EXPECT_EQ(status.st_mtim.tv_nsec, old.tv_nsec);
  auto page = world.Run(store.List({.bucket = folder.file("out/")}));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->objects[0].last_modified, stored->info.last_modified);
  auto head = world.Run(store.Head({.bucket = folder.file("out/"), .key = "x"}));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->last_modified, stored->info.last_modified);
  EXPECT_EQ(head->metadata, stored->info.metadata);

  // Once somebody writes to the file, its own time counts again.
  std::ofstream(folder.file("out/x")) << "other";
  page = world.Run(store.List({.bucket = folder.file("out/")}));
  ASSERT_TRUE(page);
  EXPECT_GE(page->objects[0].last_modified, stored->info.last_modified);
  head = world.Run(store.Head({.bucket = folder.file("out/"), .key = "x"}));
  ASSERT_TRUE(head);
  EXPECT_NE(head->metadata.at("mtime"), "1354040105.123456789");
}

// An object that was never a file gives its file the time of its LastModified, and gets no entry of
// ours when it goes back.
TEST_F(LocalFolderTest, AnObjectGivesItsFileItsTime) {
  const SystemTime modified = *ParseRfc3339("2026-03-01T09:30:00.5Z");
  MemorySource body(std::string_view("hello"));
  ASSERT_TRUE(world.Run(store.Put({.bucket = folder.path() + "/",
                                   .key = "x",
                                   .metadata = {{kModifiedEntry, FormatRfc3339(modified)}}},
                                  body)));
  struct stat status{};
  ASSERT_EQ(::stat(folder.file("x").c_str(), &status), 0);
  EXPECT_EQ(TimeOf(status.st_mtim), modified);
  auto head = world.Run(store.Head({.bucket = folder.path() + "/", .key = "x"}));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->last_modified, modified);
  EXPECT_TRUE(head->metadata.empty());
}

// `mv` must not remove a file that has changed since it was copied.
TEST_F(LocalFolderTest, RemovesOnlyWhatIsAsItWas) {
  folder.Write("x", "hello");
  auto head = world.Run(store.Head({.bucket = folder.path(), .key = "x"}));
  ASSERT_TRUE(head);
  folder.Write("x", "hello, world");
  Result<void> removed =
      world.Run(store.Remove({.bucket = folder.path(), .key = "x", .if_match = head->etag}));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().kind, ErrorKind::kPrecondition);
  head = world.Run(store.Head({.bucket = folder.path(), .key = "x"}));
  ASSERT_TRUE(
      world.Run(store.Remove({.bucket = folder.path(), .key = "x", .if_match = head->etag})));
  EXPECT_EQ(folder.CountFiles(), 0U);
}

TEST(FileTime, ReadsWhatItWrites) {
  for (const timespec& time :
       {timespec{.tv_sec = 0, .tv_nsec = 0}, timespec{.tv_sec = 1'354'040'105, .tv_nsec = 5},
        timespec{.tv_sec = -5, .tv_nsec = 250'000'000}}) {
    std::optional<timespec> back = ParseFileTime(FormatFileTime(time));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->tv_sec, time.tv_sec);
    EXPECT_EQ(back->tv_nsec, time.tv_nsec);
  }
  for (const char* bad : {"", "x", "1.", "1.x", "1,5", ".5", "99999999999999999999"}) {
    EXPECT_FALSE(ParseFileTime(bad)) << bad;
  }
  EXPECT_EQ(ParseFileTime("1.1234567891234")->tv_nsec, 123'456'789);
}

// A folder on a disk that takes names for one which are two to a store.
class FoldingFolderTest : public LocalFolderTest {
 protected:
  Result<PutResult> Put(const std::string& key, const std::string& text, bool if_absent = false) {
    return world.Run(PutText(
        files, {.bucket = folder.path(), .key = key, .condition = {.if_absent = if_absent}}, text));
  }
  std::string Read(const std::string& key) {
    Result<std::string> text = world.Run(GetAll(files, {.bucket = folder.path(), .key = key}, 100));
    return text ? *text : text.error().Describe();
  }
  void ExpectRefused(const Error& error, const std::string& key, const std::string& other) {
    EXPECT_EQ(error.kind, ErrorKind::kInvalidInput);
    EXPECT_EQ(error.code, "KeyNotStorable");
    EXPECT_TRUE(error.message.contains(key + ": " + other + " is there")) << error.message;
  }

  LocalFolder files{world.runtime, ::fsync, testing::FoldsAsciiCase};
};

// The second of two objects would replace the first, and a move remove both at their source.
TEST_F(FoldingFolderTest, AnotherSpellingOfAFileIsNotReplaced) {
  ASSERT_TRUE(Put("README", "first"));
  for (bool if_absent : {false, true}) {
    Result<PutResult> put = Put("Readme", "second", if_absent);
    ASSERT_FALSE(put);
    ExpectRefused(put.error(), "Readme", "README");
  }
  EXPECT_EQ(Read("README"), "first");
  EXPECT_EQ(folder.CountFiles(), 1U);
  ASSERT_TRUE(Put("README", "newer"));
  EXPECT_EQ(Read("README"), "newer");
  EXPECT_EQ(Put("README", "none", true).error().kind, ErrorKind::kPrecondition);
}

// Where the folders are one, the keys below it are those of the other, and `sync --delete` would
// take them for strangers.
TEST_F(FoldingFolderTest, AnotherSpellingOfAFolderIsNotWrittenTo) {
  ASSERT_TRUE(Put("a/Docs/x", "first"));
  for (const char* key : {"a/docs/x", "a/docs/y"}) {
    Result<PutResult> put = Put(key, "second");
    ASSERT_FALSE(put);
    ExpectRefused(put.error(), "a/docs", "Docs");
  }
  EXPECT_EQ(Read("a/Docs/x"), "first");
  EXPECT_EQ(folder.CountFiles(), 1U);
  ASSERT_TRUE(Put("a/Docs/y", "second"));
}

// ZFS with normalization=formC knows capitals, so no ASCII name shows what it takes for one.
TEST_F(LocalFolderTest, AnotherFormOfAnAccentIsNotReplaced) {
  LocalFolder files(world.runtime, ::fsync, testing::FoldsAccents);
  auto put = [&](const std::string& key, const std::string& text, bool if_absent) {
    return world.Run(PutText(
        files, {.bucket = folder.path(), .key = key, .condition = {.if_absent = if_absent}}, text));
  };
  const std::string composed = testing::kComposed;
  const std::string decomposed = testing::kDecomposed;
  ASSERT_TRUE(put(composed, "first", false));
  ASSERT_TRUE(put("sub/" + composed + "/x", "first", false));
  for (const std::string& key : {decomposed, "sub/" + decomposed + "/x"}) {
    for (bool if_absent : {false, true}) {
      Result<PutResult> done = put(key, "second", if_absent);
      ASSERT_FALSE(done) << key;
      EXPECT_EQ(done.error().code, "KeyNotStorable") << done.error().Describe();
    }
  }
  EXPECT_EQ(folder.CountFiles(), 2U);
  ASSERT_TRUE(put(composed, "newer", false));
  EXPECT_EQ(*world.Run(GetAll(files, {.bucket = folder.path(), .key = composed}, 100)), "newer");
}

TEST_F(FoldingFolderTest, AnotherSpellingIsNotReplacedByPartsEither) {
  const PartPlaces places{.origin = "o", .size_bytes = 4, .part_size_bytes = 4};
  Result<PlacedUpload> upload =
      world.Run(files.OpenPlaced({.bucket = folder.path(), .key = "Large"}, places));
  ASSERT_TRUE(upload) << upload.error().Describe();
  MemorySource body(std::string_view("text"));
  Result<UploadedPart> part = world.Run(files.UploadPart(upload->upload, 1, body));
  ASSERT_TRUE(part);
  ASSERT_TRUE(Put("LARGE", "first"));
  Result<PutResult> done =
      world.Run(files.CompleteMultipart({.upload = upload->upload, .parts = {*part}}));
  ASSERT_FALSE(done);
  ExpectRefused(done.error(), "Large", "LARGE");
  EXPECT_EQ(Read("LARGE"), "first");
  ASSERT_TRUE(world.Run(files.AbortMultipart(upload->upload)));
  // It is known before a byte is sent.
  upload = world.Run(files.OpenPlaced({.bucket = folder.path(), .key = "large"}, places));
  ASSERT_FALSE(upload);
  ExpectRefused(upload.error(), "large", "LARGE");
  EXPECT_EQ(folder.CountFiles(), 1U);
}

}  // namespace
}  // namespace longhaul
