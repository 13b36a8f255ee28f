#include "base/bytes.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

std::string AllBytes() {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  return bytes;
}

// A digest that is written or read wrongly condemns every object that is intact.
TEST(BytesTest, HexGoesBothWays) {
  EXPECT_EQ(HexEncode(std::string_view("\x00\x7f\xff", 3)), "007fff");
  EXPECT_EQ(*HexDecode("007fFF"), std::string_view("\x00\x7f\xff", 3));
  EXPECT_EQ(*HexDecode(HexEncode(AllBytes())), AllBytes());
  EXPECT_FALSE(HexDecode("abc"));
  EXPECT_FALSE(HexDecode("0g"));
  EXPECT_FALSE(HexDecode("+1"));
}

// The vectors of RFC 4648, 10: checksums of every header are in this form.
TEST(BytesTest, Base64FollowsTheRfc) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(Base64Encode(plain), encoded);
    EXPECT_EQ(*Base64Decode(encoded), plain);
  }
  EXPECT_EQ(*Base64Decode(Base64Encode(AllBytes())), AllBytes());
}

// Two texts for one digest would make equal checksums look different.
TEST(BytesTest, Base64DecodesNothingLoosely) {
  for (const char* bad : {"Zg", "Zg=", "Zh==", "Zm9=", "Zm9v\n", "Zm 9v", "=",
                          "====", "Z===", "Zm8=Zm8=", "Zm9_", "Zm9\xff"}) {
    EXPECT_FALSE(Base64Decode(bad)) << bad;
  }
}

// A signature is over the encoded path: one byte encoded otherwise and every request is refused.
TEST(BytesTest, PercentEncodesAsSigV4Does) {
  EXPECT_EQ(PercentEncode("AZaz09-._~", Slash::kEncode), "AZaz09-._~");
  EXPECT_EQ(PercentEncode("a/b c+d%e*\xc3\xa4", Slash::kKeep), "a/b%20c%2Bd%25e%2A%C3%A4");
  EXPECT_EQ(PercentEncode("a/b", Slash::kEncode), "a%2Fb");
  EXPECT_EQ(*PercentDecode(PercentEncode(AllBytes(), Slash::kEncode)), AllBytes());
}

// Keys in notifications come form-encoded; a plus that is read as a plus names another object.
TEST(BytesTest, DecodesPathsAndForms) {
  EXPECT_EQ(*PercentDecode("a+b%2B%2f"), "a+b+/");
  EXPECT_EQ(*FormDecode("a+b%2B"), "a b+");
  for (const char* bad : {"%", "%4", "a%", "a%4", "%4g", "%%41"}) {
    EXPECT_FALSE(PercentDecode(bad)) << bad;
  }
}

}  // namespace
}  // namespace longhaul
