#include "base/event_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

namespace longhaul {
namespace {

using std::chrono::steady_clock;

// How long a timer of 100 us takes to be handled: the shortest and the median of many.
struct Rounds {
  steady_clock::duration shortest, median;
};
Rounds Measure(int answers, int bodies) {
  asio::io_context io;
  std::shared_ptr<NetworkWaits> waits = NetworkWaits::Of(io.get_executor());
  waits->answers = answers;
  waits->bodies = bodies;
  std::vector<steady_clock::duration> took;
  asio::steady_timer timer(io);
  for (int i = 0; i < 41; ++i) {
    const steady_clock::time_point begin = steady_clock::now();
    asio::post(io, [&] {
      timer.expires_after(std::chrono::microseconds(100));
      timer.async_wait(
          [&](boost::system::error_code) { took.push_back(steady_clock::now() - begin); });
    });
    io.restart();
    RunEventLoop(io);
  }
  std::ranges::sort(took);
  return {.shortest = took.front(), .median = took[took.size() / 2]};
}

TEST(EventLoopTest, RoundsGatherWhenManyAnswersAreAwaited) {
  EXPECT_LT(Measure(0, 0).shortest, kGather);
  EXPECT_LT(Measure(kManyAnswers - 1, 0).shortest, kGather);
  EXPECT_GE(Measure(kManyAnswers, 0).median, kGather);
}

// Large objects take what the network gives.
TEST(EventLoopTest, NothingRestsWhileABodyIsUnderWay) {
  EXPECT_LT(Measure(kManyAnswers, 1).shortest, kGather);
}

TEST(EventLoopTest, WaitsAreCountedForTheirContextAlone) {
  asio::io_context io, other;
  std::shared_ptr<NetworkWaits> waits = NetworkWaits::Of(io.get_executor());
  EXPECT_EQ(NetworkWaits::Of(io.get_executor()), waits);
  {
    const NetworkWait answer(waits, &NetworkWaits::answers);
    const NetworkWait body(waits, &NetworkWaits::bodies);
    EXPECT_EQ(waits->answers, 1);
    EXPECT_EQ(waits->bodies, 1);
    EXPECT_EQ(NetworkWaits::Of(other.get_executor())->answers, 0);
  }
  EXPECT_EQ(waits->answers, 0);
  EXPECT_EQ(waits->bodies, 0);
}

// A thread that is told to stop does not rest first.
TEST(EventLoopTest, StopEndsIt) {
  asio::io_context io;
  asio::steady_timer never(io, std::chrono::hours(1));
  never.async_wait([](boost::system::error_code) {});
  asio::post(io, [&io] { io.stop(); });
  RunEventLoop(io);
  EXPECT_TRUE(io.stopped());
}

}  // namespace
}  // namespace longhaul
