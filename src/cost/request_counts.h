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
  int PlaceOf(std::string_view, std::string_view, RequestKind) override { return 0; }
  void OnRequests(int, RequestKind kind, std::string_view storage_class, int count) override {
    requests_[{kind, std::string(storage_class)}] += static_cast<uint64_t>(count);
  }
  void OnSent(int, uint64_t bytes) override { sent_bytes_ += bytes; }
  void OnReceived(int, uint64_t bytes) override { received_bytes_ += bytes; }

  [[nodiscard]] uint64_t received_bytes() const { return received_bytes_; }
  // The requests, at the prices of a region, as "requests at the source". `what`: "the source".
  void AddTo(Bill& bill, const std::string& region, std::string_view what) const;

 private:
  std::map<std::pair<RequestKind, std::string>, uint64_t> requests_;
  uint64_t sent_bytes_ = 0;
  uint64_t received_bytes_ = 0;
};

}  // namespace longhaul
