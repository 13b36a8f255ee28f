// A key of a fill on its way: listed, claimed, copied, and what its row says then.
//
// Internal to fill, and to single keys.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/runtime.h"
#include "cache/entry.h"
#include "cache/fill.h"
#include "transfer/object/copy_object.h"

namespace longhaul::cache {

// A key that was listed and is not settled yet.
struct FillKey {
  std::string key;  // Of the source.
  uint64_t size_bytes = 0;
  std::string etag;
  SystemTime modified{};
  bool again = false;
  std::string put_etag;        // Of what this run has put there without holding the key.
  bool being_removed = false;  // When it was last looked at: nobody else is going to copy it.
  int64_t waited_for = 0;      // The run that was copying it when it was last looked at.
};

struct FillTask {
  FillKey key;
  Entry claim;
  int64_t revision = 0;
  std::optional<SystemTime> looks_from;  // Set: a dead session had claimed it then.
};

// A row to be written after a copy.
struct FillEnding {
  FillTask task;
  std::optional<Entry> entry;  // None: the row goes.
  Outcome outcome = Outcome::kCopied;
  // What the row counts when it is written, less what the claim counts.
  [[nodiscard]] int64_t counts_more() const {
    return static_cast<int64_t>(entry ? entry->counted_bytes : 0) -
           static_cast<int64_t>(task.claim.counted_bytes);
  }
};

// Copies what is claimed, and tells in the claim what was copied or why it was not. Never an error
// but kCancelled: `options.stop`; the claim ends with the run.
Async<Outcome> CopyClaimed(Runtime runtime, const FillRequest& request, const FillOptions& options,
                           FillTask& task);

// When what was copied was written, as its row says it. `listed`: when the state of `listed_etag`
// was.
SystemTime ModifiedOf(const CopyOutcome& copied, std::string_view listed_etag, SystemTime listed);

FillEnding EndingOf(FillTask task, Outcome outcome, SystemTime now, std::chrono::seconds ttl);

}  // namespace longhaul::cache
