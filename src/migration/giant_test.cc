#include "migration/giant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/migration_world.h"
#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

using migration::RunStatus;
using testing::Fault;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MemoryStore;
using testing::MigrationWorld;
using testing::StoreOperation;

constexpr size_t kPart = 1000;

// Counts, delays, and does something at one of the calls.
class Script : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view key) override {
    Fault fault;
    fault.delay = delay;
    const int number = ++calls[operation];
    if (operation == at && number == when) fault.delay += delay_then;
    if (operation == at && number == when && then) then();
    if (operation == StoreOperation::kGet && number == corrupts) fault.corrupt_body_at_byte = 7;
    if (operation == at && error && (key == bad_key || bad_key.empty()) && times-- > 0) {
      fault.error = error;
      fault.effect = effect;
    }
    return fault;
  }
  std::chrono::nanoseconds delay{0};
  StoreOperation at = StoreOperation::kGet;
  int when = 0;
  std::chrono::nanoseconds delay_then{0};
  std::function<void()> then;
  std::string bad_key;
  std::optional<Error> error;
  Fault::Effect effect = Fault::Effect::kAsUsual;
  int corrupts = 0;  // The GET that brings a wrong byte.
  int times = INT32_MAX;
  std::map<StoreOperation, int> calls;
};

class MigrationGiantTest : public ::testing::Test {
 protected:
  MigrationGiantTest() { Prepare(world); }

  static void Prepare(MigrationWorld& world) {
    for (auto& backend : {world.source, world.target}) {
      backend->options.capabilities.part_size_bytes_min = 1;
    }
    world.migration.options.giant_bytes = 5 * kPart;
    world.migration.options.part_bytes = kPart;
    world.migration.options.range_bytes = 2 * kPart;
  }
  static std::string Bytes(size_t size, char first) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i)
      bytes[i] = static_cast<char>(first + static_cast<char>(i % 23));
    return bytes;
  }
  static void ExpectDone(MigrationWorld& world, const std::string& what = "") {
    EXPECT_EQ(world.AtTarget(), world.AtSource()) << what;
    EXPECT_THAT(world.Leftovers(), IsEmpty()) << what;
    EXPECT_TRUE(world.target->buckets["to"].uploads.empty()) << what;
  }
  // Writes the object again, as whoever uses the source does.
  void Overwrite(const std::string& name, std::string text) {
    MemoryStoreWrite(world, name, std::move(text));
  }
  static void MemoryStoreWrite(MigrationWorld& world, const std::string& name, std::string text) {
    // At the server itself: this is called in the midst of a request of somebody else.
    auto& versions = world.source->buckets["from"].objects["in/" + name];
    auto version = versions.back();
    version.bytes = std::make_shared<const std::string>(text);
    version.info.etag = HexEncode(Md5(text));
    version.info.size_bytes = text.size();
    version.info.checksums.clear();
    version.info.last_modified = world.base.clock.Now();
    versions.back() = version;
  }
  // At the server itself; all parts but the last one of the same size.
  void PutInParts(const std::shared_ptr<testing::MemoryStoreBackend>& server, PutRequest request,
                  std::string_view bytes, size_t part_bytes) {
    MemoryStore store(world.base.runtime, server);
    auto upload = world.base.Run(store.CreateMultipart(std::move(request)));
    ASSERT_TRUE(upload);
    CompleteRequest complete{.upload = *upload};
    for (int number = 1; !bytes.empty(); ++number) {
      MemorySource body(bytes.substr(0, part_bytes));
      auto part = world.base.Run(store.UploadPart(*upload, number, body));
      ASSERT_TRUE(part);
      complete.parts.push_back(*part);
      bytes.remove_prefix(std::min(part_bytes, bytes.size()));
    }
    ASSERT_TRUE(world.base.Run(store.CompleteMultipart(std::move(complete))));
  }
  MigrationWorld world;
};

