#include "aws/refreshing_credentials.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/support/run.h"
#include "tests/support/set_clock.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// Gives K1, K2, … for an hour each, or the errors that are set, after `takes`.
class Script : public CredentialsSource {
 public:
  explicit Script(Clock& clock) : clock(clock) {}
  Async<Credentials> Fetch() override {
    ++fetches;
    co_await clock.Sleep(takes);
    if (failure) co_return *failure;
    co_return Credentials{.access_key_id = "K" + std::to_string(++given),
                          .secret_access_key = Secret("S"),
                          .session_token = Secret("T"),
                          .expires = life ? std::optional(clock.Now() + *life) : std::nullopt};
  }

  Clock& clock;
  std::chrono::seconds takes = 1s;
  std::optional<std::chrono::seconds> life = 1h;
  std::optional<Error> failure;
  int fetches = 0;
  int given = 0;
};

class RefreshingCredentialsTest : public ::testing::Test {
 protected:
  RefreshingCredentialsTest() {
    auto source = std::make_unique<Script>(world_.clock);
    script_ = source.get();
    provider_ = MakeRefreshingCredentials(world_.runtime, std::move(source));
  }
  std::string Get() {
    Result<std::shared_ptr<const Credentials>> got = world_.Run(provider_->Get());
    return got ? (*got)->access_key_id : got.error().message;
  }
  asio::awaitable<void> GetInto(std::vector<std::string>& all) {
    Result<std::shared_ptr<const Credentials>> got = co_await provider_->Get();
    all.push_back(got ? (*got)->access_key_id : got.error().message);
  }
  std::vector<std::string> GetTogether(size_t count) {
    std::vector<std::string> all;
    for (size_t i = 0; i < count; ++i) world_.Start(GetInto(all));
    world_.Drive([&] { return all.size() == count; });
    return all;
  }

  testing::FakeWorld world_;
  Script* script_;
  std::shared_ptr<CredentialsProvider> provider_;
};

// 64 requests at the start of a run must not be 64 calls of AssumeRole.
TEST_F(RefreshingCredentialsTest, OneFetchForAllWhoWait) {
  EXPECT_EQ(GetTogether(64), std::vector<std::string>(64, "K1"));
  EXPECT_EQ(script_->fetches, 1);
}

TEST_F(RefreshingCredentialsTest, OneFailureForAllWhoWait) {
  script_->failure = Retryable("no answer");
  EXPECT_EQ(GetTogether(64), std::vector<std::string>(64, "no answer"));
  EXPECT_EQ(script_->fetches, 1);
  script_->failure.reset();
  EXPECT_EQ(Get(), "K1");
}

// A request signed with keys that run out on the way is refused.
TEST_F(RefreshingCredentialsTest, RefreshesFiveToTenMinutesBeforeTheEnd) {
  EXPECT_EQ(Get(), "K1");
  world_.clock.Advance(49min);
  EXPECT_EQ(Get(), "K1");
  world_.clock.Advance(6min);
  EXPECT_EQ(Get(), "K2");
}

// A fleet that was started together must not ask together.
TEST(RefreshingCredentialsJitter, SeedsRefreshAtDifferentTimes) {
  std::vector<int> minutes;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    testing::FakeWorld world(seed);
    auto provider = MakeRefreshingCredentials(world.runtime, std::make_unique<Script>(world.clock));
    int minute = 0;
    while ((*world.Run(provider->Get()))->access_key_id == "K1") {
      world.clock.Advance(1min);
      ++minute;
    }
    EXPECT_GE(minute, 49);
    EXPECT_LE(minute, 56);
    minutes.push_back(minute);
  }
  std::ranges::sort(minutes);
  EXPECT_GT(minutes.back(), minutes.front());
}

TEST_F(RefreshingCredentialsTest, NobodyWaitsForARefreshWhileTheOldOnesAreValid) {
  EXPECT_EQ(Get(), "K1");
  world_.clock.Advance(55min);
  std::vector<std::string> all = GetTogether(5);
  std::ranges::sort(all);
  EXPECT_EQ(all, (std::vector<std::string>{"K1", "K1", "K1", "K1", "K2"}));
}

