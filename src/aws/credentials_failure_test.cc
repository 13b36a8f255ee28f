#include "aws/credentials_failure.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

Error Refusal(std::string message, std::string code) {
  return {.kind = ErrorKind::kDenied,
          .message = std::move(message),
          .code = std::move(code),
          .http_status = 403};
}

// A service that was never asked has refused nothing: its rights must not be what is named.
TEST(CredentialsFailureTest, IsNoRefusalOfWhatTheyWereFor) {
  const Error failure = CredentialsFailure(
      Refusal("role arn:aws:iam::1:role/far from https://sts.example: no", "AccessDenied"));
  EXPECT_EQ(failure.kind, ErrorKind::kDenied);
  EXPECT_NE(failure.code, "AccessDenied");
  EXPECT_EQ(failure.http_status, 0);
  EXPECT_EQ(failure.Describe(),
            "credentials: role arn:aws:iam::1:role/far from https://sts.example: no (AccessDenied, "
            "HTTP 403)");
  EXPECT_TRUE(IsCredentialsFailure(failure.In("queue q").In("GetQueueUrl")));
  EXPECT_FALSE(IsCredentialsFailure(Refusal("no", "AccessDenied")));
}

// What passes is waited for as before.
TEST(CredentialsFailureTest, WhatPassesStaysWhatItIs) {
  Error away = Retryable("no answer");
  away.code = "Timeout";
  const Error failure = CredentialsFailure(away);
  EXPECT_EQ(failure.kind, ErrorKind::kRetryable);
  EXPECT_EQ(failure.code, "Timeout");
  EXPECT_FALSE(IsCredentialsFailure(failure));
}

TEST(CredentialsFailureTest, NamesTheRightOfWhoAsksForThem) {
  struct Case {
    const char* message;
    const char* code;
    const char* action;  // Empty: none.
    const char* resource;
  };
  for (const Case& one :
       {Case{"role arn:aws:iam::1:role/far from https://sts.example: User: x is not authorized",
             "AccessDenied", "sts:AssumeRole", "arn:aws:iam::1:role/far"},
        Case{"profile 'p' (role_arn): role arn:aws:iam::1:role/far from https://s: no",
             "AccessDenied", "sts:AssumeRole", "arn:aws:iam::1:role/far"},
        Case{"role arn:aws:iam::1:role/far from https://s: Not authorized to perform "
             "sts:AssumeRoleWithWebIdentity",
             "AccessDenied", "sts:AssumeRoleWithWebIdentity", "arn:aws:iam::1:role/far"},
        Case{"secretsmanager:keys: GetSecretValue: no", "AccessDeniedException",
             "secretsmanager:GetSecretValue", "keys"},
        Case{"role arn:aws:iam::1:role/far: ssm:/a/b: GetParameter: no", "AccessDeniedException",
             "ssm:GetParameter", "/a/b"},
        Case{"secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:k: GetSecretValue: no",
             "AccessDeniedException", "secretsmanager:GetSecretValue",
             "arn:aws:secretsmanager:eu-west-1:1:secret:k"},
        Case{"secretsmanager:keys: nobody says in which region it is", "", "", ""},
        Case{"none found: not in AWS_ACCESS_KEY_ID", "", "", ""},
        Case{"role arn:aws:iam::1:role/far from https://s: expired", "ExpiredToken", "", ""}}) {
    const Error failure = CredentialsFailure(Refusal(one.message, one.code)).In("bucket b");
    const std::optional<RefusedRight> right = RightOfCredentials(failure);
    EXPECT_EQ(right ? right->action : "", one.action) << one.message;
    EXPECT_EQ(right ? right->resource : "", one.resource) << one.message;
  }
}

// Keys that are kept are read with others: it is those that are refused.
TEST(CredentialsFailureTest, OfSeveralTheInnermostCounts) {
  const Error inner = CredentialsFailure(
      Refusal("role arn:aws:iam::1:role/reader from https://s: no", "AccessDenied"));
  const Error outer = CredentialsFailure(inner.In("GetSecretValue").In("secretsmanager:keys"));
  const std::optional<RefusedRight> right = RightOfCredentials(outer);
  ASSERT_TRUE(right);
  EXPECT_EQ(right->action, "sts:AssumeRole");
  EXPECT_EQ(right->resource, "arn:aws:iam::1:role/reader");
}

}  // namespace
}  // namespace longhaul
