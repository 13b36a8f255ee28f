#include "transfer/object/upload_records.h"

#include <gtest/gtest.h>

#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::FakeState;
using testing::FakeStateBackend;
using testing::FakeWorld;

// Who goes on with an upload has it: a third process must not abort it, nor whoever forgets the run
// that began it.
TEST(UploadRecordsTest, WhoGoesOnWithAnUploadHasIt) {
  FakeWorld world;
  FakeState state(world.runtime, std::make_shared<FakeStateBackend>());
  auto records_of = [&](const std::string& run, int64_t started) {
    ProcessName owner = ThisProcess();
    owner.started += started;  // But of this very process: none that lives.
    return UploadRecords(world.runtime, state, owner, run, "");
  };
  UploadRecords first = records_of("first", 55);
  UploadRecords second = records_of("second", 0);
  UploadRecords third = records_of("third", 77);
  Result<UploadRecord> added =
      world.Run(first.Add({.store = "s", .upload = {.bucket = "b", .key = "k", .upload_id = "u"}}));
  ASSERT_TRUE(added) << added.error().Describe();
  auto found = world.Run(second.Find("s", "b", "k"));
  ASSERT_TRUE(found && found->size() == 1);
  EXPECT_FALSE(third.InUse(found->front()));
  world.clock.Advance(std::chrono::hours(1));
  auto taken = world.Run(second.Take(found->front()));
  ASSERT_TRUE(taken && *taken);
  // As it was read before: the third one comes too late.
  auto late = world.Run(third.Take(found->front()));
  ASSERT_TRUE(late) << late.error().Describe();
  EXPECT_FALSE(*late);
  auto of_second = world.Run(third.All("second"));
  ASSERT_TRUE(of_second && of_second->size() == 1);
  EXPECT_TRUE(third.InUse(of_second->front()));
  EXPECT_EQ(of_second->front().owned_since - of_second->front().created, std::chrono::hours(1));
  EXPECT_TRUE(world.Run(third.All("first"))->empty());
  // What is one's own is taken without a write.
  EXPECT_TRUE(*world.Run(second.Take(of_second->front())));
}

}  // namespace
}  // namespace longhaul
