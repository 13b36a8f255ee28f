// Requests whose answers are lost, and which land long after they were given up.

#include "tests/support/applier_test.h"

namespace longhaul {
namespace {

using std::chrono::seconds;
using testing::ApplierTest;
using testing::LatePut;
using testing::TextBody;

class LateRequestTest : public ApplierTest {};

INSTANTIATE_TEST_SUITE_P(Stores, LateRequestTest, ::testing::Bool(), [](const auto& info) {
  return info.param ? "Conditional" : "WithLeases";
});

// A large object takes longer than a lease lives, and arrives all the same.
TEST_P(LateRequestTest, ALongWriteKeepsItsLease) {
  TextBody body("large");
  body.before_write = [this]() -> asio::awaitable<void> {
    co_await world_.clock.Sleep(std::chrono::minutes(20));
  };
  EXPECT_EQ(PutBody(WriteOf("large", 1), body), ApplyState::kApplied);
  EXPECT_EQ(Content(), "large");
}

// A request whose end nobody knows may land as long as a lease lives: nobody else writes before.
TEST_P(LateRequestTest, AWriteWithoutAnAnswerKeepsOthersAway) {
  LatePut plan(seconds(55));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody body("old");
  body.before_write = [this]() -> asio::awaitable<void> {
    co_await world_.clock.Sleep(seconds(15));
  };
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  TextBody newer("new");
  Result<ApplyOutcome> first = world_.Run(applier_->Put(WriteOf("new", 2), newer));
  EXPECT_TRUE(first) << "If-None-Match stops the other, or it has landed before the lease was over";
  EXPECT_EQ(Content(), "new");
  world_.Run(world_.clock.Sleep(seconds(60)));
  EXPECT_EQ(Content(), "new");
  PutUntilSettled("new", 2);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(5)));
  EXPECT_EQ(Content(), "new");
}

// Whoever sends a write that a lease alone guards, and is gone then, cannot note that it may land:
// his lease must outlive it.
TEST_P(LateRequestTest, AWriteOfSomebodyWhoIsGoneLandsUnderHisLease) {
  struct LastPut : LatePut {
    explicit LastPut(testing::FakeFaults& state) : LatePut(seconds(110)), state(state) {}
    testing::Fault Next(testing::StoreOperation operation, std::string_view bucket,
                        std::string_view key) override {
      // From here on his State is out of reach, as for one who is dead.
      if (operation == testing::StoreOperation::kPut) state.fails_before = 1;
      return LatePut::Next(operation, bucket, key);
    }
    testing::FakeFaults& state;
  };
  testing::FakeFaults own_faults(1);
  testing::FakeState own_state(world_.runtime, state_backend_, &own_faults);
  Floors own_floors(own_state, world_.clock, "rule/target");
  LastPut plan(own_faults);
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  ApplyPolicy policy = applier_->policy();
  policy.owner = "gone";
  Applier applier(world_.runtime, late, own_state, own_floors, policy);
  TextBody body("old");
  // The lease is as old as it gets when the write is sent.
  body.before_write = [this]() -> asio::awaitable<void> {
    co_await world_.clock.Sleep(seconds(19));
  };
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  PutUntilSettled("new", 2);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(5)));
  EXPECT_EQ(Content(), "new");
}

// State was out of reach when the lease was to be extended: what is sent then must not outlive it.
TEST_P(LateRequestTest, ALeaseThatWasNotExtendedIsExtendedBeforeARequest) {
  if (GetParam()) return;
  struct SlowLook : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kHead) fault.delay = on_look();
      if (operation == testing::StoreOperation::kPut) on_put();
      return fault;
    }
    std::function<std::chrono::nanoseconds()> on_look;
    std::function<void()> on_put;
  } plan;
  std::unique_ptr<Clock::Timer> timer;
  plan.on_look = [&] {
    state_faults_.fails_before = 1;
    timer = world_.clock.StartTimer(seconds(24), [&] { state_faults_.fails_before = 0; });
    return seconds(25);
  };
  int puts = 0;
  plan.on_put = [&] {
    ++puts;
    for (const auto& [place, row] : state_backend_->rows) {
      if (place.first != "lease") continue;
      ASSERT_TRUE(row.expires);
      EXPECT_GE(*row.expires, world_.clock.Now() + kRequestLifetime);
    }
  };
  testing::MemoryStore slow(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, slow, state_, floors_, applier_->policy());
  TextBody body("text");
  EXPECT_TRUE(world_.Run(applier.Put(WriteOf("text", 1), body)));
  EXPECT_EQ(puts, 1);
  EXPECT_GT(state_faults_.failures, 0);
}

