#include "replication/source/source_role.h"

#include <gtest/gtest.h>

#include "base/version.h"
#include "events/hint.h"
#include "replication/life/parked.h"
#include "replication/life/spool.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Keys = std::set<std::string>;

// A staging that refuses parts is not the fault of the object: it goes to the staging that takes
// it, comes back for the other, and is never parked.
TEST(SourceRoleTest, AStagingThatFailsIsNotBlamedOnALargeObject) {
  for (const int targets : {1, 2}) {
    ReplicationWorld world(targets);
    std::string noise(500'000, '\0');
    SeededRandom random(7);
    for (char& c : noise) c = static_cast<char>(random.Below(256));
    world.Put("large", noise);
    world.target(targets - 1).decide = [](StoreOperation operation, std::string_view bucket,
                                          std::string_view) {
      return operation == StoreOperation::kUploadPart && bucket == "staging"
                 ? TroubledStore::Failing(ErrorKind::kInvalidInput)
                 : Fault();
    };
    world.Start();
    world.RunFor(60s);
    EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
    EXPECT_EQ(world.Replicas(targets - 1), Keys{});
    if (targets == 2) EXPECT_EQ(world.Replicas(0), Keys{"large"});
    const std::string part = "staging of target t" + std::to_string(targets - 1) + " of rule r";
    EXPECT_TRUE(world.observer.unready.contains(part));
    EXPECT_FALSE(world.observer.unready.contains("source of rule r"));
    Counter& failed =
        world.world.metrics.counter("longhaul_staging_uploads_failed_total", "", {{"rule", "r"}});
    EXPECT_GT(failed.value(), 0);
    world.target(targets - 1).Heal();
    world.RunFor(3min);
    EXPECT_EQ(world.Replicas(targets - 1), Keys{"large"});
    EXPECT_TRUE(world.observer.unready.empty());
    world.Stop();
  }
}

// Acknowledged and recorded nowhere, it would be forgotten: it comes again until it is recorded. At
// the source, and at a target.
TEST(SourceRoleTest, WhatCannotBeRecordedAsParkedComesAgain) {
  for (const bool at_target : {false, true}) {
    ReplicationWorld world;
    world.configuration.rules[0].intake.listing.reset();
    if (at_target) world.configuration.rules[0].transport = Transport::kPlain;
    world.Put("bad", "text");
    world.Put("good", "text");
    const auto refuse = [](StoreOperation operation, std::string_view, std::string_view key) {
      const bool hit =
          key == "bad" && (operation == StoreOperation::kGet || operation == StoreOperation::kPut);
      return hit ? TroubledStore::Failing(ErrorKind::kInvalidInput) : Fault();
    };
    (at_target ? world.target() : world.source()).decide = refuse;
    const std::string place = at_target ? "t0" : "";
    world.state_backend->read_only = at_target ? "parked/r/t0" : "parked/r";
    world.Start();
    world.RunFor(1min);
    EXPECT_EQ(world.Replicas(), Keys{"good"});
    EXPECT_FALSE(world.queue_backend->rows.empty()) << place;
    EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0) << "it is not, yet";
    EXPECT_TRUE(world.observer.unready.contains("source of rule r"));
    world.state_backend->read_only.clear();
    world.RunFor(30s);
    Result<std::optional<ParkedKey>> parked =
        world.world.Run(FindParked(world.state, "r", place, "bad"));
    EXPECT_TRUE(parked && *parked) << place;
    EXPECT_TRUE(world.queue_backend->rows.empty());
    EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 1);
    world.Stop();
  }
}

