#include "storage/s3_xml.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

// The form that the API Reference shows, with what real servers vary: prefixes, order, quotes.
TEST(S3XmlTest, ReadsAListing) {
  Result<ListPage> page = ParseS3Listing(R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>
<Contents><Key>a+b%2Bc%C3%A9%0A</Key><LastModified>2026-03-01T09:30:00.000Z</LastModified>
<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag><Size>4096</Size>
<StorageClass>STANDARD_IA</StorageClass></Contents>
<CommonPrefixes><Prefix>x%2Fy/</Prefix></CommonPrefixes></ListBucketResult>)");
  ASSERT_TRUE(page) << page.error().Describe();
  ASSERT_EQ(page->objects.size(), 1u);
  EXPECT_EQ(page->objects[0].key, "a b+c\xc3\xa9\n");
  EXPECT_EQ(page->objects[0].size_bytes, 4096u);
  EXPECT_EQ(page->objects[0].etag, "9e107d9d372bb6826bd81d3542a419d6");
  EXPECT_EQ(page->objects[0].storage_class, "STANDARD_IA");
  EXPECT_EQ(FormatRfc3339(page->objects[0].last_modified), "2026-03-01T09:30:00Z");
  EXPECT_EQ(page->common_prefixes, std::vector<std::string>{"x/y/"});
  EXPECT_EQ(page->next_token, "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=");
}

// A key with a plus sign must stay one where the server did not encode.
TEST(S3XmlTest, KeysAreDecodedOnlyWhereTheAnswerSaysSo) {
  Result<ListPage> page = ParseS3Listing(
      "<ListBucketResult><IsTruncated>false</IsTruncated>"
      "<Contents><Key>a+b%41 </Key><Size>0</Size></Contents></ListBucketResult>");
  ASSERT_TRUE(page) << page.error().Describe();
  EXPECT_EQ(page->objects[0].key, "a+b%41 ");
}

// A listing that is cut or is something else must not look like an empty bucket: deletes follow.
TEST(S3XmlTest, WhatIsNoListingIsAnError) {
  for (const char* xml :
       {"", "<html><body>login</body></html>", "<ListBucketResult>", "{}", "<Error/>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>"
        "</ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>-1</Size>"
        "</Contents></ListBucketResult>",
        "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
        "<Contents><Key>%zz</Key><Size>1</Size></Contents></ListBucketResult>"}) {
    Result<ListPage> page = ParseS3Listing(xml);
    ASSERT_FALSE(page) << xml;
    EXPECT_EQ(page.error().kind, ErrorKind::kCorrupt);
  }
}

// A page in the middle that does not say so would end the listing, and what comes behind it would
// be taken for deleted.
TEST(S3XmlTest, APageThatMayNotBeTheLastIsAnError) {
  const std::string object = "<Contents><Key>a</Key><Size>1</Size></Contents>";
  auto parse = [&](const std::string& more, bool second) {
    return ParseS3Listing("<ListBucketResult>" + object + more + "</ListBucketResult>", second);
  };
  auto versions = [&](const std::string& more) {
    return ParseS3VersionListing("<ListVersionsResult>" + more + "</ListVersionsResult>");
  };
  for (const char* told : {"True", "FALSE", "1", "0", "yes", "tru"}) {
    const std::string element = "<IsTruncated>" + std::string(told) + "</IsTruncated>";
    EXPECT_FALSE(parse(element, true)) << told;
    EXPECT_FALSE(parse(element, false)) << told;
    EXPECT_FALSE(versions(element)) << told;
  }
  const std::string token = "<NextContinuationToken>t</NextContinuationToken>";
  for (const std::string& lacks : {std::string(), std::string("<IsTruncated/>")}) {
    EXPECT_FALSE(parse(lacks + token, true));
    EXPECT_FALSE(parse(lacks, true)) << "every server that has this kind of listing says it";
    EXPECT_FALSE(parse(lacks + token, false));
    EXPECT_FALSE(parse(lacks + "<NextMarker>a</NextMarker>", false));
    EXPECT_FALSE(versions(lacks + "<NextKeyMarker>a</NextKeyMarker>"));
    EXPECT_FALSE(versions(lacks + "<NextVersionIdMarker>v</NextVersionIdMarker>"));
    EXPECT_TRUE(parse(lacks + "<NextMarker/>", false));
    EXPECT_TRUE(versions(lacks + "<NextKeyMarker/>"));
  }
  const std::string end = "<IsTruncated> false\n</IsTruncated>";
  Result<ListPage> last = parse(end + token, true);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->next_token, "");
}

// A document that expands to gigabytes must cost nothing.
TEST(S3XmlTest, EntitiesAreNotExpanded) {
  std::string xml =
      "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>"
      "<ListBucketResult><IsTruncated>false</IsTruncated>"
      "<Contents><Key>&b;&b;</Key><Size>1</Size></Contents></ListBucketResult>";
  Result<ListPage> page = ParseS3Listing(xml);
  if (page) EXPECT_EQ(page->objects[0].key, "&b;&b;");
  // Depth costs memory, not the stack.
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_FALSE(ParseS3Listing(deep));
}

