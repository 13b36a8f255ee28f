#include "replication/compare/by_inventory.h"

#include <optional>
#include <utility>

#include "transfer/listing/listing_source.h"
#include "transfer/listing/newest_inventory.h"
#include "transfer/listing/sorted_listing.h"

namespace longhaul {

namespace {

constexpr char kCompared[] = "inventory-compared";      // The last one, of a target.
constexpr int64_t kInventoryWaitingBytesMax = 8 << 20;  // As of a comparison that lists.

}  // namespace

std::string ByInventory::Name() const {
  const Address& place = *rule_.rule->intake.inventory;
  return place.store + ":" + place.bucket + "/" + (key_.empty() ? place.prefix : key_);
}

std::string WhatIsCompared(const Rule& rule, const Target& target) {
  const Filter& filter = rule.filter;
  std::string text = rule.source.ToString() + "\n" + target.to.ToString() + "\n" + filter.suffix +
                     "\n" + std::to_string(filter.size_bytes_min) + " " +
                     std::to_string(filter.size_bytes_max.value_or(UINT64_MAX)) + " " +
                     (filter.kms_encrypted ? "kms" : "") + " " +
                     (filter.modified_since ? FormatRfc3339(*filter.modified_since) : "");
  for (const auto& [name, value] : filter.tags) text += "\n" + name + "=" + value;
  return text;
}

std::string WhatIsCompared(const RuleContext& rule, const TargetContext& target) {
  std::string text = WhatIsCompared(*rule.rule, *target.config);
  // What they carried is this rule's when they are gone, and nobody has looked whether it was
  // there.
  for (const Rule* rival : target.rivals_above) {
    text += "\n" + rival->id + "\n" + WhatIsCompared(*rival, *target.config);
  }
  return text;
}

std::string ByInventory::Compared(size_t target) const {
  return Name() + "\n" + WhatIsCompared(rule_, *rule_.targets[target]);
}

Error ByInventory::Explained(Error error) const {
  // What passes needs no advice.
  if (!error.Transient()) {
    error.message +=
        "; nothing was deleted: put the inventory right, or remove intake.inventory of the rule "
        "and have the source listed";
  }
  return error.In("inventory " + Name());
}

Async<std::vector<size_t>> ByInventory::Choose(std::vector<size_t> targets) {
  const Address& place = *rule_.rule->intake.inventory;
  Result<std::string> newest = co_await FindNewestInventory(
      context_.runtime, *context_.stores.at(place.store), place.bucket, place.prefix);
  if (!newest) co_return Explained(newest.error());
  key_ = std::move(*newest);
  std::vector<size_t> left;
  for (size_t i : targets) {
    Result<std::optional<StateRow>> row = co_await context_.state.Get(
        StatePartition(*rule_.rule, *rule_.targets[i]->config), kCompared);
    if (!row) co_return row.error();
    if (!*row || (*row)->value != Compared(i)) left.push_back(i);
  }
  co_return left;
}

Async<std::unique_ptr<Listing>> ByInventory::Open(Runtime runtime) {
  const Address& place = *rule_.rule->intake.inventory;
  const Address& source = rule_.rule->source;
  Result<std::unique_ptr<Listing>> listing =
      co_await OpenListingFile(runtime,
                               {.store = context_.stores.at(place.store),
                                .bucket = place.bucket,
                                .key = key_,
                                .name = "manifest.json"},
                               ListingFileKind::kAny, *rule_.source, source.bucket, source.prefix,
                               {.ordered = false, .waiting_bytes_max = kInventoryWaitingBytesMax});
  if (!listing) co_return Explained(listing.error());
  // In memory that is taken for this alone.
  co_return SortListing(runtime, std::move(*listing), "");
}

Async<void> ByInventory::Remember(std::vector<size_t> targets) {
  for (size_t i : targets) {
    Result<int64_t> written =
        co_await context_.state.Write(StatePartition(*rule_.rule, *rule_.targets[i]->config),
                                      {.key = kCompared, .value = Compared(i)});
    if (!written) co_return written.error();
  }
  co_return Ok();
}

}  // namespace longhaul
