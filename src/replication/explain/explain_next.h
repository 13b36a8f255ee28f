// The verdict of Explain: from what has been looked at, how an object stands at a target, what
// happens next and when. Looks at nothing itself.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "replication/explain/explain.h"
#include "replication/life/rule_control.h"
#include "replication/life/rule_meter.h"

namespace longhaul {

// What is known of a rule besides the object.
struct RuleSight {
  std::vector<RuleNow> processes;  // That run it now.
  std::optional<BackfillRequest> backfill;
  bool paused = false;   // All of it.
  int64_t messages = 0;  // In the Queue, of any rule; 0 also where nobody can say.
  SystemTime now{};
};

// Why the target is left alone, where a process says so.
std::optional<OpenTarget> OpenOf(const RuleSight& sight, const std::string& target);

// Sets the status of `told`, what happens next, and when. `source` is the rule that it belongs to.
void Judge(const RuleExplanation& source, const RuleSight& sight, TargetExplanation& told);

// Sets the same of the whole, from that of its targets.
void Conclude(Explanation& explanation);

}  // namespace longhaul
