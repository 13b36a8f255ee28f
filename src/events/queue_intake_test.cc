#include "events/queue_intake.h"

#include <gtest/gtest.h>

#include "events/hint.h"
#include "events/rule_events.h"
#include "tests/support/event_queue.h"
#include "tests/support/fake_queue.h"
#include "tests/support/sqs_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeSqs;
using Fault = testing::FakeSqs::Fault;

constexpr char kQueue[] = "app-events";
constexpr char kDead[] = "app-events-dead";

std::string EventOf(const std::string& key, const std::string& bucket = "acme-in") {
  return testing::S3EventOf(bucket, key);
}

class QueueIntakeTest : public ::testing::Test {
 protected:
  QueueIntakeTest() {
    testing::AddEventQueue(sqs_, kQueue, kDead);
    Rule rule;
    rule.id = "logs";
    rule.source = {"east", "acme-in", "logs/"};
    rule.intake.sqs = AwsPlace{.name = kQueue};
    configuration_.rules.push_back(rule);
    rule.id = "elsewhere";
    rule.source = {"east", "other", ""};
    rule.intake.sqs.reset();
    configuration_.rules.push_back(rule);
  }
  std::unique_ptr<Queue> Open() {
    auto opened = world_.Run(
        SqsQueue::Open(world_.runtime, sqs_.Client(),
                       {.prefix = kQueue, .lanes = {{.lane = "", .queue = kQueue}}, .own = false}));
    EXPECT_TRUE(opened) << opened.error().Describe();
    return std::move(*opened);
  }
  // Lets the intake work for `time`, and stops it.
  void RunFor(Queue& queue, std::chrono::nanoseconds time) {
    QueueIntake intake(world_.runtime, queue, taker_, kQueue, listener_);
    struct Runner {
      static Async<void> Work(QueueIntake& intake, Event& stop) {
        co_await intake.Run(stop);
        co_return Ok();
      }
      static Async<void> Run(QueueIntake& intake, testing::FakeWorld& world,
                             std::chrono::nanoseconds time) {
        Event stop;
        TaskGroup group(world.runtime.executor);
        group.Spawn(Work(intake, stop));
        co_await world.clock.Sleep(time);
        stop.Set();
        co_return co_await group.Join();
      }
    };
    ASSERT_TRUE(world_.Run(Runner::Run(intake, world_, time)));
  }
  // So many processes end at once, and an event comes when each waits for its last answer alone.
  void EndWhileOneComes(int processes) {
    struct Runner {
      static Async<void> Work(QueueIntake& intake, Event& stop) {
        co_await intake.Run(stop);
        co_return Ok();
      }
      static Async<void> Run(std::vector<std::unique_ptr<QueueIntake>>& intakes,
                             testing::FakeWorld& world, FakeSqs& sqs) {
        Event stop;
        TaskGroup group(world.runtime.executor);
        for (auto& intake : intakes) group.Spawn(Work(*intake, stop));
        co_await world.clock.Sleep(5s);
        stop.Set();
        co_await world.clock.Sleep(3s);
        sqs.Put(kQueue, EventOf("logs/late"));
        co_return co_await group.Join();
      }
    };
    std::vector<std::unique_ptr<Queue>> queues;
    std::vector<std::unique_ptr<QueueIntake>> intakes;
    for (int i = 0; i < processes; ++i) {
      queues.push_back(Open());
      intakes.push_back(
          std::make_unique<QueueIntake>(world_.runtime, *queues.back(), taker_, kQueue, listener_));
    }
    ASSERT_TRUE(world_.Run(Runner::Run(intakes, world_, sqs_)));
  }
  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    for (const std::string& body : hints_->Bodies()) {
      Result<HintMessage> message = DecodeHints(body);
      EXPECT_TRUE(message);
      for (const Hint& hint : message ? message->hints : std::vector<Hint>()) {
        keys.push_back(hint.key);
      }
    }
    std::ranges::sort(keys);
    return keys;
  }
  std::string ReasonOf(const FakeSqs::Message& message) {
    const boost::json::value* reason = message.attributes.if_contains("reason");
    return reason == nullptr ? "" : reason->at("StringValue").as_string().c_str();
  }
  std::deque<FakeSqs::Message>& Waiting() { return sqs_.queues.at(kQueue).messages; }
  std::deque<FakeSqs::Message>& Dead() { return sqs_.queues.at(kDead).messages; }

  testing::FakeWorld world_;
  FakeSqs sqs_{world_.runtime};
  Configuration configuration_;
  std::shared_ptr<testing::FakeQueueBackend> hints_ = std::make_shared<testing::FakeQueueBackend>();
  QueueIntakeListener listener_;
  testing::FakeFaults faults_{1};
  testing::FakeQueue hint_queue_{world_.runtime, hints_, &faults_};
  RuleEvents taker_{world_.runtime, configuration_, hint_queue_, "sqs",
                    [](const Rule& rule) { return rule.intake.sqs.has_value(); }};
};

