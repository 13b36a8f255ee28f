// Changes of metadata alone: the same promises as of every write, although the ETag never changes.

#include <gtest/gtest.h>

#include "tests/support/applier_test.h"

namespace longhaul {
namespace {

using std::chrono::seconds;
using testing::Fault;
using testing::StoreOperation;
using testing::TextBody;

// Decides about copies alone.
struct CopyFaults : testing::FaultPlan {
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    return operation == StoreOperation::kCopy ? std::exchange(next, Fault()) : Fault();
  }
  Fault next;
};

// A store that lets somebody else be faster.
class RivalStore : public testing::MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  Async<PutResult> Copy(CopyRequest request) override {
    if (before_copy) co_await std::exchange(before_copy, nullptr)();
    Result<PutResult> copied = co_await MemoryStore::Copy(std::move(request));
    if (copied && after_copy) co_await std::exchange(after_copy, nullptr)();
    co_return copied;
  }
  std::function<asio::awaitable<void>()> before_copy;
  std::function<asio::awaitable<void>()> after_copy;
};

class AttributesTest : public ::testing::TestWithParam<bool> {
 protected:
  AttributesTest()
      : backend_(std::make_shared<testing::MemoryStoreBackend>(Options())),
        state_backend_(std::make_shared<testing::FakeStateBackend>()),
        store_(world_.runtime, backend_, &faults_),
        state_(world_.runtime, state_backend_),
        floors_(state_, world_.clock, "rule/target") {
    backend_->buckets["b"].created = world_.clock.Now();
    start_ = std::chrono::time_point_cast<SystemTime::duration>(
        std::chrono::floor<seconds>(world_.clock.Now()));
    MakeAppliers({});
  }

  static testing::MemoryStoreOptions Options() {
    testing::MemoryStoreOptions options;
    options.capabilities.part_size_bytes_min = 1;
    if (!GetParam()) {
      options.capabilities.create_if_absent = false;
      options.capabilities.replace_if_match = false;
      options.capabilities.delete_if_match = false;
    }
    return options;
  }
  void MakeAppliers(ApplyPolicy policy) {
    policy.bucket = "b";
    policy.site = "east";
    policy.owner = "me";
    policy.deletes = true;
    policy.capabilities = store_.capabilities();
    applier_ = std::make_unique<Applier>(world_.runtime, store_, state_, floors_, policy);
    policy.owner = "rival";
    rival_ = std::make_unique<Applier>(world_.runtime, store_, state_, floors_, policy);
  }

  [[nodiscard]] ReplicaWrite WriteOf(const std::string& text, int second,
                                     const std::string& owner) const {
    return {.key = "k",
            .stamp = start_ + seconds(second),
            .source_etag = "etag-of-" + text,
            .size_bytes = text.size(),
            .headers = {.content_type = "text/" + owner},
            .metadata = {{"owner", owner}},
            .tags = {{"owner", owner}}};
  }
  Result<ApplyOutcome> Put(const std::string& text, int second, const std::string& owner) {
    TextBody body(text);
    return world_.Run(applier_->Put(WriteOf(text, second, owner), body));
  }
  void Begin(const std::string& text) { ASSERT_EQ(Said(Put(text, 1, "ann")), "applied"); }
  Result<ApplyOutcome> Change(const std::string& text, int second, const std::string& owner) {
    return world_.Run(applier_->PutAttributes(WriteOf(text, second, owner)));
  }
  static std::string Said(const Result<ApplyOutcome>& outcome) {
    if (!outcome) return outcome.error().Transient() ? "again" : outcome.error().Describe();
    switch (outcome->state) {
      case ApplyState::kApplied:
        return "applied";
      case ApplyState::kEqual:
        return "equal";
      case ApplyState::kSuperseded:
        return "superseded";
      case ApplyState::kConflict:
        return "conflict";
      case ApplyState::kReread:
        return "reread";
    }
    return "";
  }
  asio::awaitable<void> RivalPuts(std::string text, int second, std::string owner) {
    TextBody body(text);
    rival_outcome_ = co_await rival_->Put(WriteOf(text, second, owner), body);
  }
  asio::awaitable<void> RivalChanges(std::string text, int second, std::string owner) {
    rival_outcome_ = co_await rival_->PutAttributes(WriteOf(text, second, owner));
  }
  asio::awaitable<void> RivalRemoves(int second) {
    rival_outcome_ = co_await rival_->Remove("k", start_ + seconds(second));
  }

  // "bytes by owner", with all that is the owner's; "-" for nothing.
  [[nodiscard]] std::string There() const {
    const auto* version = backend_->Find("b", "k");
    if (version == nullptr) return "-";
    const std::string owner = version->info.metadata.at("owner");
    EXPECT_EQ(version->info.headers.content_type, "text/" + owner);
    EXPECT_EQ(version->tags, (Tags{{"owner", owner}}));
    return *version->bytes + " by " + owner;
  }
  void Sleep(seconds time) { world_.Run(world_.clock.Sleep(time)); }

