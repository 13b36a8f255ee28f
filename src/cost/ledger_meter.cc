#include "cost/ledger_meter.h"

#include <algorithm>
#include <set>

namespace longhaul {

namespace {

constexpr size_t kClassSizeMax = 32;

std::string RegionOf(const StoreRegions& regions, const Address& address) {
  const auto found = regions.find(address.store);
  return found == regions.end() ? "" : found->second;
}

// What a server says may be anything.
std::string_view ClassOrOther(std::string_view name) {
  const bool sound =
      !name.empty() && name.size() <= kClassSizeMax &&
      name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == std::string_view::npos;
  return sound ? name : "OTHER";
}

}  // namespace

LedgerPlace PlaceOfSource(const Rule& rule, const StoreRegions& regions) {
  return {.rule = rule.id,
          .target = "",
          .part = "source",
          .region = RegionOf(regions, rule.source),
          .peers = ""};
}

LedgerPlace PlaceOfLocalStaging(const Rule& rule, const StoreRegions& regions) {
  std::set<std::pair<std::string, std::string>> buckets;
  std::string peers;
  for (const Target& target : rule.targets) {
    if (!buckets.emplace(target.staging.store, target.staging.bucket).second) continue;
    peers.append(peers.empty() ? "" : ",").append(RegionOf(regions, target.staging));
  }
  return {.rule = rule.id,
          .target = "",
          .part = "local",
          .region = RegionOf(regions, *rule.local_staging),
          .peers = peers};
}

LedgerPlace PlaceOfStaging(const Rule& rule, const Target& target, const StoreRegions& regions) {
  return {.rule = rule.id,
          .target = target.name,
          .part = "staging",
          .region = RegionOf(regions, target.staging),
          .peers = RegionOf(regions, rule.source)};
}

LedgerPlace PlaceOfTarget(const Rule& rule, const Target& target, const StoreRegions& regions) {
  return {.rule = rule.id,
          .target = target.name,
          .part = "target",
          .region = RegionOf(regions, target.to),
          .peers = RegionOf(regions, rule.source)};
}

LedgerMeter::LedgerMeter(std::shared_ptr<Ledger> ledger, const Configuration& configuration,
                         const std::string& name, const StoreRegions& regions)
    : ledger_(std::move(ledger)), name_(name) {
  for (const Rule& rule : configuration.rules) {
    Learn(rule.source, rule.source.prefix, PlaceOfSource(rule, regions));
    if (rule.local_staging) {
      Learn(*rule.local_staging, LocalStagingPrefix(rule), PlaceOfLocalStaging(rule, regions));
    }
    for (const Target& target : rule.targets) {
      Learn(target.staging, StagingPrefix(rule, target), PlaceOfStaging(rule, target, regions));
      Learn(target.to, target.to.prefix, PlaceOfTarget(rule, target, regions));
    }
  }
  const auto region = regions.find(name);
  other_ = ledger_->PlaceOf({.rule = "",
                             .target = "",
                             .part = "other",
                             .region = region == regions.end() ? "" : region->second,
                             .peers = ""});
  for (auto& [bucket, entries] : entries_) {
    std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
      return a.prefix.size() != b.prefix.size() ? a.prefix.size() > b.prefix.size()
                                                : a.place < b.place;
    });
    for (Entry& entry : entries) entry.number = ledger_->PlaceOf(entry.place);
  }
}

void LedgerMeter::Learn(const Address& address, std::string prefix, LedgerPlace place) {
  if (address.store != name_) return;
  std::vector<Entry>& entries = entries_[address.bucket];
  for (Entry& entry : entries) {
    if (entry.prefix != prefix || entry.place.part != place.part) continue;
    if (entry.place.rule != place.rule) entry.place.rule.clear();
    if (entry.place.rule.empty() || entry.place.target != place.target) entry.place.target.clear();
    // Bytes that come from several regions have no price of their own.
    if (entry.place.peers != place.peers) entry.place.peers.clear();
    return;
  }
  entries.push_back({.prefix = std::move(prefix), .place = std::move(place)});
}

int LedgerMeter::PlaceOf(std::string_view bucket, std::string_view key, RequestKind kind) {
  const auto entries = entries_.find(bucket);
  if (entries == entries_.end()) return other_;
  const bool writes = kind == RequestKind::kPut || kind == RequestKind::kDelete;
  const Entry* best = nullptr;
  for (const Entry& entry : entries->second) {
    if (!key.starts_with(entry.prefix)) continue;
    if (best != nullptr && entry.prefix.size() < best->prefix.size()) break;
    // Where a target is another rule's source, what writes is the target's.
    const bool wanted = writes != (entry.place.part == "source");
    if (best == nullptr || (wanted && writes == (best->place.part == "source"))) best = &entry;
  }
  if (best == nullptr && entries->second.size() == 1) best = &entries->second.front();
  return best == nullptr ? other_ : best->number;
}

void LedgerMeter::OnRequests(int place, RequestKind kind, std::string_view storage_class,
                             int count) {
  std::string what(ToString(kind));
  what.append("/").append(ClassOrOther(storage_class));
  ledger_->Add(place, what, static_cast<uint64_t>(count));
}

}  // namespace longhaul
