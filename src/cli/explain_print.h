// What `explain` prints of an explanation: an event for each rule and target, below a target's its
// receipts and kept marks, and the status as the summary; as text the same in words.

#pragma once

#include <string>

#include "cli/run_context.h"
#include "replication/explain/explain.h"

namespace longhaul {

// `address`: as it was typed.
void PrintExplanation(RunContext& context, const std::string& address,
                      const Explanation& explanation);

}  // namespace longhaul
