// Where a service of AWS is asked, and who asks, as the AWS SDKs find it.
//
// Source: AWS SDKs and Tools Reference Guide, "Service-specific endpoints", "AWS Region".

#pragma once

#include <string>

#include "aws/aws_json_client.h"
#include "aws/aws_place.h"

namespace longhaul {

// `service`: "dynamodb"; `target` as in AwsJsonOptions. The endpoint is that of the place, else of
// AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL or the profile, else that of AWS in the region; the
// region is that of the place, of AWS_REGION, AWS_DEFAULT_REGION or the profile; certificates are
// those of AWS_CA_BUNDLE. kInvalidInput: no region anywhere, or a profile that is none.
Result<AwsJsonOptions> FindAwsService(const Runtime& runtime, const AwsPlace& place,
                                      std::string service, std::string target,
                                      const EnvironmentReader& environment);

}  // namespace longhaul
