// Sweep: removes the copies of a cache whose time to live has ended, and what dead runs have left.
//
// One process at a time sweeps a cache: a lease in State says which. Rows are read in order; what
// has ended is removed under claims (remove.h), so a copy that is filled or extended meanwhile
// stays. Pinned copies stay, and so does every object that no row speaks of.

#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "cache/remove.h"

namespace longhaul::cache {

struct SweepOptions {
  ProcessName owner = ThisProcess();
  std::chrono::milliseconds lease = std::chrono::seconds(30);
  Event* stop = nullptr;  // Borrowed; set: end soon.
  std::function<void(const RemovalReport&)> on_key;
};

struct SweepResult {
  // Somebody else is at it.
  bool elsewhere = false;
  RemovalCounts counts;
  int64_t kept = 0;  // Rows of copies that stay.
  // When the next copy comes to its end.
  std::optional<SystemTime> next;
};

// Whether a row has come to its end. `claim_lives`: of a claim, whether its session does.
bool IsOver(const Entry& entry, bool claim_lives, SystemTime now);

// Once through all rows. Errors are those of State.
Async<SweepResult> Sweep(Runtime runtime, State& state, Store& store, Place place,
                         SweepOptions options);

// Again and again until `stop`; what comes to its end is removed within a minute. Errors are logged
// and tried again.
asio::awaitable<void> KeepSweeping(Runtime runtime, State& state, Store& store, Place place,
                                   Event& stop, ProcessName owner = ThisProcess());

}  // namespace longhaul::cache
