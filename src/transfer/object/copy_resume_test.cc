// Copies that are killed, and go on.

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/believing_store.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/sanitized.h"
#include "transfer/object/copy_object.h"
#include "transfer/object/upload_records.h"

namespace longhaul {
namespace {

using testing::FakeState;
using testing::FakeStateBackend;
using testing::FakeWorld;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

constexpr uint64_t kPartBytes = 8 << 10;
constexpr int kParts = 100;
constexpr uint64_t kObjectBytes = kParts * kPartBytes - 1000;

std::string Content(uint64_t seed) {
  SeededRandom random(seed);
  std::string bytes(kObjectBytes, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

// After so many parts the target answers nothing but "denied", which is what a copy that is killed
// looks like from the outside: its upload stays as it is.
class Kill : public testing::FaultPlan {
 public:
  explicit Kill(uint64_t the_parts_max = UINT64_MAX, bool loses_completion = false)
      : parts_max(the_parts_max), lose_completion(loses_completion) {}
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    bool complete = operation == StoreOperation::kCompleteMultipart;
    if (operation == StoreOperation::kUploadPart) ++parts;
    if (operation == StoreOperation::kUploadPart && parts > parts_max) ++parts_refused;
    if (complete && aborts != nullptr) {
      aborts->buckets["to"].uploads.clear();
      aborts = nullptr;
    }
    if (parts > parts_max || (complete && lose_completion)) {
      fault.error = error;
      if (complete && completes) fault.effect = Fault::Effect::kDone;
    }
    if (operation == StoreOperation::kGetTags && denies_tags) {
      fault.error = Error{.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
    }
    return fault;
  }
  Error error{.kind = ErrorKind::kDenied, .message = "killed"};
  bool denies_tags = false;
  uint64_t parts = 0;
  int parts_refused = 0;
  uint64_t parts_max;
  bool lose_completion;
  bool completes = true;                 // A completion whose answer is lost.
  MemoryStoreBackend* aborts = nullptr;  // Its upload, before the first completion.
};

class CopyResumeTest : public ::testing::Test {
 protected:
  CopyResumeTest() {
    testing::MemoryStoreOptions options;
    options.capabilities.part_size_bytes_min = 1;
    from = std::make_shared<MemoryStoreBackend>(options);
    to = std::make_shared<MemoryStoreBackend>(options);
    from->buckets["from"];
    to->buckets["to"];
  }

  void PutSource(const std::string& bytes, const std::string& colour = "red") {
    MemoryStore store(world.runtime, from);
    ASSERT_TRUE(world.Run(PutText(store,
                                  {.bucket = "from",
                                   .key = "k",
                                   .headers = {.content_type = "text/plain"},
                                   .metadata = {{"colour", colour}},
                                   .tags = {{"tier", "hot"}}},
                                  bytes)));
  }

  // One process, which is gone afterwards.
  Result<CopyOutcome> Copy(Kill kill = Kill(), uint64_t part_size_bytes = kPartBytes,
                           Event* stop = nullptr) {
    MemoryStore source(world.runtime, from);
    MemoryStore target(world.runtime, to, &kill);
    FakeState state(world.runtime, rows);
    ProcessName owner = ThisProcess();
    owner.started += ++processes;  // None that lives.
    UploadRecords records(world.runtime, state, owner, "run", "");
    to->ResetCounts();
    from->ResetCounts();
    Result<CopyOutcome> done =
        world.Run(CopyObject(world.runtime, {.store = source, .bucket = "from", .key = "k"},
                             {.store = target, .bucket = "to", .key = "k"},
                             {.multipart_threshold_bytes = 1,
                              .part_size_bytes = part_size_bytes,
                              .uploads = &records,
                              .stop = stop}));
    parts_sent += to->count(StoreOperation::kUploadPart) - kill.parts_refused;
    return done;
  }

  void ExpectKilledAfter(uint64_t parts) {
    Result<CopyOutcome> done = Copy(Kill(parts));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::kDenied) << done.error().Describe();
  }

  void ExpectSameAndTidy() {
    const auto* source = from->Find("from", "k");
    const auto* target = to->Find("to", "k");
    ASSERT_NE(target, nullptr);
    EXPECT_TRUE(*source->bytes == *target->bytes);
    EXPECT_EQ(source->info.headers, target->info.headers);
    EXPECT_EQ(source->info.metadata, target->info.metadata);
    EXPECT_EQ(source->tags, target->tags);
    EXPECT_TRUE(to->buckets["to"].uploads.empty());
    EXPECT_TRUE(rows->rows.empty());
    EXPECT_EQ(world.memory.reserved_bytes(), 0);
  }

  FakeWorld world{5, 64 << 20};
  std::shared_ptr<MemoryStoreBackend> from;
  std::shared_ptr<MemoryStoreBackend> to;
  std::shared_ptr<FakeStateBackend> rows = std::make_shared<FakeStateBackend>();
  int parts_sent = 0;
  int64_t processes = 0;
};

// What was sent is not sent again, however often the copy dies.
TEST_F(CopyResumeTest, KilledFiftyTimesSendsNothingTwice) {
  PutSource(Content(1));
  for (int kill = 0; kill < 50; ++kill) ExpectKilledAfter(1);
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 50 * kPartBytes);
  EXPECT_EQ(done->verified, Verified::kChecksum);
  EXPECT_EQ(parts_sent, kParts);
  ExpectSameAndTidy();
}

// The parts that are there were made by another size: it stays that of the upload.
TEST_F(CopyResumeTest, AnotherPartSizeGoesOnWithThatOfTheUpload) {
  PutSource(Content(1));
  ExpectKilledAfter(40);
  Result<CopyOutcome> done = Copy(Kill(), 3 * kPartBytes + 1);
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 40 * kPartBytes);
  EXPECT_EQ(parts_sent, kParts);
  ExpectSameAndTidy();
}

// On another machine, or with State lost: the parts are proved by the bytes that they stand for.
TEST_F(CopyResumeTest, WithoutARecordPartsAreProvedByTheSource) {
  for (uint64_t part_size_bytes : {kPartBytes, 5 * kPartBytes}) {
    to->buckets["to"].objects.clear();
    parts_sent = 0;
    PutSource(Content(1));
    ExpectKilledAfter(40);
    rows->rows.clear();
    Result<CopyOutcome> done = Copy(Kill(), part_size_bytes);
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->found_bytes, 40 * kPartBytes);
    EXPECT_EQ(from->count(StoreOperation::kGet),
              100);  // 40 to prove, 60 to send.
    EXPECT_EQ(parts_sent, kParts);
    ExpectSameAndTidy();
  }
}

