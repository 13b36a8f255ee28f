#include "transfer/listing/listing.h"

#include <utility>

#include "transfer/listing/listing_memory.h"
#include "transfer/listing/parallel_listing.h"
#include "transfer/local/local_folder.h"

namespace longhaul {

Async<std::optional<ListedObject>> PagedListing::Next() {
  if (next_ == page_.size()) {
    Result<std::vector<ListedObject>> page = co_await NextPage();
    if (!page) co_return page.error();
    page_ = std::move(*page);
    next_ = 0;
    if (page_.empty()) co_return std::nullopt;
  }
  co_return std::optional<ListedObject>(std::move(page_[next_++]));
}

bool PagedListing::TakeReady(ListedObject& object) {
  if (next_ == page_.size()) return false;
  object = std::move(page_[next_++]);
  return true;
}

std::unique_ptr<Listing> OpenListing(Runtime runtime, Store& store, std::string bucket,
                                     std::string prefix, ListingOptions options) {
  const bool sorted = store.capabilities().sorted_listing;
  // It walks the folders anew for each place where a lister begins.
  if (IsPlainFolder(store.capabilities())) options.listers_max = 1;
  const bool ordered = options.ordered;
  const std::string spill_folder = options.spill_folder;
  auto listing = std::make_unique<ParallelListing>(
      runtime, store, ListRequest{.bucket = std::move(bucket), .prefix = std::move(prefix)},
      std::move(options));
  if (sorted || !ordered) return listing;
  return SortToCopy(runtime, std::move(listing), spill_folder);
}

std::unique_ptr<Listing> OpenVersionListing(Runtime runtime, Store& store, std::string bucket,
                                            std::string prefix, ListingOptions options) {
  return std::make_unique<ParallelListing>(
      runtime, store,
      ListRequest{.bucket = std::move(bucket), .prefix = std::move(prefix), .versions = true},
      std::move(options));
}

}  // namespace longhaul
