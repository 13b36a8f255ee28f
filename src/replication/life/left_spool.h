// Hints in State (spool.h) of rules that the configuration does not have, or has disabled. They are
// never removed, but nobody sends them; so each rule that may have some is noted in State, for
// good: a row for each id that a rule has ever had.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/async.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

struct LeftSpool {
  std::string rule;
  uint64_t hints = 0;
  bool more = false;  // Than so many.
};

// Before hints of `rules` are kept. kRetryable: not all is noted.
Async<void> NoteSpools(State& state, std::vector<std::string> rules);

// The noted rules that are none of `rules` and of which hints are kept. kRetryable: State does not
// answer.
Async<std::vector<LeftSpool>> FindLeftSpools(State& state, const std::vector<const Rule*>& rules);

// "3 hints of rule a are kept …", and what to do.
std::string Describe(const LeftSpool& left);

}  // namespace longhaul
