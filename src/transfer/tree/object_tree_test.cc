#include "transfer/tree/object_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "transfer/local/local_folder.h"
#include "transfer/tree/tree_root.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::RealWorld;
using testing::TempDir;

std::string Field(const std::string& text) {
  std::string length(8, '\0');
  length[6] = static_cast<char>(text.size() >> 8);
  length[7] = static_cast<char>(text.size());
  return length + text;
}

std::string Leaf(const std::map<std::string, std::string>& fields) {
  std::string text(1, '\0');
  for (const auto& [label, value] : fields) text += Field(label) + Field(value);
  return Sha256(text);
}

// What docs/listings.md tells a stranger to do, done here by other means than the program's.
TEST(ObjectTree, IsWhatTheDocumentSays) {
  const std::string md5 = "0cc175b9c0f1b6a831c399e269772661";
  auto listed = [&](const std::string& key, uint64_t size, const std::string& etag) {
    ListedObject object;
    object.key = key;
    object.size_bytes = size;
    object.etag = etag;
    return object;
  };
  const std::string leaf = Leaf({{"content", "md5:" + md5}, {"size", "1"}});
  EXPECT_EQ(HashListed(listed("k", 1, md5)), leaf);
  EXPECT_EQ(HashListed(listed("k", 9, "abc-2")), Leaf({{"content", "etag:abc-2"}, {"size", "9"}}));
  EXPECT_EQ(HashListed(listed("k", 0, "abc-2")), Leaf({{"content", "empty"}, {"size", "0"}}));

  // a, b/c, b/d/, b/e/f, "b0"
  const std::string below_e = Sha256("\1" + Field("f") + leaf);
  const std::string below_d = Sha256("\1" + Field("") + leaf);
  const std::string below_b =
      Sha256("\1" + Field("c") + leaf + Field("d/") + below_d + Field("e/") + below_e);
  const std::string root =
      Sha256("\1" + Field("a") + leaf + Field("b/") + below_b + Field("b0") + leaf);
  std::map<std::string, std::string> nodes;
  ObjectTree tree(TreeMode::kListing, [&](const ObjectTree::Node& node) {
    nodes[std::string(node.name)] = node.hash + " " + std::to_string(node.objects);
  });
  for (const char* name : {"a", "b/c", "b/d/", "b/e/f", "b0"}) tree.Add(name, leaf, 1);
  EXPECT_EQ(tree.Finish(), "longhaul-tree-1:listing:" + HexEncode(root));
  EXPECT_EQ(nodes["b/"], "longhaul-tree-1:listing:" + HexEncode(below_b) + " 3");
  EXPECT_EQ(nodes["b/e/"], "longhaul-tree-1:listing:" + HexEncode(below_e) + " 1");
  EXPECT_EQ(nodes.size(), 4u);
  EXPECT_EQ(ObjectTree(TreeMode::kFull).Finish(),
            "longhaul-tree-1:full:" + HexEncode(Sha256("\1")));

  ObjectInfo info;
  info.size_bytes = 1;
  info.etag = md5;
  info.headers.content_type = "text/plain";
  info.metadata = {{"a", "1"},
                   {"longhaul", "mark"},
                   {"longhaul-version-id", "3HL4"},
                   {"longhaul-version-time", "2026-03-01T09:30:00Z"}};
  EXPECT_EQ(HashFull(1, TreeContent(info), info, {{"t", "2"}}),
            Leaf({{"content", "md5:" + md5},
                  {"header content-type", "text/plain"},
                  {"metadata a", "1"},
                  {"size", "1"},
                  {"tag t", "2"}}));
}

TEST(ObjectTree, WhatStandsForTheBytes) {
  ObjectInfo info;
  info.size_bytes = 5;
  info.etag = "0cc175b9c0f1b6a831c399e269772661";
  info.checksums = {{ChecksumAlgorithm::kCrc32, "AAAA", false},
                    {ChecksumAlgorithm::kCrc64Nvme, "BBBB", false}};
  EXPECT_EQ(TreeContent(info), "md5:0cc175b9c0f1b6a831c399e269772661");
  info.etag_opaque = true;
  EXPECT_EQ(TreeContent(info), "crc64nvme:BBBB");
  info.checksums[1].composite = true;
  EXPECT_EQ(TreeContent(info), "crc32:AAAA");
  info.checksums.clear();
  EXPECT_EQ(TreeContent(info), "etag:0cc175b9c0f1b6a831c399e269772661");
}

class Sink : public TreeSink {
 public:
  Async<void> Take(std::vector<TreeEntry> entries) override {
    for (TreeEntry& entry : entries) names.push_back(std::move(entry.name));
    co_return Ok();
  }
  void OnFailed(std::string_view name, const Error&) override { failed.emplace_back(name); }
  std::vector<std::string> names;
  std::vector<std::string> failed;
};