// The same when State fails just as that is to be noted.
TEST_P(LateRequestTest, AWriteWithoutAnAnswerThatCannotBeNotedKeepsOthersAway) {
  struct UnnotedLatePut : LatePut {
    explicit UnnotedLatePut(testing::FakeFaults& state) : LatePut(seconds(20)), state(state) {}
    testing::Fault Next(testing::StoreOperation operation, std::string_view bucket,
                        std::string_view key) override {
      if (operation == testing::StoreOperation::kPut) state.fail_before_at = state.operations + 1;
      return LatePut::Next(operation, bucket, key);
    }
    testing::FakeFaults& state;
  } plan(state_faults_);
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody body("old");
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  EXPECT_EQ(state_faults_.failures, 1);
  PutUntilSettled("new", 2);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(5)));
  EXPECT_EQ(Content(), "new");
}

// One DELETE without an answer, that cannot even be noted: what was noted before it must stay.
struct UnnotedDelete : testing::FaultPlan {
  explicit UnnotedDelete(testing::FakeFaults& state) : state(state) {}
  testing::Fault Next(testing::StoreOperation operation, std::string_view,
                      std::string_view) override {
    testing::Fault fault;
    if (operation == testing::StoreOperation::kRemove) {
      state.fail_before_at = state.operations + 1;
      fault.error = Retryable("no answer");
      fault.effect = testing::Fault::Effect::kLater;
      fault.effect_delay = seconds(30);
    }
    return fault;
  }
  testing::FakeFaults& state;
};

TEST_P(LateRequestTest, ADeleteThatCannotBeNotedAgainStaysNoted) {
  EXPECT_EQ(Put("old", 1), ApplyState::kApplied);
  UnnotedDelete plan(state_faults_);
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  EXPECT_FALSE(world_.Run(applier.Remove("k", At(2))));
  EXPECT_EQ(state_faults_.failures, 1);
  std::optional<Floor> floor = *world_.Run(floors_.Get("k"));
  ASSERT_TRUE(floor);
  EXPECT_GT(floor->pending.LandsUntil(PendingKind::kDelete), world_.clock.Now() + seconds(30));
}

TEST_P(LateRequestTest, AnUndoThatCannotBeNotedAgainStaysNoted) {
  UnnotedDelete plan(state_faults_);
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody body("old");
  body.after_write = [this]() -> asio::awaitable<void> {
    EXPECT_TRUE(co_await floors_.Raise("k", {.stamp = At(2), .deleted = true}));
  };
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  EXPECT_EQ(state_faults_.failures, 1);
  std::optional<Floor> floor = *world_.Run(floors_.Get("k"));
  ASSERT_TRUE(floor);
  EXPECT_GT(floor->pending.LandsUntil(PendingKind::kDelete), world_.clock.Now() + seconds(30));
}

// It landed even later, where no condition could stop it: the next try of either must notice.
TEST_P(LateRequestTest, ACreateThatLandsAfterItsLeaseIsNoticed) {
  LatePut plan(std::chrono::minutes(10));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody body("old");
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  PutUntilSettled("new", 2);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(20)));
  if (GetParam()) {
    EXPECT_EQ(Content(), "new");  // If-None-Match held.
  } else {
    EXPECT_EQ(Put("old", 1), ApplyState::kReread);
  }
}

// A create whose answer was lost lands when the key has been deleted since, where If-None-Match
// does not stop it. Whoever deletes looks until nothing can come any more.
TEST_P(LateRequestTest, ACreateThatLandsAfterADeleteIsRemoved) {
  LatePut plan(seconds(30));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody body("old");
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  Result<ApplyOutcome> removed;
  for (int tries = 0; tries < 20; ++tries) {
    removed = world_.Run(applier_->Remove("k", At(2)));
    if (removed) break;
    EXPECT_EQ(removed.error().kind, ErrorKind::kRetryable);
    world_.Run(world_.clock.Sleep(seconds(10)));
  }
  ASSERT_TRUE(removed) << removed.error().Describe();
  world_.Run(world_.clock.Sleep(seconds(120)));
  EXPECT_EQ(Content(), "-");
}

