#include "queue/sqs_queue.h"

#include <gtest/gtest.h>

#include <set>

#include "queue/sqs_body.h"
#include "queue/sqs_setup.h"
#include "tests/support/sqs_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeSqs;
using Fault = testing::FakeSqs::Fault;

constexpr std::chrono::milliseconds kLong{60'000};

std::vector<NewMessage> New(int count, const std::string& lane = "") {
  std::vector<NewMessage> messages;
  for (int i = 0; i < count; ++i) messages.push_back({.body = std::to_string(i), .lane = lane});
  return messages;
}

class SqsQueueTest : public ::testing::Test {
 protected:
  SqsQueueTest() : fixture_({.name = "SqsFake"}, 3) { fixture_.SetUp(); }

  template <class T>
  T Run(asio::awaitable<T> task) {
    return fixture_.world().Run(std::move(task));
  }
  FakeSqs& sqs() { return fixture_.fake(); }
  FakeSqs::Queue& QueueOf(const std::string& lane) { return sqs().queues.at(NameOf(lane)); }
  FakeSqs::Queue& Dead() { return sqs().queues.at(fixture_.options().dead_letters()); }
  std::string NameOf(const std::string& lane) {
    return SqsQueueName(fixture_.options().prefix, "lane" + lane, "events");
  }
  // So many of an operation's next requests fail so.
  void Fail(const std::string& operation, Fault fault, int count = 1) {
    sqs().faults[operation].insert(sqs().faults[operation].end(), static_cast<size_t>(count),
                                   fault);
  }
  void Sleep(std::chrono::nanoseconds time) {
    struct Sleeper {
      static Async<void> Run(Clock& clock, std::chrono::nanoseconds time) {
        co_await clock.Sleep(time);
        co_return Ok();
      }
    };
    (void)Run(Sleeper::Run(fixture_.world().clock(), time));
  }
  std::vector<QueueMessage> Receive(Queue& queue, int count_max = 10,
                                    std::chrono::milliseconds visibility = kLong,
                                    std::chrono::milliseconds wait = 0ms) {
    Result<Received> received = Run(queue.Receive(
        {.count_max = count_max, .visibility = visibility, .wait = wait, .without = {}}));
    EXPECT_TRUE(received) << received.error().Describe();
    return received ? received->messages : std::vector<QueueMessage>();
  }
  static std::vector<Receipt> ReceiptsOf(const std::vector<QueueMessage>& messages) {
    std::vector<Receipt> receipts;
    for (const QueueMessage& message : messages) receipts.push_back(message.receipt);
    return receipts;
  }

  testing::SqsFixture fixture_;
};

// --- What it costs

struct Worker {
  // Takes, and acknowledges what has been taken each half second, as a source role does.
  static Async<void> Work(Queue& queue, Clock& clock, SteadyTime until, int* done) {
    std::vector<Receipt> taken;
    SteadyTime flush = clock.SteadyNow() + 500ms;
    while (clock.SteadyNow() < until) {
      Result<Received> received =
          co_await queue.Receive({.count_max = 10, .visibility = 30s, .wait = 1s, .without = {}});
      if (!received) co_return received.error();
      for (const QueueMessage& message : received->messages) taken.push_back(message.receipt);
      if (clock.SteadyNow() < flush) continue;
      flush = clock.SteadyNow() + 2500ms;
      *done += static_cast<int>(taken.size());
      Result<void> acked = co_await queue.Ack(std::exchange(taken, {}));
      if (!acked) co_return acked.error();
    }
    co_return co_await queue.Ack(std::move(taken));
  }
  static Async<void> Put(FakeSqs& sqs, Clock& clock, std::string queue, int count,
                         std::chrono::nanoseconds every) {
    for (int i = 0; i < count; ++i) {
      sqs.Put(queue, std::to_string(i));
      co_await clock.Sleep(every);
    }
    co_return Ok();
  }
  static Async<void> Both(Queue& queue, FakeSqs& sqs, Runtime& runtime, std::string name, int count,
                          std::chrono::nanoseconds every, SteadyTime until, int* done) {
    TaskGroup group(runtime.executor);
    group.Spawn(Put(sqs, runtime.clock, name, count, every));
    group.Spawn(Work(queue, runtime.clock, until, done));
    co_return co_await group.Join();
  }
};

// A receive, and a removal, of ten: more than 21 requests for 100 objects would be paid for
// nothing.
TEST_F(SqsQueueTest, ASteadyStreamCostsTwentyOneRequestsAHundred) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  (void)Receive(*queue, 10, kLong, 1ms);
  const int before = sqs().count();
  int done = 0;
  const SteadyTime until = fixture_.world().clock().SteadyNow() + 20s;
  Result<void> worked = Run(Worker::Both(*queue, sqs(), fixture_.world().runtime(), NameOf(""),
                                         2000, 10ms, until, &done));
  ASSERT_TRUE(worked) << worked.error().Describe();
  EXPECT_GT(done, 1500);
  const int requests = sqs().count() - before;
  EXPECT_LE(requests, 21 * done / 100)
      << sqs().count("ReceiveMessage") << " receives, " << sqs().count("DeleteMessageBatch")
      << " removals, " << sqs().count("ChangeMessageVisibilityBatch") << " moves";
}

