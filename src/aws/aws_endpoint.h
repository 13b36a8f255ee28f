// The names of AWS: partitions, and where a service is in a region.
//
// Source: AWS General Reference, "Service endpoints and quotas"; AWS SDKs and Tools Reference
// Guide, "Dual-stack and FIPS endpoints"; S3 User Guide, "Using dual-stack endpoints".

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul {

struct AwsWishes {
  bool fips = false;
  bool dual_stack = false;
};

bool IsAwsRegion(std::string_view text);

// "aws", "aws-cn" or "aws-us-gov", as in ARNs.
std::string_view AwsPartitionOf(std::string_view region);

// "amazonaws.com" or "amazonaws.com.cn".
std::string_view AwsDomainOf(std::string_view region);

// The host name of `service` ("s3", "sts", "portal.sso", "secretsmanager", "ssm", "dynamodb",
// "sqs") in `region`. kInvalidInput: no region; or FIPS in China, where nothing has it.
Result<std::string> AwsServiceHost(std::string_view service, std::string_view region,
                                   AwsWishes wishes = {});

}  // namespace longhaul
