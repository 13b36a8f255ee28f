#include "cli/exit_code.h"

#include "backup/prune_note.h"
#include "replication/rule_orders.h"
#include "transfer/tree/removals.h"
#include "transfer/tree/store_wide.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {

ExitCode ExitCodeOf(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kNotFound:
      return ExitCode::kNotFound;
    case ErrorKind::kDenied:
      return ExitCode::kDenied;
    case ErrorKind::kRetryable:
    case ErrorKind::kThrottled:
      return ExitCode::kUnreachable;
    case ErrorKind::kInvalidInput:
      if (error.code.empty() && error.http_status == 0) return ExitCode::kUsage;
      // Codes of our own, for who asks by the API.
      if (error.code == "AddressInUse" || error.code == kNotBelowRule ||
          error.code == backup::kPrunedCode) {
        return ExitCode::kUsage;
      }
      if (error.code == "NoSpace") return ExitCode::kSomeFailed;
      return IsStoreWide(error) ? ExitCode::kUsage : ExitCode::kSomeFailed;
    case ErrorKind::kCancelled:
      if (error.code == kLimitCode) return ExitCode::kLimit;
      return ExitCode::kInterrupted;
    case ErrorKind::kPrecondition:
      if (error.code == kDeleteGuardCode) return ExitCode::kDeleteGuard;
      return ExitCode::kSomeFailed;
    case ErrorKind::kCorrupt:
      return ExitCode::kSomeFailed;
  }
  return ExitCode::kSomeFailed;
}

std::string_view Meaning(ExitCode code) {
  switch (code) {
    case ExitCode::kDone:
      return "all is done";
    case ExitCode::kSomeFailed:
      return "some objects failed; each is named";
    case ExitCode::kUsage:
      return "the command line or the configuration is wrong";
    case ExitCode::kNotFound:
      return "a bucket or key does not exist";
    case ExitCode::kDenied:
      return "access denied";
    case ExitCode::kUnreachable:
      return "a store is unreachable or throttles; try again later";
    case ExitCode::kLimit:
      return "stopped in order at --max-transfer or --max-duration";
    case ExitCode::kDifferences:
      return "verification found differences";
    case ExitCode::kDeleteGuard:
      return "the delete guard stopped the run";
    case ExitCode::kInterrupted:
      return "stopped by SIGINT";
    case ExitCode::kTerminated:
      return "stopped by SIGTERM";
  }
  return "";
}

}  // namespace longhaul
