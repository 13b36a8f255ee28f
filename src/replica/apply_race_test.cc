// What others write and delete meanwhile.

#include "tests/support/applier_test.h"

namespace longhaul {
namespace {

using std::chrono::seconds;
using testing::ApplierTest;
using testing::LatePut;
using testing::TextBody;

// Two processes of one target, the races between their steps.
class RaceTest : public ApplierTest {
 protected:
  RaceTest() {
    ApplyPolicy policy = applier_->policy();
    policy.owner = "rival";
    rival_ = std::make_unique<Applier>(world_.runtime, store_, state_, floors_, policy);
  }

  asio::awaitable<void> RivalPuts(std::string text, int second) {
    TextBody body(text);
    rival_outcome_ = co_await rival_->Put(WriteOf(text, second), body);
  }
  asio::awaitable<void> RivalRemoves(int second) {
    rival_outcome_ = co_await rival_->Remove("k", At(second));
  }

  std::unique_ptr<Applier> rival_;
  Result<ApplyOutcome> rival_outcome_;
};

INSTANTIATE_TEST_SUITE_P(Stores, RaceTest, ::testing::Values(true),
                         [](const auto&) { return "Conditional"; });

// A delete that was faster than the loss of a create's answer: the writer looks again.
TEST_P(RaceTest, AWriterWithoutAnAnswerLooksAgainAfterADelete) {
  LatePut plan(seconds(30));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody body("old");
  body.before_write = [this]() -> asio::awaitable<void> {
    Result<ApplyOutcome> removed = co_await applier_->Remove("k", At(2));
    EXPECT_TRUE(removed);
  };
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  TextBody again("old");
  Result<ApplyOutcome> outcome = world_.Run(applier_->Put(WriteOf("old", 1), again));
  ASSERT_FALSE(outcome) << "it may still land";
  world_.Run(world_.clock.Sleep(seconds(40)));
  EXPECT_EQ(Put("old", 1), ApplyState::kReread) << "the source reads, and finds nothing";
}

// Between our look and our write a newer state was written: ours must fail its condition.
TEST_P(RaceTest, ANewerWriteInBetweenWins) {
  world_.clock.Advance(seconds(60));  // No stamp is of a clock that was ahead.
  for (const bool looks_first : {false, true}) {
    // Where most keys were new the next one is created before anybody looks; after some that were
    // not, a look comes first.
    EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
    for (int second = 2; looks_first && second < 12; ++second) {
      EXPECT_EQ(Put("one " + std::to_string(second), second), ApplyState::kApplied);
    }
    TextBody body("two");
    body.before_write = [this] { return RivalPuts("three", 30); };
    EXPECT_EQ(PutBody(WriteOf("two", 20), body), ApplyState::kSuperseded) << looks_first;
    EXPECT_EQ(Content(), "three");
    backend_->buckets["b"].objects.erase("k");
    state_backend_->rows.clear();
  }
}

// The same with one that is no replica, and leaves nothing in State that could tell of it.
TEST_P(RaceTest, AForeignObjectInBetweenIsKept) {
  for (int second = 1; second < 12; ++second) {
    EXPECT_EQ(Put("one " + std::to_string(second), second), ApplyState::kApplied);
  }
  TextBody body("two");
  body.before_write = [this]() -> asio::awaitable<void> {
    MemorySource theirs(std::string_view("theirs"));
    EXPECT_TRUE(co_await store_.Put({.bucket = "b", .key = "k"}, theirs));
  };
  EXPECT_EQ(PutBody(WriteOf("two", 20), body), ApplyState::kConflict);
  EXPECT_EQ(Content(), "theirs");
}

// Between our look and our write the key was deleted, but before our reading: ours is newer and
// must arrive, though the object that it was to replace is gone.
TEST_P(RaceTest, AnOlderDeleteInBetweenDoesNotStopTheWrite) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  TextBody body("two");
  body.before_write = [this] {
    backend_->buckets["b"].objects.erase("k");
    return RivalRemoves(3);
  };
  EXPECT_EQ(PutBody(WriteOf("two", 5), body), ApplyState::kApplied);
  EXPECT_EQ(Content(), "two");
}

// Between our look and our write the key was deleted, later than our reading: what we created must
// go again.
TEST_P(RaceTest, ADeleteInBetweenUndoesTheCreate) {
  TextBody body("one");
  body.before_write = [this] { return RivalRemoves(9); };
  EXPECT_EQ(PutBody(WriteOf("one", 5), body), ApplyState::kSuperseded);
  EXPECT_EQ(Content(), "-");
}

struct SlowDelete : testing::FaultPlan {
  testing::Fault Next(testing::StoreOperation operation, std::string_view,
                      std::string_view) override {
    testing::Fault fault;
    if (operation == testing::StoreOperation::kRemove) fault.delay = seconds(10);
    return fault;
  }
};

// Between the look of a delete and its DELETE the same bytes are found to be newer by another
// process. The DELETE takes them, and who knows whether its sender lives to say so.
TEST_P(RaceTest, WhatADeleteIsOnItsWayToIsNotSettled) {
  SlowDelete plan;
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  testing::MemoryStore slow(world_.runtime, backend_, &plan);
  Applier remover(world_.runtime, slow, state_, floors_, applier_->policy());
  Result<ApplyOutcome> removed;
  bool done = false;
  struct Remover {
    static asio::awaitable<void> Run(Applier& applier, SystemTime stamp,
                                     Result<ApplyOutcome>& removed, bool& done) {
      removed = co_await applier.Remove("k", stamp);
      done = true;
    }
  };
  world_.Start(Remover::Run(remover, At(5), removed, done));
  world_.Run(world_.clock.Sleep(seconds(5)));
  world_.Run(RivalPuts("one", 9));
  EXPECT_FALSE(rival_outcome_) << "it was called " << static_cast<int>(rival_outcome_->state);
  world_.Drive([&] { return done; });
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->state, ApplyState::kReread);
  EXPECT_EQ(Content(), "-");
}

