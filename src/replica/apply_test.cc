#include "replica/apply.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using std::chrono::seconds;

// A body that lies in memory, and what is to happen before it is written: a rival who is faster.
class TextBody : public ReplicaBody {
 public:
  explicit TextBody(std::string text) : text_(std::move(text)) {}

  Async<PutResult> Write(Store& store, PutRequest request) override {
    ++writes;
    if (before_write) {
      auto rival = std::exchange(before_write, nullptr);
      co_await rival();
    }
    MemorySource source{std::string_view(text_)};
    Result<PutResult> put = co_await store.Put(std::move(request), source);
    if (put && after_write) {
      auto rival = std::exchange(after_write, nullptr);
      co_await rival();
    }
    co_return put;
  }

  std::function<asio::awaitable<void>()> before_write;
  std::function<asio::awaitable<void>()> after_write;
  int writes = 0;

 private:
  std::string text_;
};

// The same promises hold with conditional writes, and without any, where leases stand in.
class ApplierTest : public ::testing::TestWithParam<bool> {
 protected:
  ApplierTest()
      : backend_(std::make_shared<testing::MemoryStoreBackend>(Options())),
        state_backend_(std::make_shared<testing::FakeStateBackend>()),
        store_(world_.runtime, backend_),
        state_(world_.runtime, state_backend_, &state_faults_),
        floors_(state_, world_.clock, "rule/target") {
    backend_->buckets["b"].created = world_.clock.Now();
    start_ = std::chrono::time_point_cast<SystemTime::duration>(
        std::chrono::floor<seconds>(world_.clock.Now()));
    MakeApplier({});
  }

  static testing::MemoryStoreOptions Options() {
    testing::MemoryStoreOptions options;
    if (!GetParam()) {
      options.capabilities.create_if_absent = false;
      options.capabilities.replace_if_match = false;
      options.capabilities.delete_if_match = false;
    }
    return options;
  }

  void MakeApplier(ApplyPolicy policy) {
    policy.bucket = "b";
    policy.site = "east";
    policy.owner = "me";
    policy.deletes = true;
    policy.capabilities = store_.capabilities();
    applier_ = std::make_unique<Applier>(world_.runtime, store_, state_, floors_, policy);
  }

  [[nodiscard]] SystemTime At(int second) const { return start_ + seconds(second); }

  static std::string EtagOf(const std::string& text) { return "etag-of-" + text; }

  [[nodiscard]] ReplicaWrite WriteOf(const std::string& text, int second) const {
    return {.key = "k",
            .stamp = At(second),
            .source_etag = EtagOf(text),
            .size_bytes = text.size(),
            .metadata = {{"owner", "ann"}}};
  }

  ApplyState Put(const std::string& text, int second) {
    TextBody body(text);
    return PutBody(WriteOf(text, second), body);
  }
  ApplyState PutBody(ReplicaWrite write, TextBody& body) {
    Result<ApplyOutcome> outcome = world_.Run(applier_->Put(std::move(write), body));
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().Describe());
    return outcome ? outcome->state : ApplyState::kConflict;
  }
  // As the queue does: again, as long as something may land.
  void PutUntilSettled(const std::string& text, int second) {
    for (int tries = 0; tries < 60; ++tries) {
      TextBody body(text);
      Result<ApplyOutcome> outcome = world_.Run(applier_->Put(WriteOf(text, second), body));
      if (outcome) return;
      EXPECT_EQ(outcome.error().kind, ErrorKind::kRetryable);
      world_.Run(world_.clock.Sleep(seconds(5)));
    }
    ADD_FAILURE() << "it is never settled";
  }
  ApplyState Remove(int second) {
    Result<ApplyOutcome> outcome = world_.Run(applier_->Remove("k", At(second)));
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().Describe());
    return outcome ? outcome->state : ApplyState::kConflict;
  }
  void PutForeign(const std::string& text) {
    PutRequest request{.bucket = "b", .key = "k"};
    ASSERT_TRUE(world_.Run(PutText(store_, std::move(request), text)));
  }

  // What stands at the target; "-" for nothing.
  [[nodiscard]] std::string Content() const {
    const auto* version = backend_->Find("b", "k");
    return version == nullptr ? "-" : *version->bytes;
  }

  testing::FakeWorld world_;
  std::shared_ptr<testing::MemoryStoreBackend> backend_;
  std::shared_ptr<testing::FakeStateBackend> state_backend_;
  testing::MemoryStore store_;
  testing::FakeFaults state_faults_{1};
  testing::FakeState state_;
  Floors floors_;
  std::unique_ptr<Applier> applier_;
  SystemTime start_;
};

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

