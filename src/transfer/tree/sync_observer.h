// Who is told what a run over a tree does, object by object, and what it counts.

#pragma once

#include <cstdint>
#include <string_view>

#include "storage/object.h"
#include "transfer/object/copy_object.h"
#include "transfer/tree/decide.h"

namespace longhaul {

// One name, and what the listings said of it. The views and pointers live during the call.
struct SyncStep {
  std::string_view name;                 // Below the prefixes.
  const ListedObject* source = nullptr;  // Null: only at the target.
  const ListedObject* target = nullptr;  // Null: only at the source, or nobody asked.
  Decision decision;
  bool store_wide = false;  // A failure that is the whole store's, and is told once for all.
};

// Called on the shard.
class SyncObserver {
 public:
  virtual ~SyncObserver() = default;
  virtual void OnExcluded(const SyncStep&) {}
  virtual void OnSkipped(const SyncStep&) {}
  virtual void OnExtra(const SyncStep&) {}    // Only at the target; not (yet) removed.
  virtual void OnLooking(const SyncStep&) {}  // More than the listings is needed to decide.
  virtual void OnChosen(const SyncStep&) {}   // It will be copied; with `dry_run` it would be.
  virtual void OnListedAll() {}
  virtual void OnCopied(const SyncStep&, const CopyOutcome&) {}
  virtual void OnRemoved(const SyncStep&) {}  // At the target; or would be.
  // Of whole histories, after what is told of each version: all of the key are at the target.
  virtual void OnEnded(const SyncStep&) {}
  virtual void OnFailed(const SyncStep&, const Error&) {}
};

struct SyncTotals {
  uint64_t source_objects = 0;  // That passed the filter, as the next.
  uint64_t target_objects = 0;
  uint64_t chosen = 0;  // To be copied.
  uint64_t chosen_bytes = 0;
  uint64_t copied = 0;
  uint64_t bytes = 0;  // Of what was copied.
  uint64_t skipped = 0;
  uint64_t excluded = 0;
  uint64_t extra = 0;  // Only at the target.
  uint64_t removed = 0;
  uint64_t would_remove = 0;  // In a dry run.
  uint64_t failed = 0;
  uint64_t not_verified = 0;  // Copied, but the source had nothing to verify by.
  uint64_t links = 0;         // Of a folder of files, that its listing did not follow.
  // Of `failed`: folders of the source that could not be read. What is in them is not known.
  uint64_t unlisted = 0;
  bool removals_withheld = false;  // There was something to remove, and failures forbade it.
};

}  // namespace longhaul
