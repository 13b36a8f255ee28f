#include "aws/aws_service.h"

#include <utility>

#include "aws/aws_settings.h"
#include "aws/default_credentials.h"

namespace longhaul {

namespace {

std::string Upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

}  // namespace

Result<AwsJsonOptions> FindAwsService(const Runtime& runtime, const AwsPlace& place,
                                      std::string service, std::string target,
                                      const EnvironmentReader& environment) {
  AwsJsonOptions options{.service = std::move(service), .target = std::move(target)};
  Result<AwsSettings> settings =
      ReadAwsSettings(Upper(options.service), place.profile, environment);
  if (!settings) return settings.error();
  options.endpoint = place.endpoint.empty() ? settings->endpoint_url.value : place.endpoint;
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  options.wishes = settings->wishes();
  options.proxy = settings->proxy();
  options.region = place.region;
  if (options.region.empty()) {
    Result<std::string> region = FindAwsRegion(place.profile, environment);
    if (!region) return region.error();
    options.region = std::move(*region);
  }
  if (options.region.empty()) {
    return InvalidInput("no region: set AWS_REGION, or write ?region=REGION behind '" + place.name +
                        "'");
  }
  options.ca_file = settings->ca_bundle.value;
  options.retry.attempts_max = settings->AttemptsMax(options.retry.attempts_max);
  options.credentials = MakeDefaultCredentials(
      runtime, environment,
      {.profile = place.profile, .region = options.region, .ca_file = options.ca_file});
  return options;
}

}  // namespace longhaul