TEST_F(QueueIntakeTest, EventsBecomeHintsAndGo) {
  for (int i = 0; i < 25; ++i) sqs_.Put(kQueue, EventOf("logs/" + std::to_string(i)));
  std::unique_ptr<Queue> queue = Open();
  RunFor(*queue, 10s);
  EXPECT_EQ(Keys().size(), 25u);
  EXPECT_TRUE(Waiting().empty());
  EXPECT_TRUE(Dead().empty());
  // Together, not one by one: each would cost a request there too.
  EXPECT_LE(hints_->rows.size(), 2u);
  EXPECT_EQ(hints_->rows.begin()->second.lane, "logs");
}

// What tells of nothing that is wanted has been understood.
TEST_F(QueueIntakeTest, TestsAndKeysOfNoRuleGo) {
  sqs_.Put(kQueue, R"({"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"acme-in"})");
  sqs_.Put(kQueue, EventOf("tmp/x"));
  std::unique_ptr<Queue> queue = Open();
  RunFor(*queue, 5s);
  EXPECT_TRUE(Waiting().empty());
  EXPECT_TRUE(Dead().empty());
  EXPECT_TRUE(Keys().empty());
}

// A message may go only when what it asks for is durable: else the object is never carried.
TEST_F(QueueIntakeTest, AMessageStaysUntilItsHintIsDurable) {
  faults_.fails_before = 1;
  sqs_.Put(kQueue, EventOf("logs/a"));
  std::unique_ptr<Queue> queue = Open();
  RunFor(*queue, 20s);
  ASSERT_EQ(Waiting().size(), 1u);
  EXPECT_EQ(sqs_.count("DeleteMessageBatch"), 0);
  // Each delivery counts, and after five it would be a dead letter.
  EXPECT_EQ(Waiting().front().receive_count, 1);
  faults_.fails_before = 0;
  queue = Open();
  RunFor(*queue, 120s);
  EXPECT_EQ(Keys(), (std::vector<std::string>{"logs/a"}));
  EXPECT_TRUE(Waiting().empty());
}

