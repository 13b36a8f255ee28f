#include "replica/apply.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/applier_test.h"

namespace longhaul {
namespace {

using std::chrono::seconds;
using testing::ApplierTest;
using testing::TextBody;

INSTANTIATE_TEST_SUITE_P(Stores, ApplierTest, ::testing::Bool(), [](const auto& info) {
  return info.param ? "Conditional" : "WithLeases";
});

// The whole point: what belongs to the object comes along, and the mark says whose it is.
TEST_P(ApplierTest, WritesTheObjectWithItsMark) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  EXPECT_EQ(Content(), "one");
  const UserMetadata& metadata = backend_->Find("b", "k")->info.metadata;
  EXPECT_EQ(metadata.at("owner"), "ann");
  std::optional<Mark> mark = FindMark(metadata, "b", "k");
  ASSERT_TRUE(mark);
  EXPECT_EQ(mark->stamp, At(1));
  EXPECT_EQ(mark->source_etag, EtagOf("one"));
}

// Promise 2: a late archive must not put an older state over a newer one.
TEST_P(ApplierTest, NeverPutsOlderOverNewer) {
  EXPECT_EQ(Put("new", 5), ApplyState::kApplied);
  EXPECT_EQ(Put("old", 3), ApplyState::kSuperseded);
  EXPECT_EQ(Content(), "new");
  EXPECT_EQ(Put("newest", 8), ApplyState::kApplied);
  EXPECT_EQ(Content(), "newest");
}

// Promise 2: a late archive must not bring a deleted key back.
TEST_P(ApplierTest, NeverBringsADeletedKeyBack) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  EXPECT_EQ(Remove(5), ApplyState::kApplied);
  EXPECT_EQ(Content(), "-");
  EXPECT_EQ(Put("late", 3), ApplyState::kSuperseded);
  EXPECT_EQ(Content(), "-");
  EXPECT_EQ(Put("again", 7), ApplyState::kApplied);
  EXPECT_EQ(Content(), "again");
}

// A late delete must not remove what was written after it.
TEST_P(ApplierTest, NeverDeletesWhatIsNewer) {
  EXPECT_EQ(Put("new", 5), ApplyState::kApplied);
  EXPECT_EQ(Remove(3), ApplyState::kSuperseded);
  EXPECT_EQ(Content(), "new");
}

// What another installation has carried may be the only copy that there is: its source is not ours,
// which has no such key. What was written for this rule under another name is ours all the same.
TEST_P(ApplierTest, DeletesNoReplicaOfAnotherInstallation) {
  ApplyPolicy policy = applier_->policy();
  policy.sites_partition = "rule/target";
  Applier east(world_.runtime, store_, state_, floors_, policy);
  policy.site = "west";
  Applier west(world_.runtime, store_, state_, floors_, policy);
  ASSERT_TRUE(world_.Run(east.RememberSite()));
  TextBody body("one");
  ASSERT_TRUE(world_.Run(west.Put(WriteOf("one", 1), body)));

  Result<ApplyOutcome> removed = world_.Run(east.Remove("k", At(5)));
  ASSERT_TRUE(removed) << removed.error().Describe();
  EXPECT_EQ(removed->state, ApplyState::kConflict);
  EXPECT_NE(removed->reason.find("site west"), std::string::npos) << removed->reason;
  EXPECT_EQ(Content(), "one");

  ASSERT_TRUE(world_.Run(west.RememberSite()));
  removed = world_.Run(east.Remove("k", At(6)));
  ASSERT_TRUE(removed) << removed.error().Describe();
  EXPECT_EQ(removed->state, ApplyState::kApplied);
  EXPECT_EQ(Content(), "-");
}

// Promise 4: an archive that comes twice writes nothing twice.
TEST_P(ApplierTest, TheSameReadingAgainWritesNothing) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  TextBody body("one");
  EXPECT_EQ(PutBody(WriteOf("one", 1), body), ApplyState::kEqual);
  EXPECT_LE(body.writes, 1);  // At most the try to create it.
  EXPECT_EQ(backend_->Find("b", "k")->info.last_modified, world_.clock.Now());
}

