#include "transfer/tree/carry_object.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::MemoryStore;
using testing::MemoryStoreBackend;

class MoveObjectTest : public ::testing::Test {
 protected:
  MoveObjectTest() {
    for (const auto& backend : {one, other}) {
      MemoryStore store(world.runtime, backend);
      EXPECT_TRUE(world.Run(store.CreateBucket("b")));
    }
    MemoryStore store(world.runtime, one);
    EXPECT_TRUE(world.Run(PutText(store, {.bucket = "b", .key = "k"}, "text")));
  }
  Result<CopyOutcome> Move(std::shared_ptr<MemoryStoreBackend> from,
                           std::shared_ptr<MemoryStoreBackend> to) {
    MemoryStore source(world.runtime, std::move(from));
    MemoryStore target(world.runtime, std::move(to));
    return world.Run(MoveObject(world.runtime, {.store = source, .bucket = "b", .key = "k"},
                                {.store = target, .bucket = "b", .key = "k"}, {}));
  }

  FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> one = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> other = std::make_shared<MemoryStoreBackend>();
};

// An endpoint with two names: the copy has replaced the object, and is all there is of it.
TEST_F(MoveObjectTest, OneObjectUnderTwoNamesStays) {
  for (std::chrono::seconds age : {std::chrono::seconds(0), std::chrono::seconds(100)}) {
    world.clock.Advance(age);
    Result<CopyOutcome> moved = Move(one, one);
    ASSERT_FALSE(moved);
    EXPECT_EQ(moved.error().kind, ErrorKind::kPrecondition) << moved.error().Describe();
    ASSERT_NE(one->Find("b", "k"), nullptr);
    EXPECT_EQ(*one->Find("b", "k")->bytes, "text");
  }
}

// Two objects may have been written in one second.
TEST_F(MoveObjectTest, EqualTimesAreNotTheSameObject) {
  Result<CopyOutcome> moved = Move(one, other);
  ASSERT_TRUE(moved) << moved.error().Describe();
  EXPECT_EQ(one->Find("b", "k"), nullptr);
  ASSERT_NE(other->Find("b", "k"), nullptr);
  EXPECT_EQ(*other->Find("b", "k")->bytes, "text");
}

}  // namespace
}  // namespace longhaul
