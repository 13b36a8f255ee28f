// How the roles of a process divide its memory budget.

#pragma once

#include <cstdint>

#include "replication/context/context.h"
#include "replication/source/pack.h"

namespace longhaul {

struct MemoryPlan {
  PackMemory pack;  // Of one batch.
  int pack_jobs = 1;
  int64_t apply_job_bytes = 1;  // Of one archive.
  int64_t take_over_bytes = 1;
};

// `packs`, `applies`: the roles of this process.
// kInvalidInput: the budget is too small; the message says what is needed.
Result<MemoryPlan> PlanMemory(const ReplicationContext& context, bool packs, bool applies);

}  // namespace longhaul
