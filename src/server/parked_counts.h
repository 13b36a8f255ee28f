// ParkedCounts: how many keys of each rule are parked where, kept for lists of all rules.
//
// To count takes a scan for each place, and there may be thousands of rules and far more keys. Who
// parks a key, or carries one that was parked, counts that in the rule's totals, which a list reads
// anyway: so a rule is counted when it is first asked for, and again when its totals have moved. A
// row that goes without that (it was removed by hand) is missed until the rule's turn comes in
// RefreshOldest. Who wants to know exactly asks for the one rule.
//
// Belongs to one shard. Borrowed: all that it is made of.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/async.h"
#include "base/clock.h"
#include "replication/rule_report.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

class ParkedCounts {
 public:
  static constexpr int kCountMax = 1'000;  // Of a place: counting ends there.
  // Rules that move are counted so often at most.
  static constexpr std::chrono::seconds kEvery{15};
  // The totals are published a while after the row is written, and a row may go after they are.
  static constexpr std::chrono::seconds kMovesFor{60};

  ParkedCounts(Clock& clock, State& state, const Configuration& configuration)
      : clock_(clock), state_(state), configuration_(configuration) {}

  // Counts what was never counted or has moved. On return no rule is without a count; of several
  // callers one counts and the others wait for it. Errors are those of State.
  Async<void> Refresh(std::shared_ptr<const RuleSights> sights);
  // Counts the `rule_count` rules that were counted longest ago.
  Async<void> RefreshOldest(size_t rule_count);

  // `target` empty: at the source. At most kCountMax; 0 of what was never counted.
  [[nodiscard]] uint64_t Of(const std::string& rule, const std::string& target) const;

 private:
  struct Counted {
    std::map<std::string, uint64_t> parked;  // By target.
    uint64_t totals = 0;                     // The sum of them as they were seen last.
    std::optional<SteadyTime> moved;
    std::optional<SteadyTime> counted;
  };

  Async<void> CountMoved(std::shared_ptr<const RuleSights> sights);
  Async<void> Count(const Rule& rule);

  Clock& clock_;
  State& state_;
  const Configuration& configuration_;
  std::map<std::string, Counted> rules_;
  std::optional<SteadyTime> looked_;
  bool counting_ = false;
  WaitList counted_;
};

}  // namespace longhaul
