#include "migration/event_intake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "events/webhook.h"
#include "tests/support/migration_fixture.h"
#include "tests/support/migration_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeQueue;
using testing::FakeState;
using testing::Fault;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MemoryStore;
using testing::MigrationWorld;
using testing::StoreOperation;

// Holds up the writes of one process.
class SlowPuts : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view key) override {
    Fault fault;
    if (operation != StoreOperation::kPut || key != "out/x" || times-- <= 0) return fault;
    ++held;
    if (after_death) {
      fault.effect = Fault::Effect::kLater;
      fault.effect_delay = 5s;
      fault.error = Retryable("no answer");
      fault.answer_delay = 1h;
    } else {
      fault.delay = delay;
    }
    return fault;
  }
  int times = 1;
  std::chrono::nanoseconds delay = 5s;
  bool after_death = false;  // It lands although its sender is not there any more.
  int held = 0;
};

// Holds up the completion of one upload.
class SlowCompletion : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation == StoreOperation::kCompleteMultipart && held++ == 0) fault.delay = 5s;
    return fault;
  }
  int held = 0;
};

// Somebody forgets the run when tasks of it have been put, before it is opened.
class ForgottenMeanwhile : public FakeState {
 public:
  ForgottenMeanwhile(MigrationWorld& world, std::string full)
      : FakeState(world.base.runtime, world.state),
        backend_(*world.state),
        others_(world.base.runtime, world.state),
        book_(world.base.runtime, others_),
        full_(std::move(full)) {}
  Async<int64_t> Write(std::string partition, StateWrite write) override {
    put_ = put_ || partition == migration::BodiesOf("run");
    co_return co_await FakeState::Write(std::move(partition), std::move(write));
  }
  Async<std::optional<StateRow>> Get(std::string partition, std::string key) override {
    if (partition == "migrations" && put_ && !forgotten) {
      backend_.read_only = full_;
      forgotten = co_await book_.Forget("run");
    }
    co_return co_await FakeState::Get(std::move(partition), std::move(key));
  }
  std::optional<Result<void>> forgotten;

 private:
  testing::FakeStateBackend& backend_;
  FakeState others_;
  migration::RunBook book_;
  std::string full_;
  bool put_ = false;
};

class EventIntakeTest : public ::testing::Test {
 protected:
  EventIntakeTest()
      : queue(world.base.runtime, world.queue), rows(world.base.runtime, world.state) {
    world.migration.options.events = true;
  }

  void CutGiants() {
    for (auto& backend : {world.source, world.target}) {
      backend->options.capabilities.part_size_bytes_min = 1;
    }
    world.migration.options.giant_bytes = 5'000;
    world.migration.options.part_bytes = 1'000;
    world.migration.options.range_bytes = 2'000;
  }
  migration::EventIntake Intake() { return Intake(rows); }
  migration::EventIntake Intake(State& state) {
    return {world.base.runtime,
            queue,
            state,
            {world.migration},
            [](const Migration& one) -> Result<migration::StartRequest> {
              return migration::StartRequest{.migration = one};
            },
            "intake"};
  }
  static StoreEvent Event(const std::string& name, bool removal = false) {
    return {.store = "a", .record = {.bucket = "from", .key = "in/" + name, .removal = removal}};
  }
  void Take(std::vector<StoreEvent> events) {
    migration::EventIntake intake = Intake();
    Result<size_t> taken = world.Run(intake.Take(std::move(events)));
    ASSERT_TRUE(taken) << taken.error().Describe();
  }
  // As the command does; nothing is left.
  void Forget() {
    ASSERT_TRUE(world.Stop());
    ASSERT_TRUE(world.Forget());
    for (const auto& [key, row] : world.state->rows) {
      if (row.expires && *row.expires <= world.base.clock.Now()) continue;
      EXPECT_FALSE(key.first.starts_with("migration/") || key.first == "migrations")
          << key.first << " " << key.second;
    }
  }
  void Put(bool at_source, PutRequest request, std::string text) {
    MemoryStore store(world.base.runtime, at_source ? world.source : world.target);
    request.bucket = at_source ? "from" : "to";
    request.key = (at_source ? "in/" : "out/") + request.key;
    ASSERT_TRUE(world.Run(PutText(store, request, std::move(text))));
  }
  // Somebody else gets the task that copies.
  static void LoseClaim(MigrationWorld& one) {
    std::string id;
    std::erase_if(one.state->rows, [&id](const auto& row) {
      const std::string& key = row.first.second;
      if (!key.starts_with("claim/")) return false;
      id = key.substr(std::string_view("claim/").size());
      return true;
    });
    std::vector<NewMessage> messages;
    messages.push_back(migration::MessageOf("run", id, migration::TaskKind::kObjects));
    ASSERT_TRUE(one.Run(one.OpenQueue(one.base.runtime)->Send(std::move(messages), {})));
  }
  void Finish() {
    ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
    EXPECT_EQ(world.AtTarget(), world.AtSource());
    EXPECT_THAT(world.Leftovers(), IsEmpty());
  }

