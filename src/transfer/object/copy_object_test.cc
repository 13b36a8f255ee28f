#include "transfer/object/copy_object.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "tests/support/sanitized.h"
#include "transfer/object/copy_plan.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

constexpr uint64_t kMib = 1 << 20;

std::string Pattern(uint64_t size_bytes) {
  std::string text;
  text.reserve(size_bytes + 1024);
  uint64_t block = 0;
  while (text.size() < size_bytes) {
    std::string head = std::to_string(++block * 2654435761);
    text += head;
    text.append(1000, head.back());
  }
  text.resize(size_bytes);
  return text;
}

// Fails the Nth operation, before or after its effect; cuts or changes bodies where told.
class PlannedFaults : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    ++count;
    if (count == fail_at) {
      ++failed;
      fault.error = error;
      fault.effect = effect;
    }
    if (operation == fail_one) {
      fail_one.reset();
      fault.error = error;
    }
    if (operation == StoreOperation::kGet && cuts > 0) {
      --cuts;
      fault.cut_body_after_bytes = 1000;
    }
    if (operation == StoreOperation::kGet && corruptions > 0) {
      --corruptions;
      fault.corrupt_body_at_byte = 7;
    }
    if (operation == StoreOperation::kGet && on_get) on_get();
    if (operation == StoreOperation::kCompleteMultipart && on_complete) on_complete();
    return fault;
  }
  int count = 0;
  int fail_at = 0;
  int failed = 0;
  std::optional<StoreOperation> fail_one;  // The next of these.
  int cuts = 0;
  int corruptions = 0;
  Error error = Retryable("planned");
  Fault::Effect effect = Fault::Effect::kAsUsual;
  std::function<void()> on_get;
  std::function<void()> on_complete;
};

class CopyObjectTest : public ::testing::Test {
 protected:
  explicit CopyObjectTest(int64_t memory_bytes = 256 << 20) : world(1, memory_bytes) {
    source_backend->buckets["from"];
    target_backend->buckets["to"];
  }

  PutRequest Described() {
    return {.bucket = "from",
            .key = "dir/object",
            .headers = {.content_type = "text/plain",
                        .content_encoding = "br",
                        .content_language = "de",
                        .content_disposition = "attachment",
                        .cache_control = "no-store",
                        .expires = "Thu, 01 Dec 1994 16:00:00 GMT"},
            .metadata = {{"colour", "red"}, {"shape", "round"}},
            .tags = {{"tier", "hot"}},
            .storage_class = "STANDARD_IA"};
  }

  void PutSource(const std::string& bytes) {
    MemoryStore store(world.runtime, source_backend);
    auto put = world.Run(PutText(store, Described(), bytes));
    ASSERT_TRUE(put) << put.error().Describe();
  }

  void PutMultipartSource(const std::string& bytes, const std::vector<uint64_t>& sizes) {
    MemoryStore store(world.runtime, source_backend);
    auto upload = world.Run(store.CreateMultipart(Described()));
    ASSERT_TRUE(upload);
    CompleteRequest complete{.upload = *upload};
    uint64_t offset = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      MemorySource body(std::string_view(bytes).substr(offset, sizes[i]));
      auto part = world.Run(store.UploadPart(*upload, static_cast<int>(i) + 1, body));
      ASSERT_TRUE(part);
      complete.parts.push_back(*part);
      offset += sizes[i];
    }
    ASSERT_TRUE(world.Run(store.CompleteMultipart(complete)));
  }

  Result<CopyOutcome> Copy(CopyOptions options = {}, bool listed = true) {
    MemoryStore source(world.runtime, source_backend, &source_faults);
    MemoryStore target(world.runtime, target_backend, &target_faults);
    CopySource from{.store = source, .bucket = "from", .key = "dir/object"};
    const auto* found = source_backend->Find("from", "dir/object");
    if (listed && found != nullptr) {
      from.listed = {.size_bytes = found->info.size_bytes, .etag = found->info.etag};
    }
    return world.Run(
        CopyObject(world.runtime, from, {.store = target, .bucket = "to", .key = "copy"}, options));
  }

  void ExpectSame() {
    const auto* source = source_backend->Find("from", "dir/object");
    const auto* target = target_backend->Find("to", "copy");
    ASSERT_NE(target, nullptr);
    EXPECT_TRUE(*source->bytes == *target->bytes);
    EXPECT_EQ(source->info.headers, target->info.headers);
    EXPECT_EQ(source->info.metadata, target->info.metadata);
    EXPECT_EQ(source->tags, target->tags);
    EXPECT_EQ(source->info.storage_class, target->info.storage_class);
  }

  void ExpectTidy() {
    EXPECT_EQ(world.memory.reserved_bytes(), 0);
    EXPECT_TRUE(target_backend->buckets["to"].uploads.empty());
  }

  FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> source_backend = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> target_backend = std::make_shared<MemoryStoreBackend>();
  PlannedFaults source_faults;
  PlannedFaults target_faults;
};

