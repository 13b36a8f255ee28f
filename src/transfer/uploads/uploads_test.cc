#include "transfer/uploads/uploads.h"

#include <gtest/gtest.h>

#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class UploadLedgerTest : public ::testing::Test {
 protected:
  UploadLedgerTest()
      : backend_(std::make_shared<testing::MemoryStoreBackend>()),
        store_(world_.runtime, backend_),
        state_(world_.runtime, std::make_shared<testing::FakeStateBackend>()),
        dying_(MakeLedger("dying", store_)),
        living_(MakeLedger("living", store_)) {
    backend_->buckets["b"].created = world_.clock.Now();
  }

  UploadLedger MakeLedger(std::string owner, Store& store) {
    return UploadLedger(world_.runtime, state_, std::move(owner), {{"west", &store}},
                        milliseconds(15'000));
  }
  [[nodiscard]] size_t uploads() const { return backend_->buckets.at("b").uploads.size(); }

  testing::FakeWorld world_;
  std::shared_ptr<testing::MemoryStoreBackend> backend_;
  testing::MemoryStore store_;
  testing::FakeState state_;
  UploadLedger dying_;
  UploadLedger living_;
};

// A killed process must leave no upload that someone pays for, and a living one must keep its own.
TEST_F(UploadLedgerTest, SweepsWhatTheDeadLeft) {
  ASSERT_TRUE(world_.Run(dying_.Heartbeat()));
  ASSERT_TRUE(world_.Run(dying_.Create(store_, {.bucket = "b", .key = "k"})));
  ASSERT_TRUE(world_.Run(living_.Create(store_, {.bucket = "b", .key = "k"})));
  ASSERT_EQ(uploads(), 2u);
  EXPECT_EQ(*world_.Run(living_.Sweep()), 0);
  world_.clock.Advance(seconds(16));
  EXPECT_EQ(*world_.Run(living_.Sweep()), 1);
  EXPECT_EQ(uploads(), 1u);
  EXPECT_EQ(*world_.Run(living_.Sweep()), 0);
}

// A creation whose answer was lost has no id: it is found by its key.
TEST_F(UploadLedgerTest, SweepsCreationsWithoutAnAnswer) {
  struct LostAnswer : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kCreateMultipart) {
        fault.error = Retryable("no answer");
        fault.effect = testing::Fault::Effect::kDone;
      }
      return fault;
    }
  } plan;
  testing::MemoryStore faulty(world_.runtime, backend_, &plan);
  UploadLedger ledger = MakeLedger("unlucky", faulty);
  EXPECT_FALSE(world_.Run(ledger.Create(faulty, {.bucket = "b", .key = "k"})));
  ASSERT_EQ(uploads(), 1u);
  world_.clock.Advance(seconds(16));
  EXPECT_EQ(*world_.Run(living_.Sweep()), 1);
  EXPECT_EQ(uploads(), 0u);
}

