// Large objects that come to a plain folder, are killed on the way, and go on.

#include "transfer/local/local_upload.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "transfer/limits/limited_store.h"
#include "transfer/local/local_folder.h"
#include "transfer/object/copy_object.h"
#include "transfer/object/upload_records.h"

namespace longhaul {
namespace {

using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::RealWorld;
using testing::StoreOperation;
using testing::TempDir;

constexpr uint64_t kPartBytes = 8 << 10;
constexpr int kParts = 30;
constexpr uint64_t kObjectBytes = kParts * kPartBytes - 1000;

std::string Content(uint64_t seed) {
  SeededRandom random(seed);
  std::string bytes(kObjectBytes, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

// After so many ranges the source denies all: the copy ends as it is, as one that is killed does.
class Kill : public testing::FaultPlan {
 public:
  explicit Kill(int reads_allowed = INT_MAX) : reads_max(reads_allowed) {}
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation != StoreOperation::kGet) return fault;
    if (reads == reads_max) {
      fault.error = Error{.kind = ErrorKind::kDenied, .message = "killed"};
      return fault;
    }
    ++reads;
    if (reads == corrupt_at) fault.corrupt_body_at_byte = 5;
    return fault;
  }
  int reads = 0;
  int reads_max;
  int corrupt_at = 0;
};

class LocalUploadTest : public ::testing::Test {
 protected:
  LocalUploadTest() { backend->buckets["from"]; }

  void PutSource(const std::string& bytes, const std::string& colour = "red") {
    MemoryStore store(world.runtime, backend);
    ASSERT_TRUE(world.Run(PutText(store,
                                  {.bucket = "from",
                                   .key = "k",
                                   .headers = {.content_type = "text/plain"},
                                   .metadata = {{"colour", colour}},
                                   .tags = {{"tier", "hot"}}},
                                  bytes)));
  }

  // One process, which is gone afterwards.
  Result<CopyOutcome> Copy(Kill kill = Kill(), uint64_t part_size_bytes = kPartBytes,
                           bool if_absent = false) {
    MemoryStore source(world.runtime, backend, &kill);
    LocalFolder folder_store(world.runtime);
    TransferLimits limits(world.runtime.clock);
    LimitedStore target(folder_store, limits);  // As commands use it.
    testing::FakeState state(world.runtime, rows);
    UploadRecords records(world.runtime, state, ThisProcess(), "run", "");
    Result<CopyOutcome> done =
        world.Run(CopyObject(world.runtime, {.store = source, .bucket = "from", .key = "k"},
                             {.store = target, .bucket = folder.path(), .key = "sub/file"},
                             {.if_absent = if_absent,
                              .multipart_threshold_bytes = 1,
                              .part_size_bytes = part_size_bytes,
                              .uploads = &records}));
    reads += kill.reads;
    return done;
  }

  void ExpectKilledAfter(int parts) {
    Result<CopyOutcome> done = Copy(Kill(parts));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::kDenied) << done.error().Describe();
  }

  // The hidden folders that there are.
  std::vector<std::filesystem::path> Hidden() const {
    std::vector<std::filesystem::path> found;
    if (!std::filesystem::exists(folder.file("sub"))) return found;
    for (const auto& entry : std::filesystem::directory_iterator(folder.file("sub"))) {
      if (entry.is_directory()) found.push_back(entry.path());
    }
    return found;
  }

  void ExpectSameAndTidy(const std::string& bytes, const std::string& colour = "red") {
    LocalFolder store(world.runtime);
    const GetRequest get{.bucket = folder.path(), .key = "sub/file"};
    Result<std::string> read = world.Run(GetAll(store, get, 1 << 30));
    ASSERT_TRUE(read) << read.error().Describe();
    EXPECT_TRUE(*read == bytes);
    Result<ObjectInfo> info = world.Run(store.Head({.bucket = folder.path(), .key = "sub/file"}));
    ASSERT_TRUE(info);
    EXPECT_EQ(info->headers.content_type, "text/plain");
    EXPECT_EQ(info->metadata, (UserMetadata{{"colour", colour}}));
    EXPECT_EQ(*world.Run(store.GetTags(folder.path(), "sub/file", "")), (Tags{{"tier", "hot"}}));
    EXPECT_EQ(info->last_modified, backend->Find("from", "k")->info.last_modified);
    EXPECT_TRUE(Hidden().empty());
    EXPECT_TRUE(rows->rows.empty());
    EXPECT_EQ(world.memory.reserved_bytes(), 0);
  }

