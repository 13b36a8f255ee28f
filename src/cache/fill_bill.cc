#include "cache/fill_bill.h"

#include <set>
#include <utility>

#include "cost/bill.h"
#include "storage/s3_bucket_name.h"

namespace longhaul::cache {

FillBill::FillBill(End source, End target, Prices prices)
    : source_(std::move(source)), target_(std::move(target)), prices_(std::move(prices)) {}

RunCost FillBill::Reckon(const BatchCopyWork& work, std::chrono::seconds ttl) const {
  Bill bill;
  std::set<std::string> unknown;
  const auto add = [&](const End& end) {
    if (end.counts->empty()) return;
    if (end.region.empty()) {
      unknown.insert("the region of " + end.name);
    } else if (end.directory) {
      end.counts->AddExpressTo(bill, end.region, end.name);
    } else {
      end.counts->AddTo(bill, end.region, end.name);
    }
  };
  add(source_);
  if (target_.counts != source_.counts) add(target_);
  const std::string& from = source_.region;
  const std::string& to = target_.region;
  if (!from.empty() && !to.empty() && from != to) {
    bill.Add("transfer", "transfer/" + from + "/" + to, Bill::Unit::kByte,
             source_.counts->received_bytes());
  }
  Bill::Sum paid = bill.Reckon(prices_);
  unknown.merge(paid.unknown);
  RunCost cost{.items = std::move(paid.items),
               .unknown = {unknown.begin(), unknown.end()},
               .batch = CostByBatchCopy(work, prices_).items};
  if (to.empty() || work.bytes == 0) return cost;
  Bill storage;
  const auto seconds = static_cast<uint64_t>(ttl.count());
  storage.Add("storage", "storage/" + to + (target_.directory ? "/EXPRESS_ONEZONE" : "/STANDARD"),
              Bill::Unit::kKibSecond, Bill::Quantity{work.bytes} * seconds / 1024);
  const Bill::Sum kept = storage.Reckon(prices_);
  if (kept.unknown.empty()) cost.storage = kept.total;
  return cost;
}

Result<void> FillStores::OpenSource(const Address& address) {
  Result<CountedStore> opened = open_(address.store, address.bucket);
  if (!opened) return opened.error();
  source_ = std::move(*opened);
  source_name_ = address.store;
  source_directory_ = IsDirectoryBucket(address.bucket);
  return Ok();
}

Result<void> FillStores::OpenTarget(const Address& address) {
  const bool directory = IsDirectoryBucket(address.bucket);
  if (address.store == source_name_ && directory == source_directory_) return Ok();
  Result<CountedStore> opened = open_(address.store, address.bucket);
  if (!opened) return opened.error();
  target_ = std::move(*opened);
  return Ok();
}

FillBill FillStores::BillAt(Prices prices) const {
  return {source_.counted, target_.store ? target_.counted : source_.counted, std::move(prices)};
}

}  // namespace longhaul::cache