  MigrationWorld world;
  FakeQueue queue;
  FakeState rows;
};

// A run that nobody has started carries what events name, and has finished when that is done.
TEST_F(EventIntakeTest, EventBringsItsObject) {
  world.PutSource("x", "one");
  world.PutSource("y", "two");
  Take({Event("x"), Event("x"), Event("y")});
  world.StartWorker();
  Finish();
  EXPECT_EQ(world.Status().done.copied, 2);
  EXPECT_EQ(world.Status().named, 2);
  EXPECT_EQ(world.Status().run.started_by, "event");
  // The next one opens it again.
  world.PutSource("x", "three");
  Take({Event("x")});
  EXPECT_FALSE(world.Finished());
  Finish();
  EXPECT_EQ(world.Status().done.copied, 3);
  // However many tasks that takes, they leave no row each.
  for (const auto& [key, row] : world.state->rows) {
    EXPECT_FALSE(key.second.starts_with("done/")) << key.second;
  }
}

// A late or doubled event costs a look, and no second copy.
TEST_F(EventIntakeTest, DoubledEventsCopyNothingTwice) {
  world.PutSource("x", "one");
  world.StartWorker();
  Take({Event("x")});
  Finish();
  world.target->ResetCounts();
  for (int i = 0; i < 5; ++i) Take({Event("x")});
  Finish();
  EXPECT_EQ(world.target->count(StoreOperation::kPut), 0);
  EXPECT_EQ(world.Status().done.equal, 5);
}

// Tags and metadata leave the ETag as it is.
TEST_F(EventIntakeTest, ChangeOfTagsOrMetadataIsCarried) {
  Put(true, {.key = "x"}, "one");
  world.StartWorker();
  Take({Event("x")});
  Finish();
  Put(true, {.key = "x", .tags = {{"t", "1"}}}, "one");
  Take({Event("x")});
  Finish();
  EXPECT_EQ(world.target->Find("to", "out/x")->tags, (Tags{{"t", "1"}}));
  Put(true, {.key = "x", .metadata = {{"m", "1"}}, .tags = {{"t", "1"}}}, "one");
  Take({Event("x")});
  Finish();
  EXPECT_EQ(world.target->Find("to", "out/x")->info.metadata, (UserMetadata{{"m", "1"}}));
}

// Equal sizes tell finders that nothing is to be done, and nothing of what an event has named.
TEST_F(EventIntakeTest, SizeOnlyIsForFinders) {
  world.migration.options.compare.size_only = true;
  Put(true, {.key = "x"}, "first");
  Put(true, {.key = "y"}, "12345");
  Put(false, {.key = "y"}, "54321");
  ASSERT_TRUE(world.Start());
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.AtTarget()["y"], "54321");
  Put(true, {.key = "x"}, "later");
  Take({Event("x"), Event("y")});
  Finish();
}

// What an event named and failed may differ by its tags alone, of which no listing tells.
TEST_F(EventIntakeTest, AStartForgetsNoFailureOfAnEvent) {
  Put(true, {.key = "x"}, "bytes");
  testing::KeyFault fault;
  fault.at = StoreOperation::kHead;
  fault.bad_key = "in/x";
  fault.times = 0;
  world.source_faults = &fault;
  world.StartWorker();
  Take({Event("x")});
  Finish();
  Put(true, {.key = "x", .tags = {{"t", "1"}}}, "bytes");
  fault.times = INT32_MAX;
  Take({Event("x")});
  Finish();
  ASSERT_EQ(world.Status().failed, 1);
  fault.times = 0;
  ASSERT_TRUE(world.Start());
  Finish();
  EXPECT_EQ(world.Status().failed, 0);
  EXPECT_EQ(world.target->Find("to", "out/x")->tags, (Tags{{"t", "1"}}));
}

