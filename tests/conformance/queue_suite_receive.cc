// How long a Receive waits, and of which lanes it gives.

#include "tests/conformance/queue_suite.h"

namespace longhaul::testing {
namespace {

// An empty queue must neither spin nor answer early.
TEST_P(QueueSuite, LongPollWaitsItsTime) {
  SteadyTime start = harness_->world().clock().SteadyNow();
  EXPECT_TRUE(Receive(1, kLong, kPastShort).empty());
  auto waited = harness_->world().clock().SteadyNow() - start;
  EXPECT_GE(waited, kPastShort - Milliseconds(1));
  EXPECT_LT(waited, kPastShort + std::chrono::seconds(5));
}

// An event must be worked on when it comes, not when a poll ends; also if another process sent it.
TEST_P(QueueSuite, LongPollWakesUpOnASendOfAnotherClient) {
  std::unique_ptr<Queue> other = harness_->Open();
  struct SendLater {
    static Async<void> Run(Queue& queue, Clock& clock) {
      co_await clock.Sleep(Milliseconds(150));
      co_return co_await queue.Send(New({"event"}), Milliseconds(0));
    }
    static Async<std::vector<QueueMessage>> Both(Queue& sender, Queue& receiver, Runtime& runtime) {
      TaskGroup group(runtime.executor);
      group.Spawn(Run(sender, runtime.clock));
      Result<Received> received = co_await receiver.Receive(
          {.count_max = 1, .visibility = kLong, .wait = kLong, .without = {}});
      Result<void> joined = co_await group.Join();
      if (!joined) co_return joined.error();
      if (!received) co_return received.error();
      co_return received->messages;
    }
  };
  for (Queue* sender : {queue_.get(), other.get()}) {
    SteadyTime start = harness_->world().clock().SteadyNow();
    Result<std::vector<QueueMessage>> messages =
        Run(SendLater::Both(*sender, *queue_, harness_->world().runtime()));
    ASSERT_TRUE(messages) << messages.error().Describe();
    ASSERT_EQ(messages->size(), 1u);
    EXPECT_LT(harness_->world().clock().SteadyNow() - start, std::chrono::seconds(5));
    ASSERT_TRUE(Run(queue_->Ack({(*messages)[0].receipt})));
  }
}

// A waiting receiver must see a message whose delay or visibility ends while it waits.
TEST_P(QueueSuite, LongPollWakesUpWhenAMessageBecomesVisible) {
  Send({"later"}, kShort);
  SteadyTime start = harness_->world().clock().SteadyNow();
  EXPECT_EQ(Receive(1, kShort, kLong).size(), 1u);
  EXPECT_EQ(Receive(1, kLong, kLong).size(), 1u);
  EXPECT_LT(harness_->world().clock().SteadyNow() - start, std::chrono::seconds(5));
}

// However much waits in one lane, another must not wait behind it.
TEST_P(QueueSuite, LanesTakeTurns) {
  Send(std::vector<std::string>(50, "backlog"), kNone, "a");
  Send({"fresh"}, kNone, "b");
  Send({"nameless"});
  std::map<std::string, int> turns;
  for (int i = 0; i < 4; ++i) {
    const Received received = ReceiveTurn(10);
    ASSERT_FALSE(received.messages.empty());
    const std::string lane = received.messages.front().lane;
    for (const QueueMessage& message : received.messages) EXPECT_EQ(message.lane, lane);
    if (lane != "a") EXPECT_EQ(received.messages.size(), 1u);
    ++turns[lane];
    if (i == 2) EXPECT_EQ(turns.size(), 3u) << "each has had its turn";
  }
  EXPECT_EQ(turns["a"], 2);
}

// Whoever has enough of one lane must be able to go on with the others, and see what waits.
TEST_P(QueueSuite, LanesCanBeLeftAlone) {
  Send({"1", "2", "3"}, kNone, "a");
  Send({"4"}, kNone, "b");
  Received received = ReceiveTurn(10, {"a"});
  ASSERT_EQ(received.messages.size(), 1u);
  EXPECT_EQ(received.messages.front().body, "4");
  EXPECT_EQ(received.waiting, std::vector<std::string>{"a"});
  received = ReceiveTurn(10, {"a"}, kShort);
  EXPECT_TRUE(received.messages.empty());
  EXPECT_EQ(received.waiting, std::vector<std::string>{"a"});
  received = ReceiveTurn(2);
  EXPECT_EQ(received.messages.size(), 2u);
  EXPECT_EQ(received.waiting, std::vector<std::string>{"a"});
  received = ReceiveTurn(2);
  EXPECT_EQ(received.messages.size(), 1u);
  EXPECT_TRUE(received.waiting.empty());
}

// What a message becomes must stay where its sender says, and a delivery must not change its lane.
TEST_P(QueueSuite, MessagesKeepTheirLanes) {
  Send({"work"}, kNone, "a");
  QueueMessage message = ReceiveOne();
  ASSERT_TRUE(Run(queue_->Release(message.receipt, kNone)));
  message = ReceiveOne();
  EXPECT_EQ(message.lane, "a");
  ASSERT_TRUE(Run(queue_->Replace({message.receipt}, New({"rest"}, "b"), kNone)));
  EXPECT_EQ(ReceiveOne().lane, "b");
}

}  // namespace
}  // namespace longhaul::testing
