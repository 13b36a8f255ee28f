// Copies everything below a prefix: a listing that feeds bounded parallel copies.
//
// In flight at once: at most `in_flight` objects, and no more bytes than the memory budget has
// room for. The listing runs one page ahead. One failed object does not stop the others; a failed
// listing does, after what is in flight.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/copy_object.h"
#include "transfer/glob.h"

namespace longhaul {

struct TreeSource {
  Store& store;
  std::string bucket;
  std::string prefix;  // What follows it in a key is the name that goes below the target's prefix.
};

struct TreeTarget {
  Store& store;
  std::string bucket;
  std::string prefix;
};

struct TreeCopyOptions {
  CopyOptions copy;
  NameFilter filter;
  int in_flight = 64;
  bool dry_run = false;  // Reports what would be copied, and copies nothing.
};

// Called on the shard; the views live during the call.
class TreeObserver {
 public:
  virtual ~TreeObserver() = default;
  virtual void OnListed(const ListedObject&) {}  // It will be copied.
  virtual void OnListedAll() {}
  virtual void OnCopied(const ListedObject&, std::string_view /*target_key*/, const CopyOutcome&) {}
  virtual void OnFailed(const ListedObject&, std::string_view /*target_key*/, const Error&) {}
};

struct TreeTotals {
  uint64_t listed = 0;  // That passed the filter.
  uint64_t copied = 0;
  uint64_t existing = 0;  // Left alone because of `if_absent`.
  uint64_t failed = 0;
  uint64_t bytes = 0;         // Of what was copied.
  uint64_t not_verified = 0;  // Copied, but the source had nothing to verify by.
};

// OK when all was listed and tried. Errors: those of the listing; kCancelled after a stop.
// `totals` is right in any case.
Async<void> CopyTree(Runtime runtime, TreeSource source, TreeTarget target, TreeCopyOptions options,
                     TreeObserver& observer, TreeTotals& totals);

}  // namespace longhaul
