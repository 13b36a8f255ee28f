#include "transfer/local_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "transfer/copy_object.h"
#include "transfer/listing.h"

namespace longhaul {
namespace {

using testing::RealWorld;
using testing::TempDir;

class LocalFolderTest : public ::testing::Test {
 protected:
  void WriteFile(const std::string& name, const std::string& text) {
    std::filesystem::path path = folder.file(name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
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
  size_t FilesThere() {
    size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
      if (entry.is_regular_file()) ++count;
    }
    return count;
  }

  TempDir folder;
  RealWorld world;
  LocalFolder store{world.runtime};
};

// `check` merges two listings: a folder beside "a.b" and "a0" must sort as S3 sorts their keys.
TEST_F(LocalFolderTest, ListsInByteOrderOfKeys) {
  for (const char* name : {"a/x", "a/b/c", "a.b", "a0", "b", "a!c", "z/y/x/w", "\xc3\xa4"}) {
    WriteFile(name, name);
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
  for (const char* name : {"a/x", "b", "c/d/e"}) WriteFile(name, name);
  auto page = world.Run(store.List({.bucket = folder.path(), .delimiter = "/"}));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->common_prefixes, (std::vector<std::string>{"a/", "c/"}));
  ASSERT_EQ(page->objects.size(), 1U);
  EXPECT_EQ(page->objects[0].key, "b");
}

// A key from a foreign bucket must not write outside the folder that was named.
TEST_F(LocalFolderTest, NoKeyLeavesTheFolder) {
  for (const char* key :
       {"../evil", "a/../../evil", "/etc/passwd", "a//b", "./a", "a/.", "a/", "", ".."}) {
    auto put = world.Run(PutText(store, {.bucket = folder.path(), .key = key}, "x"));
    ASSERT_FALSE(put) << key;
    EXPECT_EQ(put.error().code, "KeyNotStorable") << key;
  }
  EXPECT_EQ(FilesThere(), 0U);
}

// A half-written file under the name that was asked for would be taken for the whole.
TEST_F(LocalFolderTest, FailedWriteLeavesNothing) {
  auto put = world.Run(PutText(
      store,
      {.bucket = folder.path(), .key = "sub/file", .checksum = Checksum{.value = "AAAAAAAAAAA="}},
      "not zero"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(FilesThere(), 0U);
}

TEST_F(LocalFolderTest, IfAbsentKeepsTheFile) {
  WriteFile("a", "old");
  auto put = world.Run(PutText(
      store, {.bucket = folder.path(), .key = "a", .condition = {.if_absent = true}}, "new"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kPrecondition);
  EXPECT_EQ(*world.Run(GetAll(store, {.bucket = folder.path(), .key = "a"}, 100)), "old");
  EXPECT_EQ(FilesThere(), 1U);
}

TEST_F(LocalFolderTest, ReadsRanges) {
  WriteFile("digits.txt", "0123456789");
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
  WriteFile("a", "0123456789");
  auto stream = world.Run(store.Get({.bucket = folder.path(), .key = "a"}));
  ASSERT_TRUE(stream);
  WriteFile("a", "other bytes, more of them");
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
  EXPECT_EQ(FilesThere(), 1U);
}

// Both ways through another store: what comes back is what was there.
TEST_F(LocalFolderTest, CopiesOutAndBack) {
  auto backend = std::make_shared<testing::MemoryStoreBackend>();
  backend->buckets["b"];
  testing::MemoryStore memory(world.runtime, backend);
  for (size_t size : {size_t{0}, size_t{5}, size_t{20} << 20}) {
    std::string bytes(size, 'x');
    for (size_t i = 0; i < size; i += 4096) bytes[i] = static_cast<char>(i >> 12);
    WriteFile("in/file.bin", bytes);
    ASSERT_TRUE(world.Run(
        CopyObject(world.runtime, {.store = store, .bucket = folder.path(), .key = "in/file.bin"},
                   {.store = memory, .bucket = "b", .key = "k"}, {})));
    ASSERT_TRUE(world.Run(
        CopyObject(world.runtime, {.store = memory, .bucket = "b", .key = "k"},
                   {.store = store, .bucket = folder.path(), .key = "out/deep/file"}, {})));
    EXPECT_TRUE(*world.Run(GetAll(store, {.bucket = folder.path(), .key = "out/deep/file"},
                                  1 << 30)) == bytes);
  }
  EXPECT_EQ(FilesThere(), 2U);
}

}  // namespace
}  // namespace longhaul
