#include "base/retry.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeWorld;

// An operation that fails as often as it is told, each time with the same error.
struct Flaky {
  FakeWorld& world;
  int failures = 0;
  Error error;
  std::chrono::nanoseconds takes{0};
  std::vector<SteadyTime> calls{};

  Async<std::string> Call() {
    calls.push_back(world.clock.SteadyNow());
    if (takes.count() > 0) co_await world.clock.Sleep(takes);
    if (static_cast<int>(calls.size()) <= failures) co_return error;
    co_return "done";
  }
};

Async<std::string> CallWithRetry(FakeWorld& world, RetryPolicy policy, RetryBudget& budget,
                                 Flaky& flaky) {
  RetryState state(policy, budget, world.clock, world.random);
  while (true) {
    Result<std::string> result = co_await flaky.Call();
    if (result) {
      state.Succeeded();
      co_return result;
    }
    std::optional<std::chrono::nanoseconds> delay = state.DelayAfter(result.error());
    if (!delay) co_return state.GaveUp(result.error());
    co_await world.clock.Sleep(*delay);
  }
}

// What passes by itself must not reach the caller.
TEST(RetryTest, RepeatsUntilItWorks) {
  FakeWorld world;
  RetryBudget budget;
  Flaky flaky{world, 3, Retryable("connection reset")};
  EXPECT_EQ(*world.Run(CallWithRetry(world, {}, budget, flaky)), "done");
  EXPECT_EQ(flaky.calls.size(), 4U);
}

// Repeating what can never work wastes the budget and hides the message.
TEST(RetryTest, LeavesOtherErrorsAlone) {
  FakeWorld world;
  RetryBudget budget;
  for (ErrorKind kind : {ErrorKind::kNotFound, ErrorKind::kPrecondition, ErrorKind::kDenied,
                         ErrorKind::kCorrupt, ErrorKind::kInvalidInput, ErrorKind::kCancelled}) {
    Flaky flaky{world, 1, Error{.kind = kind, .message = "no"}};
    Result<std::string> result = world.Run(CallWithRetry(world, {}, budget, flaky));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, kind);
    EXPECT_EQ(result.error().message, "no");
    EXPECT_EQ(flaky.calls.size(), 1U);
  }
}

// A request that never succeeds must come back to the queue, with the number of attempts told.
TEST(RetryTest, GivesUpAfterTheLastAttempt) {
  FakeWorld world;
  RetryBudget budget;
  Flaky flaky{world, 100, Retryable("reset")};
  Result<std::string> result = world.Run(CallWithRetry(world, {.attempts_max = 4}, budget, flaky));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "after 4 attempts: reset");
  EXPECT_EQ(flaky.calls.size(), 4U);
}

// Waits grow, stay below the cap, and differ: else all clients come back in the same moment.
TEST(RetryTest, WaitsGrowWithFullJitter) {
  FakeWorld world;
  RetryPolicy policy{.attempts_max = 30, .base = 100ms, .cap = 2s, .deadline = 1h};
  double longest = 0;
  double sum_first = 0;
  for (int round = 0; round < 200; ++round) {
    RetryBudget budget;
    RetryState state(policy, budget, world.clock, world.random);
    for (int attempt = 1; attempt < 30; ++attempt) {
      auto delay = state.DelayAfter(Retryable("x"));
      ASSERT_TRUE(delay);
      double seconds = std::chrono::duration<double>(*delay).count();
      EXPECT_LE(seconds, std::min(2.0, 0.1 * (1 << std::min(attempt - 1, 10))));
      longest = std::max(longest, seconds);
      if (attempt == 1) sum_first += seconds;
    }
  }
  EXPECT_GT(longest, 1.9);
  EXPECT_NEAR(sum_first / 200, 0.05, 0.01);
}

// A server that says when to come back knows better.
TEST(RetryTest, RespectsRetryAfter) {
  FakeWorld world;
  RetryBudget budget;
  Error slow{.kind = ErrorKind::kThrottled, .message = "SlowDown", .retry_after = 30s};
  Flaky flaky{world, 1, slow};
  EXPECT_TRUE(world.Run(CallWithRetry(world, {}, budget, flaky)));
  EXPECT_GE(flaky.calls[1] - flaky.calls[0], 30s);

  // Beyond the deadline there is nothing to wait for.
  slow.retry_after = 10min;
  Flaky slower{world, 1, slow};
  EXPECT_FALSE(world.Run(CallWithRetry(world, {}, budget, slower)));
  EXPECT_EQ(slower.calls.size(), 1U);
}

// However many attempts are allowed, an operation ends near its deadline.
TEST(RetryTest, EndsAtTheDeadline) {
  FakeWorld world;
  RetryBudget budget;
  Flaky flaky{world, 1000, Retryable("slow"), 3s};
  RetryPolicy policy{.attempts_max = 1000, .deadline = 10s};
  EXPECT_FALSE(world.Run(CallWithRetry(world, policy, budget, flaky)));
  EXPECT_LE(world.clock.SteadyNow().time_since_epoch(), 13s);
  EXPECT_GE(flaky.calls.size(), 3U);
}

// When everything fails, retries would multiply the load on what is down; the budget stops them.
TEST(RetryTest, BudgetRunsOutAndRecovers) {
  FakeWorld world;
  RetryBudget budget;
  int calls = 0;
  for (int operation = 0; operation < 100; ++operation) {
    Flaky flaky{world, 100, Retryable("down")};
    EXPECT_FALSE(world.Run(CallWithRetry(world, {.attempts_max = 4}, budget, flaky)));
    calls += static_cast<int>(flaky.calls.size());
  }
  EXPECT_EQ(calls, 100 + RetryBudget::kTokensMax / RetryBudget::kRetryCost);
  EXPECT_EQ(budget.tokens(), 0);

  Flaky fine{world, 0, {}};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(world.Run(CallWithRetry(world, {}, budget, fine)));
  EXPECT_EQ(budget.tokens(), 10);
  Flaky timeout{world, 1, Error{.kind = ErrorKind::kRetryable, .code = std::string(kTimeoutCode)}};
  EXPECT_TRUE(world.Run(CallWithRetry(world, {}, budget, timeout)));
  EXPECT_EQ(budget.tokens(), 10);  // All 10 were taken and came back with the success.
}

}  // namespace
}  // namespace longhaul
