#include "archive/inspect.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "archive/folder_writer.h"
#include "tests/support/archive.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

namespace fs = std::filesystem;
using testing::ArchiveItem;
using testing::FakeWorld;
using testing::MemoryArchiveFile;
using testing::MemorySink;

class Inspect : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "longhaul-inspect-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Written(std::vector<ArchiveItem> items) {
    MemorySink sink;
    EXPECT_TRUE(world_.Run(testing::WriteArchive(world_.runtime, std::move(items),
                                                 {.frame_size_bytes = 128 << 10}, sink)));
    return sink.bytes;
  }
  static std::string Load(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    return std::move(bytes).str();
  }

  FakeWorld world_;
  fs::path folder_;
};

struct Told {
  std::string key;
  std::string path;
  bool extracted;
};

Async<ExtractSummary> Extract(Runtime& runtime, std::string bytes, ExtractOptions options,
                              std::vector<Told>& told) {
  MemoryArchiveFile file(std::move(bytes));
  auto reader = co_await ArchiveReader::Open(runtime, file, {});
  if (!reader) co_return reader.error();
  const auto tell = [&told](const ArchiveEntry& entry, const std::string& path,
                            const Result<void>& result) {
    told.push_back({entry.key, path, result.has_value()});
  };
  co_return co_await ExtractArchive(runtime, **reader, options, tell);
}

Async<VerifySummary> Verify(Runtime& runtime, std::string bytes,
                            std::vector<std::string>& problems) {
  MemoryArchiveFile file(std::move(bytes));
  auto reader = co_await ArchiveReader::Open(runtime, file, {});
  if (!reader) co_return reader.error();
  co_return co_await VerifyArchive(
      runtime, **reader, [&problems](const std::string& problem) { problems.push_back(problem); });
}

// Whatever a key says, every object becomes a file of its own inside the folder.
TEST_F(Inspect, ExtractsEveryKindOfKeyInsideTheFolder) {
  const auto items = testing::Everything();
  std::vector<Told> told;
  const fs::path out = folder_ / "new" / "out";
  const auto summary =
      world_.Run(Extract(world_.runtime, Written(items), {.folder = out.string()}, told));
  ASSERT_TRUE(summary) << summary.error().Describe();
  EXPECT_EQ(summary->failed, 0);
  size_t at = 0;
  for (const ArchiveItem& item : items) {
    if (item.entry.op != EntryOp::kPut) continue;
    ASSERT_LT(at, told.size());
    EXPECT_EQ(told[at].key, item.entry.key);
    EXPECT_TRUE(Load(out / told[at].path) == item.content) << told[at].path;
    ++at;
  }
  EXPECT_EQ(summary->files, at);
  size_t outside = 0;
  for (const auto& entry : fs::directory_iterator(folder_))
    outside += entry.path() != folder_ / "new";
  EXPECT_EQ(outside, 0);
}

// A folder prepared by someone else must not lead a file to another place.
TEST_F(Inspect, FollowsNoLinks) {
  const fs::path secret = folder_ / "secret";
  std::ofstream(secret) << "untouched";
  fs::create_directory(folder_ / "elsewhere");
  fs::create_directory(folder_ / "out");
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "out" / "dir");
  fs::create_symlink(secret, folder_ / "out" / "file");
  const std::string bytes =
      Written({testing::Put("dir/x", "lost?"), testing::Put("file", "overwritten?")});
  const std::string out = (folder_ / "out").string();
  std::vector<Told> told;
  auto summary = world_.Run(Extract(world_.runtime, bytes, {.folder = out}, told));
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->failed, 2);
  summary = world_.Run(Extract(world_.runtime, bytes, {.folder = out, .overwrite = true}, told));
  EXPECT_EQ(summary->failed, 1);  // The folder is still a link; the file's link was replaced.
  EXPECT_EQ(Load(secret), "untouched");
  EXPECT_TRUE(fs::is_empty(folder_ / "elsewhere"));
  EXPECT_EQ(Load(folder_ / "out" / "file"), "overwritten?");
}