// Nobody pays for a rule at which nothing happens: 3 requests that wait, and at most 1 more.
TEST_F(SqsQueueTest, AnIdleRuleCostsFourRequestsAMinute) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  int done = 0;
  Clock& clock = fixture_.world().clock();
  ASSERT_TRUE(Run(Worker::Work(*queue, clock, clock.SteadyNow() + 15min, &done)));
  const int before = sqs().count();
  ASSERT_TRUE(Run(Worker::Work(*queue, clock, clock.SteadyNow() + 30min, &done)));
  EXPECT_LE(sqs().count() - before, 30 * 4);
  // And what comes is noticed at once all the same, where somebody listens.
  sqs().Put(NameOf(""), "event");
  EXPECT_EQ(Receive(*queue, 10, kLong, 1s).size(), 1u);
}

// Alarms look once a minute, at dead letters alone: three requests a rule for that would be as much
// as the rule costs itself.
TEST_F(SqsQueueTest, DeadLettersAreCountedByOneRequest) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  sqs().Put(fixture_.options().dead_letters(), "poison");
  const int before = sqs().count();
  Result<int64_t> dead = Run(CountDead(*queue));
  ASSERT_TRUE(dead) << dead.error().Describe();
  EXPECT_EQ(*dead, 1);
  EXPECT_EQ(sqs().count() - before, 1);
}

// What another process has put into a lane that nobody listens to must be found in time.
TEST_F(SqsQueueTest, ALaneThatNobodyListensToIsLookedAt) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  Clock& clock = fixture_.world().clock();
  int done = 0;
  ASSERT_TRUE(Run(Worker::Work(*queue, clock, clock.SteadyNow() + 15min, &done)));
  sqs().Put(NameOf("a"), "backlog");
  EXPECT_EQ(Receive(*queue, 10, kLong, 151s).size(), 1u);
}

TEST_F(SqsQueueTest, ManyAreHiddenAndRemovedByTens) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  EXPECT_TRUE(Receive(*queue).empty());
  ASSERT_TRUE(Run(queue->Send(New(50), 0ms)));
  EXPECT_EQ(sqs().count("SendMessageBatch"), 5);
  const int before = sqs().count("ReceiveMessage");
  const std::vector<QueueMessage> messages = Receive(*queue, 50);
  ASSERT_EQ(messages.size(), 50u);
  EXPECT_EQ(sqs().count("ReceiveMessage") - before, 5);
  ASSERT_TRUE(Run(queue->ExtendAll(ReceiptsOf(messages), kLong)));
  EXPECT_EQ(sqs().count("ChangeMessageVisibilityBatch"), 5);
  ASSERT_TRUE(Run(queue->Ack(ReceiptsOf(messages))));
  EXPECT_EQ(sqs().count("DeleteMessageBatch"), 5);
}

