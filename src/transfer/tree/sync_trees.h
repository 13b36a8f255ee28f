// Makes what lies below one prefix be below another: two listings read side by side in order of
// keys, a decision for each name (decide.h), bounded parallel copies, and removals at the end.
//
// Memory does not grow with the number of objects. One object that fails does not stop the others;
// a store that refuses as a whole does, at its first refusal (store_wide.h). A failed listing
// stops the run after what is in flight.
//
// What `checksum` has to look at is looked at beside the copies, as many at once.
//
// Removals (`remove`) come last, and only when both listings have ended, every copy has worked and
// the guard agrees (removals.h): what is only at the target goes then. After a folder of the source
// that could not be read none come (`leave_out_unreadable`). What the filters leave out
// is neither copied nor removed; a name that the source has in any form is never removed.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/listing/listing.h"
#include "transfer/object/copy_object.h"
#include "transfer/tree/decide.h"
#include "transfer/tree/filter.h"
#include "transfer/tree/removals.h"
#include "transfer/tree/sync_observer.h"
#include "transfer/tree/tree.h"

namespace longhaul {

struct SyncOptions {
  CopyOptions copy;
  CompareRules compare;
  ObjectFilter filter;
  int in_flight = 64;
  bool dry_run = false;  // Decides and reports, and changes nothing.

  bool remove = false;
  bool remove_excluded = false;  // Also what the filters leave out.
  bool remove_despite_failures = false;
  // Names of which the source may have something that its listing does not tell: they are neither
  // removed nor passed over, but failures.
  std::function<bool(const std::string& name)> is_hidden{};
  // Asked of each object at the target before it is noted to be removed: with an error it stays,
  // and is a failure. Empty: all may go.
  std::function<Async<void>(std::string name, ListedObject there)> may_remove{};
  // A folder of the source that may not be read is a failure of its own, and the rest is carried;
  // then nothing is removed, whatever else is said. Else it ends the run. Only for a source that is
  // listed by the run itself, and not for somebody else as well.
  bool leave_out_unreadable = false;
  // Names whose copies would lie in the source, and be taken for objects of it, or replace some
  // that have not been carried yet: they are failures, and nothing is written. Empty: there are
  // none.
  std::function<bool(std::string_view name)> lands_in_source{};
  RemovalGuard guard;
  // Where what is replaced or removed goes first, under its name; a place of the target's store
  // that lies neither in the target nor in the source.
  std::optional<TreeTarget> backup;

  // The target's listing may be old: what is replaced or removed is looked at first, and stays
  // where it is not what the listing says.
  bool target_listed_before = false;

  // Without a listing of the target: something may be there all the same, which is replaced.
  bool target_unknown = false;
  // What is only at the target is nobody's business: it is neither counted nor told.
  bool source_alone = false;

  // With copy.if_absent: what is at the target already is a failure, and not left alone.
  bool exists_fails = false;

  bool move = false;      // Removes at the source what has been copied (carry_object.h).
  bool download = false;  // With CompareRules::checksum: reads both where nothing else tells.
  // With CompareRules::checksum: of equal bytes also headers, user metadata and tags have to be.
  bool descriptions = false;

  // Limits at which the run ends in order: nothing new is begun. kCancelled, code kLimitCode.
  uint64_t bytes_max = UINT64_MAX;  // Of what is copied; the object that would pass it is not.
  std::optional<SteadyTime> until{};

  // All names have failed before, or were in flight: that they fail again tells nothing of the
  // store as a whole, unless the error says so itself.
  bool failed_before = false;

  // The target's bucket could not be looked at: a denied write then is no single key's matter.
  bool target_denied = false;
};

inline constexpr const char* kLimitCode = "Limit";

// `target_listing`: null where nothing at the target matters, as in a plain copy. Both belong to
// the caller, who closes them.
//
// OK: all was listed and tried. Errors: those of the listings; what a store as a whole answered;
// kPrecondition with code kDeleteGuardCode; kCancelled after a stop or at a limit. `totals` is
// right in any case.
Async<void> SyncTrees(Runtime runtime, TreeSource source, TreeTarget target,
                      Listing& source_listing, Listing* target_listing, SyncOptions options,
                      SyncObserver& observer, SyncTotals& totals);

}  // namespace longhaul
