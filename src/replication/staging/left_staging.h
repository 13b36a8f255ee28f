// Archives that wait where no rule of the configuration looks any more: their rule was renamed or
// removed, or has another staging since. They are never removed, but nobody would carry them; so
// each place in which archives of a rule may lie is noted in State, and looked at until it is
// empty.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/async.h"
#include "rules/rule.h"
#include "state/state.h"
#include "storage/store.h"

namespace longhaul {

struct LeftStaging {
  std::string rule;
  std::string target;
  std::string place;         // "store:bucket/prefix", without the folder of the rule.
  uint64_t archives = 0;     // That wait for this target.
  std::string not_looked{};  // Why it is not known how many.
};

// Notes where the targets of `rules` have their staging now. kRetryable: not all is noted.
Async<void> NoteStagings(State& state, const std::vector<const Rule*>& rules);

// The noted places that are none of `rules` any more and hold archives, or cannot be looked at.
// Those that are empty are forgotten. `stores`: by their names. kRetryable: State does not answer.
Async<std::vector<LeftStaging>> FindLeftStagings(State& state,
                                                 const std::vector<const Rule*>& rules,
                                                 const std::map<std::string, Store*>& stores,
                                                 bool forget);

// "3 archives of rule a for its target t wait in west:staging/a/, …", and what to do.
std::string Describe(const LeftStaging& left);

}  // namespace longhaul