// A request of more than SQS takes is refused as a whole.
TEST_F(SqsQueueTest, BatchesAreCutBySize) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  SeededRandom random(3);
  std::vector<NewMessage> messages;
  for (int i = 0; i < 10; ++i) {
    std::string body(80'000, ' ');
    for (char& c : body) c = static_cast<char>(random.Next() & 0xff);
    messages.push_back({.body = std::move(body), .lane = ""});
  }
  ASSERT_TRUE(Run(queue->Send(messages, 0ms)));
  EXPECT_LE(sqs().largest_batch_bytes, kSqsBatchBytesMax);
  EXPECT_EQ(sqs().count("SendMessageBatch"), 5);
  std::multiset<std::string> sent;
  for (const NewMessage& message : messages) sent.insert(message.body);
  std::multiset<std::string> received;
  for (const QueueMessage& message : Receive(*queue)) received.insert(message.body);
  EXPECT_EQ(received, sent);
}

// --- What goes wrong

// SQS may take one message of a batch and not its neighbour; each must be there in the end.
TEST_F(SqsQueueTest, ABatchThatIsSentByHalfIsSentOn) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  Fail("SendMessageBatch", Fault::kHalfDone);
  ASSERT_TRUE(Run(queue->Send(New(10), 0ms)));
  EXPECT_EQ(QueueOf("").messages.size(), 10u);
  EXPECT_EQ(sqs().entries, (std::vector<size_t>{10, 5}));
}

// Of what an answer does not name nobody knows that it was done.
TEST_F(SqsQueueTest, WhatAnAnswerLeavesOutIsSentAgain) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  Fail("SendMessageBatch", Fault::kHalfLeftOut);
  ASSERT_TRUE(Run(queue->Send(New(4), 0ms)));
  EXPECT_EQ(QueueOf("").messages.size(), 4u);
}

// OK must not be said of what SQS refused.
TEST_F(SqsQueueTest, ABatchOfWhichHalfIsRefusedIsNotSent) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  Fail("SendMessageBatch", Fault::kHalfRefused);
  Result<void> sent = Run(queue->Send(New(10), 0ms));
  ASSERT_FALSE(sent);
  EXPECT_TRUE(sent.error().message.contains("5 of 10 messages were not sent"))
      << sent.error().message;
}

// What is left of a removal must come again, and can be removed by whoever repeats it.
TEST_F(SqsQueueTest, ARemovalByHalfLeavesTheOtherHalf) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  ASSERT_TRUE(Run(queue->Send(New(10), 0ms)));
  const std::vector<QueueMessage> messages = Receive(*queue);
  Fail("DeleteMessageBatch", Fault::kHalfRefused);
  Result<void> acked = Run(queue->Ack(ReceiptsOf(messages)));
  ASSERT_FALSE(acked);
  EXPECT_EQ(QueueOf("").messages.size(), 5u);
  ASSERT_TRUE(Run(queue->Ack(ReceiptsOf(messages))));
  EXPECT_TRUE(QueueOf("").messages.empty());
}

// What fails of a removal for a reason that passes is tried again, and alone.
TEST_F(SqsQueueTest, ARemovalIsRepeatedForWhatFailed) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  ASSERT_TRUE(Run(queue->Send(New(10), 0ms)));
  const std::vector<QueueMessage> messages = Receive(*queue);
  sqs().entries.clear();
  Fail("DeleteMessageBatch", Fault::kHalfDone, 2);
  ASSERT_TRUE(Run(queue->Ack(ReceiptsOf(messages))));
  EXPECT_TRUE(QueueOf("").messages.empty());
  EXPECT_EQ(sqs().entries, (std::vector<size_t>{10, 5, 2}));
}

