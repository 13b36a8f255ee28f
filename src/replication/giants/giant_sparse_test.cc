// Giants of S3's largest size, 5 TiB, on stores that hold no bytes of them (sparse_content.h), with
// the limits of production.

#include <gtest/gtest.h>

#include <algorithm>

#include "replication/giants/giant.h"
#include "replication/make_context.h"
#include "replication/memory_plan.h"
#include "replication/source/pack.h"
#include "tests/support/replication_world.h"
#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeFaults;
using testing::FakeQueue;
using testing::FakeState;
using testing::Fault;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::SparseRange;
using testing::StoreOperation;

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kObjectBytes = 5ULL << 40;
// The smallest whole MiB with which 10,000 parts are enough.
constexpr uint64_t kPartBytes = 525 * kMebibyte;
constexpr size_t kSegments = 9'987;
// DynamoDB's row is 400 KB and SQS' message 256 KiB; what one row or message of a giant takes
// should be far from both, whatever else has to go into them later.
constexpr size_t kRowBytesMax = 16 << 10;
constexpr size_t kMessageBytesMax = 2 << 10;

class SparseGiantTest : public ::testing::Test {
 protected:
  void SetUp() override { Make(); }

  void Make() {
    world = std::make_unique<ReplicationWorld>();
    world->limits = {};
    world->target().backend->options.sparse_part_bytes_min = kMebibyte;
    MemoryStore direct(world->runtime, world->source().backend);
    ASSERT_TRUE(direct.PutSparse({.bucket = "in", .key = "film"}, kObjectBytes, kPartBytes));
  }

  // A process whose Queue and State fail as `faults` says.
  void MakeProcess(FakeFaults* faults) {
    queue = std::make_unique<FakeQueue>(world->runtime, world->queue_backend, faults);
    state = std::make_unique<FakeState>(world->runtime, world->state_backend, faults);
    std::map<std::string, Store*> stores;
    for (const auto& [name, troubled] : world->stores) stores[name] = troubled->store.get();
    world->replicator = nullptr;
    auto made = MakeReplicationContext(world->runtime, world->configuration, stores, *queue, *state,
                                       world->observer, world->limits);
    ASSERT_TRUE(made);
    world->context = std::move(*made);
  }

  // What the source role does with a hint of the object, or of a segment of it.
  PackResult Pack(std::optional<SegmentHint> segment = std::nullopt) {
    auto memory = PlanPackMemory(world->limits, 1, 1, 64 * kMebibyte);
    EXPECT_TRUE(memory) << memory.error().Describe();
    PackItem item{.key = "film",
                  .size_bytes = segment ? segment->size_bytes : kObjectBytes,
                  .not_before = world->world.clock.Now(),
                  .segment = std::move(segment)};
    return world->world.Run(
        PackSingle(*world->context, *world->context->rules[0], {0}, std::move(item), *memory));
  }

  // The segments that wait in the Queue, by the plans they are of.
  std::map<std::string, std::vector<SegmentHint>> Queued() {
    std::map<std::string, std::vector<SegmentHint>> plans;
    for (const std::string& body : world->queue_backend->Bodies()) {
      EXPECT_LE(body.size(), kMessageBytesMax);
      Result<HintMessage> message = DecodeHints(body);
      if (!message) {
        ADD_FAILURE() << message.error().Describe();
        continue;
      }
      for (Hint& hint : message->hints) {
        if (!hint.segment) continue;
        EXPECT_EQ(message->hints.size(), 1u) << "nobody could share these";
        plans[hint.segment->segment.plan].push_back(std::move(*hint.segment));
      }
    }
    return plans;
  }

  // Each byte of the object is in one of them, once.
  static void ExpectWhole(std::vector<SegmentHint> segments) {
    std::ranges::sort(segments, {}, [](const SegmentHint& hint) { return hint.segment.number; });
    ASSERT_EQ(segments.size(), kSegments);
    uint64_t offset = 0;
    for (size_t i = 0; i < segments.size(); ++i) {
      const SegmentHint& hint = segments[i];
      ASSERT_EQ(hint.segment.number, i);
      ASSERT_EQ(hint.segment.count, kSegments);
      ASSERT_EQ(hint.segment.offset_bytes, offset);
      ASSERT_EQ(hint.segment.first_part, i + 1) << "S3 numbers parts from 1 to 10,000";
      ASSERT_EQ(hint.part_size_bytes, kPartBytes);
      offset += hint.size_bytes;
    }
    EXPECT_EQ(offset, kObjectBytes);
  }

