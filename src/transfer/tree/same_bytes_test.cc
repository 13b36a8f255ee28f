#include "transfer/tree/same_bytes.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "transfer/local/local_folder.h"

namespace longhaul {
namespace {

using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::RealWorld;

class SameBytesTest : public ::testing::Test {
 protected:
  SameBytesTest() {
    for (auto& backend : {one_backend, two_backend}) {
      backend->buckets["b"];
      backend->options.capabilities.checksums = false;
    }
  }
  void WriteFile(const std::string& text) { std::ofstream(folder.file("x")) << text; }
  // Uploads in parts of these sizes.
  void PutParts(Store& store, const std::string& text, std::vector<size_t> sizes) {
    Result<MultipartUpload> upload = world.Run(store.CreateMultipart({.bucket = "b", .key = "x"}));
    ASSERT_TRUE(upload);
    CompleteRequest complete{.upload = *upload};
    size_t at = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      MemorySource body(std::string_view(text).substr(at, sizes[i]));
      at += sizes[i];
      Result<UploadedPart> part =
          world.Run(store.UploadPart(*upload, static_cast<int>(i) + 1, body));
      ASSERT_TRUE(part);
      complete.parts.push_back(*part);
    }
    ASSERT_TRUE(world.Run(store.CompleteMultipart(complete)));
  }
  SameBytes Look(Store& left, Store& right, bool download = false) {
    auto place = [this](Store& store) {
      return ObjectPlace{.store = store,
                         .bucket = &store == &files ? folder.path() + "/" : std::string("b"),
                         .key = "x"};
    };
    Result<SameBytes> same =
        world.Run(LookAtBytes(world.runtime, place(left), place(right), download));
    EXPECT_TRUE(same) << same.error().message;
    return *same;
  }

  testing::TempDir folder;
  RealWorld world;
  std::shared_ptr<MemoryStoreBackend> one_backend = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> two_backend = std::make_shared<MemoryStoreBackend>();
  MemoryStore one{world.runtime, one_backend};
  MemoryStore two{world.runtime, two_backend};
  LocalFolder files{world.runtime};
};

TEST_F(SameBytesTest, Md5sTell) {
  ASSERT_TRUE(world.Run(PutText(one, {.bucket = "b", .key = "x"}, "hello")));
  ASSERT_TRUE(world.Run(PutText(two, {.bucket = "b", .key = "x"}, "hello")));
  EXPECT_EQ(Look(one, two), SameBytes::kSame);
  ASSERT_TRUE(world.Run(PutText(two, {.bucket = "b", .key = "x"}, "hellO")));
  EXPECT_EQ(Look(one, two), SameBytes::kDifferent);
}

// An ETag that is no digest of the bytes must not make every object look changed.
TEST_F(SameBytesTest, OpaqueEtagsTellNothing) {
  ObjectInfo left{.size_bytes = 1, .etag = "0123456789abcdef0123456789abcdef"};
  ObjectInfo right{.size_bytes = 1, .etag = "f123456789abcdef0123456789abcdef"};
  EXPECT_EQ(CompareHeads(left, right), SameBytes::kDifferent);
  right.etag_opaque = true;
  EXPECT_EQ(CompareHeads(left, right), SameBytes::kUnknown);
  const Checksum crc{.algorithm = ChecksumAlgorithm::kCrc32c, .value = "AAAAAA=="};
  left.checksums = right.checksums = {crc};
  EXPECT_EQ(CompareHeads(left, right), SameBytes::kSame);
}

// A disk and its image have files of the same inodes and times: only their bytes tell that a block
// could not be read, or has rotted since.
TEST_F(SameBytesTest, EtagsOfFilesTellNothing) {
  const ObjectInfo file{.size_bytes = 3, .etag = "file.3.1.0.7"};
  EXPECT_EQ(CompareHeads(file, file), SameBytes::kUnknown);
}

TEST_F(SameBytesTest, OtherPartsNeedTheBytes) {
  const std::string text(300'000, 'x');
  one_backend->options.capabilities.part_size_bytes_min = 1;
  two_backend->options.capabilities.part_size_bytes_min = 1;
  PutParts(one, text, {200'000, 100'000});
  PutParts(two, text, {100'000, 200'000});
  EXPECT_EQ(Look(one, two), SameBytes::kUnknown);
  EXPECT_EQ(Look(one, two, true), SameBytes::kSame);
}

// A file beside the multipart object that it was uploaded as.
TEST_F(SameBytesTest, FilesAreComparedWithMultipartEtags) {
  std::string text(300'000, 'x');
  one_backend->options.capabilities.part_size_bytes_min = 1;
  WriteFile(text);
  PutParts(one, text, {200'000, 100'000});
  EXPECT_EQ(Look(files, one), SameBytes::kSame);
  text[250'000] = 'y';
  WriteFile(text);
  EXPECT_EQ(Look(one, files), SameBytes::kDifferent);
}

TEST_F(SameBytesTest, PartSizesAreGuessedWhereTheServerTellsNone) {
  std::string text(20'000'000, 'x');
  one_backend->options.capabilities.heads_parts = false;
  WriteFile(text);
  PutParts(one, text, {16 << 20, 20'000'000 - (16 << 20)});
  EXPECT_EQ(Look(files, one), SameBytes::kSame);
  text[7] = 'y';
  WriteFile(text);
  EXPECT_EQ(Look(files, one), SameBytes::kUnknown);  // Or it was split in another way.
}

TEST_F(SameBytesTest, FilesAreComparedWithMd5sAndWithFiles) {
  WriteFile("hello");
  ASSERT_TRUE(world.Run(PutText(one, {.bucket = "b", .key = "x"}, "hello")));
  EXPECT_EQ(Look(files, one), SameBytes::kSame);
  EXPECT_EQ(Look(files, files), SameBytes::kSame);
  WriteFile("hellO");
  EXPECT_EQ(Look(files, one), SameBytes::kDifferent);
}

}  // namespace
}  // namespace longhaul