  testing::FakeWorld world_;
  CopyFaults faults_;
  std::shared_ptr<testing::MemoryStoreBackend> backend_;
  std::shared_ptr<testing::FakeStateBackend> state_backend_;
  RivalStore store_;
  testing::FakeState state_;
  Floors floors_;
  SystemTime start_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<Applier> rival_;
  Result<ApplyOutcome> rival_outcome_;
};

INSTANTIATE_TEST_SUITE_P(WithConditionsAndWithout, AttributesTest, ::testing::Bool());

TEST_P(AttributesTest, EverythingChangesButTheBytes) {
  ASSERT_EQ(Said(Put("one", 1, "ann")), "applied");
  const int puts = backend_->count(StoreOperation::kPut);
  EXPECT_EQ(Said(Change("one", 2, "bob")), "applied");
  EXPECT_EQ(There(), "one by bob");
  EXPECT_EQ(backend_->count(StoreOperation::kPut), puts);
  EXPECT_EQ(backend_->count(StoreOperation::kCopy), 1);
  // Twice is harmless, and what came before is old.
  EXPECT_EQ(Said(Change("one", 2, "bob")), "equal");
  EXPECT_EQ(Said(Change("one", 1, "eve")), "superseded");
  EXPECT_EQ(Said(Put("one", 1, "ann")), "superseded");
  EXPECT_EQ(There(), "one by bob");
  // Nothing waits for a copy whose end is known.
  EXPECT_EQ(Said(Change("one", 3, "cid")), "applied");
  EXPECT_EQ(Said(Put("two", 4, "dan")), "applied");
  EXPECT_EQ(There(), "two by dan");
}

TEST_P(AttributesTest, AnOlderChangeComesTooLate) {
  Begin("one");
  EXPECT_EQ(Said(Change("one", 3, "cid")), "applied");
  EXPECT_EQ(Said(Change("one", 2, "bob")), "superseded");
  EXPECT_EQ(There(), "one by cid");
}

// Attributes without the bytes that they belong to are no state of the object.
TEST_P(AttributesTest, OtherBytesAreNotGivenTheseAttributes) {
  EXPECT_EQ(Said(Change("one", 2, "bob")), "reread");
  EXPECT_EQ(There(), "-");
  Begin("two");
  EXPECT_EQ(Said(Change("one", 2, "bob")), "reread");
  ReplicaWrite longer = WriteOf("two", 2, "bob");
  longer.size_bytes = 4;
  EXPECT_EQ(Said(world_.Run(applier_->PutAttributes(longer))), "reread");
  ReplicaWrite nameless = WriteOf("two", 2, "bob");
  nameless.source_etag.clear();
  EXPECT_EQ(Said(world_.Run(applier_->PutAttributes(nameless))), "reread");
  EXPECT_EQ(There(), "two by ann");
}

// A replica that was damaged when it was stored must not be called right.
TEST_P(AttributesTest, DamagedBytesAreNotGivenTheseAttributes) {
  ReplicaWrite damaged = WriteOf("one", 1, "ann");
  damaged.source_etag = "0123456789abcdef0123456789abcdef";
  TextBody body("one");
  ASSERT_EQ(Said(world_.Run(applier_->Put(damaged, body))), "applied");
  damaged.stamp += seconds(1);
  EXPECT_EQ(Said(world_.Run(applier_->PutAttributes(damaged))), "reread");
  EXPECT_EQ(backend_->count(StoreOperation::kCopy), 0);
}

TEST_P(AttributesTest, DeletedBeforeOrAfterItIsGone) {
  Begin("one");
  ASSERT_EQ(Said(world_.Run(applier_->Remove("k", start_ + seconds(3)))), "applied");
  EXPECT_EQ(Said(Change("one", 2, "bob")), "superseded");
  EXPECT_EQ(Said(Change("one", 4, "bob")), "reread");
  EXPECT_EQ(There(), "-");
}

// The body is replaced between the look and the copy.
TEST_P(AttributesTest, ANewerBodyInBetweenIsKept) {
  Begin("one");
  if (!GetParam()) return;  // Whoever holds the lease is alone.
  store_.before_copy = [this] { return RivalPuts("two", 5, "eve"); };
  EXPECT_EQ(Said(Change("one", 3, "bob")), "superseded");
  EXPECT_EQ(There(), "two by eve");
}

