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
  // Two layers may know the same; it is said once.
  const std::string before = std::string(context) + ": ";
  if (!message.starts_with(before)) error.message = before + message;
  return error;
}

std::string Error::Describe() const {
  std::string details;
  auto add = [&](std::string text) {
    if (!details.empty()) details += ", ";
    details += text;
  };
  // Codes of our own HTTP client (net/http_client.h) and of credentials (aws/credentials_failure.h)
  // are for programs; the message says the same.
  const bool own = code == "NotSent" || code == "Timeout" || code == "CredentialsFailed" ||
                   code == "CredentialsRefused";
  if (!code.empty() && !own) add(code);
  if (http_status != 0) add("HTTP " + std::to_string(http_status));
  if (!request_id.empty()) add("request " + request_id);
  return details.empty() ? message : message + " (" + details + ")";
}

}  // namespace longhaul
