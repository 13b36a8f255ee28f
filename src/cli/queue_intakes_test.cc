#include "cli/queue_intakes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "events/hint.h"
#include "tests/support/event_queue.h"
#include "tests/support/fake_queue.h"
#include "tests/support/fake_sqs.h"
#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kQueue[] = "app-events";
constexpr char kDead[] = "app-events-dead";

class QueueIntakesTest : public ::testing::Test {
 protected:
  QueueIntakesTest() { testing::AddEventQueue(sqs_, kQueue, kDead); }
  void AddRule(std::string id, std::string bucket, std::string prefix, AwsPlace place) {
    Rule rule{
        .id = std::move(id),
        .source = {.store = "east", .bucket = std::move(bucket), .prefix = std::move(prefix)}};
    rule.intake.sqs = std::move(place);
    configuration_.rules.push_back(std::move(rule));
  }
  Result<void> Open(QueueIntakes& intakes) {
    return world_.Run(
        intakes.Open([this](const AwsPlace& place) { return sqs_.Client(place.endpoint); }));
  }
  void RunFor(QueueIntakes& intakes, std::chrono::nanoseconds time) {
    Event stop;
    intakes.Start(stop);
    world_.Run(world_.clock.Sleep(time));
    stop.Set();
    world_.Run(intakes.Join());
  }
  size_t Keys() {
    size_t keys = 0;
    for (const std::string& body : hints_->Bodies()) {
      Result<HintMessage> message = DecodeHints(body);
      EXPECT_TRUE(message);
      if (message) keys += message->hints.size();
    }
    return keys;
  }

  testing::FakeWorld world_;
  testing::FakeSqs sqs_{world_.runtime};
  Configuration configuration_;
  std::shared_ptr<testing::FakeQueueBackend> hints_ = std::make_shared<testing::FakeQueueBackend>();
  testing::FakeQueue hint_queue_{world_.runtime, hints_};
  testing::FakeState state_{world_.runtime, std::make_shared<testing::FakeStateBackend>()};
  Observer observer_;
};

// Each reader takes away for good what none of its own rules wants: with one for each way of
// writing the queue, half of all changes would be lost.
TEST_F(QueueIntakesTest, AQueueThatIsWrittenInTwoWaysHasOneReader) {
  AddRule("a", "data", "a/", {.name = kQueue});
  AddRule("b", "data", "b/", {.name = kQueue, .region = "us-east-1"});
  AddRule("c", "other", "", {.name = kQueue, .profile = "p"});
  AddRule("d", "other", "", {.name = kQueue, .profile = "p"});
  QueueIntakes intakes(world_.runtime, configuration_, hint_queue_, state_, observer_);
  Result<void> opened = Open(intakes);
  ASSERT_TRUE(opened) << opened.error().Describe();
  for (int i = 0; i < 60; ++i) {
    const std::string name = std::to_string(i);
    sqs_.Put(kQueue, testing::S3EventOf("data", "a/" + name));
    sqs_.Put(kQueue, testing::S3EventOf("data", "b/" + name));
    sqs_.Put(kQueue, testing::S3EventOf("other", name));
  }
  RunFor(intakes, 30s);
  EXPECT_EQ(Keys(), 60u * 4);  // The last ones are of two rules.
  EXPECT_THAT(sqs_.queues[kQueue].messages, IsEmpty());
  EXPECT_THAT(sqs_.queues[kDead].messages, IsEmpty());
}

// What is under way elsewhere is drained meanwhile, which may take a minute: what came in then
// would be received in vain, and be a dead letter after some restarts.
TEST_F(QueueIntakesTest, NothingIsReceivedAfterTheSignal) {
  AddRule("a", "data", "", {.name = kQueue});
  QueueIntakes intakes(world_.runtime, configuration_, hint_queue_, state_, observer_);
  Result<void> opened = Open(intakes);
  ASSERT_TRUE(opened) << opened.error().Describe();
  const auto receives = [this] { return std::ranges::count(sqs_.operations, "ReceiveMessage"); };
  Event stop;
  intakes.Start(stop);
  world_.Run(world_.clock.Sleep(90s));
  EXPECT_GT(receives(), 1);
  stop.Set();
  world_.Run(world_.clock.Sleep(30s));  // Whatever was asked for has been answered.
  const auto until_then = receives();
  for (int i = 0; i < 10; ++i) sqs_.Put(kQueue, testing::S3EventOf("data", std::to_string(i)));
  world_.Run(world_.clock.Sleep(60s));
  EXPECT_EQ(receives(), until_then);
  EXPECT_EQ(sqs_.queues[kQueue].messages.size(), 10u);
  world_.Run(intakes.Join());
  EXPECT_EQ(Keys(), 0u);
}

// Whether it is one queue nobody can tell then.
TEST_F(QueueIntakesTest, OneUrlAtTwoEndpointsIsRefused) {
  AddRule("a", "data", "a/", {.name = kQueue});
  AddRule("b", "data", "b/", {.name = kQueue, .endpoint = "http://127.0.0.1:9"});
  QueueIntakes intakes(world_.runtime, configuration_, hint_queue_, state_, observer_);
  Result<void> opened = Open(intakes);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalidInput);
  EXPECT_THAT(opened.error().message, HasSubstr("write it alike in all rules"));
  EXPECT_THAT(sqs_.operations, ::testing::Not(::testing::Contains("ReceiveMessage")));
}

}  // namespace
}  // namespace longhaul