// With a seal_key the target refuses what is not sealed: the source has to seal.
TEST(SourceRoleTest, SealsArchives) {
  ReplicationWorld world;
  world.configuration.rules[0].seal_key = Secret("correct horse battery staple");
  world.Put("small", "text");
  world.Put("large", std::string(200'000, 'x'));
  OnceResult result = world.RunOnce({.timeout = 60s});
  EXPECT_FALSE(result.store_error);
  EXPECT_EQ(result.parked_archives, 0);
  EXPECT_EQ(world.Replicas(), (Keys{"large", "small"}));
}

// An ETag that looks like an MD5 need not be one (SSE-KMS); it must not be sent as Content-MD5.
TEST(SourceRoleTest, AnEtagThatIsNoMd5IsNotSentAsOne) {
  ReplicationWorld world;
  world.Put("large", std::string(200'000, 'x'));
  auto& version = world.source().backend->buckets["in"].objects["large"].back();
  version.info.etag = "0123456789abcdef0123456789abcdef";
  version.info.checksums.clear();
  OnceResult result = world.RunOnce({.timeout = 60s});
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(result.parked_archives, 0);
  EXPECT_EQ(world.Replicas(), Keys{"large"});
}

// Its bytes came with nothing to check them by: whoever has to prove that replicas are right must
// know of how many that is. By archive and without.
TEST(SourceRoleTest, CountsWhatNothingTellsTheBytesOf) {
  for (const Transport transport : {Transport::kDirect, Transport::kPlain}) {
    ReplicationWorld world;
    world.configuration.rules[0].transport = transport;
    for (const std::string key : {"told", "summed", "untold", "large"}) {
      world.Put(key, std::string(key == "large" ? 200'000 : 100, 'x'));
      auto& info = world.source().backend->buckets["in"].objects[key].back().info;
      if (key != "summed") info.checksums.clear();
      info.etag_opaque = key != "told";
    }
    world.Put("empty", "");
    auto& empty = world.source().backend->buckets["in"].objects["empty"].back().info;
    empty.checksums.clear();
    empty.etag_opaque = true;
    OnceResult result = world.RunOnce({.timeout = 60s});
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
    EXPECT_EQ(world.Replicas(), (Keys{"empty", "large", "summed", "told", "untold"}));
    EXPECT_EQ(world.world.metrics.counter("longhaul_objects_unverified_total", "", {{"rule", "r"}})
                  .value(),
              2);
  }
}

// An archive holds so many names of metadata; the object that finds no room for its own is not at
// fault, and travels in the next one.
TEST(SourceRoleTest, AnArchiveFullOfNamesParksNobody) {
  ReplicationWorld world;
  constexpr int kObjects = 150;
  constexpr int kNames = 120;
  for (int i = 0; i < kObjects; ++i) {
    UserMetadata metadata;
    for (int n = 0; n < kNames; ++n) metadata["n" + std::to_string(i * kNames + n)] = "v";
    world.Put("k" + std::to_string(i), "text " + std::to_string(i), std::move(metadata));
  }
  OnceResult result = world.RunOnce({.timeout = 60s});
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  EXPECT_EQ(world.Replicas().size(), static_cast<size_t>(kObjects));
}

// The source's clock is behind ours, and a large object is gone when it is read too early: its
// delete must travel all the same.
TEST(SourceRoleTest, ALargeObjectThatIsGoneIsReadAgain) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.limits.bundle_object_bytes_max = 1'000;
  world.source().backend->options.clock_offset = -20s;
  const std::string text(2'000, 'x');
  world.Put("a", text);
  world.Start();
  world.RunFor(2min);
  ASSERT_EQ(world.Replicas(), Keys{"a"});
  testing::MemoryStore direct(world.runtime, world.source().backend);
  ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = "a"})));
  HintMessage message{
      .store = "east",
      .bucket = "in",
      .hints = {{.key = "a", .time = world.world.clock.Now(), .size_bytes = text.size()}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas(), Keys{});
  world.Stop();
}

// Even a clock that is days behind keeps nobody from looking again.
TEST(SourceRoleTest, ASourceThatLivesInThePastIsLookedAtAgain) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.source().backend->options.clock_offset = -48h;
  world.Start();
  world.RunFor(10s);
  world.Put("a", "text");
  HintMessage message{
      .store = "east", .bucket = "in", .hints = {{.key = "a", .time = world.world.clock.Now()}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(2min);
  EXPECT_TRUE(world.Replicas().empty()) << "what is read now may be older than the event";
  world.source().backend->options.clock_offset = 0s;
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  world.Stop();
}

// An event that claims to be from the future must not keep its key from being read.
TEST(SourceRoleTest, AnEventFromTheFutureIsReadAllTheSame) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(10s);
  world.Put("a", "text");
  HintMessage message{
      .store = "east", .bucket = "in", .hints = {{.key = "a", .time = SystemTime::max() - 1h}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(2h);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  world.Stop();
}

// A process with an older configuration, on the same database: what is for a rule that it does not
// know is for somebody else. Acknowledged, it would be gone; left in the Queue, it would keep a run
// from ever finding that empty.
TEST(SourceRoleTest, HintsOfARuleThatOthersHaveAreKeptForThem) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(5s);
  HintMessage message{.store = "east", .bucket = "in", .rule = "s"};
  Keys keys;
  for (int i = 0; i < 50; ++i) {
    keys.insert("k" + std::to_string(i));
    message.hints.push_back({.key = "k" + std::to_string(i)});
    world.Put("k" + std::to_string(i), "text");
  }
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(1min);
  EXPECT_TRUE(world.queue_backend->rows.empty());
  for (const std::string& key : keys) {
    Result<bool> spooled = world.world.Run(IsSpooled(world.state, "s", "", key));
    EXPECT_TRUE(spooled && *spooled) << key;
  }
  // There may be no others: the rule was renamed, or removed.
  static constexpr char kKept[] = "hints of a rule that is not enabled here are kept";
  message.hints.resize(1);
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.RunFor(1min);
  EXPECT_EQ(std::ranges::count_if(world.log.lines,
                                  [](const std::string& line) { return line.starts_with(kKept); }),
            1);
  EXPECT_EQ(world.world.metrics.counter("longhaul_hints_kept_for_others_total", "", {}).value(),
            51);
  world.Stop();

  std::vector<Rule>& rules = world.configuration.rules;
  rules.push_back(rules[0]);
  rules[1].id = "s";
  world.stop.Reset();
  world.Start();
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas(), keys);
  world.Stop();
}

// A store that was renamed while hints waited, or that another configuration on the database calls
// otherwise. What a rule of another store lacks must not be deleted because of them.
TEST(SourceRoleTest, HintsOfARuleWhoseStoreHasAnotherNameAreTaken) {
  for (const bool deletes : {false, true}) {
    ReplicationWorld world;
    Rule& rule = world.configuration.rules[0];
    rule.intake.listing.reset();
    rule.deletes = deletes;
    rule.filter.suffix = ".log";
    world.Start();
    world.RunFor(5s);
    world.Put("a.log", "text");
    world.Put("b.log", "text");
    world.Put("other", "text");
    const auto send = [&](const std::string& store, const std::string& bucket,
                          const std::string& id, const std::string& key) {
      HintMessage message{.store = store, .bucket = bucket, .rule = id, .hints = {{.key = key}}};
      ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
    };
    send("east", "in", "r", "b.log");
    world.RunFor(1min);
    ASSERT_EQ(world.Replicas(), Keys{"b.log"});
    MemoryStore direct(world.runtime, world.source().backend);
    ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = "b.log"})));

    send("old-east", "in", "r", "a.log");
    send("old-east", "in", "r", "b.log");
    send("old-east", "in", "r", "other");
    send("east", "in", "r", "other");  // Filtered: no more than that.
    world.RunFor(1min);
    EXPECT_EQ(world.Replicas(), deletes ? Keys{"b.log"} : (Keys{"a.log", "b.log"}));
    Counter& unmatched = world.world.metrics.counter("longhaul_hints_unmatched_total", "", {});
    EXPECT_EQ(unmatched.value(), deletes ? 3 : 0);
    send("gone", "in", "", "a.log");
    send("east", "old-bucket", "r", "a.log");
    world.RunFor(1min);
    EXPECT_EQ(unmatched.value(), deletes ? 5 : 2);
    EXPECT_TRUE(world.log.Has("hints of a source that no rule here reads are dropped"));
    EXPECT_TRUE(world.queue_backend->rows.empty());
    world.Stop();
  }
}