// The same bytes are written with newer attributes between the look and the copy: their ETag is the
// one that the copy asks for.
TEST_P(AttributesTest, ANewerStateWithTheSameEtagIsNoticed) {
  Begin("one");
  if (!GetParam()) return;
  store_.before_copy = [this] { return RivalPuts("one", 5, "eve"); };
  EXPECT_EQ(Said(Change("one", 3, "bob")), "reread");
  // The rival does not call settled what the copy may still undo.
  EXPECT_EQ(Said(rival_outcome_), "again");
}

TEST_P(AttributesTest, TwoCopiesOfAKeyTakeTurns) {
  Begin("one");
  if (!GetParam()) return;
  store_.before_copy = [this] { return RivalChanges("one", 5, "eve"); };
  EXPECT_EQ(Said(Change("one", 3, "bob")), "applied");
  EXPECT_EQ(Said(rival_outcome_), "again");
  EXPECT_EQ(Said(Change("one", 5, "eve")), "applied");
  EXPECT_EQ(There(), "one by eve");
}

TEST_P(AttributesTest, ADeleteInBetweenIsNotUndone) {
  Begin("one");
  if (!GetParam()) return;
  store_.before_copy = [this] { return RivalRemoves(5); };
  EXPECT_EQ(Said(Change("one", 3, "bob")), "superseded");
  EXPECT_EQ(There(), "-");
}

// A copy without an answer lands long after a newer state of the same bytes: whoever wrote that has
// not called it settled, and finds the older one.
TEST_P(AttributesTest, ACopyThatLandsLateIsFound) {
  Begin("one");
  faults_.next.error = Retryable("no answer");
  faults_.next.effect = Fault::Effect::kLater;
  faults_.next.effect_delay = seconds(20);
  EXPECT_EQ(Said(Change("one", 3, "bob")), "again");
  std::string said = Said(Put("one", 5, "eve"));
  if (GetParam()) EXPECT_EQ(said, "again");  // Without conditions it has waited for the lease.
  for (int i = 0; i < 60 && said == "again"; ++i) {
    EXPECT_EQ(Said(Change("one", 3, "bob")), "again") << "as long as it is not over";
    Sleep(seconds(5));
    said = Said(Put("one", 5, "eve"));
  }
  EXPECT_TRUE(said == "applied" || said == "equal") << said;
  EXPECT_EQ(There(), "one by eve");
}

// What was noted before a copy is nearly over when it is given up.
TEST_P(AttributesTest, ACopyThatIsGivenUpLateMayLandAsLongAsAnyOther) {
  Begin("one");
  faults_.next.error = Retryable("no answer");
  faults_.next.effect = Fault::Effect::kLater;
  faults_.next.effect_delay = seconds(160);
  faults_.next.answer_delay = seconds(100);
  EXPECT_EQ(Said(Change("one", 3, "bob")), "again");
  Sleep(seconds(30));
  std::string said = Said(Put("one", 5, "eve"));
  for (int i = 0; i < 60 && said == "again"; ++i) {
    Sleep(seconds(5));
    said = Said(Put("one", 5, "eve"));
  }
  Sleep(seconds(600));
  EXPECT_EQ(There(), "one by eve");
}

// A newer state is a delete, and waits as well.
TEST_P(AttributesTest, ADeleteWaitsForACopyThatMayLand) {
  Begin("one");
  faults_.next.error = Retryable("no answer");
  EXPECT_EQ(Said(Change("one", 3, "bob")), "again");
  Sleep(seconds(30));
  if (GetParam()) {
    EXPECT_EQ(Said(world_.Run(applier_->Remove("k", start_ + seconds(5)))), "again");
  }
  Sleep(kRequestLifetime);
  EXPECT_EQ(Said(world_.Run(applier_->Remove("k", start_ + seconds(5)))), "applied");
  EXPECT_EQ(There(), "-");
}

// Killed when the copy had been made, before anybody was told: it is made again, and is there.
TEST_P(AttributesTest, KilledAfterTheCopyTheSameEndsAsBefore) {
  Begin("one");
  faults_.next.error = Retryable("the process is gone");
  faults_.next.effect = Fault::Effect::kDone;
  EXPECT_EQ(Said(Change("one", 3, "bob")), "again");
  EXPECT_EQ(There(), "one by bob");
  Sleep(kRequestLifetime);
  EXPECT_EQ(Said(Change("one", 3, "bob")), "equal");
  EXPECT_EQ(There(), "one by bob");
  EXPECT_EQ(Said(Change("one", 4, "eve")), "applied");
}