// A request of hints that is not answered for long is no reason to deliver the message again.
TEST_F(QueueIntakeTest, AMessageStaysHiddenWhileItsHintIsMadeDurable) {
  faults_.slow = 1;
  faults_.delay_max = 1'000s;
  sqs_.Put(kQueue, EventOf("logs/a"));
  std::unique_ptr<Queue> queue = Open();
  struct Other {
    static Async<void> Look(Queue& queue, Clock& clock, int& received) {
      for (int i = 0; i < 200; ++i) {
        co_await clock.Sleep(5s);
        Result<Received> more =
            co_await queue.Receive({.count_max = 1, .visibility = 1s, .wait = 0s, .without = {}});
        if (more) received += static_cast<int>(more->messages.size());
      }
      co_return Ok();
    }
  };
  std::unique_ptr<Queue> another = Open();
  int received = 0;
  TaskGroup group(world_.runtime.executor);
  group.Spawn(Other::Look(*another, world_.clock, received));
  RunFor(*queue, 3'000s);
  ASSERT_TRUE(world_.Run(group.Join()));
  EXPECT_GE(world_.clock.SteadyNow().time_since_epoch(), 3'000s);
  EXPECT_EQ(received, 0);
  EXPECT_EQ(Keys(), (std::vector<std::string>{"logs/a"}));
  EXPECT_TRUE(Waiting().empty());
}

// A right that was taken away, or a queue that is gone, is not found out by the next listing.
TEST_F(QueueIntakeTest, AQueueThatCannotBeReadIsTold) {
  auto backend = std::make_shared<testing::FakeQueueBackend>();
  testing::FakeFaults faults(1);
  testing::FakeQueue queue(world_.runtime, backend, &faults);
  faults.fails_before = 1;
  std::vector<std::string> told;
  listener_.on_state = [&](const std::optional<Error>& error) {
    told.emplace_back(error ? "fails" : "works");
    faults.fails_before = told.size() < 3 ? 1 : 0;
  };
  RunFor(queue, 60s);
  EXPECT_EQ(told, (std::vector<std::string>{"fails", "fails", "fails", "works"}));
}

// What is not understood must be kept for a person, with the reason, and not come for ever.
TEST_F(QueueIntakeTest, WhatIsNotUnderstoodIsADeadLetterWithItsReason) {
  sqs_.Put(kQueue, "no JSON");
  sqs_.Put(kQueue, R"({"some":"transformer"})");
  sqs_.Put(kQueue, EventOf("k", "unknown-bucket"));
  sqs_.Put(kQueue, EventOf(""));
  sqs_.Put(kQueue, R"({"Type":"SubscriptionConfirmation","TopicArn":"arn:aws:sns:x"})");
  std::unique_ptr<Queue> queue = Open();
  RunFor(*queue, 5s);
  EXPECT_TRUE(Waiting().empty());
  ASSERT_EQ(Dead().size(), 5u);
  EXPECT_TRUE(ReasonOf(Dead()[0]).contains("not JSON")) << ReasonOf(Dead()[0]);
  EXPECT_TRUE(ReasonOf(Dead()[1]).contains("not an S3 event")) << ReasonOf(Dead()[1]);
  EXPECT_TRUE(ReasonOf(Dead()[2]).contains("'unknown-bucket'")) << ReasonOf(Dead()[2]);
  EXPECT_TRUE(ReasonOf(Dead()[3]).contains("without a bucket or a key")) << ReasonOf(Dead()[3]);
  EXPECT_TRUE(ReasonOf(Dead()[4]).contains("confirm")) << ReasonOf(Dead()[4]);
  EXPECT_EQ(Dead()[0].body, "no JSON");
  EXPECT_EQ(
      world_.metrics.counter("longhaul_events_set_aside_total", "", {{"queue", kQueue}}).value(),
      5);
}

// Removed with the items that were understood, it would be gone, and nobody would ever tell of it.
TEST_F(QueueIntakeTest, AnArrayThatIsUnderstoodInPartIsADeadLetter) {
  sqs_.Put(kQueue,
           "[" + EventOf("logs/a") + R"(,{"type":"s3-create","bucket":"acme-in","key":"logs/b"}])");
  sqs_.Put(kQueue, "[" + EventOf("logs/c") + R"(,{"Event":"s3:TestEvent","Bucket":"acme-in"}])");
  std::unique_ptr<Queue> queue = Open();
  RunFor(*queue, 5s);
  EXPECT_EQ(Keys(), (std::vector<std::string>{"logs/a", "logs/c"}));
  EXPECT_TRUE(Waiting().empty());
  ASSERT_EQ(Dead().size(), 1u);
  EXPECT_TRUE(Dead()[0].body.contains("s3-create"));
  EXPECT_TRUE(ReasonOf(Dead()[0]).contains("an event that is none")) << ReasonOf(Dead()[0]);
}

constexpr char kClusterJob[] =
    R"({"Src_bucket":"acme-in","Src_key":"logs/a+%41","Des_bucket":"b","Des_key":"p/logs/a",)"
    R"("Size":123,"versionId":"null"})";
constexpr char kHubJob[] = R"({"key":"logs/b+%41","size":123})";

// The queue of a migration under way is taken over as it is: each of its jobs is a hint.
TEST_F(QueueIntakeTest, JobsOfSystemsThatMigrateBecomeHints) {
  sqs_.Put(kQueue, kClusterJob);
  sqs_.Put(kQueue, kHubJob);
  sqs_.Put(kQueue,
           R"({"Records":[{"EventVersion":"2.1","EventSource":"aws:s3","AwsRegion":"eu-west-1",)"
           R"("EventTime":"2026-03-01T09:30:00Z","EventName":"ObjectCreated:Put","S3":{"Bucket":)"
           R"({"Name":"acme-in"},"Object":{"Key":"logs/c+%41","Size":123}}}],"Event":""})");
  sqs_.Put(kQueue, R"({"objectKey":"logs/d","partNumber":7,"totalPartsCount":2048,)"
                   R"("uploadID":"u","bodyRange":"bytes=31457280-36700159"})");
  std::unique_ptr<Queue> queue = Open();
  RunFor(*queue, 5s);
  EXPECT_EQ(Keys(), (std::vector<std::string>{"logs/a+%41", "logs/b+%41", "logs/c+%41", "logs/d"}));
  EXPECT_TRUE(Waiting().empty());
  EXPECT_TRUE(Dead().empty());
}

// Of a bucket that is none of the rule's, or that nobody can tell, a job is kept.
TEST_F(QueueIntakeTest, JobsOfAnotherBucketAreDeadLetters) {
  std::string other = kClusterJob;
  other.replace(other.find("acme-in"), 7, "unknown");
  sqs_.Put(kQueue, other);
  Rule rule = configuration_.rules.front();
  rule.id = "second";
  rule.source.bucket = "acme-other";
  configuration_.rules.push_back(rule);
  sqs_.Put(kQueue, kHubJob);
  std::unique_ptr<Queue> queue = Open();
  RunFor(*queue, 5s);
  EXPECT_TRUE(Keys().empty());
  ASSERT_EQ(Dead().size(), 2u);
  EXPECT_TRUE(ReasonOf(Dead()[0]).contains("'unknown'")) << ReasonOf(Dead()[0]);
  EXPECT_TRUE(ReasonOf(Dead()[1]).contains("names no bucket")) << ReasonOf(Dead()[1]);
  EXPECT_EQ(Dead()[1].body, kHubJob);
}

// What waits for a rule that is disabled for a while is not another one's.
TEST_F(QueueIntakeTest, JobsThatMayBeOfADisabledRuleAreDeadLetters) {
  Rule rule = configuration_.rules.front();
  rule.id = "later";
  rule.source.bucket = "acme-other";
  rule.enabled = false;
  configuration_.rules.push_back(rule);
  sqs_.Put(kQueue, kHubJob);
  std::unique_ptr<Queue> queue = Open();
  RunFor(*queue, 5s);
  EXPECT_TRUE(Keys().empty());
  ASSERT_EQ(Dead().size(), 1u);
  EXPECT_TRUE(ReasonOf(Dead()[0]).contains("names no bucket")) << ReasonOf(Dead()[0]);
}

// Of a message that is understood by half that half is done, and all of it kept.
TEST_F(QueueIntakeTest, HalfOfAMessageIsDoneAndAllOfItKept) {
  sqs_.Put(
      kQueue,
      R"({"Records":[{"eventVersion":"2.1","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"acme-in"},)"
      R"("object":{"key":"logs/good"}}},{"eventVersion":"2.1","eventName":"ObjectCreated:Put","s3":{}}]})");
  std::unique_ptr<Queue> queue = Open();
  RunFor(*queue, 5s);
  EXPECT_EQ(Keys(), (std::vector<std::string>{"logs/good"}));
  EXPECT_EQ(Dead().size(), 1u);
}

