#include "gateway/protocol/sigv4.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {
namespace {

const GatewayKeys kKeys{"AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")};
const SystemTime kSignedAt = std::chrono::sys_days(std::chrono::year(2013) / 5 / 24);

Result<SignedRequest> Verify(const std::string& text, SystemTime now = kSignedAt,
                             const GatewayKeys& keys = kKeys) {
  Result<HttpRequestHead> head = ParseRequestHead(text, {});
  EXPECT_TRUE(head) << head.error().Describe();
  Result<QueryParameters> query = ParseQuery(head->query());
  EXPECT_TRUE(query);
  return VerifySigV4(*head, *query, std::span(&keys, 1), now);
}

// The example of the S3 API Reference, "Signature Calculations … Transferring Payload in Multiple
// Chunks".
const std::string kChunked =
    "PUT /examplebucket/chunkObject.txt HTTP/1.1\r\n"
    "Host: s3.amazonaws.com\r\n"
    "x-amz-date: 20130524T000000Z\r\n"
    "x-amz-storage-class: REDUCED_REDUNDANCY\r\n"
    "Authorization: AWS4-HMAC-SHA256 "
    "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
    "SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
    "x-amz-decoded-content-length;x-amz-storage-class,"
    "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9\r\n"
    "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n"
    "Content-Encoding: aws-chunked\r\n"
    "x-amz-decoded-content-length: 66560\r\n"
    "Content-Length: 66824\r\n\r\n";

const std::string kPresigned =
    "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE"
    "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
    "&X-Amz-SignedHeaders=host&X-Amz-Signature="
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\r\n"
    "Host: examplebucket.s3.amazonaws.com\r\n\r\n";

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  text.replace(text.find(from), from.size(), to);
  return text;
}

// What AWS publishes is what every client does.
TEST(SigV4Test, ChunksOfThePublishedExample) {
  Result<SignedRequest> request = Verify(kChunked);
  ASSERT_TRUE(request) << request.error().Describe();
  EXPECT_EQ(request->payload, PayloadKind::kChunksSigned);
  auto sha = [](const std::string& bytes) { return HexEncode(Sha256(bytes)); };
  std::string first = ChunkSignature(*request, request->signature, sha(std::string(65536, 'a')));
  EXPECT_EQ(first, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
  std::string second = ChunkSignature(*request, first, sha(std::string(1024, 'a')));
  EXPECT_EQ(second, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
  EXPECT_EQ(ChunkSignature(*request, second, sha("")),
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
}

TEST(SigV4Test, PresignedUrlOfThePublishedExample) {
  Result<SignedRequest> request = Verify(kPresigned, kSignedAt + std::chrono::hours(23));
  ASSERT_TRUE(request) << request.error().Describe();
  EXPECT_EQ(request->payload, PayloadKind::kUnsigned);
  EXPECT_EQ(Verify(kPresigned, kSignedAt + std::chrono::hours(25)).error().code, "AccessDenied");
}

// Whoever changes a signed thing, adds an unsigned one, or comes late is not let in.
TEST(SigV4Test, ChangedRequestsAreRefused) {
  auto code = [](const Result<SignedRequest>& request) {
    EXPECT_FALSE(request);
    return request ? "" : request.error().code;
  };
  EXPECT_EQ(code(Verify(Replaced(kChunked, "chunkObject", "otherObject"))),
            "SignatureDoesNotMatch");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "66560", "66561"))), "SignatureDoesNotMatch");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "PUT", "GET"))), "SignatureDoesNotMatch");
  EXPECT_EQ(code(Verify(Replaced(kChunked, ".txt ", ".txt?acl "))), "SignatureDoesNotMatch");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "\r\n\r\n", "\r\nx-amz-tagging: a=b\r\n\r\n"))),
            "AccessDenied");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "host;", ""))), "AccessDenied");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "AKIAIOSF", "AKIAIOSG"))), "InvalidAccessKeyId");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "Authorization", "Authorisation"))), "AccessDenied");
  EXPECT_EQ(code(Verify(kChunked, kSignedAt + std::chrono::minutes(16))), "RequestTimeTooSkewed");
  EXPECT_EQ(code(Verify(kChunked, kSignedAt - std::chrono::minutes(16))), "RequestTimeTooSkewed");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "/20130524/", "/20130523/"))),
            "AuthorizationHeaderMalformed");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "AWS4-HMAC-SHA256 ", "AWS "))), "InvalidRequest");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "AWS4-HMAC-SHA256 ", "Bearer "))), "InvalidArgument");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "Signature=", "Signed="))),
            "AuthorizationHeaderMalformed");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "/us-east-1/s3/", "/s3/"))),
            "AuthorizationHeaderMalformed");
  EXPECT_EQ(code(Verify(Replaced(kChunked, "x-amz-date: 2013", "x-amz-date: yyyy"))),
            "AccessDenied");
  EXPECT_EQ(code(Verify(kChunked, kSignedAt, {kKeys.access_key_id, Secret("other")})),
            "SignatureDoesNotMatch");
}

// The AWS CLI v1 makes such URLs unless told otherwise: its user must learn what to change.
TEST(SigV4Test, UrlsOfVersion2AreToldWhatIsTaken) {
  Result<SignedRequest> request = Verify(
      "GET /b/k?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=x%3D&Expires=1369353600 HTTP/1.1\r\n"
      "Host: h\r\n\r\n");
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, "InvalidRequest");
  EXPECT_NE(request.error().message.find("signature_version s3v4"), std::string::npos);
}

// One of many users is told from the others by the key.
TEST(SigV4Test, TellsWhoSigned) {
  const GatewayKeys keys[] = {{"OTHER", Secret("another secret")}, kKeys};
  Result<HttpRequestHead> head = ParseRequestHead(kChunked, {});
  Result<SignedRequest> request = VerifySigV4(*head, {}, keys, kSignedAt);
  ASSERT_TRUE(request) << request.error().Describe();
  EXPECT_EQ(request->signer, 1U);
}

// The example of the S3 API Reference, "Examples: Browser-Based Upload using HTTP POST (Using AWS
// Signature Version 4)".
TEST(SigV4Test, PolicyOfThePublishedExample) {
  const std::string policy =
      "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7"
      "ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91"
      "c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3Qi"
      "OiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwi"
      "fSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRh"
      "LXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVT"
      "MjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNy"
      "ZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9"
      "LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAi"
      "MjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
  SignedPolicy given{
      .policy = policy,
      .algorithm = "AWS4-HMAC-SHA256",
      .credential = "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
      .date = "20151229T000000Z",
      .signature = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"};
  Result<size_t> signer = VerifyPolicySignature(given, std::span(&kKeys, 1));
  ASSERT_TRUE(signer) << signer.error().Describe();
  given.policy[10] = 'X';
  EXPECT_EQ(VerifyPolicySignature(given, std::span(&kKeys, 1)).error().code,
            "SignatureDoesNotMatch");
}

}  // namespace
}  // namespace longhaul
