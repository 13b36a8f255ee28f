// What the commands of a cache have in common: which cache, and the State that remembers it.

#pragma once

#include <memory>
#include <string>

#include "cache/remove.h"
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

// kInvalidInput: they are one bucket, whatever the stores are called. A cache removes what it
// holds.
Result<void> CheckTwoPlaces(const OpenedAddress& source, const OpenedCache& cache);

// kNotFound: the state knows no fill of it.
Async<void> RequireCache(State& state, const OpenedCache& opened, std::string_view text);

// Tells what becomes of the copies that are removed, one by one.
class RemovalTeller {
 public:
  RemovalTeller(Output& output, std::string_view cache) : output_(output), cache_(cache) {}
  void Tell(const cache::RemovalReport& removal);

 private:
  Output& output_;
  std::string cache_;
};
// "3 copies removed (12 KiB)", and what else there is to say.
std::string RemovalText(const cache::RemovalCounts& counts, bool dry_run = false);

// What a fill has cost, and what it would have cost otherwise. `ttl`: that of its copies.
Message CostMessage(const cache::RunCost& cost, std::chrono::seconds ttl);

// "running"; "killed" when nobody is at work on it.
std::string_view PhaseOf(const cache::Run& run, SystemTime now);

std::unique_ptr<Command> MakeCacheEvictCommand();
std::unique_ptr<Command> MakeCacheFillCommand();
std::unique_ptr<Command> MakeCacheListCommand();
std::unique_ptr<Command> MakeCachePinCommand();
std::unique_ptr<Command> MakeCacheServeCommand();
std::unique_ptr<Command> MakeCacheStatusCommand();
std::unique_ptr<Command> MakeCacheSweepCommand();
std::unique_ptr<Command> MakeCacheUnpinCommand();
std::unique_ptr<Command> MakeCacheWorkerCommand();

}  // namespace longhaul