TEST_F(MigrationGiantTest, RangesCoverTheObject) {
  migration::GiantRow row{.size_bytes = 10 * kPart + 1, .part_bytes = kPart, .range_parts = 3};
  EXPECT_EQ(row.parts(), 11U);
  EXPECT_EQ(row.ranges(), 4U);
  uint64_t sum = 0;
  for (uint32_t range = 0; range < row.ranges(); ++range) sum += row.RangeBytes(range);
  EXPECT_EQ(sum, row.size_bytes);
  EXPECT_EQ(row.RangeBytes(3), kPart + 1);
  EXPECT_EQ(row.EndPart(3), 12U);
  EXPECT_EQ(row.RangeOfPart(11).size_bytes, 1U);
  Result<migration::GiantRow> read =
      migration::DecodeGiant({.value = migration::EncodeGiant([&] {
                                migration::GiantRow full = row;
                                full.plan = "01PLAN";
                                full.checksum = Checksum{.value = "AAAAAAAAAAA="};
                                return full;
                              }())});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->range_parts, 3U);
  EXPECT_EQ(read->checksum->value, "AAAAAAAAAAA=");
}

// One object is carried by all workers: each sends some of its parts, one completes it.
TEST_F(MigrationGiantTest, ManyWorkersCarryOneObject) {
  world.PutSource("big", Bytes(40 * kPart + 7, 'a'));
  world.PutSource("small", "x");
  Script source;
  source.delay = std::chrono::milliseconds(20);
  world.source_faults = &source;
  ASSERT_TRUE(world.Start());
  for (int i = 0; i < 3; ++i) world.StartWorker({.in_flight = 2});
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone(world);
  // (Two that begin it at once create one each, and one of these goes.)
  EXPECT_LE(world.target->count(StoreOperation::kCreateMultipart), 3);
  EXPECT_EQ(world.target->count(StoreOperation::kUploadPart), 41);
  int shares = 0;
  for (auto& process : world.processes) {
    for (const auto& [run, meter] : process->worker.meters()) shares += meter.bytes > 5000 ? 1 : 0;
  }
  EXPECT_EQ(shares, 3);
  RunStatus status = world.Status();
  EXPECT_EQ(status.done.copied, 2);
  EXPECT_EQ(status.done.bytes, static_cast<int64_t>(40 * kPart + 8));
}

// Each range is described by a HEAD, and not every server's HEAD tells of tags.
TEST_F(MigrationGiantTest, TagsThatNoHeadTellsOfAreCarried) {
  world.source->options.heads_tell_tags = false;
  MemoryStore store(world.base.runtime, world.source);
  const Tags tags{{"tier", "hot"}};
  ASSERT_TRUE(world.base.Run(
      PutText(store, {.bucket = "from", .key = "in/big", .tags = tags}, Bytes(10 * kPart, 'a'))));
  ASSERT_TRUE(world.Start());
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone(world);
  EXPECT_EQ(world.target->count(StoreOperation::kCreateMultipart), 1);
  EXPECT_EQ(world.target->Find("to", "out/big")->tags, tags);
}

// Some stores forget the tags of an upload, and they are set after its completion: whoever failed
// between the two left a giant that looks settled.
TEST_F(MigrationGiantTest, TagsThatNobodyCameToSetAreSet) {
  world.target->options.uploads_take_tags = false;
  MemoryStore store(world.base.runtime, world.source);
  const Tags tags{{"tier", "hot"}};
  ASSERT_TRUE(world.base.Run(
      PutText(store, {.bucket = "from", .key = "in/big", .tags = tags}, Bytes(10 * kPart, 'a'))));
  Script target;
  target.at = StoreOperation::kCompleteMultipart;
  target.error = Retryable("the tags were not set");
  target.effect = Fault::Effect::kDone;
  target.times = 1;
  world.target_faults = &target;
  ASSERT_TRUE(world.Start());
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone(world);
  EXPECT_EQ(world.target->count(StoreOperation::kUploadPart), 10);
  EXPECT_EQ(world.target->Find("to", "out/big")->tags, tags);
}

// Doubled messages of ranges cost no byte: bits in State say what is there.
TEST_F(MigrationGiantTest, DoubledRangesSendNothingTwice) {
  world.queue_faults.duplicates = 0.5;
  world.PutSource("big", Bytes(20 * kPart, 'a'));
  ASSERT_TRUE(world.Start());
  for (int i = 0; i < 2; ++i) world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone(world);
  EXPECT_EQ(world.target->count(StoreOperation::kUploadPart), 20);
}

