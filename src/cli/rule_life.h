// What the commands about a rule that runs have in common: `rules status`, `pause`, `resume`,
// `backfill`, `parked`, `retry`. They speak with the processes through State, so they work wherever
// the configuration's State can be reached.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/backends.h"
#include "cli/flags.h"
#include "cli/run_context.h"

namespace longhaul {

// The RULE argument of a command that takes one.
void DeclareRule(FlagSet& flags, std::string& rule);
void DeclareRule(FlagSet& flags, std::optional<std::string>& rule);
void DeclareTarget(FlagSet& flags, std::string_view help, std::string& target);

// kInvalidInput: there is no configuration, or it has no rules.
Result<const Configuration*> RequireRules(RunContext& context);
// kInvalidInput: no such rule; the message names one that is spelled alike.
Result<const Rule*> RequireRule(const Configuration& configuration, std::string_view id);
// By its name or its address ("west:copy/"). kInvalidInput: no such target; the message names all.
Result<const Target*> RequireTarget(const Rule& rule, std::string_view name);

// "3m 05s ago".
std::string AgoText(SystemTime time, SystemTime now);

}  // namespace longhaul