// Parts of another state of the source must not be mixed with those of this one; with a record it
// is known, and the upload goes.
TEST_F(CopyResumeTest, PartsOfAnotherStateAreNotUsed) {
  for (bool checksums : {true, false}) {  // Without them nothing is compared in the end.
    from->options.capabilities.checksums = checksums;
    to->buckets["to"].objects.clear();
    PutSource(Content(1));
    ExpectKilledAfter(40);
    PutSource(Content(2));
    Result<CopyOutcome> done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->found_bytes, 0U);
    ExpectSameAndTidy();
  }
}

// Without a record only the bytes can tell. What is somebody else's stays as it is.
TEST_F(CopyResumeTest, WithoutARecordPartsOfAnotherStateAreLeftAlone) {
  for (bool checksums : {true, false}) {
    from->options.capabilities.checksums = checksums;
    to->buckets["to"].objects.clear();
    std::string bytes = Content(1);
    PutSource(bytes);
    ExpectKilledAfter(40);
    rows->rows.clear();
    bytes[20 * kPartBytes] ^= 1;  // In one of the parts that are there.
    PutSource(bytes);
    Result<CopyOutcome> done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->found_bytes, 0U);
    EXPECT_EQ(to->buckets["to"].uploads.size(), 1U);
    to->buckets["to"].uploads.clear();
    ExpectSameAndTidy();
  }
}

// Metadata is of the state as well: bytes that are the same do not make up for it.
TEST_F(CopyResumeTest, UploadsCreatedWithOtherMetadataAreNotUsed) {
  PutSource(Content(1), "red");
  ExpectKilledAfter(40);
  PutSource(Content(1), "blue");
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  ExpectSameAndTidy();
}

// Nobody tells what an upload without a record was created with: it is looked at in the end.
TEST_F(CopyResumeTest, WithoutARecordMetadataIsPutRight) {
  for (uint64_t copy_max : {uint64_t{5} << 30, 20 * kPartBytes}) {
    to->options.capabilities.copy_size_bytes_max = copy_max;
    to->buckets["to"].objects.clear();
    PutSource(Content(1), "red");
    ExpectKilledAfter(40);
    rows->rows.clear();
    PutSource(Content(1), "blue");
    Result<CopyOutcome> done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->found_bytes, 40 * kPartBytes);
    ExpectSameAndTidy();
  }
}

