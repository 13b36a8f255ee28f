// Removes what was collected (removals.h), in batches: the end of a sync with
// `remove`, and `rm`.

#pragma once

#include <optional>

#include "base/runtime.h"
#include "transfer/object/copy_object.h"
#include "transfer/tree/removals.h"
#include "transfer/tree/sync_run.h"
#include "transfer/tree/tree.h"

namespace longhaul {

struct RemoveOptions {
  bool dry_run = false;  // Tells, and removes nothing.
  int in_flight = 64;
  // Only while they are what was listed: each is looked at, and removed If-Match.
  bool as_listed = false;
  // With as_listed: what was listed without an ETag goes by its key all the same.
  bool by_key_without_etag = false;
  bool compared = true;              // With a source; else there is no reason to tell.
  std::optional<TreeTarget> backup;  // As of SyncOptions.
  CopyOptions copy;                  // For the backup, and its `stop` for all.
};

// What fails is told to the observer one by one, and stays. Errors: what the
// store as a whole answered; kCancelled after a stop; the collection could not
// be read.
Async<void> RemoveCollected(Runtime runtime, TreeTarget target, Removals& removals,
                            RemoveOptions options, SyncRun& run);

}  // namespace longhaul
