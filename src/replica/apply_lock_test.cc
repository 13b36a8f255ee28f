// Object Lock of replicas: what protects the source object protects its replica, or it is said.

#include <gmock/gmock.h>

#include "replica/apply.h"
#include "tests/support/applier_test.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::ApplierTest;
using testing::TextBody;

class ApplierLockTest : public ApplierTest {
 protected:
  ApplierLockTest() {
    backend_->buckets["b"].versioning = testing::MemoryStoreBackend::Versioning::kEnabled;
    MakeApplier({.object_lock = true, .versioned = true});
  }
  ReplicaWrite Locked(const std::string& text, int second, ObjectLock lock) {
    ReplicaWrite write = WriteOf(text, second);
    write.lock = std::move(lock);
    return write;
  }
  ApplyState PutLocked(const std::string& text, int second, ObjectLock lock) {
    TextBody body(text);
    return PutBody(Locked(text, second, std::move(lock)), body);
  }
  [[nodiscard]] std::optional<ObjectLock> There() const { return backend_->Find("b", "k")->lock; }
};

INSTANTIATE_TEST_SUITE_P(Locks, ApplierLockTest, ::testing::Bool(), [](const auto& info) {
  return info.param ? "Conditional" : "WithLeases";
});

// A replica without the lock of its source can be removed by whoever the lock keeps off.
TEST_P(ApplierLockTest, AReplicaIsLockedAsItsSourceIs) {
  const ObjectLock lock{.mode = "COMPLIANCE", .until = At(100'000), .legal_hold = true};
  EXPECT_EQ(PutLocked("one", 1, lock), ApplyState::kApplied);
  EXPECT_EQ(There(), lock);
  EXPECT_EQ(PutLocked("two", 5, {.legal_hold = true}), ApplyState::kApplied);
  EXPECT_EQ(There(), (ObjectLock{.legal_hold = true}));
  EXPECT_EQ(Put("three", 9), ApplyState::kApplied);
  EXPECT_EQ(There(), std::nullopt);
}

// Who has not asked for it must not get objects that nobody can remove.
TEST_P(ApplierLockTest, OnlyWhereTheTargetAsksForIt) {
  MakeApplier({.versioned = true});
  EXPECT_EQ(PutLocked("one", 1, {.mode = "COMPLIANCE", .until = At(100'000)}),
            ApplyState::kApplied);
  EXPECT_EQ(There(), std::nullopt);
}

// S3 takes no end that is past: an object whose retention ran out on the way would never arrive.
TEST_P(ApplierLockTest, ARetentionThatIsOverIsNotCarried) {
  EXPECT_EQ(PutLocked("one", 1, {.mode = "COMPLIANCE", .until = At(-5)}), ApplyState::kApplied);
  EXPECT_EQ(There(), std::nullopt);
  EXPECT_EQ(PutLocked("two", 5, {.mode = "GOVERNANCE", .until = At(10), .legal_hold = true}),
            ApplyState::kApplied);
  EXPECT_EQ(There(), (ObjectLock{.legal_hold = true}));
}

// The bytes are there and the lock is not (it was put on the source later): there must be a version
// that has it, and one is enough.
TEST_P(ApplierLockTest, AReplicaThatIsNotLockedYetIsWrittenAgain) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  const ObjectLock lock{.mode = "GOVERNANCE", .until = At(100'000)};
  EXPECT_EQ(PutLocked("one", 5, lock), ApplyState::kApplied);
  EXPECT_EQ(There(), lock);
  EXPECT_EQ(PutLocked("one", 9, lock), ApplyState::kEqual);
  // A lock that is stronger than the source's by now stays; nothing can be done about it.
  EXPECT_EQ(PutLocked("one", 12, {.mode = "GOVERNANCE", .until = At(50'000)}), ApplyState::kEqual);
}

// The same without bytes: a copy is a version of its own, and begins without a lock.
TEST_P(ApplierLockTest, ACopyOntoItselfIsLockedAsWell) {
  const ObjectLock lock{.mode = "GOVERNANCE", .until = At(100'000)};
  EXPECT_EQ(PutLocked("one", 1, lock), ApplyState::kApplied);
  ReplicaWrite write = Locked("one", 5, lock);
  write.metadata["owner"] = "bob";
  Result<ApplyOutcome> outcome = world_.Run(applier_->PutAttributes(std::move(write)));
  ASSERT_TRUE(outcome) << outcome.error().Describe();
  EXPECT_EQ(outcome->state, ApplyState::kApplied) << outcome->reason;
  EXPECT_EQ(backend_->Find("b", "k")->info.metadata.at("owner"), "bob");
  EXPECT_EQ(There(), lock);
}

// Without its lock it would be there and look well; so it must not be there, and say why.
TEST_P(ApplierLockTest, ABucketThatLocksNothingGetsNothing) {
  backend_->options.locks_objects = false;
  TextBody body("one");
  Result<ApplyOutcome> outcome = world_.Run(
      applier_->Put(Locked("one", 1, {.mode = "COMPLIANCE", .until = At(100'000)}), body));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kInvalidInput);
  EXPECT_THAT(outcome.error().Describe(), ::testing::HasSubstr("Object Lock"));
  EXPECT_THAT(outcome.error().Describe(), ::testing::HasSubstr("longhaul rules retry"));
  EXPECT_EQ(backend_->Find("b", "k"), nullptr);
  EXPECT_EQ(Put("free", 5), ApplyState::kApplied);
}

}  // namespace
}  // namespace longhaul
