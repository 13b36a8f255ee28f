#include "replica/floor.h"

#include <gtest/gtest.h>

#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using std::chrono::seconds;

class FloorsTest : public ::testing::Test {
 protected:
  FloorsTest()
      : backend_(std::make_shared<testing::FakeStateBackend>()),
        state_(world_.runtime, backend_, &faults_),
        floors_(state_, world_.clock, "rule/target") {
    faults_.slow = 1;  // Each call takes a while, so that the next ones find it under way.
    faults_.delay_max = std::chrono::microseconds(500);
  }

  void Raise(const std::string& key, int second) {
    ASSERT_TRUE(world_.Run(floors_.Raise(key, {.stamp = SystemTime(seconds(second))})));
  }

  // Reads `count` keys "k0", "k1", … side by side.
  std::vector<Result<std::optional<Floor>>> GetAll(int count) {
    std::vector<Result<std::optional<Floor>>> floors(static_cast<size_t>(count));
    TaskGroup group(world_.runtime.executor);
    for (int i = 0; i < count; ++i) {
      group.Spawn(GetOne("k" + std::to_string(i), floors[static_cast<size_t>(i)]));
    }
    EXPECT_TRUE(world_.Run(group.Join()));
    return floors;
  }
  Async<void> GetOne(std::string key, Result<std::optional<Floor>>& floor) {
    floor = co_await floors_.Get(std::move(key));
    co_return Ok();
  }

  testing::FakeWorld world_;
  testing::FakeFaults faults_{1};
  std::shared_ptr<testing::FakeStateBackend> backend_;
  testing::FakeState state_;
  Floors floors_;
};

// One copy at a time may be under way, and only the one that has ended is forgotten.
TEST_F(FloorsTest, OneCopyAtATime) {
  const SystemTime now = world_.clock.Now();
  const SystemTime until = now + seconds(60);
  Result<Floor> first = world_.Run(
      floors_.Raise("k", {.stamp = SystemTime(seconds(1)), .copy_may_land_until = until}));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->copy_may_land_until, until);
  Result<Floor> second = world_.Run(floors_.Raise(
      "k", {.stamp = SystemTime(seconds(2)), .copy_may_land_until = until + seconds(1)}));
  ASSERT_TRUE(second);
  EXPECT_EQ(*second, *first) << "it is not begun";
  // What brings its bytes goes on, and forgets nothing.
  Raise("k", 3);
  Result<std::optional<Floor>> raised = world_.Run(floors_.Get("k"));
  ASSERT_TRUE(raised && *raised);
  EXPECT_EQ((*raised)->stamp, SystemTime(seconds(3)));
  EXPECT_EQ((*raised)->copy_may_land_until, until);
  EXPECT_EQ(*DecodeFloor(EncodeFloor(**raised)), **raised);
  ASSERT_TRUE(world_.Run(floors_.EndCopy("k", until + seconds(1))));
  EXPECT_EQ((*world_.Run(floors_.Get("k")))->copy_may_land_until, until);
  ASSERT_TRUE(world_.Run(floors_.EndCopy("k", until)));
  EXPECT_EQ((*world_.Run(floors_.Get("k")))->copy_may_land_until, SystemTime());
  Floor both{.stamp = now, .deleted = true, .create_may_land_until = now + seconds(1)};
  both.copy_may_land_until = until;
  EXPECT_EQ(*DecodeFloor(EncodeFloor(both)), both);
}

// Two writes of different states without an answer: either may land over the other.
TEST_F(FloorsTest, OfSeveralUncertainWritesNoneIsExempt) {
  const SystemTime until = world_.clock.Now() + seconds(60);
  const SystemTime one(seconds(1));
  ASSERT_TRUE(world_.Run(floors_.NoteUncertainWrite("k", one, until)));
  Raise("k", 3);
  std::optional<Floor> floor = *world_.Run(floors_.Get("k"));
  EXPECT_EQ(floor->write_may_land_until, until);
  EXPECT_EQ(floor->write_stamp, one);
  EXPECT_EQ(*DecodeFloor(EncodeFloor(*floor)), *floor);
  ASSERT_TRUE(world_.Run(floors_.NoteUncertainWrite("k", SystemTime(seconds(3)), until)));
  floor = *world_.Run(floors_.Get("k"));
  EXPECT_EQ(floor->write_may_land_until, until);
  EXPECT_EQ(floor->write_stamp, SystemTime());
}

