// RunBook: the fills of a cache, as State remembers them.
//
// Runs are numbered in the order in which they began. The row of a run is a lease on all that it
// has claimed: its session writes it again and again, and what it has claimed is free as soon as
// the row says that it has ended, that its process is gone, or that the lease has run out. So a
// run that is killed leaves no lock.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/runtime.h"
#include "cache/entry.h"
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
};

struct Run {
  int64_t number = 0;
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
  std::vector<int64_t> waits_for;  // Numbers of the runs whose keys it waits for.
  struct Failure {
    std::string key;
    std::string reason;
  };
  std::vector<Failure> failures;  // The first of them.
  int64_t revision = 0;
};
inline constexpr size_t kFailuresKept = 100;

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

}  // namespace longhaul::cache
