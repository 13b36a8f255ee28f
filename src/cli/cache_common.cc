#include "cli/cache_common.h"

namespace longhaul {

Result<std::unique_ptr<State>> OpenCacheState(RunContext& context, const StateFlag& flag) {
  std::optional<DatabasePlace> place = LocalStatePlace(context, flag);
  if (!place) return InvalidInput("nothing says where caches are remembered: give --state FILE");
  return std::unique_ptr<State>(std::make_unique<LocalState>(context.runtime(), *place));
}

Result<OpenedCache> OpenCache(StoreOpener& opener, std::string_view text) {
  Result<OpenedAddress> opened = opener.Open(text, StoreEnd::kTarget);
  if (!opened) return opened.error();
  if (opened->address.kind == CommandAddress::Kind::kLocal || opened->address.bucket.empty()) {
    return InvalidInput("'" + std::string(text) +
                        "' is no cache: name a bucket of a store, as fast:cache");
  }
  OpenedCache cache{.address = *opened};
  cache.place = {.store = opened->store->description(), .bucket = opened->address.bucket};
  return cache;
}

std::string_view PhaseOf(const cache::Run& run, SystemTime now) {
  if (run.phase == RunPhase::kRunning && !cache::IsAlive(run, now)) return "killed";
  return ToString(run.phase);
}

}  // namespace longhaul
