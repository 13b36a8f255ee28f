// Orders: what people ask of rules that run, by command or by API: pause, resume, backfill, retry.
//
// All of it goes through State and the Queue, so it reaches every process that works by them, and
// OK means durable. Errors are those of State and Queue, unless said.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "queue/queue.h"
#include "replication/life/rule_control.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

// "rule app-logs", "target west of rule app-logs".
std::string NameOfHeld(const Rule& rule, const std::string& target);

// A target of a rule by its name or its address ("west:copy/"); nullptr: there is none.
const Target* FindTarget(const Rule& rule, std::string_view name);

// `target`: its name; empty: the whole rule. kInvalidInput: `until` has passed.
Async<Pause> PauseRule(State& state, Clock& clock, const Rule& rule, std::string target,
                       std::optional<SystemTime> until);

struct Resumed {
  bool was_paused = false;
  std::vector<std::string> paused_still;  // What holds it, or a part of it, still.
};
Async<Resumed> ResumeRule(State& state, Clock& clock, const Rule& rule, std::string target);

// Whether it waits for the end of a pause. `listing`: as of BackfillRequest. kInvalidInput: the
// rule is disabled, or has nothing below `prefix` (its code is kNotBelowRule then). kRetryable: no
// process runs it as source.
inline constexpr std::string_view kNotBelowRule = "NotBelowRule";
Async<bool> BackfillRule(State& state, Clock& clock, const Rule& rule, std::string prefix,
                         std::optional<ListedBy> listing = {});

// Where a rule's keys may be parked: at the source ("") and at its targets; or at one of them.
std::vector<std::string> ParkedPlaces(const Rule& rule, const std::string& only_target);

struct RetriedKeys {
  uint64_t asked = 0;
  // Parked while the rule read another source (of_source.h): their rows are gone, and nobody tries
  // them.
  uint64_t forgotten = 0;
  std::vector<std::string> missing;  // Of `keys`: those that are not parked.
};
// `keys` empty: all that is parked. `target`: only what is parked there. Archives in staging are
// tried too.
Async<RetriedKeys> RetryParked(State& state, Queue& queue, Clock& clock, const Rule& rule,
                               std::vector<std::string> keys, std::string target);

}  // namespace longhaul
