// Budget: keeps a cache below so many bytes, by removing what was used longest ago.
//
// Room is made before a key is claimed, so what is copied fits already; an object that has grown
// since it was listed is the most by which a cache may be over its budget. Pinned copies are never
// removed, nor what a run has used itself since it began (`spare_since`): what does not fit then is
// refused. Copies whose time to live has ended go first. Belongs to one shard.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "cache/counted_bytes.h"
#include "cache/remove.h"

namespace longhaul::cache {

class Budget {
 public:
  // Borrowed. `write_uses`: has what is known of readers written, before the rows are looked at;
  // none: there are no readers here.
  Budget(Runtime runtime, State& state, Place place, CountedBytes& bytes, Remover& remover,
         std::function<Async<void>()> write_uses = nullptr);

  // Reads the limit. Errors are those of State.
  Async<void> Open();
  // The same for whoever works on for long, where it was not read just now: somebody may have set
  // another one. Not between what is decided by limit_bytes() and what follows from it.
  Async<void> Refresh();
  // 0: none.
  [[nodiscard]] uint64_t limit_bytes() const { return limit_bytes_; }
  // Counts so many bytes; false where there is no room for them, and none can be made: nothing is
  // counted then.
  Async<bool> Take(int64_t bytes, SystemTime spare_since);

 private:
  Async<int64_t> MakeRoom(int64_t bytes, SystemTime spare_since);
  Async<std::vector<EntryRow>> Oldest(int64_t bytes, SystemTime spare_since);

  Runtime runtime_;
  State& state_;
  Place place_;
  CountedBytes& bytes_;
  Remover& remover_;
  std::function<Async<void>()> write_uses_;
  uint64_t limit_bytes_ = 0;
  SteadyTime read_{};                         // The limit was.
  std::shared_ptr<Semaphore> one_at_a_time_;  // shared: a Permit may outlive this (base/async.h).
};

}  // namespace longhaul::cache