// Two contents with one stamp have no order: only a later reading decides.
TEST_P(ApplierTest, EqualStampsAreReadAnew) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  EXPECT_EQ(Put("two", 1), ApplyState::kReread);
  EXPECT_EQ(Remove(1), ApplyState::kReread);
  EXPECT_EQ(Content(), "one");
  EXPECT_EQ(Remove(2), ApplyState::kApplied);
  EXPECT_EQ(Put("three", 2), ApplyState::kReread);
  EXPECT_EQ(Content(), "-");
}

// Content that came back (A, B, A) is not written again, but its stamp counts: B must not win.
TEST_P(ApplierTest, RemembersTheStampOfContentThatWasThere) {
  EXPECT_EQ(Put("a", 1), ApplyState::kApplied);
  EXPECT_EQ(Put("a", 5), ApplyState::kEqual);
  EXPECT_EQ(Put("b", 3), ApplyState::kSuperseded);
  EXPECT_EQ(Content(), "a");
}

// Somebody else's object is not ours to overwrite or delete.
TEST_P(ApplierTest, KeepsWhatIsNotAReplica) {
  PutForeign("foreign");
  EXPECT_EQ(Put("mine", 5), ApplyState::kConflict);
  EXPECT_EQ(Remove(6), ApplyState::kConflict);
  EXPECT_EQ(Content(), "foreign");
}

TEST_P(ApplierTest, OverwritesConflictsWhereItIsTold) {
  PutForeign("foreign");
  MakeApplier({.overwrite_conflicts = true});
  EXPECT_EQ(Put("mine", 5), ApplyState::kApplied);
  EXPECT_EQ(Content(), "mine");
}

// Where the bucket keeps versions nothing is lost by overwriting.
TEST_P(ApplierTest, OverwritesForeignObjectsWhereVersionsAreKept) {
  backend_->buckets["b"].versioning = testing::MemoryStoreBackend::Versioning::kEnabled;
  PutForeign("foreign");
  MakeApplier({.versioned = true});
  EXPECT_EQ(Put("mine", 5), ApplyState::kApplied);
  EXPECT_EQ(Content(), "mine");
}

// An equal object that was there before becomes a replica: it can then be replaced and deleted.
TEST_P(ApplierTest, AdoptsAnEqualObject) {
  PutForeign("same");
  ReplicaWrite write = WriteOf("same", 5);
  write.source_etag = backend_->Find("b", "k")->info.etag;
  write.metadata.clear();
  write.headers = backend_->Find("b", "k")->info.headers;
  TextBody body("same");
  EXPECT_EQ(PutBody(write, body), ApplyState::kEqual);
  EXPECT_EQ(Remove(4), ApplyState::kSuperseded);
  EXPECT_EQ(Remove(6), ApplyState::kApplied);
  EXPECT_EQ(Content(), "-");
}

// A replica that was copied to another key is nobody's replica there.
TEST_P(ApplierTest, AMarkOfAnotherKeyIsNone) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  PutRequest copy{.bucket = "b", .key = "copy"};
  copy.metadata = backend_->Find("b", "k")->info.metadata;
  ASSERT_TRUE(world_.Run(PutText(store_, std::move(copy), "one")));
  Result<ApplyOutcome> outcome = world_.Run(applier_->Remove("copy", At(9)));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->state, ApplyState::kConflict);
}

// Metadata that leaves no room for the mark must arrive whole; State keeps the mark.
TEST_P(ApplierTest, KeepsTheMarkInStateWhereMetadataIsFull) {
  ReplicaWrite write = WriteOf("one", 1);
  write.metadata = {{"long", std::string(2000, 'x')}};
  TextBody body("one");
  EXPECT_EQ(PutBody(write, body), ApplyState::kApplied);
  EXPECT_EQ(backend_->Find("b", "k")->info.metadata.size(), 1u);
  EXPECT_EQ(PutBody(write, body), ApplyState::kEqual);
  EXPECT_EQ(Put("two", 2), ApplyState::kApplied);
  EXPECT_EQ(Content(), "two");
}

ReplicaWrite WithFullMetadata(ReplicaWrite write) {
  write.metadata = {{"long", std::string(2000, 'x')}};
  return write;
}

