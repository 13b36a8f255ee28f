// Spool: the hints of a rule that is paused, or of a target whose store fails, as rows of State,
// each key once.
//
// In the Queue they would come back again and again, or fill the memory that other rules need. When
// the rule goes on they return to the Queue. Hints only: nothing is read while a rule is paused, so
// what is carried later is what the source holds then.

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "events/hint.h"
#include "queue/queue.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

struct SpooledHint {
  std::string target;  // Empty: all of the rule.
  Hint hint;
};

// Where a rule's hints are heard, as "store:bucket".
std::string SpoolSource(const Rule& rule);

// OK: durable. Of two hints of a key the later one counts. `source` is where they were heard.
// kRetryable: some may be there.
Async<void> SpoolHints(State& state, std::string rule, std::string source,
                       std::vector<SpooledHint> hints);
// Whether a hint of `key` for `target` is there.
Async<bool> IsSpooled(State& state, std::string rule, std::string target, std::string key);
Async<bool> SpoolIsEmpty(State& state, const Rule& rule);
struct Unspooled {
  uint64_t sent = 0;
  uint64_t forgotten = 0;  // Heard at another source than the rule has now.
};
// Sends what is there to the Queue and removes it. An error leaves what was not sent,
// and perhaps some that was: a hint too many is harmless.
// `held`, where given, says for which targets hints stay. Hints of another source than the rule's
// are forgotten: its keys are other objects, and one that is absent there is no delete.
Async<Unspooled> Unspool(State& state, Queue& queue, const Rule& rule,
                         std::function<bool(const std::string& target)> held = nullptr);

}  // namespace longhaul
