// What environment and profile say of how AWS is reached, each with where it was said.
//
// The environment comes before the profile, as in the AWS SDKs. Source: AWS SDKs and Tools
// Reference Guide, "Settings reference": "Service-specific endpoints", "Dual-stack and FIPS
// endpoints", "Retry behavior", "General configuration settings" (ca_bundle).

#pragma once

#include <string>
#include <string_view>

#include "aws/aws_endpoint.h"
#include "aws/credentials.h"
#include "net/http_client.h"

namespace longhaul {

struct AwsSetting {
  std::string value;   // Empty: nobody says.
  std::string origin;  // "AWS_MAX_ATTEMPTS", "profile 'x'".
};

struct AwsSettings {
  AwsSetting region;
  AwsSetting endpoint_url;  // Without "/" at its end.
  AwsSetting ca_bundle;     // A file.
  AwsSetting use_fips_endpoint;
  AwsSetting use_dualstack_endpoint;
  AwsSetting sts_regional_endpoints;  // "legacy": the global endpoint where there is that choice.
  AwsSetting max_attempts;
  AwsSetting https_proxy;  // A secret: it may hold a password.
  AwsSetting no_proxy;

  [[nodiscard]] AwsWishes wishes() const;
  // How often a request is sent at most; `otherwise` where nobody says.
  [[nodiscard]] int AttemptsMax(int otherwise) const;
  [[nodiscard]] HttpProxySettings proxy() const;
};

// `service`: as in AWS_ENDPOINT_URL_<SERVICE>: "S3", "STS", "SSO", "SECRETS_MANAGER", "SSM",
// "DYNAMODB", "SQS";
// empty: none in particular. `profile`: empty: AWS_PROFILE, else default.
// kInvalidInput: a value that makes no sense, by its name; the files as in ReadAwsProfile.
Result<AwsSettings> ReadAwsSettings(std::string_view service, std::string_view profile,
                                    const EnvironmentReader& environment);

// Without the shared files and what names them: for who has keys of his own, or none.
EnvironmentReader WithoutProfiles(EnvironmentReader environment);

// Proxy alone, which no file says.
HttpProxySettings ProxyOf(const EnvironmentReader& environment);
// The same and AWS_CA_BUNDLE: for a server that is none of AWS's.
HttpClientOptions WebOptionsOf(const EnvironmentReader& environment);

}  // namespace longhaul
