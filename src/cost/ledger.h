// Ledger: what replication uses that somebody is billed for, counted by rule and hour.
//
//   partition "ledger", key <hour>/<process>/<number>    what one process counted in an hour (UTC)
//
// Each process has rows of its own and writes them anew, whole, once or twice a minute, each time
// expecting the revision that it wrote last: a write of which nobody knows whether it happened can
// be repeated and counts once, and one that comes late overwrites nothing. A kill loses what was
// counted since the last write. Whoever asks adds the rows up. They are kept for 400 days.
//
// Counts have names, so that there can be more of them one day:
//   put/STANDARD, get/GLACIER, …   requests, by kind and class
//   sent, received                 bytes of bodies
//   kib_seconds                    of archives in a staging, when they leave it
//   archive/objects, plain/bytes   what was applied, by the route that it took
//   cpu_us                         microseconds of processor time
//   queue_request, state_read, …   units as in the names of prices

#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/random.h"
#include "state/state.h"

namespace longhaul {

inline constexpr std::chrono::seconds kLedgerInterval{30};

// Where something was used.
struct LedgerPlace {
  std::string rule;    // Empty: of no rule alone.
  std::string target;  // Empty: of no target alone.
  std::string part;    // source, staging, local, target, other, process, queue, state
  std::string region;
  // Regions between which and this one bytes are paid for, separated by commas: the source's, for a
  // staging and a target; those of the stagings, for a local one.
  std::string peers;

  auto operator<=>(const LedgerPlace&) const = default;
};

using LedgerCounts = std::map<std::string, uint64_t, std::less<>>;

struct LedgerLine {
  SystemTime hour{};
  LedgerPlace place;
  LedgerCounts counts;
};

class Ledger {
 public:
  Ledger(Clock& clock, Random& random);

  // A number for it, good as long as the ledger.
  int PlaceOf(const LedgerPlace& place);
  void Add(int place, std::string_view what, uint64_t amount);

  // In which region each rule's work is done here; the first one's is that of what no rule did.
  void RunsIn(std::vector<std::pair<std::string, std::string>> regions);
  // The processor time of the process so far: what has been added is shared among the rules by the
  // bytes and requests that each had since the last call.
  void AddCpu(double process_cpu_seconds);

  // Writes what has changed. kRetryable and others: not all of it, or nobody knows; call it again.
  Async<void> Publish(State& state);

 private:
  struct Row {
    std::vector<int> places;
    int64_t revision = 0;  // 0: not there.
    uint64_t changes = 0;
    uint64_t written = 0;  // `changes` that are durable.
  };
  struct Hour {
    std::map<int, LedgerCounts> counts;  // By place.
    std::map<int, size_t> row_of;        // For good: a place that moved would count twice.
    std::vector<Row> rows;
  };

  [[nodiscard]] std::string KeyOf(SystemTime hour, size_t row) const;
  [[nodiscard]] std::string Encode(const Hour& hour, const Row& row) const;
  Async<void> PublishHour(State& state, SystemTime begin, Hour& hour);

  Clock& clock_;
  std::string process_;  // A ULID.
  std::vector<LedgerPlace> places_;
  std::map<LedgerPlace, int> numbers_;
  std::map<SystemTime, Hour> hours_;
  std::vector<std::pair<std::string, std::string>> regions_;
  std::map<std::string, uint64_t> work_;  // By rule, since the last AddCpu.
  double cpu_seconds_ = 0;
};

// Calls `take` with each line of the hour of `since` and all later ones, as the processes wrote
// them: not added up. How many rows made no sense and were left out. A month of many processes has
// millions of lines: at most kLedgerPageRows rows are held at a time, and the other coroutines of
// the shard run after each of them. Errors are those of State.
inline constexpr int kLedgerPageRows = 32;
Async<uint64_t> ReadLedger(State& state, SystemTime since,
                           std::function<void(const LedgerLine& line)> take);

// "2026-11-24T10".
std::string LedgerHour(SystemTime time);

}  // namespace longhaul
