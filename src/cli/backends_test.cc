#include "cli/backends.h"

#include <algorithm>
#include <cstdlib>

#include "cli/sqs_place.h"
#include "tests/support/credentials_fixture.h"
#include "tests/support/test_console.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// A server that is five minutes ahead of us.
class ClockOfBackendsTest : public testing::CredentialsFixture {
 protected:
  ClockOfBackendsTest() {
    // Those of the process: no other is asked.
    ::setenv("AWS_ACCESS_KEY_ID", "AKIA1", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    answer_ = [this](const Asked&) {
      return Answer{.status = 400,
                    .body = R"({"__type":"com.amazonaws.test#ValidationException","message":"no"})",
                    .headers = {{"Date", FormatHttpDate(world_.clock.Now() + 5min)}}};
    };
  }
  ~ClockOfBackendsTest() override {
    ::unsetenv("AWS_ACCESS_KEY_ID");
    ::unsetenv("AWS_SECRET_ACCESS_KEY");
  }
  AwsPlace Place() { return {.name = "haul", .region = "eu-west-1", .endpoint = url_}; }

  testing::TestConsole console_;
  Output output_{console_, false, false};
  StoreTroubles troubles_{output_, world_.runtime.log, world_.clock};
};

// A store, a queue, event queues and a state each look at their own service's clock: five lines of
// one thing look like five.
TEST_F(ClockOfBackendsTest, AreToldOfOncePerProcess) {
  const AwsRequestHook hook = TellingClock(troubles_);
  DatabasePlace table;
  table.dynamodb = Place();
  EXPECT_FALSE(world_.Run(OpenState(world_.runtime, table, hook)));
  EXPECT_TRUE(console_.error.contains("behind that of dynamodb; all works")) << console_.error;
  for (int i = 0; i < 2; ++i) {
    Result<std::shared_ptr<SqsClient>> client = MakeSqsClient(world_.runtime, Place(), 0, hook);
    ASSERT_TRUE(client);
    EXPECT_FALSE(world_.Run((*client)->Find("haul")));
  }
  troubles_.ClockOff("store east")(300s);
  EXPECT_EQ(std::ranges::count(console_.error, '\n'), 1) << console_.error;
  EXPECT_EQ(asked_.size(), 3u);
}

// As `doctor` opens them: each of them by itself.
TEST_F(ClockOfBackendsTest, AreToldOfToWhoeverOpensThemApart) {
  std::vector<std::string> told;
  AwsRequestHook hook;
  hook.on_clock_off = [&told](const std::string& service, std::chrono::seconds ahead) {
    EXPECT_NEAR(static_cast<double>(ahead.count()), 300, 2);
    told.push_back(service);
  };
  Configuration configuration;
  configuration.queue.sqs = Place();
  configuration.state.dynamodb = Place();
  Result<BackendsApart> apart = world_.Run(
      OpenBackendsApart(world_.runtime, configuration, kEventsQueue, hook, QueueUse::kTakes));
  ASSERT_TRUE(apart);
  EXPECT_FALSE(apart->queue);
  EXPECT_FALSE(apart->state);
  std::ranges::sort(told);
  EXPECT_EQ(told, (std::vector<std::string>{"dynamodb", "sqs"}));
}

TEST_F(ClockOfBackendsTest, OfAQueueTooAndRequestsAreCountedAsBefore) {
  int counted = 0;
  const AwsRequestHook hook = TellingClock(
      troubles_, AwsRequestHook([&counted](std::string_view, const std::string&, std::string_view,
                                           std::string_view, std::string_view,
                                           int times) { counted += times; }));
  Result<std::shared_ptr<SqsClient>> client = MakeSqsClient(world_.runtime, Place(), 0, hook);
  ASSERT_TRUE(client);
  EXPECT_FALSE(world_.Run((*client)->Find("haul")));
  EXPECT_TRUE(console_.error.contains("behind that of sqs")) << console_.error;
  EXPECT_EQ(counted, 1);
}

}  // namespace
}  // namespace longhaul