// What it was created with may be tags that the source has no more.
TEST_F(CopyResumeTest, WithoutARecordTagsThatNoHeadTellsOfGo) {
  to->options.heads_tell_tags = false;
  PutSource(Content(1));
  ExpectKilledAfter(40);
  rows->rows.clear();
  from->buckets["from"].objects["k"].back().tags.clear();
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 40 * kPartBytes);
  ExpectSameAndTidy();
}

// The last answer of a process may be the one that is lost.
TEST_F(CopyResumeTest, ACompletionWithoutAnAnswerIsFoundDone) {
  PutSource(Content(1));
  Result<CopyOutcome> done = Copy(Kill(UINT64_MAX, true));
  ASSERT_FALSE(done);
  done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, kObjectBytes);
  EXPECT_EQ(parts_sent, kParts);
  ExpectSameAndTidy();
}

// The target holds an earlier copy, of the same ETag and with other metadata: it does not pass for
// the completion of an upload that somebody has aborted.
TEST_F(CopyResumeTest, AnEarlierCopyIsNoCompletion) {
  PutSource(Content(1), "blue");
  ASSERT_TRUE(Copy());
  for (const bool after_a_kill : {true, false}) {
    world.clock.Advance(std::chrono::minutes(1));
    PutSource(Content(1), after_a_kill ? "red" : "green");
    Kill kill(UINT64_MAX, after_a_kill);
    kill.completes = false;
    if (!after_a_kill) kill.aborts = to.get();
    Result<CopyOutcome> done = Copy(kill);
    EXPECT_EQ(bool(done), !after_a_kill);
    to->buckets["to"].uploads.clear();
    if (after_a_kill) done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    ExpectSameAndTidy();
  }
}

// Some stores forget the tags of an upload. They are set after the completion, and whoever was
// killed between the two, or whose answer was lost, leaves an object that looks right without them.
TEST_F(CopyResumeTest, TagsThatNobodyCameToSetAreSet) {
  to->options.uploads_take_tags = false;
  PutSource(Content(1));
  ASSERT_FALSE(Copy(Kill(UINT64_MAX, true)));
  ASSERT_TRUE(to->Find("to", "k")->tags.empty());
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, kObjectBytes);
  EXPECT_EQ(parts_sent, kParts);
  ExpectSameAndTidy();
}

TEST_F(CopyResumeTest, TagsOfACompletionWhoseAnswerWasLostAreSet) {
  to->options.uploads_take_tags = false;
  PutSource(Content(1));
  Kill lost(UINT64_MAX, true);
  lost.error = Retryable("the tags were not set");
  Result<CopyOutcome> done = Copy(lost);
  ASSERT_TRUE(done) << done.error().Describe();
  ExpectSameAndTidy();
}

// Who may write tags need not be allowed to read them: what the store said of a completion counts,
// and what nobody has said is set.
TEST_F(CopyResumeTest, TagsThatMayNotBeReadAreSetWhereNobodySpokeForThem) {
  to->options.uploads_take_tags = false;
  PutSource(Content(1));
  Kill kill(UINT64_MAX, true);
  kill.denies_tags = true;
  ASSERT_FALSE(Copy(kill));
  kill.lose_completion = false;
  Result<CopyOutcome> done = Copy(kill);
  ASSERT_TRUE(done) << done.error().Describe();
  ExpectSameAndTidy();
  to->buckets["to"].objects.clear();
  to->options.uploads_take_tags = true;
  done = Copy(kill);
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(to->count(StoreOperation::kPutTags), 0);
  ExpectSameAndTidy();
}

// As versitygw does where an object stands: the upload is gone, and its completion is a success.
TEST_F(CopyResumeTest, ASuccessThatLeavesTheEarlierCopyIsNone) {
  PutSource(Content(1), "blue");
  ASSERT_TRUE(Copy());
  world.clock.Advance(std::chrono::minutes(1));
  PutSource(Content(1));
  MemoryStore source(world.runtime, from);
  int lies = 1;
  testing::BelievesInWhatStands target(world.runtime, to, nullptr, &lies);
  FakeState state(world.runtime, rows);
  UploadRecords records(world.runtime, state, ThisProcess(), "run", "");
  Result<CopyOutcome> done = world.Run(CopyObject(
      world.runtime, {.store = source, .bucket = "from", .key = "k"},
      {.store = target, .bucket = "to", .key = "k"},
      {.multipart_threshold_bytes = 1, .part_size_bytes = kPartBytes, .uploads = &records}));
  ASSERT_TRUE(done) << done.error().Describe();
  ExpectSameAndTidy();
}