// A segment would come back again and again, and be parted from its transfer for good when it is
// acknowledged: the object is planned anew by whoever has the rule, once.
TEST(SourceRoleTest, SegmentsOfARuleThatOthersHaveArePlannedAnew) {
  ReplicationWorld world;
  world.limits.single_object_bytes_max = 300'000;
  world.limits.segment_bytes_min = 200'000;
  world.limits.giant_part_bytes_min = 50'000;
  std::string film(1'000'000, '\0');
  SeededRandom random(5);
  for (char& c : film) c = static_cast<char>(random.Next());
  world.configuration.rules[0].id = "s";
  world.configuration.rules[0].intake.listing.reset();
  world.Put("film", film);
  world.Start();
  HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = "film"}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  world.world.Drive([&] { return world.log.Has("a giant travels in segments"); });
  world.Stop();
  ASSERT_FALSE(world.Replicas().contains("film"));
  ASSERT_FALSE(world.queue_backend->rows.empty()) << "all of its segments were carried";

  world.stop.Reset();
  world.configuration.rules[0].id = "r";
  world.RunOnce({.timeout = 60s});
  EXPECT_TRUE(world.queue_backend->rows.empty());
  world.configuration.rules[0].id = "s";
  world.RunOnce({.timeout = 60s});
  const auto* replica = world.target().backend->Find("out", "film");
  ASSERT_NE(replica, nullptr);
  EXPECT_TRUE(*replica->bytes == film);
}

