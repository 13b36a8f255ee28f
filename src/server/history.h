// History: how rules and targets were, minute by minute, for charts without a monitoring system.
//
//   partition "history"
//   1m/<groups>-<group>/<minute>     15 minutes, a sample each; kept for 26 hours
//   15m/<groups>-<group>/<minute>    6 hours, a sample for each quarter of one; kept for 31 days
//
// Minutes count from 1970. A row holds a group of rules, so that a process writes one row a minute
// as long as there are not many hundreds of rules and targets. Of several processes that sample,
// one writes: the row of a quarter belongs to whoever made it, until that one has been silent for
// two minutes. What did not move in a minute takes no room.

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "replication/rule_report.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

// In the order of kHistoryMetrics.
using HistoryValues = std::array<double, 7>;
inline constexpr std::array<std::string_view, 7> kHistoryMetrics = {
    "lag_seconds", "pending", "objects_per_second", "bytes_per_second", "plain_bytes",
    "sent_bytes",  "failures"};

struct HistoryLines {
  int step_seconds = 60;
  std::map<int64_t, HistoryValues> values;  // By seconds since 1970.
};

class History {
 public:
  // Borrows all but `process`, a name that no other one has.
  History(Runtime runtime, State& state, const Configuration& configuration, std::string process);

  // Samples each minute until `stop`.
  asio::awaitable<void> Run(Event& stop);
  // Looks at all rules now and writes it under the minute that it is. Errors are those of State.
  Async<void> Sample();

  // `rule` empty: all of them together; `target` empty: all of the rule.
  Async<HistoryLines> Read(std::string rule, std::string target, SystemTime from, SystemTime to);

 private:
  struct Row {
    std::string writer;
    std::vector<int64_t> minutes;
    std::map<std::string, std::map<int64_t, HistoryValues>> series;  // Without what is all 0.
    int64_t revision = 0;
  };
  using Values = std::map<std::string, HistoryValues>;  // By series.

  static std::string Encode(const Row& row);
  static Row Decode(const StateRow& row);
  using Totals = std::map<std::string, RuleTotals>;  // By rule.
  Values Look(const RuleSights& sights, const Totals& totals, SystemTime now) const;
  [[nodiscard]] size_t GroupOf(std::string_view rule) const;
  Async<void> WriteGroup(size_t group, int64_t minute, Values values);
  // Finds out about doubts_: what a minute has told is not told once more by the next one.
  Async<void> Settle();
  // Adds the last quarter there is before the one that begins at `quarter` to the row of its six
  // hours, once: those before it have been added when it began.
  Async<void> FoldBefore(size_t group, int64_t quarter);
  Async<void> Fold(size_t group, int64_t minute, const StateRow& quarter);

  Runtime runtime_;
  State& state_;
  const Configuration& configuration_;
  std::string process_;
  size_t groups_ = 1;
  std::map<size_t, std::pair<int64_t, Row>>
      open_;                         // By group: the quarter that this process writes.
  std::map<size_t, Totals> before_;  // By group: when it was written last.
  struct Doubt {
    int64_t minute = 0;
    Totals totals;
  };
  std::map<size_t, Doubt> doubts_;  // By group: a write of which nobody knows whether it was made.
};

}  // namespace longhaul
