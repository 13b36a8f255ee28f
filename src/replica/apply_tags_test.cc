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
  std::optional<Error> get_error;
  std::function<asio::awaitable<void>()> after_get;
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

// It comes just then: no condition keeps its tags, so it must be noticed.
TEST_P(TagsRaceTest, ANewerStateThatGotOlderTagsIsReadAnew) {
  LeaveWithoutTags();
  tags_store_.before_put = [this] { return RivalPuts(); };
  TextBody body("one");
  EXPECT_EQ(PutBody(Tagged("one", 1, "red"), body), ApplyState::kReread);
}

// Who may not read tags can still find that an object without any is there.
TEST_P(TagsTest, WhoMayNotAskForTagsBelievesTheHead) {
  EXPECT_EQ(Put("one", 1), ApplyState::kApplied);
  tags_store_.get_error = NotAllowed();
  EXPECT_EQ(Put("one", 5), ApplyState::kEqual);
}

}  // namespace
}  // namespace longhaul
