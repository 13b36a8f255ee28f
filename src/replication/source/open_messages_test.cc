#include "replication/source/open_messages.h"

#include <gtest/gtest.h>

#include "tests/support/fake_queue.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

class OpenMessagesTest : public ::testing::Test {
 protected:
  std::vector<QueueMessage> Receive(std::chrono::milliseconds visibility) {
    Result<Received> received = world_.Run(
        queue_.Receive({.count_max = 10, .visibility = visibility, .wait = 0ms, .without = {}}));
    EXPECT_TRUE(received);
    return received ? received->messages : std::vector<QueueMessage>();
  }
  void Send(int count) {
    std::vector<NewMessage> messages;
    for (int i = 0; i < count; ++i) messages.push_back({.body = std::to_string(i), .lane = "r"});
    ASSERT_TRUE(world_.Run(queue_.Send(messages, 0ms)));
  }

  testing::FakeWorld world_;
  std::shared_ptr<testing::FakeQueueBackend> backend_ =
      std::make_shared<testing::FakeQueueBackend>();
  testing::FakeQueue queue_{world_.runtime, backend_};
  ReplicationLimits limits_;
  OpenMessages messages_{world_.runtime, queue_, limits_, 3};
};

// What is done must not be acknowledged message by message where one request does it.
TEST_F(OpenMessagesTest, WhatIsDoneIsAcknowledgedByTheNextFlush) {
  Send(3);
  for (const QueueMessage& message : Receive(30s)) {
    world_.Run(messages_.Finish({messages_.Open(message)}, {}, {}));
  }
  EXPECT_EQ(backend_->rows.size(), 3u);
  EXPECT_FALSE(messages_.empty());
  world_.Run(messages_.Flush());
  EXPECT_TRUE(backend_->rows.empty());
  EXPECT_TRUE(messages_.empty());
}

// One message that another process has got since must not keep the others in the Queue: all of them
// would be done twice.
TEST_F(OpenMessagesTest, OneThatWasDeliveredAgainLeavesTheOthersAcknowledged) {
  Send(1);
  std::vector<QueueMessage> taken = Receive(100ms);
  ASSERT_EQ(taken.size(), 1u);
  world_.clock.Advance(200ms);
  EXPECT_EQ(Receive(60s).size(), 1u);
  Send(2);
  for (const QueueMessage& message : Receive(60s)) taken.push_back(message);
  ASSERT_EQ(taken.size(), 3u);
  for (const QueueMessage& message : taken) {
    world_.Run(messages_.Finish({messages_.Open(message)}, {}, {}));
  }
  world_.Run(messages_.Flush());
  EXPECT_EQ(backend_->rows.size(), 1u);
  EXPECT_TRUE(messages_.empty());
}

// What is worked on for long stays hidden; what a stop leaves undone comes back at once, and what
// is done does not.
TEST_F(OpenMessagesTest, KeepsHiddenWhatIsOpenAndReleasesItAtAStop) {
  Send(2);
  const std::vector<QueueMessage> taken = Receive(limits_.visibility);
  ASSERT_EQ(taken.size(), 2u);
  const std::shared_ptr<OpenMessage> done = messages_.Open(taken[0]);
  messages_.Open(taken[1]);
  struct Worker {
    static Async<void> Keep(OpenMessages& messages, Event& stop) {
      co_await messages.KeepHidden(stop);
      co_return Ok();
    }
    static Async<bool> Work(OpenMessages& messages, testing::FakeQueueBackend& backend,
                            testing::FakeWorld& world, std::chrono::milliseconds time) {
      Event stop;
      TaskGroup group(world.runtime.executor);
      group.Spawn(Keep(messages, stop));
      co_await world.clock.Sleep(time);
      bool hidden = true;
      for (const auto& [id, row] : backend.rows) hidden &= row.visible_at > world.clock.Now();
      stop.Set();
      Result<void> joined = co_await group.Join();
      if (!joined) co_return joined.error();
      co_return hidden;
    }
  };
  EXPECT_TRUE(*world_.Run(Worker::Work(messages_, *backend_, world_, 3 * limits_.visibility)));
  world_.Run(messages_.Finish({done}, {}, {}));
  world_.Run(messages_.Release());
  EXPECT_EQ(backend_->rows.size(), 1u);
  EXPECT_EQ(Receive(60s).size(), 1u);
}

// Requests that fail for a while must be made again before the visibility has run out.
TEST_F(OpenMessagesTest, WhatCouldNotBeExtendedIsExtendedNextTime) {
  class FailingQueue : public testing::FakeQueue {
   public:
    using FakeQueue::FakeQueue;
    Async<void> ExtendAll(std::vector<Receipt> receipts,
                          std::chrono::milliseconds visibility) override {
      if (failures_ > 0) {
        --failures_;
        co_return Error{.kind = ErrorKind::kRetryable, .message = "away"};
      }
      co_return co_await FakeQueue::ExtendAll(std::move(receipts), visibility);
    }

   private:
    int failures_ = 3;
  };
  FailingQueue queue(world_.runtime, backend_);
  OpenMessages messages(world_.runtime, queue, limits_, 3);
  Send(1);
  const std::vector<QueueMessage> taken = Receive(limits_.visibility);
  ASSERT_EQ(taken.size(), 1u);
  messages.Open(taken[0]);
  struct Worker {
    static Async<void> Keep(OpenMessages& messages, Event& stop) {
      co_await messages.KeepHidden(stop);
      co_return Ok();
    }
    static Async<bool> Work(OpenMessages& messages, testing::FakeQueueBackend& backend,
                            testing::FakeWorld& world, std::chrono::milliseconds time) {
      Event stop;
      TaskGroup group(world.runtime.executor);
      group.Spawn(Keep(messages, stop));
      co_await world.clock.Sleep(time);
      const bool hidden = backend.rows.begin()->second.visible_at > world.clock.Now();
      stop.Set();
      Result<void> joined = co_await group.Join();
      if (!joined) co_return joined.error();
      co_return hidden;
    }
  };
  const std::chrono::milliseconds past = limits_.visibility + limits_.visibility / 12;
  EXPECT_TRUE(*world_.Run(Worker::Work(messages, *backend_, world_, past)));
}

}  // namespace
}  // namespace longhaul
