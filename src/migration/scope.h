// What a run was ever asked to carry: prefixes, or all below its source.
//
// A find's row says so while the run counts; when it counts anew (StartRun) its prefix is kept in a
// row "scope/…", of each prefix one.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "migration/board.h"
#include "migration/run.h"
#include "state/state.h"
#include "transfer/listing/listing.h"

namespace longhaul::migration {

// Keeps the prefixes of the finds that there are. Errors are those of State.
Async<void> KeepScope(TaskBoard& board, State& state, std::string run_id);

// In order, none below another; {""}: all of it, as also where events may name any object.
Async<std::vector<std::string>> ScopeOf(State& state, const Run& run);

// What lies below `prefix` and one of `scope`, in order of keys. Errors as OpenListing.
std::unique_ptr<Listing> OpenScope(Runtime runtime, Store& store, std::string bucket,
                                   std::string prefix, std::vector<std::string> scope);

}  // namespace longhaul::migration
