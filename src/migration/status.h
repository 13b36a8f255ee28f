// How far a run is: what State says of it, summed up.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "migration/board.h"
#include "migration/finder.h"
#include "migration/run.h"
#include "migration/worker.h"
#include "state/state.h"

namespace longhaul::migration {

struct RunStatus {
  Run run;
  bool all_listed = false;  // Else more may be found.
  int64_t listed = 0;       // At the source, since the run counts anew (StartRun).
  int64_t listed_bytes = 0;
  int64_t there_before = 0;      // Needed no task.
  int64_t named = 0;             // By events; also those that needed nothing.
  std::vector<FindRow> finds{};  // Those that are not done, or were given up.
  // Prefixes that were asked for and begin no name at the source: the first, and how many.
  std::vector<std::string> nothing_below{};
  int64_t empty_prefixes = 0;
  TaskCounts done{};    // What tasks have come to.
  int64_t pending = 0;  // Objects that nobody works on.
  int64_t pending_bytes = 0;
  int64_t running = 0;  // Objects of tasks that somebody works on.
  int64_t running_bytes = 0;
  int64_t tasks_waiting = 0;
  int64_t tasks_running = 0;
  int64_t ranges_left = 0;  // Of giants.
  int64_t failed = 0;       // Objects, as their rows say now.
  int64_t gone = 0;
  std::vector<WorkerRow> workers{};
  double objects_per_second = 0;
  double bytes_per_second = 0;

  // "finished", "stopped", "running", or "waiting": nobody works on it.
  [[nodiscard]] std::string_view state() const;
  // It has finished, all was listed, and nothing failed.
  [[nodiscard]] bool all_carried() const;
  // nullopt: nobody can tell.
  [[nodiscard]] std::optional<std::chrono::seconds> time_left() const;
};

// Errors are those of State.
Async<RunStatus> ReadStatus(State& state, Clock& clock, Run run);

// Of each object that is not done: what it waits for.
struct ObjectStatus {
  enum class State { kPending, kRunning, kFailed, kGone };
  State state = State::kPending;
  TaskObject object;
  std::string reason;
  std::string task;
};
std::string_view ToString(ObjectStatus::State state);

// Calls `tell` for each object that is not done, until it returns false.
Async<void> ReadObjects(State& state, Clock& clock, std::string run_id,
                        std::function<bool(const ObjectStatus&)> tell);

}  // namespace longhaul::migration
