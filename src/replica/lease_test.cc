#include "replica/lease.h"

#include <gtest/gtest.h>

#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

class LeaseTest : public ::testing::Test {
 protected:
  Lease Make(const std::string& owner) { return {state_, world_.clock, "work", owner, 60s}; }
  void Take(Lease& lease) {
    Result<bool> taken = world_.Run(lease.TryAcquire());
    ASSERT_TRUE(taken && *taken);
  }
  // Whether somebody else would get it now.
  bool IsFree() {
    Lease other = Make("other");
    Result<bool> taken = world_.Run(other.TryAcquire());
    EXPECT_TRUE(taken);
    return taken && *taken;
  }
  ErrorKind Extend(Lease& lease) {
    Result<void> extended = world_.Run(lease.Extend());
    return extended ? ErrorKind::kCancelled : extended.error().kind;
  }
  static constexpr ErrorKind kExtended = ErrorKind::kCancelled;

  testing::FakeWorld world_;
  testing::FakeFaults faults_{1};
  std::shared_ptr<testing::FakeStateBackend> backend_ =
      std::make_shared<testing::FakeStateBackend>();
  testing::FakeState state_{world_.runtime, backend_, &faults_};
};

// One lost answer must not end a lease whose holder goes on.
TEST_F(LeaseTest, OutlivesAnExtensionWhoseAnswerWasLost) {
  Lease lease = Make("us");
  Take(lease);
  faults_.fail_after_at = faults_.operations + 1;
  EXPECT_EQ(Extend(lease), ErrorKind::kRetryable);
  world_.clock.Advance(40s);
  EXPECT_EQ(Extend(lease), kExtended);
  world_.clock.Advance(40s);
  EXPECT_FALSE(IsFree());
  EXPECT_EQ(Extend(lease), kExtended);
  world_.Run(lease.Release());
  EXPECT_TRUE(IsFree());
}

TEST_F(LeaseTest, IsGivenBackAfterAnExtensionWhoseAnswerWasLost) {
  Lease lease = Make("us");
  Take(lease);
  faults_.fail_after_at = faults_.operations + 1;
  EXPECT_EQ(Extend(lease), ErrorKind::kRetryable);
  world_.Run(lease.Release());
  EXPECT_TRUE(IsFree());
}

// What the keeper keeps nobody else may get, also when an answer was lost.
TEST_F(LeaseTest, TheKeeperGoesOnAfterALostAnswer) {
  Lease lease = Make("us");
  Take(lease);
  faults_.fail_after_at = faults_.operations + 1;
  struct Holder {
    static Async<void> Work(testing::FakeWorld& world, Lease& lease) {
      Event done;
      TaskGroup keeper(world.runtime.executor);
      keeper.Spawn(KeepLease(world.clock, lease, done, 20s));
      co_await world.clock.Sleep(5min);
      done.Set();
      co_return co_await keeper.Join();
    }
  };
  ASSERT_TRUE(world_.Run(Holder::Work(world_, lease)));
  EXPECT_FALSE(IsFree());
}

// Who has it in doubt and finds another in his place has lost it, also to one of his own process.
TEST_F(LeaseTest, IsLostToWhoeverTookItMeanwhile) {
  for (const char* next : {"them", "us"}) {
    Lease lease = Make("us");
    Take(lease);
    faults_.fail_after_at = faults_.operations + 1;
    EXPECT_EQ(Extend(lease), ErrorKind::kRetryable);
    world_.clock.Advance(61s);
    Lease other = Make(next);
    Take(other);
    EXPECT_EQ(Extend(lease), ErrorKind::kPrecondition) << next;
    EXPECT_EQ(Extend(lease), ErrorKind::kPrecondition) << next;
    world_.Run(lease.Release());
    EXPECT_FALSE(IsFree());
    EXPECT_EQ(Extend(other), kExtended);
    world_.Run(other.Release());
  }
}

// One who extends it while another is about to must not take it for lost: an upload of hours would
// be sent again.
TEST_F(LeaseTest, TheKeeperAndItsHolderMayExtendItAtOnce) {
  Lease lease = Make("us");
  Take(lease);
  faults_.slow = 1;
  faults_.delay_max = 10s;
  struct Holder {
    static Async<void> Work(testing::FakeWorld& world, Lease& lease) {
      Event done;
      TaskGroup keeper(world.runtime.executor);
      keeper.Spawn(KeepLease(world.clock, lease, done, 20s));
      co_await world.clock.Sleep(20s + 1ms);  // The keeper has sent its write.
      EXPECT_TRUE(co_await lease.LastFor(50s));
      co_await world.clock.Sleep(100s);
      EXPECT_TRUE(co_await lease.CheckStillHeld()) << "the keeper has given it up";
      done.Set();
      co_return co_await keeper.Join();
    }
  };
  ASSERT_TRUE(world_.Run(Holder::Work(world_, lease)));
}

}  // namespace
}  // namespace longhaul