// Somebody's file must not be lost to an extraction that did not ask for that.
TEST_F(Inspect, ReplacesFilesOnlyWhenAsked) {
  std::ofstream(folder_ / "a") << "mine";
  const std::string bytes = Written({testing::Put("a", "theirs"), testing::Put("b", "new")});
  std::vector<Told> told;
  auto summary = world_.Run(Extract(world_.runtime, bytes, {.folder = folder_.string()}, told));
  EXPECT_EQ(summary->failed, 1);
  EXPECT_EQ(Load(folder_ / "a"), "mine");
  EXPECT_EQ(Load(folder_ / "b"), "new");
  summary = world_.Run(Extract(
      world_.runtime, bytes, {.folder = folder_.string(), .prefix = "a", .overwrite = true}, told));
  EXPECT_EQ(summary->files, 1);
  EXPECT_EQ(Load(folder_ / "a"), "theirs");
}

// The paths that FolderWriter must refuse even when a caller made a mistake.
TEST_F(Inspect, FolderWriterRefusesPathsThatLeave) {
  auto writer = archive::FolderWriter::Open(folder_.string());
  ASSERT_TRUE(writer);
  for (const std::string path : {"../x", "a/../../x", "/etc/x", "", "a//b", "./x", "a/"}) {
    EXPECT_FALSE((*writer)->Create(path, true)) << path;
  }
}

// A file that was not written to its end must not look like one that was.
TEST_F(Inspect, LeavesNoHalfFiles) {
  auto writer = archive::FolderWriter::Open(folder_.string());
  {
    auto file = (*writer)->Create("half", false);
    ASSERT_TRUE(file);
    EXPECT_TRUE((*file)->Write(AsBytes("half of it")));
  }
  EXPECT_FALSE(fs::exists(folder_ / "half"));
}

TEST_F(Inspect, VerifyFindsNothingWrongWithASoundArchive) {
  auto items = testing::Everything();
  for (ArchiveItem& item : items) {
    if (item.entry.checksum)
      item.entry.checksum->value = Base64Encode(Digest(HashKind::kCrc64Nvme, item.content));
  }
  std::vector<std::string> problems;
  const auto summary = world_.Run(Verify(world_.runtime, Written(items), problems));
  ASSERT_TRUE(summary) << summary.error().Describe();
  EXPECT_TRUE(problems.empty()) << problems.front();
  EXPECT_EQ(summary->entries, items.size());
  EXPECT_GT(summary->frames, 2);
}

// What the index holds of digests must be compared with the bytes, or nobody ever does.
TEST_F(Inspect, VerifyFindsWrongDigests) {
  ArchiveItem wrong = testing::Put("wrong", testing::Lines(70'000, 1));
  wrong.entry.etag_is_md5 = true;
  wrong.entry.etag = std::string(32, '0');
  wrong.entry.checksum = Checksum{.algorithm = ChecksumAlgorithm::kCrc32c, .value = "AAAAAA=="};
  std::vector<std::string> problems;
  const auto summary = world_.Run(Verify(world_.runtime, Written({wrong}), problems));
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->problems, 2);
}

// One damaged frame: its objects are named by it, the others are still looked at.
TEST_F(Inspect, VerifyGoesOnBehindADamagedFrame) {
  std::vector<ArchiveItem> items;
  for (int i = 0; i < 80; ++i) {
    items.push_back(testing::Put("n/" + std::to_string(i), testing::Noise(30'000, i)));
  }
  std::string bytes = Written(items);
  ASSERT_GT(bytes.size(), 2'000'000);
  bytes[1'000'000] ^= 1;
  std::vector<std::string> problems;
  const auto summary = world_.Run(Verify(world_.runtime, bytes, problems));
  ASSERT_TRUE(summary) << summary.error().Describe();
  EXPECT_EQ(problems.size(), 1);
  EXPECT_EQ(summary->entries, 80);
}

}  // namespace
}  // namespace longhaul