// A run deletes nothing, and what is gone again is no failure.
TEST_F(EventIntakeTest, DeletesAreLeftAlone) {
  world.PutSource("x", "one");
  migration::EventIntake intake = Intake();
  EXPECT_EQ(intake.Unwanted(Event("x")), "");
  EXPECT_EQ(intake.Unwanted(Event("x", true)), "delete");
  Take({Event("x"), Event("gone")});
  world.StartWorker();
  Finish();
  EXPECT_EQ(world.Status().gone, 0);
  EXPECT_EQ(world.Status().failed, 0);
  world.source->buckets["from"].objects.clear();
  Take({Event("x")});
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.AtTarget().size(), 1U);
}

// One migration that cannot be opened keeps no other from its events, and nothing for later.
TEST_F(EventIntakeTest, OneThatCannotBeOpenedKeepsNothing) {
  world.PutSource("x", "text");
  Migration moved = world.migration;
  moved.id = "moved";
  ASSERT_TRUE(
      world.Run(migration::StartRun(world.base.runtime, queue, rows, {.migration = moved})));
  moved.target.prefix = "elsewhere/";
  const auto rows_of_moved = [&] {
    return std::ranges::count_if(world.state->rows, [](const auto& row) {
      return row.first.first.find("moved") != std::string::npos;
    });
  };
  const auto rows_before = rows_of_moved();
  migration::EventIntake intake(
      world.base.runtime, queue, rows, {moved, world.migration},
      [](const Migration& one) -> Result<migration::StartRequest> {
        return migration::StartRequest{.migration = one};
      },
      "intake");
  for (int i = 0; i < 3; ++i) {
    Result<size_t> taken = world.Run(intake.Take({Event("x")}));
    ASSERT_FALSE(taken);
    EXPECT_THAT(taken.error().message, HasSubstr("migration moved"));
  }
  EXPECT_EQ(rows_of_moved(), rows_before);
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.AtTarget(), world.AtSource());
}

TEST_F(EventIntakeTest, FilterHoldsForEvents) {
  ASSERT_TRUE(world.migration.options.filter.AddText("- tmp/**"));
  world.migration.options.filter.size_bytes_min = 3;
  migration::EventIntake intake = Intake();
  EXPECT_EQ(intake.Unwanted(Event("tmp/x")), "no_migration");
  EXPECT_EQ(intake.Unwanted({.store = "b", .record = {.bucket = "from", .key = "in/x"}}),
            "no_migration");
  EXPECT_EQ(intake.Unwanted({.store = "a", .record = {.bucket = "from", .key = "other"}}),
            "no_migration");
  world.PutSource("small", "x");
  world.PutSource("large", "12345");
  Take({Event("small"), Event("large")});
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.AtTarget().size(), 1U);
  EXPECT_TRUE(world.AtTarget().contains("large"));
}

// A write that was held up must not stay where a newer state has been carried meanwhile.
TEST_F(EventIntakeTest, LateWriteDoesNotAgeAnObject) {
  for (const bool by_event : {true, false}) {
    MigrationWorld& one = world;
    one.PutSource("x", by_event ? "first" : "third");
    SlowPuts slow;
    one.target_faults = &slow;
    auto& late = one.StartWorker();
    if (by_event) {
      Take({Event("x")});
    } else {
      ASSERT_TRUE(one.Start());
    }
    ASSERT_TRUE(one.Drive([&] { return slow.held == 1; }));
    one.target_faults = nullptr;
    auto& other = one.StartWorker();
    one.PutSource("x", by_event ? "later" : "fifth");  // Of the same size.
    Take({Event("x")});
    Finish();
    one.Kill(late);
    one.Kill(other);
  }
}

// The bytes are the same, what belongs to them is not.
TEST_F(EventIntakeTest, LateWriteDoesNotAgeWhatBelongsToAnObject) {
  Put(true, {.key = "x", .metadata = {{"m", "1"}}}, "bytes");
  SlowPuts slow;
  world.target_faults = &slow;
  world.StartWorker();
  ASSERT_TRUE(world.Start());
  ASSERT_TRUE(world.Drive([&] { return slow.held == 1; }));
  world.target_faults = nullptr;
  world.StartWorker();
  world.base.clock.Advance(1s);  // By which the source tells one from the other.
  Put(true, {.key = "x", .metadata = {{"m", "2"}}}, "bytes");
  Take({Event("x")});
  Finish();
  EXPECT_EQ(world.target->Find("to", "out/x")->info.metadata, (UserMetadata{{"m", "2"}}));
}