// A handle that SQS no longer knows has no power: its holder must learn it, and the message stays.
TEST_F(SqsQueueTest, AHandleThatNoLongerCountsIsTold) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  ASSERT_TRUE(Run(queue->Send(New(1), 0ms)));
  const std::vector<QueueMessage> messages = Receive(*queue, 10, 10s);
  ASSERT_EQ(messages.size(), 1u);
  Fail("ChangeMessageVisibilityBatch", Fault::kHandleIsGone);
  Result<void> extended = Run(queue->Extend(messages[0].receipt, kLong));
  ASSERT_FALSE(extended);
  EXPECT_EQ(extended.error().kind, ErrorKind::kPrecondition);
  Fail("DeleteMessageBatch", Fault::kHandleIsGone);
  Result<void> acked = Run(queue->Ack({messages[0].receipt}));
  ASSERT_FALSE(acked);
  EXPECT_EQ(acked.error().kind, ErrorKind::kPrecondition);
  Sleep(11s);
  EXPECT_EQ(Receive(*queue).size(), 1u);
}

// What one lane, or one batch of ten, has lost is no reason to let the others come back to
// somebody else while they are still worked at.
TEST_F(SqsQueueTest, AHandleThatIsGoneKeepsNoOtherFromBeingHidden) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  ASSERT_TRUE(Run(queue->Send(New(10), 0ms)));
  ASSERT_TRUE(Run(queue->Send(New(10, "a"), 0ms)));
  std::vector<QueueMessage> messages = Receive(*queue, 10, 10s);
  const std::vector<QueueMessage> others = Receive(*queue, 10, 10s);
  messages.insert(messages.end(), others.begin(), others.end());
  ASSERT_EQ(messages.size(), 20u);
  // Of the first batch, whichever lane it is of.
  Fail("ChangeMessageVisibilityBatch", Fault::kHandleIsGone);
  EXPECT_TRUE(Run(queue->ExtendAll(ReceiptsOf(messages), kLong)));
  Sleep(11s);
  std::unique_ptr<Queue> another = fixture_.Open();
  EXPECT_EQ(Receive(*another, 10, 1s).size() + Receive(*another, 10, 1s).size(), 10u);
}

// The answer is lost, and the message is there: once more is better than never.
// While one acknowledgement waits for a request that has to be repeated, another one of the same
// messages ends.
TEST_F(SqsQueueTest, TwoMayAcknowledgeTheSameAtOnce) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  ASSERT_TRUE(Run(queue->Send({{.body = "one"}, {.body = "two", .lane = "a"}}, {})));
  std::vector<QueueMessage> messages = Receive(*queue);
  for (QueueMessage& message : Receive(*queue)) messages.push_back(std::move(message));
  ASSERT_EQ(messages.size(), 2u);
  Fail("DeleteMessageBatch", Fault::kLostBefore);
  struct Both {
    static Async<void> Ack(Runtime& runtime, Queue& queue, std::vector<Receipt> receipts) {
      TaskGroup group(runtime.executor);
      for (int i = 0; i < 2; ++i) group.Spawn(queue.Ack(receipts));
      co_return co_await group.Join();
    }
  };
  Result<void> acked = Run(Both::Ack(fixture_.world().runtime(), *queue, ReceiptsOf(messages)));
  EXPECT_TRUE(acked || acked.error().kind == ErrorKind::kPrecondition) << acked.error().Describe();
  EXPECT_TRUE(QueueOf("").messages.empty());
  EXPECT_TRUE(QueueOf("a").messages.empty());
}

TEST_F(SqsQueueTest, ASendWhoseAnswerIsLostIsRepeated) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  Fail("SendMessageBatch", Fault::kLostBefore);
  Fail("SendMessageBatch", Fault::kLostAfter);
  ASSERT_TRUE(Run(queue->Send(New(1), 0ms)));
  EXPECT_EQ(QueueOf("").messages.size(), 2u);
}

// What is left undone must be there before what it came from goes.
TEST_F(SqsQueueTest, ReplaceSendsBeforeItRemoves) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  ASSERT_TRUE(Run(queue->Send(New(1), 0ms)));
  const std::vector<QueueMessage> messages = Receive(*queue);
  Fail("SendMessageBatch", Fault::kLostBefore, 20);
  EXPECT_FALSE(Run(queue->Replace({messages[0].receipt}, New(2, "a"), 0ms)));
  EXPECT_EQ(QueueOf("").messages.size(), 1u);
  sqs().faults.clear();
  Fail("DeleteMessageBatch", Fault::kLostBefore, 20);
  EXPECT_FALSE(Run(queue->Replace({messages[0].receipt}, New(2, "a"), 0ms)));
  EXPECT_EQ(QueueOf("").messages.size(), 1u);
  EXPECT_EQ(QueueOf("a").messages.size(), 2u);
}

