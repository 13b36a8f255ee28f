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
  std::vector<Result<std::optional<Floor>>> GetAll(int count, bool among_many = false) {
    std::vector<Result<std::optional<Floor>>> floors(static_cast<size_t>(count));
    TaskGroup group(world_.runtime.executor);
    for (int i = 0; i < count; ++i) {
      group.Spawn(GetOne("k" + std::to_string(i), among_many, floors[static_cast<size_t>(i)]));
    }
    EXPECT_TRUE(world_.Run(group.Join()));
    return floors;
  }
  Async<void> GetOne(std::string key, bool among_many, Result<std::optional<Floor>>& floor) {
    floor = co_await floors_.Get(std::move(key), among_many);
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
  const PendingRequest copy{.kind = PendingKind::kCopy, .until = until};
  const PendingRequest other{.kind = PendingKind::kCopy, .until = until + seconds(1)};
  Result<Floor> first =
      world_.Run(floors_.Raise("k", {.stamp = SystemTime(seconds(1)), .pending = {copy}}));
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->pending.Has(copy));
  Result<Floor> second =
      world_.Run(floors_.Raise("k", {.stamp = SystemTime(seconds(2)), .pending = {other}}));
  ASSERT_TRUE(second);
  EXPECT_EQ(*second, *first) << "it is not begun";
  // What brings its bytes goes on, and forgets nothing.
  Raise("k", 3);
  Result<std::optional<Floor>> raised = world_.Run(floors_.Get("k"));
  ASSERT_TRUE(raised && *raised);
  EXPECT_EQ((*raised)->stamp, SystemTime(seconds(3)));
  EXPECT_TRUE((*raised)->pending.Has(copy));
  EXPECT_EQ(*DecodeFloor(EncodeFloor(**raised)), **raised);
  ASSERT_TRUE(world_.Run(floors_.End("k", other)));
  EXPECT_TRUE((*world_.Run(floors_.Get("k")))->pending.Has(copy));
  ASSERT_TRUE(world_.Run(floors_.End("k", copy)));
  EXPECT_TRUE((*world_.Run(floors_.Get("k")))->pending.empty());
  const Floor both{.stamp = now,
                   .deleted = true,
                   .pending = {copy, {.kind = PendingKind::kCreate, .until = now + seconds(1)}}};
  EXPECT_EQ(*DecodeFloor(EncodeFloor(both)), both);
}

// Two writes of different states without an answer: either may land over the other.
TEST_F(FloorsTest, OfSeveralUncertainWritesNoneIsExempt) {
  const SystemTime until = world_.clock.Now() + seconds(60);
  const SystemTime one(seconds(1));
  auto write = [until](SystemTime stamp) {
    return PendingRequest{.kind = PendingKind::kWrite, .until = until, .stamp = stamp};
  };
  auto lands = [this](const Floor& floor, SystemTime own) {
    return floor.pending.LastToLand({PendingKind::kWrite}, world_.clock.Now(), own) != nullptr;
  };
  ASSERT_TRUE(world_.Run(floors_.Note("k", write(one))));
  Raise("k", 3);
  std::optional<Floor> floor = *world_.Run(floors_.Get("k"));
  EXPECT_TRUE(floor->pending.Has(write(one)));
  EXPECT_FALSE(lands(*floor, one)) << "who writes it again";
  EXPECT_TRUE(lands(*floor, SystemTime(seconds(3))));
  EXPECT_EQ(*DecodeFloor(EncodeFloor(*floor)), *floor);
  ASSERT_TRUE(world_.Run(floors_.Note("k", write(SystemTime(seconds(3))))));
  floor = *world_.Run(floors_.Get("k"));
  EXPECT_TRUE(lands(*floor, one));
  EXPECT_TRUE(lands(*floor, SystemTime(seconds(3))));
  EXPECT_EQ(floor->pending.LandsUntil(PendingKind::kWrite), until);
}