// A copy that loses headers, metadata, tags or the storage class is another object.
TEST_F(CopyObjectTest, SmallObjectKeepsAllThatBelongsToIt) {
  PutSource(Pattern(10'000));
  auto done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_NE(done->verified, Verified::kNot);
  EXPECT_EQ(source_backend->Find("from", "dir/object")->info.etag, done->put.etag);
  ExpectSame();
  ExpectTidy();
}

TEST_F(CopyObjectTest, EmptyObject) {
  PutSource("");
  ASSERT_TRUE(Copy());
  ExpectSame();
  ExpectTidy();
}

// One GET and one PUT is what a small object may cost (tags only when there are some).
TEST_F(CopyObjectTest, SmallObjectCostsTwoRequests) {
  MemoryStore store(world.runtime, source_backend);
  ASSERT_TRUE(world.Run(PutText(store, {.bucket = "from", .key = "dir/object"}, "hello")));
  source_backend->ResetCounts();
  ASSERT_TRUE(Copy());
  EXPECT_EQ(source_backend->total_count(), 1);
  EXPECT_EQ(target_backend->total_count(), 1);
}

// A one-part object that is cut into parts has another ETag, and every later comparison pays.
TEST_F(CopyObjectTest, LargeSinglePartObjectIsStreamedAndKeepsItsEtag) {
  PutSource(Pattern(20 * kMib));
  auto done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(target_backend->count(StoreOperation::kPut), 1);
  EXPECT_EQ(source_backend->Find("from", "dir/object")->info.etag, done->put.etag);
  EXPECT_NE(done->verified, Verified::kNot);
  ExpectSame();
  ExpectTidy();
  EXPECT_LT(world.memory.peak_bytes(), static_cast<int64_t>(4 * kMib));
}

// Multipart ETags depend on where the parts end.
TEST_F(CopyObjectTest, MultipartObjectKeepsItsParts) {
  for (std::vector<uint64_t> sizes :
       {std::vector<uint64_t>{17 * kMib, 17 * kMib, 15 * kMib},     // Evenly split.
        std::vector<uint64_t>{20 * kMib, 17 * kMib, 18 * kMib}}) {  // Not.
    PutMultipartSource(Pattern(sizes[0] + sizes[1] + sizes[2]), sizes);
    auto done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(source_backend->Find("from", "dir/object")->info.etag, done->put.etag);
    EXPECT_NE(done->verified, Verified::kNot);
    ExpectSame();
    ExpectTidy();
  }
}

// Parts below the mean size are not worth a request each: the ETag goes, the bytes stay right.
TEST_F(CopyObjectTest, ManySmallPartsBecomeFewerLargeOnes) {
  PutMultipartSource(Pattern(30 * kMib), std::vector<uint64_t>(6, 5 * kMib));
  auto done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(PartCountOfEtag(done->put.etag), 2);
  ExpectSame();
  ExpectTidy();
}

// A connection that breaks in a body costs the rest of the body, not all of it again.
TEST_F(CopyObjectTest, BrokenBodyGoesOnWhereItBroke) {
  for (uint64_t size : {uint64_t{10'000}, 20 * kMib}) {
    PutSource(Pattern(size));
    source_backend->ResetCounts();
    source_faults.cuts = 3;
    auto done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->attempts, 1);
    EXPECT_LT(source_backend->bytes_read, size + 8 * kMib);
    ExpectSame();
    ExpectTidy();
  }
}

// Wrong bytes must never become the object, and one bad spell must not end the copy.
TEST_F(CopyObjectTest, ChangedBytesAreNoticedAndReadAgain) {
  for (uint64_t size : {uint64_t{10'000}, 20 * kMib}) {
    PutSource(Pattern(size));
    source_faults.corruptions = 1;
    auto done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_GT(done->attempts, 1);
    ExpectSame();
    ExpectTidy();
  }
}

// The same where an MD5 is all there is; and bytes that stay wrong must not pass for an odd ETag.
TEST_F(CopyObjectTest, EtagsAreVerifiedToo) {
  for (uint64_t size : {uint64_t{10'000}, 20 * kMib}) {
    PutSource(Pattern(size));
    ObjectInfo& info = source_backend->buckets["from"].objects["dir/object"].back().info;
    info.checksums.clear();
    source_faults.corruptions = 1;
    auto done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_GT(done->attempts, 1);
    EXPECT_EQ(done->verified, Verified::kEtag);
    ExpectSame();
    source_faults.corruptions = 100;
    target_backend->buckets["to"].objects.clear();
    EXPECT_EQ(Copy().error().kind, ErrorKind::kCorrupt);
    EXPECT_EQ(target_backend->Find("to", "copy"), nullptr);
    source_faults.corruptions = 0;
    // What KMS encrypted has an ETag that only looks like an MD5.
    info.etag = std::string(32, '0');
    info.etag_opaque = true;
    done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->attempts, 1);
    EXPECT_EQ(done->verified, Verified::kNot);
    ExpectTidy();
  }
}

// Under SSE-KMS the ETags of parts only look like MD5s: taken for them, every object whose ETag is
// all that there is to verify by would be sent three times, and not be verified in the end.
TEST_F(CopyObjectTest, UnderKmsPartsAreSentOnceAndVerified) {
  target_backend->options.encrypts_by_kms = true;
  for (std::vector<uint64_t> sizes : {std::vector<uint64_t>{17 * kMib, 17 * kMib, 15 * kMib},
                                      std::vector<uint64_t>{20 * kMib, 17 * kMib, 18 * kMib}}) {
    PutMultipartSource(Pattern(sizes[0] + sizes[1] + sizes[2]), sizes);
    source_backend->buckets["from"].objects["dir/object"].back().info.checksums.clear();
    target_backend->ResetCounts();
    auto done = Copy();
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(done->attempts, 1);
    EXPECT_EQ(done->verified, Verified::kEtag);
    EXPECT_EQ(target_backend->count(StoreOperation::kUploadPart), 3);
    ExpectSame();
    ExpectTidy();
  }
}

// That the target's ETags prove nothing must not mean that nothing is proved.
TEST_F(CopyObjectTest, UnderKmsChangedBytesAreNoticed) {
  target_backend->options.encrypts_by_kms = true;
  PutMultipartSource(Pattern(49 * kMib), {17 * kMib, 17 * kMib, 15 * kMib});
  source_backend->buckets["from"].objects["dir/object"].back().info.checksums.clear();
  source_faults.corruptions = 1;
  auto done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_GT(done->attempts, 1);
  EXPECT_EQ(done->verified, Verified::kEtag);
  ExpectSame();
  ExpectTidy();
}

// What a killed process had under way may come late: under SSE-KMS the same bytes have another
// ETag.
TEST_F(CopyObjectTest, UnderKmsAPartThatCameAgainIsNoFailure) {
  target_backend->options.encrypts_by_kms = true;
  PutMultipartSource(Pattern(49 * kMib), {17 * kMib, 17 * kMib, 15 * kMib});
  int completions = 0;
  target_faults.on_complete = [&] {
    if (++completions > 1) return;
    target_backend->buckets["to"].uploads.begin()->second.parts.at(2).etag = std::string(32, '0');
  };
  auto done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->attempts, 2);
  ExpectSame();
  ExpectTidy();
}

// Parts read from two versions would be an object that never was.
TEST_F(CopyObjectTest, SourceThatChangesMidwayIsReadFromTheStart) {
  PutMultipartSource(Pattern(51 * kMib), std::vector<uint64_t>(3, 17 * kMib));
  int gets = 0;
  source_faults.on_get = [&] {
    if (++gets != 2) return;
    auto& versions = source_backend->buckets["from"].objects["dir/object"];
    auto changed = std::make_shared<std::string>(Pattern(18 * kMib));
    versions.back().bytes = changed;
    versions.back().part_sizes_bytes.clear();
    versions.back().info.size_bytes = changed->size();
    versions.back().info.etag = HexEncode(Md5(*changed));
    versions.back().info.checksums.clear();
  };
  auto done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_GT(done->attempts, 1);
  ExpectSame();
  ExpectTidy();
}

// A listing is old when its objects are copied.
TEST_F(CopyObjectTest, ObjectThatGrewSinceItWasListed) {
  PutSource(Pattern(1000));
  MemoryStore source(world.runtime, source_backend);
  MemoryStore target(world.runtime, target_backend);
  auto done = world.Run(CopyObject(world.runtime,
                                   {.store = source,
                                    .bucket = "from",
                                    .key = "dir/object",
                                    .listed = CopySource::Listed{.size_bytes = 3, .etag = "old"}},
                                   {.store = target, .bucket = "to", .key = "copy"}, {}));
  ASSERT_TRUE(done) << done.error().Describe();
  ExpectSame();
  ExpectTidy();
}

TEST_F(CopyObjectTest, IfAbsentLeavesWhatIsThere) {
  PutSource("new");
  MemoryStore target(world.runtime, target_backend);
  ASSERT_TRUE(world.Run(PutText(target, {.bucket = "to", .key = "copy"}, "old")));
  auto done = Copy({.if_absent = true});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kPrecondition);
  EXPECT_EQ(*target_backend->Find("to", "copy")->bytes, "old");
}

// What is there is mostly an earlier copy, of the same ETag: taken for what was written, a move
// would remove a source whose metadata is nowhere else. And nothing is sent that is refused anyway.
TEST_F(CopyObjectTest, IfAbsentLeavesAnEarlierCopyInParts) {
  const CopyOptions in_parts{.multipart_threshold_bytes = 1};
  PutSource(Pattern(3 * kMib));
  ASSERT_TRUE(Copy(in_parts));
  source_backend->buckets["from"].objects["dir/object"].back().info.metadata["colour"] = "blue";
  CopyOptions if_absent = in_parts;
  if_absent.if_absent = true;
  target_backend->ResetCounts();
  auto done = Copy(if_absent);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kPrecondition);
  EXPECT_EQ(target_backend->count(StoreOperation::kUploadPart), 0);
  EXPECT_EQ(target_backend->Find("to", "copy")->info.metadata.at("colour"), "red");
  ExpectTidy();
  // Somebody writes it while the parts are sent.
  const auto earlier = target_backend->buckets["to"].objects["copy"];
  target_backend->buckets["to"].objects.clear();
  source_faults.on_get = [&] { target_backend->buckets["to"].objects["copy"] = earlier; };
  done = Copy(if_absent);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kPrecondition);
  EXPECT_EQ(target_backend->Find("to", "copy")->info.metadata.at("colour"), "red");
  ExpectTidy();
}

// S3 answers so while another write or delete of the name is under way, and wants it sent again: it
// says nothing of what is there.
TEST_F(CopyObjectTest, AConflictOfTwoWritesIsSentAgain) {
  target_faults.error = {.kind = ErrorKind::kPrecondition,
                         .message = "a conflicting operation",
                         .code = "ConditionalRequestConflict",
                         .http_status = 409};
  for (uint64_t size : {uint64_t{5000}, 17 * kMib, 35 * kMib}) {
    if (size == 35 * kMib) {
      PutMultipartSource(Pattern(size), {17 * kMib, 17 * kMib, 1 * kMib});
      target_faults.fail_one = StoreOperation::kCompleteMultipart;
    } else {
      PutSource(Pattern(size));
      target_faults.fail_one = StoreOperation::kPut;
    }
    auto done = Copy({.if_absent = true});
    ASSERT_TRUE(done) << size << ": " << done.error().Describe();
    EXPECT_EQ(done->attempts, 2);
    EXPECT_FALSE(target_faults.fail_one);
    ExpectSame();
    ExpectTidy();
    target_backend->buckets["to"].objects.clear();
  }
}

// As S3, which copies all headers but this one, unless they are given.
class StoreOfWebsites : public MemoryStore {
 public:
  StoreOfWebsites(Runtime runtime, std::shared_ptr<MemoryStoreBackend> backend)
      : MemoryStore(runtime, backend), backend_(std::move(backend)) {}
  Async<PutResult> Copy(CopyRequest request) override {
    Result<PutResult> done = co_await MemoryStore::Copy(request);
    if (done && !request.replacement) {
      ObjectInfo& info = backend_->buckets[request.bucket].objects[request.key].back().info;
      info.headers.website_redirect_location.clear();
    }
    co_return done;
  }

 private:
  std::shared_ptr<MemoryStoreBackend> backend_;
};

// A moved website would be one of empty pages.
TEST_F(CopyObjectTest, CopiesWithinAStoreKeepTheRedirect) {
  StoreOfWebsites store(world.runtime, source_backend);
  PutRequest page = Described();
  page.headers.website_redirect_location = "/elsewhere";
  ASSERT_TRUE(world.Run(PutText(store, page, "")));
  const ObjectInfo& from = source_backend->Find("from", "dir/object")->info;
  const CopySource source{.store = store, .bucket = "from", .key = "dir/object"};
  CopySource listed = source;
  listed.listed = {.size_bytes = 0, .etag = from.etag};
  CopySource with_class = listed;
  with_class.listed->storage_class = from.storage_class;
  for (const CopySource& one : {source, listed, with_class}) {
    for (const char* storage_class : {"", "GLACIER_IR"}) {
      ASSERT_TRUE(world.Run(CopyObject(world.runtime, one,
                                       {.store = store, .bucket = "from", .key = "copy"},
                                       {.storage_class = storage_class})));
      const auto* copy = source_backend->Find("from", "copy");
      EXPECT_EQ(copy->info.headers, page.headers);
      EXPECT_EQ(copy->info.metadata, page.metadata);
      EXPECT_EQ(copy->tags, page.tags);
      source_backend->buckets["from"].objects.erase("copy");
    }
  }
}

TEST_F(CopyObjectTest, MissingSourceSaysSo) {
  auto done = Copy();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kNotFound);
  EXPECT_TRUE(done.error().message.contains("from/dir/object: no such key"))
      << done.error().message;
}

TEST_F(CopyObjectTest, StopEndsAnUploadAndLeavesNothing) {
  PutMultipartSource(Pattern(68 * kMib), std::vector<uint64_t>(4, 17 * kMib));
  Event stop;
  source_faults.on_get = [&] { stop.Set(); };
  auto done = Copy({.parts_in_flight = 1, .stop = &stop});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kCancelled);
  ExpectTidy();
}

