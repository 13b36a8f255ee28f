#include "base/result.h"

namespace longhaul {

std::string_view ToString(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kRetryable:
      return "retryable";
    case ErrorKind::kThrottled:
      return "throttled";
    case ErrorKind::kNotFound:
      return "not found";
    case ErrorKind::kPrecondition:
      return "precondition failed";
    case ErrorKind::kDenied:
      return "denied";
    case ErrorKind::kCorrupt:
      return "corrupt";
    case ErrorKind::kInvalidInput:
      return "invalid input";
    case ErrorKind::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

Error Error::In(std::string_view context) const {
  Error error = *this;
  error.message = std::string(context) + ": " + message;
  return error;
}

std::string Error::Describe() const {
  std::string details;
  auto add = [&](std::string text) {
    if (!details.empty()) details += ", ";
    details += text;
  };
  if (!code.empty()) add(code);
  if (http_status != 0) add("HTTP " + std::to_string(http_status));
  if (!request_id.empty()) add("request " + request_id);
  return details.empty() ? message : message + " (" + details + ")";
}

}  // namespace longhaul
