#include "transfer/listing/listing_source.h"

#include <utility>

#include "transfer/listing/inventory.h"
#include "transfer/listing/kept_listing.h"
#include "transfer/listing/sorted_listing.h"

namespace longhaul {

namespace {

// "x.csv.gz" ends in csv.
bool EndsIn(std::string_view name, std::string_view ending) {
  for (std::string_view packed : {".gz", ".zst"}) {
    if (name.ends_with(packed)) name.remove_suffix(packed.size());
  }
  return name.ends_with(ending);
}

}  // namespace

Async<std::unique_ptr<Listing>> OpenListingFile(Runtime runtime, ListingFile file,
                                                ListingFileKind kind, Store& store,
                                                std::string bucket, std::string prefix,
                                                ListingOptions options, MissingKey missing,
                                                std::string place, WrongLine wrong) {
  std::unique_ptr<Listing> listing;
  if (kind == ListingFileKind::kAny && file.key.ends_with("manifest.json")) {
    Result<std::unique_ptr<Listing>> inventory =
        co_await OpenInventory(runtime, file, bucket, prefix);
    if (!inventory) co_return inventory.error();
    listing = std::move(*inventory);
  } else {
    Result<std::unique_ptr<TextLines>> lines = co_await TextLines::Open(runtime, file);
    if (!lines) co_return lines.error();
    KeyListKind keys = KeyListKind::kNames;
    if (kind == ListingFileKind::kRawNames) keys = KeyListKind::kRawNames;
    if (kind == ListingFileKind::kAny) {
      Result<std::string> first = co_await (*lines)->Peek();
      if (!first) co_return first.error();
      if (IsKeptHead(*first)) {
        co_return std::make_unique<KeptListing>(std::move(*lines), std::move(bucket),
                                                std::move(prefix), false, std::move(place));
      }
      if (EndsIn(file.key, ".csv")) {
        keys = KeyListKind::kCsv;
      } else if (first->starts_with('{')) {
        keys = KeyListKind::kJsonLines;
      } else {
        co_return InvalidInput(file.name +
                               ": neither a kept listing, nor a manifest.json of S3 Inventory, nor "
                               "CSV (named .csv), nor lines of JSON; for one name to a line there "
                               "is --files-from");
      }
    }
    listing = OpenKeyList(runtime, std::move(*lines), keys, store, std::move(bucket),
                          std::move(prefix), std::move(missing), std::move(wrong));
  }
  if (!options.ordered) co_return listing;
  co_return SortListing(runtime, std::move(listing), options.spill_folder);
}

}  // namespace longhaul