  TempDir folder;
  RealWorld world;
  std::shared_ptr<MemoryStoreBackend> backend = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<testing::FakeStateBackend> rows = std::make_shared<testing::FakeStateBackend>();
  int reads = 0;
};

// What lies in the folder is not fetched again, however often the copy dies.
TEST_F(LocalUploadTest, KilledOftenReadsNothingTwice) {
  PutSource(Content(1));
  for (int kill = 0; kill < 10; ++kill) ExpectKilledAfter(2);
  EXPECT_EQ(Hidden().size(), 1U);
  Result<CopyOutcome> done = Copy(Kill(), 3 * kPartBytes + 1);  // The upload keeps its own size.
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 20 * kPartBytes);
  EXPECT_EQ(done->verified, Verified::kChecksum);
  EXPECT_EQ(reads, kParts);
  ExpectSameAndTidy(Content(1));
}

// A half of one state beside a half of another would be no object at all.
TEST_F(LocalUploadTest, PartsOfAnotherStateAreNotUsed) {
  for (bool checksums : {true, false}) {
    backend->options.capabilities.checksums = checksums;
    PutSource(Content(1));
    ExpectKilledAfter(20);
    const SystemTime modified = backend->Find("from", "k")->info.last_modified;
    PutSource(Content(2));
    // Within the second that servers tell times by.
    backend->buckets["from"].objects["k"].back().info.last_modified = modified;
    Result<CopyOutcome> done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->found_bytes, 0U);
    ExpectSameAndTidy(Content(2));
  }
}

TEST_F(LocalUploadTest, PartsOfAnotherRequestAreNotUsed) {
  PutSource(Content(1), "red");
  ExpectKilledAfter(20);
  PutSource(Content(1), "blue");
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 0U);
  ExpectSameAndTidy(Content(1), "blue");
}

// A machine that went down may have kept the line of a part and lost its bytes.
TEST_F(LocalUploadTest, APartWhoseBytesAreNotThoseIsFetchedAgain) {
  for (bool checksums : {true, false}) {
    backend->options.capabilities.checksums = checksums;
    PutSource(Content(1));
    ExpectKilledAfter(20);
    ASSERT_EQ(Hidden().size(), 1U);
    {
      std::fstream bytes(Hidden()[0] / "bytes", std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(3 * kPartBytes + 7);
      bytes << "these were lost";
    }
    std::filesystem::resize_file(Hidden()[0] / "bytes", 19 * kPartBytes + 5);
    Result<CopyOutcome> done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->found_bytes, 18 * kPartBytes);
    EXPECT_EQ(done->attempts, 1);
    ExpectSameAndTidy(Content(1));
  }
}

// The last line may have been cut: what stands behind it must not run into it.
TEST_F(LocalUploadTest, ALineThatWasCutCountsForNothing) {
  PutSource(Content(1));
  ExpectKilledAfter(20);
  ASSERT_EQ(Hidden().size(), 1U);
  const std::filesystem::path log = Hidden()[0] / "parts";
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 5);
  ExpectKilledAfter(5);
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 24 * kPartBytes);
  ExpectSameAndTidy(Content(1));
}

// Bytes that were wrong on the way are noticed by whatever the source has to tell.
TEST_F(LocalUploadTest, WrongBytesAreNoticed) {
  for (bool checksums : {true, false}) {
    backend->options.capabilities.checksums = checksums;
    PutSource(Content(1));
    Kill wrong;
    wrong.corrupt_at = 7;
    Result<CopyOutcome> done = Copy(wrong);
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->attempts, 2);
    EXPECT_EQ(done->verified, checksums ? Verified::kChecksum : Verified::kEtag);
    ExpectSameAndTidy(Content(1));
  }
}

