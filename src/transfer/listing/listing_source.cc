#include "transfer/listing/listing_source.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "transfer/listing/inventory.h"
#include "transfer/listing/kept_listing.h"
#include "transfer/listing/listing_memory.h"

namespace longhaul {

namespace {

constexpr size_t kReadBytes = 256 << 10;

bool IsInventory(const ListingFile& file, ListingFileKind kind) {
  return kind == ListingFileKind::kAny && file.key.ends_with("manifest.json");
}

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
                                                std::string place, WrongLine wrong,
                                                PassedOver passed_over, uint64_t none_max) {
  std::unique_ptr<Listing> listing;
  if (IsInventory(file, kind)) {
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
    listing =
        OpenKeyList(runtime, std::move(*lines), keys, store, std::move(bucket), std::move(prefix),
                    std::move(missing), std::move(wrong), std::move(passed_over), none_max,
                    options.each_version ? KeyListOf::kVersions : KeyListOf::kObjects);
  }
  if (!options.ordered) co_return listing;
  const Doubles doubles = options.each_version ? Doubles::kVersions : Doubles::kNewest;
  co_return SortToCopy(runtime, std::move(listing), options.spill_folder, doubles);
}

Async<ListingFileState> StateOfListingFile(Runtime runtime, ListingFile file,
                                           ListingFileKind kind) {
  Result<ObjectStream> stream =
      co_await file.store->Get({.bucket = file.bucket, .key = file.key, .if_match = file.etag});
  if (!stream) co_return stream.error().In(file.name);
  const std::unique_ptr<Hasher> hasher = NewHasher(HashKind::kSha256);
  std::vector<std::byte> buffer(kReadBytes);
  while (true) {
    Result<size_t> count = co_await stream->body->Read(buffer);
    if (!count) co_return count.error().In(file.name);
    if (*count == 0) break;
    co_await runtime.pool.Run([&] { hasher->Update(std::span(buffer).first(*count)); });
  }
  ListingFileState state{.etag = stream->info.etag, .sha256 = HexEncode(hasher->Finish())};
  if (!IsInventory(file, kind)) co_return state;
  file.etag = state.etag;
  Result<InventoryManifest> manifest = co_await ReadInventoryManifest(file);
  if (!manifest) co_return manifest.error();
  state.whole = std::ranges::none_of(
      manifest->files, [](const InventoryManifest::File& data) { return data.md5_hex.empty(); });
  co_return state;
}

}  // namespace longhaul
