// ProgressWatch: whether anything goes forward, for runs that end by themselves.

#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace longhaul {

// One large object may take longer than the timeout, so bytes count as well; but not those of tries
// that fail time after time.
class ProgressWatch {
 public:
  ProgressWatch(Clock& clock, std::chrono::milliseconds timeout)
      : clock_(clock), timeout_(timeout), last_(clock.SteadyNow()) {}

  // All are sums since the process began. True: nothing has gone forward for the timeout at the
  // time `ahead` from now.
  bool RanOut(uint64_t finished, uint64_t failures, uint64_t bytes,
              std::chrono::nanoseconds ahead = {}) {
    if (finished != finished_) failures_ = failures;
    if (finished != finished_ || (bytes != bytes_ && failures < failures_ + kFailuresMax)) {
      last_ = clock_.SteadyNow();
    }
    finished_ = finished;
    bytes_ = bytes;
    return clock_.SteadyNow() + ahead > last_ + timeout_;
  }

 private:
  // Bytes that move are progress, until so many tries have failed since something was finished.
  static constexpr uint64_t kFailuresMax = 5;

  Clock& clock_;
  std::chrono::nanoseconds timeout_;
  SteadyTime last_;
  uint64_t finished_ = 0;
  uint64_t failures_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace longhaul
