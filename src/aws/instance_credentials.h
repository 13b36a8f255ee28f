// The role of an EC2 instance, from its metadata service.
//
// Version 2 alone: a token is asked for by PUT and sent with each request, so that nobody who makes
// this program fetch a URL gets at the keys. Source: AWS SDKs and Tools Reference Guide, "IMDS
// credential provider"; EC2 User Guide, "Use IMDS".

#pragma once

#include <memory>
#include <string>

#include "aws/credentials_service.h"
#include "aws/refreshing_credentials.h"

namespace longhaul {

// AWS_EC2_METADATA_SERVICE_ENDPOINT, else by AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE (IPv4, IPv6).
std::string InstanceMetadataEndpoint(const EnvironmentReader& environment);

// Three attempts of a second each: where there is no such service, its absence is found out within
// four seconds. kDenied: AWS_EC2_METADATA_DISABLED is true, the instance has no role, or whatever
// answers there is no such service.
std::unique_ptr<CredentialsSource> MakeInstanceCredentials(
    std::shared_ptr<CredentialsService> service, EnvironmentReader environment);

}  // namespace longhaul
