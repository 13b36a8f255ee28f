#include "migration/object_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/support/migration_world.h"

namespace longhaul {
namespace {

using migration::OneObject;
using testing::FakeState;
using testing::Fault;
using ::testing::HasSubstr;
using testing::MemoryStore;
using testing::MigrationWorld;
using testing::StoreOperation;

class ObjectStateTest : public ::testing::Test, public testing::FaultPlan {
 protected:
  void Fill(int count) {
    for (int i = 0; i < count; ++i) {
      world.PutSource(std::to_string(i / 10) + "/" + std::to_string(i), "object");
    }
  }
  Fault Next(StoreOperation operation, std::string_view, std::string_view key) override {
    Fault fault;
    fault.delay = delay;
    if (operation == at && key == bad_key) fault.error = error;
    return fault;
  }
  void Finish() {
    auto& worker = world.StartWorker({.until_done = {"run"}});
    ASSERT_TRUE(world.Drive([&] { return !worker.running; }));
  }
  migration::Run Row() {
    FakeState rows(world.base.runtime, world.state);
    migration::RunBook book(world.base.runtime, rows);
    return **world.Run(book.Find("run"));
  }
  OneObject Ask(const std::string& name, bool asks = true) {
    FakeState rows(world.base.runtime, world.state);
    MemoryStore source(world.base.runtime, world.source, asked);
    MemoryStore target(world.base.runtime, world.target);
    Result<OneObject> object = world.Run(migration::ReadObject(
        world.base.runtime, rows, Row(),
        asks ? std::optional(migration::Ends{.source = &source, .target = &target}) : std::nullopt,
        "the store is not here", name));
    EXPECT_TRUE(object) << object.error().Describe();
    return std::move(*object);
  }
  std::string StateOf(const std::string& name) { return std::string(ToString(Ask(name).state)); }
  std::set<std::string> Done() {
    FakeState rows(world.base.runtime, world.state);
    MemoryStore source(world.base.runtime, world.source);
    MemoryStore target(world.base.runtime, world.target);
    std::set<std::string> names;
    Result<void> read = world.Run(migration::ReadDone(
        world.base.runtime, rows, Row(), {.source = &source, .target = &target},
        [&names](const std::string& name, uint64_t) { return names.insert(name).second; }));
    EXPECT_TRUE(read) << read.error().Describe();
    return names;
  }

