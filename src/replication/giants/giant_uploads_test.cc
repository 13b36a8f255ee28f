// What becomes of the uploads of giants that somebody removes, or that come to nothing.

#include <gtest/gtest.h>

#include "events/hint.h"
#include "replication/life/rule_control.h"
#include "tests/support/archive.h"
#include "tests/support/giant_fixture.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::GiantTest;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

// A lifecycle rule may abort uploads that take long; then all must be sent again.
TEST_F(GiantTest, AnUploadThatSomebodyAbortsIsBegunAgain) {
  Make();
  const std::string text = Noise(1'000'000, 8);
  PutParts("film", text, 50'000);
  bool aborted = false;
  world->target().decide = [&](StoreOperation operation, std::string_view bucket,
                               std::string_view) {
    auto& uploads = world->target().backend->buckets["out"].uploads;
    if (operation == StoreOperation::kUploadPart && bucket == "out" && !aborted &&
        !uploads.empty() && uploads.begin()->second.parts.size() > 7) {
      uploads.clear();
      aborted = true;
    }
    return Fault();
  };
  ASSERT_FALSE(world->RunOnce().store_error);
  EXPECT_TRUE(aborted);
  ExpectReplica("film", text);
  EXPECT_EQ(world->observer.Count(OutcomeState::kReread), 1) << "one object, not five segments";
  EXPECT_EQ(world->observer.Count(OutcomeState::kApplied), 1);
  ExpectNothingLeft();
}

// Under SSE-KMS a part that two processes have sent has an ETag of each, and the one that is
// recorded may be the other's: the upload would be completed in vain for as long as it lies there.
TEST_F(GiantTest, AnUploadWithAnotherPartThanIsRecordedIsBegunAgain) {
  Make();
  const std::string text = Noise(1'000'000, 8);
  PutParts("film", text, 50'000);
  bool replaced = false;
  world->target().decide = [&](StoreOperation operation, std::string_view bucket,
                               std::string_view) {
    auto& uploads = world->target().backend->buckets["out"].uploads;
    if (operation == StoreOperation::kCompleteMultipart && bucket == "out" && !replaced) {
      uploads.begin()->second.parts.at(2).etag = std::string(32, '0');
      replaced = true;
    }
    return Fault();
  };
  ASSERT_FALSE(world->RunOnce().store_error);
  EXPECT_TRUE(replaced);
  ExpectReplica("film", text);
  EXPECT_EQ(world->observer.Count(OutcomeState::kReread), 1);
  ExpectNothingLeft();
}

// The process that found the upload gone may not come to say so. Its segment comes again, and must
// not begin an upload that lacks the parts of those that are done.
TEST_F(GiantTest, AnUploadThatIsGoneIsSaidUntilItIsHeard) {
  Make();
  const std::string text = Noise(1'000'000, 8);
  PutParts("film", text, 50'000);
  bool aborted = false;
  int receipts_lost = 0;
  world->target().decide = [&](StoreOperation operation, std::string_view bucket,
                               std::string_view key) {
    auto& uploads = world->target().backend->buckets["out"].uploads;
    if (operation == StoreOperation::kUploadPart && bucket == "out" && !aborted &&
        !uploads.empty() && uploads.begin()->second.parts.size() > 7) {
      uploads.clear();
      aborted = true;
    }
    if (operation == StoreOperation::kPut && bucket == "staging" && !key.ends_with(".zst") &&
        aborted && receipts_lost < 3) {
      ++receipts_lost;
      return TroubledStore::Failing(ErrorKind::kRetryable);
    }
    return Fault();
  };
  ASSERT_FALSE(world->RunOnce().store_error);
  EXPECT_TRUE(aborted);
  EXPECT_EQ(receipts_lost, 3);
  EXPECT_EQ(Planned(), 2);
  ExpectReplica("film", text);
  ExpectNothingLeft();
}

// That it is gone is remembered by State, not by who has found it.
TEST_F(GiantTest, AnUploadThatIsGoneIsKnownToTheNextProcess) {
  Make();
  const std::string text = Noise(1'000'000, 8);
  PutParts("film", text, 50'000);
  ASSERT_FALSE(world->RunOnce({.target = false}).store_error);
  ASSERT_GE(world->Staged().size(), 4U);
  auto& uploads = world->target().backend->buckets["out"].uploads;
  bool aborted = false;
  world->target().decide = [&](StoreOperation operation, std::string_view bucket,
                               std::string_view key) {
    if (operation == StoreOperation::kUploadPart && bucket == "out" && !aborted &&
        !uploads.empty() && uploads.begin()->second.parts.size() > 7) {
      uploads.clear();
      aborted = true;
    }
    const bool receipt =
        operation == StoreOperation::kPut && bucket == "staging" && !key.ends_with(".zst");
    return aborted && receipt ? TroubledStore::Failing(ErrorKind::kRetryable) : Fault();
  };
  world->RunOnce({.source = false, .timeout = 60s});
  ASSERT_TRUE(aborted);
  world->target().Heal();
  world->RunOnce({.source = false, .timeout = 60s});
  EXPECT_TRUE(uploads.empty()) << "it would lack the segments that are done";
  ASSERT_FALSE(world->RunOnce().store_error);
  ExpectReplica("film", text);
  ExpectNothingLeft();
}

// A process that died while it created an upload left a row without an id: what is found under its
// key may be a transfer that is under way.
TEST_F(GiantTest, ALostCreationTakesNoUploadThatIsUnderWay) {
  Make();
  const std::string text = Noise(1'000'000, 17);
  PutParts("film", text, 50'000);
  world->target().decide = [&](StoreOperation operation, std::string_view bucket,
                               std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kUploadPart && bucket == "out") fault.answer_delay = 20s;
    return fault;
  };
  const std::string row = R"({"owner": "dead", "store": "west0", "bucket": "out", "key": "film",)"
                          R"( "upload_id": "", "created": ")" +
                          FormatRfc3339(world->world.clock.Now()) + R"("})";
  ASSERT_TRUE(world->world.Run(world->state.Write("uploads", {.key = "dead/0", .value = row})));
  world->Start();
  world->RunFor(10min);
  world->Stop();
  EXPECT_EQ(Planned(), 1);
  ExpectReplica("film", text);
  ExpectNothingLeft();
  EXPECT_TRUE(world->world.Run(world->state.Scan("uploads", "", 10))->empty());
}

// An upload that a newer reading replaced is aborted, at the latest when that one has ended.
TEST_F(GiantTest, AReplacedUploadIsAbortedLaterIfNotAtOnce) {
  Make();
  PutParts("film", Noise(1'000'000, 4), 50'000);
  const std::string text = Noise(900'000, 5);
  int refused = 0;
  bool changed = false;
  world->target().decide = [&](StoreOperation operation, std::string_view bucket,
                               std::string_view) {
    const auto& uploads = world->target().backend->buckets["out"].uploads;
    if (operation == StoreOperation::kUploadPart && bucket == "out" && !uploads.empty() &&
        uploads.begin()->second.parts.size() > 3) {
      changed = true;
    }
    if (operation == StoreOperation::kAbortMultipart && bucket == "out" && refused == 0) {
      ++refused;
      return TroubledStore::Failing(ErrorKind::kRetryable);
    }
    return Fault();
  };
  world->Start();
  world->world.Drive([&] { return changed; });
  PutParts("film", text, 50'000);
  world->RunFor(5min);
  EXPECT_EQ(refused, 1);
  ExpectReplica("film", text);
  world->Stop();
  ExpectNothingLeft();
}

// A process may record parts just after another one has ended their upload, and die.
TEST_F(GiantTest, StrayPartsAreForgotten) {
  Make();
  world->MakeContext();
  const std::string partition =
      "giant-parts/" +
      StatePartition(world->configuration.rules[0], world->configuration.rules[0].targets[0]);
  ASSERT_TRUE(
      world->world.Run(world->state.Write(partition, {.key = "0a1b/00003", .value = "[]"})));
  ASSERT_FALSE(world->RunOnce().store_error);
  ExpectNothingLeft();
}

}  // namespace
}  // namespace longhaul