// The source changes while it is carried: that transfer comes to nothing, its upload goes, and what
// arrives is the new object, never a mixture.
TEST_F(MigrationGiantTest, SourceThatChangesIsCarriedAnew) {
  for (int when : {1, 5, 12, 20, 21}) {
    MigrationWorld one(static_cast<uint64_t>(when));
    Prepare(one);
    one.PutSource("big", Bytes(20 * kPart, 'a'));
    Script script;
    script.delay = std::chrono::milliseconds(5);
    script.at = when == 21 ? StoreOperation::kCompleteMultipart : StoreOperation::kGet;
    script.when = when == 21 ? 1 : when;
    script.then = [&] { MemoryStoreWrite(one, "big", Bytes(20 * kPart, 'b')); };
    (when == 21 ? one.target_faults : one.source_faults) = &script;
    ASSERT_TRUE(one.Start());
    for (int i = 0; i < 2; ++i) one.StartWorker({.in_flight = 2});
    ASSERT_TRUE(one.Drive([&] { return one.Finished(); })) << when;
    ExpectDone(one, "changed at " + std::to_string(when));
    EXPECT_EQ(one.Status().done.copied, 1);
  }
}

// All of its parts are there, and another start finds a small object that is newer. Where the
// source was put in parts, what lies at the target then has the size and the ETag that the task was
// made of.
TEST_F(MigrationGiantTest, ALateCompletionDoesNotAgeAnObject) {
  for (const bool in_parts : {false, true}) {
    MigrationWorld one(in_parts ? 2 : 1);
    Prepare(one);
    if (in_parts) {
      one.migration.options.part_bytes = 0;
      PutInParts(one.source, {.bucket = "from", .key = "in/big"}, Bytes(20 * kPart, 'a'), kPart);
    } else {
      one.PutSource("big", Bytes(20 * kPart, 'a'));
    }
    Script slow;
    slow.at = StoreOperation::kCompleteMultipart;
    slow.when = 1;
    slow.delay_then = std::chrono::seconds(5);
    one.target_faults = &slow;
    ASSERT_TRUE(one.Start());
    one.StartWorker();
    ASSERT_TRUE(one.Drive([&] { return slow.calls.contains(slow.at); }));
    one.target_faults = nullptr;
    one.StartWorker();
    one.PutSource("big", "small");
    ASSERT_TRUE(one.Start());
    ASSERT_TRUE(one.Drive([&] { return one.Finished(); })) << in_parts;
    ExpectDone(one, in_parts ? "in parts" : "at once");
    EXPECT_EQ(one.Status().failed, 0);
  }
}

// The same where another state of equal size is one for finders: not for who carries it anew.
TEST_F(MigrationGiantTest, ALateCompletionIsNotTheSourceBySize) {
  world.migration.options.compare.size_only = true;
  world.PutSource("big", Bytes(20 * kPart, 'a'));
  Script slow;
  slow.at = StoreOperation::kCompleteMultipart;
  slow.when = 1;
  slow.delay_then = std::chrono::seconds(5);
  slow.then = [&] { Overwrite("big", Bytes(20 * kPart, 'A')); };
  world.target_faults = &slow;
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  ExpectDone(world);
  EXPECT_EQ(world.Status().failed, 0);
}

// It is all there, and nobody may look whether the source still is so.
TEST_F(MigrationGiantTest, ASourceThatMayNotBeLookedAtAgainIsAFailure) {
  world.PutSource("big", Bytes(20 * kPart, 'a'));
  Script denied;
  denied.at = StoreOperation::kHead;
  denied.error = Error{.kind = ErrorKind::kDenied, .message = "no more"};
  denied.times = 0;
  world.source_faults = &denied;
  Script completion;
  completion.at = StoreOperation::kCompleteMultipart;
  completion.when = 1;
  completion.then = [&] { denied.times = INT32_MAX; };
  world.target_faults = &completion;
  ASSERT_TRUE(world.Start());
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.Status().failed, 1);
}

// One that never stands still is given up with its reason, and leaves no upload.
TEST_F(MigrationGiantTest, SourceThatKeepsChangingIsGivenUp) {
  world.PutSource("big", Bytes(20 * kPart, 'a'));
  Script script;
  script.delay = std::chrono::milliseconds(5);
  char next = 'b';
  std::function<void()> change = [&] {
    Overwrite("big", Bytes(20 * kPart, next++));
    script.when += 7;
  };
  script.when = 7;
  script.then = change;
  world.source_faults = &script;
  ASSERT_TRUE(world.Start());
  world.StartWorker({.in_flight = 2});
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.Status().failed, 1);
  EXPECT_TRUE(world.AtTarget().empty());
  EXPECT_TRUE(world.target->buckets["to"].uploads.empty());
  EXPECT_THAT(world.Leftovers(), IsEmpty());
}