// Dead letters that cannot be written keep what they should take.
TEST_F(QueueIntakeTest, WhatIsNotUnderstoodStaysWhereItCannotBeKeptElsewhere) {
  sqs_.faults["SendMessageBatch"].assign(100, Fault::kLostBefore);
  sqs_.Put(kQueue, "no JSON");
  std::unique_ptr<Queue> queue = Open();
  RunFor(*queue, 5s);
  EXPECT_EQ(Waiting().size(), 1u);
  EXPECT_EQ(sqs_.count("DeleteMessageBatch"), 0);
}

// Somebody else's queue is used only where poison has a place to go to.
TEST_F(QueueIntakeTest, AQueueWithoutDeadLettersIsRefusedWithTheCommandsThatMendIt) {
  sqs_.queues.at(kQueue).attributes.clear();
  auto opened = world_.Run(
      SqsQueue::Open(world_.runtime, sqs_.Client(),
                     {.prefix = kQueue, .lanes = {{.lane = "", .queue = kQueue}}, .own = false}));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalidInput);
  const std::string& message = opened.error().message;
  EXPECT_TRUE(message.contains("create-queue --queue-name app-events-dead-letters")) << message;
  EXPECT_TRUE(message.contains(R"('{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:)"
                               R"(us-east-1:111122223333:app-events-dead-letters\")"))
      << message;
  sqs_.queues.erase(kQueue);
  opened = world_.Run(
      SqsQueue::Open(world_.runtime, sqs_.Client(),
                     {.prefix = kQueue, .lanes = {{.lane = "", .queue = kQueue}}, .own = false}));
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().message.contains(
      "aws sqs create-queue --region us-east-1 --queue-name app-events "))
      << opened.error().message;
}

