#include "cost/tuner_prices.h"

#include <set>
#include <utility>

namespace longhaul {

namespace {

constexpr std::chrono::duration<double> kMonth = std::chrono::hours(730);
constexpr double kMonthsForEver = 12;  // Nobody reckons with a saving that is further away.

std::string RegionIn(const StoreRegions& regions, const std::string& store) {
  const auto found = regions.find(store);
  return found == regions.end() ? std::string() : found->second;
}

double Dollars(int64_t pico_dollars) { return static_cast<double>(pico_dollars) * 1e-12; }

}  // namespace

TunerPrices TunerPricesOf(const Rule& rule, const StoreRegions& regions, const Prices& prices) {
  TunerPrices result;
  auto unknown = [&](std::string name) {
    if (result.unknown.empty()) result.unknown = std::move(name);
  };
  const bool local = rule.transport == Transport::kS3Replication && rule.local_staging;
  const std::string& from_store = local ? rule.local_staging->store : rule.source.store;
  const std::string from = RegionIn(regions, from_store);
  if (from.empty()) unknown("transfer: store " + from_store + " has no region");
  std::set<std::pair<std::string, std::string>> buckets;
  for (const Target& target : rule.targets) {
    if (!buckets.emplace(target.staging.store, target.staging.bucket).second) continue;
    const std::string to = RegionIn(regions, target.staging.store);
    if (to.empty()) {
      unknown("transfer: store " + target.staging.store + " has no region");
      continue;
    }
    const std::optional<int64_t> gib = prices.TransferGib(from, to);
    if (!gib) unknown("transfer/" + from + "/" + to);
    result.transfer_gib += Dollars(gib.value_or(0));
  }
  for (const Target& target : rule.targets) {
    if (!target.backup) continue;
    // Archives stay as they are packed: what a level saves is saved in every month.
    const std::string at = RegionIn(regions, target.to.store);
    const std::string& wished = target.backup->storage_class;
    const std::string name = "storage/" + at + "/" + (wished.empty() ? "STANDARD" : wished);
    const std::optional<int64_t> gib = at.empty() ? std::nullopt : prices.Find(name);
    if (!gib) unknown(at.empty() ? "storage: store " + target.to.store + " has no region" : name);
    const double months = target.backup->keep
                              ? std::chrono::duration<double>(*target.backup->keep) / kMonth
                              : kMonthsForEver;
    result.kept_gib += Dollars(gib.value_or(0)) * months;
  }
  const std::string here = RegionIn(regions, rule.source.store);
  const std::optional<int64_t> second = prices.VcpuSecond(here);
  if (!second) unknown("vcpu_second/" + here);
  result.cpu_second = Dollars(second.value_or(0));
  return result;
}

}  // namespace longhaul
