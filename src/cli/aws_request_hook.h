// AwsRequestHook: told of each request to a service of AWS, with the service and its region.

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "aws/aws_json_client.h"

namespace longhaul {

using AwsRequestHook = std::function<void(std::string_view service, const std::string& region,
                                          std::string_view operation, std::string_view body,
                                          std::string_view answer, int times)>;

// Null: nobody wants to know.
inline void TellRequests(AwsJsonOptions& options, const AwsRequestHook& hook) {
  if (!hook) return;
  options.on_request = [hook, service = options.service, region = options.region](
                           std::string_view operation, std::string_view body,
                           std::string_view answer,
                           int times) { hook(service, region, operation, body, answer, times); };
}

}  // namespace longhaul
