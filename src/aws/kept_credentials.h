// Keys that lie in AWS Secrets Manager or in a SecureString of the SSM Parameter Store, by name.
//
// Sources: Secrets Manager API Reference, GetSecretValue; Systems Manager API Reference,
// GetParameter.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "aws/credentials_service.h"
#include "aws/refreshing_credentials.h"

namespace longhaul {

struct SecretReference {
  enum class Service { kSecretsManager, kParameterStore };
  Service service = Service::kSecretsManager;
  std::string name;    // Or ARN.
  std::string region;  // That of the ARN; empty: the name says none.

  // As it was written.
  [[nodiscard]] std::string ToString() const;
};

// "secretsmanager:NAME" or "ssm:NAME", with a name or an ARN. kInvalidInput: anything else.
Result<SecretReference> ParseSecretReference(std::string_view text);

// `reader`: who may read it. `region`: where it is, unless it says so itself. Read once; again
// after Invalidate, so that keys that were changed there are found when a store refuses the old
// ones.
std::unique_ptr<CredentialsSource> MakeKeptCredentials(std::shared_ptr<CredentialsService> service,
                                                       EnvironmentReader environment,
                                                       SecretReference reference,
                                                       std::shared_ptr<CredentialsProvider> reader,
                                                       std::string region);

}  // namespace longhaul
