#include "transfer/uploads/piece_upload.h"

#include <gtest/gtest.h>

#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// One worker that carries one part of an object of letters, and knows nothing but what stands at
// the target.
class Worker : public PieceWork {
 public:
  Worker(Store& store, UploadPlan plan, uint32_t number, std::string text, WriteCondition condition)
      : store_(store),
        plan_(std::move(plan)),
        number_(number),
        text_(std::move(text)),
        condition_(std::move(condition)) {}

  [[nodiscard]] UploadPlan Plan() const override { return plan_; }
  [[nodiscard]] uint32_t number() const override { return number_; }
  [[nodiscard]] PutRequest Request() const override {
    return {.bucket = "b", .key = "film", .metadata = {{"plan", plan_.plan}}};
  }
  Async<bool> Settled() override {
    Result<ObjectInfo> there = co_await store_.Head({.bucket = "b", .key = "film"});
    if (!there && there.error().kind == ErrorKind::kNotFound) co_return false;
    if (!there) co_return there.error();
    auto plan = there->metadata.find("plan");
    co_return plan != there->metadata.end() && plan->second >= plan_.plan;
  }
  Async<std::vector<UploadedPart>> Send(MultipartUpload upload) override {
    ++sent;
    MemorySource body(std::as_bytes(std::span(text_)));
    Result<UploadedPart> part =
        co_await store_.UploadPart(std::move(upload), static_cast<int>(number_) + 1, body);
    if (!part) co_return part.error();
    co_return std::vector<UploadedPart>{std::move(*part)};
  }
  Async<void> Complete(SharedUploads& uploads, SharedUpload upload) override {
    Result<std::vector<UploadedPart>> parts = co_await uploads.Parts(upload);
    if (!parts) co_return parts.error();
    Result<PutResult> put = co_await store_.CompleteMultipart(
        {.upload = {.bucket = "b", .key = "film", .upload_id = upload.upload_id},
         .parts = std::move(*parts),
         .condition = condition_,
         .checksum = {}});
    if (!put) co_return put.error();
    if (dies_once_completed) co_return Retryable("killed");
    co_return Ok();
  }

  int sent = 0;
  bool dies_once_completed = false;

 private:
  Store& store_;
  UploadPlan plan_;
  uint32_t number_;
  std::string text_;
  WriteCondition condition_;
};

testing::MemoryStoreOptions SmallParts() {
  testing::MemoryStoreOptions options;
  options.capabilities.part_size_bytes_min = 1;
  return options;
}

class PieceUploadTest : public ::testing::Test {
 protected:
  PieceUploadTest()
      : backend_(std::make_shared<testing::MemoryStoreBackend>(SmallParts())),
        store_(world_.runtime, backend_),
        state_(world_.runtime, std::make_shared<testing::FakeStateBackend>()),
        ledger_(world_.runtime, state_, "worker", {{"west", &store_}}, seconds(15)),
        uploads_(world_.runtime, state_, store_, ledger_, "b",
                 {.uploads = "run/", .parts = "run-parts/"}, "films") {
    backend_->buckets["b"].created = world_.clock.Now();
  }

  [[nodiscard]] UploadPlan Plan(std::string plan, int second = 0) const {
    return {.plan = std::move(plan),
            .stamp = world_.clock.Now() + seconds(second),
            .etag = "\"e\"",
            .pieces = 3};
  }
  Result<PieceResult> Send(const UploadPlan& plan, uint32_t number, WriteCondition condition = {}) {
    Worker worker(store_, plan, number, std::string(1, static_cast<char>('a' + number)),
                  std::move(condition));
    Result<PieceResult> sent = world_.Run(SendPiece(uploads_, worker));
    sent_ += worker.sent;
    return sent;
  }
  void Expect(const Result<PieceResult>& result, PieceEnd end, bool speaks) {
    ASSERT_TRUE(result) << result.error().Describe();
    EXPECT_EQ(static_cast<int>(result->end), static_cast<int>(end));
    EXPECT_EQ(result->speaks, speaks);
  }
  [[nodiscard]] std::string Film() const {
    const auto* film = backend_->Find("b", "film");
    return film == nullptr ? "" : *film->bytes;
  }
  void ExpectNothingLeft() {
    EXPECT_TRUE(backend_->buckets["b"].uploads.empty());
    for (const char* partition : {"run/films", "run-parts/films", "uploads"}) {
      EXPECT_TRUE(world_.Run(state_.Scan(partition, "", 10))->empty()) << partition;
    }
  }

  testing::FakeWorld world_;
  std::shared_ptr<testing::MemoryStoreBackend> backend_;
  testing::MemoryStore store_;
  testing::FakeState state_;
  UploadLedger ledger_;
  SharedUploads uploads_;
  int sent_ = 0;
};