// A worker stood still in a write, another one has carried the task by then, and what the first one
// does to mend that fails.
TEST_F(EventIntakeTest, WhatALateWorkerCannotMendIsLookedAtLater) {
  for (const bool events : {true, false}) {
    MigrationWorld one(events ? 1 : 2);
    one.migration.options.events = events;
    one.PutSource("x", "first");
    SlowPuts slow;
    slow.delay = 25s;  // Longer than its claim.
    one.target_faults = &slow;
    testing::KeyFault away;
    away.at = StoreOperation::kHead;
    away.bad_key = "in/x";
    away.times = 0;
    one.source_faults = &away;
    auto& late = one.StartWorker();
    ASSERT_TRUE(one.Start());
    ASSERT_TRUE(one.Drive([&] { return slow.held == 1; }));
    one.target_faults = nullptr;
    one.source_faults = nullptr;
    one.PutSource("x", "later");
    LoseClaim(one);
    one.StartWorker();
    ASSERT_TRUE(one.Drive([&] { return one.AtTarget()["x"] == "later" && one.Finished(); }));
    away.times = 1;
    ASSERT_TRUE(one.Drive([&] { return one.AtTarget()["x"] == "first"; })) << events;
    ASSERT_TRUE(one.Drive([&] { return away.times <= 0; })) << events;
    EXPECT_TRUE(one.Drive([&] { return one.Finished() && one.AtTarget() == one.AtSource(); },
                          std::chrono::minutes(5)))
        << events;
    one.Kill(late);
  }
}

// The same without events, where another start finds the newer state.
TEST_F(EventIntakeTest, LateWriteDoesNotAgeAnObjectThatAnotherStartHasCarried) {
  for (const bool dies : {false, true}) {
    MigrationWorld one(dies ? 2 : 1);
    one.PutSource("x", "first");
    SlowPuts slow;
    slow.after_death = dies;
    one.target_faults = &slow;
    auto& late = one.StartWorker();
    ASSERT_TRUE(one.Start());
    ASSERT_TRUE(one.Drive([&] { return slow.held == 1; }));
    if (dies) one.Kill(late);
    one.target_faults = nullptr;
    one.StartWorker();
    one.PutSource("x", "later");  // Of the same size.
    ASSERT_TRUE(one.Start());
    ASSERT_TRUE(one.Drive([&] { return one.AtTarget()["x"] == "later"; }));
    if (dies) {  // Now it lands, before anybody has taken over.
      ASSERT_FALSE(one.Finished());
      MemoryStore store(one.base.runtime, one.target);
      ASSERT_TRUE(one.Run(PutText(store, {.bucket = "to", .key = "out/x"}, "first")));
    }
    ASSERT_TRUE(one.Drive([&] { return one.Finished(); }));
    EXPECT_EQ(one.AtTarget(), one.AtSource()) << "dies: " << dies;
    EXPECT_EQ(one.Status().failed, 0);
  }
}

// Nor where the task was found by the first start, and begun after the second one.
TEST_F(EventIntakeTest, LateWriteOfATaskOfAnEarlierStartDoesNotAgeAnObject) {
  MigrationWorld one;
  one.PutSource("x", "first");
  ASSERT_TRUE(one.Start());
  auto& finder = one.StartWorker({.works = false});
  const auto found = [&one] {
    return std::ranges::any_of(
        one.state->rows, [](const auto& row) { return row.first.second.starts_with("done/"); });
  };
  ASSERT_TRUE(one.Drive(found));
  ASSERT_TRUE(one.Start());
  one.Kill(finder);
  SlowPuts slow;
  one.target_faults = &slow;
  one.StartWorker({.finds = false});
  ASSERT_TRUE(one.Drive([&] { return slow.held == 1; }));
  one.target_faults = nullptr;
  one.PutSource("x", "later");
  one.StartWorker();
  ASSERT_TRUE(one.Drive([&] { return one.AtTarget()["x"] == "later"; }));
  ASSERT_TRUE(one.Drive([&] { return one.Finished(); }));
  EXPECT_EQ(one.AtTarget(), one.AtSource());
}

