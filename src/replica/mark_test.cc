#include "replica/mark.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

Mark SomeMark() {
  return {.site = "east-1",
          .stamp = SystemTime(std::chrono::seconds(1'772'357'400)),
          .source_etag = "9e107d9d372bb6826bd81d3542a419d6",
          .sites_passed = {"north-1", "south-2"}};
}

// The format is a contract with every replica ever written.
TEST(MarkTest, LooksAsDocumented) {
  std::optional<std::string> value = FormatMark(SomeMark(), "bucket", "a key");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->substr(0, value->size() - 16),
            "1 east-1 2026-03-01T09:30:00Z 9e107d9d372bb6826bd81d3542a419d6 north-1,south-2 ");
  EXPECT_LE(value->size(), kMarkSizeBytesMax);
  EXPECT_EQ(ParseMark(*value, "bucket", "a key"), SomeMark());
}

// A replica that someone copied to another key would else be taken for a replica there, and be
// deleted with it.
TEST(MarkTest, FitsItsKeyAlone) {
  std::string value = *FormatMark(SomeMark(), "bucket", "key");
  EXPECT_FALSE(ParseMark(value, "bucket", "other"));
  EXPECT_FALSE(ParseMark(value, "other", "key"));
  value[3] = 'w';
  EXPECT_FALSE(ParseMark(value, "bucket", "key"));
}

// Metadata comes from anyone.
TEST(MarkTest, RefusesNonsense) {
  for (const char* value :
       {"", " ", "1", "hello", "1 a b c d e", "2 east 2026-03-01T09:30:00Z e - f"}) {
    EXPECT_FALSE(ParseMark(value, "bucket", "key")) << value;
  }
}

// Some servers count the header's prefix: a replica that misses the mark by eleven bytes is
// refused.
TEST(MarkTest, MetadataIsCountedWithItsHeaderNames) {
  EXPECT_EQ(MetadataSizeBytes({}), 0u);
  EXPECT_EQ(MetadataSizeBytes({{"a", "12"}, {"bc", ""}}), 2 * std::size("x-amz-meta-") - 2 + 5);
}

// S3 refuses more than 2 KB of metadata; a mark that does not fit is kept in State instead.
TEST(MarkTest, IsLeftOutWhenItWouldBeTooLong) {
  Mark mark = SomeMark();
  for (int i = 0; i < 10; ++i) mark.sites_passed.push_back("a-rather-long-name");
  EXPECT_FALSE(FormatMark(mark, "bucket", "key"));
}

}  // namespace
}  // namespace longhaul