// A create is taken back that has been deleted since, and written anew: what stands there now is
// not ours, though its bytes are.
TEST_P(RaceTest, AnUndoSparesWhatIsNewer) {
  TextBody body("one");
  body.after_write = [this]() -> asio::awaitable<void> {
    co_await RivalRemoves(9);
    co_await RivalPuts("one", 12);
  };
  EXPECT_EQ(PutBody(WriteOf("one", 5), body), ApplyState::kSuperseded);
  EXPECT_EQ(Content(), "one");
}

// A create is taken back, and with it the same bytes of a newer state.
TEST_P(RaceTest, WhatAnUndoTookIsReadAnew) {
  SlowDelete plan;
  testing::MemoryStore slow(world_.runtime, backend_, &plan);
  Applier writer(world_.runtime, slow, state_, floors_, applier_->policy());
  TextBody body("one");
  body.after_write = [this]() -> asio::awaitable<void> {
    EXPECT_TRUE(co_await floors_.Raise("k", {.stamp = At(9), .deleted = true}));
  };
  Result<ApplyOutcome> put;
  bool done = false;
  struct Writer {
    static asio::awaitable<void> Run(Applier& applier, ReplicaWrite write, TextBody& body,
                                     Result<ApplyOutcome>& put, bool& done) {
      put = co_await applier.Put(std::move(write), body);
      done = true;
    }
  };
  world_.Start(Writer::Run(writer, WriteOf("one", 5), body, put, done));
  world_.Run(world_.clock.Sleep(seconds(5)));
  ReplicaWrite newer = WriteOf("one", 12);
  newer.metadata["owner"] = "bob";
  TextBody same_bytes("one");
  EXPECT_FALSE(world_.Run(applier_->Put(newer, same_bytes))) << "the undo is on its way to it";
  world_.Drive([&] { return done; });
  EXPECT_EQ(Content(), "-");
  ASSERT_TRUE(put);
  EXPECT_EQ(put->state, ApplyState::kReread);
}

// An older delete, on its way to the same bytes as they were before, takes what was just created,
// and has gone when its writer looks.
TEST_P(RaceTest, ACreateThatAnOlderDeleteTookIsNotSettled) {
  TextBody body("one");
  body.after_write = [this]() -> asio::awaitable<void> {
    const PendingRequest request{.kind = PendingKind::kDelete,
                                 .until = world_.clock.Now() + seconds(60)};
    EXPECT_TRUE(co_await floors_.Raise(
        "k", {.stamp = At(3), .deleted = true, .pending = {request}, .kept_marks = {}}));
    EXPECT_TRUE(co_await store_.Remove({.bucket = "b", .key = "k"}));
    EXPECT_TRUE(co_await floors_.End("k", request));
  };
  Result<ApplyOutcome> outcome = world_.Run(applier_->Put(WriteOf("one", 5), body));
  EXPECT_FALSE(outcome);
  EXPECT_EQ(Put("one", 5), ApplyState::kApplied);
  EXPECT_EQ(Content(), "one");
}

// A, B, A again: the ETag that we saw is back, and our condition holds, though the object is newer
// than ours. The floor tells, and the source decides.
TEST_P(RaceTest, AnEtagThatCameBackIsNoticed) {
  EXPECT_EQ(Put("a", 1), ApplyState::kApplied);
  TextBody body("c");
  body.before_write = [this]() -> asio::awaitable<void> {
    co_await RivalPuts("b", 7);
    co_await RivalPuts("a", 9);
  };
  const ApplyState state = PutBody(WriteOf("c", 6), body);
  EXPECT_TRUE(state == ApplyState::kReread || Content() == "a");
}

}  // namespace
}  // namespace longhaul
