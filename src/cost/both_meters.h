// BothMeters: tells two meters of every request of a store. Belongs to one shard.

#pragma once

#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/request_meter.h"

namespace longhaul {

class BothMeters : public RequestMeter {
 public:
  // shared: streams of the store may keep them.
  BothMeters(std::shared_ptr<RequestMeter> a, std::shared_ptr<RequestMeter> b)
      : a_(std::move(a)), b_(std::move(b)) {}

  int PlaceOf(std::string_view bucket, std::string_view key, RequestKind kind) override {
    const std::pair places(a_->PlaceOf(bucket, key, kind), b_->PlaceOf(bucket, key, kind));
    const auto [found, added] = numbers_.try_emplace(places, static_cast<int>(places_.size()));
    if (added) places_.push_back(places);
    return found->second;
  }
  void OnRequests(int place, RequestKind kind, std::string_view storage_class, int count) override {
    a_->OnRequests(At(place).first, kind, storage_class, count);
    b_->OnRequests(At(place).second, kind, storage_class, count);
  }
  void OnSent(int place, uint64_t bytes) override {
    a_->OnSent(At(place).first, bytes);
    b_->OnSent(At(place).second, bytes);
  }
  void OnReceived(int place, uint64_t bytes) override {
    a_->OnReceived(At(place).first, bytes);
    b_->OnReceived(At(place).second, bytes);
  }

 private:
  [[nodiscard]] const std::pair<int, int>& At(int place) const {
    return places_.at(static_cast<size_t>(place));
  }

  std::shared_ptr<RequestMeter> a_;
  std::shared_ptr<RequestMeter> b_;
  std::map<std::pair<int, int>, int> numbers_;
  std::vector<std::pair<int, int>> places_;
};

}  // namespace longhaul
