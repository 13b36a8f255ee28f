// RequestCounts: what a store was asked for, as its bill names it, by kind and class; and what that
// comes to.
//
// Belongs to one shard.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "cost/bill.h"
#include "storage/request_meter.h"

namespace longhaul {

class RequestCounts : public RequestMeter {
 public:
  // Bytes are told apart by the kind of their request, and those that are of no object.
  int PlaceOf(std::string_view, std::string_view key, RequestKind kind) override {
    return key.empty() ? kOfNoObject : static_cast<int>(kind);
  }
  void OnRequests(int, RequestKind kind, std::string_view storage_class, int count) override {
    requests_[{kind, std::string(storage_class)}] += static_cast<uint64_t>(count);
  }
  void OnSent(int place, uint64_t bytes) override { sent_bytes_[place] += bytes; }
  void OnReceived(int place, uint64_t bytes) override { received_bytes_[place] += bytes; }

  // Nothing was asked for.
  [[nodiscard]] bool empty() const { return requests_.empty(); }
  [[nodiscard]] uint64_t received_bytes() const;
  // The requests, at the prices of a region, as "requests at the source". `what`: "the source".
  void AddTo(Bill& bill, const std::string& region, std::string_view what) const;
  // The same of directory buckets (S3 Express One Zone), where each byte of an object that goes in
  // or out is paid for, too.
  void AddExpressTo(Bill& bill, const std::string& region, std::string_view what) const;

 private:
  static constexpr int kOfNoObject = -1;
  std::map<std::pair<RequestKind, std::string>, uint64_t> requests_;
  std::map<int, uint64_t> sent_bytes_;
  std::map<int, uint64_t> received_bytes_;
};

}  // namespace longhaul
