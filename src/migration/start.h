// Starting, stopping and retrying runs: what commands, schedules and events do.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "migration/board.h"
#include "migration/run.h"
#include "queue/queue.h"
#include "rules/migration.h"
#include "state/state.h"

namespace longhaul::migration {

struct StartRequest {
  Migration migration;
  std::string source_place;  // What its stores' names mean here.
  std::string target_place;
  std::vector<std::string> prefixes;  // Below the source's; empty: all of it.
  std::string by = "command";
};

// Has source and target compared and what is missing carried, by whichever workers there are. Never
// refuses because a run is under way: what that has not begun to compare is not asked for twice,
// all else is. A run that has finished counts anew. OK: it is durable. kInvalidInput: the run is
// there and leads from or to another place.
Async<Run> StartRun(Runtime& runtime, Queue& queue, State& state, StartRequest request);

// Has the run be there and not finished, with nothing to compare: for whoever makes its tasks.
// Errors as StartRun.
Async<Run> OpenRun(Runtime& runtime, Queue& queue, State& state, StartRequest request);

// Whether OpenRun would find its places as they are in the run, and that run; nullopt: there is
// none yet. Errors as StartRun.
Async<std::optional<Run>> MayOpenRun(Runtime& runtime, State& state, const StartRequest& request);

// Nothing of it is worked on until it is started again; nothing is lost. kNotFound: no such run.
Async<Run> StopRun(Runtime& runtime, State& state, std::string id);

// What has failed is tried again, with all its tries before it. The number of objects, and of
// prefixes that could not be compared. kNotFound: no such run.
struct Retried {
  int64_t objects = 0;
  int64_t prefixes = 0;
};
Async<Retried> RetryRun(Runtime& runtime, Queue& queue, State& state, std::string id);

}  // namespace longhaul::migration
