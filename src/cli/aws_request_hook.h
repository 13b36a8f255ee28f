// AwsRequestHook: told of each request to a service of AWS, with the service and its region, and of
// a clock that is not ours.

#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "aws/aws_json_client.h"
#include "cli/store_troubles.h"

namespace longhaul {

struct AwsRequestHook {
  using OnRequest = std::function<void(std::string_view service, const std::string& region,
                                       std::string_view operation, std::string_view body,
                                       std::string_view answer, int times)>;
  using OnClockOff = std::function<void(const std::string& service, std::chrono::seconds ahead)>;

  AwsRequestHook(std::nullptr_t = nullptr) {}
  explicit AwsRequestHook(OnRequest on_request_) : on_request(std::move(on_request_)) {}

  OnRequest on_request;     // Null: nobody wants to know.
  OnClockOff on_clock_off;  // Also of the database. Null: each service logs it.
};

// Has a process say once that its clock is off, whoever shows it: a store, a queue or a state.
inline AwsRequestHook TellingClock(StoreTroubles& troubles, AwsRequestHook hook = nullptr) {
  hook.on_clock_off = [&troubles](const std::string& service, std::chrono::seconds ahead) {
    troubles.ClockOff(service)(ahead);
  };
  return hook;
}

inline void TellRequests(AwsJsonOptions& options, const AwsRequestHook& hook) {
  if (hook.on_clock_off) {
    options.on_clock_off = [tell = hook.on_clock_off, service = options.service](
                               std::chrono::seconds ahead) { tell(service, ahead); };
  }
  if (!hook.on_request) return;
  options.on_request = [tell = hook.on_request, service = options.service, region = options.region](
                           std::string_view operation, std::string_view body,
                           std::string_view answer,
                           int times) { tell(service, region, operation, body, answer, times); };
}

}  // namespace longhaul
