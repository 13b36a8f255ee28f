#include "aws/sts_endpoint.h"

#include <algorithm>

namespace longhaul {
namespace {

// Those that the global endpoint stood for when there were no others; newer ones never had it.
constexpr std::string_view kLegacyRegions[] = {
    "ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
    "eu-central-1",   "eu-north-1", "eu-west-1",      "eu-west-2",      "eu-west-3",
    "sa-east-1",      "us-east-1",  "us-east-2",      "us-west-1",      "us-west-2"};

std::string RegionOf(std::string_view role_arn) {
  if (role_arn.starts_with("arn:aws-cn:")) return "cn-north-1";
  if (role_arn.starts_with("arn:aws-us-gov:")) return "us-gov-west-1";
  return "us-east-1";
}

}  // namespace

Result<StsEndpoint> FindStsEndpoint(std::string_view region, std::string_view role_arn,
                                    const AwsSettings& settings) {
  StsEndpoint endpoint;
  endpoint.region = region.empty() ? RegionOf(role_arn) : std::string(region);
  if (!IsAwsRegion(endpoint.region)) {
    return InvalidInput("'" + endpoint.region + "' is no region of STS");
  }
  endpoint.url = settings.endpoint_url.value;
  if (!endpoint.url.empty()) return endpoint;
  const AwsWishes wishes = settings.wishes();
  if (!wishes.fips && !wishes.dual_stack && settings.sts_regional_endpoints.value == "legacy" &&
      std::ranges::find(kLegacyRegions, endpoint.region) != std::end(kLegacyRegions)) {
    return StsEndpoint{.url = "https://sts.amazonaws.com", .region = "us-east-1"};
  }
  Result<std::string> host = AwsServiceHost("sts", endpoint.region, wishes);
  if (!host) return host.error();
  endpoint.url = "https://" + *host;
  return endpoint;
}

}  // namespace longhaul
