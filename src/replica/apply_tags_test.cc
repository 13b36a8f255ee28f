// What a store forgets of tags, and what comes between an object and its tags.

#include "tests/support/applier_test.h"

namespace longhaul {
namespace {

using testing::ApplierTest;
using testing::StoreOperation;
using testing::TextBody;

Error NotAllowed() {
  return {.kind = ErrorKind::kDenied, .message = "no tags for you", .code = "AccessDenied"};
}

// An upload, and at its end what the client of a store says that forgets the tags of uploads when
// it could not set them: the object is there.
class UploadBody : public ReplicaBody {
 public:
  UploadBody(std::string text, ErrorKind failure) : text_(std::move(text)), failure_(failure) {}

  Async<PutResult> Write(Store& store, PutRequest request) override {
    const WriteCondition condition = request.condition;
    Result<MultipartUpload> upload = co_await store.CreateMultipart(std::move(request));
    if (!upload) co_return upload.error();
    MemorySource source{std::string_view(text_)};
    Result<UploadedPart> part = co_await store.UploadPart(*upload, 1, source);
    if (!part) co_return part.error();
    CompleteRequest complete{
        .upload = *upload, .parts = {*part}, .condition = condition, .checksum = {}};
    Result<PutResult> completed = co_await store.CompleteMultipart(std::move(complete));
    if (completed) co_return Error{.kind = failure_, .message = "the tags were not set"};
    co_return completed;
  }

 private:
  std::string text_;
  ErrorKind failure_;
};

// A store that lets somebody else be faster.
class TagsStore : public testing::MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) override {
    if (get_error) co_return *get_error;
    Result<Tags> tags =
        co_await MemoryStore::GetTags(std::move(bucket), std::move(key), std::move(version_id));
    if (after_get) co_await std::exchange(after_get, nullptr)();
    co_return tags;
  }
  Async<void> PutTags(std::string bucket, std::string key, Tags tags) override {
    if (before_put) co_await std::exchange(before_put, nullptr)();
    co_return co_await MemoryStore::PutTags(std::move(bucket), std::move(key), std::move(tags));
  }
  Async<ObjectInfo> Head(HeadRequest request) override {
    Result<ObjectInfo> info = co_await MemoryStore::Head(std::move(request));
    if (after_head) co_await std::exchange(after_head, nullptr)();
    co_return info;
  }
  std::optional<Error> get_error;
  std::function<asio::awaitable<void>()> after_get;
  std::function<asio::awaitable<void>()> after_head;
  std::function<asio::awaitable<void>()> before_put;
};

class TagsTest : public ApplierTest {
 protected:
  TagsTest() : tags_store_(world_.runtime, backend_) {
    backend_->options.uploads_take_tags = false;
    ApplyPolicy policy = applier_->policy();
    applier_ = std::make_unique<Applier>(world_.runtime, tags_store_, state_, floors_, policy);
    policy.owner = "rival";
    rival_ = std::make_unique<Applier>(world_.runtime, store_, state_, floors_, policy);
  }

  [[nodiscard]] ReplicaWrite Tagged(const std::string& text, int second,
                                    const std::string& color) const {
    ReplicaWrite write = WriteOf(text, second);
    write.tags = {{"color", color}};
    return write;
  }
  // The object is there, and its mark; its tags are not.
  void LeaveWithoutTags() {
    UploadBody body("one", ErrorKind::kDenied);
    ASSERT_FALSE(world_.Run(applier_->Put(Tagged("one", 1, "red"), body)));
    ASSERT_EQ(Content(), "one");
    ASSERT_TRUE(backend_->Find("b", "k")->tags.empty());
  }
  asio::awaitable<void> RivalPuts() {
    TextBody body("two");
    Result<ApplyOutcome> outcome = co_await rival_->Put(Tagged("two", 5, "blue"), body);
    EXPECT_TRUE(outcome && outcome->state == ApplyState::kApplied);
  }
  // It has a newer state written, and may not call it settled yet.
  asio::awaitable<void> RivalIsKeptBusy(ReplicaWrite write) {
    TextBody body("two");
    Result<ApplyOutcome> outcome = co_await rival_->Put(std::move(write), body);
    EXPECT_TRUE(!outcome && outcome.error().code == kKeyBusyCode);
  }
  // As the queue does: again, until what may land is over.
  void RivalSettles(const ReplicaWrite& write) {
    for (int tries = 0; tries < 60; ++tries) {
      TextBody body("two");
      if (world_.Run(rival_->Put(write, body))) return;
      world_.Run(world_.clock.Sleep(std::chrono::seconds(10)));
    }
    ADD_FAILURE() << "it is never settled";
  }
  // The newer one, with tags and without.
  [[nodiscard]] std::vector<ReplicaWrite> NewerOnes() const {
    return {Tagged("two", 5, "blue"), WriteOf("two", 5)};
  }