// The end of one DELETE says nothing of another one that is on its way to the same object.
TEST_F(FloorsTest, TheEndOfADeleteEndsNoOther) {
  const SystemTime until = world_.clock.Now() + seconds(60);
  const PendingRequest request{.kind = PendingKind::kDelete, .until = until};
  const Floor tombstone{
      .stamp = SystemTime(seconds(1)), .deleted = true, .pending = {request}, .kept_marks = {}};
  Result<Floor> one = world_.Run(floors_.Raise("k", tombstone));
  ASSERT_TRUE(one);
  EXPECT_EQ(*one, tombstone);
  EXPECT_EQ(*DecodeFloor(EncodeFloor(*one)), *one);
  ASSERT_TRUE(world_.Run(floors_.Raise("k", tombstone)));
  Raise("k", 3);  // What is written after them must hear of them.
  Result<Floor> ended = world_.Run(floors_.End("k", request));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->stamp, SystemTime(seconds(3)));
  EXPECT_GT(ended->pending.LandsUntil(PendingKind::kDelete), until);
  EXPECT_EQ(*world_.Run(floors_.Get("k")), *ended);

  ASSERT_TRUE(world_.Run(floors_.Raise("alone", tombstone)));
  ended = world_.Run(floors_.End("alone", request));
  ASSERT_TRUE(ended);
  EXPECT_LE(ended->pending.LandsUntil(PendingKind::kDelete), world_.clock.Now());
  EXPECT_GT(ended->pending.LandsUntil(PendingKind::kDelete), SystemTime())
      << "who looked before must look again";
  EXPECT_EQ(*world_.Run(floors_.Get("alone")), *ended);
  ASSERT_TRUE(world_.Run(floors_.Note("alone", request)));
  EXPECT_EQ((*world_.Run(floors_.Get("alone")))->pending.LandsUntil(PendingKind::kDelete), until);
}

// Two deletes that can be told apart: each ends by itself, and nobody waits for what is over.
TEST_F(FloorsTest, EachOfTwoDeletesEnds) {
  const SystemTime now = world_.clock.Now();
  const PendingRequest one{.kind = PendingKind::kDelete, .until = now + seconds(60)};
  const PendingRequest two{.kind = PendingKind::kDelete, .until = now + seconds(70)};
  for (const PendingRequest& request : {one, two}) {
    ASSERT_TRUE(world_.Run(floors_.Raise("k", {.stamp = SystemTime(seconds(1)),
                                               .deleted = true,
                                               .pending = {request},
                                               .kept_marks = {}})));
  }
  Result<Floor> ended = world_.Run(floors_.End("k", two));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->pending.LandsUntil(PendingKind::kDelete), one.until);
  ended = world_.Run(floors_.End("k", one));
  ASSERT_TRUE(ended);
  EXPECT_LE(ended->pending.LandsUntil(PendingKind::kDelete), world_.clock.Now());
  EXPECT_EQ(ended->pending.all().size(), 1u);
}

