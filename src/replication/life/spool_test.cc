#include "replication/life/spool.h"

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

class SpoolTest : public ::testing::Test {
 protected:
  Async<void> Keep(int second) {
    SpooledHint hint{.target = "", .hint = {.key = "k", .time = SystemTime(seconds(second))}};
    return SpoolHints(state_, "r", "s", "b", {std::move(hint)});
  }
  [[nodiscard]] size_t Rows() const { return state_backend_->rows.size(); }

  testing::FakeWorld world_;
  std::shared_ptr<testing::FakeStateBackend> state_backend_ =
      std::make_shared<testing::FakeStateBackend>();
  testing::FakeState state_{world_.runtime, state_backend_};
  std::shared_ptr<testing::FakeQueueBackend> queue_backend_ =
      std::make_shared<testing::FakeQueueBackend>();
  BusyQueue queue_{world_.runtime, queue_backend_};
  Rule rule_{.id = "r", .source = {.store = "s", .bucket = "b"}};
};

// A process that knows that the rule goes on sends a hint; one that does not know it yet gets that
// hint and keeps it again, before the first one has removed its row. It is the only one by then.
TEST_F(SpoolTest, AHintThatIsKeptAgainWhileItIsSentStays) {
  ASSERT_TRUE(world_.Run(Keep(5)));
  queue_.after_send = [this]() -> asio::awaitable<void> { EXPECT_TRUE(co_await Keep(5)); };
  ASSERT_TRUE(world_.Run(Unspool(state_, queue_, rule_)));
  EXPECT_EQ(Rows(), 1U);
  ASSERT_TRUE(world_.Run(Unspool(state_, queue_, rule_)));
  EXPECT_EQ(Rows(), 0U);
}

// A rule that was given another bucket must not read the keys of the first one there: what is
// absent in it would be deleted at the target.
TEST_F(SpoolTest, HintsOfAnotherBucketAreForgotten) {
  ASSERT_TRUE(world_.Run(Keep(5)));
  rule_.source.bucket = "other";
  Result<Unspooled> taken_up = world_.Run(Unspool(state_, queue_, rule_));
  ASSERT_TRUE(taken_up);
  EXPECT_EQ(taken_up->forgotten, 1U);
  EXPECT_EQ(Rows(), 0U);
  EXPECT_TRUE(queue_backend_->rows.empty());

  // Kept anew, it is not put off by that of the other one, however late.
  ASSERT_TRUE(world_.Run(Keep(9)));
  std::vector<SpooledHint> hints{{.hint = {.key = "k", .time = SystemTime(seconds(7))}}};
  ASSERT_TRUE(world_.Run(SpoolHints(state_, "r", "s", "other", hints)));
  ASSERT_TRUE(world_.Run(Unspool(state_, queue_, rule_)));
  Result<Received> received = world_.Run(queue_.Receive({.count_max = 10,
                                                         .visibility = seconds(1),
                                                         .wait = std::chrono::milliseconds(0),
                                                         .without = {}}));
  ASSERT_TRUE(received);
  ASSERT_EQ(received->messages.size(), 1U);
  const HintMessage message = DecodeHints(received->messages[0].body).value();
  EXPECT_EQ(message.bucket, "other");
  EXPECT_EQ(message.hints.at(0).time, SystemTime(seconds(7)));
}

// What another store lacks under the same name would be deleted, past the delete guard.
TEST_F(SpoolTest, HintsOfAnotherStoreAreForgottenByARuleWithDeletes) {
  for (const bool deletes : {false, true}) {
    ASSERT_TRUE(world_.Run(Keep(5)));
    rule_.source.store = "another";
    rule_.deletes = deletes;
    Result<Unspooled> taken_up = world_.Run(Unspool(state_, queue_, rule_));
    ASSERT_TRUE(taken_up);
    EXPECT_EQ(taken_up->forgotten, deletes ? 1U : 0U);
    EXPECT_EQ(taken_up->sent, deletes ? 0U : 1U);
    EXPECT_EQ(Rows(), 0U);
  }
}

// Of a version that did not write of which store they are.
TEST_F(SpoolTest, RowsOfEarlierVersionsAreTakenUp) {
  state_backend_->rows[{"spool/r", "/k"}] = {
      .key = "/k", .value = "1 2026-01-01T00:00:00Z 2 7 - b", .revision = 1};
  Result<Unspooled> taken_up = world_.Run(Unspool(state_, queue_, rule_));
  ASSERT_TRUE(taken_up);
  EXPECT_EQ(taken_up->sent, 1U);
}

// A hint that is put off by an older one would be read before its change is there.
TEST_F(SpoolTest, TheLaterOfTwoHintsCounts) {
  const SystemTime now = world_.clock.Now();
  std::vector<SpooledHint> hints{
      {.hint = {.key = "a/b", .time = now, .size_bytes = 7, .tries = 2}},
      {.hint = {.key = "a/b", .time = now - seconds(5)}},
      {.target = "t0", .hint = {.key = "a/b", .time = now - seconds(5)}}};
  ASSERT_TRUE(world_.Run(SpoolHints(state_, "r", "s", "b", hints)));
  std::vector<SpooledHint> older{{.hint = {.key = "a/b", .time = now - seconds(9)}}};
  ASSERT_TRUE(world_.Run(SpoolHints(state_, "r", "s", "b", older)));
  Result<Unspooled> taken_up = world_.Run(Unspool(state_, queue_, rule_));
  ASSERT_TRUE(taken_up);
  EXPECT_EQ(taken_up->sent, 2U);
  EXPECT_EQ(Rows(), 0U);
  Result<Received> received = world_.Run(queue_.Receive({.count_max = 10,
                                                         .visibility = seconds(1),
                                                         .wait = std::chrono::milliseconds(0),
                                                         .without = {}}));
  ASSERT_TRUE(received);
  ASSERT_EQ(received->messages.size(), 2U);
  HintMessage all = DecodeHints(received->messages[0].body).value();
  HintMessage one = DecodeHints(received->messages[1].body).value();
  if (!all.target.empty()) std::swap(all, one);
  EXPECT_EQ(all.rule, "r");
  ASSERT_EQ(all.hints.size(), 1U);
  EXPECT_EQ(all.hints[0].key, "a/b");
  EXPECT_EQ(all.hints[0].time, now);
  EXPECT_EQ(all.hints[0].size_bytes, 7U);
  EXPECT_EQ(all.hints[0].tries, 2);
  EXPECT_EQ(one.target, "t0");
}

}  // namespace
}  // namespace longhaul