TEST(S3XmlTest, VersionTokensCarryBothMarkers) {
  Result<ListPage> page = ParseS3VersionListing(
      "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a b/c</NextKeyMarker>"
      "<NextVersionIdMarker>v1</NextVersionIdMarker>"
      "<DeleteMarker><Key>a</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest></DeleteMarker>"
      "<Version><Key>a</Key><VersionId>v1</VersionId><Size>3</Size></Version>"
      "</ListVersionsResult>");
  ASSERT_TRUE(page) << page.error().Describe();
  EXPECT_TRUE(page->objects[0].is_delete_marker && page->objects[0].is_latest);
  EXPECT_FALSE(page->objects[1].is_delete_marker);
  Result<S3VersionMarkers> markers = ParseS3VersionToken(page->next_token);
  ASSERT_TRUE(markers);
  EXPECT_EQ(markers->key, "a b/c");
  EXPECT_EQ(markers->version_id, "v1");
}

// What is written must read back as the same keys: a delete of another key is worse than none.
TEST(S3XmlTest, DeleteBodiesEscapeKeys) {
  std::vector<RemoveRequest> requests(2);
  requests[0].key = "a&b<c>\"d\"'e\r\n\t ";
  requests[1].key = "v";
  requests[1].version_id = "1";
  std::string xml = WriteS3Delete(requests);
  EXPECT_NE(xml.find("<Key>a&amp;b&lt;c&gt;&quot;d&quot;'e&#13;&#10;&#9; </Key>"),
            std::string::npos)
      << xml;
  EXPECT_NE(xml.find("<Key>v</Key><VersionId>1</VersionId>"), std::string::npos);
}

// Keys that XML cannot carry are deleted one by one.
TEST(S3XmlTest, KnowsWhatXmlCannotCarry) {
  for (std::string_view text :
       {"plain", "a\tb\r\n", "\xc3\xa9", "\xf0\x9f\x9a\x9a", "\xef\xbf\xbd"}) {
    EXPECT_TRUE(IsXmlText(text)) << text;
  }
  for (std::string_view text :
       {std::string_view("\0", 1), std::string_view("a\x01"), std::string_view("\x1b[0m"),
        std::string_view("\xff"), std::string_view("\xc3"), std::string_view("\xc0\x80"),
        std::string_view("\xed\xa0\x80"), std::string_view("\xef\xbf\xbf"),
        std::string_view("\xf4\x90\x80\x80"), std::string_view("\x80")}) {
    EXPECT_FALSE(IsXmlText(text));
  }
}

TEST(S3XmlTest, TagsAndErrorsKeepWhiteSpaceAndAreFound) {
  Result<Tags> tags = ParseS3Tagging(
      "<Tagging><TagSet><Tag><Key>a</Key><Value> </Value></Tag><Tag><Key>b</Key><Value/></Tag>"
      "</TagSet></Tagging>");
  ASSERT_TRUE(tags);
  EXPECT_EQ(*tags, (Tags{{"a", " "}, {"b", ""}}));
  std::optional<S3ErrorText> error = ParseS3Error(
      "<Error><Code>NoSuchKey</Code><Message>The key</Message><RequestId>4N8Q</RequestId></Error>");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, "NoSuchKey");
  EXPECT_EQ(error->request_id, "4N8Q");
  EXPECT_FALSE(ParseS3Error("<ListBucketResult/>"));
}

// A session without its token or its end would be used until somebody refuses it.
TEST(S3XmlTest, ASessionIsWholeOrNone) {
  const std::string keys = "<SecretAccessKey>s</SecretAccessKey><AccessKeyId>k</AccessKeyId>";
  const std::string token = "<SessionToken>t</SessionToken>";
  const std::string end = "<Expiration>2026-03-01T09:05:00Z</Expiration>";
  auto parse = [](const std::string& inner) {
    return ParseS3Session("<CreateSessionResult><Credentials>" + inner +
                          "</Credentials></CreateSessionResult>");
  };
  Result<Credentials> session = parse(keys + token + end);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->access_key_id, "k");
  EXPECT_EQ(session->session_token.Reveal(), "t");
  EXPECT_EQ(session->expires, *ParseRfc3339("2026-03-01T09:05:00Z"));
  for (const std::string& inner : {keys + token, keys + end, token + end, std::string()}) {
    EXPECT_FALSE(parse(inner)) << inner;
  }
  EXPECT_EQ(WriteS3Restore("Bulk", 7),
            "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>7</Days>"
            "<GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>");
  EXPECT_EQ(WriteS3Restore("Bulk", 0),
            "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            "<GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>");
}

}  // namespace
}  // namespace longhaul
