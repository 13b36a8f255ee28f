// RunBook: what fills, serves and empties a cache, as State remembers it.
//
// Runs are numbered in the order in which they began. The row of a run is a lease on all that it
// has claimed: its session writes it again and again, and what it has claimed is free as soon as
// the row says that it has ended, that its process is gone, or that the lease has run out. So a
// run that is killed leaves no lock.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/runtime.h"
#include "cache/entry.h"
#include "cost/pico.h"
#include "state/state.h"
#include "transfer/runs/run_journal.h"

namespace longhaul::cache {

struct FillCounts {
  int64_t hits = 0;
  int64_t copied = 0;
  int64_t bytes = 0;
  int64_t gone = 0;       // Listed, and not at the source any more.
  int64_t failed = 0;     // Those of others that this run waited for, too.
  int64_t inherited = 0;  // Of these, the failures of others.
  int64_t waiting = 0;    // Keys that others are copying.
  int64_t removed = 0;    // Copies; `bytes` counts theirs where a run does nothing else.
};

// What a fill has cost, in pico-dollars, at the prices of when it was written; by item ("requests
// at east").
struct RunCost {
  using Items = std::map<std::string, Pico>;
  Items items;
  // Prices that nobody knows: what hangs on them is in no item, and the sum is "at least".
  std::vector<std::string> unknown;
  // What the same would have cost by S3 Batch Operations. Its functions and its workflow cannot be
  // counted: it is "at least", too.
  Items batch;
  // To keep what was copied for its time to live, either way; none where nobody knows it.
  std::optional<Pico> storage;

  [[nodiscard]] static Pico SumOf(const Items& items);
  bool operator==(const RunCost&) const = default;
};

enum class RunKind {
  kFill,
  kServe,  // An endpoint that fills what is asked for.
  kSweep,  // Removes what has come to its end.
  kEvict,  // Removes what it was told to.
  kWatch,  // Follows events of the source.
};
std::string_view ToString(RunKind kind);

struct Run {
  int64_t number = 0;
  RunKind kind = RunKind::kFill;
  std::string session;  // ULID; another one after each `--resume`.
  ProcessName owner;
  SystemTime lease_until{};
  RunPhase phase = RunPhase::kRunning;
  std::string source;         // SourceText.
  std::string source_name;    // As people name it.
  std::string target_prefix;  // Before the keys at the cache.
  std::vector<std::string> prefixes;
  std::chrono::seconds ttl{0};
  bool force = false;
  SystemTime started{};
  std::optional<SystemTime> ended{};
  FillCounts counts;
  // Of a fill whose requests were counted, until the row was written; of a run that was resumed,
  // since then, as its counts.
  std::optional<RunCost> cost;
  std::vector<int64_t> waits_for;  // Numbers of the runs whose keys it waits for.
  struct Failure {
    std::string key;
    std::string reason;
  };
  std::vector<Failure> failures;  // The first of them.
  // When it has ended: what became of the prefixes, as they were asked for. Of the first in which
  // something failed or was left to others.
  struct OfPrefix {
    std::string prefix;
    int64_t failed = 0;
    int64_t waiting = 0;
    std::string not_listed{};  // Why; its objects are not known then.
  };
  std::vector<OfPrefix> unfinished;
  std::string reason;  // Why it stopped.
  int64_t revision = 0;
};
inline constexpr size_t kFailuresKept = 100;
inline constexpr size_t kUnfinishedKept = 100;

std::string EncodeRun(const Run& run);
// kCorrupt.
Result<Run> DecodeRun(const StateRow& row);

// Errors are those of State, unless said.
class RunBook {
 public:
  RunBook(Runtime runtime, State& state, Place place)
      : runtime_(runtime), state_(state), place_(std::move(place)) {}

  // Numbers it and writes it.
  Async<Run> Begin(Run run);
  // Writes it unless somebody else has since it was read; kPrecondition then.
  Async<Run> Save(Run run);
  // kNotFound.
  Async<Run> Find(int64_t number);
  // Those of `numbers` that there are.
  Async<std::vector<Run>> FindMany(std::vector<int64_t> numbers);
  // In the order in which they began. Rows that cannot be read are left out.
  Async<std::vector<Run>> All();
  // Forgets what ended longer ago than `age`.
  Async<void> Prune(std::chrono::hours age);

 private:
  Runtime runtime_;
  State& state_;
  Place place_;
};

// Whether a session is at work on the run, as far as can be told.
bool IsAlive(const Run& run, SystemTime now);

// The caches that State knows of.
Async<std::vector<Place>> AllPlaces(State& state);
// Whether it does / from now on it does.
Async<bool> IsKnownPlace(State& state, Place place);
Async<void> NotePlace(State& state, Place place);
// How many bytes it may hold; 0: any number. Set for a place that is noted, or is so now.
Async<uint64_t> BudgetOf(State& state, Place place);
Async<void> SetBudget(State& state, Place place, uint64_t budget_bytes);

// Which runs live, as far as claims need it: rows of runs that are young enough count as they are.
class RunLives {
 public:
  RunLives(Runtime runtime, State& state, Place place)
      : runtime_(runtime), book_(runtime, state, std::move(place)) {}

  // Reads the rows of those runs among `numbers` that were not read just now.
  Async<void> Learn(std::vector<int64_t> numbers);
  // Of what was learnt: whether the session that holds the claim is at work.
  [[nodiscard]] bool Lives(const Entry& claim) const;

 private:
  struct Other {
    SteadyTime read{};
    std::string session;
    bool lives = false;
  };
  Runtime runtime_;
  RunBook book_;
  std::map<int64_t, Other> others_;
};

}  // namespace longhaul::cache