// A large object takes longer than a lease lives, and arrives all the same.
TEST_P(ApplierTest, ALongWriteKeepsItsLease) {
  TextBody body("large");
  body.before_write = [this]() -> asio::awaitable<void> {
    co_await world_.clock.Sleep(std::chrono::minutes(20));
  };
  EXPECT_EQ(PutBody(WriteOf("large", 1), body), ApplyState::kApplied);
  EXPECT_EQ(Content(), "large");
}

// One PUT without an answer, which takes effect `effect_delay` later.
struct LatePut : testing::FaultPlan {
  explicit LatePut(std::chrono::seconds effect_delay) : effect_delay(effect_delay) {}
  testing::Fault Next(testing::StoreOperation operation, std::string_view,
                      std::string_view) override {
    testing::Fault fault;
    if (operation == testing::StoreOperation::kPut) {
      fault.error = Retryable("no answer");
      fault.effect = testing::Fault::Effect::kLater;
      fault.effect_delay = effect_delay;
    }
    return fault;
  }
  std::chrono::seconds effect_delay;
};

// A request whose end nobody knows may land as long as a lease lives: nobody else writes before.
TEST_P(ApplierTest, AWriteWithoutAnAnswerKeepsOthersAway) {
  LatePut plan(seconds(55));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody body("old");
  body.before_write = [this]() -> asio::awaitable<void> {
    co_await world_.clock.Sleep(seconds(15));
  };
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  TextBody newer("new");
  Result<ApplyOutcome> first = world_.Run(applier_->Put(WriteOf("new", 2), newer));
  EXPECT_EQ(bool(first), GetParam()) << "settled where If-None-Match stops the other";
  EXPECT_EQ(Content(), "new");
  world_.Run(world_.clock.Sleep(seconds(60)));
  EXPECT_EQ(Content(), "new");
  PutUntilSettled("new", 2);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(5)));
  EXPECT_EQ(Content(), "new");
}

// It landed even later, where no condition could stop it: the next try of either must notice.
TEST_P(ApplierTest, ACreateThatLandsAfterItsLeaseIsNoticed) {
  LatePut plan(std::chrono::minutes(10));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody body("old");
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  PutUntilSettled("new", 2);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(20)));
  if (GetParam()) {
    EXPECT_EQ(Content(), "new");  // If-None-Match held.
  } else {
    EXPECT_EQ(Put("old", 1), ApplyState::kReread);
  }
}

// A create whose answer was lost lands when the key has been deleted since, where If-None-Match
// does not stop it. Whoever deletes looks until nothing can come any more.
TEST_P(ApplierTest, ACreateThatLandsAfterADeleteIsRemoved) {
  LatePut plan(seconds(30));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody body("old");
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  Result<ApplyOutcome> removed;
  for (int tries = 0; tries < 20; ++tries) {
    removed = world_.Run(applier_->Remove("k", At(2)));
    if (removed) break;
    EXPECT_EQ(removed.error().kind, ErrorKind::kRetryable);
    world_.Run(world_.clock.Sleep(seconds(10)));
  }
  ASSERT_TRUE(removed) << removed.error().Describe();
  world_.Run(world_.clock.Sleep(seconds(120)));
  EXPECT_EQ(Content(), "-");
}