TEST_F(MigrationGiantTest, SourceThatGoesIsGone) {
  world.PutSource("big", Bytes(20 * kPart, 'a'));
  Script script;
  script.delay = std::chrono::milliseconds(5);
  script.when = 9;
  script.then = [&] { world.source->buckets["from"].objects.erase("in/big"); };
  world.source_faults = &script;
  ASSERT_TRUE(world.Start());
  world.StartWorker({.in_flight = 2});
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.Status().gone, 1);
  EXPECT_EQ(world.Status().failed, 0);
  ExpectDone(world);
}

// A part that cannot be read ends the transfer with its reason; its upload does not stay.
TEST_F(MigrationGiantTest, RangeThatFailsEndsTheTransfer) {
  world.PutSource("big", Bytes(20 * kPart, 'a'));
  Script script;
  script.at = StoreOperation::kUploadPart;
  script.bad_key = "out/big";
  script.error = Error{.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
  world.target_faults = &script;
  ASSERT_TRUE(world.Start());
  world.StartWorker();
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  EXPECT_EQ(world.Status().failed, 1);
  EXPECT_TRUE(world.target->buckets["to"].uploads.empty());
  EXPECT_THAT(world.Leftovers(), IsEmpty());
}

// Somebody aborts the upload behind our back: the object is carried anew.
TEST_F(MigrationGiantTest, UploadThatIsRemovedIsBegunAnew) {
  world.PutSource("big", Bytes(20 * kPart, 'a'));
  Script script;
  script.delay = std::chrono::milliseconds(5);
  script.when = 8;
  script.then = [&] { world.target->buckets["to"].uploads.clear(); };
  world.source_faults = &script;
  ASSERT_TRUE(world.Start());
  world.StartWorker({.in_flight = 2});
  ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
  ExpectDone(world);
  EXPECT_EQ(world.Status().failed, 0);
}

// A target often holds an earlier copy: the same bytes in the same parts, and other metadata. When
// the completion has failed, or is said to have been done and was not, it must not pass for what
// was carried.
class MigrationEarlierCopyTest : public MigrationGiantTest {
 protected:
  MigrationEarlierCopyTest() {
    const std::string bytes = Bytes(20 * kPart, 'a');
    PutInParts(world.target, {.bucket = "to", .key = "out/big", .metadata = {{"colour", "old"}}},
               bytes, kPart);
    world.base.clock.Advance(std::chrono::hours(1));
    world.PutSource("big", bytes);
  }
  void ExpectCarried() {
    ASSERT_TRUE(world.Start());
    world.StartWorker({.in_flight = 2});
    ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
    ExpectDone(world);
    EXPECT_EQ(world.target->Find("to", "out/big")->info.metadata.count("colour"), 0u);
    EXPECT_EQ(world.Status().done.copied, 1);
  }
};

TEST_F(MigrationEarlierCopyTest, IsNotTheTransferThatFailed) {
  Script script;
  script.at = StoreOperation::kCompleteMultipart;
  script.when = 1;
  script.then = [&] { world.target->buckets["to"].uploads.clear(); };
  world.target_faults = &script;
  ExpectCarried();
}

TEST_F(MigrationEarlierCopyTest, IsNotTheTransferThatIsSaidToBeDone) {
  world.target_lies = 1;
  ExpectCarried();
  EXPECT_EQ(world.target_lies, 0);
}

// Objects whose ETag is all that there is to verify by, in parts of a size that is kept.
class MigrationEtagTest : public MigrationGiantTest {
 protected:
  static constexpr size_t kLargePart = 16 << 20;

  void Carry(int workers) {
    world.migration.options.part_bytes = 0;
    PutInParts(world.source, {.bucket = "from", .key = "in/big"}, Bytes(3 * kLargePart, 'a'),
               kLargePart);
    world.source->buckets["from"].objects["in/big"].back().info.checksums.clear();
    ASSERT_TRUE(world.Start());
    for (int i = 0; i < workers; ++i) world.StartWorker({.in_flight = 1});
    ASSERT_TRUE(world.Drive([&] { return world.Finished(); }));
    ExpectDone(world);
    EXPECT_EQ(world.Status().failed, 0);
  }
};

TEST_F(MigrationEtagTest, PartsAreSentOnce) {
  Carry(3);
  EXPECT_EQ(world.target->count(StoreOperation::kUploadPart), 3);
}

// Under SSE-KMS the ETags of parts only look like MD5s: taken for them, each giant is sent twice.
TEST_F(MigrationEtagTest, UnderKmsPartsAreSentOnce) {
  world.target->options.encrypts_by_kms = true;
  Carry(3);
  EXPECT_EQ(world.target->count(StoreOperation::kUploadPart), 3);
}

// Whoever completes it has mostly not sent all of it; that its ETags prove nothing must not mean
// that nothing is proved.
TEST_F(MigrationEtagTest, UnderKmsChangedBytesAreNoticed) {
  world.target->options.encrypts_by_kms = true;
  Script source;
  source.corrupts = 1;
  world.source_faults = &source;
  Carry(1);
  EXPECT_EQ(world.target->count(StoreOperation::kCreateMultipart), 2);
}

// Nobody knows the ETag of the whole before it is there: what was carried would count as changed,
// and then as equal.
TEST_F(MigrationEtagTest, UnderKmsACompletionWithoutAnAnswerIsFoundDone) {
  world.target->options.encrypts_by_kms = true;
  Script target;
  target.at = StoreOperation::kCompleteMultipart;
  target.error = Retryable("the answer is lost");
  target.effect = Fault::Effect::kDone;
  target.times = 1;
  world.target_faults = &target;
  Carry(1);
  EXPECT_EQ(world.target->count(StoreOperation::kUploadPart), 3);
  EXPECT_EQ(world.Status().done.copied, 1);
}

// Two workers may send one part: the ETag that is recorded is then perhaps not that of the later
// one.
TEST_F(MigrationEtagTest, UnderKmsAPartThatCameAgainIsNoFailure) {
  world.target->options.encrypts_by_kms = true;
  Script target;
  target.at = StoreOperation::kCompleteMultipart;
  target.when = 1;
  target.then = [&] {
    auto& parts = world.target->buckets["to"].uploads.begin()->second.parts;
    parts.at(2).etag = std::string(32, '0');
  };
  world.target_faults = &target;
  Carry(1);
  EXPECT_EQ(world.target->count(StoreOperation::kCreateMultipart), 2);
}

// There is no ETag to keep: the second attempt would find that out, at the price of the first.
TEST_F(MigrationEtagTest, WhereEtagsAreNoMd5sGiantsAreCutOurWay) {
  world.target->options.part_rules.etags_of_md5 = false;
  Carry(1);
  EXPECT_EQ(world.target->count(StoreOperation::kCreateMultipart), 1);
}

TEST_F(MigrationEtagTest, SourcesUnderKmsAreCutOurWay) {
  world.source->options.encrypts_by_kms = true;
  Carry(1);
  EXPECT_EQ(world.target->count(StoreOperation::kCreateMultipart), 1);
}

// Nobody works on a run for longer than an upload that nobody wants is kept. What is done of it is
// not sent again, so the upload has to be there; and where it is not, the object is begun anew.
TEST_F(MigrationGiantTest, ARunThatStoodStillForWeeksGoesOn) {
  for (const bool forgotten : {false, true}) {
    MigrationWorld one;
    Prepare(one);
    one.PutSource("big", Bytes(20 * kPart, 'a'));
    ASSERT_TRUE(one.Start());
    auto& victim = one.StartWorker({.in_flight = 1});
    const auto ranges_done = [&] {
      return std::ranges::count_if(
          one.state->rows, [](const auto& row) { return row.first.second.starts_with("done/"); });
    };
    ASSERT_TRUE(one.Drive([&] { return ranges_done() >= 4; }));
    one.Kill(victim);
    one.base.clock.Advance(std::chrono::days(15));
    if (forgotten) {
      std::erase_if(one.state->rows, [](const auto& row) {
        return row.first.first.starts_with("migration uploads/");
      });
    }
    // Uploads are swept once a minute.
    Script slow;
    slow.delay = std::chrono::seconds(40);
    one.source_faults = &slow;
    ASSERT_TRUE(one.Start());
    one.StartWorker({.in_flight = 1});
    ASSERT_TRUE(one.Drive([&] { return one.Finished(); }, std::chrono::hours(3)));
    EXPECT_EQ(one.AtTarget(), one.AtSource());
    EXPECT_EQ(one.Status().failed, 0);
    if (!forgotten) {
      ExpectDone(one);
      EXPECT_EQ(one.target->count(StoreOperation::kCreateMultipart), 1);
    }
  }
}

// A worker that dies between any two steps of a giant: nothing is lost, no upload is left, and the
// parts that were there are not sent again.
TEST_F(MigrationGiantTest, KillAtEachStep) {
  int kills = 0;
  for (int at = 1;; at = at * (testing::kSanitized ? 26 : 21) / 20 + 1) {
    MigrationWorld one(static_cast<uint64_t>(at));
    Prepare(one);
    one.PutSource("big", Bytes(12 * kPart, 'a'));
    one.PutSource("small", "x");
    ASSERT_TRUE(one.Start());
    auto& victim = one.StartWorker({.in_flight = 2});
    int steps = 0;
    one.Drive([&] { return ++steps > at || one.Finished(); });
    if (one.Finished()) break;
    ++kills;
    one.Kill(victim);
    auto& heir = one.StartWorker();
    ASSERT_TRUE(one.Drive([&] { return one.Finished(); })) << "killed at " << at;
    // An upload whose creation nobody noted is swept when its creator has been silent for long.
    one.Drive([&] { return one.target->buckets["to"].uploads.empty() && one.Leftovers().empty(); },
              std::chrono::minutes(10));
    ExpectDone(one, "killed at " + std::to_string(at));
    EXPECT_EQ(one.Status().failed + one.Status().gone, 0) << "killed at " << at;
    EXPECT_LE(one.target->count(StoreOperation::kUploadPart), 12 + 4) << "killed at " << at;
    heir.stop.Set();
    one.Drive([&] { return !heir.running; });
  }
  EXPECT_GT(kills, testing::kSanitized ? 10 : 40);
}

// Queue and State fail now and then, messages come twice, workers die: all of it at once.
TEST_F(MigrationGiantTest, FaultsAndKills) {
  for (uint64_t seed = 1; seed <= (testing::kSanitized ? 3 : 15); ++seed) {
    MigrationWorld one(seed);
    Prepare(one);
    // A part that two have sent then has another ETag than the one of them has recorded.
    one.target->options.encrypts_by_kms = seed % 2 == 0;
    one.migration.options.tries_max = 50;
    for (testing::FakeFaults* faults : {&one.queue_faults, &one.state_faults}) {
      faults->fails_before = 0.02;
      faults->fails_after = 0.02;
      faults->duplicates = 0.1;
    }
    Script source;
    source.delay = std::chrono::milliseconds(10);
    one.source_faults = &source;
    for (int i = 0; i < 30; ++i) one.PutSource(std::to_string(i), std::to_string(i));
    one.PutSource("big", Bytes(25 * kPart, 'a'));
    one.PutSource("bigger", Bytes(35 * kPart + 1, 'c'));
    ASSERT_TRUE(one.Start());
    for (int i = 0; i < 3; ++i) one.StartWorker({.in_flight = 3});
    for (int kill = 0; kill < 6 && !one.Finished(); ++kill) {
      const SystemTime next =
          one.base.clock.Now() + std::chrono::milliseconds(one.base.random.Below(4000));
      one.Drive([&] { return one.base.clock.Now() >= next || one.Finished(); });
      one.Kill(*one.processes[one.base.random.Below(one.processes.size())]);
      one.StartWorker({.in_flight = 3});
    }
    ASSERT_TRUE(one.Drive([&] { return one.Finished(); })) << "seed " << seed;
    one.Drive([&] { return one.target->buckets["to"].uploads.empty() && one.Leftovers().empty(); },
              std::chrono::minutes(15));
    ExpectDone(one, "seed " + std::to_string(seed));
    for (const auto& [key, row] : one.state->rows) {
      if (key.second.starts_with("object/")) ADD_FAILURE() << key.second << row.value;
    }
  }
}

}  // namespace
}  // namespace longhaul
