// RuleReport: how a rule is, as State says it of all processes: what `rules status` prints and the
// API answers. Reads alone.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "replication/life/lag_histogram.h"
#include "replication/life/rule_control.h"
#include "replication/life/rule_meter.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

// Counting ends there: more are for a list with pages.
inline constexpr int kParkedCountMax = 10'000;

struct TargetReport {
  const Target* target = nullptr;
  std::optional<Pause> pause;  // Its own, or that of the rule.
  TargetNow now;               // Of all processes.
  TargetTotals totals;
  LagHistogram lag;     // Of the last one to two hours.
  uint64_t parked = 0;  // Keys, and archives that it refuses as a whole.
};

enum class RuleHealth {
  kOk,
  kWarn,  // Something waits for a person, or comes late.
  kBad,   // Something does not work.
  kOff,   // Disabled, or paused.
};
std::string_view ToString(RuleHealth health);

struct RuleReport {
  const Rule* rule = nullptr;
  std::optional<Pause> pause;
  RuleTotals totals;
  std::vector<RuleNow> running;
  uint64_t keys_pending = 0;
  uint64_t deletes_held = 0;
  std::optional<OldestKey> oldest;  // At the source.
  std::map<std::string, std::string> troubles;
  // Of `compression: auto`: each kind as the process has it that has seen most of it.
  std::vector<KindLevel> levels;
  bool hints_kept = false;
  uint64_t parked = 0;                    // At the source.
  uint64_t parked_max = kParkedCountMax;  // Where counting has ended, here and at each target.
  std::vector<TargetReport> targets;

  // And why, for people; "" where it is ok.
  [[nodiscard]] RuleHealth Health(SystemTime now, std::string* reason) const;
  [[nodiscard]] RuleHealth HealthOf(const TargetReport& target, SystemTime now,
                                    std::string* reason) const;
  // What has waited longest, at the source or for a target.
  [[nodiscard]] std::optional<OldestKey> OldestOfAll() const;
};

// Of State: what RuleReport is made of, for all rules by a scan each, or for one.
struct RuleSights {
  std::map<std::string, RuleTotals> totals;
  std::map<std::string, std::vector<RuleNow>> running;
};
// `before`: read earlier; what has not been written since is taken from there, not decoded again.
// shared: somebody may read anew meanwhile.
Async<RuleSights> ReadRuleSights(State& state, std::shared_ptr<const RuleSights> before = nullptr);

// Without what takes requests for each rule: `parked` and `hints_kept`.
RuleReport MakeRuleReport(const Rule& rule, const RuleControl& control, const RuleSights& sights,
                          SystemTime now);
// How many keys are parked where, by target; "" is the source. An archive that a target refuses as
// a whole counts as one: what is in it may not be known.
Async<std::map<std::string, uint64_t>> CountParked(State& state, const Rule& rule, int count_max);
// All of it. Errors are those of State.
Async<RuleReport> ReadRuleReport(State& state, Clock& clock, const RuleControl& control,
                                 const Rule& rule);

// A process that runs some of the rules.
struct Member {
  RuleNow now;  // Of one of them; what is said of the process is the same in all.
  uint64_t keys_pending = 0;
  size_t rules = 0;
};
// Adds what `running` says, by process.
void AddMembers(std::map<std::string, Member>& members, const std::vector<RuleNow>& running);

}  // namespace longhaul
