// What every Queue does, as tests: each sentence of queue/queue.h. A backend instantiates the suite
// with a function that makes its harness (queue_conformance_test.cc).

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "queue/queue.h"
#include "tests/support/any_world.h"

namespace longhaul::testing {

// One queue service and the world it runs in.
class QueueHarness {
 public:
  virtual ~QueueHarness() = default;
  virtual AnyWorld& world() = 0;
  // Another client of the same messages. It must be destroyed before the harness.
  virtual std::unique_ptr<Queue> Open() = 0;
};

inline constexpr int kSuiteReceivesMax = 3;  // The setting of every harness.

// In what a backend differs from the others. Each case runs on each of them.
struct QueueTraits {
  // The shortest visibility and delay, and what is surely past it.
  std::chrono::milliseconds short_time{100};
  std::chrono::milliseconds past_short{150};
  // Whoever was late can hide a message again that nobody else has taken.
  bool extends_late = true;
  // What was given back with a delay counts as in flight until it is over.
  bool released_is_in_flight = false;
  // What was received too often is beyond its last receiver's reach.
  bool dead_is_final = false;
  // More messages than it extends by one request or transaction.
  size_t many = 2'050;
};

struct QueueBackendCase {
  std::string name;
  std::function<std::unique_ptr<QueueHarness>()> make;
  QueueTraits traits{};
};

inline void PrintTo(const QueueBackendCase& backend, std::ostream* out) { *out << backend.name; }

class QueueSuite : public ::testing::TestWithParam<QueueBackendCase> {
 protected:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Milliseconds kLong{60'000};  // Does not run out within a test.
  // Runs out when a test sleeps for kPastShort.
  const Milliseconds kShort = GetParam().traits.short_time;
  const Milliseconds kPastShort = GetParam().traits.past_short;
  static constexpr Milliseconds kNone{0};

  QueueSuite() : harness_(GetParam().make()), queue_(harness_->Open()) {}
  ~QueueSuite() override { queue_.reset(); }

  template <class T>
  T Run(asio::awaitable<T> task) {
    return harness_->world().Run(std::move(task));
  }
  void Sleep(Milliseconds time) { (void)Run(SleepOk(harness_->world().clock(), time)); }

  static std::vector<NewMessage> New(std::vector<std::string> bodies, std::string lane = "") {
    std::vector<NewMessage> messages;
    for (std::string& body : bodies) messages.push_back({.body = std::move(body), .lane = lane});
    return messages;
  }
  void Send(std::vector<std::string> bodies, Milliseconds delay = kNone, std::string lane = "") {
    Result<void> sent = Run(queue_->Send(New(std::move(bodies), std::move(lane)), delay));
    ASSERT_TRUE(sent) << sent.error().Describe();
  }
  Received ReceiveTurn(int count_max, std::vector<std::string> without = {},
                       Milliseconds wait = kNone) {
    Result<Received> received = Run(queue_->Receive({.count_max = count_max,
                                                     .visibility = kLong,
                                                     .wait = wait,
                                                     .without = std::move(without)}));
    EXPECT_TRUE(received) << received.error().Describe();
    return received ? *received : Received();
  }
  std::vector<QueueMessage> Receive(int count_max = 10, Milliseconds visibility = kLong,
                                    Milliseconds wait = kNone) {
    return ReceiveFrom(*queue_, count_max, visibility, wait);
  }
  std::vector<QueueMessage> ReceiveFrom(Queue& queue, int count_max, Milliseconds visibility,
                                        Milliseconds wait = kNone) {
    Result<Received> received = Run(queue.Receive(
        {.count_max = count_max, .visibility = visibility, .wait = wait, .without = {}}));
    EXPECT_TRUE(received) << received.error().Describe();
    return received ? received->messages : std::vector<QueueMessage>();
  }
  QueueMessage ReceiveOne(Milliseconds visibility = kLong) {
    std::vector<QueueMessage> messages = Receive(1, visibility);
    EXPECT_EQ(messages.size(), 1u);
    return messages.empty() ? QueueMessage() : messages[0];
  }
  QueueDepth Depth() {
    Result<QueueDepth> depth = Run(queue_->Depth());
    EXPECT_TRUE(depth) << depth.error().Describe();
    return depth ? *depth : QueueDepth();
  }
  static ErrorKind KindOf(const Result<void>& result) {
    EXPECT_FALSE(result);
    return result ? ErrorKind::kCancelled : result.error().kind;
  }
  static std::multiset<std::string> Bodies(const std::vector<QueueMessage>& messages) {
    std::multiset<std::string> bodies;
    for (const QueueMessage& message : messages) bodies.insert(message.body);
    return bodies;
  }
  // Delivers everything until it is dead, by letting each delivery go at once.
  void ExhaustReceives() {
    for (int i = 0; i < kSuiteReceivesMax; ++i) {
      for (const QueueMessage& message : Receive(100)) {
        ASSERT_TRUE(Run(queue_->Release(message.receipt, kNone)));
      }
    }
  }

  static Async<void> SleepOk(Clock& clock, Milliseconds time) {
    co_await clock.Sleep(time);
    co_return Ok();
  }

  std::unique_ptr<QueueHarness> harness_;
  std::unique_ptr<Queue> queue_;
};

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

}  // namespace longhaul::testing
