// Mirrors whole histories: all versions and delete markers below one prefix, each key's in the
// order in which they were written, into a bucket that keeps versions. version_history.h says what
// is missing there.
//
// The versions of a key are written strictly one after the other, each only when the one before it
// is there and nobody else has written meanwhile (If-Match, where the target's server knows it). A
// failure ends the key there, and the next run goes on behind it. Keys go side by side.
//
// Nothing is removed for good, and what is only at the target stays. A delete marker of the source
// becomes a delete at the target.

#pragma once

#include "base/runtime.h"
#include "transfer/listing/listing.h"
#include "transfer/tree/sync_observer.h"
#include "transfer/tree/sync_trees.h"
#include "transfer/tree/tree.h"

namespace longhaul {

namespace reason {
inline constexpr std::string_view kNewVersion = "new version";
inline constexpr std::string_view kDeleteMarker = "delete marker";
}  // namespace reason

// Of one key; more are a failure of that key.
inline constexpr size_t kKeyVersionsMax = 100'000;

// OK: there are versions to be listed at the source, and the target's bucket keeps them.
// kInvalidInput: not so. Others: the target's bucket could not be asked.
Async<void> CheckKeepsVersions(TreeSource source, TreeTarget target);

// Both listings are of versions (OpenVersionListing) and belong to the caller, who closes them. Of
// `options` count `copy`, `filter` (of names; a key is in or out with all of its versions),
// `in_flight` (keys), `dry_run`, `failed_before` and the limits. A key is told by OnLooking when it
// is begun, and by OnEnded when nothing of it is left to be done.
//
// Errors and totals as of SyncTrees; what it counts are versions, `removed` are delete markers.
Async<void> MirrorVersions(Runtime runtime, TreeSource source, TreeTarget target,
                           Listing& source_listing, Listing& target_listing, SyncOptions options,
                           SyncObserver& observer, SyncTotals& totals);

}  // namespace longhaul
