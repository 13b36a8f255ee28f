#include "storage/request_limit.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// A server that carries out so many requests at a time and refuses all others, and clients that
// want more.
class RequestLimitTest : public ::testing::Test {
 protected:
  Async<void> SendOne() {
    if (!limit_->has_room()) co_await RequestLimit::WaitForRoom(limit_);
    RequestLimit::Turn turn(limit_);
    ++sent_;
    const bool throttled = busy_ >= capacity_;
    if (!throttled) ++busy_;
    most_busy_ = std::max(most_busy_, limit_->under_way());
    co_await world_.clock.Sleep(throttled ? 5ms : 100ms);
    if (!throttled) --busy_;
    (throttled ? refused_ : done_) += 1;
    turn.Answered(throttled);
    co_return Ok();
  }
  Async<void> SendMany(int count) {
    TaskGroup group(world_.runtime.executor);
    for (int i = 0; i < count; ++i) group.Spawn(SendOne());
    co_return co_await group.Join();
  }
  Async<void> Client(std::chrono::seconds time) {
    const SteadyTime end = world_.clock.SteadyNow() + time;
    while (world_.clock.SteadyNow() < end) {
      Result<void> sent = co_await SendOne();
      if (!sent) co_return sent;
    }
    co_return Ok();
  }
  Async<void> Clients(int count, std::chrono::seconds time) {
    TaskGroup group(world_.runtime.executor);
    for (int i = 0; i < count; ++i) group.Spawn(Client(time));
    co_return co_await group.Join();
  }

  testing::FakeWorld world_;
  std::shared_ptr<RequestLimit> limit_ = std::make_shared<RequestLimit>(64);
  int capacity_ = 1000;
  int busy_ = 0;
  int most_busy_ = 0;
  int sent_ = 0;
  int refused_ = 0;
  int done_ = 0;
};

// Who is never refused is never held up.
TEST_F(RequestLimitTest, ThereIsNoneUntilTheServerAsksForRest) {
  ASSERT_TRUE(world_.Run(Clients(200, 10s)));
  EXPECT_EQ(most_busy_, 200);
  EXPECT_EQ(limit_->limit(), 64);
  EXPECT_EQ(done_, 200 * 100);
}

// A burst of refusals is one sign, not forty: else one bad moment would bring the limit down to 1.
TEST_F(RequestLimitTest, ABurstHalvesItOnce) {
  capacity_ = 0;
  ASSERT_TRUE(world_.Run(SendMany(40)));
  EXPECT_EQ(limit_->limit(), 20);
  ASSERT_TRUE(world_.Run(SendOne()));
  EXPECT_EQ(limit_->limit(), 1) << "one was under way, and was refused";
  ASSERT_TRUE(world_.Run(SendOne()));
  EXPECT_EQ(limit_->limit(), 1) << "one goes on trying";
}

// It settles near what the server bears, with few refusals, and is gone when the server recovers.
TEST_F(RequestLimitTest, SettlesAndRecovers) {
  capacity_ = 16;
  ASSERT_TRUE(world_.Run(Clients(60, 20s)));
  sent_ = refused_ = done_ = 0;
  ASSERT_TRUE(world_.Run(Clients(60, 60s)));
  EXPECT_GT(done_, 60 * 10 * 16 * 6 / 10) << "of what the server bears";
  EXPECT_LT(refused_, sent_ / 20);
  capacity_ = 1000;
  ASSERT_TRUE(world_.Run(Clients(100, 60s)));
  EXPECT_EQ(limit_->limit(), 64);
  EXPECT_EQ(limit_->under_way(), 0);
}

}  // namespace
}  // namespace longhaul