  void ExpectSmallRows() const {
    for (const auto& [place, row] : world->state_backend->rows) {
      EXPECT_LE(row.value.size(), kRowBytesMax) << place.first << " " << place.second;
    }
  }

  std::optional<Transfer> Known() {
    const Rule& rule = world->configuration.rules[0];
    Transfers transfers(world->state, rule, rule.targets[0]);
    return *world->world.Run(transfers.Find("film"));
  }

  std::unique_ptr<ReplicationWorld> world;
  std::unique_ptr<FakeQueue> queue;
  std::unique_ptr<FakeState> state;
};

// A plan that is too large for a message, a row or the memory would stop at the largest objects;
// and a process that takes all of it shares with nobody.
TEST_F(SparseGiantTest, FiveTebibytesArePlannedByTheSourceRole) {
  int gets = 0;
  world->source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    Fault fault;
    // The first look; then no segment is read, which would take hours.
    if (operation == StoreOperation::kGet && ++gets > 1) fault.delay = 10h;
    return fault;
  };
  world->Start({.target = false});
  world->world.Drive([&] { return world->log.Has("a giant travels in segments"); });
  auto plans = Queued();
  ASSERT_EQ(plans.size(), 1u);
  ExpectWhole(plans.begin()->second);
  ExpectSmallRows();
  std::optional<Transfer> known = Known();
  ASSERT_TRUE(known);
  EXPECT_EQ(known->plan, plans.begin()->first);
  EXPECT_EQ(world->source().backend->bytes_read, 0u) << "planning needs headers alone";
  if (testing::kSanitized) {  // What follows takes ten seconds without.
    world->Stop();
    return;
  }

  // A listing comes by while all of it waits.
  world->replicator->CompareSoon("r");
  world->RunFor(10min);
  plans = Queued();
  ASSERT_EQ(plans.size(), 1u);
  ExpectWhole(plans.begin()->second);
  // The rest is there for other processes, also for those that start later.
  int taken = 0;
  for (const auto& [id, message] : world->queue_backend->rows) {
    if (message.lane != SegmentLane("r")) continue;
    taken += message.in_flight ? 1 : 0;
    EXPECT_LE(message.receive_count, 2) << "it would become a dead letter";
  }
  EXPECT_LE(taken, 6);
  EXPECT_GT(taken, 0);
  EXPECT_LE(world->world.memory.peak_bytes(), world->world.memory.limit_bytes());
  world->Stop();
}

// Whatever fails while it is planned, or dies then: the hint comes back, all of one plan is in the
// Queue in the end, once, and no hint after that begins another one.
TEST_F(SparseGiantTest, APlanIsWholeWhateverFailsMeanwhile) {
  for (bool answer_lost : {false, true}) {
    if (testing::kSanitized && !answer_lost) continue;
    bool untouched = false;
    for (int64_t step = 1; !untouched; ++step) {
      Make();
      FakeFaults faults(1);
      (answer_lost ? faults.fail_after_at : faults.fail_before_at) = step;
      MakeProcess(&faults);
      PackResult first = Pack();
      untouched = faults.failures == 0;
      EXPECT_EQ(first.keys[0].state,
                untouched ? PackedKey::State::kStaged : PackedKey::State::kFailed);
      if (!untouched) {
        EXPECT_TRUE(first.keys[0].error.Transient()) << first.keys[0].error.Describe();
      }
      MakeProcess(nullptr);
      for (int again = 0; again < 2; ++again) {
        EXPECT_EQ(Pack().keys[0].state, PackedKey::State::kStaged) << "step " << step;
      }
      std::optional<Transfer> known = Known();
      ASSERT_TRUE(known);
      auto plans = Queued();
      EXPECT_LE(plans.size(), untouched ? 1u : 2u);
      ExpectWhole(plans[known->plan]);
      ASSERT_LT(step, 10);
    }
  }
}