// A process that lives goes on with its upload; a second one must neither take nor abort it.
TEST_F(CopyResumeTest, TheUploadOfALivingProcessIsLeftToIt) {
  PutSource(Content(1));
  ExpectKilledAfter(40);
  for (auto& [key, row] : rows->rows) {
    Result<UploadRecord> record = UploadRecords::Decode({.key = key.second, .value = row.value});
    ASSERT_TRUE(record);
    record->owner = ThisProcess();
    row.value = UploadRecords::Encode(*record);
  }
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 0U);
  EXPECT_EQ(to->buckets["to"].uploads.size(), 1U);
  EXPECT_EQ(rows->rows.size(), 1U);
}

// A signal leaves what is there for the next time.
TEST_F(CopyResumeTest, StopLeavesTheUpload) {
  PutSource(Content(1));
  Event stop;
  stop.Set();
  Result<CopyOutcome> done = Copy(Kill(), kPartBytes, &stop);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(to->buckets["to"].uploads.size(), 1U);
  EXPECT_EQ(rows->rows.size(), 1U);
  done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  ExpectSameAndTidy();
}

// Servers that do not list checksums of parts: the digests of the whole are made of the source.
TEST_F(CopyResumeTest, WholesAreVerifiedAlsoWherePartsHaveNoChecksums) {
  to->options.capabilities.checksums = false;
  PutSource(Content(1));
  ExpectKilledAfter(40);
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 40 * kPartBytes);
  EXPECT_EQ(done->verified, Verified::kChecksum);
  EXPECT_EQ(parts_sent, kParts);
  ExpectSameAndTidy();
}

// Where ETags of parts are no MD5s, what is there is known by its checksums.
class CopyKmsResumeTest : public CopyResumeTest {
 protected:
  static constexpr uint64_t kLargePart = 16 << 20;

  CopyKmsResumeTest() { to->options.encrypts_by_kms = true; }

  // Three parts, with nothing but the ETag to verify by.
  void PutParts() {
    SeededRandom random(3);
    std::string bytes(3 * kLargePart, '\0');
    for (size_t i = 0; i < bytes.size(); i += 512) bytes[i] = static_cast<char>(random.Next());
    MemoryStore store(world.runtime, from);
    auto upload = world.Run(store.CreateMultipart({.bucket = "from", .key = "k"}));
    ASSERT_TRUE(upload);
    CompleteRequest complete{.upload = *upload};
    for (size_t i = 0; i < 3; ++i) {
      MemorySource body(std::string_view(bytes).substr(i * kLargePart, kLargePart));
      auto part = world.Run(store.UploadPart(*upload, static_cast<int>(i) + 1, body));
      ASSERT_TRUE(part);
      complete.parts.push_back(*part);
    }
    ASSERT_TRUE(world.Run(store.CompleteMultipart(complete)));
    from->buckets["from"].objects["k"].back().info.checksums.clear();
  }

  MemoryStoreBackend::Part& PartThere(int number) {
    return to->buckets["to"].uploads.begin()->second.parts.at(number);
  }
};

TEST_F(CopyKmsResumeTest, WithoutARecordPartsAreProvedByTheirChecksums) {
  PutSource(Content(1));
  ExpectKilledAfter(40);
  rows->rows.clear();
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 40 * kPartBytes);
  EXPECT_EQ(done->verified, Verified::kChecksum);
  EXPECT_EQ(parts_sent, kParts);
  ExpectSameAndTidy();
}

TEST_F(CopyKmsResumeTest, WithoutARecordPartsOfAnotherStateAreLeftAlone) {
  std::string bytes = Content(1);
  PutSource(bytes);
  ExpectKilledAfter(40);
  rows->rows.clear();
  bytes[20 * kPartBytes] ^= 1;
  PutSource(bytes);
  Result<CopyOutcome> done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 0U);
  EXPECT_EQ(to->buckets["to"].uploads.size(), 1U);
}

