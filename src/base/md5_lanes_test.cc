#include "base/md5_lanes.h"

#include <gtest/gtest.h>

#include <random>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {
namespace {

TEST(Md5Lanes, OfEachIsItsMd5) {
  std::mt19937 random(7);
  for (size_t count = 0; count <= 40; ++count) {
    std::vector<std::string> texts(count);
    for (size_t i = 0; i < count; ++i) {
      // Where the padding takes a block more, none, and what lies between.
      texts[i].resize(i % 3 == 0 ? random() % 130 : random() % 5000);
      for (char& c : texts[i]) c = static_cast<char>(random());
    }
    std::vector<std::span<const std::byte>> bodies;
    std::vector<std::string> expected;
    for (const std::string& text : texts) {
      bodies.push_back(AsBytes(text));
      expected.push_back(Md5(text));
    }
    EXPECT_EQ(Md5OfEach(bodies), expected) << count;
  }
}

TEST(Md5Lanes, EverySizeAroundABlock) {
  const std::string text(200, 'x');
  std::vector<std::span<const std::byte>> bodies;
  std::vector<std::string> expected;
  for (size_t size = 0; size <= text.size(); ++size) {
    bodies.push_back(AsBytes(text).first(size));
    expected.push_back(Md5(text.substr(0, size)));
  }
  EXPECT_EQ(Md5OfEach(bodies), expected);
}

}  // namespace
}  // namespace longhaul