// What replaces, and has no answer, lands when the same bytes have come back with another state:
// its condition, their ETag, holds.
TEST_P(LateRequestTest, AReplacementThatLandsLateIsFound) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  struct OneLatePut : LatePut {
    using LatePut::LatePut;
    testing::Fault Next(testing::StoreOperation operation, std::string_view bucket,
                        std::string_view key) override {
      if (operation != testing::StoreOperation::kPut || std::exchange(done, true)) return {};
      return LatePut::Next(operation, bucket, key);
    }
    bool done = false;
  } plan(seconds(20));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  auto of = [this](const char* owner, int second) {
    ReplicaWrite write = WriteOf("one", second);
    write.metadata["owner"] = owner;
    return write;
  };
  TextBody second("one");
  Result<ApplyOutcome> outcome = world_.Run(applier.Put(of("bob", 3), second));
  if (GetParam()) {
    ASSERT_TRUE(outcome) << "its own retry need not wait";
    EXPECT_EQ(second.writes, 2);
  }
  for (int tries = 0; tries < 60; ++tries) {
    TextBody third("one");
    outcome = world_.Run(applier_->Put(of("eve", 5), third));
    if (outcome) break;
    world_.Run(world_.clock.Sleep(seconds(5)));
  }
  ASSERT_TRUE(outcome);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(20)));
  EXPECT_EQ(backend_->Find("b", "k")->info.metadata.at("owner"), "eve");
}

// DELETEs without an answer, which take effect later; it is given up after `patience`.
struct LateDelete : testing::FaultPlan {
  explicit LateDelete(seconds effect_delay = seconds(20), seconds patience = seconds(0))
      : effect_delay(effect_delay), patience(patience) {}
  testing::Fault Next(testing::StoreOperation operation, std::string_view,
                      std::string_view) override {
    testing::Fault fault;
    if (operation == testing::StoreOperation::kRemove) {
      fault.error = Retryable("no answer");
      fault.effect = testing::Fault::Effect::kLater;
      fault.effect_delay = effect_delay;
      fault.answer_delay = patience;
    }
    return fault;
  }
  seconds effect_delay;
  seconds patience;
};

// A DELETE without an answer lands when the same bytes have been written anew: its condition, their
// ETag, holds. Nobody may have called them settled.
TEST_P(LateRequestTest, ADeleteThatLandsLateTakesNothingForGood) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  LateDelete plan;
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  EXPECT_FALSE(world_.Run(applier.Remove("k", At(3))));
  TextBody same_bytes("one");
  EXPECT_FALSE(world_.Run(applier_->Put(WriteOf("one", 5), same_bytes)));
  Result<ApplyOutcome> again = world_.Run(applier_->Remove("k", At(3)));
  EXPECT_FALSE(again) << "nor is the delete over: it must find what it has taken";
  world_.Run(world_.clock.Sleep(kRequestLifetime + seconds(30)));
  EXPECT_EQ(Remove(3), ApplyState::kReread);
  PutUntilSettled("one", 5);
  EXPECT_EQ(Content(), "one");
  EXPECT_EQ(Put("one", 5), ApplyState::kEqual) << "settled";
  world_.Run(world_.clock.Sleep(std::chrono::minutes(20)));
  EXPECT_EQ(Content(), "one");
}

// What was noted before a DELETE is nearly over when it is given up.
TEST_P(LateRequestTest, ADeleteThatIsGivenUpLateMayLandAsLongAsAnyOther) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  LateDelete plan(seconds(160), seconds(100));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  EXPECT_FALSE(world_.Run(applier.Remove("k", At(3))));
  world_.Run(world_.clock.Sleep(seconds(30)));
  PutUntilSettled("one", 5);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(20)));
  EXPECT_EQ(Content(), "one");
}

