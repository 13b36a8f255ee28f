// Spool: the hints of a rule that is paused, or of a target whose store fails, as rows of State,
// each key once.
//
// In the Queue they would come back again and again, or fill the memory that other rules need. When
// the rule goes on they return to the Queue. Hints only: nothing is read while a rule is paused, so
// what is carried later is what the source holds then.

#pragma once

#include <functional>
#include <optional>
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

// OK: durable. Of two hints of a key the later one counts. They were heard of `bucket` of `store`.
// kRetryable: some may be there.
Async<void> SpoolHints(State& state, std::string rule, std::string store, std::string bucket,
                       std::vector<SpooledHint> hints);
// Whether a hint of `key` for `target` is there.
Async<bool> IsSpooled(State& state, std::string rule, std::string target, std::string key);
Async<bool> SpoolIsEmpty(State& state, const Rule& rule);
struct KeptHints {
  uint64_t hints = 0;
  bool more = false;  // Than the thousand that were looked at.
};
Async<KeptHints> CountKept(State& state, std::string rule);
struct SpoolSight {
  bool empty = true;
  // What has waited for longest of the first thousand hints there, and is to be carried: of the
  // rule's bucket, and not `held`.
  std::optional<SystemTime> heard{};
  std::string key{};
};
Async<SpoolSight> LookAtSpool(State& state, const Rule& rule,
                              std::function<bool(const std::string& target)> held);
struct Unspooled {
  uint64_t sent = 0;
  uint64_t forgotten = 0;  // Heard of something else than the rule reads now (of_source.h).
};
// Sends what is there to the Queue and removes it. An error leaves what was not sent,
// and perhaps some that was: a hint too many is harmless.
// `held`, where given, says for which targets hints stay. Hints of another bucket than the rule's
// are forgotten: its keys are other objects, and one that is absent there is no delete.
Async<Unspooled> Unspool(State& state, Queue& queue, const Rule& rule,
                         std::function<bool(const std::string& target)> held = nullptr);

}  // namespace longhaul