// The same of a worker that dies over it: whoever takes over looks at what the source is by then.
TEST_F(EventIntakeTest, WriteOfADeadWorkerDoesNotAgeAnObject) {
  for (const bool by_event : {true, false}) {
    world.PutSource("x", by_event ? "first" : "third");
    SlowPuts slow;
    slow.after_death = true;
    world.target_faults = &slow;
    auto& dead = world.StartWorker();
    if (by_event) {
      Take({Event("x")});
    } else {
      ASSERT_TRUE(world.Start());
    }
    ASSERT_TRUE(world.Drive([&] { return slow.held == 1; }));
    world.Kill(dead);
    world.target_faults = nullptr;
    auto& other = world.StartWorker();
    const std::string now = by_event ? "later" : "fifth";
    world.PutSource("x", now);
    Take({Event("x")});
    ASSERT_TRUE(world.Drive([&] { return world.AtTarget()["x"] == now; }));
    Finish();
    world.Kill(other);
  }
}

// Nor may a time speak for a copy whose ETag tells nothing: it may have been late.
TEST_F(EventIntakeTest, ANewerCopyIsNotBelievedItsTime) {
  world.PutSource("x", "later");
  world.base.clock.Advance(1min);
  Put(false, {.key = "x"}, "first");
  auto& version = world.target->buckets["to"].objects["out/x"].back();
  version.info.etag = std::string(32, '0') + "-2";
  version.info.checksums.clear();
  Take({Event("x")});
  world.StartWorker();
  Finish();
}

