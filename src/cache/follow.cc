#include "cache/follow.h"

#include <algorithm>
#include <utility>

namespace longhaul::cache {

namespace {

constexpr int kKeysInFlight = 16;

}  // namespace

bool Follower::Wants(const Cache& cache, const StoreEvent& event) {
  const Address& source = cache.settings->source;
  return source.store == event.store && source.bucket == event.record.bucket &&
         event.record.key.starts_with(source.prefix);
}

std::vector<EventTaker::Source> Follower::Sources() const {
  std::vector<Source> sources;
  for (const Cache& cache : caches_) {
    sources.push_back(
        {.store = cache.settings->source.store, .bucket = cache.settings->source.bucket});
  }
  return sources;
}

std::string_view Follower::Unwanted(const StoreEvent& event) const {
  const bool wanted =
      std::ranges::any_of(caches_, [&](const Cache& cache) { return Wants(cache, event); });
  return wanted ? "" : "prefix";
}

Async<size_t> Follower::Take(std::vector<StoreEvent> events) {
  size_t taken = 0;
  TaskGroup keys(runtime_.executor);
  for (const StoreEvent& event : events) {
    for (const Cache& cache : caches_) {
      if (!Wants(cache, event)) continue;
      ++taken;
      co_await keys.WaitBelow(kKeysInFlight);
      keys.Spawn(
          cache.filler->Follow(event.record.key, cache.settings->events == CacheEvents::kRefresh));
    }
  }
  Result<void> followed = co_await keys.Join();
  if (!followed) co_return followed.error();
  co_return taken;
}

}  // namespace longhaul::cache
