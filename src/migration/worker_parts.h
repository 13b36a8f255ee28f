// What a worker knows of a run and of a task that it works on; for the files of Worker alone.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "migration/board.h"
#include "migration/giant.h"
#include "migration/worker.h"

namespace longhaul::migration {

struct Worker::Known {
  migration::Run run;
  std::optional<Ends> ends;  // Once opened; of the places that the run named then.
  std::unique_ptr<GiantCarrier> giants;
  std::vector<std::unique_ptr<GiantCarrier>> retired;  // Tasks that are open may use them yet.
  bool gone = false;                                   // Forgotten.
  bool foreign = false;                                // Could not be opened here.
  SteadyTime foreign_until{};
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