// From the event to the acknowledged hint, with the rules' queue in SQS as well: what a steady
// stream of small objects costs in all.
TEST_F(QueueIntakeTest, ASteadyStreamCostsTwentyOneRequestsAHundred) {
  for (const char* name : {"haul-dead-letters", "haul-logs-events"}) sqs_.queues[name];
  sqs_.queues["haul-logs-events"].attributes["RedrivePolicy"] =
      R"({"deadLetterTargetArn":"arn:aws:sqs:us-east-1:111122223333:haul-dead-letters","maxReceiveCount":1000})";
  auto lanes = world_.Run(
      SqsQueue::Open(world_.runtime, sqs_.Client(),
                     {.prefix = "haul", .lanes = {{.lane = "logs", .queue = "haul-logs-events"}}}));
  ASSERT_TRUE(lanes) << lanes.error().Describe();
  RuleEvents taker(world_.runtime, configuration_, **lanes, "sqs",
                   [](const Rule& rule) { return rule.intake.sqs.has_value(); });
  std::unique_ptr<Queue> queue = Open();
  QueueIntake intake(world_.runtime, *queue, taker, kQueue);
  struct Runner {
    static Async<void> Put(FakeSqs& sqs, Clock& clock, int count) {
      for (int i = 0; i < count; ++i) {
        sqs.Put(kQueue, EventOf("logs/" + std::to_string(i)));
        co_await clock.Sleep(3ms);
      }
      co_return Ok();
    }
    static Async<void> Carry(Queue& lanes, Clock& clock, Event& stop, size_t* keys) {
      while (!stop.is_set()) {
        Result<Received> received =
            co_await lanes.Receive({.count_max = 10, .visibility = 30s, .wait = 1s, .without = {}});
        if (!received) co_return received.error();
        std::vector<Receipt> receipts;
        for (const QueueMessage& message : received->messages) {
          Result<HintMessage> hints = DecodeHints(message.body);
          if (!hints) co_return hints.error();
          *keys += hints->hints.size();
          receipts.push_back(message.receipt);
        }
        if (receipts.empty()) continue;
        Result<void> acked = co_await lanes.Ack(std::move(receipts));
        if (!acked) co_return acked.error();
      }
      co_return Ok();
    }
    static Async<void> Take(QueueIntake& intake, Event& stop) {
      co_await intake.Run(stop);
      co_return Ok();
    }
    static Async<void> Run(QueueIntake& intake, Queue& lanes, FakeSqs& sqs,
                           testing::FakeWorld& world, size_t* keys) {
      Event stop;
      TaskGroup group(world.runtime.executor);
      group.Spawn(Put(sqs, world.clock, 10'000));
      group.Spawn(Take(intake, stop));
      group.Spawn(Carry(lanes, world.clock, stop, keys));
      co_await world.clock.Sleep(40s);
      stop.Set();
      co_return co_await group.Join();
    }
  };
  const int before = sqs_.count();
  size_t keys = 0;
  Result<void> ran = world_.Run(Runner::Run(intake, **lanes, sqs_, world_, &keys));
  ASSERT_TRUE(ran) << ran.error().Describe();
  EXPECT_EQ(keys, 10'000u);
  EXPECT_LE(sqs_.count() - before, 2'100)
      << sqs_.count("ReceiveMessage") << " receives, " << sqs_.count("DeleteMessageBatch")
      << " removals, " << sqs_.count("SendMessageBatch") << " sends";
}

// Each process has a request that waits at SQS. Where all of a cluster end at once, an event that
// comes just then would be received and given back by one after the other, and is a dead letter
// after five.
TEST_F(QueueIntakeTest, WhatComesWhileAllProcessesEndIsDone) {
  EndWhileOneComes(10);
  EXPECT_TRUE(Dead().empty());
  EXPECT_EQ(Keys(), (std::vector<std::string>{"logs/late"}));
  EXPECT_TRUE(Waiting().empty());
}

// What cannot be kept at the very end goes back at once, and not when its visibility runs out.
TEST_F(QueueIntakeTest, WhatCannotBeKeptAtTheEndIsGivenBack) {
  faults_.fails_before = 1;
  EndWhileOneComes(1);
  EXPECT_TRUE(Keys().empty());
  ASSERT_EQ(Waiting().size(), 1u);
  EXPECT_LE(Waiting().front().visible_at, world_.clock.SteadyNow());
}

}  // namespace
}  // namespace longhaul
