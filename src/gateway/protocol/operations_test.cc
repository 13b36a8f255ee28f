#include "gateway/protocol/operations.h"

#include <gtest/gtest.h>

#include "gateway/protocol/xml.h"

namespace longhaul {
namespace {

struct Request {
  std::string method = "GET";
  std::string query;
  HttpHeaders headers;
  bool names_bucket = true;
  bool names_key = false;
};

Result<GatewayOperation> Find(const Request& request) {
  Result<QueryParameters> query = ParseQuery(request.query);
  return FindGatewayOperation({.method = request.method,
                               .names_bucket = request.names_bucket,
                               .names_key = request.names_key,
                               .query = *query,
                               .headers = request.headers});
}

std::string CodeOf(const Request& request) {
  Result<GatewayOperation> found = Find(request);
  return found ? "" : found.error().code;
}

TEST(GatewayOperationsTest, WhatIsAskedForChoosesTheOperation) {
  EXPECT_EQ(*Find({.query = ""}), GatewayOperation::kListObjects);
  EXPECT_EQ(*Find({.query = "list-type=2&prefix=a"}), GatewayOperation::kListObjectsV2);
  EXPECT_EQ(*Find({.query = "x-id=ListBuckets", .names_bucket = false}),
            GatewayOperation::kListBuckets);
  Request part{.method = "PUT", .query = "uploadId=u&partNumber=1", .names_key = true};
  EXPECT_EQ(*Find(part), GatewayOperation::kUploadPart);
  part.headers.Add("X-Amz-Copy-Source", "b/k");
  EXPECT_EQ(*Find(part), GatewayOperation::kUploadPartCopy);
  part.query = "";
  EXPECT_EQ(*Find(part), GatewayOperation::kCopyObject);
}

// A bucket would go, or come, although something else was asked of it.
TEST(GatewayOperationsTest, UnknownSubresourcesAreRefused) {
  for (const char* method : {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"}) {
    for (bool names_key : {false, true}) {
      for (const char* query :
           {"abac", "metadataConfiguration", "nosuchthing", "policy", "Versioning"}) {
        EXPECT_EQ(CodeOf({.method = method, .query = query, .names_key = names_key}),
                  "NotImplemented")
            << method << " " << query;
      }
    }
  }
  EXPECT_EQ(CodeOf({.query = "list-type=3"}), "NotImplemented");
  EXPECT_EQ(CodeOf({.method = "PUT", .query = "versionId=v", .names_key = true}), "NotImplemented");
}

// An object would be deleted or read although a condition does not hold.
TEST(GatewayOperationsTest, UnknownHeadersAreRefused) {
  auto code = [](const char* method, const char* header, const char* value) {
    return CodeOf({.method = method, .headers = {{header, value}}, .names_key = true});
  };
  EXPECT_EQ(code("DELETE", "x-amz-if-match-size", "1"), "NotImplemented");
  EXPECT_EQ(code("DELETE", "X-Amz-Nosuchthing", "1"), "NotImplemented");
  EXPECT_EQ(code("DELETE", "If-None-Match", "*"), "NotImplemented");
  EXPECT_EQ(code("DELETE", "if-match", "e"), "");
  EXPECT_EQ(code("GET", "x-amz-server-side-encryption-customer-key", "k"), "NotImplemented");
  EXPECT_EQ(code("GET", "x-amz-expected-bucket-owner", "1"), "NotImplemented");
  EXPECT_EQ(code("GET", "If-Range", "e"), "NotImplemented");
  EXPECT_EQ(code("GET", "User-Agent", "x"), "");
  EXPECT_EQ(code("GET", "x-amz-api-version", "2006-03-01"), "");  // Of Amazon's C++ SDK: Arrow's.
  EXPECT_EQ(code("GET", "x-amz-api-version", "2031-03-01"), "NotImplemented");
  EXPECT_EQ(code("PUT", "x-amz-acl", "public-read"), "NotImplemented");
  EXPECT_EQ(code("PUT", "x-amz-acl", "private"), "");
  EXPECT_EQ(code("PUT", "x-amz-meta-anything", "x"), "");
}

// A key would be deleted although its size is not the one that was named.
TEST(GatewayOperationsTest, UnknownElementsAreRefused) {
  auto code = [](const std::string& object) {
    Result<DeleteBody> body = ParseDelete("<Delete><Object>" + object + "</Object></Delete>");
    return body ? "" : body.error().code;
  };
  EXPECT_EQ(code("<Key>k</Key><ETag>e</ETag>"), "");
  EXPECT_EQ(code("<Key>k</Key><Size>1</Size>"), "NotImplemented");
  EXPECT_EQ(code("<Key>k</Key><LastModifiedTime>t</LastModifiedTime>"), "NotImplemented");
  EXPECT_EQ(code("<Key>k</Key><Key>l</Key>"), "MalformedXML");
  EXPECT_EQ(ParseVersioning("<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled"
                            "</MfaDelete></VersioningConfiguration>")
                .error()
                .code,
            "NotImplemented");
  EXPECT_EQ(CheckCreateBucket("<CreateBucketConfiguration><Tags/></CreateBucketConfiguration>")
                .error()
                .code,
            "NotImplemented");
}

// Of a key in pieces the first one is another key.
TEST(GatewayOperationsTest, AKeyIsAllOfItsText) {
  const auto key_of = [](const std::string& key) {
    Result<DeleteBody> body =
        ParseDelete("<Delete><Object><Key>" + key + "</Key></Object></Delete>");
    return body ? body->requests.at(0).key : body.error().code;
  };
  EXPECT_EQ(key_of("a<![CDATA[&]]>b"), "a&b");
  EXPECT_EQ(key_of("a<!-- c -->b"), "ab");
  EXPECT_EQ(key_of(" <![CDATA[x]]>"), " x");
  EXPECT_EQ(key_of("a<!-- c --> "), "a ");
  EXPECT_EQ(key_of(" a&amp;&#x10;&#100;"),
            " a&\x10"
            "d");
  for (const char* key : {"<x/>b", "a<x>b</x>", "logs&#0;x", "logs&#x00;x", "logs&#000;",
                          "victim&#x100000000;rest", "victim&#4294967296;", "a&#x110000;"}) {
    EXPECT_EQ(key_of(key), "MalformedXML") << key;
  }
  Result<Tags> tags = ParseTagging(
      "<Tagging><TagSet><Tag><Key>a<![CDATA[b]]></Key><Value>1<!---->2</Value></Tag></TagSet>"
      "</Tagging>");
  ASSERT_TRUE(tags);
  EXPECT_EQ(tags->at("ab"), "12");
}

TEST(GatewayOperationsTest, WhatIsGivenTwiceIsRefused) {
  EXPECT_EQ(CodeOf({.query = "versionId=a&versionId=b", .names_key = true}), "InvalidArgument");
  EXPECT_EQ(CodeOf({.method = "DELETE",
                    .headers = {{"If-Match", "a"}, {"if-match", "b"}},
                    .names_key = true}),
            "InvalidArgument");
  EXPECT_EQ(CodeOf({.method = "PUT",
                    .headers = {{"x-amz-meta-a", "1"}, {"x-amz-meta-a", "2"}},
                    .names_key = true}),
            "");
}

}  // namespace
}  // namespace longhaul
