#include "aws/aws_endpoint.h"

#include <algorithm>

namespace longhaul {

bool IsAwsRegion(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string_view AwsPartitionOf(std::string_view region) {
  if (region.starts_with("cn-")) return "aws-cn";
  return region.starts_with("us-gov-") ? "aws-us-gov" : "aws";
}

std::string_view AwsDomainOf(std::string_view region) {
  return region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
}

Result<std::string> AwsServiceHost(std::string_view service, std::string_view region,
                                   AwsWishes wishes) {
  if (!IsAwsRegion(region)) {
    return InvalidInput("'" + std::string(region) + "' is no region: write it as eu-west-1");
  }
  const std::string_view partition = AwsPartitionOf(region);
  if (wishes.fips && partition == "aws-cn") {
    return InvalidInput("AWS_USE_FIPS_ENDPOINT: there are none in " + std::string(region));
  }
  const std::string where = "." + std::string(region) + ".";
  if (service == "s3") {
    return std::string(wishes.fips ? "s3-fips" : "s3") + (wishes.dual_stack ? ".dualstack" : "") +
           where + std::string(AwsDomainOf(region));
  }
  // In GovCloud these have FIPS under their plain names.
  const bool plain = partition == "aws-us-gov" && !wishes.dual_stack &&
                     (service == "sts" || service == "dynamodb" || service == "sqs" ||
                      service == "sns" || service == "portal.sso");
  std::string_view domain = AwsDomainOf(region);
  if (wishes.dual_stack) {
    domain = partition == "aws-cn" ? "api.amazonwebservices.com.cn" : "api.aws";
  }
  return std::string(service) + (wishes.fips && !plain ? "-fips" : "") + where +
         std::string(domain);
}

}  // namespace longhaul
