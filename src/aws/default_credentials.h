// The chain by which everything finds its credentials that was not given keys.
//
// The first that is there counts, and what is wrong with it is an error, not a reason to look on:
//   1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN       } not where a profile is
//   2. AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN                     } named by an option
//   3. the profile: that of the option, else AWS_PROFILE, else default (aws/profile_credentials.h)
//   4. AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI
//   5. the role of the EC2 instance
// Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers".

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "aws/credentials.h"
#include "aws/kept_credentials.h"
#include "base/runtime.h"
#include "net/http_client.h"

namespace longhaul {

struct DefaultCredentialsOptions {
  std::string profile;                // Empty: as above.
  std::optional<Credentials> keys{};  // In place of the chain.
  // In place of the keys: where they are kept. The chain is who reads them, in AWS_REGION or
  // the profile's region: where a store is says nothing about where its keys are.
  std::optional<SecretReference> kept{};
  // Assumed with what is found, in AWS_REGION, else `region`. The caller has looked at both by
  // CheckRole (aws/sts_credentials.h). Empty: none.
  std::string role_arn;
  std::string external_id;
  std::string region;   // Of STS where neither environment nor profile has one.
  std::string ca_file;  // Certificates to trust for https://; empty: those of the system.
  // To share a client, which then has to outlive what is made; null: its own, made when a service
  // has to be asked.
  HttpClient* http = nullptr;
};

// Which place of the chain counts, for people: "AWS_ACCESS_KEY_ID", "profile 'x' (role_arn)". No
// service is asked. Errors as from Get.
Result<std::string> FindCredentialsPlace(const Runtime& runtime, EnvironmentReader environment,
                                         const std::string& profile);

// kDenied from Get says where was looked. Files are read anew after Invalidate.
std::shared_ptr<CredentialsProvider> MakeDefaultCredentials(const Runtime& runtime,
                                                            EnvironmentReader environment,
                                                            DefaultCredentialsOptions options = {});

}  // namespace longhaul
