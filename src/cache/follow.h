// Follower: the caches of a configuration as takers of events of their sources: a copy whose source
// has changed is copied anew, or removed, as the configuration says.
//
// An event names a key and no more; what is done follows from a look at the source (KeyFiller), so
// events that are late, doubled or out of order cost a look. A key that the cache does not have is
// left alone. Take answers when what events ask for has been done, so whoever sent them sends them
// again when this process dies. It belongs to one shard.

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "cache/fill_key.h"
#include "events/event_taker.h"
#include "rules/cache_settings.h"

namespace longhaul::cache {

class Follower : public EventTaker {
 public:
  explicit Follower(Runtime runtime) : runtime_(runtime) {}

  // Both borrowed; `filler` is of this cache, and begun.
  void Add(const CacheSettings& settings, KeyFiller& filler) {
    caches_.push_back({&settings, &filler});
  }
  [[nodiscard]] bool empty() const { return caches_.empty(); }

  [[nodiscard]] std::vector<Source> Sources() const override;
  [[nodiscard]] std::string_view Unwanted(const StoreEvent& event) const override;
  Async<size_t> Take(std::vector<StoreEvent> events) override;
  [[nodiscard]] Words words() const override { return {"no cache follows", "caches follow"}; }

 private:
  struct Cache {
    const CacheSettings* settings;
    KeyFiller* filler;
  };
  static bool Wants(const Cache& cache, const StoreEvent& event);

  Runtime runtime_;
  std::vector<Cache> caches_;
};

}  // namespace longhaul::cache
