// What all parts of one run share: who is told, what is counted, and whether a
// store as a whole has refused. Internal to the runs of this room.

#pragma once

#include <optional>

#include "transfer/tree/store_wide.h"
#include "transfer/tree/sync_observer.h"

namespace longhaul {

// Of SyncOptions::lands_in_source.
inline Error LandsInSourceError() {
  return PreconditionFailed(
      "left alone: its place at the target lies in the source, where it would replace or become an "
      "object that is still to be carried; carry it by itself");
}

struct SyncRun {
  SyncRun(SyncObserver& observer, SyncTotals& totals, FailureWatch watch)
      : observer(observer), totals(totals), watch(watch) {}

  SyncObserver& observer;
  SyncTotals& totals;
  FailureWatch watch;
  std::optional<Error> whole{};  // What the store as a whole answered: the run ends.
  bool cancelled = false;        // Something under way was stopped: not all is done.

  void Failed(SyncStep step, const Error& error) {
    if (error.kind == ErrorKind::kCancelled) {
      cancelled = true;
      return;
    }
    ++totals.failed;
    // The cause is told once; what fails while the run ends meets the same one.
    if (watch.Failed(error) && !whole) whole = error;
    step.store_wide = whole && whole->kind == error.kind && whole->code == error.code;
    observer.OnFailed(step, error);
  }
};

}  // namespace longhaul
