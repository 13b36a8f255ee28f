// Listing: the objects below a prefix one by one, in byte order of keys unless it says otherwise.
//
// Whoever compares, copies or counts reads one of these and does not care where it comes from:
// pages of a store (here), a kept listing, an inventory, a list of files (listing_source.h). Memory
// is bounded whatever the number of keys.
//
// A listing of a store that changes meanwhile holds each key that was there all the time once, and
// no key twice.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

// Belongs to one coroutine. Close it before it is destroyed.
class Listing {
 public:
  virtual ~Listing() = default;

  // nullopt: that was all, and nothing was left out. An error means that the listing is not
  // complete: whoever deletes by it must not. Not to be called again after either.
  virtual Async<std::optional<ListedObject>> Next() = 0;
  // The same without waiting: false when Next has to be asked (also at the end). A loop over a
  // million objects is cheaper this way: `while (listing.TakeReady(object) || …)`.
  virtual bool TakeReady(ListedObject& object) {
    static_cast<void>(object);
    return false;
  }
  // Waits for what is still being asked for.
  virtual asio::awaitable<void> Close() = 0;
};

// A Listing whose source gives many objects at a time.
class PagedListing : public Listing {
 public:
  Async<std::optional<ListedObject>> Next() override;
  bool TakeReady(ListedObject& object) override;
  asio::awaitable<void> Close() override { co_return; }

 protected:
  // The next objects; an empty page is the end.
  virtual Async<std::vector<ListedObject>> NextPage() = 0;

 private:
  std::vector<ListedObject> page_;
  size_t next_ = 0;
};

struct ListingOptions {
  // Pages of one listing that are asked for side by side, where that pays: when the first page was
  // not the last one and took `parallel_from` or longer. 1: one after the other. The store's own
  // limit of requests and its answers to throttling hold beneath.
  int listers_max = 64;
  std::chrono::nanoseconds parallel_from = std::chrono::milliseconds(5);
  int page_keys = 1000;  // The most that stores give.
  // False: in any order, for whoever counts.
  bool ordered = true;
  // Of a list of keys in a file: each version that it names, also of one key, and delete markers.
  // Else they are an error: what is there now has one state of each key.
  bool each_version = false;
  // What may wait in memory for its turn; less where the budget has less.
  int64_t waiting_bytes_max = 32 << 20;
  // Only keys after this one / up to and with this one; empty: all below the prefix.
  std::string start_after;
  std::string up_to;
  // Where sorted runs of a store that lists in no order are kept for as long as the listing is
  // open; empty: $TMPDIR, else /tmp.
  std::string spill_folder;
};

// The objects that are there now. Errors as Store::List; kCorrupt: a listing that is not in order,
// leaves the prefix or does not end (the message names the page).
std::unique_ptr<Listing> OpenListing(Runtime runtime, Store& store, std::string bucket,
                                     std::string prefix, ListingOptions options = {});

// All versions and delete markers (ListedObject::is_delete_marker): keys in order, of each key the
// newest first. A bucket that keeps no versions lists its objects. kInvalidInput: the store has no
// such listing.
std::unique_ptr<Listing> OpenVersionListing(Runtime runtime, Store& store, std::string bucket,
                                            std::string prefix, ListingOptions options = {});

// The bucket as it was at `time`: of each key the newest version that is not younger, unless that
// is a delete marker. ListedObject::version_id says what to read ("null" is an id, too). What has
// been deleted for good since then is not there any more. `time` counts as the store's clock does,
// which gives whole seconds: a version of that second is in.
std::unique_ptr<Listing> OpenListingAt(Runtime runtime, Store& store, std::string bucket,
                                       std::string prefix, SystemTime time,
                                       ListingOptions options = {});

}  // namespace longhaul