  TagsStore tags_store_;
  std::unique_ptr<Applier> rival_;
};

INSTANTIATE_TEST_SUITE_P(Stores, TagsTest, ::testing::Bool(), [](const auto& info) {
  return info.param ? "Conditional" : "WithLeases";
});

// Whoever holds a lease is alone.
class TagsRaceTest : public TagsTest {};

INSTANTIATE_TEST_SUITE_P(Stores, TagsRaceTest, ::testing::Values(true),
                         [](const auto&) { return "Conditional"; });

// Whoever comes next finds the mark of its own reading: without the tags that says nothing, and no
// comparison would ever find them missing.
TEST_P(TagsTest, TheNextTrySetsWhatTheLastOneDidNot) {
  for (ErrorKind kind : {ErrorKind::kRetryable, ErrorKind::kThrottled, ErrorKind::kDenied}) {
    ReplicaWrite write = Tagged("one", 1, "red");
    write.key = std::to_string(static_cast<int>(kind));
    UploadBody body("one", kind);
    Result<ApplyOutcome> outcome = world_.Run(applier_->Put(write, body));
    if (kind != ErrorKind::kRetryable) {  // With that, whoever wrote it looks himself.
      EXPECT_FALSE(outcome);
      outcome = world_.Run(applier_->Put(write, body));
    }
    ASSERT_TRUE(outcome) << outcome.error().Describe();
    EXPECT_EQ(outcome->state, ApplyState::kEqual);
    EXPECT_EQ(backend_->Find("b", write.key)->tags, write.tags);
  }
}

// Tags that cannot be set are no success, however often it is tried.
TEST_P(TagsTest, WithoutItsTagsItIsNotCalledEqual) {
  LeaveWithoutTags();
  struct : testing::FaultPlan {
    testing::Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
      testing::Fault fault;
      if (operation == StoreOperation::kPutTags) fault.error = NotAllowed();
      return fault;
    }
  } faults;
  testing::MemoryStore denying(world_.runtime, backend_, &faults);
  Applier applier(world_.runtime, denying, state_, floors_, applier_->policy());
  for (int tries = 0; tries < 2; ++tries) {
    TextBody body("one");
    Result<ApplyOutcome> outcome = world_.Run(applier.Put(Tagged("one", 1, "red"), body));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().kind, ErrorKind::kDenied);
  }
}

// A request for each object would be paid for by all who have tags.
TEST_P(TagsTest, WhatIsWrittenForTheFirstTimeIsNotAskedForItsTags) {
  TextBody tagged("one");
  EXPECT_EQ(PutBody(Tagged("one", 1, "red"), tagged), ApplyState::kApplied);
  EXPECT_EQ(backend_->Find("b", "k")->tags, (Tags{{"color", "red"}}));
  for (ApplyState expected : {ApplyState::kApplied, ApplyState::kEqual}) {
    TextBody plain("one");
    ReplicaWrite write = WriteOf("one", 1);
    write.key = "plain";
    EXPECT_EQ(PutBody(std::move(write), plain), expected);
  }
  EXPECT_EQ(backend_->count(StoreOperation::kGetTags), 0);
  EXPECT_EQ(backend_->count(StoreOperation::kPutTags), 0);
}

// A newer state comes before the missing tags are written: they would be older than it.
TEST_P(TagsRaceTest, ANewerStateKeepsItsTags) {
  LeaveWithoutTags();
  tags_store_.after_get = [this] { return RivalPuts(); };
  TextBody body("one");
  EXPECT_EQ(PutBody(Tagged("one", 1, "red"), body), ApplyState::kSuperseded);
  EXPECT_EQ(Content(), "two");
  EXPECT_EQ(backend_->Find("b", "k")->tags, (Tags{{"color", "blue"}}));
}