class TreeRootTest : public ::testing::Test {
 protected:
  TreeRootTest() {
    backend_->buckets["l"];
    backend_->buckets["r"];
  }
  void Put(PutRequest request, const std::string& text) {
    ASSERT_TRUE(world_.Run(PutText(store_, std::move(request), text)));
  }
  std::string Root(const std::string& bucket, TreeMode mode, const std::string& prefix = "") {
    Sink sink;
    auto root = world_.Run(ComputeRoot(world_.runtime, {store_, bucket, prefix},
                                       OpenListing(world_.runtime, store_, bucket, prefix),
                                       {.mode = mode}, sink));
    EXPECT_TRUE(root);
    EXPECT_TRUE(std::ranges::is_sorted(sink.names));
    return root.value_or("error");
  }

  FakeWorld world_;
  std::shared_ptr<MemoryStoreBackend> backend_ = std::make_shared<MemoryStoreBackend>();
  MemoryStore store_{world_.runtime, backend_};
};

// Two sites that agree must see the same hash, and no difference may hide behind an equal one.
TEST_F(TreeRootTest, EqualForEqualTreesAndForNoOthers) {
  for (const char* bucket : {"l", "r"}) {
    const std::string below = bucket == std::string("l") ? "" : "copy/";
    for (int i = 0; i < 2500; ++i) {
      Put({.bucket = bucket,
           .key = below + "k/" + std::to_string(i),
           .metadata = {{"a", std::to_string(i)}, {"longhaul", bucket}},
           .tags = i % 100 == 0 ? Tags{{"t", "1"}} : Tags{}},
          "text " + std::to_string(i));
    }
  }
  for (TreeMode mode : {TreeMode::kListing, TreeMode::kFull}) {
    EXPECT_EQ(Root("l", mode), Root("r", mode, "copy/"));
    EXPECT_NE(Root("l", mode), Root("r", mode));
  }
  EXPECT_NE(Root("l", TreeMode::kListing), Root("l", TreeMode::kFull));
  const std::string listing = Root("l", TreeMode::kListing);
  const std::string full = Root("l", TreeMode::kFull);
  Put({.bucket = "r", .key = "copy/k/100", .metadata = {{"a", "100"}}, .tags = {{"t", "2"}}},
      "text 100");
  EXPECT_EQ(Root("r", TreeMode::kListing, "copy/"), listing);
  EXPECT_NE(Root("r", TreeMode::kFull, "copy/"), full);
  Put({.bucket = "r", .key = "copy/k/100", .metadata = {{"a", "100"}}, .tags = {{"t", "1"}}},
      "text 1O0");
  EXPECT_NE(Root("r", TreeMode::kListing, "copy/"), listing);
  EXPECT_NE(Root("r", TreeMode::kFull, "copy/"), full);
}

TEST(TreeFile, ReadsWhatWasWrittenAndNothingElse) {
  RealWorld world;
  TempDir folder;
  LocalFolder local(world.runtime);
  std::vector<TreeEntry> entries;
  ObjectTree tree(TreeMode::kFull);
  for (int i = 0; i < 1000; ++i) {
    entries.push_back(
        {"n/" + std::to_string(10000 + i), static_cast<uint64_t>(i), Sha256(std::to_string(i))});
    tree.Add(entries.back().name, entries.back().hash, entries.back().size_bytes);
  }
  auto write = [&](const std::string& name, const std::string& root) {
    TreeFileWriter writer(world.runtime, folder.file(name), TreeMode::kFull, "place");
    ASSERT_TRUE(world.Run(writer.Add(entries)));
    ASSERT_TRUE(world.Run(writer.Finish(root)));
  };
  auto read = [&](const std::string& name, TreeMode mode) -> Result<size_t> {
    auto lines = world.Run(TextLines::Open(
        world.runtime,
        {.store = &local, .bucket = folder.path() + "/", .key = name, .name = name}));
    if (!lines) return lines.error();
    auto reader = world.Run(TreeFileReader::Open(std::move(*lines), mode));
    if (!reader) return reader.error();
    for (size_t count = 0;; ++count) {
      auto entry = world.Run((*reader)->Next());
      if (!entry) return entry.error();
      if (!*entry) return count;
    }
  };
  const std::string root = tree.Finish();
  write("right", root);
  auto count = read("right", TreeMode::kFull);
  ASSERT_TRUE(count) << count.error().Describe();
  EXPECT_EQ(*count, 1000u);
  // A tree of listings says nothing of metadata: never held against one that does.
  EXPECT_FALSE(read("right", TreeMode::kListing));
  entries[500].hash[3] ^= 1;
  write("wrong", root);
  auto wrong = read("wrong", TreeMode::kFull);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace longhaul