// Poison that did not get to the dead letters must not be gone.
TEST_F(SqsQueueTest, PoisonStaysUntilItIsAmongTheDeadLetters) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  ASSERT_TRUE(Run(queue->Send(New(1), 0ms)));
  const std::vector<QueueMessage> messages = Receive(*queue);
  Fail("SendMessageBatch", Fault::kHalfRefused);  // (Of one message it refuses none.)
  Fail("SendMessageBatch", Fault::kLostBefore, 20);
  sqs().faults["SendMessageBatch"].pop_front();
  EXPECT_FALSE(Run(queue->Bury(messages[0], "no")));
  EXPECT_EQ(QueueOf("").messages.size(), 1u);
  EXPECT_TRUE(Dead().messages.empty());
}

// A body that somebody else has damaged must be found by a person, not go round for ever.
TEST_F(SqsQueueTest, WhatCannotBeDecodedIsADeadLetterWithItsReason) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  sqs().Put(NameOf(""), "b64:no Base64");
  EXPECT_TRUE(Receive(*queue).empty());
  EXPECT_TRUE(QueueOf("").messages.empty());
  Result<std::vector<QueueMessage>> dead = Run(queue->DeadLetters(10));
  ASSERT_TRUE(dead);
  ASSERT_EQ(dead->size(), 1u);
  EXPECT_EQ(dead->front().body, "b64:no Base64");
  EXPECT_TRUE(dead->front().reason.contains("Base64"));
}

// His tools know nothing of our coding, and what his redrive brings back must be what he sent.
TEST_F(SqsQueueTest, ALetterOfSomebodyElseIsWhatHeWrote) {
  sqs().queues["app-events"].attributes["RedrivePolicy"] =
      R"({"deadLetterTargetArn":"arn:aws:sqs:us-east-1:111122223333:shared-dlq","maxReceiveCount":5})";
  sqs().queues["shared-dlq"];
  auto queue = Run(SqsQueue::Open(
      fixture_.world().runtime(), fixture_.Client(),
      {.prefix = "app-events", .lanes = {{.lane = "", .queue = "app-events"}}, .own = false}));
  ASSERT_TRUE(queue) << queue.error().Describe();
  const std::vector<std::string> bodies{"{\r\n}", "[" + std::string(20 << 10, ' ') + "]"};
  for (const std::string& body : bodies) sqs().Put("app-events", body);
  const std::vector<QueueMessage> messages = Receive(**queue);
  ASSERT_EQ(messages.size(), 2u);
  for (const QueueMessage& message : messages) {
    ASSERT_TRUE(Run((*queue)->Bury(message, "no")));
  }
  std::vector<std::string> letters;
  for (const auto& letter : sqs().queues["shared-dlq"].messages) letters.push_back(letter.body);
  EXPECT_EQ(letters, bodies);
}

// What was sent again, and could not be taken from the dead letters, is there twice and not never.
TEST_F(SqsQueueTest, RedriveSendsBeforeItRemoves) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  ASSERT_TRUE(Run(queue->Send(New(3), 0ms)));
  for (const QueueMessage& message : Receive(*queue)) {
    ASSERT_TRUE(Run(queue->Bury(message, "no")));
  }
  Fail("SendMessageBatch", Fault::kLostBefore, 20);
  EXPECT_FALSE(Run(queue->Redrive()));
  EXPECT_EQ(Dead().messages.size(), 3u);
}