// Failure at each step: fail request 1, then 2, then 3, until a run finishes untouched. Either the
// target is right or the error was reported; an error never leaves an upload behind.
TEST_F(CopyObjectTest, EveryRequestMayFail) {
  struct Kind {
    const char* name;
    std::function<void()> make;
  };
  const Kind kinds[] = {
      {"small", [&] { PutSource(Pattern(5000)); }},
      {"streamed", [&] { PutSource(Pattern(17 * kMib)); }},
      {"parts", [&] { PutMultipartSource(Pattern(35 * kMib), {17 * kMib, 17 * kMib, 1 * kMib}); }}};
  for (const Kind& kind : kinds) {
    kind.make();
    for (PlannedFaults* faults : {&source_faults, &target_faults}) {
      for (Fault::Effect effect : {Fault::Effect::kAsUsual, Fault::Effect::kDone}) {
        for (int at = 1;; at += testing::kSanitized ? 3 : 1) {
          ASSERT_LT(at, 200);
          target_backend->buckets["to"] = {};
          *faults = PlannedFaults();
          faults->fail_at = at;
          faults->effect = effect;
          auto done = Copy();
          EXPECT_EQ(world.memory.reserved_bytes(), 0);
          if (done) ExpectSame();
          bool abort_failed = faults->failed > 1;
          if (!abort_failed) {
            // An upload whose create was answered by an error is not known to us; the store's
            // lifecycle or the janitor finds it. All others are aborted.
            bool create_lost = !done && effect == Fault::Effect::kDone &&
                               done.error().message.find("planned") != std::string::npos;
            if (!create_lost) {
              EXPECT_TRUE(target_backend->buckets["to"].uploads.empty()) << kind.name << " " << at;
            }
          }
          if (faults->failed == 0) {
            EXPECT_TRUE(done);
            break;
          }
        }
        *faults = PlannedFaults();
      }
    }
  }
}

