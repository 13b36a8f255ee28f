#include "cli/store_troubles.h"

#include <gtest/gtest.h>

#include "tests/support/run.h"
#include "tests/support/test_console.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeWorld;
using testing::TestConsole;

struct Troubled {
  FakeWorld world;
  TestConsole console;
  Output output{console, false, false};
  StoreTroubles troubles{output, world.runtime.log, world.clock};
  std::function<void(const Error*)> west = troubles.For("store west");

  std::string After(std::chrono::nanoseconds time, const Error* failure) {
    world.clock.Advance(time);
    console.out.clear();
    console.error.clear();
    west(failure);
    return console.error + console.out;
  }
};

// Silence until the tenth attempt looks like a hang; a line for each attempt hides everything else.
TEST(StoreTroubles, TellsTheFirstFailureAndEachNewKind) {
  Troubled t;
  Error refused = Retryable("GET b/k: refused after 1 ms");
  EXPECT_EQ(t.After(0s, &refused),
            "longhaul: store west: GET b/k: refused after 1 ms; trying again\n");
  Error later = Retryable("GET b/other: refused after 2 ms");
  EXPECT_EQ(t.After(1s, &later), "");
  Error busy{.kind = ErrorKind::kThrottled, .message = "PUT b/k: rest", .code = "SlowDown"};
  EXPECT_NE(t.After(1s, &busy), "");
  EXPECT_EQ(t.After(1s, &later), "");
  EXPECT_EQ(t.After(1s, nullptr), "store west: answers again\n");
  EXPECT_NE(t.After(1s, &refused), "");  // A new outage.
}

// Each of ten stores notices the same wrong clock.
TEST(StoreTroubles, AWrongClockIsToldOnce) {
  Troubled t;
  auto east = t.troubles.ClockOff("store east");
  t.troubles.ClockOff("store west")(300s);
  east(300s);
  EXPECT_EQ(t.console.error,
            "longhaul: this machine's clock is 5m 00s behind that of store west; all works, but "
            "set it right\n");
}

// A server that refuses one request in a hundred must not fill the screen, yet its end is told.
TEST(StoreTroubles, FlappingIsOneLineAndALongOutageAnother) {
  Troubled t;
  Error refused = Retryable("refused");
  EXPECT_NE(t.After(0s, &refused), "");
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(t.After(100ms, nullptr), "");
    EXPECT_EQ(t.After(1s, &refused), "");
  }
  EXPECT_EQ(t.After(29s, &refused), "");
  EXPECT_EQ(t.After(2s, &refused), "longhaul: store west: for 31.0 s now: refused; trying again\n");
  EXPECT_EQ(t.After(30s, &refused), "");
}

}  // namespace
}  // namespace longhaul
