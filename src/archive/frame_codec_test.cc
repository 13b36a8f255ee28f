#include "archive/frame_codec.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace longhaul::archive {
namespace {

constexpr size_t kFrameBytes = 1 << 20;

std::vector<std::byte> Compress(FrameCompressor& compressor, std::span<const std::byte> raw) {
  std::vector<std::byte> out(FrameCompressor::BoundBytes(raw.size()));
  Result<size_t> size = compressor.Compress(raw, out);
  EXPECT_TRUE(size);
  out.resize(size ? *size : 0);
  std::vector<std::byte> back(raw.size());
  EXPECT_TRUE(DecompressFrame(out, back, false));
  EXPECT_EQ(back, std::vector<std::byte>(raw.begin(), raw.end()));
  return out;
}

std::vector<std::byte> RandomBytes(uint64_t letters) {
  SeededRandom random(7);
  std::vector<std::byte> bytes(kFrameBytes);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.Below(letters));
  return bytes;
}

// What is compressed already would cost as much as text, and gain nothing.
TEST(FrameCompressorTest, DoesNotTryHardOnWhatDoesNotShrink) {
  const std::vector<std::byte> noise = RandomBytes(256);
  FrameCompressor fastest(0, kFrameBytes);
  FrameCompressor best(19, kFrameBytes);
  EXPECT_EQ(Compress(best, noise), Compress(fastest, noise));
}

// Letters at random repeat nothing and still shrink, to half; and a frame of noise before must not
// make the next one fast.
TEST(FrameCompressorTest, TriesHardOnAllElse) {
  FrameCompressor best(19, kFrameBytes);
  FrameCompressor fresh(19, kFrameBytes);
  Compress(best, RandomBytes(256));
  const std::vector<std::byte> digits = RandomBytes(16);
  const std::vector<std::byte> compressed = Compress(best, digits);
  EXPECT_LT(compressed.size(), kFrameBytes * 52 / 100);
  EXPECT_EQ(compressed, Compress(fresh, digits));
  // Too short for samples: like any other.
  const std::span<const std::byte> few = std::span<const std::byte>(digits).first(1000);
  EXPECT_EQ(Compress(best, few), Compress(fresh, few));
}

}  // namespace
}  // namespace longhaul::archive
