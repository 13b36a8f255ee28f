// What a profile of the shared files says about where credentials come from.
//
// Of several answers in one profile the first counts: role_arn (with web_identity_token_file,
// source_profile or credential_source), access keys, sso_*, credential_process.
// Source: AWS SDKs and Tools Reference Guide, "Assume role credential provider", "Settings".

#pragma once

#include <memory>
#include <string>

#include "aws/credentials_service.h"
#include "aws/profile_files.h"

namespace longhaul {

// What providers of a chain share.
struct CredentialsContext {
  std::shared_ptr<CredentialsService> service;
  EnvironmentReader environment;
  std::string region;  // Of STS where neither environment nor profile has one.
};

// Null: profile `name` is in neither file, or says nothing of credentials. kInvalidInput: what it
// says makes no sense: a loop of source_profile, half of a setting, a role without a source.
Result<std::shared_ptr<CredentialsProvider>> FindProfileCredentials(
    const CredentialsContext& context, const ProfileFiles& files, const std::string& name);

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; nullopt: not set. kInvalidInput: one
// without the other.
Result<std::optional<Credentials>> KeysInEnvironment(const EnvironmentReader& environment);

// The region that STS is asked in: AWS_REGION, AWS_DEFAULT_REGION, the profile's, `otherwise` where
// that is one of AWS's; empty: none of them.
std::string StsRegion(const EnvironmentReader& environment, const ProfileSection& profile,
                      const std::string& otherwise);

}  // namespace longhaul
