#include "storage/s3_plain_objects.h"

#include <gtest/gtest.h>

#include <array>

#include "base/random.h"
#include "storage/s3_xml.h"

namespace longhaul {
namespace {

// As AWS, MinIO, Ceph and versitygw write them.
constexpr std::string_view kPage = R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<Contents><Key>a+b%2Bc%0A</Key><LastModified>2026-03-01T09:30:00.000Z</LastModified>
<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag><Size>4096</Size>
<Owner><ID>x</ID><DisplayName>y &amp; z</DisplayName></Owner><Owner/>
<StorageClass>STANDARD_IA</StorageClass></Contents><Contents><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>
<ETag>&#34;9e107d9d372bb6826bd81d3542a419d6-3&#34;</ETag><Key>c&amp;d&#x3c;</Key><Size> 7 </Size></Contents>
<CommonPrefixes><Prefix>x%2Fy/</Prefix></CommonPrefixes>
<NextContinuationToken>t</NextContinuationToken></ListBucketResult>)";

// The same page, but for the parser: an object holds a comment.
std::string WithComment(std::string xml) {
  const size_t at = xml.find("<Contents>");
  if (at != xml.npos) xml.insert(at + 10, "<!---->");
  return xml;
}

std::string Shown(const Result<ListPage>& page) {
  if (!page) return "error";
  std::string text = page->next_token;
  for (const std::string& prefix : page->common_prefixes) text += " " + prefix;
  for (const ListedObject& object : page->objects) {
    text += "\n" + object.key + " " + std::to_string(object.size_bytes) + " " + object.etag + " " +
            object.storage_class + " " + object.version_id + " " +
            std::to_string(object.last_modified.time_since_epoch().count()) +
            (object.is_latest ? " latest" : "");
  }
  return text;
}

TEST(S3PlainObjectsTest, ReadsWhatServersWrite) {
  std::optional<PlainObjects> plain = ReadPlainObjects(kPage);
  ASSERT_TRUE(plain);
  ASSERT_EQ(plain->objects.size(), 2u);
  EXPECT_EQ(plain->objects[0].key, "a+b%2Bc%0A");
  EXPECT_EQ(plain->objects[0].etag, "9e107d9d372bb6826bd81d3542a419d6");
  EXPECT_EQ(plain->objects[1].key, "c&d<");
  EXPECT_EQ(plain->objects[1].size_bytes, 7u);
  EXPECT_EQ(plain->rest.find("<Key>"), std::string::npos);
  EXPECT_FALSE(ReadPlainObjects(WithComment(std::string(kPage))));
  const std::string shown = Shown(ParseS3Listing(std::string(kPage)));
  EXPECT_EQ(shown, Shown(ParseS3Listing(WithComment(std::string(kPage)))));
  EXPECT_TRUE(shown.starts_with("t x/y/\na b+c\n 4096 ")) << shown;
}

// An object of a comment, of another element or of a cut page is none: it would be copied, or what
// is missing deleted.
TEST(S3PlainObjectsTest, ObjectsAreThoseRightBelowTheRoot) {
  const std::string object = "<Contents><Key>a</Key><Size>1</Size></Contents>";
  auto count = [](const std::string& inside) {
    Result<ListPage> page = ParseS3Listing("<ListBucketResult><IsTruncated>false</IsTruncated>" +
                                           inside + "</ListBucketResult>");
    return page ? static_cast<int>(page->objects.size()) : -1;
  };
  EXPECT_EQ(count(object + object), 2);
  EXPECT_EQ(count(object + "<Name>b</Name>" + object), 2);
  EXPECT_EQ(count("<!--" + object + "-->"), 0);
  EXPECT_EQ(count("<!--" + object + "-->" + object), 1);
  EXPECT_EQ(count("<Name><![CDATA[" + object + "]]></Name>"), 0);
  EXPECT_EQ(count("<Owner>" + object + "</Owner>"), 0);
  EXPECT_EQ(count("<Name a='" + object + "'/>"), 0);
  EXPECT_EQ(count(object + "<Contents/>"), -1);
  EXPECT_EQ(count(object + "<s3:Contents xmlns:s3='x'><s3:Key>b</s3:Key><s3:Size>1</s3:Size>"
                           "</s3:Contents>"),
            2);
  EXPECT_FALSE(ParseS3Listing("<ListBucketResult>" + object));
  EXPECT_FALSE(ParseS3Listing(object));
}

// Whatever a page is changed to, nobody may see which way it was read.
TEST(S3PlainObjectsTest, NeverDiffersFromTheParser) {
  SeededRandom random(7);
  constexpr std::array<std::string_view, 16> kPieces = {
      "<",      ">",      "/",           "&",          ";",     "\"",   " ",      "<Key>",
      "</Key>", "<Size>", "</Contents>", "<Contents>", "&amp;", "&#0;", "&#233;", "<!-- -->"};
  int read = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string xml(kPage);
    const uint64_t changes = 1 + random.Below(2);
    for (uint64_t i = 0; i < changes; ++i) {
      const size_t at = random.Below(xml.size());
      const std::string_view piece = kPieces[random.Below(kPieces.size())];
      switch (random.Below(3)) {
        case 0:
          xml.insert(at, piece);
          break;
        case 1:
          xml.replace(at, 1, piece);
          break;
        default:
          xml.erase(at, 1 + random.Below(12));
      }
    }
    read += ReadPlainObjects(xml).has_value() ? 1 : 0;
    ASSERT_EQ(Shown(ParseS3Listing(xml)), Shown(ParseS3Listing(WithComment(xml)))) << xml;
  }
  EXPECT_GT(read, 5'000);
}

}  // namespace
}  // namespace longhaul
