#include "rules/price_list.h"

#include <algorithm>
#include <vector>

#include "rules/configuration_reader.h"

namespace longhaul {

namespace {

constexpr int64_t kPicoPerDollar = 1'000'000'000'000;
constexpr size_t kFractionDigitsMax = 12;
constexpr size_t kDollarDigitsMax = 6;

constexpr PriceItem kItems[] = {
    {.name = "transfer", .words = "FROM/TO", .unit = "GiB"},
    {.name = "request", .words = "REGION/KIND/CLASS", .unit = "request"},
    {.name = "storage", .words = "REGION/CLASS", .unit = "GiB and month"},
    {.name = "restore_gib", .words = "REGION/CLASS/TIER", .unit = "GiB"},
    {.name = "restore_request", .words = "REGION/CLASS/TIER", .unit = "request"},
    {.name = "express_upload_gib", .words = "REGION", .unit = "GiB"},
    {.name = "express_retrieval_gib", .words = "REGION", .unit = "GiB"},
    {.name = "vcpu_second", .words = "REGION", .unit = "vCPU second"},
    {.name = "gib_second", .words = "REGION", .unit = "GiB of memory and second"},
    {.name = "kms_request", .words = "REGION", .unit = "request"},
    {.name = "nat_hour", .words = "REGION", .unit = "hour"},
    {.name = "nat_gib", .words = "REGION", .unit = "GiB"},
    {.name = "endpoint_hour", .words = "REGION", .unit = "hour and zone"},
    {.name = "endpoint_gib", .words = "REGION", .unit = "GiB"},
    {.name = "rtc_gib", .words = "REGION", .unit = "GiB"},
    {.name = "queue_request", .words = "REGION", .unit = "request"},
    {.name = "state_read", .words = "REGION", .unit = "request"},
    {.name = "state_write", .words = "REGION", .unit = "request"},
};

// In the order of their names.
constexpr std::string_view kRegions[] = {
    "af-south-1", "ap-east-1",      "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
    "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",   "eu-central-1",
    "eu-north-1", "eu-south-1",     "eu-west-1",      "eu-west-2",      "eu-west-3",
    "me-south-1", "sa-east-1",      "us-east-1",      "us-east-2",      "us-west-1",
    "us-west-2"};

constexpr std::string_view kRequestKinds[] = {"put", "get", "list", "delete"};
constexpr std::string_view kClasses[] = {
    "STANDARD",   "STANDARD_IA", "ONEZONE_IA",   "INTELLIGENT_TIERING",
    "GLACIER_IR", "GLACIER",     "DEEP_ARCHIVE", "EXPRESS_ONEZONE"};
constexpr std::string_view kTiers[] = {"Expedited", "Standard", "Bulk"};

std::vector<std::string_view> Words(std::string_view name) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t slash = name.find('/');
    words.push_back(name.substr(0, slash));
    if (slash == std::string_view::npos) return words;
    name.remove_prefix(slash + 1);
  }
}

std::string Quoted(std::string_view text) { return "'" + std::string(text.substr(0, 80)) + "'"; }

std::string OneOf(std::string_view word, std::string_view what,
                  std::span<const std::string_view> choices) {
  if (word == "*" || std::ranges::find(choices, word) != choices.end()) return "";
  std::string text = Quoted(word) + " is no " + std::string(what) + "; there are";
  for (size_t i = 0; i < choices.size(); ++i) {
    text.append(i == 0 ? " " : ", ").append(choices[i]);
  }
  return text;
}

std::vector<std::string> RegionsOfStores(YamlFields& fields) {
  std::vector<std::string> regions;
  std::optional<YamlValue> stores = fields.Find("stores");
  if (!stores) return regions;
  for (const YamlNode::Entry& store : stores->node().entries) {
    for (const YamlNode::Entry& field : store.value.entries) {
      if (field.key == "region") regions.push_back(field.value.text);
    }
  }
  return regions;
}

}  // namespace

std::span<const PriceItem> PriceItems() { return kItems; }
std::span<const std::string_view> KnownRegions() { return kRegions; }

