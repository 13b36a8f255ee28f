#include "transfer/runs/watch_for_loss.h"

namespace longhaul {

namespace {

// What a process that was suspended may still do when it goes on.
constexpr std::chrono::milliseconds kLookForLoss{100};

}  // namespace

Async<void> WatchForLoss(Runtime runtime, RunJournal& journal, Event& stop, Event& ended) {
  while (!co_await ended.WaitFor(runtime.clock, kLookForLoss)) {
    if (journal.lost().is_set()) stop.Set();
  }
  co_return Ok();
}

}  // namespace longhaul