// Ceph keeps the tags that were there, and its client sets the others after the copy. A replica
// that has the mark without them would never be looked at again.
TEST_P(AttributesTest, KilledBeforeTheTagsWereSetTheNextTrySetsThem) {
  Begin("one");
  int second = 2;
  for (const Tags& wanted : {Tags{{"owner", "bob"}}, Tags{}}) {
    ReplicaWrite write = WriteOf("one", second++, "bob");
    write.tags = wanted;
    faults_.next.error = Retryable("the process is gone");
    faults_.next.effect = Fault::Effect::kDone;
    EXPECT_EQ(Said(world_.Run(applier_->PutAttributes(write))), "again");
    backend_->buckets["b"].objects["k"].back().tags = {{"owner", "ann"}};
    Sleep(kRequestLifetime);
    EXPECT_EQ(Said(world_.Run(applier_->PutAttributes(write))), "equal");
    EXPECT_EQ(backend_->Find("b", "k")->tags, wanted);
  }
}

// Not every server says with a HEAD that there are tags: the last one would stay for ever.
TEST_P(AttributesTest, TheLastTagGoesThoughAHeadTellsOfNone) {
  backend_->options.heads_tell_tags = false;
  Begin("one");
  ReplicaWrite untagged = WriteOf("one", 2, "ann");
  untagged.tags.clear();
  EXPECT_EQ(Said(world_.Run(applier_->PutAttributes(untagged))), "applied");
  EXPECT_TRUE(backend_->Find("b", "k")->tags.empty());
  ASSERT_TRUE(world_.Run(store_.PutTags("b", "k", {{"owner", "ann"}})));
  untagged.stamp += seconds(1);
  TextBody body("one");
  EXPECT_EQ(Said(world_.Run(applier_->Put(untagged, body))), "applied");
  EXPECT_TRUE(backend_->Find("b", "k")->tags.empty());
}

// Where the store will not copy, or the credentials do not let it, the body travels.
TEST_P(AttributesTest, AStoreThatDoesNotCopyGetsTheBytes) {
  Begin("one");
  for (const ErrorKind kind : {ErrorKind::kInvalidInput, ErrorKind::kDenied}) {
    faults_.next.error = Error{.kind = kind, .message = "no", .code = "NotImplemented"};
    EXPECT_EQ(Said(Change("one", 3, "bob")), "reread");
  }
  EXPECT_EQ(Said(Put("one", 4, "bob")), "applied") << "nothing is in its way";
}

// A replica that was made of parts gets another ETag by the copy; what counts is its mark.
TEST_P(AttributesTest, AReplicaOfPartsKeepsItsMark) {
  PutRequest request = applier_->RequestFor(WriteOf("onetwo", 1, "ann"));
  auto upload = world_.Run(store_.CreateMultipart(request));
  ASSERT_TRUE(upload);
  std::vector<UploadedPart> parts;
  for (const char* text : {"one", "two"}) {
    MemorySource source{std::string_view(text)};
    auto part = world_.Run(store_.UploadPart(*upload, static_cast<int>(parts.size()) + 1, source));
    ASSERT_TRUE(part);
    parts.push_back(*part);
  }
  auto done = world_.Run(store_.CompleteMultipart({.upload = *upload, .parts = parts}));
  ASSERT_TRUE(done);
  EXPECT_EQ(Said(Change("onetwo", 2, "bob")), "applied");
  EXPECT_NE(backend_->Find("b", "k")->info.etag, done->etag);
  EXPECT_EQ(Said(Change("onetwo", 3, "cid")), "applied");
  EXPECT_EQ(There(), "onetwo by cid");
}

// Where metadata leaves no room for the mark, it is kept in State, as with every write.
TEST_P(AttributesTest, AMarkThatIsKeptApartMovesWithIt) {
  ReplicaWrite write = WriteOf("one", 1, "ann");
  write.metadata["long"] = std::string(1950, 'x');
  TextBody body("one");
  ASSERT_EQ(Said(world_.Run(applier_->Put(write, body))), "applied");
  for (int second = 2; second < 4; ++second) {
    write.stamp = start_ + seconds(second);
    write.metadata["long"] = std::string(1950, static_cast<char>('x' + second));
    EXPECT_EQ(Said(world_.Run(applier_->PutAttributes(write))), "applied");
    EXPECT_EQ(backend_->Find("b", "k")->info.metadata.at("long"), write.metadata["long"]);
  }
  write.stamp = start_ + seconds(1);
  EXPECT_EQ(Said(world_.Run(applier_->PutAttributes(write))), "superseded");
}

// What the copy did not say would be lost: another key of the KMS, another owner's access.
TEST_P(AttributesTest, TheCopySaysWhatTheTargetSays) {
  Begin("one");
  MakeAppliers(ApplyPolicy{.kms_key = "key", .acl = "private", .bucket_owner = "111122223333"});
  EXPECT_EQ(Said(Change("one", 2, "bob")), "applied");
  const auto* replica = backend_->Find("b", "k");
  EXPECT_EQ(replica->kms_key, "key");
  EXPECT_EQ(replica->acl, "private");
  EXPECT_EQ(replica->bucket_owner, "111122223333");
}

}  // namespace
}  // namespace longhaul