// An outage of STS shorter than the rest of the keys' life must not be noticed.
TEST_F(RefreshingCredentialsTest, OldOnesAreUsedWhileTheyAreValidAndNoLonger) {
  EXPECT_EQ(Get(), "K1");
  script_->failure = Retryable("no answer");
  world_.clock.Advance(55min);
  EXPECT_EQ(Get(), "K1");
  EXPECT_EQ(script_->fetches, 2);
  EXPECT_EQ(Get(), "K1");  // Not asked again with each request.
  EXPECT_EQ(script_->fetches, 2);
  world_.clock.Advance(1min);
  EXPECT_EQ(Get(), "K1");
  EXPECT_EQ(script_->fetches, 3);
  world_.clock.Advance(4min);
  EXPECT_EQ(Get(), "no answer");
  script_->failure.reset();
  EXPECT_EQ(Get(), "K2");
}

TEST_F(RefreshingCredentialsTest, InvalidateFetchesAnewAndOnceForARowOfRefusals) {
  EXPECT_EQ(Get(), "K1");
  world_.clock.Advance(1min);
  EXPECT_TRUE(provider_->Invalidate());
  EXPECT_EQ(Get(), "K2");
  EXPECT_TRUE(provider_->Invalidate());  // By a request that was signed with K1.
  EXPECT_EQ(Get(), "K2");
  world_.clock.Advance(1min);
  EXPECT_TRUE(provider_->Invalidate());
  script_->failure = Retryable("no answer");
  EXPECT_EQ(Get(), "no answer");  // What the service refused is not used again.
}

TEST_F(RefreshingCredentialsTest, ARefusalIsRememberedForSeconds) {
  script_->failure = Error{.kind = ErrorKind::kDenied, .message = "no role"};
  EXPECT_EQ(Get(), "no role");
  EXPECT_EQ(Get(), "no role");
  EXPECT_EQ(script_->fetches, 1);
  world_.clock.Advance(6s);
  script_->failure.reset();
  EXPECT_EQ(Get(), "K1");
}

// Until a clock that was set back is where it was, nothing would be fetched, whatever is refused.
TEST_F(RefreshingCredentialsTest, AClockThatIsSetBackLocksNobodyOut) {
  testing::SetClock clock(world_.clock);
  const Runtime runtime = clock.In(world_.runtime);
  auto source = std::make_unique<Script>(clock);
  script_ = source.get();
  provider_ = MakeRefreshingCredentials(runtime, std::move(source));
  script_->failure = Error{.kind = ErrorKind::kDenied, .message = "no role"};
  EXPECT_EQ(Get(), "no role");
  clock.ahead = -2h;
  world_.clock.Advance(6s);
  script_->failure.reset();
  EXPECT_EQ(Get(), "K1");
  clock.ahead = -4h;
  world_.clock.Advance(1min);
  EXPECT_TRUE(provider_->Invalidate());
  EXPECT_EQ(Get(), "K2");
}

// With a clock that is an hour ahead all credentials look old: each request would fetch new ones.
TEST_F(RefreshingCredentialsTest, WhatHasRunOutOnArrivalIsNotFetchedForEachRequest) {
  script_->life = -1min;
  EXPECT_EQ(Get(), "K1");
  EXPECT_EQ(Get(), "K1");
  world_.clock.Advance(61s);
  EXPECT_EQ(Get(), "K2");
}

TEST_F(RefreshingCredentialsTest, ShortAndEndlessLives) {
  script_->life = 15min;
  EXPECT_EQ(Get(), "K1");
  world_.clock.Advance(9min);
  EXPECT_EQ(Get(), "K1");
  world_.clock.Advance(5min);
  script_->life.reset();
  EXPECT_EQ(Get(), "K2");
  world_.clock.Advance(24h * 365);
  EXPECT_EQ(Get(), "K2");
}

}  // namespace
}  // namespace longhaul