// A look that takes long leaves little of what is noted: the DELETE is noted anew.
TEST_P(LateRequestTest, ADeleteIsSentSoonAfterItsNote) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  struct SlowLook : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kHead && looks++ == 0) fault.delay = seconds(100);
      if (operation == testing::StoreOperation::kRemove) on_remove();
      return fault;
    }
    int looks = 0;
    std::function<void()> on_remove;
  } plan;
  int removes = 0;
  plan.on_remove = [&] {
    ++removes;
    Result<Floor> floor = DecodeFloor(state_backend_->rows.at({"floor/rule/target", "k"}).value);
    ASSERT_TRUE(floor);
    EXPECT_GT(floor->pending.LandsUntil(PendingKind::kDelete),
              world_.clock.Now() + kRequestLifetime - seconds(15));
  };
  testing::MemoryStore slow(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, slow, state_, floors_, applier_->policy());
  ASSERT_TRUE(world_.Run(applier.Remove("k", At(3))));
  EXPECT_EQ(removes, 1);
  EXPECT_EQ(Content(), "-");
}

// A create is taken back because a delete was faster, and the DELETE for that lands late.
TEST_P(LateRequestTest, AnUndoThatLandsLateTakesNothingForGood) {
  LateDelete plan;
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody old("one");
  old.after_write = [this]() -> asio::awaitable<void> {
    Result<Floor> raised = co_await floors_.Raise("k", {.stamp = At(3), .deleted = true});
    EXPECT_TRUE(raised);
  };
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("one", 1), old)));
  PutUntilSettled("one", 5);
  EXPECT_EQ(Content(), "one");
  EXPECT_EQ(Put("one", 5), ApplyState::kEqual);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(20)));
  EXPECT_EQ(Content(), "one");
}

// Where every answer comes nobody has to wait: most keys that are deleted and written again are.
TEST_P(LateRequestTest, AfterADeleteThatWasAnsweredTheNextWriteIsSettled) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  EXPECT_EQ(Remove(3), ApplyState::kApplied);
  EXPECT_EQ(Put("one", 5), ApplyState::kApplied);
  EXPECT_EQ(Remove(3), ApplyState::kSuperseded);
  EXPECT_EQ(Put("one", 5), ApplyState::kEqual);
}

// A request that took effect though its answer was lost is found by its mark, not written twice.
TEST_P(LateRequestTest, FindsItsOwnWriteAfterALostAnswer) {
  struct LostAnswer : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kPut && !done) {
        done = true;
        fault.error = Retryable("no answer");
        fault.effect = testing::Fault::Effect::kDone;
      }
      return fault;
    }
    bool done = false;
  } plan;
  testing::MemoryStore faulty(world_.runtime, backend_, &plan);
  ApplyPolicy policy = applier_->policy();
  Applier applier(world_.runtime, faulty, state_, floors_, policy);
  TextBody body("one");
  Result<ApplyOutcome> outcome = world_.Run(applier.Put(WriteOf("one", 1), body));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->state, ApplyState::kEqual);
  EXPECT_EQ(body.writes, 1);
}

// Two rules of one process that write one key hold the same lease, which keeps off other processes
// alone: without a lock between them the older state would be written over the newer one.
TEST_P(LateRequestTest, TwoAppliersOfOneBucketTakeTurns) {
  auto locked_keys = std::make_shared<Applier::LockedKeys>();
  auto make = [&] {
    ApplyPolicy policy{
        .bucket = "b", .site = "east", .capabilities = store_.capabilities(), .owner = "me"};
    return std::make_unique<Applier>(world_.runtime, store_, state_, floors_, policy, locked_keys);
  };
  std::unique_ptr<Applier> one = make();
  std::unique_ptr<Applier> other = make();
  TextBody older("older");
  TextBody newer("newer");
  int done = 0;
  struct Writer {
    static asio::awaitable<void> Run(Applier& applier, ReplicaWrite write, TextBody& body,
                                     int& done) {
      Result<ApplyOutcome> outcome = co_await applier.Put(std::move(write), body);
      EXPECT_TRUE(outcome);
      ++done;
    }
  };
  bool both_at_once = false;
  older.before_write = [&]() -> asio::awaitable<void> {
    world_.Start(Writer::Run(*other, WriteOf("newer", 2), newer, done));
    co_await Event().WaitFor(world_.clock, seconds(5));
    both_at_once = newer.writes > 0;
  };
  world_.Start(Writer::Run(*one, WriteOf("older", 1), older, done));
  world_.Drive([&] { return done == 2; });
  EXPECT_FALSE(both_at_once);
  EXPECT_EQ(Content(), "newer");
}

}  // namespace
}  // namespace longhaul
