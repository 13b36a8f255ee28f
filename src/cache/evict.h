// Evict, Pin: what a person does with the copies below a prefix of a cache.

#pragma once

#include <functional>
#include <string>

#include "base/runtime.h"
#include "cache/remove.h"

namespace longhaul::cache {

struct EvictOptions {
  ProcessName owner = ThisProcess();
  std::chrono::milliseconds lease = std::chrono::seconds(30);
  Event* stop = nullptr;  // Borrowed; set: end soon.
  bool dry_run = false;   // Only says what would go, as kRemoved.
  std::function<void(const RemovalReport&)> on_key;
};

struct EvictResult {
  RemovalCounts counts;
  int64_t pinned = 0;   // Left: they are pinned.
  int64_t claimed = 0;  // Left: a run is copying or removing them.
};

// Removes all copies of keys with the prefix, whenever their time to live ends. Errors are those of
// State.
Async<EvictResult> Evict(Runtime runtime, State& state, Store& store, Place place,
                         std::string prefix, EvictOptions options);

struct PinResult {
  int64_t changed = 0;
  int64_t already = 0;  // They were so.
  int64_t absent = 0;   // Keys without a copy, or with one that is under way: left.
};

// Pins the copies of keys with the prefix, or unpins them. Errors are those of State.
Async<PinResult> Pin(State& state, Place place, std::string prefix, bool pinned);

}  // namespace longhaul::cache
