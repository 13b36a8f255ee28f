#include "cost/bill.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace longhaul {

namespace {

constexpr uint64_t kSecondsOfMonth = uint64_t{730} * 3600;
constexpr char kRequestsPrefix[] = "requests at ";

uint64_t DivisorOf(Bill::Unit unit) {
  switch (unit) {
    case Bill::Unit::kEach:
      return 1;
    case Bill::Unit::kByte:
      return uint64_t{1} << 30;
    case Bill::Unit::kKibSecond:
      return kSecondsOfMonth << 20;
    case Bill::Unit::kMicrosecond:
      return 1'000'000;
  }
  return 1;
}

std::string RequestPrice(const std::string& region, std::string_view kind_and_class) {
  return "request/" + region + "/" + std::string(kind_and_class);
}

std::vector<std::string> Split(const std::string& peers) {
  std::vector<std::string> all;
  size_t begin = 0;
  while (true) {
    const size_t end = peers.find(',', begin);
    all.push_back(peers.substr(begin, end - begin));
    if (end == std::string::npos) return all;
    begin = end + 1;
  }
}

std::string TransferPrice(const std::string& from, const std::string& to) {
  return "transfer/" + from + "/" + to;
}

std::string PartName(const std::string& part) {
  if (part == "source") return "the source";
  if (part == "local") return "the local staging";
  if (part == "staging") return "the staging";
  if (part == "target") return "the target";
  return "other buckets";
}

// What was carried, by the class of its replicas. Where the target names none they have that of
// their objects, as S3's own replicas would: shared out as the PUTs were that were paid for.
std::map<std::string, uint64_t> ByClass(const LedgerLine& line, const std::string& target_class,
                                        uint64_t carried) {
  constexpr std::string_view kPut = "put/";
  uint64_t puts = 0;
  for (const auto& [what, amount] : line.counts) puts += what.starts_with(kPut) ? amount : 0;
  if (!target_class.empty()) return {{target_class, carried}};
  if (puts == 0) return {{"STANDARD", carried}};
  std::map<std::string, uint64_t> classes;
  uint64_t puts_before = 0;
  uint64_t carried_before = 0;
  for (const auto& [what, amount] : line.counts) {
    if (!what.starts_with(kPut)) continue;
    puts_before += amount;
    const auto until =
        static_cast<uint64_t>(static_cast<Bill::Quantity>(carried) * puts_before / puts);
    classes[what.substr(kPut.size())] = until - std::exchange(carried_before, until);
  }
  return classes;
}

}  // namespace

void Bill::Add(std::string_view item, const std::string& price, Unit unit, Quantity quantity) {
  if (quantity > 0) quantities_[{std::string(item), price, unit}] += quantity;
}

Bill::Sum Bill::Reckon(const Prices& prices) const {
  Sum sum;
  for (const auto& [key, quantity] : quantities_) {
    const std::optional<int64_t> price = prices.Find(key.price);
    if (!price) {
      sum.unknown.insert(key.price);
      continue;
    }
    // The whole ones apart: quantity by price may take more than 128 bits.
    const Quantity divisor = DivisorOf(key.unit);
    const auto each = static_cast<Quantity>(*price);
    const auto pico = static_cast<Pico>(quantity / divisor * each +
                                        (quantity % divisor * each + divisor / 2) / divisor);
    sum.items[key.item] += pico;
    sum.total += pico;
  }
  return sum;
}

Bill& Bill::operator+=(const Bill& other) {
  for (const auto& [key, quantity] : other.quantities_) quantities_[key] += quantity;
  return *this;
}

Account& Account::operator+=(const Account& other) {
  paid += other.paid;
  native += other.native;
  copy += other.copy;
  objects += other.objects;
  bytes += other.bytes;
  return *this;
}