// A 404 without a code may be that of anything on the way, which knows nothing of the object: no
// delete follows from it.
TEST(SourceRoleTest, ABare404IsNoAbsence) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Put("k", "text");
  world.Start();
  auto send_hint = [&] {
    HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = "k"}}};
    message.hints[0].time = world.world.clock.Now();
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  };
  send_hint();
  world.RunFor(15s);
  ASSERT_EQ(world.Replicas(), Keys{"k"});
  world.source().backend->options.bare_404 = true;
  MemoryStore direct(world.runtime, world.source().backend);
  ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = "k"})));
  send_hint();
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(), Keys{"k"});
  world.source().backend->options.bare_404 = false;
  world.RunFor(2min);
  EXPECT_TRUE(world.Replicas().empty());
  world.Stop();
}

// A body that breaks off, or is damaged on its way, must not get into an archive: nobody could tell
// afterwards. By itself, and in a bundle.
TEST(SourceRoleTest, WhatArrivesDamagedIsNotPacked) {
  for (const size_t size : {size_t{4'000}, size_t{300'000}}) {
    ReplicationWorld world;
    const std::string text(size, 'x');
    world.Put("k", text);
    int reads = 0;
    world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
      Fault fault;
      if (operation != StoreOperation::kGet) return fault;
      ++reads;
      if (reads <= 2) fault.cut_body_after_bytes = size - 1;
      if (reads == 3 || reads == 4) fault.corrupt_body_at_byte = 5;
      return fault;
    };
    OnceResult result = world.RunOnce();
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
    EXPECT_GE(reads, 5);
    const auto* replica = world.target().backend->Find("out", "k");
    ASSERT_NE(replica, nullptr);
    EXPECT_EQ(*replica->bytes, text) << size;
    EXPECT_EQ(world.observer.Count(OutcomeState::kApplied), 1);
  }
}

// It would come again for hours, and a run of --once would wait for it and fail. Whoever looks for
// it must find which message it was, and who did not understand it.
TEST(SourceRoleTest, AMessageThatNobodyUnderstandsIsADeadLetterAtOnce) {
  ReplicationWorld world;
  world.Put("k", "text");
  std::vector<NewMessage> messages{{.body = "no hint at all", .lane = FreshLane("r")}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(std::move(messages), {})));
  const OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.Replicas(), Keys{"k"});
  Result<std::vector<QueueMessage>> dead = world.world.Run(world.queue.DeadLetters(10));
  ASSERT_TRUE(dead);
  ASSERT_EQ(dead->size(), 1u);
  EXPECT_EQ(dead->front().body, "no hint at all");
  EXPECT_EQ(dead->front().receive_count, 1);
  EXPECT_EQ(dead->front().reason,
            "not a message of hints: 'no hint at all', says longhaul " + std::string(kVersion));
  std::string told;
  for (size_t i = 0; i < world.log.lines.size(); ++i) {
    if (world.log.lines[i].contains("cannot be understood")) told += world.log.fields[i];
  }
  EXPECT_TRUE(told.starts_with(" lane=" + FreshLane("r") + " message=1 ")) << told;
}

// What one process has taken, no other can pack: of a backlog it takes what it can pack now, two
// batches, and nothing that would only wait. What is new it takes all the same.
TEST(SourceRoleTest, ABacklogIsLeftToOthersWhereNoPlaceIsFree) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.configuration.rules[0].batch.count = 10;
  world.source().decide = [](StoreOperation operation, std::string_view, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kGet) fault.delay = 10min;
    return fault;
  };
  const auto send = [&](const std::string& lane, const std::string& key) {
    HintMessage message{.store = "east", .bucket = "in", .rule = "r", .hints = {{.key = key}}};
    message.hints[0].size_bytes = 4;
    std::vector<NewMessage> encoded = EncodeHints(message);
    for (NewMessage& one : encoded) one.lane = lane;
    ASSERT_TRUE(world.world.Run(world.queue.Send(std::move(encoded), {})));
  };
  Keys keys;
  for (int i = 0; i < 100; ++i) {
    keys.insert("k" + std::to_string(i));
    world.Put("k" + std::to_string(i), "text");
    send(BacklogLane("r"), "k" + std::to_string(i));
  }
  const auto taken = [&](const std::string& lane) {
    return std::ranges::count_if(world.queue_backend->rows, [&](const auto& row) {
      return row.second.lane == lane && row.second.in_flight;
    });
  };
  world.Start();
  world.RunFor(1min);
  EXPECT_EQ(taken(BacklogLane("r")), 20);
  send(FreshLane("r"), "k0");
  world.RunFor(5s);
  EXPECT_EQ(taken(FreshLane("r")), 1);
  EXPECT_EQ(taken(BacklogLane("r")), 20);
  world.RunFor(2h);
  EXPECT_EQ(world.Replicas(), keys);
  EXPECT_TRUE(world.queue_backend->rows.empty());
  world.Stop();
}

}  // namespace
}  // namespace longhaul