class CopyInLittleMemoryTest : public CopyObjectTest {
 protected:
  CopyInLittleMemoryTest() : CopyObjectTest(64 << 20) {}
};

// What lists, sorts and reads a vault gives its memory back when all is copied: a part that waits
// for it would wait for ever.
TEST_F(CopyInLittleMemoryTest, PartsFindRoomBesideWhatIsHeldMeanwhile) {
  auto held = world.Run(world.memory.Reserve(40 << 20));
  ASSERT_TRUE(held);
  const uint64_t large = 24 * kMib + 1;
  PutMultipartSource(Pattern(large + kMib), {large, kMib});
  auto done = Copy();
  ASSERT_TRUE(done) << done.error().Describe();
  ExpectSame();
  EXPECT_TRUE(target_backend->buckets["to"].uploads.empty());
}

TEST_F(CopyInLittleMemoryTest, PartsThatMayNeverFindRoomAreRefused) {
  PutSource(Pattern(30 * kMib));
  CopyOptions options{.multipart_threshold_bytes = 1, .part_size_bytes = 24 * kMib + 1};
  auto refused = Copy(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(refused.error().message.contains("--memory")) << refused.error().message;
  --options.part_size_bytes;
  ASSERT_TRUE(Copy(options));
  ExpectTidy();
}

TEST(CopyPlan, PartCountOfEtag) {
  EXPECT_EQ(PartCountOfEtag("d41d8cd98f00b204e9800998ecf8427e-12"), 12);
  EXPECT_EQ(PartCountOfEtag("d41d8cd98f00b204e9800998ecf8427e"), std::nullopt);
  EXPECT_EQ(PartCountOfEtag("d41d8cd98f00b204e9800998ecf8427e-"), std::nullopt);
  EXPECT_EQ(PartCountOfEtag("d41d8cd98f00b204e9800998ecf8427e-0"), std::nullopt);
  EXPECT_EQ(PartCountOfEtag("file.12.1700000000.5.77"), std::nullopt);
}

// 10,000 parts is the limit of S3: a size that needs one more cannot be uploaded.
TEST(CopyPlan, OwnPartsNeverExceedTheLimit) {
  Capabilities target;
  for (uint64_t size :
       {uint64_t{1}, 16 * kMib, 160'000 * kMib, 160'000 * kMib + 1, 5'000'000 * kMib}) {
    uint64_t part = OwnPartSize(size, target);
    EXPECT_GE(part, 16 * kMib);
    EXPECT_LE(EqualParts(size, part).size(), 10'000U);
  }
}

// 8 MiB parts are what the AWS CLI makes; a wrong guess costs a second copy.
TEST(CopyPlan, GuessesEvenParts) {
  EXPECT_EQ(GuessPartSize(100 * kMib, 13), 8 * kMib);
  EXPECT_EQ(GuessPartSize(100 * kMib, 7), 15 * kMib);
  EXPECT_EQ(GuessPartSize(10, 2), 0U);
}

// Not even an empty object can be copied by a store that does not copy.
TEST(CopyPlanTest, AStoreThatDoesNotCopyIsNotAsked) {
  CopyShape shape{.one_store = true, .target = {}};
  EXPECT_EQ(ChooseRoute(shape), CopyRoute::kServerCopy);
  shape.target.copy_size_bytes_max = 0;
  EXPECT_EQ(ChooseRoute(shape), CopyRoute::kBuffer);
}

// A PUT that the target refuses for its size would fail at every try.
TEST(CopyPlanTest, WhatNoPutMayCarryGoesInParts) {
  for (const std::optional<uint64_t> threshold :
       {std::optional<uint64_t>(), std::optional<uint64_t>(UINT64_MAX)}) {
    CopyShape shape{.size_bytes = 8 * kMib + 1,
                    .etag = "d41d8cd98f00b204e9800998ecf8427e",
                    .multipart_threshold_bytes = threshold,
                    .target = {}};
    EXPECT_EQ(ChooseRoute(shape), CopyRoute::kBuffer);
    shape.target.put_size_bytes_max = 8 * kMib;
    EXPECT_EQ(ChooseRoute(shape), CopyRoute::kParts);
    shape.size_bytes = 8 * kMib;
    EXPECT_EQ(ChooseRoute(shape), CopyRoute::kBuffer);
    shape.target.put_size_bytes_max = 40 * kMib;
    shape.size_bytes = 40 * kMib;
    EXPECT_EQ(ChooseRoute(shape), CopyRoute::kStream);
    ++shape.size_bytes;
    EXPECT_EQ(ChooseRoute(shape), CopyRoute::kParts);
  }
}

// A large download goes in parts, or a kill would throw all of it away.
TEST(CopyPlanTest, WhatIsLargeGoesToAPlainFolderInParts) {
  constexpr std::string_view kMd5 = "d41d8cd98f00b204e9800998ecf8427e";
  constexpr std::string_view kOfParts = "d41d8cd98f00b204e9800998ecf8427e-12";
  CopyShape shape{.size_bytes = 65 * kMib, .etag = kOfParts, .places_parts = true, .target = {}};
  shape.target.put_size_bytes_max = UINT64_MAX;
  shape.target.copy_size_bytes_max = 0;
  EXPECT_EQ(ChooseRoute(shape), CopyRoute::kParts);
  shape.size_bytes = 64 * kMib;
  EXPECT_EQ(ChooseRoute(shape), CopyRoute::kStream);
  shape.size_bytes = 1 << 20;
  EXPECT_EQ(ChooseRoute(shape), CopyRoute::kBuffer);
  // An MD5 of the whole is not made of parts.
  shape = {.size_bytes = 65 * kMib, .etag = kMd5, .places_parts = true, .target = shape.target};
  EXPECT_EQ(ChooseRoute(shape), CopyRoute::kStream);
  shape.has_checksum = true;
  EXPECT_EQ(ChooseRoute(shape), CopyRoute::kParts);
  shape.has_checksum = false;
  shape.size_bytes = 1025 * kMib;
  EXPECT_EQ(ChooseRoute(shape), CopyRoute::kParts);
  // Whoever has no State for it, as the workers of a migration, asks for one stream.
  shape.multipart_threshold_bytes = UINT64_MAX;
  EXPECT_EQ(ChooseRoute(shape), CopyRoute::kStream);
}

}  // namespace
}  // namespace longhaul
