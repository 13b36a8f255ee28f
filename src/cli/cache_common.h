// What the commands of a cache have in common: which cache, and the State that remembers it.

#pragma once

#include <memory>
#include <string>

#include "cache/run_book.h"
#include "cli/flags.h"
#include "cli/local_state.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "cli/stores.h"

namespace longhaul {

class Command;

// kInvalidInput: nothing says where it is.
Result<std::unique_ptr<State>> OpenCacheState(RunContext& context, const StateFlag& flag);

// A bucket of a store, and perhaps a prefix of its keys. kInvalidInput: a local path, no bucket.
struct OpenedCache {
  OpenedAddress address;
  cache::Place place;
};
Result<OpenedCache> OpenCache(StoreOpener& opener, std::string_view text);

// "running"; "killed" when nobody is at work on it.
std::string_view PhaseOf(const cache::Run& run, SystemTime now);

std::unique_ptr<Command> MakeCacheFillCommand();
std::unique_ptr<Command> MakeCacheListCommand();
std::unique_ptr<Command> MakeCacheStatusCommand();

}  // namespace longhaul
