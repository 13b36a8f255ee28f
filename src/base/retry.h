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
#include <type_traits>
#include <utility>

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

// The decisions of one operation, for loops of their own (refreshing credentials, say). Most use
// Retry() below.
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

// Calls `operation()`, which returns an Async<T>, until it succeeds, fails for good (an error that
// is not Transient()) or the policy gives up. `operation` is no coroutine itself but calls one:
//     co_await Retry(clock, random, policy, budget, [&] { return Send(request); });
// What it captures must live until the await is over. `stop`, when given and set, ends a wait with
// kCancelled.
template <class Operation>
std::invoke_result_t<Operation&> Retry(Clock& clock, Random& random, RetryPolicy policy,
                                       RetryBudget& budget, Operation operation,
                                       Event* stop = nullptr) {
  RetryState state(policy, budget, clock, random);
  while (true) {
    auto result = co_await operation();
    if (result) {
      state.Succeeded();
      co_return std::move(result);
    }
    std::optional<std::chrono::nanoseconds> delay = state.DelayAfter(result.error());
    if (!delay) co_return state.GaveUp(result.error());
    if (stop == nullptr) {
      co_await clock.Sleep(*delay);
    } else if (co_await stop->WaitFor(clock, *delay)) {
      co_return Cancelled("stopped while waiting to retry: " + result.error().message);
    }
  }
}

}  // namespace longhaul
