// What a process that was killed held is another one's within a minute.

#include <gtest/gtest.h>

#include "replica/lease.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::ReplicationWorld;

class DeadProcessTest : public ::testing::Test {
 protected:
  DeadProcessTest() { world_.configuration.rules[0].intake.listing = 1h; }
  // Taken for as long as processes take it, in the moment before this one starts.
  void LeaveLease(const std::string& name) {
    Lease lease(world_.state, world_.world.clock, name, "the dead one",
                world_.limits.archive_lease);
    ASSERT_TRUE(*world_.world.Run(lease.TryAcquire()));
  }
  std::chrono::nanoseconds TimeUntilCarried(const std::string& key) {
    const SteadyTime start = world_.world.clock.SteadyNow();
    while (!world_.Replicas().contains(key) && world_.world.clock.SteadyNow() < start + 10min) {
      world_.RunFor(100ms);
    }
    return world_.world.clock.SteadyNow() - start;
  }

  ReplicationWorld world_;
};

// Nothing but the comparison tells of the object.
TEST_F(DeadProcessTest, ItsComparisonIsTakenOver) {
  world_.Put("k", "text");
  LeaveLease("reconcile/r");
  world_.Start();
  const auto time = TimeUntilCarried("k");
  EXPECT_LT(time, 1min);
  EXPECT_GE(time, 10s) << "the lease was held";
  world_.Stop();
}

TEST_F(DeadProcessTest, ItsArchiveIsTakenOver) {
  world_.Put("k", "text");
  world_.RunOnce({.target = false});
  std::string ulid;
  for (const std::string& key : world_.Staged()) {
    const size_t end = key.rfind(".tar.zst");
    if (end != key.npos && end >= 26) ulid = key.substr(end - 26, 26);
  }
  ASSERT_FALSE(ulid.empty());
  LeaveLease("archive/r/" + ulid + "/t0");
  world_.Start({.source = false});
  const auto time = TimeUntilCarried("k");
  EXPECT_LT(time, 1min);
  EXPECT_GE(time, 10s) << "the lease was held";
  world_.Stop();
}

}  // namespace
}  // namespace longhaul
