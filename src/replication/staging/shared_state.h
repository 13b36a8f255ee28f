// Whether two roles have the same State for a target's replicas.
//
// With `transport: auto` some objects are written by the source's process and others by whoever
// applies archives. What one of them remembers (tombstones, floors, leases) the other must know, or
// a late archive could bring back what was deleted. So archives of such rules name the State of
// each target, and are refused where it is another one.

#pragma once

#include <string>

#include "archive/entry.h"
#include "base/runtime.h"
#include "replication/context/rule_context.h"
#include "state/state.h"

namespace longhaul {

// A ULID that is drawn once for each State and bucket of replicas, and stays there for ever.
Async<std::string> StateIdOf(Runtime& runtime, State& state, TargetContext& target);

// Has the archive name the States of all targets of the rule, where its transport asks for it.
Async<void> NameStates(Runtime& runtime, State& state, const RuleContext& rule,
                       ArchiveManifest& manifest);

// OK: `manifest` names none, or this one for `target`. kInvalidInput: another one, and what to do.
Async<void> CheckState(Runtime& runtime, State& state, TargetContext& target,
                       const ArchiveManifest& manifest);

}  // namespace longhaul
