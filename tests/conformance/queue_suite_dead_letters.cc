// What is buried, or received too often, and how it comes back.

#include "tests/conformance/queue_suite.h"

namespace longhaul::testing {
namespace {

// What nobody can ever do must not go round nor hold up who waits for the queue to be empty, and
// whoever looks for it must see why.
TEST_P(QueueSuite, PoisonIsBuriedWithItsReason) {
  Send({"poison"}, kNone, "a");
  const QueueMessage message = ReceiveOne();
  ASSERT_TRUE(Run(queue_->Bury(message, "it is no hint")));
  const QueueDepth depth = Depth();
  EXPECT_EQ(depth.visible + depth.delayed + depth.in_flight, 0);
  EXPECT_EQ(depth.dead, 1);
  EXPECT_TRUE(Receive().empty());
  Result<std::vector<QueueMessage>> dead = Run(queue_->DeadLetters(10));
  ASSERT_TRUE(dead);
  ASSERT_EQ(dead->size(), 1u);
  EXPECT_EQ(dead->front().body, "poison");
  EXPECT_EQ(dead->front().lane, "a");
  EXPECT_EQ(dead->front().reason, "it is no hint");
  EXPECT_EQ(dead->front().receive_count, 1);
}

// It must be there with all its tries once its cause is cured, at once, and die without the reason
// of before.
TEST_P(QueueSuite, RedriveBringsBackWhatWasBuried) {
  Send({"poison"}, kNone, "a");
  ASSERT_TRUE(Run(queue_->Bury(ReceiveOne(kLong), "it is no hint")));
  Result<int64_t> again = Run(queue_->Redrive());
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, 1);
  EXPECT_EQ(Depth().dead, 0);
  const QueueMessage message = ReceiveOne();
  EXPECT_EQ(message.body, "poison");
  EXPECT_EQ(message.lane, "a");
  EXPECT_EQ(message.receive_count, 1);
  ASSERT_TRUE(Run(queue_->Release(message.receipt, kNone)));
  ExhaustReceives();
  EXPECT_TRUE(Receive().empty());
  Result<std::vector<QueueMessage>> dead = Run(queue_->DeadLetters(10));
  ASSERT_TRUE(dead);
  ASSERT_EQ(dead->size(), 1u);
  EXPECT_EQ(dead->front().reason, "");
}

// What somebody else works on by now is his: he may understand it.
TEST_P(QueueSuite, AnOldReceiptBuriesNothing) {
  Send({"work"});
  const QueueMessage old = ReceiveOne(kShort);
  Sleep(kPastShort);
  const QueueMessage current = ReceiveOne(kLong);
  EXPECT_EQ(KindOf(Run(queue_->Bury(old, "no"))), ErrorKind::kPrecondition);
  EXPECT_EQ(Depth().in_flight, 1);
  EXPECT_EQ(Depth().dead, 0);
  ASSERT_TRUE(Run(queue_->Ack({current.receipt})));
  EXPECT_EQ(KindOf(Run(queue_->Bury(current, "no"))), ErrorKind::kPrecondition);
  EXPECT_EQ(Depth().dead, 0);
}

// A dead letter is a person's: what its receiver does late must neither remove nor revive it.
TEST_P(QueueSuite, ItsReceiptHasNoPowerOverWhatIsBuried) {
  Send({"poison"});
  const QueueMessage message = ReceiveOne();
  ASSERT_TRUE(Run(queue_->Bury(message, "no")));
  EXPECT_EQ(KindOf(Run(queue_->Extend(message.receipt, kLong))), ErrorKind::kPrecondition);
  EXPECT_EQ(KindOf(Run(queue_->Release(message.receipt, kNone))), ErrorKind::kPrecondition);
  EXPECT_EQ(KindOf(Run(queue_->Replace({message.receipt}, New({"rest"}), kNone))),
            ErrorKind::kPrecondition);
  EXPECT_EQ(KindOf(Run(queue_->Bury(message, "again"))), ErrorKind::kPrecondition);
  ASSERT_TRUE(Run(queue_->ReleaseAll({message.receipt})));
  Result<void> acked = Run(queue_->Ack({message.receipt}));
  if (!acked) EXPECT_EQ(acked.error().kind, ErrorKind::kPrecondition);
  EXPECT_TRUE(Receive().empty());
  Result<std::vector<QueueMessage>> dead = Run(queue_->DeadLetters(10));
  ASSERT_TRUE(dead);
  ASSERT_EQ(dead->size(), 1u);
  EXPECT_EQ(dead->front().body, "poison");
  EXPECT_EQ(dead->front().reason, "no");
}

// The last permitted receiver may be slow; what it has found out is told all the same.
TEST_P(QueueSuite, WhatHasDiedIsBuriedByItsLastReceiver) {
  Send({"slow poison"});
  for (int i = 1; i < kSuiteReceivesMax; ++i) {
    ASSERT_TRUE(Run(queue_->Release(ReceiveOne().receipt, kNone)));
  }
  const QueueMessage last = ReceiveOne(kShort);
  Sleep(kPastShort);
  EXPECT_TRUE(Receive().empty());
  const Result<void> buried = Run(queue_->Bury(last, "no"));
  if (GetParam().traits.dead_is_final) {
    EXPECT_GE(Depth().dead, 1);  // Doubled, at worst.
    return;
  }
  ASSERT_TRUE(buried);
  Result<std::vector<QueueMessage>> dead = Run(queue_->DeadLetters(10));
  ASSERT_TRUE(dead);
  ASSERT_EQ(dead->size(), 1u);
  EXPECT_EQ(dead->front().reason, "no");
}

// Poison must end up where a person finds it, and not go round for ever.
TEST_P(QueueSuite, GoesToTheDeadLettersAfterTooManyReceives) {
  Send({"poison 1"});
  Send({"poison 2"});
  ExhaustReceives();
  EXPECT_TRUE(Receive().empty());
  QueueDepth depth = Depth();
  EXPECT_EQ(depth.dead, 2);
  EXPECT_EQ(depth.visible, 0);
  Result<std::vector<QueueMessage>> dead = Run(queue_->DeadLetters(10));
  ASSERT_TRUE(dead);
  ASSERT_EQ(dead->size(), 2u);
  EXPECT_EQ((*dead)[0].body, "poison 1");
  EXPECT_EQ((*dead)[1].body, "poison 2");
  EXPECT_EQ((*dead)[0].receive_count, kSuiteReceivesMax);
  EXPECT_EQ(Run(queue_->DeadLetters(1))->size(), 1u);
  EXPECT_EQ(Depth().dead, 2);  // Looking takes nothing.
}

// After the cause is cured everything must get its full number of tries again.
TEST_P(QueueSuite, RedriveBringsDeadLettersBack) {
  Send({"a", "b"});
  ExhaustReceives();
  EXPECT_TRUE(Receive().empty());
  Send({"alive"});
  Result<int64_t> count = Run(queue_->Redrive());
  ASSERT_TRUE(count);
  EXPECT_EQ(*count, 2);
  EXPECT_EQ(Depth().dead, 0);
  std::vector<QueueMessage> messages = Receive();
  EXPECT_EQ(Bodies(messages), (std::multiset<std::string>{"a", "b", "alive"}));
  for (const QueueMessage& message : messages) EXPECT_EQ(message.receive_count, 1);
  EXPECT_EQ(*Run(queue_->Redrive()), 0);
}

// The last permitted receiver may be slow; its Ack still counts while nobody else has the message.
TEST_P(QueueSuite, TheLastReceiverCanStillFinishADeadMessage) {
  Send({"slow poison"});
  for (int i = 1; i < kSuiteReceivesMax; ++i) {
    ASSERT_TRUE(Run(queue_->Release(ReceiveOne().receipt, kNone)));
  }
  QueueMessage last = ReceiveOne(kShort);
  Sleep(kPastShort);
  EXPECT_TRUE(Receive().empty());
  EXPECT_EQ(Depth().dead, 1);
  if (GetParam().traits.dead_is_final) {
    EXPECT_EQ(KindOf(Run(queue_->Extend(last.receipt, kLong))), ErrorKind::kPrecondition);
    EXPECT_EQ(Depth().dead, 1);
    return;
  }
  EXPECT_TRUE(Run(queue_->Extend(last.receipt, kLong)));
  EXPECT_EQ(Depth().dead, 0);
  EXPECT_EQ(Depth().in_flight, 1);
  EXPECT_TRUE(Run(queue_->Ack({last.receipt})));
  EXPECT_EQ(Depth().in_flight, 0);
}

}  // namespace
}  // namespace longhaul::testing
