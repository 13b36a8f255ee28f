// Credentials that a command prints: credential_process of a profile.
//
// Source: AWS SDKs and Tools Reference Guide, "Process credential provider".

#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "aws/credentials_service.h"
#include "aws/refreshing_credentials.h"
#include "base/runtime.h"

namespace longhaul {

// The command is run by /bin/sh on a thread of its own, with the environment of this process and
// without a terminal, and killed with all that it started when `time_limit` is over.
// kDenied: it failed (with what it wrote to standard error), or printed something else.
// kRetryable: the time is over.
std::unique_ptr<CredentialsSource> MakeProcessCredentials(
    std::string command, std::chrono::milliseconds time_limit = std::chrono::minutes(1));

}  // namespace longhaul