// At the target: of 9,987 segments three are carried as they are, out of order, the last one first.
// Of the others, which would take an hour, the parts are put at the server itself and recorded as
// whoever applies them does. The ETag tells which range is in which part.
TEST_F(SparseGiantTest, TheLastOfTenThousandSegmentsCompletesTheUpload) {
  MakeProcess(nullptr);
  ASSERT_EQ(Pack().keys[0].state, PackedKey::State::kStaged);
  std::vector<SegmentHint> segments = Queued().begin()->second;
  world->queue_backend->rows.clear();  // This test hands out the work.
  int64_t failed_requests = 0;

  auto carry = [&](uint32_t number, FakeFaults* faults) {
    MakeProcess(nullptr);
    const PackResult packed = Pack(segments[number]);
    EXPECT_EQ(packed.keys[0].state, PackedKey::State::kStaged) << packed.keys[0].error.Describe();
    EXPECT_TRUE(packed.targets[0]);
    MakeProcess(faults);
    auto replicator = Replicator::Make(*world->context, {.source = false});
    ASSERT_TRUE(replicator);
    world->replicator = std::move(*replicator);
    OnceResult result = world->world.Run(world->replicator->RunOnce(world->stop));
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
    EXPECT_EQ(result.corrupt_archives, 0);
    if (faults != nullptr) failed_requests += faults->failures;
  };
  auto uploads = [&]() -> auto& { return world->target().backend->buckets["out"].uploads; };
  auto row = [&] {
    return *world->world.Run(world->context->rules[0]->targets[0]->giants->Find("film"));
  };

  carry(kSegments - 1, nullptr);
  ASSERT_EQ(uploads().size(), 1u);
  const std::string upload_id = uploads().begin()->first;
  const auto& parts = uploads().begin()->second.parts;
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts.at(kSegments).sparse,
            (SparseRange{.offset_bytes = (kSegments - 1) * kPartBytes,
                         .size_bytes = kObjectBytes - (kSegments - 1) * kPartBytes}));
  ASSERT_TRUE(row());
  EXPECT_EQ(std::ranges::count(row()->stored, true), 1);
  EXPECT_TRUE(row()->stored[kSegments - 1]);
  if (testing::kSanitized) return;  // Half a minute more, by the same lines as smaller giants.

  // The row of the upload and those of the parts, by the interface that whoever applies them uses.
  TargetContext& target = *world->context->rules[0]->targets[0];
  MemoryStore direct(world->runtime, world->target().backend);
  SharedUpload upload = *row();
  for (uint32_t number = 1; number + 1 < kSegments; ++number) {
    if (number == 7) continue;
    Result<UploadedPart> part = direct.PutSparsePart(
        {.bucket = "out", .key = "film", .upload_id = upload_id}, static_cast<int>(number) + 1,
        {.offset_bytes = number * kPartBytes, .size_bytes = kPartBytes});
    ASSERT_TRUE(part);
    Result<SharedUpload> recorded =
        world->world.Run(target.giants->RecordParts("film", std::move(upload), number, {*part}));
    ASSERT_TRUE(recorded) << recorded.error().Describe();
    upload = std::move(*recorded);
  }
  ExpectSmallRows();

  // State is out of order now and then: what was done before counts all the same.
  FakeFaults faults(3);
  faults.fails_before = 0.01;
  faults.fails_after = 0.01;
  carry(7, &faults);
  EXPECT_TRUE(row()->stored[7]);
  EXPECT_EQ(std::ranges::count(row()->stored, false), 1);
  EXPECT_EQ(world->target().backend->Find("out", "film"), nullptr) << "one is missing";
  carry(0, &faults);
  EXPECT_GT(failed_requests, 0);

  const auto* replica = world->target().backend->Find("out", "film");
  ASSERT_NE(replica, nullptr);
  EXPECT_EQ(replica->info.size_bytes, kObjectBytes);
  EXPECT_EQ(replica->sparse, (SparseRange{.offset_bytes = 0, .size_bytes = kObjectBytes}));
  EXPECT_EQ(replica->info.etag, world->source().backend->Find("in", "film")->info.etag);
  EXPECT_TRUE(uploads().empty());
  for (const std::string& key : world->Staged()) {
    EXPECT_TRUE(key.ends_with(".receipt.json"))
        << key << ": receipts alone are the source's to remove";
  }
  for (const auto& [place, left] : world->state_backend->rows) {
    EXPECT_FALSE(place.first.starts_with("giant")) << place.first << " " << place.second;
  }
  EXPECT_LE(world->world.memory.peak_bytes(), world->world.memory.limit_bytes());
}

}  // namespace
}  // namespace longhaul
