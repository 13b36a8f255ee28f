#include "replication/spool.h"

#include <gtest/gtest.h>

#include "tests/support/fake_queue.h"
#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using std::chrono::seconds;

// A Queue in which something happens as soon as messages are there.
class BusyQueue : public testing::FakeQueue {
 public:
  using FakeQueue::FakeQueue;
  Async<void> Send(std::vector<NewMessage> messages, std::chrono::milliseconds delay) override {
    Result<void> sent = co_await FakeQueue::Send(std::move(messages), delay);
    if (after_send) co_await std::exchange(after_send, nullptr)();
    co_return sent;
  }
  std::function<asio::awaitable<void>()> after_send;
};

class SpoolRaceTest : public ::testing::Test {
 protected:
  Async<void> Keep(int second) {
    SpooledHint hint{.target = "", .hint = {.key = "k", .time = SystemTime(seconds(second))}};
    return SpoolHints(state_, "r", {std::move(hint)});
  }
  [[nodiscard]] size_t Rows() const { return state_backend_->rows.size(); }

  testing::FakeWorld world_;
  std::shared_ptr<testing::FakeStateBackend> state_backend_ =
      std::make_shared<testing::FakeStateBackend>();
  testing::FakeState state_{world_.runtime, state_backend_};
  std::shared_ptr<testing::FakeQueueBackend> queue_backend_ =
      std::make_shared<testing::FakeQueueBackend>();
  BusyQueue queue_{world_.runtime, queue_backend_};
  Rule rule_{.id = "r"};
};

// A process that knows that the rule goes on sends a hint; one that does not know it yet gets that
// hint and keeps it again, before the first one has removed its row. It is the only one by then.
TEST_F(SpoolRaceTest, AHintThatIsKeptAgainWhileItIsSentStays) {
  ASSERT_TRUE(world_.Run(Keep(5)));
  queue_.after_send = [this]() -> asio::awaitable<void> { EXPECT_TRUE(co_await Keep(5)); };
  ASSERT_TRUE(world_.Run(Unspool(state_, queue_, rule_)));
  EXPECT_EQ(Rows(), 1U);
  ASSERT_TRUE(world_.Run(Unspool(state_, queue_, rule_)));
  EXPECT_EQ(Rows(), 0U);
}

}  // namespace
}  // namespace longhaul
