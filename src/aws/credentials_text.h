// What services and processes answer with when they give credentials: JSON and XML.
//
// Nothing in it is trusted: 64 KiB, eight levels, and texts that can go into a header. No error
// holds any of its values.

#pragma once

#include <string>
#include <string_view>

#include "aws/credentials.h"
#include "aws/credentials_service.h"

namespace longhaul {

// {"AccessKeyId": …, "SecretAccessKey": …, "Token": …, "Expiration": "2026-…Z"}.
// kDenied: anything else, also {"Code": "…", "Message": "…"} with another code than "Success".
// Sources: EC2 User Guide, "Retrieve security credentials from instance metadata"; ECS Developer
// Guide, "Task IAM role"; AWS SDKs and Tools Reference Guide, "Container credential provider".
Result<Credentials> ParseMetadataCredentials(std::string_view text);

// {"Version": 1, "AccessKeyId": …, "SecretAccessKey": …, "SessionToken": …, "Expiration": …}; the
// last two may be missing. kDenied: anything else.
// Source: AWS SDKs and Tools Reference Guide, "Process credential provider".
Result<Credentials> ParseProcessCredentials(std::string_view text);

// What is kept in Secrets Manager or Parameter Store: {"access_key_id": …, "secret_access_key": …},
// or with names as in the shared files ("aws_access_key_id", …); a session token may be there, and
// anything else. kDenied: other text.
Result<Credentials> ParseKeptCredentials(std::string_view text);

// {"roleCredentials": {"accessKeyId": …, "expiration": milliseconds}}. kDenied: anything else.
// Source: IAM Identity Center Portal API Reference, GetRoleCredentials.
Result<Credentials> ParseSsoCredentials(std::string_view text);

// What `aws sso login` leaves in ~/.aws/sso/cache. kDenied: anything else.
struct SsoToken {
  Secret access_token;
  SystemTime expires;
};
Result<SsoToken> ParseSsoToken(std::string_view text);

// <ActionResponse><ActionResult><Credentials>, with or without a namespace. kDenied: anything else.
// Source: STS API Reference, AssumeRole.
Result<Credentials> ParseStsCredentials(std::string_view xml);

// <ErrorResponse><Error><Code>, <Message>; empty where the text is anything else.
struct StsErrorText {
  std::string code;  // Letters and digits alone.
  std::string message;
  std::string request_id;
};
StsErrorText ParseStsError(std::string_view xml);

}  // namespace longhaul
