#include "storage/s3_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longhaul {
namespace {

std::string Xml(std::string_view code) {
  return "<Error><Code>" + std::string(code) + "</Code><Message>m</Message></Error>";
}

// The map of storage/store.h: a wrong line here is data deleted or a retry that never ends.
TEST(S3ErrorTest, StatusesAndCodesBecomeKinds) {
  struct Case {
    int status;
    std::string code;
    ErrorKind kind;
  };
  for (const Case& one : {Case{404, "NoSuchKey", ErrorKind::kNotFound},
                          Case{404, "", ErrorKind::kNotFound},
                          Case{412, "PreconditionFailed", ErrorKind::kPrecondition},
                          Case{409, "ConditionalRequestConflict", ErrorKind::kPrecondition},
                          Case{409, "BucketNotEmpty", ErrorKind::kPrecondition},
                          Case{304, "", ErrorKind::kPrecondition},
                          Case{403, "AccessDenied", ErrorKind::kDenied},
                          Case{401, "", ErrorKind::kDenied},
                          Case{503, "SlowDown", ErrorKind::kThrottled},
                          Case{503, "", ErrorKind::kThrottled},
                          Case{429, "", ErrorKind::kThrottled},
                          Case{400, "KMS.ThrottlingException", ErrorKind::kThrottled},
                          Case{503, "ServiceUnavailable", ErrorKind::kRetryable},
                          Case{500, "InternalError", ErrorKind::kRetryable},
                          Case{502, "", ErrorKind::kRetryable},
                          Case{400, "RequestTimeout", ErrorKind::kRetryable},
                          Case{400, "ExpiredToken", ErrorKind::kDenied},
                          Case{400, "InvalidArgument", ErrorKind::kInvalidInput},
                          Case{400, "BadDigest", ErrorKind::kInvalidInput},
                          Case{416, "InvalidRange", ErrorKind::kInvalidInput},
                          Case{501, "NotImplemented", ErrorKind::kInvalidInput},
                          Case{301, "PermanentRedirect", ErrorKind::kInvalidInput}}) {
    Error error = S3Error(one.status, {}, one.code.empty() ? "" : Xml(one.code));
    EXPECT_EQ(error.kind, one.kind) << one.status << one.code;
    EXPECT_EQ(error.http_status, one.status);
  }
  // A bare 404 proves nothing.
  EXPECT_EQ(S3Error(404, {}, "").code, "");
  EXPECT_EQ(S3Error(404, {}, "<html>not found</html>").code, "");
  EXPECT_EQ(S3Error(404, {{"x-amz-delete-marker", "true"}}, "").code, "DeleteMarker");
  EXPECT_EQ(S3Error(501, {}, "").code, "NotImplemented");
  // A person must read more than a number.
  EXPECT_THAT(S3Error(403, {}, "").message, ::testing::HasSubstr("denied"));
}

// A key that a server's file system cannot hold is parked, not retried.
TEST(S3ErrorTest, KeysThatAServerCannotHoldAreNamedSo) {
  for (const char* code : {"XMinioInvalidObjectName", "ObjectParentIsFile"}) {
    Error error = S3Error(409, {}, Xml(code));
    EXPECT_EQ(error.kind, ErrorKind::kInvalidInput);
    EXPECT_EQ(error.code, "KeyNotStorable");
  }
}

TEST(S3ErrorTest, TellsWaitRegionAndRequest) {
  Error error = S3Error(503, {{"Retry-After", "7"}, {"X-Amz-Request-Id", "4N8Q"}}, Xml("SlowDown"));
  EXPECT_EQ(error.retry_after, std::chrono::seconds(7));
  EXPECT_EQ(error.request_id, "4N8Q");
  EXPECT_EQ(S3Error(503, {{"Retry-After", "99999999"}}, "").retry_after, std::chrono::hours(1));
  EXPECT_EQ(S3Error(503, {{"Retry-After", "soon"}}, "").retry_after.count(), 0);
  error = S3Error(301, {{"x-amz-bucket-region", "eu-west-1"}}, "");
  EXPECT_NE(error.message.find("eu-west-1"), std::string::npos);
}

// Who reads "not valid for the object's storage class" does not know what to do.
TEST(S3ErrorTest, WhatCannotBeReadSaysWhatToDo) {
  Error error = S3Error(403, {},
                        "<Error><Code>InvalidObjectState</Code><StorageClass>GLACIER"
                        "</StorageClass></Error>");
  EXPECT_EQ(error.kind, ErrorKind::kDenied);
  EXPECT_EQ(error.code, "InvalidObjectState");
  EXPECT_THAT(error.message, ::testing::HasSubstr("it lies in GLACIER"));
  EXPECT_THAT(error.message, ::testing::HasSubstr("restore-object"));
  error = S3Error(403, {}, Xml("ObjectNotInActiveTierError"));
  EXPECT_EQ(error.code, "InvalidObjectState") << "what a copy says of the same";
  error = S3Error(400, {},
                  "<Error><Code>InvalidRequest</Code><Message>The object was stored using a form "
                  "of Server Side Encryption.</Message></Error>");
  EXPECT_EQ(error.kind, ErrorKind::kInvalidInput);
  EXPECT_THAT(error.message, ::testing::HasSubstr("SSE-C"));
  EXPECT_EQ(S3Error(400, {}, Xml("InvalidRequest")).message.find("SSE-C"), std::string::npos);
}

}  // namespace
}  // namespace longhaul
