// Where STS is asked: the partition, region and wishes of a user as an endpoint.
//
// Source: AWS General Reference, "AWS Security Token Service endpoints and quotas"; AWS SDKs and
// Tools Reference Guide, "AWS STS Regional endpoints", "Dual-stack and FIPS endpoints",
// "Service-specific endpoints".

#pragma once

#include <string>
#include <string_view>

#include "aws/aws_endpoint.h"
#include "aws/aws_settings.h"

namespace longhaul {

struct StsEndpoint {
  std::string url;     // "https://sts.eu-west-1.amazonaws.com"
  std::string region;  // Signed for.
};

// `region`: empty: the first of the partition of `role_arn` (us-east-1, cn-north-1, us-gov-west-1).
// `settings`: of the service "STS". kInvalidInput: a region that cannot be in a host name.
Result<StsEndpoint> FindStsEndpoint(std::string_view region, std::string_view role_arn,
                                    const AwsSettings& settings);

}  // namespace longhaul
