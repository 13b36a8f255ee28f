// The role of a container: ECS tasks, EKS pod identities, and whatever speaks like them.
//
// Source: AWS SDKs and Tools Reference Guide, "Container credential provider".

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "aws/credentials_service.h"
#include "aws/refreshing_credentials.h"

namespace longhaul {

// The URL by AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, else _FULL_URI; nullopt: neither is set.
// kInvalidInput: plain http:// to another host than this machine, 169.254.170.2, 169.254.170.23
// or [fd00:ec2::23]: whoever sets a variable must not send the keys' token across a network.
Result<std::optional<std::string>> ContainerCredentialsUrl(const EnvironmentReader& environment);

// The token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is read for each fetch: it is replaced there.
std::unique_ptr<CredentialsSource> MakeContainerCredentials(
    std::shared_ptr<CredentialsService> service, EnvironmentReader environment);

}  // namespace longhaul