// What replaces, and has no answer, lands when the same bytes have come back with another state:
// its condition, their ETag, holds.
TEST_P(ApplierTest, AReplacementThatLandsLateIsFound) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  struct OneLatePut : LatePut {
    using LatePut::LatePut;
    testing::Fault Next(testing::StoreOperation operation, std::string_view bucket,
                        std::string_view key) override {
      if (operation != testing::StoreOperation::kPut || std::exchange(done, true)) return {};
      return LatePut::Next(operation, bucket, key);
    }
    bool done = false;
  } plan(seconds(20));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  auto of = [this](const char* owner, int second) {
    ReplicaWrite write = WriteOf("one", second);
    write.metadata["owner"] = owner;
    return write;
  };
  TextBody second("one");
  Result<ApplyOutcome> outcome = world_.Run(applier.Put(of("bob", 3), second));
  if (GetParam()) {
    ASSERT_TRUE(outcome) << "its own retry need not wait";
    EXPECT_EQ(second.writes, 2);
  }
  for (int tries = 0; tries < 60; ++tries) {
    TextBody third("one");
    outcome = world_.Run(applier_->Put(of("eve", 5), third));
    if (outcome) break;
    world_.Run(world_.clock.Sleep(seconds(5)));
  }
  ASSERT_TRUE(outcome);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(20)));
  EXPECT_EQ(backend_->Find("b", "k")->info.metadata.at("owner"), "eve");
}

// DELETEs without an answer, which take effect later; it is given up after `patience`.
struct LateDelete : testing::FaultPlan {
  explicit LateDelete(seconds effect_delay = seconds(20), seconds patience = seconds(0))
      : effect_delay(effect_delay), patience(patience) {}
  testing::Fault Next(testing::StoreOperation operation, std::string_view,
                      std::string_view) override {
    testing::Fault fault;
    if (operation == testing::StoreOperation::kRemove) {
      fault.error = Retryable("no answer");
      fault.effect = testing::Fault::Effect::kLater;
      fault.effect_delay = effect_delay;
      fault.answer_delay = patience;
    }
    return fault;
  }
  seconds effect_delay;
  seconds patience;
};

// A DELETE without an answer lands when the same bytes have been written anew: its condition, their
// ETag, holds. Nobody may have called them settled.
TEST_P(ApplierTest, ADeleteThatLandsLateTakesNothingForGood) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  LateDelete plan;
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  EXPECT_FALSE(world_.Run(applier.Remove("k", At(3))));
  TextBody same_bytes("one");
  EXPECT_FALSE(world_.Run(applier_->Put(WriteOf("one", 5), same_bytes)));
  Result<ApplyOutcome> again = world_.Run(applier_->Remove("k", At(3)));
  EXPECT_FALSE(again) << "nor is the delete over: it must find what it has taken";
  world_.Run(world_.clock.Sleep(kRequestLifetime + seconds(30)));
  EXPECT_EQ(Remove(3), ApplyState::kReread);
  PutUntilSettled("one", 5);
  EXPECT_EQ(Content(), "one");
  EXPECT_EQ(Put("one", 5), ApplyState::kEqual) << "settled";
  world_.Run(world_.clock.Sleep(std::chrono::minutes(20)));
  EXPECT_EQ(Content(), "one");
}

// What was noted before a DELETE is nearly over when it is given up.
TEST_P(ApplierTest, ADeleteThatIsGivenUpLateMayLandAsLongAsAnyOther) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  LateDelete plan(seconds(160), seconds(100));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  EXPECT_FALSE(world_.Run(applier.Remove("k", At(3))));
  world_.Run(world_.clock.Sleep(seconds(30)));
  PutUntilSettled("one", 5);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(20)));
  EXPECT_EQ(Content(), "one");
}

// A look that takes long leaves little of what is noted: the DELETE is noted anew.
TEST_P(ApplierTest, ADeleteIsSentSoonAfterItsNote) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  struct SlowLook : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kHead && looks++ == 0) fault.delay = seconds(100);
      if (operation == testing::StoreOperation::kRemove) on_remove();
      return fault;
    }
    int looks = 0;
    std::function<void()> on_remove;
  } plan;
  int removes = 0;
  plan.on_remove = [&] {
    ++removes;
    Result<Floor> floor = DecodeFloor(state_backend_->rows.at({"floor/rule/target", "k"}).value);
    ASSERT_TRUE(floor);
    EXPECT_GT(floor->delete_may_land_until, world_.clock.Now() + kRequestLifetime - seconds(15));
  };
  testing::MemoryStore slow(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, slow, state_, floors_, applier_->policy());
  ASSERT_TRUE(world_.Run(applier.Remove("k", At(3))));
  EXPECT_EQ(removes, 1);
  EXPECT_EQ(Content(), "-");
}

