// FailureRing: the last failures that this process has seen, for whoever looks at them by the API.
// Belongs to one shard.

#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/clock.h"

namespace longhaul {

struct SeenFailure {
  uint64_t number = 0;  // Rising.
  SystemTime time{};
  std::string rule;
  std::string target;  // Empty: at the source.
  std::string key;
  std::string op;     // Empty: not known.
  std::string state;  // "parked", "conflict", "retry"
  std::string reason;
};

class FailureRing {
 public:
  static constexpr size_t kFailuresMax = 500;

  void Add(SeenFailure failure) {
    failure.number = ++last_;
    if (failure.reason.size() > 2000) failure.reason.resize(2000);
    failures_.push_back(std::move(failure));
    if (failures_.size() > kFailuresMax) failures_.pop_front();
  }
  // The oldest first.
  [[nodiscard]] const std::deque<SeenFailure>& failures() const { return failures_; }
  [[nodiscard]] uint64_t last() const { return last_; }

 private:
  std::deque<SeenFailure> failures_;
  uint64_t last_ = 0;
};

}  // namespace longhaul
