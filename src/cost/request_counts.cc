#include "cost/request_counts.h"

namespace longhaul {

namespace {

void AddRequests(Bill& bill, const std::string& region, std::string_view what, RequestKind kind,
                 std::string_view storage_class, uint64_t count) {
  bill.Add(
      "requests at " + std::string(what),
      "request/" + region + "/" + std::string(ToString(kind)) + "/" + std::string(storage_class),
      Bill::Unit::kEach, count);
}

uint64_t Of(const std::map<int, uint64_t>& bytes, RequestKind kind) {
  const auto found = bytes.find(static_cast<int>(kind));
  return found == bytes.end() ? 0 : found->second;
}

}  // namespace

uint64_t RequestCounts::received_bytes() const {
  uint64_t sum = 0;
  for (const auto& [place, bytes] : received_bytes_) sum += bytes;
  return sum;
}

void RequestCounts::AddTo(Bill& bill, const std::string& region, std::string_view what) const {
  for (const auto& [key, count] : requests_) {
    const auto& [kind, storage_class] = key;
    AddRequests(bill, region, what, kind, storage_class.empty() ? "STANDARD" : storage_class,
                count);
  }
}

void RequestCounts::AddExpressTo(Bill& bill, const std::string& region,
                                 std::string_view what) const {
  // It has one class, of which no listing and no PUT tells.
  for (const auto& [key, count] : requests_) {
    AddRequests(bill, region, what, key.first, "EXPRESS_ONEZONE", count);
  }
  bill.Add("bytes into " + std::string(what), "express_upload_gib/" + region, Bill::Unit::kByte,
           Of(sent_bytes_, RequestKind::kPut));
  bill.Add("bytes out of " + std::string(what), "express_retrieval_gib/" + region,
           Bill::Unit::kByte, Of(received_bytes_, RequestKind::kGet));
}

}  // namespace longhaul
