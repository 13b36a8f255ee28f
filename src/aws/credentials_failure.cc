#include "aws/credentials_failure.h"

#include <string_view>

namespace longhaul {

namespace {

constexpr std::string_view kFailedCode = "CredentialsFailed";
constexpr std::string_view kRefusedCode = "CredentialsRefused";
constexpr std::string_view kBefore = "credentials: ";

}  // namespace

Error CredentialsFailure(const Error& error) {
  if (error.Transient() || error.kind == ErrorKind::kCancelled) return error.In("credentials");
  Error failure{.kind = error.kind};
  if (IsCredentialsFailure(error)) {
    failure.message = error.message;
    failure.code = error.code;
  } else {
    failure.message = error.Describe();
    failure.code = error.code.starts_with("AccessDenied") ? kRefusedCode : kFailedCode;
  }
  return failure.In("credentials");
}

bool IsCredentialsFailure(const Error& error) {
  return error.code == kFailedCode || error.code == kRefusedCode;
}

std::optional<RefusedRight> RightOfCredentials(const Error& error) {
  if (error.code != kRefusedCode) return std::nullopt;
  // Of keys that are read with others, and roles assumed with those of another, the innermost.
  std::string_view left = error.message;
  const size_t at = left.rfind(kBefore);
  if (at == left.npos) return std::nullopt;
  left.remove_prefix(at + kBefore.size());
  while (!left.empty()) {
    const size_t end = left.find(": ");
    if (end == left.npos) return std::nullopt;
    const std::string_view place = left.substr(0, end);
    constexpr std::string_view kRole = "role ";
    const size_t from = place.find(" from ");
    if (place.starts_with(kRole) && from != place.npos) {
      const bool web = left.contains("AssumeRoleWithWebIdentity");
      return RefusedRight{.action = web ? "sts:AssumeRoleWithWebIdentity" : "sts:AssumeRole",
                          .resource = std::string(place.substr(kRole.size(), from - kRole.size()))};
    }
    constexpr std::string_view kSecret = "secretsmanager:";
    constexpr std::string_view kParameter = "ssm:";
    if (place.starts_with(kSecret)) {
      return RefusedRight{.action = "secretsmanager:GetSecretValue",
                          .resource = std::string(place.substr(kSecret.size()))};
    }
    if (place.starts_with(kParameter)) {
      return RefusedRight{.action = "ssm:GetParameter",
                          .resource = std::string(place.substr(kParameter.size()))};
    }
    left.remove_prefix(end + 2);
  }
  return std::nullopt;
}

}  // namespace longhaul