void Account::Add(const LedgerLine& line, const Rule* rule) {
  const LedgerPlace& place = line.place;
  const auto count = [&](const char* what) {
    const auto found = line.counts.find(what);
    return found == line.counts.end() ? 0 : found->second;
  };
  for (const auto& [what, amount] : line.counts) {
    for (const char* kind : {"put/", "get/", "list/", "delete/"}) {
      if (!what.starts_with(kind)) continue;
      paid.Add(kRequestsPrefix + PartName(place.part), RequestPrice(place.region, what),
               Bill::Unit::kEach, amount);
    }
  }
  paid.Add("storage of archives", "storage/" + place.region + "/STANDARD", Bill::Unit::kKibSecond,
           count("kib_seconds"));
  paid.Add("processor", "vcpu_second/" + place.region, Bill::Unit::kMicrosecond, count("cpu_us"));
  paid.Add("queue", "queue_request/" + place.region, Bill::Unit::kEach, count("queue_request"));
  paid.Add("state", "state_read/" + place.region, Bill::Unit::kEach, count("state_read"));
  paid.Add("state", "state_write/" + place.region, Bill::Unit::kEach, count("state_write"));
  if (place.part == "staging") {
    paid.Add("transfer", TransferPrice(place.peers, place.region), Bill::Unit::kByte,
             count("sent"));
  }
  if (place.part == "local") {
    // S3 carries each archive on, by a PUT of its own.
    uint64_t puts = 0;
    for (const auto& [what, amount] : line.counts) {
      if (what.starts_with("put/")) puts += amount;
    }
    for (const std::string& to : Split(place.peers)) {
      paid.Add("transfer", TransferPrice(place.region, to), Bill::Unit::kByte, count("sent"));
      paid.Add(kRequestsPrefix + PartName("staging"), RequestPrice(to, "put/STANDARD"),
               Bill::Unit::kEach, puts);
    }
  }
  if (place.part != "target") return;
  const std::string transfer = TransferPrice(place.peers, place.region);
  paid.Add("transfer", transfer, Bill::Unit::kByte, count("plain/bytes") + count("copy/bytes"));
  uint64_t carried = 0;
  uint64_t carried_bytes = 0;
  for (const auto& [what, amount] : line.counts) {
    if (what.ends_with("/objects")) carried += amount;
    if (what.ends_with("/bytes")) carried_bytes += amount;
  }
  objects += carried;
  bytes += carried_bytes;
  std::string storage_class;
  bool threshold = false;
  if (rule != nullptr) {
    threshold = rule->threshold.has_value();
    for (const Target& target : rule->targets) {
      if (target.name == place.target) storage_class = target.storage_class;
    }
  }
  for (const auto& [replicas, share] : ByClass(line, storage_class, carried)) {
    const std::string put = RequestPrice(place.region, "put/" + replicas);
    // Of objects that are replicated to another class nobody has written down their own.
    const std::string get = storage_class.empty() ? "get/" + replicas : "get/STANDARD";
    native.Add("requests", put, Bill::Unit::kEach, share);
    copy.Add("requests", RequestPrice(place.peers, get), Bill::Unit::kEach, share);
    copy.Add("requests", put, Bill::Unit::kEach, share);
  }
  native.Add("transfer", transfer, Bill::Unit::kByte, carried_bytes);
  if (threshold) {
    native.Add("time control", "rtc_gib/" + place.peers, Bill::Unit::kByte, carried_bytes);
  }
  copy.Add("transfer", transfer, Bill::Unit::kByte, carried_bytes);
}

std::optional<uint64_t> BreakEvenBytes(const Account& account, const Prices& prices) {
  const Bill::Sum paid = account.paid.Reckon(prices);
  const Bill::Sum native = account.native.Reckon(prices);
  if (account.objects == 0 || account.bytes == 0) return std::nullopt;
  if (!paid.unknown.empty() || !native.unknown.empty()) return std::nullopt;
  const auto requests_of = [](const Bill::Sum& sum) {
    Pico requests = 0;
    for (const auto& [item, pico] : sum.items) {
      if (item.starts_with("requests") || item == "queue" || item == "state") requests += pico;
    }
    return requests;
  };
  const Pico paid_requests = requests_of(paid);
  const Pico native_requests = requests_of(native);
  const double won_by_byte =
      static_cast<double>((native.total - native_requests) - (paid.total - paid_requests)) /
      static_cast<double>(account.bytes);
  const double lost_by_object =
      static_cast<double>(paid_requests - native_requests) / static_cast<double>(account.objects);
  if (won_by_byte <= 0) return std::nullopt;
  return static_cast<uint64_t>(std::max(0.0, lost_by_object / won_by_byte));
}

}  // namespace longhaul
