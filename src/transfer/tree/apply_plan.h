// Does what a plan says (plan_file.h), and nothing else.
//
// A source or target that is not what it was when the plan was made is left alone and named. The
// whole file is read before anything is done. Copies come first; removals follow when all of them
// have worked.
//
// A plan may be applied again after it broke off: a target that is by now what the plan wanted it
// to be (plan_done.h), and a removal of what is not there any more, are done, and skipped.

#pragma once

#include <string>

#include "base/runtime.h"
#include "transfer/tree/carry_object.h"
#include "transfer/tree/plan_file.h"
#include "transfer/tree/sync_observer.h"
#include "transfer/tree/tree.h"

namespace longhaul {

struct PlanEnds {
  PlanHead head;
  PlanEnd end;
};

// kInvalidInput: it cannot be read, or is not a whole plan; names file and line.
Async<PlanEnds> ReadPlanEnds(Runtime runtime, std::string path);

struct ApplyOptions {
  CarryOptions carry;
  int in_flight = 64;
};

// Errors as of SyncTrees, and of ReadPlanEnds.
Async<void> ApplyPlan(Runtime runtime, std::string path, TreeSource source, TreeTarget target,
                      ApplyOptions options, SyncObserver& observer, SyncTotals& totals);

}  // namespace longhaul
