#include "base/retry.h"

#include <algorithm>
#include <cmath>

namespace longhaul {

using std::chrono::nanoseconds;

bool RetryBudget::Take(int cost) {
  if (cost > tokens_) return false;
  tokens_ -= cost;
  return true;
}

void RetryBudget::Refund(int cost) { tokens_ = std::min(kTokensMax, tokens_ + cost); }

RetryState::RetryState(const RetryPolicy& policy, RetryBudget& budget, Clock& clock, Random& random)
    : policy_(policy),
      budget_(budget),
      clock_(clock),
      random_(random),
      deadline_(clock.SteadyNow() + policy.deadline) {}

std::optional<nanoseconds> RetryState::DelayAfter(const Error& error) {
  if (!error.Transient() || attempts_ >= policy_.attempts_max) return std::nullopt;

  const nanoseconds base =
      error.kind == ErrorKind::kThrottled ? policy_.throttled_base : policy_.base;
  // Doubling stops at 2^20, far above any cap, so that nothing overflows.
  const double ceiling =
      std::min(static_cast<double>(nanoseconds(policy_.cap).count()),
               static_cast<double>(base.count()) * std::exp2(std::min(attempts_ - 1, 20)));
  nanoseconds delay(static_cast<int64_t>(random_.Unit() * ceiling));
  delay = std::max(delay, nanoseconds(error.retry_after));
  if (delay > remaining()) return std::nullopt;

  const int cost = error.code == kTimeoutCode ? RetryBudget::kTimeoutCost : RetryBudget::kRetryCost;
  if (!budget_.Take(cost)) return std::nullopt;
  last_cost_ = cost;
  ++attempts_;
  return delay;
}

void RetryState::Succeeded() { budget_.Refund(last_cost_ > 0 ? last_cost_ : 1); }

nanoseconds RetryState::remaining() const {
  return std::max(nanoseconds(0), nanoseconds(deadline_ - clock_.SteadyNow()));
}

Error RetryState::GaveUp(const Error& error) const {
  if (attempts_ <= 1) return error;
  return error.In("after " + std::to_string(attempts_) + " attempts");
}

}  // namespace longhaul
