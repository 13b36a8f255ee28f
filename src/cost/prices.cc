#include "cost/prices.h"

#include <array>

namespace longhaul {

namespace {

constexpr std::chrono::days kTableAgeMax{183};

// Whether a configured name, whose words may be "*", means this one.
bool Covers(std::string_view pattern, std::string_view name) {
  while (true) {
    const size_t pattern_end = pattern.find('/');
    const size_t name_end = name.find('/');
    const std::string_view word = pattern.substr(0, pattern_end);
    const std::string_view named = name.substr(0, name_end);
    // A star is any region, and the internet is none.
    if (word != named && (word != "*" || named == "internet")) return false;
    if (pattern_end == std::string_view::npos || name_end == std::string_view::npos) {
      return pattern_end == name_end;
    }
    pattern.remove_prefix(pattern_end + 1);
    name.remove_prefix(name_end + 1);
  }
}

// "transfer/A/A": what a star stands for is a way between two.
bool IsWithinARegion(std::string_view name) {
  constexpr std::string_view kTransfer = "transfer/";
  if (!name.starts_with(kTransfer)) return false;
  name.remove_prefix(kTransfer.size());
  const size_t end = name.find('/');
  return end != name.npos && name.substr(0, end) == name.substr(end + 1);
}

}  // namespace

Prices::Prices(PriceList configured)
    : table_(BuiltInPrices()), configured_(std::move(configured)) {}

std::optional<int64_t> Prices::Find(std::string_view name) const {
  if (auto own = configured_.find(name); own != configured_.end()) return own->second;
  // "*" is less than any letter: the last that covers the name has the fewest at its beginning.
  std::optional<int64_t> covering;
  for (const auto& [pattern, price] : configured_) {
    if (pattern.find('*') != std::string::npos && Covers(pattern, name)) covering = price;
  }
  const auto in_table = table_.find(name);
  const bool known = in_table != table_.end();
  if (covering && !(known && IsWithinARegion(name))) return covering;
  return known ? std::optional(in_table->second) : std::nullopt;
}

std::optional<int64_t> Prices::TransferGib(std::string_view from, std::string_view to) const {
  return Find("transfer/" + std::string(from) + "/" + std::string(to));
}

std::optional<int64_t> Prices::VcpuSecond(std::string_view region) const {
  return Find("vcpu_second/" + std::string(region));
}

std::map<std::string, std::pair<int64_t, PriceOrigin>> Prices::All() const {
  std::map<std::string, std::pair<int64_t, PriceOrigin>> all;
  for (const auto& [name, price] : table_) {
    const std::optional<int64_t> found = Find(name);
    const bool own = configured_.contains(name) || *found != price;
    all[name] = {*found, own ? PriceOrigin::kConfiguration : PriceOrigin::kTable};
  }
  for (const auto& [name, price] : configured_) all[name] = {price, PriceOrigin::kConfiguration};
  return all;
}

bool PriceTableIsOld(SystemTime now) { return now - PriceTableDate() > kTableAgeMax; }

}  // namespace longhaul