// Two creations of one key got no answer, and the uploads appear one after the other: the one that
// is found answers for one row only, and nobody knows for which.
TEST_F(UploadLedgerTest, SweepsEachOfTwoCreationsWithoutAnAnswer) {
  struct Lost : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kCreateMultipart) {
        fault.error = Retryable("no answer");
        if (!late) fault.effect = testing::Fault::Effect::kDone;
      }
      if (operation == testing::StoreOperation::kAbortMultipart) {
        // Another sweep was faster, and listings show it for a while.
        fault.error = NotFound("gone", "NoSuchUpload");
        fault.effect = testing::Fault::Effect::kLater;
        fault.effect_delay = seconds(1);
      }
      return fault;
    }
    bool late = true;  // The upload is created further below.
  } plan;
  testing::MemoryStore faulty(world_.runtime, backend_, &plan);
  UploadLedger first = MakeLedger("first", faulty);
  UploadLedger second = MakeLedger("second", faulty);
  EXPECT_FALSE(world_.Run(first.Create(faulty, {.bucket = "b", .key = "k"})));
  plan.late = false;
  EXPECT_FALSE(world_.Run(second.Create(faulty, {.bucket = "b", .key = "k"})));
  ASSERT_EQ(uploads(), 1u);
  world_.clock.Advance(seconds(16));
  UploadLedger sweeper = MakeLedger("sweeper", faulty);
  EXPECT_EQ(*world_.Run(sweeper.Sweep()), 2) << "found for both";
  world_.Run(world_.clock.Sleep(seconds(2)));
  ASSERT_EQ(uploads(), 0u);

  ASSERT_TRUE(world_.Run(store_.CreateMultipart({.bucket = "b", .key = "k"})));  // The first's.
  EXPECT_EQ(*world_.Run(living_.Sweep()), 1);
  EXPECT_EQ(uploads(), 0u);
  world_.clock.Advance(minutes(3));
  ASSERT_TRUE(world_.Run(living_.Sweep()));
  EXPECT_TRUE(world_.Run(state_.Scan("uploads", "", 10))->empty());
}

// An upload that is recorded elsewhere goes neither with the process that created it nor with the
// row of a creation that got no answer.
TEST_F(UploadLedgerTest, WhatIsKeptIsNotSwept) {
  struct LostRequest : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kCreateMultipart) fault.error = Retryable("lost");
      return fault;
    }
  } plan;
  Result<MultipartUpload> kept = world_.Run(dying_.Create(store_, {.bucket = "b", .key = "k"}));
  ASSERT_TRUE(kept);
  world_.Run(dying_.Keep(store_, *kept));
  testing::MemoryStore faulty(world_.runtime, backend_, &plan);
  UploadLedger unlucky = MakeLedger("unlucky", faulty);
  EXPECT_FALSE(world_.Run(unlucky.Create(faulty, {.bucket = "b", .key = "k"})));
  world_.clock.Advance(seconds(16));
  EXPECT_EQ(*world_.Run(living_.Sweep()), 0);
  EXPECT_EQ(uploads(), 1u);

  ASSERT_TRUE(world_.Run(living_.Release(store_, *kept)));
  ASSERT_TRUE(world_.Run(store_.AbortMultipart(*kept)));
  world_.clock.Advance(minutes(3));
  EXPECT_EQ(*world_.Run(living_.Sweep()), 0);
  EXPECT_TRUE(world_.Run(state_.Scan("uploads", "", 10))->empty());
}

// Two processes may write one key: the living one's upload must not go with the dead one's row, be
// it open or just being created.
TEST_F(UploadLedgerTest, ACreationWithoutAnAnswerTakesNobodyElsesUpload) {
  struct Trouble : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation != testing::StoreOperation::kCreateMultipart) return fault;
      if (lose) {
        fault.error = Retryable("no answer");
      } else {
        fault.answer_delay = seconds(40);  // There, and its id not known yet.
      }
      return fault;
    }
    bool lose = true;
  } plan;
  testing::MemoryStore faulty(world_.runtime, backend_, &plan);
  UploadLedger ledger = MakeLedger("unlucky", faulty);
  EXPECT_FALSE(world_.Run(ledger.Create(faulty, {.bucket = "b", .key = "k"})));
  ASSERT_TRUE(world_.Run(living_.Heartbeat()));
  ASSERT_TRUE(world_.Run(living_.Create(store_, {.bucket = "b", .key = "k"})));
  UploadLedger sweeper = MakeLedger("sweeper", store_);
  world_.clock.Advance(seconds(16));
  ASSERT_TRUE(world_.Run(living_.Heartbeat()));
  EXPECT_EQ(*world_.Run(sweeper.Sweep()), 0);
  ASSERT_EQ(uploads(), 1u);

  plan.lose = false;
  UploadLedger slow = MakeLedger("slow", faulty);
  bool created = false;
  world_.Start([](UploadLedger& ledger, Store& store, bool& done) -> asio::awaitable<void> {
    Result<MultipartUpload> upload = co_await ledger.Create(store, {.bucket = "b", .key = "k"});
    EXPECT_TRUE(upload);
    done = true;
  }(slow, faulty, created));
  ASSERT_TRUE(world_.Run(slow.Heartbeat()));
  world_.Drive([&] { return uploads() == 2; });
  ASSERT_FALSE(created);
  EXPECT_EQ(*world_.Run(sweeper.Sweep()), 0);
  EXPECT_EQ(uploads(), 2u);
  world_.Drive([&] { return created; });
}

