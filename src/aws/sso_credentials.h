// The role of a person who has logged in by `aws sso login` (IAM Identity Center).
//
// Source: AWS SDKs and Tools Reference Guide, "IAM Identity Center credential provider"; IAM
// Identity Center Portal API Reference, GetRoleCredentials.

#pragma once

#include <memory>
#include <string>

#include "aws/credentials_service.h"
#include "aws/refreshing_credentials.h"

namespace longhaul {

struct SsoSettings {
  std::string profile;
  std::string session;  // Empty: the older form, without [sso-session].
  std::string start_url;
  std::string region;
  std::string account_id;
  std::string role_name;
};

// kInvalidInput: a setting is missing or is none, by name.
Result<void> CheckSso(const SsoSettings& settings);

// ~/.aws/sso/cache/HEX.json, with the SHA-1 of the session's name, else of the start URL.
std::string SsoTokenPath(const SsoSettings& settings, const EnvironmentReader& environment);

// kDenied from Fetch: nobody has logged in, or that has run out: it says what to type. The token is
// read for each fetch and never refreshed here: the AWS CLI does that.
std::unique_ptr<CredentialsSource> MakeSsoCredentials(std::shared_ptr<CredentialsService> service,
                                                      EnvironmentReader environment,
                                                      SsoSettings settings);

}  // namespace longhaul
