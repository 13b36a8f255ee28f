// What lies in a target's staging of one key, for Explain: archives that wait to be applied, and
// receipts that nobody has cleared away. Reads alone.

#pragma once

#include <cstddef>
#include <string>

#include "base/runtime.h"
#include "replication/context/rule_context.h"
#include "replication/explain/explain.h"
#include "state/state.h"

namespace longhaul {

// Fills in what `told` has of staging: `pending`, `receipts`, `refused`, `archives_not_read`, and
// `error`, where it has none, when the staging cannot be listed. Opens at most `archives_max`
// archives and receipts, those that wait first and of each the newest. Errors: those of State.
Async<void> LookIntoStaging(Runtime& runtime, State& state, const RuleContext& rule,
                            const TargetContext& target, std::string source_key,
                            size_t archives_max, TargetExplanation& told);

}  // namespace longhaul
