// Upkeep: what a process does beside its work so that others know of it and nothing is left behind.
//
// It says that it is alive, sweeps uploads that crashed processes have left and the uploads of
// giants that come to nothing, and publishes what it measures.

#pragma once

#include <chrono>
#include <vector>

#include "replication/context/context.h"

namespace longhaul {

// Whether neither Queue nor staging held anything just now. What waits in the staging of a target
// that is paused counts where one asks for it. Errors: of the Queue or of a store.
enum class PausedTargets { kLeftOut, kCounted };
Async<bool> NothingUnderWay(ReplicationContext& context, PausedTargets paused);

class Upkeep {
 public:
  // `packs`, `applies`: the roles of this process.
  Upkeep(ReplicationContext& context, bool packs, bool applies)
      : context_(context), packs_(packs), applies_(applies) {}

  // Two loops until `stop` is set; what fails is told and tried again.
  // Says that this process is alive, and sweeps.
  asio::awaitable<void> Beat(Event& stop);
  // Publishes what this process measures, a last time when it stops.
  asio::awaitable<void> Publish(Event& stop);
  // Sweeps giants' uploads that have stood still for `idle` when nothing is under way, else those
  // that are older than any archive can be.
  Async<void> SweepGiants(std::chrono::nanoseconds idle);

 private:
  asio::awaitable<void> Sweep(Event& stop);
  // Notes where archives and hints may lie, and tells of those that wait where no rule looks any
  // more.
  asio::awaitable<void> LookAtStagings(Event& stop);
  asio::awaitable<void> TellOfLeftSpools(std::vector<const Rule*> rules);
  // Tells of targets that have joined a staging of others and have not answered yet.
  asio::awaitable<void> TellOfNewTargets();

  ReplicationContext& context_;
  bool packs_;
  bool applies_;
  SteadyTime giants_swept_{};
};

}  // namespace longhaul
