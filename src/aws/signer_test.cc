#include "aws/signer.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {
namespace {

const Credentials kExample{.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                           .secret_access_key = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                           .session_token = {},
                           .expires = {}};

SystemTime At(std::string_view text) { return *ParseRfc3339(text); }

std::string SignatureOf(const HttpHeaders& headers) {
  std::string_view value = headers.Get("Authorization");
  return std::string(value.substr(value.find("Signature=") + 10));
}

constexpr SignedTarget kTest{
    .host = "examplebucket.s3.amazonaws.com", .path = "/test.txt", .query = ""};

// The examples of "Signature Calculations for the Authorization Header" (S3 API Reference): one
// wrong byte in the canonical request and every request of ours is refused.
TEST(SignerTest, S3HeaderExamples) {
  Signer signer("us-east-1", "s3");
  SystemTime now = At("2013-05-24T00:00:00Z");

  HttpHeaders get{{"Range", "bytes=0-9"}};
  signer.Sign("GET", kTest, get, kEmptyPayloadSha256, kExample, now);
  EXPECT_EQ(get.Get("Authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");

  HttpHeaders put{{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                  {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  SignedTarget put_target = kTest;
  put_target.path = "/test%24file.text";
  signer.Sign("PUT", put_target, put, HexEncode(Sha256("Welcome to Amazon S3.")), kExample, now);
  EXPECT_EQ(SignatureOf(put), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");

  SignedTarget bucket = kTest;
  bucket.path = "/";
  bucket.query = "lifecycle";
  HttpHeaders lifecycle;
  signer.Sign("GET", bucket, lifecycle, kEmptyPayloadSha256, kExample, now);
  EXPECT_EQ(SignatureOf(lifecycle),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");

  bucket.query = "prefix=J&max-keys=2";  // Signed in order of names, sent as it is.
  HttpHeaders list;
  signer.Sign("GET", bucket, list, kEmptyPayloadSha256, kExample, now);
  EXPECT_EQ(SignatureOf(list), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

// The example of "Authenticating Requests: Using Query Parameters".
TEST(SignerTest, S3PresignedExample) {
  Signer signer("us-east-1", "s3");
  std::string query =
      signer.Presign("GET", kTest, kExample, At("2013-05-24T00:00:00Z"), std::chrono::hours(24));
  EXPECT_EQ(query,
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
            "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
            "X-Amz-SignedHeaders=host&"
            "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

// The example of the general reference (IAM ListUsers): another service, no payload header.
TEST(SignerTest, GeneralExample) {
  Signer signer("us-east-1", "iam");
  Credentials credentials = kExample;
  credentials.access_key_id = "AKIDEXAMPLE";
  credentials.secret_access_key = Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
  HttpHeaders headers{{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
  SignedTarget target{
      .host = "iam.amazonaws.com", .path = "/", .query = "Action=ListUsers&Version=2010-05-08"};
  signer.Sign("GET", target, headers, kEmptyPayloadSha256, credentials, At("2015-08-30T12:36:00Z"));
  EXPECT_EQ(SignatureOf(headers),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

// The key of the day is kept; it must not outlive the day or the credentials it came from.
TEST(SignerTest, CachedKeyFollowsDayAndCredentials) {
  auto sign = [](Signer& signer, const Credentials& credentials, std::string_view time) {
    HttpHeaders headers;
    signer.Sign("GET", kTest, headers, kEmptyPayloadSha256, credentials, At(time));
    return SignatureOf(headers);
  };
  Credentials other = kExample;
  other.secret_access_key = Secret("another");
  Signer kept("us-east-1", "s3");
  for (std::string_view time : {"2026-03-01T23:59:59Z", "2026-03-02T00:00:00Z"}) {
    for (const Credentials& credentials : {kExample, other}) {
      Signer fresh("us-east-1", "s3");
      EXPECT_EQ(sign(kept, credentials, time), sign(fresh, credentials, time));
    }
  }
}

// Temporary credentials are refused without their token, and the token has to be signed.
TEST(SignerTest, SessionTokenIsSentAndSigned) {
  Signer signer("us-east-1", "s3");
  Credentials credentials = kExample;
  credentials.session_token = Secret("token");
  HttpHeaders headers;
  signer.Sign("GET", kTest, headers, kEmptyPayloadSha256, credentials, At("2026-03-01T00:00:00Z"));
  EXPECT_EQ(headers.Get("X-Amz-Security-Token"), "token");
  EXPECT_NE(headers.Get("Authorization").find("x-amz-security-token"), std::string_view::npos);
  std::string query =
      signer.Presign("GET", kTest, credentials, At("2026-03-01T00:00:00Z"), std::chrono::hours(1));
  EXPECT_NE(query.find("X-Amz-Security-Token=token"), std::string::npos);
}

}  // namespace
}  // namespace longhaul