const PriceItem* FindPriceItem(std::string_view name) {
  const std::string_view first = name.substr(0, name.find('/'));
  const auto* found = std::ranges::find(kItems, first, &PriceItem::name);
  return found == std::end(kItems) ? nullptr : found;
}

Result<int64_t> ParsePicoDollars(std::string_view text) {
  const Error bad = InvalidInput("'" + std::string(text.substr(0, 40)) +
                                 "' is no price: write US dollars in digits, as 0.02 or 0.0000004");
  if (text.starts_with('-')) {
    return InvalidInput("a price of " + std::string(text.substr(0, 40)) + " is negative");
  }
  const size_t point = std::min(text.find('.'), text.size());
  const std::string_view dollars = text.substr(0, point);
  const std::string_view fraction = point < text.size() ? text.substr(point + 1) : "";
  if (dollars.empty() || (point < text.size() && fraction.empty())) return bad;
  const bool digits =
      (std::string(dollars) + std::string(fraction)).find_first_not_of("0123456789") ==
      std::string::npos;
  if (digits && dollars.size() > kDollarDigitsMax) {
    return InvalidInput("a price of " + std::string(text.substr(0, 40)) +
                        " is a million dollars or more");
  }
  if (digits && fraction.size() > kFractionDigitsMax) {
    return InvalidInput("a price of " + std::string(text.substr(0, 40)) +
                        " has more than 12 digits behind the point");
  }
  if (!digits) return bad;
  int64_t pico = 0;
  for (size_t i = 0; i < dollars.size() + kFractionDigitsMax; ++i) {
    const size_t at = i - dollars.size();
    const char digit = i < dollars.size() ? dollars[i] : at < fraction.size() ? fraction[at] : '0';
    pico = pico * 10 + (digit - '0');
  }
  static_assert(kPicoPerDollar == 1'000'000'000'000);
  return pico;
}

std::string PriceNameProblem(std::string_view name, std::span<const std::string> regions) {
  const PriceItem* item = FindPriceItem(name);
  if (item == nullptr) {
    std::string text = Quoted(name) + " names no price; there are";
    for (const PriceItem& one : kItems) text.append(" ").append(one.name);
    return text;
  }
  const std::vector<std::string_view> words = Words(name);
  const std::vector<std::string_view> wanted = Words(item->words);
  if (words.size() != wanted.size() + 1) {
    return Quoted(name) + " is not whole: write " + std::string(item->name) + "/" +
           std::string(item->words);
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::string_view word = words[i + 1];
    std::string problem;
    if (wanted[i] == "KIND") {
      problem = OneOf(word, "kind of request", kRequestKinds);
    } else if (wanted[i] == "CLASS") {
      problem = OneOf(word, "storage class", kClasses);
    } else if (wanted[i] == "TIER") {
      problem = OneOf(word, "tier of a restore", kTiers);
    } else if (word != "*" && !(wanted[i] == "TO" && word == "internet") &&
               std::ranges::find(kRegions, word) == std::end(kRegions) &&
               std::ranges::find(regions, word) == regions.end()) {
      problem = Quoted(word) + " is a region that neither AWS's prices nor a store of this file " +
                "knows";
    }
    if (!problem.empty()) return problem;
  }
  return "";
}

PriceList ReadPriceList(YamlFields& top) {
  PriceList prices;
  std::optional<YamlValue> value = top.Find("prices");
  std::optional<YamlFields> fields = value ? value->Fields() : std::nullopt;
  if (!fields) return prices;
  const std::vector<std::string> regions = RegionsOfStores(top);
  for (const auto& [name, price] : fields->All()) {
    const std::string problem = PriceNameProblem(name, regions);
    if (!problem.empty()) {
      price.Fail(problem, "`longhaul prices` shows those there are");
      continue;
    }
    std::optional<std::string> text = price.Text();
    if (!text) continue;
    Result<int64_t> pico = ParsePicoDollars(*text);
    if (!pico) {
      price.Fail(pico.error().message, "give US dollars for one " +
                                           std::string(FindPriceItem(name)->unit) + ", 0 or more");
      continue;
    }
    prices[name] = *pico;
  }
  return prices;
}

}  // namespace longhaul
