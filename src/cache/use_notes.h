// UseNotes: which copies readers have used, kept in memory and written into their rows together.
//
// A budget makes room by that (budget.h), and nothing else is decided by it. A row says so once a
// minute at most, and many rows are written at once: each hit by itself would cost a write. A row
// is read for it and changed in that alone, on the condition that nobody changes it meanwhile: no
// time to live, claim or pin is ever set back. What is noted and not yet written dies with the
// process; the copy then counts as used a little earlier. Belongs to one shard.

#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/runtime.h"
#include "cache/entry.h"
#include "state/state.h"

namespace longhaul::cache {

class UseNotes {
 public:
  // Borrowed.
  UseNotes(Runtime runtime, State& state, Place place);

  // The copy of this row is being read.
  void Note(const EntryRow& row);
  // Returns when all that was noted before is in the rows. Errors are those of State: what may be
  // better in a moment stays noted.
  Async<void> Write();
  // Writes every few seconds until `stop`.
  Async<void> KeepWriting(Event& stop);

 private:
  Async<void> WriteSome(std::map<std::string, SystemTime>& notes);

  Runtime runtime_;
  State& state_;
  Place place_;
  std::map<std::string, SystemTime> notes_;   // By the key at the cache.
  std::shared_ptr<Semaphore> one_at_a_time_;  // shared: a Permit may outlive this (base/async.h).
};

}  // namespace longhaul::cache
