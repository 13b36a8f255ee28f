// Has a run stopped when another process has taken it over (RunJournal::lost): two that work on one
// would write and remove by two listings, of which one is old.

#pragma once

#include "base/runtime.h"
#include "transfer/runs/run_journal.h"

namespace longhaul {

// Sets `stop` when the journal is lost, until `ended` is set. All are borrowed. Never an error.
Async<void> WatchForLoss(Runtime runtime, RunJournal& journal, Event& stop, Event& ended);

}  // namespace longhaul