// Two processes must not write into one file, and neither may remove the other's.
TEST_F(LocalUploadTest, TheUploadOfALivingProcessIsLeftToIt) {
  PutSource(Content(1));
  ExpectKilledAfter(20);
  ASSERT_EQ(Hidden().size(), 1U);
  std::ifstream file(Hidden()[0] / "parts");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  Result<PartLog> log = DecodePartLog(text);
  ASSERT_TRUE(log);
  {
    LocalFolder other(world.runtime);
    Result<PlacedUpload> held =
        world.Run(other.OpenPlaced({.bucket = folder.path(), .key = "sub/file"}, log->places));
    ASSERT_TRUE(held);
    EXPECT_EQ(held->parts.size(), 20U);
    Result<CopyOutcome> done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->found_bytes, 0U);
    EXPECT_EQ(Hidden().size(), 1U);
  }
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 20 * kPartBytes);
  ExpectSameAndTidy(Content(1));
}

TEST_F(LocalUploadTest, IfAbsentKeepsTheFileAndReadsNothing) {
  PutSource(Content(1));
  std::filesystem::create_directories(folder.file("sub"));
  std::ofstream(folder.file("sub/file")) << "old";
  Result<CopyOutcome> done = Copy(Kill(), kPartBytes, /*if_absent=*/true);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kPrecondition);
  EXPECT_EQ(reads, 0);
  EXPECT_EQ(std::filesystem::file_size(folder.file("sub/file")), 3U);
  std::filesystem::remove(folder.file("sub/file"));
  done = Copy(Kill(), kPartBytes, /*if_absent=*/true);
  ASSERT_TRUE(done) << done.error().Describe();
  ExpectSameAndTidy(Content(1));
}

// `uploads ls` and `uploads abort` see what a download left, and listings do not.
TEST_F(LocalUploadTest, WhatIsLeftIsListedAndAborted) {
  PutSource(Content(1));
  ExpectKilledAfter(20);
  LocalFolder store(world.runtime);
  auto page = world.Run(store.List({.bucket = folder.path()}));
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->objects.empty());
  for (const char* prefix : {"other", "sub/filed", "sub/file/"}) {
    EXPECT_TRUE(world.Run(store.ListMultipartUploads(folder.path(), prefix))->empty()) << prefix;
  }
  for (const char* prefix : {"", "su", "sub/", "sub/file"}) {
    auto uploads = world.Run(store.ListMultipartUploads(folder.path(), prefix));
    ASSERT_TRUE(uploads);
    ASSERT_EQ(uploads->size(), 1U) << prefix;
    EXPECT_EQ(uploads->front().key, "sub/file");
    auto parts = world.Run(store.ListParts(uploads->front()));
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->size(), 20U);
  }
  auto uploads = world.Run(store.ListMultipartUploads(folder.path(), ""));
  ASSERT_TRUE(world.Run(store.AbortMultipart(uploads->front())));
  EXPECT_TRUE(Hidden().empty());
  EXPECT_EQ(world.Run(store.ListParts(uploads->front())).error().code, "NoSuchUpload");
}

TEST(PartLog, ReadsBackWhatItWrites) {
  const PartLog log{.name = "a b\n%/",
                    .places = {.origin = "of this", .size_bytes = 100, .part_size_bytes = 30},
                    .initiated = SystemTime(std::chrono::seconds(1'700'000'000)),
                    .parts = {{1, {ChecksumAlgorithm::kCrc64Nvme, "AAAA", false}},
                              {4, {ChecksumAlgorithm::kCrc32, "BBBB", false}}}};
  const std::string text = EncodePartLog(log);
  Result<PartLog> back = DecodePartLog(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, log);
  back = DecodePartLog(text + "part 2 crc32 CC");  // Cut.
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, log);
  // The same number again replaces.
  back = DecodePartLog(text + EncodePartLine(4, {ChecksumAlgorithm::kCrc32c, "DDDD", false}));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->parts.at(4).value, "DDDD");
  for (const char* line : {"part 0 crc32 A\n", "part 5 crc32 A\n", "part 1 md4 A\n", "part 1\n",
                           "other\n", "part x crc32 A\n"}) {
    EXPECT_FALSE(DecodePartLog(text + line)) << line;
  }
  for (size_t cut = 0; cut < text.find("part 1"); ++cut) {
    EXPECT_FALSE(DecodePartLog(text.substr(0, cut))) << cut;
  }
}

}  // namespace
}  // namespace longhaul