// What is set aside again at once is moved once, and does not keep a command busy for ever.
TEST_F(SqsQueueTest, RedriveMovesALetterOnce) {
  struct Both {
    static Async<void> SetAside(Queue& queue, Event& over) {
      while (!over.is_set()) {
        Result<Received> received = co_await queue.Receive(
            {.count_max = 10, .visibility = kLong, .wait = 1s, .without = {}});
        if (!received) co_return received.error();
        for (const QueueMessage& message : received->messages) {
          Result<void> buried = co_await queue.Bury(message, "no");
          if (!buried) co_return buried.error();
        }
      }
      co_return Ok();
    }
    static Async<int64_t> Redrive(asio::any_io_executor executor, Queue& queue, Queue& worker) {
      Event over;
      TaskGroup group(executor);
      group.Spawn(SetAside(worker, over));
      Result<int64_t> moved = co_await queue.Redrive();
      over.Set();
      Result<void> ended = co_await group.Join();
      if (!ended) co_return ended.error();
      co_return moved;
    }
  };
  std::unique_ptr<Queue> queue = fixture_.Open();
  std::unique_ptr<Queue> worker = fixture_.Open();
  ASSERT_TRUE(Run(queue->Send(New(2), 0ms)));
  for (const QueueMessage& message : Receive(*queue)) {
    ASSERT_TRUE(Run(queue->Bury(message, "no")));
  }
  Sleep(1s);
  Result<int64_t> moved = Run(Both::Redrive(fixture_.world().runtime().executor, *queue, *worker));
  ASSERT_TRUE(moved) << moved.error().Describe();
  EXPECT_EQ(*moved, 2);
  EXPECT_EQ(Dead().messages.size(), 2u);
}

// What was taken for nobody must not be hidden for as long as somebody's work.
TEST_F(SqsQueueTest, CloseGivesBackWhatNobodyHasGot) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  // A request that waits at SQS gets more than the next Receive wants.
  EXPECT_TRUE(Receive(*queue, 10, kLong, 1s).empty());
  for (int i = 0; i < 5; ++i) sqs().Put(NameOf(""), std::to_string(i));
  Sleep(1s);
  EXPECT_EQ(Receive(*queue, 1, kLong, 1s).size(), 1u);
  ASSERT_TRUE(Run(queue->Close()));
  std::unique_ptr<Queue> other = fixture_.Open();
  EXPECT_EQ(Receive(*other).size(), 4u);
}

// SQS hands out what comes also where nobody listens any more: whoever stops just then would take
// the message with him until its visibility has run out.
TEST_F(SqsQueueTest, CloseGivesBackWhatComesMeanwhile) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  std::unique_ptr<Queue> other = fixture_.Open();
  EXPECT_TRUE(Receive(*queue, 10, kLong, 1s).empty());  // Its request waits on.
  struct Closer {
    static asio::awaitable<void> Run(Queue& queue, bool& done) {
      done = bool(co_await queue.Close());
    }
  };
  bool closed = false;
  SpawnDetached(fixture_.world().runtime().executor, Closer::Run(*queue, closed));
  Sleep(1s);
  EXPECT_FALSE(closed);
  sqs().Put(NameOf(""), "event");
  Sleep(2s);
  EXPECT_TRUE(closed);
  EXPECT_EQ(Receive(*other).size(), 1u);
}

// A clean stop counts as a receive, as SQS knows no other: rolling deploys must not make dead
// letters of what nobody has failed at.
TEST_F(SqsQueueTest, ManyRestartsMakeNoDeadLetter) {
  fixture_.options().receives_max = SqsQueueOptions().receives_max;
  const std::shared_ptr<SqsClient> client = fixture_.Client();
  ASSERT_TRUE(Run(SetUpSqs(*client, fixture_.options())));
  std::unique_ptr<Queue> queue = fixture_.Open();
  ASSERT_TRUE(Run(queue->Send(New(1), 0ms)));
  for (int restart = 1; restart <= 100; ++restart) {
    const std::vector<QueueMessage> held = Receive(*queue);
    ASSERT_EQ(held.size(), 1u) << restart;
    EXPECT_EQ(held[0].receive_count, restart);
    ASSERT_TRUE(Run(queue->ReleaseAll({held[0].receipt})));
    ASSERT_TRUE(Run(queue->Close()));
    queue = fixture_.Open();
  }
  EXPECT_TRUE(Dead().messages.empty());
}

