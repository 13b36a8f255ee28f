// Retry: the one policy by which longhaul repeats what failed for a reason that may pass.
//
// Waits are exponential with full jitter (Brooker, "Exponential Backoff And Jitter", AWS
// Architecture Blog 2015) and never shorter than the Retry-After of the answer. A budget per
// endpoint keeps a dead endpoint from being asked again and again by everyone at once: retries take
// tokens out of it, successes put some back (as the AWS SDKs do in their "standard" mode). When it
// is empty, or the attempts or the deadline run out, the last error comes out; the queue brings the
// work back later.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"

namespace longhaul {

// The code of a kRetryable error that took a whole timeout to come: its retry costs double.
inline constexpr std::string_view kTimeoutCode = "Timeout";

struct RetryPolicy {
  int attempts_max = 8;  // The first one included. With the waits below: about half a minute.
  std::chrono::milliseconds base{100};
  std::chrono::milliseconds throttled_base{1'000};  // After kThrottled: the server asked for rest.
  std::chrono::milliseconds cap{20'000};
  // For all attempts and the waits between them. No attempt is started after it, a running one is
  // not cut: its own timeout does that.
  std::chrono::milliseconds deadline{120'000};
};

// Belongs to one shard; one per endpoint.
class RetryBudget {
 public:
  static constexpr int kTokensMax = 500;
  static constexpr int kRetryCost = 5;
  static constexpr int kTimeoutCost = 10;

  // False: there are not enough left, do not retry.
  bool Take(int cost);
  // After a success: what its last retry had cost, or 1 for a first attempt.
  void Refund(int cost);
  [[nodiscard]] int tokens() const { return tokens_; }

 private:
  int tokens_ = kTokensMax;
};

// The decisions of one operation, for the loop that makes its attempts:
//
//     while (true) {
//       Result<T> result = co_await Attempt();
//       if (result) { state.Succeeded(); co_return result; }
//       auto delay = state.DelayAfter(result.error());
//       if (!delay) co_return state.GaveUp(result.error());
//       co_await clock.Sleep(*delay);
//     }
class RetryState {
 public:
  RetryState(const RetryPolicy& policy, RetryBudget& budget, Clock& clock, Random& random);

  // How long to wait before the next attempt; nullopt: give up.
  std::optional<std::chrono::nanoseconds> DelayAfter(const Error& error);
  void Succeeded();
  // Until the deadline, not below 0.
  [[nodiscard]] std::chrono::nanoseconds remaining() const;
  [[nodiscard]] int attempts() const { return attempts_; }
  // `error`, saying how often it was tried when that was more than once.
  [[nodiscard]] Error GaveUp(const Error& error) const;

 private:
  RetryPolicy policy_;
  RetryBudget& budget_;
  Clock& clock_;
  Random& random_;
  SteadyTime deadline_;
  int attempts_ = 1;  // The one that runs or has just failed.
  int last_cost_ = 0;
};

}  // namespace longhaul
