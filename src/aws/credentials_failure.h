// What a client says where it could not have the credentials that it was to sign with: nothing that
// the service it is for has refused, so that no right of that service mends it.
//
// Sources: STS API Reference, AssumeRole; Secrets Manager API Reference, GetSecretValue; Systems
// Manager API Reference, GetParameter.

#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace longhaul {

// `error` of a CredentialsProvider, "credentials: " in front. What waiting cannot mend has a code
// of its own, the one that was there in the message.
Error CredentialsFailure(const Error& error);

// Whether an error is one of those, whatever was put in front of it.
bool IsCredentialsFailure(const Error& error);

// The right that who asked for the credentials does not have; none: it is something else.
struct RefusedRight {
  std::string action;    // "sts:AssumeRole"
  std::string resource;  // The role, the secret or the parameter, as the configuration names it.
};
std::optional<RefusedRight> RightOfCredentials(const Error& error);

}  // namespace longhaul
