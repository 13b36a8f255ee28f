// FolderWatch: hears from the kernel what changes in a bucket of a `file` store, and sends hints.
//
// It watches the bucket's folder and every folder below (inotify(7)); folders that appear are
// watched and what is in them by then is hinted. Changes are gathered for a moment, so that a key
// that changes ten times in it is one hint. A watch can miss things: where it knows so (the
// kernel's queue ran over, a folder with files was moved away, the hints could not be kept) it asks
// for a listing, and it does so once when it has been set up. Changes of tags alone are not seen:
// they lie in `.longhaul`, which is not watched. Linux only; no network file systems, where other
// machines' changes are not told.
//
// It belongs to one shard; reading folders happens on the CPU pool.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/runtime.h"
#include "queue/queue.h"

namespace longhaul {

struct FolderWatchOptions {
  std::string folder;  // Of the bucket.
  std::string store;   // For the hints, by their names in the configuration.
  std::string bucket;
  std::string rule;  // For which they are; empty: for all that match.
  // Which keys are hinted; empty: all.
  std::function<bool(std::string_view key)> wanted;
  // Called when a listing has to find what the watch did not tell.
  std::function<void(std::string_view reason)> on_listing_needed;
  std::chrono::milliseconds gather{200};
};

class FolderWatch {
 public:
  // `queue` is borrowed until Run has returned.
  FolderWatch(Runtime runtime, FolderWatchOptions options, Queue& queue);
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // Watches until Stop: then OK. A queue that fails is tried again. kNotFound: the folder is not
  // there (any more). kDenied: it may not be read. kInvalidInput: the system's limit of watches is
  // too low; the message names it. After an error Run may be called again.
  Async<void> Run();
  void Stop();

  // So many folders are watched now.
  [[nodiscard]] size_t folders() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the handler that waits for the kernel.
};

}  // namespace longhaul
