// Roles: credentials that STS gives to whoever may assume one.
//
// Sources: STS API Reference, AssumeRole and AssumeRoleWithWebIdentity; AWS SDKs and Tools
// Reference Guide, "Assume role credential provider".

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "aws/credentials_service.h"
#include "aws/refreshing_credentials.h"

namespace longhaul {

struct AssumedRole {
  std::string role_arn;
  std::string session_name;             // Empty: "longhaul-" and the time.
  std::string external_id;              // Empty: none. Not with a web identity.
  std::optional<int> duration_seconds;  // None: STS's own, an hour.
  std::string region;                   // Of STS; empty: the first of the role's partition.
  std::string profile;                  // Whose settings count for STS; empty: AWS_PROFILE's.
};

// kInvalidInput: what STS would refuse in any case, by name.
Result<void> CheckRole(const AssumedRole& role);

// Signed with what `base` gives; where STS calls that expired, once more after base->Invalidate().
std::unique_ptr<CredentialsSource> MakeAssumedRole(std::shared_ptr<CredentialsService> service,
                                                   EnvironmentReader environment, AssumedRole role,
                                                   std::shared_ptr<CredentialsProvider> base);

// By a token in a file, which is read for each fetch: whoever put it there replaces it in time.
std::unique_ptr<CredentialsSource> MakeWebIdentityRole(std::shared_ptr<CredentialsService> service,
                                                       EnvironmentReader environment,
                                                       AssumedRole role, std::string token_file);

}  // namespace longhaul
