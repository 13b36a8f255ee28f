#include "aws/aws_place.h"

#include "aws/sts_endpoint.h"
#include "base/bytes.h"

namespace longhaul {

Result<AwsPlace> ParseAwsPlace(std::string_view text) {
  AwsPlace place;
  const size_t question = text.find('?');
  place.name = text.substr(0, question);
  if (place.name.empty()) return InvalidInput("has no name");
  std::string_view rest = question == text.npos ? "" : text.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view field = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(field.size() + 1, rest.size()));
    const size_t equals = field.find('=');
    const std::string name(field.substr(0, equals));
    std::string* value = name == "region"     ? &place.region
                         : name == "profile"  ? &place.profile
                         : name == "endpoint" ? &place.endpoint
                                              : nullptr;
    if (value == nullptr) {
      return InvalidInput("has a field '" + name.substr(0, 40) +
                          "': there are region, profile and endpoint");
    }
    Result<std::string> decoded =
        PercentDecode(equals == field.npos ? "" : field.substr(equals + 1));
    if (!decoded || decoded->empty()) return InvalidInput("has no value for its " + name);
    if (!value->empty()) return InvalidInput("has two values for its " + name);
    *value = std::move(*decoded);
  }
  if (!place.region.empty() && !IsAwsRegion(place.region)) {
    return InvalidInput("has a region that is none");
  }
  while (place.endpoint.ends_with('/')) place.endpoint.pop_back();
  if (!place.endpoint.empty() && !place.endpoint.starts_with("http://") &&
      !place.endpoint.starts_with("https://")) {
    return InvalidInput("has an endpoint that does not begin with http:// or https://");
  }
  return place;
}

}  // namespace longhaul
