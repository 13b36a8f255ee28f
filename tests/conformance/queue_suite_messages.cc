// Each message is delivered, hidden while it is worked on, and gone when it is done.

#include <algorithm>

#include "tests/conformance/queue_suite.h"

namespace longhaul::testing {
namespace {

// What is sent must come out whole, whatever bytes it is made of.
TEST_P(QueueSuite, DeliversWhatWasSent) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  Send({"one", "", bytes, std::string(kMessageSizeMaxBytes, 'x')});
  std::vector<QueueMessage> messages = Receive();
  EXPECT_EQ(Bodies(messages),
            (std::multiset<std::string>{"one", "", bytes, std::string(kMessageSizeMaxBytes, 'x')}));
  SystemTime now = harness_->world().clock().Now();
  for (const QueueMessage& message : messages) {
    EXPECT_EQ(message.receive_count, 1);
    EXPECT_LE(message.sent, now);
    EXPECT_GT(message.sent, now - std::chrono::minutes(1));
  }
}

// One body too long must not let the others through: the caller would send them again.
TEST_P(QueueSuite, SendsAllOrNone) {
  std::vector<std::string> bodies{"good", std::string(kMessageSizeMaxBytes + 1, 'x')};
  EXPECT_EQ(KindOf(Run(queue_->Send(New(bodies), kNone))), ErrorKind::kInvalidInput);
  EXPECT_TRUE(Receive().empty());
  EXPECT_TRUE(Run(queue_->Send({}, kNone)));
}

// A message that waits for its time must not be read early, nor be lost.
TEST_P(QueueSuite, DelayHidesAMessageUntilItIsOver) {
  Send({"later"}, kShort);
  EXPECT_TRUE(Receive().empty());
  EXPECT_EQ(Depth().delayed, 1);
  Sleep(kPastShort);
  EXPECT_EQ(Receive().size(), 1u);
}

// Two workers must not get the same message while one works on it.
TEST_P(QueueSuite, HidesReceivedMessagesFromEveryClient) {
  std::unique_ptr<Queue> other = harness_->Open();
  Send({"a", "b", "c"});
  std::vector<QueueMessage> first = Receive(2);
  std::vector<QueueMessage> second = ReceiveFrom(*other, 10, kLong);
  EXPECT_EQ(first.size(), 2u);
  EXPECT_EQ(second.size(), 1u);
  EXPECT_TRUE(Receive().empty());
  std::multiset<std::string> all = Bodies(first);
  all.merge(Bodies(second));
  EXPECT_EQ(all, (std::multiset<std::string>{"a", "b", "c"}));
}

// The old must not starve behind the new.
TEST_P(QueueSuite, OldMessagesAreNotStarvedByNewOnes) {
  Send({"old"});
  for (int i = 0; i < 20; ++i) Send({"new"});
  EXPECT_EQ(Bodies(Receive(20)).count("old"), 1u);
}

// A worker that dies while it holds a message must not take the work with it.
TEST_P(QueueSuite, MessageComesBackWhenItsReceiverDies) {
  Send({"work"});
  {
    std::unique_ptr<Queue> dying = harness_->Open();
    EXPECT_EQ(ReceiveFrom(*dying, 1, kShort).size(), 1u);
  }
  EXPECT_TRUE(Receive().empty());
  Sleep(kPastShort);
  QueueMessage again = ReceiveOne();
  EXPECT_EQ(again.body, "work");
  EXPECT_EQ(again.receive_count, 2);
}

// Long work must be able to keep its message from a second worker.
TEST_P(QueueSuite, ExtendKeepsAMessageHidden) {
  Send({"long work"});
  QueueMessage message = ReceiveOne(kShort);
  ASSERT_TRUE(Run(queue_->Extend(message.receipt, kLong)));
  Sleep(kPastShort);
  EXPECT_TRUE(Receive().empty());
  // And shorten it: what is given up comes back soon.
  ASSERT_TRUE(Run(queue_->Extend(message.receipt, kShort)));
  Sleep(kPastShort);
  EXPECT_EQ(ReceiveOne().receive_count, 2);
}

// Whoever was late but first must be able to go on with what nobody else has taken.
TEST_P(QueueSuite, ExtendAfterTheVisibilityRanOutHidesAgain) {
  Send({"work"});
  QueueMessage message = ReceiveOne(kShort);
  Sleep(kPastShort);
  if (!GetParam().traits.extends_late) {
    // Then it must learn that it has lost it.
    EXPECT_EQ(KindOf(Run(queue_->Extend(message.receipt, kLong))), ErrorKind::kPrecondition);
    EXPECT_EQ(ReceiveOne().body, "work");
    return;
  }
  ASSERT_TRUE(Run(queue_->Extend(message.receipt, kLong)));
  EXPECT_TRUE(Receive().empty());
  EXPECT_TRUE(Run(queue_->Ack({message.receipt})));
  EXPECT_EQ(Depth().in_flight, 0);
}

// Of many that are worked on all must stay hidden, and all must come back when their worker stops;
// those that are gone must not keep the others from it.
TEST_P(QueueSuite, ManyAreExtendedAndReleasedAtOnce) {
  std::vector<std::string> bodies;
  for (int i = 0; i < 23; ++i) bodies.push_back(std::to_string(i));
  Send(bodies);
  std::vector<Receipt> receipts;
  while (receipts.size() < bodies.size()) {
    const std::vector<QueueMessage> some = Receive(10, kLong);
    ASSERT_FALSE(some.empty());
    for (const QueueMessage& message : some) receipts.push_back(message.receipt);
  }
  ASSERT_TRUE(Run(queue_->Ack({receipts[3]})));
  ASSERT_TRUE(Run(queue_->ExtendAll(receipts, kLong)));
  EXPECT_EQ(Depth().in_flight, 22);
  EXPECT_TRUE(Receive().empty());
  ASSERT_TRUE(Run(queue_->ReleaseAll(receipts)));
  EXPECT_EQ(Depth().in_flight, 0);
  EXPECT_EQ(Depth().visible, 22);
}

// A backend does them some at a time; none may be left out.
TEST_P(QueueSuite, VeryManyAreExtendedAndReleasedAtOnce) {
  const size_t count = GetParam().traits.many;
  std::vector<std::string> bodies;
  for (size_t i = 0; i < count; ++i) bodies.push_back(std::to_string(i));
  Send(bodies);
  std::vector<Receipt> receipts;
  const auto receive_all = [&] {
    receipts.clear();
    while (receipts.size() < count) {
      const std::vector<QueueMessage> some = Receive(1000, kLong);
      ASSERT_FALSE(some.empty());
      for (const QueueMessage& message : some) receipts.push_back(message.receipt);
    }
  };
  receive_all();
  ASSERT_EQ(receipts.size(), count);
  ASSERT_TRUE(Run(queue_->ExtendAll(receipts, kLong)));
  EXPECT_EQ(Depth().in_flight, static_cast<int64_t>(count));
  ASSERT_TRUE(Run(queue_->ExtendAll(receipts, kShort)));
  Sleep(kPastShort);
  EXPECT_EQ(Depth().visible, static_cast<int64_t>(count));
  receive_all();
  ASSERT_EQ(receipts.size(), count);
  ASSERT_TRUE(Run(queue_->ReleaseAll(receipts)));
  EXPECT_EQ(Depth().visible, static_cast<int64_t>(count));
}

// Of many some may have been lost to another worker: he keeps them, and the others are extended.
TEST_P(QueueSuite, ManyAtOnceLeaveAloneWhatOthersHold) {
  Send({"a", "b"});
  const std::vector<QueueMessage> first = Receive(10, kShort);
  std::vector<Receipt> old;
  for (const QueueMessage& message : first) old.push_back(message.receipt);
  ASSERT_EQ(old.size(), 2u);
  Sleep(kPastShort);
  const QueueMessage lost = ReceiveOne(kLong);
  const Receipt kept = lost.receipt.id == old[0].id ? old[1] : old[0];
  ASSERT_TRUE(Run(queue_->ReleaseAll({old[0], old[1]})));
  EXPECT_EQ(Depth().in_flight, 1) << "the other worker's was given back";
  ASSERT_TRUE(Run(queue_->Ack({lost.receipt})));
  EXPECT_TRUE(Run(queue_->Ack({kept})));
}

// A worker that lost its message must learn it, and must not take it from its new owner.
TEST_P(QueueSuite, AnOldReceiptHasNoPowerOverANewDelivery) {
  Send({"work"});
  QueueMessage old = ReceiveOne(kShort);
  Sleep(kPastShort);
  QueueMessage current = ReceiveOne(kLong);
  ASSERT_EQ(current.receipt.id, old.receipt.id);
  EXPECT_NE(current.receipt.delivery, old.receipt.delivery);
  EXPECT_EQ(KindOf(Run(queue_->Extend(old.receipt, kNone))), ErrorKind::kPrecondition);
  EXPECT_EQ(KindOf(Run(queue_->Release(old.receipt, kNone))), ErrorKind::kPrecondition);
  EXPECT_EQ(KindOf(Run(queue_->Ack({old.receipt}))), ErrorKind::kPrecondition);
  EXPECT_EQ(KindOf(Run(queue_->Replace({old.receipt}, New({"rest"}), kNone))),
            ErrorKind::kPrecondition);
  EXPECT_TRUE(Receive().empty());  // Still hidden, and nothing was sent.
  EXPECT_TRUE(Run(queue_->Ack({current.receipt})));
}

// What was acknowledged must never be delivered again.
TEST_P(QueueSuite, AckRemovesForGood) {
  Send({"a", "b"});
  std::vector<QueueMessage> messages = Receive(10, kShort);
  ASSERT_EQ(messages.size(), 2u);
  ASSERT_TRUE(Run(queue_->Ack({messages[0].receipt, messages[1].receipt})));
  Sleep(kPastShort);
  EXPECT_TRUE(Receive().empty());
  QueueDepth depth = Depth();
  EXPECT_EQ(depth.visible + depth.delayed + depth.in_flight + depth.dead, 0);
}

// The answer to an Ack can be lost; the caller must be able to repeat it.
TEST_P(QueueSuite, AckMayBeRepeated) {
  Send({"a", "b"});
  std::vector<QueueMessage> messages = Receive();
  ASSERT_EQ(messages.size(), 2u);
  ASSERT_TRUE(Run(queue_->Ack({messages[0].receipt})));
  EXPECT_TRUE(Run(queue_->Ack({messages[0].receipt, messages[1].receipt})));
  EXPECT_EQ(Depth().in_flight, 0);
  EXPECT_TRUE(Run(queue_->Ack({})));
}

// An Ack of several must not half happen: its caller would not know what is left.
TEST_P(QueueSuite, AckIsAllOrNone) {
  Send({"slow"});
  QueueMessage slow = ReceiveOne(kShort);
  Sleep(kPastShort);
  QueueMessage taken_over = ReceiveOne(kLong);
  Send({"fast"});
  QueueMessage fast = ReceiveOne(kLong);
  EXPECT_EQ(KindOf(Run(queue_->Ack({fast.receipt, slow.receipt}))), ErrorKind::kPrecondition);
  EXPECT_EQ(Depth().in_flight, 2);
  EXPECT_TRUE(Run(queue_->Ack({fast.receipt, taken_over.receipt})));
  EXPECT_EQ(Depth().in_flight, 0);
}

// Work that finished although its time had run out is done: it must not run again.
TEST_P(QueueSuite, AckAfterTheVisibilityRanOutRemovesWhenNobodyElseHasIt) {
  Send({"work"});
  QueueMessage message = ReceiveOne(kShort);
  Sleep(kPastShort);
  EXPECT_TRUE(Run(queue_->Ack({message.receipt})));
  EXPECT_TRUE(Receive().empty());
}

// What is left undone of a message goes on as a new one, with nothing between to be lost.
TEST_P(QueueSuite, ReplaceRemovesAndSendsInOneStep) {
  Send({"all"});
  QueueMessage message = ReceiveOne();
  ASSERT_TRUE(Run(queue_->Replace({message.receipt}, New({"rest 1", "rest 2"}), kNone)));
  std::vector<QueueMessage> rest = Receive();
  EXPECT_EQ(Bodies(rest), (std::multiset<std::string>{"rest 1", "rest 2"}));
  for (const QueueMessage& part : rest) EXPECT_EQ(part.receive_count, 1);
  // Repeating it finds the message gone and must not send the rest a second time.
  EXPECT_EQ(KindOf(Run(queue_->Replace({message.receipt}, New({"rest 1"}), kNone))),
            ErrorKind::kPrecondition);
  EXPECT_TRUE(Receive().empty());
}

// A Replace that is refused must leave everything as it was.
TEST_P(QueueSuite, ReplaceIsAllOrNone) {
  Send({"a"});
  QueueMessage message = ReceiveOne();
  EXPECT_EQ(
      KindOf(Run(queue_->Replace(
          {message.receipt}, New({"fine", std::string(kMessageSizeMaxBytes + 1, 'x')}), kNone))),
      ErrorKind::kInvalidInput);
  EXPECT_EQ(Depth().in_flight, 1);
  EXPECT_EQ(Depth().visible, 0);
  ASSERT_TRUE(Run(queue_->Replace({message.receipt}, New({"later"}), kShort)));
  EXPECT_TRUE(Receive().empty());  // The delay counts.
  Sleep(kPastShort);
  EXPECT_EQ(ReceiveOne().body, "later");
}

// A worker that stops gives its work back at once, not after the visibility.
TEST_P(QueueSuite, ReleaseGivesBack) {
  Send({"work"});
  QueueMessage message = ReceiveOne();
  ASSERT_TRUE(Run(queue_->Release(message.receipt, kNone)));
  QueueMessage again = ReceiveOne();
  EXPECT_EQ(again.receive_count, 2);
  ASSERT_TRUE(Run(queue_->Release(again.receipt, kShort)));
  EXPECT_TRUE(Receive().empty());
  const bool in_flight = GetParam().traits.released_is_in_flight;
  EXPECT_EQ(Depth().delayed, in_flight ? 0 : 1);
  EXPECT_EQ(Depth().in_flight, in_flight ? 1 : 0);
  Sleep(kPastShort);
  EXPECT_EQ(ReceiveOne().receive_count, 3);
}

// Each condition of a message is counted once, in its own place.
TEST_P(QueueSuite, DepthCountsEachConditionOnce) {
  Send({"dead"});
  ExhaustReceives();
  Send({"held 1", "held 2"});
  EXPECT_EQ(Receive(10).size(), 2u);
  Send({"later"}, kLong);
  Send({"now 1", "now 2", "now 3"});
  QueueDepth depth = Depth();
  EXPECT_EQ(depth.visible, 3);
  EXPECT_EQ(depth.delayed, 1);
  EXPECT_EQ(depth.in_flight, 2);
  EXPECT_EQ(depth.dead, 1);
}

// Many workers share one queue: everything is delivered, and nothing to two of them at once.
TEST_P(QueueSuite, ManyClientsShareTheWork) {
  constexpr int kMessages = 200;
  struct Worker {
    static Async<void> Run(Queue& queue, std::vector<std::string>& done) {
      while (true) {
        Result<Received> received = co_await queue.Receive(
            {.count_max = 7, .visibility = kLong, .wait = kNone, .without = {}});
        if (!received) co_return received.error();
        if (received->messages.empty()) co_return Ok();
        std::vector<Receipt> receipts;
        for (const QueueMessage& message : received->messages) {
          done.push_back(message.body);
          receipts.push_back(message.receipt);
        }
        Result<void> acked = co_await queue.Ack(std::move(receipts));
        if (!acked) co_return acked.error();
      }
    }
    static Async<void> All(std::vector<std::unique_ptr<Queue>>& queues, Runtime& runtime,
                           std::vector<std::string>& done) {
      TaskGroup group(runtime.executor);
      for (auto& queue : queues) group.Spawn(Run(*queue, done));
      co_return co_await group.Join();
    }
  };
  std::vector<std::string> bodies;
  for (int i = 0; i < kMessages; ++i) bodies.push_back(std::to_string(i));
  Send(bodies);
  std::vector<std::unique_ptr<Queue>> queues;
  for (int i = 0; i < 4; ++i) queues.push_back(harness_->Open());
  std::vector<std::string> done;
  Result<void> worked = Run(Worker::All(queues, harness_->world().runtime(), done));
  ASSERT_TRUE(worked) << worked.error().Describe();
  std::sort(done.begin(), done.end());
  std::sort(bodies.begin(), bodies.end());
  EXPECT_EQ(done, bodies);
}

}  // namespace
}  // namespace longhaul::testing
