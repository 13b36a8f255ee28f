// AwsPlace: a table or queue of AWS, as a configuration names it:
//
//     NAME[?region=REGION][&profile=PROFILE][&endpoint=URL]
//
// What is left out is found as the AWS SDKs find it (aws/aws_service.h).

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul {

struct AwsPlace {
  std::string name;
  std::string region;
  std::string profile;
  std::string endpoint;  // "http://127.0.0.1:8000", no "/" at the end.

  bool operator==(const AwsPlace&) const = default;
};

// kInvalidInput: no name, a field that it does not have, or has twice; values as in a URL (%XX).
Result<AwsPlace> ParseAwsPlace(std::string_view text);

}  // namespace longhaul