// The same, just before the floor says that tags are on their way.
TEST_P(TagsRaceTest, ANewerStateThatWasSettledBeforeTheNoteKeepsItsTags) {
  LeaveWithoutTags();
  tags_store_.after_get = [this]() -> asio::awaitable<void> {
    tags_store_.after_head = [this] { return RivalPuts(); };
    co_return;
  };
  TextBody body("one");
  EXPECT_FALSE(world_.Run(applier_->Put(Tagged("one", 1, "red"), body)));
  EXPECT_EQ(Content(), "two");
  EXPECT_EQ(backend_->Find("b", "k")->tags, (Tags{{"color", "blue"}}));
  EXPECT_EQ(PutBody(Tagged("one", 1, "red"), body), ApplyState::kSuperseded);
}

// It comes just then: no condition keeps its tags. Whoever set the older ones may be dead by now:
// who wrote it looks at them himself, once they cannot come any more.
TEST_P(TagsRaceTest, ANewerStateThatGotOlderTagsGetsItsOwn) {
  for (const ReplicaWrite& newer : NewerOnes()) {
    backend_->buckets["b"].objects.clear();
    state_backend_->rows.clear();
    LeaveWithoutTags();
    tags_store_.before_put = [&] { return RivalIsKeptBusy(newer); };
    TextBody body("one");
    EXPECT_EQ(PutBody(Tagged("one", 1, "red"), body), ApplyState::kReread);
    EXPECT_EQ(Content(), "two");
    EXPECT_EQ(backend_->Find("b", "k")->tags, (Tags{{"color", "red"}}));
    RivalSettles(newer);
    EXPECT_EQ(Content(), "two");
    EXPECT_EQ(backend_->Find("b", "k")->tags, newer.tags);
  }
}

// One whose floors are elsewhere is not kept waiting: it must be noticed.
TEST_P(TagsRaceTest, AStateOfAnotherInstallationThatGotOlderTagsIsReadAnew) {
  LeaveWithoutTags();
  testing::FakeState state(world_.runtime, std::make_shared<testing::FakeStateBackend>());
  Floors floors(state, world_.clock, "rule/target");
  rival_ = std::make_unique<Applier>(world_.runtime, store_, state, floors, applier_->policy());
  tags_store_.before_put = [this] { return RivalPuts(); };
  TextBody body("one");
  EXPECT_EQ(PutBody(Tagged("one", 1, "red"), body), ApplyState::kReread);
}

// Tags without an answer, which land when a newer state stands there.
TEST_P(TagsTest, TagsThatLandLateAreReplaced) {
  struct : testing::FaultPlan {
    testing::Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
      testing::Fault fault;
      if (operation != StoreOperation::kPutTags) return fault;
      fault.error = Retryable("no answer");
      fault.effect = testing::Fault::Effect::kLater;
      fault.effect_delay = std::chrono::seconds(60);
      return fault;
    }
  } faults;
  for (const ReplicaWrite& newer : NewerOnes()) {
    backend_->buckets["b"].objects.clear();
    state_backend_->rows.clear();
    LeaveWithoutTags();
    testing::MemoryStore late(world_.runtime, backend_, &faults);
    Applier applier(world_.runtime, late, state_, floors_, applier_->policy());
    TextBody body("one");
    EXPECT_FALSE(world_.Run(applier.Put(Tagged("one", 1, "red"), body)));
    world_.Run(RivalIsKeptBusy(newer));
    RivalSettles(newer);
    world_.Run(world_.clock.Sleep(std::chrono::minutes(10)));
    EXPECT_EQ(Content(), "two");
    EXPECT_EQ(backend_->Find("b", "k")->tags, newer.tags);
  }
}

// The note of tags that have had their answer keeps nobody waiting.
TEST_P(TagsTest, ANewerStateDoesNotWaitForTagsThatAreSet) {
  LeaveWithoutTags();
  TextBody body("one");
  EXPECT_EQ(PutBody(Tagged("one", 1, "red"), body), ApplyState::kEqual);
  world_.Run(RivalPuts());
  EXPECT_EQ(backend_->Find("b", "k")->tags, (Tags{{"color", "blue"}}));
}

// Who may not read tags can still find that an object without any is there.
TEST_P(TagsTest, WhoMayNotAskForTagsBelievesTheHead) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  tags_store_.get_error = NotAllowed();
  EXPECT_EQ(Put("one", 5), ApplyState::kEqual);
}

}  // namespace
}  // namespace longhaul