// All parts or only some of them are there, with a record and without.
TEST_F(CopyKmsResumeTest, NothingIsSentTwiceWhereOnlyTheEtagVerifies) {
  for (uint64_t there : {1, 3}) {
    for (bool recorded : {true, false}) {
      const std::string what = std::to_string(there) + (recorded ? " recorded" : "");
      to->buckets["to"].objects.clear();
      parts_sent = 0;
      PutParts();
      if (there < 3) {
        ExpectKilledAfter(there);
      } else {
        Kill kill(UINT64_MAX, /*loses_completion=*/true);
        kill.completes = false;
        ASSERT_FALSE(Copy(kill));
      }
      if (!recorded) rows->rows.clear();
      Result<CopyOutcome> done = Copy();
      ASSERT_TRUE(done) << what << done.error().Describe();
      EXPECT_EQ(done->attempts, 1) << what;
      EXPECT_EQ(done->found_bytes, there * kLargePart) << what;
      EXPECT_EQ(done->verified, Verified::kEtag) << what;
      EXPECT_EQ(parts_sent, 3) << what;
      // Those that were there are read once more, and nothing else is.
      EXPECT_EQ(from->count(StoreOperation::kGet), 3) << what;
      ExpectSameAndTidy();
    }
  }
}

// What lies there and is not the range of the source must not become a part of the object.
TEST_F(CopyKmsResumeTest, APartThatIsDamagedIsSentAgain) {
  for (bool kms : {true, false}) {
    for (int bad : {1, 2}) {
      if (testing::kSanitized && kms == (bad == 1)) continue;
      to->options.encrypts_by_kms = kms;
      to->buckets["to"].objects.clear();
      parts_sent = 0;
      PutParts();
      ExpectKilledAfter(2);
      auto bytes = std::make_shared<std::string>(*PartThere(bad).bytes);
      (*bytes)[1000] ^= 1;
      PartThere(bad).bytes = bytes;
      if (!kms) PartThere(bad).etag = HexEncode(Md5(*bytes));
      Result<CopyOutcome> done = Copy();
      ASSERT_TRUE(done) << done.error().Describe();
      EXPECT_EQ(done->verified, Verified::kEtag);
      if (kms) EXPECT_EQ(parts_sent, 4);
      ExpectSameAndTidy();
    }
  }
}

// Copies that the store makes by itself.
class CopyInsideResumeTest : public CopyResumeTest {
 protected:
  CopyInsideResumeTest() {
    from->buckets["to"];
    from->options.capabilities.copy_size_bytes_max = 10 * kPartBytes;
    from->options.capabilities.checksums = false;
  }

  // One process, which is gone afterwards.
  Result<CopyOutcome> CopyInside(Kill kill = Kill()) {
    MemoryStore store(world.runtime, from, &kill);
    FakeState state(world.runtime, rows);
    ProcessName owner = ThisProcess();
    owner.started += ++processes;
    UploadRecords records(world.runtime, state, owner, "run", "");
    from->ResetCounts();
    Result<CopyOutcome> done =
        world.Run(CopyObject(world.runtime, {.store = store, .bucket = "from", .key = "k"},
                             {.store = store, .bucket = "to", .key = "k"}, {.uploads = &records}));
    parts_sent += from->count(StoreOperation::kUploadPart) - kill.parts_refused;
    return done;
  }

  void ExpectSameInside() {
    const auto* target = from->Find("to", "k");
    ASSERT_NE(target, nullptr);
    EXPECT_TRUE(*from->Find("from", "k")->bytes == *target->bytes);
    EXPECT_EQ(target->info.metadata, (UserMetadata{{"colour", "red"}}));
    EXPECT_TRUE(from->buckets["to"].uploads.empty());
    EXPECT_TRUE(rows->rows.empty());
  }
};

TEST_F(CopyInsideResumeTest, KilledOftenCopiesNothingTwice) {
  PutSource(Content(1));
  for (int kill = 0; kill < 5; ++kill) ASSERT_FALSE(CopyInside(Kill(1)));
  Result<CopyOutcome> done = CopyInside();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 5 * 10 * kPartBytes);
  EXPECT_EQ(done->verified, Verified::kByStore);
  EXPECT_EQ(parts_sent, kParts / 10);
  ExpectSameInside();
}

// A server that heeds no condition may have copied parts of a state that came and went.
TEST_F(CopyInsideResumeTest, PartsAreCopiedAgainWhenTheSourceWasWrittenSince) {
  for (uint64_t seed : {1, 2}) {  // As it was; another one.
    PutSource(Content(1));
    ASSERT_FALSE(CopyInside(Kill(5)));
    world.clock.Advance(std::chrono::seconds(5));
    auto& upload = from->buckets["to"].uploads.begin()->second;
    auto& part = upload.parts.begin()->second;
    part.bytes = std::make_shared<std::string>(part.bytes->size(), 'x');
    PutSource(Content(seed));
    Result<CopyOutcome> done = CopyInside();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->found_bytes, 0U);
    ExpectSameInside();
  }
}

