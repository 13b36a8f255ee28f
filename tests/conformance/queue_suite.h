// What every Queue does, as tests: each sentence of queue/queue.h. The tests are in
// queue_suite_*.cc; a backend instantiates the suite with a function that makes its harness
// (queue_conformance_test.cc).

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
  // A count may be that much behind (SQS: approximate; ElasticMQ counts what it was just sent, or
  // given back, as delayed or in flight).
  std::chrono::milliseconds counts_behind{0};
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
    if (GetParam().traits.counts_behind > kNone) Sleep(GetParam().traits.counts_behind);
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

}  // namespace longhaul::testing
