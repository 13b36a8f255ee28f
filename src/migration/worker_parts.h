// What a worker knows of a run and of a task that it works on; for the files of Worker alone.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "migration/board.h"
#include "migration/giant.h"
#include "migration/worker.h"

namespace longhaul::migration {

struct Worker::Known {
  migration::Run run;
  std::optional<Ends> ends;              // Once opened; of the places that the run names.
  std::shared_ptr<GiantCarrier> giants;  // shared with tasks that are open.
  bool gone = false;                     // Forgotten.
  bool foreign = false;                  // Could not be opened here.
  SteadyTime foreign_until{};
};

// A run as it is when a task of it begins, and its stores: for all that is done for the task.
struct Worker::View {
  migration::Run run;
  Ends ends;
  std::shared_ptr<GiantCarrier> giants;  // shared: the run may lead elsewhere meanwhile.
};

// shared by the coroutine that works on it and by those that keep it alive.
struct Worker::Open {
  std::string run;
  std::string id;
  Receipt receipt;
  Claim claim;  // Not mine: not claimed yet.
  SteadyTime since{};
  Event stop;
  bool timed_out = false;
  bool find = false;
};

}  // namespace longhaul::migration