// A create is taken back because a delete was faster, and the DELETE for that lands late.
TEST_P(ApplierTest, AnUndoThatLandsLateTakesNothingForGood) {
  LateDelete plan;
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody old("one");
  old.after_write = [this]() -> asio::awaitable<void> {
    Result<Floor> raised = co_await floors_.Raise("k", {.stamp = At(3), .deleted = true});
    EXPECT_TRUE(raised);
  };
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("one", 1), old)));
  PutUntilSettled("one", 5);
  EXPECT_EQ(Content(), "one");
  EXPECT_EQ(Put("one", 5), ApplyState::kEqual);
  world_.Run(world_.clock.Sleep(std::chrono::minutes(20)));
  EXPECT_EQ(Content(), "one");
}

// Where every answer comes nobody has to wait: most keys that are deleted and written again are.
TEST_P(ApplierTest, AfterADeleteThatWasAnsweredTheNextWriteIsSettled) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  EXPECT_EQ(Remove(3), ApplyState::kApplied);
  EXPECT_EQ(Put("one", 5), ApplyState::kApplied);
  EXPECT_EQ(Remove(3), ApplyState::kSuperseded);
  EXPECT_EQ(Put("one", 5), ApplyState::kEqual);
}

// A request that took effect though its answer was lost is found by its mark, not written twice.
TEST_P(ApplierTest, FindsItsOwnWriteAfterALostAnswer) {
  struct LostAnswer : testing::FaultPlan {
    testing::Fault Next(testing::StoreOperation operation, std::string_view,
                        std::string_view) override {
      testing::Fault fault;
      if (operation == testing::StoreOperation::kPut && !done) {
        done = true;
        fault.error = Retryable("no answer");
        fault.effect = testing::Fault::Effect::kDone;
      }
      return fault;
    }
    bool done = false;
  } plan;
  testing::MemoryStore faulty(world_.runtime, backend_, &plan);
  ApplyPolicy policy = applier_->policy();
  Applier applier(world_.runtime, faulty, state_, floors_, policy);
  TextBody body("one");
  Result<ApplyOutcome> outcome = world_.Run(applier.Put(WriteOf("one", 1), body));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->state, ApplyState::kEqual);
  EXPECT_EQ(body.writes, 1);
}

// Two processes of one target, the races between their steps.
class RaceTest : public ApplierTest {
 protected:
  RaceTest() {
    ApplyPolicy policy = applier_->policy();
    policy.owner = "rival";
    rival_ = std::make_unique<Applier>(world_.runtime, store_, state_, floors_, policy);
  }

  asio::awaitable<void> RivalPuts(std::string text, int second) {
    TextBody body(text);
    rival_outcome_ = co_await rival_->Put(WriteOf(text, second), body);
  }
  asio::awaitable<void> RivalRemoves(int second) {
    rival_outcome_ = co_await rival_->Remove("k", At(second));
  }

  std::unique_ptr<Applier> rival_;
  Result<ApplyOutcome> rival_outcome_;
};

// Two rules of one process that write one key hold the same lease, which keeps off other processes
// alone: without a lock between them the older state would be written over the newer one.
TEST_P(ApplierTest, TwoAppliersOfOneBucketTakeTurns) {
  auto locked_keys = std::make_shared<Applier::LockedKeys>();
  auto make = [&] {
    ApplyPolicy policy{
        .bucket = "b", .site = "east", .capabilities = store_.capabilities(), .owner = "me"};
    return std::make_unique<Applier>(world_.runtime, store_, state_, floors_, policy, locked_keys);
  };
  std::unique_ptr<Applier> one = make();
  std::unique_ptr<Applier> other = make();
  TextBody older("older");
  TextBody newer("newer");
  int done = 0;
  struct Writer {
    static asio::awaitable<void> Run(Applier& applier, ReplicaWrite write, TextBody& body,
                                     int& done) {
      Result<ApplyOutcome> outcome = co_await applier.Put(std::move(write), body);
      EXPECT_TRUE(outcome);
      ++done;
    }
  };
  bool both_at_once = false;
  older.before_write = [&]() -> asio::awaitable<void> {
    world_.Start(Writer::Run(*other, WriteOf("newer", 2), newer, done));
    co_await Event().WaitFor(world_.clock, seconds(5));
    both_at_once = newer.writes > 0;
  };
  world_.Start(Writer::Run(*one, WriteOf("older", 1), older, done));
  world_.Drive([&] { return done == 2; });
  EXPECT_FALSE(both_at_once);
  EXPECT_EQ(Content(), "newer");
}