// Whoever asks for nothing of a lane now must not keep from others what came of it meanwhile.
TEST_F(SqsQueueTest, WhatIsNotWantedIsGivenBack) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  EXPECT_TRUE(Receive(*queue, 10, 10s, 1s).empty());
  sqs().Put(NameOf(""), "event");
  Sleep(6s);
  ASSERT_TRUE(
      Run(queue->Receive({.count_max = 10, .visibility = 10s, .wait = 0ms, .without = {""}})));
  std::unique_ptr<Queue> other = fixture_.Open();
  EXPECT_EQ(Receive(*other).size(), 1u);
}

// What has waited here is hidden anew before anybody works on it: else two would.
TEST_F(SqsQueueTest, WhatHasWaitedHereIsHiddenAnew) {
  std::unique_ptr<Queue> queue = fixture_.Open();
  EXPECT_TRUE(Receive(*queue, 10, 10s, 1s).empty());
  sqs().Put(NameOf(""), "event");
  Sleep(6s);
  EXPECT_EQ(Receive(*queue, 10, 10s).size(), 1u);
  Sleep(6s);
  std::unique_ptr<Queue> other = fixture_.Open();
  EXPECT_TRUE(Receive(*other).empty());
}

// Counts are right only after a rest: nothing counted is not yet nothing there.
TEST_F(SqsQueueTest, CountsHaveToSettle) {
  fixture_.options().settle = 60s;
  std::unique_ptr<Queue> queue = fixture_.Open();
  EXPECT_FALSE(Run(queue->Depth())->settled);
  Sleep(61s);
  EXPECT_TRUE(Run(queue->Depth())->settled);
  ASSERT_TRUE(Run(queue->Send(New(1), 0ms)));
  EXPECT_FALSE(Run(queue->Depth())->settled);
}

// --- Bodies

TEST(SqsBodyTest, WhateverGoesInComesOut) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  SeededRandom random(1);
  std::string noise(kMessageSizeMaxBytes, ' ');
  for (char& c : noise) c = static_cast<char>(random.Next() & 0xff);
  for (const std::string& body :
       {std::string(), std::string("text"), bytes, std::string("b64:text"), std::string("zst:"),
        std::string("a\r\nb"), std::string("\xef\xbf\xbe"), std::string("\xed\xa0\x80"), noise,
        std::string(kMessageSizeMaxBytes, 'x'), std::string("gr\xc3\xbc\xc3\x9f\n\t")}) {
    const std::string text = EncodeSqsBody(body);
    EXPECT_TRUE(IsSqsText(text));
    EXPECT_FALSE(text.empty());
    EXPECT_LE(text.size(), size_t{1} << 20);
    Result<std::string> decoded = DecodeSqsBody(text);
    ASSERT_TRUE(decoded) << decoded.error().Describe();
    EXPECT_EQ(*decoded, body);
  }
}

TEST(SqsBodyTest, WhatIsLongIsCompressed) {
  EXPECT_LT(EncodeSqsBody(std::string(200'000, 'x')).size(), 1'000u);
}

TEST(SqsBodyTest, BombsAndGarbageAreRefused) {
  std::string bomb = EncodeSqsBody(std::string(kMessageSizeMaxBytes, 'x'));
  bomb[10] ^= 1;
  for (const std::string& text :
       {std::string("b64:?"), std::string("zst:"), std::string("zst:AAAA"), bomb,
        std::string(kMessageSizeMaxBytes + 1, 'x')}) {
    Result<std::string> decoded = DecodeSqsBody(text);
    if (decoded) EXPECT_LE(decoded->size(), kMessageSizeMaxBytes);
  }
  EXPECT_FALSE(DecodeSqsBody("b64:?"));
  EXPECT_FALSE(DecodeSqsBody(std::string(kMessageSizeMaxBytes + 1, 'x')));
}

}  // namespace
}  // namespace longhaul