// Pieces come in any order and more than once: each is sent once, and the last one completes.
TEST_F(PieceUploadTest, WhoeverStoresTheLastPieceCompletes) {
  const UploadPlan plan = Plan("1");
  Expect(Send(plan, 2), PieceEnd::kStored, false);
  Expect(Send(plan, 0), PieceEnd::kStored, false);
  Expect(Send(plan, 2), PieceEnd::kStored, false);
  EXPECT_EQ(sent_, 2) << "what has been stored is not sent again";
  EXPECT_EQ(Film(), "");
  Expect(Send(plan, 1, {.if_absent = true}), PieceEnd::kSettled, true);
  EXPECT_EQ(Film(), "abc");
  Expect(Send(plan, 2), PieceEnd::kSettled, false);
  Expect(Send(plan, 0), PieceEnd::kSettled, true);
  EXPECT_EQ(sent_, 3);
  ExpectNothingLeft();
}

// Whoever completes it may be killed before he can say so: another one finds that out.
TEST_F(PieceUploadTest, ACompletionThatNobodyHeardOfIsFound) {
  const UploadPlan plan = Plan("1");
  ASSERT_TRUE(Send(plan, 0));
  ASSERT_TRUE(Send(plan, 1));
  Worker dying(store_, plan, 2, "c", {});
  dying.dies_once_completed = true;
  EXPECT_FALSE(world_.Run(SendPiece(uploads_, dying)));
  Expect(Send(plan, 1), PieceEnd::kSettled, true);
  EXPECT_EQ(Film(), "abc");
  ExpectNothingLeft();
}

// The condition of the completion is the last word: what came meanwhile is not written over.
TEST_F(PieceUploadTest, TheConditionOfTheCompletionHolds) {
  const UploadPlan plan = Plan("1");
  ASSERT_TRUE(Send(plan, 0));
  ASSERT_TRUE(Send(plan, 1));
  MemorySource other(std::as_bytes(std::span(std::string_view("other"))));
  ASSERT_TRUE(world_.Run(store_.Put({.bucket = "b", .key = "film"}, other)));
  Result<PieceResult> last = Send(plan, 2, {.if_absent = true});
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().kind, ErrorKind::kPrecondition);
  EXPECT_EQ(Film(), "other");
}

// A newer transfer takes the row over and aborts the older one's upload; what is still to come of
// the older one is not sent, and never mixed with the newer one.
TEST_F(PieceUploadTest, ANewerTransferTakesOver) {
  const UploadPlan old = Plan("1");
  const UploadPlan now = Plan("2", 1);
  ASSERT_TRUE(Send(old, 0));
  Expect(Send(now, 0), PieceEnd::kStored, false);
  EXPECT_EQ(backend_->buckets["b"].uploads.size(), 1u);
  sent_ = 0;
  Expect(Send(old, 1), PieceEnd::kOutdated, false);
  Expect(Send(old, 0), PieceEnd::kOutdated, true);
  EXPECT_EQ(sent_, 0);
  UploadPlan other = Plan("3", 1);
  other.stamp = now.stamp;
  other.etag = "\"f\"";
  Expect(Send(other, 0), PieceEnd::kClash, true);
  ASSERT_TRUE(Send(now, 1));
  Expect(Send(now, 2), PieceEnd::kSettled, true);
  EXPECT_EQ(Film(), "abc");
  ExpectNothingLeft();
}

// Somebody removes the upload: the pieces that are to come must not begin another one that never
// gets whole, until the object has been planned anew.
TEST_F(PieceUploadTest, ARemovedUploadIsNoticed) {
  const UploadPlan plan = Plan("1");
  ASSERT_TRUE(Send(plan, 0));
  backend_->buckets["b"].uploads.clear();
  Expect(Send(plan, 1), PieceEnd::kLost, true);
  Expect(Send(plan, 2), PieceEnd::kLost, false);
  EXPECT_TRUE(backend_->buckets["b"].uploads.empty());

  const UploadPlan anew = Plan("2");
  for (uint32_t number : {0, 1, 2}) ASSERT_TRUE(Send(anew, number));
  EXPECT_EQ(Film(), "abc");
  ExpectNothingLeft();
}

// A transfer is of one size: pieces that were cut otherwise do not go into it.
TEST_F(PieceUploadTest, PiecesThatWereCutOtherwiseAreRefused) {
  UploadPlan plan = Plan("1");
  ASSERT_TRUE(Send(plan, 0));
  plan.pieces = 2;
  Result<PieceResult> sent = Send(plan, 1);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, kOtherPiecesCode);
}

// What nobody goes on with is aborted, and what has been settled otherwise at once.
TEST_F(PieceUploadTest, SweepsWhatComesToNothing) {
  struct Judge : UploadJudge {
    Async<bool> IsSettled(std::string /*key*/, SharedUpload /*upload*/) override {
      co_return settled;
    }
    bool settled = false;
  } judge;
  auto sweep = [&] {
    return *world_.Run(
        SweepSharedUploads(uploads_, world_.clock, judge, *world_.Run(uploads_.All()), hours(24)));
  };
  ASSERT_TRUE(Send(Plan("1"), 0));
  EXPECT_EQ(sweep(), 0);
  judge.settled = true;
  EXPECT_EQ(sweep(), 1);
  ExpectNothingLeft();
  judge.settled = false;
  ASSERT_TRUE(Send(Plan("2"), 0));
  world_.clock.Advance(hours(25));
  EXPECT_EQ(sweep(), 1);
  ExpectNothingLeft();
}

}  // namespace
}  // namespace longhaul
