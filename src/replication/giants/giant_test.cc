#include "replication/giants/giant.h"

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

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;

void ExpectWhole(const std::vector<SegmentHint>& segments, uint64_t size, uint64_t part) {
  uint64_t offset = 0;
  uint64_t next_part = 1;
  for (size_t i = 0; i < segments.size(); ++i) {
    const SegmentHint& hint = segments[i];
    ASSERT_EQ(hint.segment.number, i);
    ASSERT_EQ(hint.segment.count, segments.size());
    ASSERT_EQ(hint.segment.object_size_bytes, size);
    ASSERT_EQ(hint.segment.offset_bytes, offset);
    ASSERT_EQ(hint.segment.first_part, next_part);
    ASSERT_EQ(hint.part_size_bytes, part);
    ASSERT_LE(hint.size_bytes, kContentSizeBytesMax);
    if (i + 1 < segments.size()) ASSERT_EQ(hint.size_bytes % part, 0u) << "a part would be cut";
    offset += hint.size_bytes;
    next_part += (hint.size_bytes + part - 1) / part;
  }
  EXPECT_EQ(offset, size);
  EXPECT_LE(next_part - 1, 10'000u) << "no upload has so many parts";
  EXPECT_LE(segments.size(), 10'000u);
}

// Parts that are cut elsewhere than at the source would change the ETag.
TEST(GiantPlanTest, PartsOfTheSourceAreKept) {
  for (uint64_t part : {5 * kMiB, 8 * kMiB, 64 * kMiB, 511 * kMiB, 5 * kGiB}) {
    const uint64_t size = 20 * kGiB + 12'345;
    ExpectWhole(PlanSegments({}, size, part), size, part);
  }
}

// S3's largest object has 10,000 parts at most, whatever parts its source has.
TEST(GiantPlanTest, TheLargestObjectFitsIntoAnUpload) {
  const uint64_t size = 5 * 1024 * kGiB;
  for (uint64_t source_part : {uint64_t{0}, kMiB, 8 * kMiB}) {
    std::vector<SegmentHint> segments = PlanSegments({}, size, source_part);
    ASSERT_FALSE(segments.empty());
    ExpectWhole(segments, size, segments[0].part_size_bytes);
  }
  ExpectWhole(PlanSegments({}, size, 525 * kMiB), size, 525 * kMiB);
  const uint64_t largest = 50'000'000'000'000;
  ExpectWhole(PlanSegments({}, largest, 5'000'000'000), largest, 5'000'000'000);
  ExpectWhole(PlanSegments({}, largest, 0), largest,
              PlanSegments({}, largest, 0)[0].part_size_bytes);
}

// Small segments would cost requests; large ones could not be shared.
TEST(GiantPlanTest, SegmentsHaveHalfAGigabyte) {
  std::vector<SegmentHint> segments = PlanSegments({}, 20 * kGiB, 0);
  EXPECT_EQ(segments.size(), 40u);
  EXPECT_EQ(segments[0].part_size_bytes, 16 * kMiB);
}

// An object beyond one archive must arrive all the same, once, with what belongs to it.
TEST_F(GiantTest, AGiantArrivesWithAllThatBelongsToIt) {
  Make();
  const std::string text = Noise(1'234'567, 1);
  PutParts("film", text, 60'000);
  world->Put("small", "text");
  OnceResult result = world->RunOnce();
  ASSERT_FALSE(result.store_error) << result.store_error->Describe();
  ExpectReplica("film", text);
  EXPECT_EQ(world->target().backend->Find("out", "film")->info.etag,
            world->source().backend->Find("in", "film")->info.etag)
      << "with the source's parts the ETag stays";
  ExpectNothingLeft();
  ASSERT_EQ(world->observer.outcomes.size(), 2u) << "a giant counts once";
  EXPECT_EQ(world->observer.Count(OutcomeState::kApplied), 2);
  uint64_t bytes = 0;
  for (const Outcome& outcome : world->observer.outcomes) bytes += outcome.size_bytes;
  EXPECT_EQ(bytes, text.size() + 4);
}

// In a vault each of its segments is an archive, and it is one object all the same.
TEST_F(GiantTest, AGiantThatIsKeptCountsOnce) {
  Make();
  Target& target = world->configuration.rules[0].targets[0];
  target.to.prefix = "v/";
  target.backup = BackupOptions();
  const std::string text = Noise(1'234'567, 1);
  PutParts("film", text, 60'000);
  ASSERT_FALSE(world->RunOnce().store_error);
  ASSERT_EQ(world->observer.outcomes.size(), 1u);
  EXPECT_EQ(world->observer.outcomes[0].size_bytes, text.size());
  EXPECT_EQ(world->observer.outcomes[0].state, OutcomeState::kApplied);
}

// A source in one part, as a folder has it.
TEST_F(GiantTest, AGiantWithoutPartsArrives) {
  Make();
  const std::string text = Noise(1'000'000, 2);
  world->Put("film", text);
  ASSERT_FALSE(world->RunOnce().store_error);
  ExpectReplica("film", text);
  ExpectNothingLeft();
}

// Reading and packing for each target anew would cost as much again.
TEST_F(GiantTest, OneTransferServesAllTargets) {
  Make(3);
  const std::string text = Noise(1'000'000, 3);
  PutParts("film", text, 50'000);
  int gets = 0;
  world->source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    gets += operation == StoreOperation::kGet ? 1 : 0;
    return Fault();
  };
  ASSERT_FALSE(world->RunOnce().store_error);
  EXPECT_EQ(gets, 1 + 5) << "the first look, and one for each segment";
  for (int i = 0; i < 3; ++i) {
    ExpectReplica("film", text, i);
    ExpectNothingLeft(i);
  }
}

// Half of the old and half of the new would be neither.
TEST_F(GiantTest, AGiantThatChangesMidwayIsTakenAnew) {
  Make();
  PutParts("film", Noise(1'000'000, 4), 50'000);
  const std::string text = Noise(900'000, 5);
  int gets = 0;
  bool changed = false;
  world->source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    if (operation == StoreOperation::kGet && ++gets == 4) changed = true;
    return Fault();
  };
  world->Start();
  world->world.Drive([&] { return changed; });
  PutParts("film", text, 50'000);
  world->RunFor(5min);
  ExpectReplica("film", text);
  world->Stop();
  ExpectNothingLeft();
}

// The same bytes with other metadata have the same ETag: no condition of a request notices that.
TEST_F(GiantTest, AGiantWhoseMetadataChangeMidwayIsTakenAnew) {
  Make();
  world->configuration.rules[0].intake.listing.reset();
  const std::string text = Noise(1'000'000, 4);
  PutParts("film", text, 50'000, "camera");
  int gets = 0;
  bool changed = false;
  world->source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    Fault fault;
    if (operation != StoreOperation::kGet) return fault;
    if (++gets == 3) changed = true;
    if (gets > 3) fault.delay = 1s;  // It changes before these are answered.
    return fault;
  };
  world->RunFor(5s);
  world->Start();
  world->world.Drive([&] { return changed; });
  PutParts("film", text, 50'000, "editor");
  world->RunFor(5min);
  ExpectReplica("film", text);
  world->Stop();
  ExpectNothingLeft();
}

// A giant that is deleted midway, under a rule without deletes, must not leave its parts.
TEST_F(GiantTest, PartsOfAGiantThatIsGoneAreSwept) {
  Make();
  world->configuration.rules[0].deletes = false;
  PutParts("film", Noise(1'000'000, 4), 50'000);
  int gets = 0;
  world->source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    gets += operation == StoreOperation::kGet ? 1 : 0;
    return Fault();
  };
  world->Start();
  world->world.Drive([&] {
    const auto& uploads = world->target().backend->buckets["out"].uploads;
    return gets >= 4 && !uploads.empty();
  });
  MemoryStore direct(world->runtime, world->source().backend);
  ASSERT_TRUE(world->world.Run(direct.Remove({.bucket = "in", .key = "film"})));
  world->RunFor(10min);
  EXPECT_TRUE(world->Replicas().empty());
  world->Stop();
  ExpectNothingLeft();
}

// A listing that comes by while a giant travels must not begin it anew, again and again.
TEST_F(GiantTest, HintsThatComeMeanwhileDoNotBeginItAnew) {
  Make();
  const std::string text = Noise(1'000'000, 6);
  PutParts("film", text, 50'000);
  world->target().decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kUploadPart && bucket == "out") fault.delay = 40s;
    return fault;
  };
  world->Start();
  for (int minute = 0; minute < 20; ++minute) {
    world->RunFor(60s);
    world->replicator->CompareSoon("r");
  }
  EXPECT_EQ(Planned(), 1);
  ExpectReplica("film", text);
  world->Stop();
  ExpectNothingLeft();
}

// The state that travels can come back after a delete that was carried meanwhile: what is under way
// is older than the delete then.
TEST_F(GiantTest, AGiantThatComesBackAfterADeleteIsTakenAnew) {
  Make();
  world->source().backend->buckets["in"].versioning =
      testing::MemoryStoreBackend::Versioning::kEnabled;
  const std::string text = Noise(1'000'000, 8);
  PutParts("film", text, 50'000);
  MemoryStore direct(world->runtime, world->source().backend);
  auto hear = [&] {
    HintMessage message{.store = "east", .bucket = "in"};
    message.hints.push_back({.key = "film", .time = world->world.clock.Now()});
    ASSERT_TRUE(world->world.Run(world->queue.Send(EncodeHints(message), {})));
    ASSERT_FALSE(world->RunOnce({.target = false}).store_error);
    world->RunFor(5s);
  };
  hear();
  ASSERT_TRUE(world->world.Run(direct.Remove({.bucket = "in", .key = "film"})));
  hear();
  const std::string marker =
      world->source().backend->buckets["in"].objects["film"].back().info.version_id;
  ASSERT_TRUE(
      world->world.Run(direct.Remove({.bucket = "in", .key = "film", .version_id = marker})));
  hear();
  EXPECT_EQ(Planned(), 2);
  ASSERT_FALSE(world->RunOnce({.source = false}).store_error);
  ExpectReplica("film", text);
  ASSERT_FALSE(world->RunOnce().store_error);
  ExpectNothingLeft();
}

// Each segment of a transfer may find that the object must be read anew: once is enough.
TEST_F(GiantTest, AnObjectThatAllSegmentsWantReadAnewIsPlannedOnce) {
  Make();
  const std::string text = Noise(1'000'000, 9);
  PutParts("film", text, 50'000);
  ASSERT_FALSE(world->RunOnce({.target = false}).store_error);
  ASSERT_GE(world->Staged().size(), 4U);
  // What is recorded as newer is not there.
  Floors floors(world->state, world->world.clock,
                ReplicaPartition(world->configuration.rules[0].targets[0]));
  const Floor newer{.stamp = world->world.clock.Now() + 1s};
  ASSERT_TRUE(world->world.Run(floors.Raise("film", newer)));
  world->RunFor(5s);
  for (int i = 0; i < 8; ++i) {
    ASSERT_FALSE(world->RunOnce({.source = false}).store_error);
    world->RunFor(60s);
    ASSERT_FALSE(world->RunOnce({.target = false}).store_error);
  }
  EXPECT_EQ(Planned(), 2);
  ExpectReplica("film", text);
}

// But when the replica is lost after that, it must.
TEST_F(GiantTest, AGiantThatWasRemovedAtTheTargetComesAgain) {
  Make();
  const std::string text = Noise(1'000'000, 7);
  PutParts("film", text, 50'000);
  ASSERT_FALSE(world->RunOnce().store_error);
  MemoryStore direct(world->runtime, world->target().backend);
  ASSERT_TRUE(world->world.Run(direct.Remove({.bucket = "out", .key = "film"})));
  ASSERT_FALSE(world->RunOnce().store_error);
  ExpectReplica("film", text);
  EXPECT_EQ(Planned(), 2);
  ExpectNothingLeft();
}

// Ceph forgets the tags of an upload; whoever completed it may fail, or die, before they are set.
TEST_F(GiantTest, TagsArriveThoughUploadsDoNotTakeThem) {
  Make();
  world->target().backend->options.uploads_take_tags = false;
  const std::string text = Noise(1'000'000, 13);
  PutParts("film", text, 50'000);
  int refused = 0;
  world->target().decide = [&](StoreOperation operation, std::string_view bucket,
                               std::string_view) {
    if (operation == StoreOperation::kPutTags && bucket == "out" && refused < 2) {
      ++refused;
      return TroubledStore::Failing(ErrorKind::kRetryable);
    }
    return Fault();
  };
  ASSERT_FALSE(world->RunOnce().store_error);
  EXPECT_EQ(refused, 2);
  ExpectReplica("film", text);
  ExpectNothingLeft();
}

// The same of an upload that one process makes: the object is there, and so is its mark, when its
// tags cannot be set.
TEST_F(GiantTest, TagsArriveWithWhatIsNoGiantAsWell) {
  Make();
  world->target().backend->options.uploads_take_tags = false;
  const std::string text = Noise(250'000, 18);
  PutParts("film", text, 50'000);
  int completed = 0;
  int refused = 0;
  world->target().decide = [&](StoreOperation operation, std::string_view bucket,
                               std::string_view) {
    Fault fault;
    if (bucket == "out" && operation == StoreOperation::kCompleteMultipart && completed++ == 0) {
      fault = TroubledStore::Failing(ErrorKind::kRetryable);
      fault.effect = Fault::Effect::kDone;
    }
    if (bucket == "out" && operation == StoreOperation::kPutTags && refused++ == 0) {
      fault = TroubledStore::Failing(ErrorKind::kRetryable);
    }
    return fault;
  };
  ASSERT_FALSE(world->RunOnce().store_error);
  EXPECT_GE(completed, 1);
  EXPECT_GT(refused, 1);
  EXPECT_EQ(Planned(), 0);
  ExpectReplica("film", text);
  ExpectNothingLeft();
}

// An archive that rots in staging costs its segment, not the whole object.
TEST_F(GiantTest, ADamagedSegmentAloneIsReadAnew) {
  Make();
  const std::string text = Noise(1'000'000, 9);
  PutParts("film", text, 50'000);
  ASSERT_FALSE(world->RunOnce({.source = true, .target = false}).store_error);
  std::set<std::string> staged = world->Staged();
  ASSERT_EQ(staged.size(), 5u);
  world->target().backend->CorruptStored("staging", *std::next(staged.begin(), 2), 1000);
  int gets = 0;
  world->source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    gets += operation == StoreOperation::kGet ? 1 : 0;
    return Fault();
  };
  ASSERT_FALSE(world->RunOnce().store_error);
  ExpectReplica("film", text);
  EXPECT_LE(gets, 2) << "the listing's hint, and the segment";
  EXPECT_EQ(Planned(), 1);
  ExpectNothingLeft();
}

// An archive comes from outside: what it says of parts must not be believed, nor crash anything.
TEST_F(GiantTest, SegmentsWithPartsThatDoNotFitAreDamage) {
  const std::string content = Noise(1000, 12);
  struct Case {
    std::vector<uint64_t> parts;
    uint32_t first_part;
  };
  for (const Case& hostile : std::initializer_list<Case>{{{}, 1},
                                                         {{1001}, 1},
                                                         {{999}, 1},
                                                         {{1000, 0}, 1},
                                                         {{~uint64_t{0}, 1001}, 1},
                                                         {{500, 500}, 10'000}}) {
    Make();
    testing::ArchiveItem item{.entry = {.key = "film",
                                        .stamp = world->world.clock.Now(),
                                        .size_bytes = content.size(),
                                        .etag = "etag-2"},
                              .content = content};
    item.entry.part_sizes = hostile.parts;
    item.entry.segment = Segment{.plan = "01JC5N0XVRKGBGSKP4ZPQE4M7T",
                                 .object_size_bytes = 2000,
                                 .count = 2,
                                 .first_part = hostile.first_part};
    ArchiveManifest manifest = testing::TestManifest();
    manifest.id = NewUlid(world->world.clock.Now(), world->world.random);
    manifest.rule_id = "r";
    manifest.source = "east:in/";
    manifest.created = world->world.clock.Now();
    testing::MemorySink sink;
    std::vector<testing::ArchiveItem> items;
    items.push_back(std::move(item));
    ASSERT_TRUE(
        world->world.Run(WriteArchive(world->runtime, std::move(items), {}, sink, manifest)));
    MemoryStore direct(world->runtime, world->target().backend);
    ASSERT_TRUE(world->world.Run(PutText(
        direct, {.bucket = "staging", .key = "r/" + manifest.id + ".tar.zst"}, sink.bytes)));
    OnceResult result = world->RunOnce({.source = false, .target = true});
    EXPECT_EQ(result.corrupt_archives, 1);
    EXPECT_TRUE(world->Replicas().empty());
    EXPECT_TRUE(world->target().backend->buckets["out"].uploads.empty());
  }
}

// The tags of a giant go to another rule and come back while its first transfer is under way: that
// one is older than what the other rule has sent, so the giant must be sent once more. An event
// tells that, or a hint that knows no more than when the object was written.
TEST_F(GiantTest, TagsThatComeBackAreSentAnew) {
  for (const bool by_event : {true, false}) {
    SCOPED_TRACE(by_event);
    Make();
    Rule hot = world->configuration.rules[0];
    hot.id = "hot";
    hot.priority = 1;
    hot.filter.tags = {{"tier", "hot"}};
    hot.targets[0].storage_class = "HOT";
    world->configuration.rules.push_back(hot);
    const std::string text = Noise(1'000'000, 12);
    PutParts("film", text, 50'000);
    MemoryStore direct(world->runtime, world->source().backend);
    const SystemTime written = world->source().backend->Find("in", "film")->info.last_modified;
    for (const char* tier : {"cold", "hot", "cold"}) {
      ASSERT_TRUE(world->world.Run(direct.PutTags("in", "film", {{"tier", tier}})));
      HintMessage message{.store = "east", .bucket = "in"};
      const SystemTime heard = by_event ? world->world.clock.Now() : written;
      message.hints.push_back({.key = "film", .time = heard, .attributes = by_event});
      ASSERT_TRUE(world->world.Run(world->queue.Send(EncodeHints(message), {})));
      ASSERT_FALSE(world->RunOnce({.target = false}).store_error);
      world->RunFor(5s);
    }
    EXPECT_EQ(Planned(), 3);
    ASSERT_FALSE(world->RunOnce({.source = false}).store_error);
    ExpectReplica("film", text);
    EXPECT_EQ(world->target().backend->Find("out", "film")->info.storage_class, "");
  }
}

// Of a rule that carries giants in segments, then directly, then in segments again: the first
// transfer is older than what was carried since.
TEST_F(GiantTest, WhatWasCarriedSinceEndsATransfer) {
  Make();
  const std::string text = Noise(1'000'000, 12);
  PutParts("film", text, 50'000);
  MemoryStore direct(world->runtime, world->source().backend);
  const SystemTime written = world->source().backend->Find("in", "film")->info.last_modified;
  const std::vector<std::pair<const char*, Transport>> steps = {
      {"cold", Transport::kDirect}, {"warm", Transport::kPlain}, {"cold", Transport::kDirect}};
  for (const auto& [tier, transport] : steps) {
    world->configuration.rules[0].transport = transport;
    ASSERT_TRUE(world->world.Run(direct.PutTags("in", "film", {{"tier", tier}})));
    HintMessage message{.store = "east", .bucket = "in"};
    message.hints.push_back({.key = "film", .time = written});
    ASSERT_TRUE(world->world.Run(world->queue.Send(EncodeHints(message), {})));
    ASSERT_FALSE(world->RunOnce({.target = false}).store_error);
    world->RunFor(5s);
  }
  EXPECT_EQ(Planned(), 2);
  ASSERT_FALSE(world->RunOnce({.source = false}).store_error);
  ExpectReplica("film", text);
}

// What a person keeps under the key is not to be buried under hours of work.
TEST_F(GiantTest, AForeignObjectIsKept) {
  Make();
  PutParts("film", Noise(1'000'000, 10), 50'000);
  MemoryStore direct(world->runtime, world->target().backend);
  ASSERT_TRUE(world->world.Run(PutText(direct, {.bucket = "out", .key = "film"}, "mine")));
  int parts = 0;
  world->target().decide = [&](StoreOperation operation, std::string_view bucket,
                               std::string_view) {
    parts += operation == StoreOperation::kUploadPart && bucket == "out" ? 1 : 0;
    return Fault();
  };
  ASSERT_FALSE(world->RunOnce().store_error);
  EXPECT_EQ(*world->target().backend->Find("out", "film")->bytes, "mine");
  EXPECT_EQ(parts, 0);
  EXPECT_EQ(world->observer.Count(OutcomeState::kConflict), 1) << "one object, not five segments";
  ExpectNothingLeft();
}

// A segment that the source refuses for good must not block its object until the row runs out.
TEST_F(GiantTest, ATransferWithAParkedSegmentIsBegunAnewLater) {
  Make();
  const std::string text = Noise(1'000'000, 11);
  PutParts("film", text, 50'000);
  int gets = 0;
  world->source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    if (operation == StoreOperation::kGet && ++gets > 3) {
      return TroubledStore::Failing(ErrorKind::kInvalidInput);
    }
    return Fault();
  };
  static_cast<void>(world->RunOnce());
  EXPECT_TRUE(world->Replicas().empty());
  world->source().Heal();
  ASSERT_FALSE(world->RunOnce().store_error);
  ExpectReplica("film", text);
  ExpectNothingLeft();
}

// What waits in the staging of a paused target is under way, for as long as the pause lasts: an
// upload that was swept meanwhile would never become whole.
TEST_F(GiantTest, AnUploadOutlivesAPause) {
  for (const bool whole_rule : {false, true}) {
    Make();
    world->configuration.rules[0].intake.listing.reset();
    const std::string text = Noise(1'000'000, 24);
    PutParts("film", text, 50'000);
    // Of its segments one has been applied, and is not in staging any more.
    std::string first;
    world->target().decide = [&](StoreOperation operation, std::string_view bucket,
                                 std::string_view key) {
      const bool archive = bucket == "staging" && key.ends_with(".zst");
      if (!archive || operation != StoreOperation::kGet) return Fault();
      if (first.empty()) first = key;
      return key == first ? Fault() : TroubledStore::Failing(ErrorKind::kRetryable);
    };
    world->Start();
    world->RunFor(20s);
    ASSERT_FALSE(world->target().backend->buckets["out"].uploads.empty());
    ASSERT_FALSE(world->Staged().contains(first));
    ASSERT_EQ(world->Staged().size(), 4U);
    const int planned_before = Planned();
    const SystemTime now = world->world.clock.Now();
    const std::string target = whole_rule ? "" : "t0";
    ASSERT_TRUE(world->world.Run(WritePause(world->state, "r", target, {.since = now})));
    world->target().Heal();
    world->RunFor(10min);
    EXPECT_TRUE(world->Replicas().empty());
    ASSERT_TRUE(world->world.Run(RemovePause(world->state, "r", target)));
    world->RunFor(5min);
    ExpectReplica("film", text);
    EXPECT_EQ(Planned(), planned_before) << "what had been stored before the pause was still there";
    world->Stop();
    ExpectNothingLeft();
  }
}

}  // namespace
}  // namespace longhaul
