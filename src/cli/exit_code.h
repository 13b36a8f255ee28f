// ExitCode: what a run of the program tells its caller, and the one place where an Error becomes
// it.

#pragma once

#include <string_view>

#include "base/result.h"

namespace longhaul {

enum class ExitCode : int {
  kDone = 0,
  kSomeFailed = 1,     // Some objects failed; each was named.
  kUsage = 2,          // Command line or configuration.
  kNotFound = 3,       // Bucket or key.
  kDenied = 4,         // Access denied.
  kUnreachable = 5,    // Unreachable or throttled: try again.
  kLimit = 10,         // A limit of the user's own ended it in order.
  kDifferences = 11,   // Verification found differences.
  kDeleteGuard = 12,   // A delete guard stopped the run.
  kInterrupted = 130,  // SIGINT.
  kTerminated = 143,   // SIGTERM.
};

// An error that ended a whole command. kInvalidInput is kUsage, unless a server said it (it then
// carries a code or an HTTP status): that is an object that failed, or, where the code is about the
// bucket as a whole (its name, its region), kUsage again, as are an address that others listen on
// and keys that a rule does not have. kCancelled is kInterrupted; the RunContext knows which signal
// it really was.
ExitCode ExitCodeOf(const Error& error);

// For EXIT STATUS in help texts.
std::string_view Meaning(ExitCode code);

}  // namespace longhaul