INSTANTIATE_TEST_SUITE_P(Stores, RaceTest, ::testing::Values(true),
                         [](const auto&) { return "Conditional"; });

// A delete that was faster than the loss of a create's answer: the writer looks again.
TEST_P(RaceTest, AWriterWithoutAnAnswerLooksAgainAfterADelete) {
  LatePut plan(seconds(30));
  testing::MemoryStore late(world_.runtime, backend_, &plan);
  Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
  TextBody body("old");
  body.before_write = [this]() -> asio::awaitable<void> {
    Result<ApplyOutcome> removed = co_await applier_->Remove("k", At(2));
    EXPECT_TRUE(removed);
  };
  EXPECT_FALSE(world_.Run(applier.Put(WriteOf("old", 1), body)));
  TextBody again("old");
  Result<ApplyOutcome> outcome = world_.Run(applier_->Put(WriteOf("old", 1), again));
  ASSERT_FALSE(outcome) << "it may still land";
  world_.Run(world_.clock.Sleep(seconds(40)));
  EXPECT_EQ(Put("old", 1), ApplyState::kReread) << "the source reads, and finds nothing";
}

// Between our look and our write a newer state was written: ours must fail its condition.
TEST_P(RaceTest, ANewerWriteInBetweenWins) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  TextBody body("two");
  body.before_write = [this] { return RivalPuts("three", 9); };
  EXPECT_EQ(PutBody(WriteOf("two", 5), body), ApplyState::kSuperseded);
  EXPECT_EQ(Content(), "three");
}

// Between our look and our write the key was deleted, but before our reading: ours is newer and
// must arrive, though the object that it was to replace is gone.
TEST_P(RaceTest, AnOlderDeleteInBetweenDoesNotStopTheWrite) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  TextBody body("two");
  body.before_write = [this] {
    backend_->buckets["b"].objects.erase("k");
    return RivalRemoves(3);
  };
  EXPECT_EQ(PutBody(WriteOf("two", 5), body), ApplyState::kApplied);
  EXPECT_EQ(Content(), "two");
}

// Between our look and our write the key was deleted, later than our reading: what we created must
// go again.
TEST_P(RaceTest, ADeleteInBetweenUndoesTheCreate) {
  TextBody body("one");
  body.before_write = [this] { return RivalRemoves(9); };
  EXPECT_EQ(PutBody(WriteOf("one", 5), body), ApplyState::kSuperseded);
  EXPECT_EQ(Content(), "-");
}

struct SlowDelete : testing::FaultPlan {
  testing::Fault Next(testing::StoreOperation operation, std::string_view,
                      std::string_view) override {
    testing::Fault fault;
    if (operation == testing::StoreOperation::kRemove) fault.delay = seconds(10);
    return fault;
  }
};

// Between the look of a delete and its DELETE the same bytes are found to be newer by another
// process. The DELETE takes them, and who knows whether its sender lives to say so.
TEST_P(RaceTest, WhatADeleteIsOnItsWayToIsNotSettled) {
  SlowDelete plan;
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  testing::MemoryStore slow(world_.runtime, backend_, &plan);
  Applier remover(world_.runtime, slow, state_, floors_, applier_->policy());
  Result<ApplyOutcome> removed;
  bool done = false;
  struct Remover {
    static asio::awaitable<void> Run(Applier& applier, SystemTime stamp,
                                     Result<ApplyOutcome>& removed, bool& done) {
      removed = co_await applier.Remove("k", stamp);
      done = true;
    }
  };
  world_.Start(Remover::Run(remover, At(5), removed, done));
  world_.Run(world_.clock.Sleep(seconds(5)));
  world_.Run(RivalPuts("one", 9));
  EXPECT_FALSE(rival_outcome_) << "it was called " << static_cast<int>(rival_outcome_->state);
  world_.Drive([&] { return done; });
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->state, ApplyState::kReread);
  EXPECT_EQ(Content(), "-");
}