// Rows that 0.2 wrote are there when 0.3 starts: what may land then must not be forgotten.
TEST_F(FloorsTest, UnderstandsTheRowsOf02) {
  Result<Floor> floor = DecodeFloor(
      "1 DUCRW 2026-03-01T10:00:00Z 2026-03-01T10:00:01Z 2026-03-01T10:00:02Z "
      "2026-03-01T10:00:03.5Z 2026-03-01T10:00:04Z 2026-03-01T09:59:00Z "
      "- 0123456789abcdef s1 2026-03-01T09:00:00Z e1 -");
  ASSERT_TRUE(floor) << floor.error().Describe();
  const SystemTime ten = *ParseRfc3339("2026-03-01T10:00:00Z");
  EXPECT_EQ(floor->stamp, ten);
  EXPECT_TRUE(floor->deleted);
  EXPECT_EQ(
      floor->pending,
      (PendingRequests{
          {.kind = PendingKind::kCreate, .until = ten + seconds(1)},
          {.kind = PendingKind::kCopy, .until = ten + seconds(2)},
          {.kind = PendingKind::kDelete, .until = ten + std::chrono::milliseconds(3500)},
          {.kind = PendingKind::kWrite, .until = ten + seconds(4), .stamp = ten - seconds(60)}}));
  ASSERT_EQ(floor->kept_marks.size(), 1u);
  EXPECT_EQ(floor->kept_marks[0].mark.source_etag, "e1");
  EXPECT_EQ(*DecodeFloor(EncodeFloor(*floor)), *floor);

  floor = DecodeFloor("1 FW 1970-01-01T00:00:00Z 2026-03-01T10:00:04Z 1970-01-01T00:00:00Z");
  ASSERT_TRUE(floor) << "one of several writes";
  EXPECT_NE(floor->pending.LastToLand({PendingKind::kWrite}, ten, ten), nullptr);
  floor = DecodeFloor("1 D 2026-03-01T10:00:00Z");
  ASSERT_TRUE(floor);
  EXPECT_TRUE(floor->pending.empty());
  EXPECT_EQ(EncodeFloor(*floor), "1 D 2026-03-01T10:00:00Z") << "0.2 reads it as well";
  for (const char* bad :
       {"1 DX 2026-03-01T10:00:00Z", "1 DU 2026-03-01T10:00:00Z", "2 D 2026-03-01T10:00:00Z",
        "2 D 2026-03-01T10:00:00Z 1", "2 D 2026-03-01T10:00:00Z 1 x 2026-03-01T10:00:00Z -",
        "2 D 2026-03-01T10:00:00Z 999999999999999999999", "3 D 2026-03-01T10:00:00Z"}) {
    EXPECT_FALSE(DecodeFloor(bad)) << bad;
  }
}

// Nobody else remembers that a create may still land; whoever raises the floor meanwhile must not
// forget it.
TEST_F(FloorsTest, AnUncertainCreateStaysNotedWhileTheFloorRises) {
  const SystemTime until(std::chrono::seconds(1'800'000'060));
  auto create = [](SystemTime time) {
    return PendingRequest{.kind = PendingKind::kCreate, .until = time};
  };
  ASSERT_TRUE(world_.Run(floors_.Note("k", create(until))));
  Result<std::optional<Floor>> noted = world_.Run(floors_.Get("k"));
  ASSERT_TRUE(noted && *noted);
  EXPECT_TRUE((*noted)->pending.Has(create(until)));
  EXPECT_EQ((*noted)->stamp, SystemTime()) << "it is above nothing";
  const Floor tombstone{.stamp = SystemTime(std::chrono::seconds(1'800'000'000)), .deleted = true};
  Result<Floor> raised = world_.Run(floors_.Raise("k", tombstone));
  ASSERT_TRUE(raised);
  EXPECT_TRUE(raised->deleted);
  EXPECT_TRUE(raised->pending.Has(create(until)));
  EXPECT_EQ(DecodeFloor(EncodeFloor(*raised)).value(), *raised);
  ASSERT_TRUE(world_.Run(floors_.Note("k", create(SystemTime(std::chrono::seconds(5))))));
  EXPECT_EQ(world_.Run(floors_.Get("k"))->value().pending, PendingRequests({create(until)}))
      << "the later one";
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

// A State on this machine has answered before the next one asks: it is a thread that wakes for
// each.
TEST_F(FloorsTest, AmongManyThoseOfAStateThatAnswersAtOnceShareThemToo) {
  faults_.slow = 0;
  ASSERT_EQ(GetAll(200, true).size(), 200U);
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

// Nor one of which the backend itself can make nothing: items of DynamoDB are read many at a time.
TEST_F(FloorsTest, ARowThatNoBackendCanReadFailsAlone) {
  Raise("k8", 100);
  backend_->unreadable = "k7";
  const auto floors = GetAll(20);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(floors[static_cast<size_t>(i)].has_value(), i != 7) << i;
  ASSERT_TRUE(floors[8].has_value() && floors[8]->has_value());
  EXPECT_EQ((*floors[8])->stamp, SystemTime(seconds(100)));
  ASSERT_FALSE(floors[7]);
  EXPECT_EQ(floors[7].error().kind, ErrorKind::kCorrupt);
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