TEST_F(CopyInsideResumeTest, WithoutARecordTheyAreCopiedAgain) {
  PutSource(Content(1));
  ASSERT_FALSE(CopyInside(Kill(5)));
  rows->rows.clear();
  Result<CopyOutcome> done = CopyInside();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, 0U);
  EXPECT_EQ(from->buckets["to"].uploads.size(), 1U);  // Somebody's: `uploads abort`.
  from->buckets["to"].uploads.clear();
  ExpectSameInside();
}

TEST_F(CopyInsideResumeTest, ACompletionWithoutAnAnswerIsFoundDone) {
  PutSource(Content(1));
  ASSERT_FALSE(CopyInside(Kill(UINT64_MAX, true)));
  Result<CopyOutcome> done = CopyInside();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->found_bytes, kObjectBytes);
  EXPECT_EQ(parts_sent, kParts / 10);
  ExpectSameInside();
}

class FailNth : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    // What is refused has no effect; a creation is not asked for twice.
    if (operation == StoreOperation::kCreateMultipart && error.kind == ErrorKind::kDenied &&
        effect == Fault::Effect::kDone) {
      return fault;
    }
    if (++count != at) return fault;
    failed = true;
    fault.error = error;
    fault.effect = effect;
    return fault;
  }
  int count = 0;
  int at = 0;
  bool failed = false;
  Error error;
  Fault::Effect effect = Fault::Effect::kAsUsual;
};

// Failure at each step, of the target and of State, then another process: the object is right, and
// nothing is left.
TEST_F(CopyResumeTest, EveryStepMayBeTheLast) {
  PutSource(Content(1));
  struct Case {
    Error error;
    Fault::Effect effect;
    bool of_state;
  };
  const Error denied{.kind = ErrorKind::kDenied, .message = "killed"};
  // The target is empty, or holds an earlier copy with other metadata.
  PutSource(Content(1), "blue");
  ASSERT_TRUE(Copy(Kill(), 20 * kPartBytes));
  const auto earlier = to->buckets["to"];
  world.clock.Advance(std::chrono::minutes(1));
  PutSource(Content(1));
  for (const Case& one :
       {Case{denied, Fault::Effect::kAsUsual, false}, Case{denied, Fault::Effect::kDone, false},
        Case{Retryable("lost"), Fault::Effect::kAsUsual, false},
        Case{Retryable("lost"), Fault::Effect::kDone, false},
        Case{Retryable("lost"), Fault::Effect::kAsUsual, true},
        Case{Retryable("lost"), Fault::Effect::kDone, true}}) {
    for (int turn = 2;; ++turn) {
      const int at = turn / 2;
      ASSERT_LT(at, 300);
      if (turn % 2 == 1) {
        to->buckets["to"] = earlier;
      } else {
        to->buckets["to"] = {};
      }
      rows->rows.clear();
      FailNth faults;
      faults.error = one.error;
      faults.effect = one.effect;
      testing::FakeFaults state_faults(1);
      if (!one.of_state) faults.at = at;
      if (one.of_state) {
        (one.effect == Fault::Effect::kDone ? state_faults.fail_after_at
                                            : state_faults.fail_before_at) = at;
      }
      {
        MemoryStore source(world.runtime, from);
        MemoryStore target(world.runtime, to, &faults);
        FakeState state(world.runtime, rows, &state_faults);
        ProcessName owner = ThisProcess();
        owner.started += ++processes;
        UploadRecords records(world.runtime, state, owner, "run", "");
        Result<CopyOutcome> done =
            world.Run(CopyObject(world.runtime, {.store = source, .bucket = "from", .key = "k"},
                                 {.store = target, .bucket = "to", .key = "k"},
                                 {.multipart_threshold_bytes = 1,
                                  .part_size_bytes = 20 * kPartBytes,
                                  .uploads = &records}));
        if (!faults.failed && state_faults.failures == 0) {
          EXPECT_TRUE(done);
          break;
        }
      }
      world.clock.Advance(std::chrono::minutes(3));  // No creation is under way any more.
      Result<CopyOutcome> done = Copy(Kill(), 20 * kPartBytes);
      ASSERT_TRUE(done) << at << ": " << done.error().Describe();
      ExpectSameAndTidy();
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace longhaul