// What an event names may be a giant: its upload is that of all workers.
TEST_F(EventIntakeTest, GiantsAreShared) {
  CutGiants();
  world.PutSource("giant", std::string(9'500, 'g'));
  world.PutSource("small", "s");
  Take({Event("giant"), Event("small")});
  for (int i = 0; i < 2; ++i) world.StartWorker();
  Finish();
  EXPECT_GT(world.target->count(StoreOperation::kUploadPart), 5);
  EXPECT_EQ(world.Status().done.copied, 2);
  Take({Event("giant")});
  world.target->ResetCounts();
  Finish();
  EXPECT_EQ(world.target->count(StoreOperation::kUploadPart), 0);
}

TEST_F(EventIntakeTest, ChangeOfTagsOrMetadataOfAGiantIsCarried) {
  CutGiants();
  const std::string bytes(9'500, 'g');
  Put(true, {.key = "giant"}, bytes);
  world.StartWorker();
  Take({Event("giant")});
  Finish();
  Put(true, {.key = "giant", .metadata = {{"m", "1"}}, .tags = {{"t", "1"}}}, bytes);
  Take({Event("giant")});
  Finish();
  EXPECT_EQ(world.target->Find("to", "out/giant")->tags, (Tags{{"t", "1"}}));
  EXPECT_EQ(world.target->Find("to", "out/giant")->info.metadata, (UserMetadata{{"m", "1"}}));
}

// All of its parts are there, the source still is what they are of, and the completion is late.
TEST_F(EventIntakeTest, LateCompletionDoesNotAgeAnObject) {
  CutGiants();
  world.PutSource("x", std::string(9'500, 'g'));
  SlowCompletion slow;
  world.target_faults = &slow;
  world.StartWorker();
  Take({Event("x")});
  ASSERT_TRUE(world.Drive([&] { return slow.held == 1; }));
  world.target_faults = nullptr;
  world.StartWorker();
  world.PutSource("x", "later");
  Take({Event("x")});
  Finish();
  EXPECT_EQ(world.Status().failed, 0);
}

// What is taken while a run is forgotten is of the next one, or refused until there is none.
TEST_F(EventIntakeTest, ForgettingLosesNoEventOfMeanwhile) {
  for (const bool breaks_off : {false, true}) {
    world.PutSource("x", "text");
    Take({Event("of before")});
    ASSERT_TRUE(world.Stop());
    world.base.clock.Advance(1s);
    ForgottenMeanwhile state(world, breaks_off ? migration::BodiesOf("run") : "");
    migration::EventIntake intake = Intake(state);
    Result<size_t> taken = world.Run(intake.Take({Event("x")}));
    ASSERT_TRUE(state.forgotten);
    EXPECT_EQ(!*state.forgotten, breaks_off);
    ASSERT_EQ(!taken, breaks_off);
    if (breaks_off) {
      EXPECT_THAT(taken.error().message, HasSubstr("migrate stop run --forget"));
      EXPECT_FALSE(world.Start());
      world.state->read_only.clear();
      Forget();
      Take({Event("x")});
    }
    auto& worker = world.StartWorker();
    ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
    EXPECT_EQ(world.AtTarget(), world.AtSource());
    world.Kill(worker);
    Forget();
    world.target->buckets["to"].objects.clear();
  }
}

// One that was started since it was stopped is not forgotten.
TEST_F(EventIntakeTest, ARunThatGoesOnIsNotForgotten) {
  world.PutSource("x", "text");
  ASSERT_TRUE(world.Start());
  Result<void> forgotten = world.Forget();
  ASSERT_FALSE(forgotten);
  EXPECT_EQ(forgotten.error().kind, ErrorKind::kPrecondition);
  world.StartWorker();
  Finish();
}

// The time of a late copy would speak for it for ever.
TEST_F(EventIntakeTest, ARunThatTakesEventsKnowsNoUpdate) {
  world.migration.options.events = false;
  world.migration.options.compare.update = true;
  ASSERT_TRUE(world.Start());
  EXPECT_TRUE(world.Status().run.options.compare.update);
  world.migration.options.events = true;
  Take({Event("x")});
  EXPECT_FALSE(world.Status().run.options.compare.update);
}

// What a webhook has said 200 to is there after a kill at any step.
TEST_F(EventIntakeTest, KillAtEachStep) {
  int kills = 0;
  for (int at = 1;; at = at * 5 / 4 + 1) {
    MigrationWorld one(static_cast<uint64_t>(at));
    one.migration.options.events = true;
    one.PutSource("a", "1");
    one.PutSource("b", "2");
    FakeQueue messages(one.base.runtime, one.queue);
    FakeState state(one.base.runtime, one.state);
    migration::EventIntake intake(
        one.base.runtime, messages, state, {one.migration},
        [](const Migration& wanted) -> Result<migration::StartRequest> {
          return migration::StartRequest{.migration = wanted};
        },
        "intake");
    ASSERT_TRUE(one.Run(intake.Take({Event("a")})));
    ASSERT_TRUE(one.Run(intake.Take({Event("b")})));
    auto& victim = one.StartWorker();
    int steps = 0;
    one.Drive([&] { return ++steps > at || one.Finished(); });
    if (one.Finished()) break;
    ++kills;
    one.Kill(victim);
    auto& heir = one.StartWorker({.until_done = {"run"}});
    ASSERT_TRUE(one.Drive([&] { return !heir.running; })) << "killed at " << at;
    EXPECT_EQ(one.AtTarget(), one.AtSource()) << "killed at " << at;
    EXPECT_THAT(one.Leftovers(), IsEmpty()) << "killed at " << at;
  }
  EXPECT_GT(kills, 10);
}

// Through the webhook: what is durable is 200, what is nobody's says so.
TEST_F(EventIntakeTest, WebhookAnswers) {
  migration::EventIntake intake = Intake();
  Configuration configuration;
  configuration.stores["a"].name = "a";
  EventWebhook webhook(world.base.runtime, configuration, intake, Secret());
  const auto post = [&](const std::string& bucket, const std::string& event,
                        const std::string& version = "") {
    return world.Run(webhook.Handle("", R"({"Records":[{"eventVersion":"2.1","eventName":")" +
                                            event + R"(","s3":{"bucket":{"name":")" + bucket +
                                            R"("},"object":{"key":"in/x","versionId":")" + version +
                                            R"("}}}]})"));
  };
  WebhookReply reply = post("from", "ObjectCreated:Put");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr(R"("hints":1)"));
  EXPECT_FALSE(world.queue->rows.empty());
  // The jobs of another system that migrates from there, one of which names no bucket.
  for (const char* job :
       {R"({"Src_bucket":"from","Src_key":"in/x","Des_bucket":"b","Des_key":"in/x","Size":1})",
        R"({"key":"in/x","size":1})"}) {
    reply = world.Run(webhook.Handle("", job));
    EXPECT_EQ(reply.status, 200) << job;
    EXPECT_THAT(reply.body, HasSubstr(R"("hints":1)")) << job;
  }
  reply = post("from", "ObjectRemoved:Delete");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr(R"("hints":0,"ignored":1)"));
  // Of a version: an older one may be the object now.
  reply = post("from", "ObjectRemoved:Delete", "v1");
  EXPECT_THAT(reply.body, HasSubstr(R"("hints":1)"));
  reply = post("other", "ObjectCreated:Put");
  EXPECT_EQ(reply.status, 404);
  EXPECT_THAT(reply.body, HasSubstr("no migration takes events of bucket"));
  world.state->read_only = migration::BodiesOf("run");
  EXPECT_EQ(post("from", "ObjectCreated:Put").status, 503);
}

}  // namespace
}  // namespace longhaul
