// Remover: removes copies of a cache, each under a claim in its row.
//
// A row is claimed on the condition that it is as it was read: what has been filled anew, extended,
// pinned or claimed meanwhile stays. While the claim holds, no fill copies the key. Then the object
// goes: where the store really does If-Match of deletes (probed, not believed) on the condition
// that it is the copy that the row speaks of, else after a look that it is. What else lies there,
// somebody has put there by hand: it stays, and the row goes. So does every object without a row.
//
// The row goes after the object. Whoever dies in between leaves a claim that holds no longer than
// it lived; the next sweep takes it over.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "cache/counted_bytes.h"
#include "cache/entry.h"
#include "cache/session.h"
#include "storage/store.h"

namespace longhaul::cache {

enum class Removal {
  kRemoved,
  kNoCopy,   // There was none any more; the row is gone.
  kForeign,  // Another object lies there, and stays; the row is gone.
  kChanged,  // The row has changed since it was read: left alone.
  kFailed,   // The store would not; the copy counts no more, and is tried again by a sweep.
};

struct RemovalReport {
  std::string_view key;
  Removal removal = Removal::kRemoved;
  uint64_t size_bytes = 0;
  std::string reason;  // Of kFailed.
};

struct RemovalCounts {
  int64_t removed = 0;
  int64_t bytes = 0;
  int64_t foreign = 0;
  int64_t failed = 0;
  int64_t changed = 0;  // Left alone: somebody else wrote the row, or the claim holds no more.
};

class Remover {
 public:
  // All borrowed. `claimant`: who claims; asked each time. `conditional`: the store was found to
  // heed If-Match of deletes (DeletesIfMatch).
  Remover(Runtime runtime, State& state, Store& store, Place place, CountedBytes& bytes,
          std::function<Claimant()> claimant, bool conditional);

  // Removes the copies of these rows; what becomes of each is told to `on_key`. Errors are those of
  // State, and kPrecondition: the claims do not hold any more.
  Async<RemovalCounts> Remove(std::vector<EntryRow> rows,
                              std::function<void(const RemovalReport&)> on_key = nullptr);

 private:
  struct Claim {
    EntryRow row;  // As it was before; the revision is that of the claim.
    Claimant mine;
    Removal removal = Removal::kFailed;
    std::string reason;
  };
  // The revisions of those rows that are claimed by `mine`; an error for the others.
  Async<std::vector<Result<int64_t>>> FindClaims(const std::vector<EntryRow>& rows, Claimant mine);
  Async<void> RemoveOne(Claim& claim, std::unique_ptr<Permit> permit);
  Async<Removal> RemoveObject(const EntryRow& row, const Claimant& mine);
  Async<void> Settle(std::vector<Claim>& claims);

  Runtime runtime_;
  State& state_;
  Store& store_;
  Place place_;
  CountedBytes& bytes_;
  std::function<Claimant()> claimant_;
  bool conditional_;
  std::shared_ptr<Semaphore> slots_;  // shared: a Permit may outlive this (base/async.h).
};

// Whether an object is the copy that a row speaks of, as far as can be told.
bool IsCopyOf(const Entry& entry, const ObjectInfo& object);

// Whether the store heeds If-Match of deletes in this bucket: tried once below "<prefix>probe/",
// and remembered in State for a day. Errors: of State; a store that cannot be tried does not heed
// it.
Async<bool> DeletesIfMatch(Runtime runtime, State& state, Store& store, Place place,
                           std::string prefix);
Async<void> RemoveDeadProbe(Runtime runtime, State& state, Store& store, Place place);

}  // namespace longhaul::cache