// A creation that took longer than a process may be silent came to its end while its uploads were
// being listed: it is in use, not lost.
TEST_F(UploadLedgerTest, ASlowCreationIsNotSweptAway) {
  struct Slow : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kCreateMultipart) fault.answer_delay = seconds(20);
      if (operation == testing::StoreOperation::kListMultipartUploads) {
        fault.answer_delay = seconds(10);
      }
      return fault;
    }
  } plan;
  testing::MemoryStore slow(world_.runtime, backend_, &plan);
  UploadLedger ledger = MakeLedger("slow", slow);
  bool created = false;
  world_.Start([](UploadLedger& creator, Store& store, bool& done) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await creator.Create(store, {.bucket = "b", .key = "k"}));
    done = true;
  }(ledger, slow, created));
  world_.Run(world_.clock.Sleep(seconds(16)));
  ASSERT_FALSE(created);
  EXPECT_EQ(*world_.Run(ledger.Sweep()), 0);
  EXPECT_TRUE(created);
  EXPECT_EQ(uploads(), 1u);
}

// What somebody else has aborted, or a lifecycle rule, is done.
TEST_F(UploadLedgerTest, AnUploadThatIsGoneIsDone) {
  struct Gone : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kAbortMultipart) {
        fault.error = NotFound("gone", "NoSuchUpload");
      }
      return fault;
    }
  } plan;
  testing::MemoryStore faulty(world_.runtime, backend_, &plan);
  UploadLedger ledger = MakeLedger("here", faulty);
  Result<MultipartUpload> upload = world_.Run(ledger.Create(faulty, {.bucket = "b", .key = "k"}));
  ASSERT_TRUE(upload);
  world_.Run(ledger.Abort(faulty, *upload));
  EXPECT_TRUE(world_.Run(state_.Scan("uploads", "", 10))->empty());
}

// One store that is away must not keep the uploads of the others.
TEST_F(UploadLedgerTest, AStoreThatIsAwayKeepsNoOtherFromBeingSwept) {
  struct Away : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation, std::string_view, std::string_view) override {
      testing::Fault fault;
      fault.error = Retryable("away");
      return fault;
    }
  } plan;
  testing::MemoryStore away(world_.runtime, backend_, &plan);
  UploadLedger both(world_.runtime, state_, "a", {{"away", &away}, {"west", &store_}},
                    milliseconds(15'000));
  EXPECT_FALSE(world_.Run(both.Create(away, {.bucket = "b", .key = "k"})));
  ASSERT_TRUE(world_.Run(dying_.Create(store_, {.bucket = "b", .key = "other"})));
  world_.clock.Advance(seconds(16));
  EXPECT_FALSE(world_.Run(both.Sweep()));
  EXPECT_EQ(uploads(), 0u);
}

// What has been completed or aborted is forgotten: an id may come again.
TEST_F(UploadLedgerTest, ForgetsWhatIsDone) {
  Result<MultipartUpload> upload = world_.Run(living_.Create(store_, {.bucket = "b", .key = "k"}));
  ASSERT_TRUE(upload);
  world_.Run(living_.Abort(store_, *upload));
  EXPECT_EQ(uploads(), 0u);
  EXPECT_TRUE(world_.Run(state_.Scan("uploads", "", 10))->empty());
}

}  // namespace
}  // namespace longhaul