  MigrationWorld world;
  StoreOperation at = StoreOperation::kGet;
  std::string bad_key;
  Error error = {.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
  std::chrono::nanoseconds delay{0};
  testing::FaultPlan* asked = nullptr;
};

// People remove at the source what they are told is done.
TEST_F(ObjectStateTest, DoneIsWhatTheTargetHasAndNothingElse) {
  Fill(30);
  bad_key = "in/1/17";
  world.source_faults = this;
  ASSERT_TRUE(world.Start());
  Finish();
  EXPECT_EQ(StateOf("0/3"), "done");
  EXPECT_EQ(Done().size(), 29U);
  EXPECT_FALSE(Done().contains("1/17"));
  const OneObject failed = Ask("1/17");
  EXPECT_EQ(failed.state, OneObject::State::kFailed);
  EXPECT_EQ(failed.tries, world.migration.options.tries_max);
  EXPECT_THAT(failed.reason, HasSubstr("AccessDenied"));
  EXPECT_EQ(failed.size_bytes, 6U);

  // It changed since, or went, at either side.
  world.PutSource("0/3", "object, and another one");
  EXPECT_EQ(StateOf("0/3"), "unknown");
  EXPECT_THAT(Ask("0/3").reason, HasSubstr("not as it is at the source"));
  world.target->buckets["to"].objects.erase("out/0/4");
  EXPECT_EQ(StateOf("0/4"), "unknown");
  world.source->buckets["from"].objects.erase("in/0/5");
  EXPECT_EQ(StateOf("0/5"), "unknown");
  EXPECT_EQ(StateOf("nobody/has/it"), "unknown");
  EXPECT_EQ(Done().size(), 26U);
  // Nobody was asked.
  EXPECT_EQ(Ask("0/6", false).state, OneObject::State::kUnknown);
  EXPECT_THAT(Ask("0/6", false).reason, HasSubstr("the store is not here"));
  bad_key = "in/0/6";
  at = StoreOperation::kHead;
  asked = this;
  EXPECT_EQ(StateOf("0/6"), "unknown");
  EXPECT_THAT(Ask("0/6").reason, HasSubstr("AccessDenied"));
}

// What the target has by chance is not done as long as somebody is to carry it.
TEST_F(ObjectStateTest, WhatIsLeftToDoIsNotDone) {
  Fill(30);
  ASSERT_TRUE(world.Start());
  EXPECT_EQ(StateOf("0/3"), "not_listed");
  world.StartWorker({.works = false});
  EXPECT_FALSE(world.Drive([&] { return world.Finished(); }, std::chrono::minutes(2)));
  MemoryStore target(world.base.runtime, world.target);
  ASSERT_TRUE(world.Run(PutText(target, {.bucket = "to", .key = "out/0/3"}, "object")));
  EXPECT_EQ(StateOf("0/3"), "pending");
  EXPECT_TRUE(Done().empty());
  Finish();
  EXPECT_EQ(StateOf("0/3"), "done");
}

TEST_F(ObjectStateTest, WhoCarriesAnObjectIsTold) {
  Fill(40);
  delay = std::chrono::seconds(3);
  world.source_faults = this;
  ASSERT_TRUE(world.Start());
  world.StartWorker({.finds = false, .in_flight = 2});
  world.StartWorker({.works = false});
  ASSERT_TRUE(world.Drive([&] { return world.Copying() && !world.AtTarget().empty(); }));
  int running = 0;
  for (const auto& [name, text] : world.AtSource()) {
    const OneObject object = Ask(name);
    EXPECT_NE(object.state, OneObject::State::kDone);  // Of a task all are at work until it ends.
    if (object.state != OneObject::State::kRunning) continue;
    ++running;
    EXPECT_EQ(object.worker, "worker-1");
  }
  EXPECT_GE(running, 10);
  const SystemTime later = world.base.clock.Now() + std::chrono::seconds(20);
  ASSERT_TRUE(world.Drive([&] { return world.base.clock.Now() > later; }));
  double speed = 0;
  for (const auto& [name, text] : world.AtSource()) speed += Ask(name).objects_per_second;
  EXPECT_GT(speed, 0);
  // What waits for a store when the world ends would wait for ever.
  for (auto& process : world.processes) process->stop.Set();
  ASSERT_TRUE(world.Drive([&] {
    return std::ranges::none_of(world.processes,
                                [](const auto& process) { return process->running; });
  }));
}

TEST_F(ObjectStateTest, WhatARunDoesNotMeanIsSaidSo) {
  Fill(30);
  world.migration.options.filter.AddGlob(false, "0/7", "");
  ASSERT_TRUE(world.Start({"0/", "2/"}));
  Finish();
  EXPECT_EQ(StateOf("0/6"), "done");
  EXPECT_EQ(StateOf("0/7"), "left_out");
  EXPECT_EQ(StateOf("1/17"), "left_out");
  EXPECT_THAT(Ask("1/17").reason, HasSubstr("below no prefix"));
  EXPECT_EQ(Done().size(), 19U);
  // What an earlier start has done is done.
  ASSERT_TRUE(world.Start({"1/"}));
  Finish();
  EXPECT_EQ(StateOf("0/6"), "done");
  EXPECT_EQ(StateOf("1/17"), "done");
  EXPECT_EQ(Done().size(), 29U);
}

TEST_F(ObjectStateTest, APrefixThatCouldNotBeListedHidesNothing) {
  Fill(5);
  world.target->buckets.erase("to");
  ASSERT_TRUE(world.Start());
  Finish();
  world.target->buckets["to"];
  EXPECT_EQ(StateOf("0/3"), "not_listed");
  EXPECT_THAT(Ask("0/3").reason, HasSubstr("NoSuchBucket"));
  EXPECT_TRUE(Done().empty());
}

}  // namespace
}  // namespace longhaul
