// Runtime: what the outside hands to everything that runs on a shard, by reference.

#pragma once

#include "base/clock.h"
#include "base/cpu_pool.h"
#include "base/log.h"
#include "base/memory_budget.h"
#include "base/metrics.h"
#include "base/random.h"

namespace longhaul {

// Borrowed: whoever builds it (the program, a test, the simulation) owns the parts and keeps them
// until the last coroutine that uses them is gone.
struct Runtime {
  asio::any_io_executor executor;
  Clock& clock;
  Random& random;
  CpuPool& pool;
  MemoryBudget& memory;
  Logger& log;
  Metrics& metrics;
};

}  // namespace longhaul
