#include "archive/zstd_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "tests/support/compressor_archive.h"
#include "tests/support/run.h"
#include "tests/support/sanitized.h"

namespace longhaul::archive {
namespace {

using longhaul::testing::FakeWorld;
using longhaul::testing::ZstdStream;

// Gives out a few bytes at a time.
class Drops : public ByteReader {
 public:
  Drops(std::string text, size_t drop) : text_(std::move(text)), drop_(drop) {}
  Async<size_t> Read(std::span<std::byte> out) override {
    const size_t count = std::min({out.size(), text_.size() - at_, drop_});
    std::memcpy(out.data(), text_.data() + at_, count);
    at_ += count;
    co_return count;
  }

 private:
  std::string text_;
  size_t drop_;
  size_t at_ = 0;
};

Async<std::string> Unpack(Runtime& runtime, std::string bytes, size_t drop) {
  Drops drops(std::move(bytes), drop);
  ZstdReader reader(runtime, drops);
  co_return co_await ReadAll(reader, 64 << 20);
}

Result<std::string> Unpack(std::string bytes, size_t drop = 1000,
                           int64_t memory_bytes = 256 << 20) {
  FakeWorld world(1, memory_bytes);
  return world.Run(Unpack(world.runtime, std::move(bytes), drop));
}

std::string SomeText(size_t size) {
  std::string text;
  for (size_t i = 0; text.size() < size; ++i) text += std::to_string(i * i) + " ";
  text.resize(size);
  return text;
}

TEST(ZstdReaderTest, GivesWhatWasPacked) {
  for (size_t size : {0, 1, 1000, 3'000'000}) {
    for (size_t drop : {1, 7, 1 << 20}) {
      if (size > 10'000 && drop == 1) continue;
      const std::string text = SomeText(size);
      Result<std::string> unpacked = Unpack(ZstdStream(text), drop);
      ASSERT_TRUE(unpacked) << unpacked.error().message;
      EXPECT_TRUE(*unpacked == text) << size << " by " << drop;
    }
  }
}

TEST(ZstdReaderTest, ReadsFramesOneBehindTheOther) {
  Result<std::string> unpacked = Unpack(ZstdStream("one ") + ZstdStream("") + ZstdStream("two"), 3);
  ASSERT_TRUE(unpacked) << unpacked.error().message;
  EXPECT_EQ(*unpacked, "one two");
}

// Wherever it is cut, nobody takes what came for all of it.
TEST(ZstdReaderTest, NoticesEveryCut) {
  const std::string bytes = ZstdStream(SomeText(5000));
  for (size_t size = 0; size < bytes.size(); size += testing::kSanitized ? 7 : 1) {
    Result<std::string> unpacked = Unpack(bytes.substr(0, size));
    ASSERT_FALSE(unpacked) << size;
    EXPECT_EQ(unpacked.error().kind, ErrorKind::kCorrupt);
  }
}

// The window is what an archive makes a reader take.
TEST(ZstdReaderTest, ChecksTheWindowBeforeItTakesMemory) {
  const std::string text = SomeText(100'000);
  EXPECT_TRUE(Unpack(ZstdStream(text, 27)));
  // 2^27 at most: the descriptor of 2^28 is (28 - 10) << 3.
  std::string larger = ZstdStream(text, 27);
  ASSERT_EQ(static_cast<unsigned char>(larger[5]), (27 - 10) << 3);
  larger[5] = static_cast<char>((28 - 10) << 3);
  Result<std::string> unpacked = Unpack(larger);
  ASSERT_FALSE(unpacked);
  EXPECT_EQ(unpacked.error().kind, ErrorKind::kInvalidInput);
  EXPECT_NE(unpacked.error().message.find("window"), std::string::npos);
  unpacked = Unpack(ZstdStream(text, 27), 1000, 64 << 20);
  ASSERT_FALSE(unpacked);
  EXPECT_NE(unpacked.error().message.find("--memory"), std::string::npos);
  // Nor by a later frame.
  unpacked = Unpack(ZstdStream(text, 12) + ZstdStream(text, 27));
  ASSERT_FALSE(unpacked);
  EXPECT_EQ(unpacked.error().kind, ErrorKind::kInvalidInput);
}

}  // namespace
}  // namespace longhaul::archive