// A create is taken back that has been deleted since, and written anew: what stands there now is
// not ours, though its bytes are.
TEST_P(RaceTest, AnUndoSparesWhatIsNewer) {
  TextBody body("one");
  body.after_write = [this]() -> asio::awaitable<void> {
    co_await RivalRemoves(9);
    co_await RivalPuts("one", 12);
  };
  EXPECT_EQ(PutBody(WriteOf("one", 5), body), ApplyState::kSuperseded);
  EXPECT_EQ(Content(), "one");
}

// A create is taken back, and with it the same bytes of a newer state.
TEST_P(RaceTest, WhatAnUndoTookIsReadAnew) {
  SlowDelete plan;
  testing::MemoryStore slow(world_.runtime, backend_, &plan);
  Applier writer(world_.runtime, slow, state_, floors_, applier_->policy());
  TextBody body("one");
  body.after_write = [this]() -> asio::awaitable<void> {
    EXPECT_TRUE(co_await floors_.Raise("k", {.stamp = At(9), .deleted = true}));
  };
  Result<ApplyOutcome> put;
  bool done = false;
  struct Writer {
    static asio::awaitable<void> Run(Applier& applier, ReplicaWrite write, TextBody& body,
                                     Result<ApplyOutcome>& put, bool& done) {
      put = co_await applier.Put(std::move(write), body);
      done = true;
    }
  };
  world_.Start(Writer::Run(writer, WriteOf("one", 5), body, put, done));
  world_.Run(world_.clock.Sleep(seconds(5)));
  ReplicaWrite newer = WriteOf("one", 12);
  newer.metadata["owner"] = "bob";
  TextBody same_bytes("one");
  EXPECT_FALSE(world_.Run(applier_->Put(newer, same_bytes))) << "the undo is on its way to it";
  world_.Drive([&] { return done; });
  EXPECT_EQ(Content(), "-");
  ASSERT_TRUE(put);
  EXPECT_EQ(put->state, ApplyState::kReread);
}

// An older delete, on its way to the same bytes as they were before, takes what was just created,
// and has gone when its writer looks.
TEST_P(RaceTest, ACreateThatAnOlderDeleteTookIsNotSettled) {
  TextBody body("one");
  body.after_write = [this]() -> asio::awaitable<void> {
    const SystemTime until = world_.clock.Now() + seconds(60);
    EXPECT_TRUE(co_await floors_.Raise(
        "k", {.stamp = At(3), .deleted = true, .delete_may_land_until = until}));
    EXPECT_TRUE(co_await store_.Remove({.bucket = "b", .key = "k"}));
    EXPECT_TRUE(co_await floors_.EndDelete("k", until));
  };
  Result<ApplyOutcome> outcome = world_.Run(applier_->Put(WriteOf("one", 5), body));
  EXPECT_FALSE(outcome);
  EXPECT_EQ(Put("one", 5), ApplyState::kApplied);
  EXPECT_EQ(Content(), "one");
}

// A, B, A again: the ETag that we saw is back, and our condition holds, though the object is newer
// than ours. The floor tells, and the source decides.
TEST_P(RaceTest, AnEtagThatCameBackIsNoticed) {
  EXPECT_EQ(Put("a", 1), ApplyState::kApplied);
  TextBody body("c");
  body.before_write = [this]() -> asio::awaitable<void> {
    co_await RivalPuts("b", 7);
    co_await RivalPuts("a", 9);
  };
  const ApplyState state = PutBody(WriteOf("c", 6), body);
  EXPECT_TRUE(state == ApplyState::kReread || Content() == "a");
}

}  // namespace
}  // namespace longhaul