// Killed between the object and its mark: what stands at the target then carries no mark, and must
// be known as ours all the same.
TEST_P(ApplierTest, KnowsAnObjectWhoseMarkWasNotKeptInTime) {
  for (const bool replaces : {false, true}) {
    SCOPED_TRACE(replaces);
    const std::string two = replaces ? "two, for one" : "two";
    if (replaces) {
      ASSERT_EQ(Put("one", 1), ApplyState::kApplied);
    }
    TextBody body(two);
    body.after_write = [this]() -> asio::awaitable<void> {
      state_faults_.fails_before = 1;
      co_return;
    };
    EXPECT_FALSE(world_.Run(applier_->Put(WithFullMetadata(WriteOf(two, 2)), body)));
    EXPECT_EQ(Content(), two);
    state_faults_.fails_before = 0;
    // The same reading again, of which nobody knows that it arrived; then the next.
    TextBody again(two);
    EXPECT_EQ(PutBody(WithFullMetadata(WriteOf(two, 2)), again), ApplyState::kApplied);
    EXPECT_EQ(Put("three", 3), ApplyState::kApplied);
    EXPECT_EQ(Content(), "three");
    EXPECT_EQ(Remove(4), ApplyState::kApplied);
    EXPECT_EQ(Content(), "-");
    start_ += seconds(10);
  }
}

// The write failed before it began, again and again: what stands there keeps its kept mark.
TEST_P(ApplierTest, WritesThatNeverHappenedDoNotPushOutTheMark) {
  TextBody first("first");
  ASSERT_EQ(PutBody(WithFullMetadata(WriteOf("first", 1)), first), ApplyState::kApplied);
  for (int second = 2; second < 2 + 2 * static_cast<int>(kKeptMarksMax); ++second) {
    struct NoPuts : testing::FaultPlan {
      testing::Fault Next(testing::StoreOperation operation, std::string_view,
                          std::string_view) override {
        testing::Fault fault;
        if (operation == testing::StoreOperation::kPut) {
          fault.error = Error{.kind = ErrorKind::kDenied, .message = "no"};
        }
        return fault;
      }
    } plan;
    testing::MemoryStore denying(world_.runtime, backend_, &plan);
    Applier applier(world_.runtime, denying, state_, floors_, applier_->policy());
    TextBody body("other");
    EXPECT_FALSE(world_.Run(applier.Put(WithFullMetadata(WriteOf("other", second)), body)));
  }
  EXPECT_EQ(Content(), "first");
  EXPECT_EQ(Put("last", 100), ApplyState::kApplied);
}

// What looks like one of our unfinished writes is never taken for a state that is known.
TEST_P(ApplierTest, AnUnfinishedWriteIsNoKnownState) {
  TextBody body("two");
  body.before_write = [this]() -> asio::awaitable<void> {
    state_faults_.fails_before = 1;
    co_return;
  };
  EXPECT_FALSE(world_.Run(applier_->Put(WithFullMetadata(WriteOf("two", 2)), body)));
  state_faults_.fails_before = 0;
  // Somebody else's, of the same size and metadata, but other bytes.
  PutRequest request{.bucket = "b", .key = "k", .metadata = {{"long", std::string(2000, 'x')}}};
  ASSERT_TRUE(world_.Run(PutText(store_, std::move(request), "owt")));
  TextBody again("two");
  EXPECT_EQ(PutBody(WithFullMetadata(WriteOf("two", 2)), again), ApplyState::kApplied);
  EXPECT_EQ(Content(), "two");
}

// Stored wrong, and the writer failed or died before he could say so: its mark alone proves
// nothing.
TEST_P(ApplierTest, AReplicaThatWasDamagedWhenItWasStoredIsWrittenAgain) {
  auto write = [this](const std::string& text) {
    ReplicaWrite right = WriteOf(text, 1);
    right.source_etag = HexEncode(Digest(HashKind::kMd5, text));
    return right;
  };
  TextBody damaged("bytex");
  ASSERT_EQ(PutBody(write("bytes"), damaged), ApplyState::kApplied);
  TextBody right("bytes");
  EXPECT_EQ(PutBody(write("bytes"), right), ApplyState::kApplied);
  EXPECT_EQ(Content(), "bytes");
  EXPECT_EQ(PutBody(write("bytes"), right), ApplyState::kEqual);
}

}  // namespace
}  // namespace longhaul