// The end of one DELETE says nothing of another one that is on its way to the same object.
TEST_F(FloorsTest, TheEndOfADeleteEndsNoOther) {
  const SystemTime until = world_.clock.Now() + seconds(60);
  const Floor tombstone{
      .stamp = SystemTime(seconds(1)), .deleted = true, .delete_may_land_until = until};
  Result<Floor> one = world_.Run(floors_.Raise("k", tombstone));
  ASSERT_TRUE(one);
  EXPECT_EQ(*one, tombstone);
  EXPECT_EQ(*DecodeFloor(EncodeFloor(*one)), *one);
  ASSERT_TRUE(world_.Run(floors_.Raise("k", tombstone)));
  Raise("k", 3);  // What is written after them must hear of them.
  Result<Floor> ended = world_.Run(floors_.EndDelete("k", until));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->stamp, SystemTime(seconds(3)));
  EXPECT_GT(ended->delete_may_land_until, until);
  EXPECT_EQ(*world_.Run(floors_.Get("k")), *ended);

  ASSERT_TRUE(world_.Run(floors_.Raise("alone", tombstone)));
  ended = world_.Run(floors_.EndDelete("alone", until));
  ASSERT_TRUE(ended);
  EXPECT_LE(ended->delete_may_land_until, world_.clock.Now());
  EXPECT_GT(ended->delete_may_land_until, SystemTime()) << "who looked before must look again";
  EXPECT_EQ(*world_.Run(floors_.Get("alone")), *ended);
  ASSERT_TRUE(world_.Run(floors_.NoteUncertainDelete("alone", until)));
  EXPECT_EQ((*world_.Run(floors_.Get("alone")))->delete_may_land_until, until);
}

// Nobody else remembers that a create may still land; whoever raises the floor meanwhile must not
// forget it.
TEST_F(FloorsTest, AnUncertainCreateStaysNotedWhileTheFloorRises) {
  const SystemTime until(std::chrono::seconds(1'800'000'060));
  ASSERT_TRUE(world_.Run(floors_.NoteUncertainCreate("k", until)));
  Result<std::optional<Floor>> noted = world_.Run(floors_.Get("k"));
  ASSERT_TRUE(noted && *noted);
  EXPECT_EQ((*noted)->create_may_land_until, until);
  EXPECT_EQ((*noted)->stamp, SystemTime()) << "it is above nothing";
  const Floor tombstone{.stamp = SystemTime(std::chrono::seconds(1'800'000'000)), .deleted = true};
  Result<Floor> raised = world_.Run(floors_.Raise("k", tombstone));
  ASSERT_TRUE(raised);
  EXPECT_TRUE(raised->deleted);
  EXPECT_EQ(raised->create_may_land_until, until);
  EXPECT_EQ(DecodeFloor(EncodeFloor(*raised)).value(), *raised);
  ASSERT_TRUE(world_.Run(floors_.NoteUncertainCreate("k", SystemTime(std::chrono::seconds(5)))));
  EXPECT_EQ(world_.Run(floors_.Get("k"))->value().create_may_land_until, until) << "the later one";
}

// A row handed to the wrong key would let a deleted object come back.
TEST_F(FloorsTest, EachGetsItsOwnFloor) {
  for (int i = 0; i < 200; i += 2) Raise("k" + std::to_string(i), 100 + i);
  const auto floors = GetAll(200);
  for (int i = 0; i < 200; ++i) {
    const auto& floor = floors[static_cast<size_t>(i)];
    ASSERT_TRUE(floor) << floor.error().message;
    ASSERT_EQ(floor->has_value(), i % 2 == 0) << i;
    if (i % 2 == 0) {
      EXPECT_EQ((*floor)->stamp, SystemTime(seconds(100 + i)));
    }
  }
}

// Else every small object pays for two round trips to State, a tenth of its CPU.
TEST_F(FloorsTest, ReadsSideBySideShareRoundTrips) {
  ASSERT_EQ(GetAll(200).size(), 200U);
  EXPECT_LE(faults_.operations, 10);
}

// Else a comparison that reads one floor after another would wait two milliseconds for each.
TEST_F(FloorsTest, OneAloneDoesNotWaitForOthers) {
  faults_.slow = 0;
  const SteadyTime start = world_.clock.SteadyNow();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(world_.Run(floors_.Get("k")));
  EXPECT_EQ(world_.clock.SteadyNow(), start);
}

// A damaged row must not stop the keys that happen to be read with it.
TEST_F(FloorsTest, DamagedRowFailsAlone) {
  backend_->rows[{"floor/rule/target", "k7"}] = StateRow{.key = "k7", .value = "?", .revision = 1};
  const auto floors = GetAll(20);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(floors[static_cast<size_t>(i)].has_value(), i != 7) << i;
}

// All that share a failed read must hear of it, and the next read must not.
TEST_F(FloorsTest, FailedReadFailsAllThatShareIt) {
  faults_.fail_before_at = 2;  // The first one goes alone.
  const auto floors = GetAll(20);
  EXPECT_TRUE(floors[0]);
  for (int i = 1; i < 20; ++i) {
    const auto& floor = floors[static_cast<size_t>(i)];
    ASSERT_FALSE(floor) << i;
    EXPECT_EQ(floor.error().kind, ErrorKind::kRetryable);
  }
  EXPECT_TRUE(GetAll(20)[19]);
}

}  // namespace
}  // namespace longhaul
