#include "base/checksum.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/random.h"

namespace longhaul {
namespace {

std::string RandomBytes(size_t size) {
  SeededRandom random(7);
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(random.Next());
  return bytes;
}

std::string Hex(HashKind kind, std::string_view text) { return HexEncode(Digest(kind, text)); }

// The check values of the CRC catalogue, RFC 1321, RFC 3174 and FIPS 180-4: servers refuse a body
// whose checksum differs from theirs.
TEST(ChecksumTest, MatchesPublishedValues) {
  EXPECT_EQ(Hex(HashKind::kCrc32, "123456789"), "cbf43926");
  EXPECT_EQ(Hex(HashKind::kCrc32c, "123456789"), "e3069283");
  EXPECT_EQ(Hex(HashKind::kCrc64Nvme, "123456789"), "ae8b14860a799888");
  EXPECT_EQ(Hex(HashKind::kMd5, "abc"), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(Hex(HashKind::kSha1, "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(Hex(HashKind::kSha256, "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(HashKind::kMd5, ""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(Hex(HashKind::kCrc64Nvme, ""), "0000000000000000");
  // 32 bytes of zeros and of ones (RFC 3720, B.4), which go past one table step.
  EXPECT_EQ(Crc32c(AsBytes(std::string(32, '\0'))), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(AsBytes(std::string(32, '\xff'))), 0x62a8ab43U);
}

// RFC 4231: with a wrong HMAC no request would be let in.
TEST(ChecksumTest, HmacFollowsTheRfc) {
  EXPECT_EQ(HexEncode(HmacSha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(HexEncode(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(HexEncode(HmacSha256(std::string(131, '\xaa'),
                                 "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

// The folding has its own paths for every length and must not care about alignment.
TEST(ChecksumTest, FoldingEqualsTables) {
  const std::string data = RandomBytes(5000);
  for (size_t offset : {0, 1, 3, 8, 15}) {
    for (size_t size = 0; size < 700; ++size) {
      auto bytes = AsBytes(data).subspan(offset, size);
      ASSERT_EQ(Crc32(bytes, 5), PortableCrc32(bytes, 5)) << size;
      ASSERT_EQ(Crc32c(bytes, 5), PortableCrc32c(bytes, 5)) << size;
      ASSERT_EQ(Crc64Nvme(bytes, 5), PortableCrc64Nvme(bytes, 5)) << size;
      // From 1 KiB on in wider steps, where the processor has them.
      bytes = AsBytes(data).subspan(offset, 1000 + size);
      ASSERT_EQ(Crc32(bytes, 5), PortableCrc32(bytes, 5)) << size;
      ASSERT_EQ(Crc32c(bytes, 5), PortableCrc32c(bytes, 5)) << size;
      ASSERT_EQ(Crc64Nvme(bytes, 5), PortableCrc64Nvme(bytes, 5)) << size;
    }
    auto bytes = AsBytes(data).subspan(offset, 4096 + offset);
    EXPECT_EQ(Crc32(bytes), PortableCrc32(bytes));
    EXPECT_EQ(Crc32c(bytes), PortableCrc32c(bytes));
    EXPECT_EQ(Crc64Nvme(bytes), PortableCrc64Nvme(bytes));
  }
}

// A body arrives in pieces of any size; where they are cut must not change the digest.
TEST(ChecksumTest, PiecesGiveTheDigestOfTheWhole) {
  const std::string data = RandomBytes(100'000);
  const std::vector<HashKind> kinds = {HashKind::kCrc32, HashKind::kCrc32c, HashKind::kCrc64Nvme,
                                       HashKind::kMd5,   HashKind::kSha1,   HashKind::kSha256};
  SeededRandom random(3);
  HashSet set(kinds);
  for (size_t at = 0; at < data.size();) {
    size_t size = std::min<size_t>(random.Below(3000), data.size() - at);
    set.Update(AsBytes(data).subspan(at, size));
    at += size;
  }
  auto digests = set.Finish();
  ASSERT_EQ(digests.size(), kinds.size());
  for (size_t i = 0; i < kinds.size(); ++i) {
    EXPECT_EQ(digests[i].first, kinds[i]);
    EXPECT_EQ(digests[i].second, Digest(kinds[i], data));
  }
}

// A hash of one kind must not answer with the algorithm that a thread used first.
TEST(ChecksumTest, KindsDoNotMixOnAThread) {
  EXPECT_EQ(Md5("").size(), 16U);
  EXPECT_EQ(Sha256("").size(), 32U);
  EXPECT_EQ(Sha1("").size(), 20U);
  EXPECT_EQ(Md5("").size(), 16U);
}

// The checksum of a multipart object comes from its parts without reading them again.
TEST(ChecksumTest, CombinesParts) {
  const std::string data = RandomBytes(3000);
  for (size_t cut : {0, 1, 7, 1500, 2999, 3000}) {
    std::string_view first = std::string_view(data).substr(0, cut);
    std::string_view second = std::string_view(data).substr(cut);
    for (HashKind kind : {HashKind::kCrc32, HashKind::kCrc32c, HashKind::kCrc64Nvme}) {
      EXPECT_EQ(*CombineDigests(kind, Digest(kind, first), Digest(kind, second), second.size()),
                Digest(kind, data));
    }
  }
  EXPECT_FALSE(CombineDigests(HashKind::kMd5, Md5("a"), Md5("b"), 1));
  EXPECT_FALSE(CombineDigests(HashKind::kCrc32, "abc", "abcd", 4));
}

}  // namespace
}  // namespace longhaul
