#include "transfer/listing/newest_inventory.h"

#include <memory>
#include <optional>
#include <utility>

#include "transfer/listing/listing.h"

namespace longhaul {

std::string_view DeliveryTimeOfManifest(std::string_view key) {
  constexpr std::string_view kName = "/manifest.json";
  constexpr std::string_view kShape = "dddd-dd-ddTdd-ddZ";
  if (!key.ends_with(kName)) return {};
  key.remove_suffix(kName.size());
  if (key.size() < kShape.size()) return {};
  const std::string_view time = key.substr(key.size() - kShape.size());
  if (key.size() > kShape.size() && key[key.size() - kShape.size() - 1] != '/') return {};
  for (size_t i = 0; i < kShape.size(); ++i) {
    const bool digit = time[i] >= '0' && time[i] <= '9';
    if (kShape[i] == 'd' ? !digit : time[i] != kShape[i]) return {};
  }
  return time;
}

Async<std::string> FindNewestInventory(Runtime runtime, Store& store, std::string bucket,
                                       std::string prefix) {
  std::unique_ptr<Listing> listing =
      OpenListing(runtime, store, bucket, prefix, {.ordered = false, .waiting_bytes_max = 8 << 20});
  std::string newest;
  std::string time;
  Result<void> status;
  while (true) {
    Result<std::optional<ListedObject>> next = co_await listing->Next();
    if (!next) status = next.error();
    if (!next || !*next) break;
    const std::string_view delivered = DeliveryTimeOfManifest((*next)->key);
    if (delivered.empty() || delivered < time) continue;
    time = delivered;
    newest = std::move((*next)->key);
  }
  co_await listing->Close();
  if (!status) co_return status.error();
  if (newest.empty()) {
    co_return NotFound(
        "there is no manifest.json of an inventory below it (the first one comes within 48 hours "
        "of its configuration)");
  }
  co_return newest;
}

}  // namespace longhaul
