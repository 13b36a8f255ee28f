// Archives that are taken over, from their places to their end. What they may hold:
// compressor_archive_test.cc; what they replace: apply_compressor_test.cc.

#include "replication/take_over/take_over.h"

#include <gtest/gtest.h>

#include "tests/support/cut_over.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::CompressorArchive;
using testing::CutOver;
using testing::Fault;
using testing::kTargetAlone;
using testing::StoreOperation;
using testing::TroubledStore;
using Keys = std::set<std::string>;

// What was on its way arrives, with all that is known of it, and the archive is gone.
TEST(TakeOverTest, AppliesAndRemoves) {
  CutOver world;
  world.Leave(
      {.objects = {{.relative_key = "a",
                    .content = "text a",
                    .created = world.now - 1h,
                    .tags = R"([{"owner":"ann"},{"tier":"hot"}])"},
                   {.relative_key = "b", .content = "", .created = world.now - 2h, .tags = "{}"}}});
  OnceResult result = world.RunOnce(kTargetAlone);
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(result.parked_archives, 0) << world.ParkedReason();
  EXPECT_EQ(world.Replicas(), (Keys{"a", "b"}));
  EXPECT_EQ(world.Text("a"), "text a");
  EXPECT_EQ(world.Replica("a").tags, (Tags{{"owner", "ann"}, {"tier", "hot"}}));
  ASSERT_TRUE(world.MarkOf("a"));
  EXPECT_EQ(world.MarkOf("a")->stamp, world.now - 1h);
  EXPECT_EQ(world.MarkOf("a")->source_etag, HexEncode(Md5("text a")));
  EXPECT_EQ(world.Left(), 0u);
  ASSERT_EQ(world.observer.Count(OutcomeState::kApplied), 2);
  EXPECT_EQ(world.observer.outcomes[0].route, "take-over");
  // Tags that nobody could read are not "no tags".
  EXPECT_EQ(world.observer.outcomes[0].reason, "");
  EXPECT_NE(world.observer.outcomes[1].reason.find("could not read"), std::string::npos);
}

// An archive is done with when all of its destinations in this region are.
TEST(TakeOverTest, AnArchiveWithAnUnknownDestinationStays) {
  struct Case {
    std::vector<CompressorArchive::Target> targets;
    bool applied;
    std::string_view reason;  // Empty: it goes.
  };
  const Case cases[] = {
      {{{.region = "west", .bucket = "out"}, {.region = "south", .bucket = "far"}}, true, ""},
      {{{.region = "west", .bucket = "out"}, {.region = "west", .bucket = "second"}},
       true,
       "for bucket second"},
      {{{.region = "west", .bucket = "out"}, {.region = "west", .bucket = "v", .backup = true}},
       true,
       "backup for bucket v"},
      {{{.region = "west", .bucket = "out", .backup = true}}, false, "none of its destinations"},
      {{{.region = "west", .bucket = "second"}}, false, "none of its destinations"},
      {{}, false, "none of its destinations"}};
  for (const Case& test : cases) {
    CutOver world;
    world.Leave({.targets = test.targets,
                 .objects = {{.relative_key = "a", .content = "a", .created = world.now - 1h}}});
    OnceResult result = world.RunOnce(kTargetAlone);
    EXPECT_FALSE(result.store_error);
    EXPECT_EQ(result.parked_archives, test.reason.empty() ? 0 : 1) << test.reason;
    EXPECT_EQ(world.Replicas(), test.applied ? Keys{"a"} : Keys()) << test.reason;
    EXPECT_EQ(world.Left(), test.reason.empty() ? 0u : 1u) << test.reason;
    EXPECT_NE(world.ParkedReason().find(test.reason), std::string::npos) << world.ParkedReason();
  }
}

// Two targets beside each other, one of which fails at first.
TEST(TakeOverTest, AnArchiveForTwoTargetsWaitsForBoth) {
  CutOver world;
  world.target().backend->buckets["second"].created = world.now;
  Target second = world.rule().targets[0];
  second.name = "second";
  second.to.bucket = "second";
  world.rule().targets.push_back(second);
  world.Leave(
      {.targets = {{.region = "west", .bucket = "out"}, {.region = "west", .bucket = "second"}},
       .objects = {{.relative_key = "a", .content = "a", .created = world.now - 1h}}});
  world.target().decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    return operation == StoreOperation::kPut && bucket == "second"
               ? TroubledStore::Failing(ErrorKind::kRetryable)
               : Fault();
  };
  OnceResult result = world.RunOnce(kTargetAlone);
  EXPECT_TRUE(result.store_error);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_EQ(world.Left(), 1u);
  world.target().Heal();
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  EXPECT_EQ(world.target().backend->Keys("second").size(), 1u);
  EXPECT_EQ(world.Left(), 0u);
}

// Rules that share out the keys of one source share its archives.
TEST(TakeOverTest, RulesMayShareOutTheKeys) {
  CutOver world;
  world.rule().filter.suffix = ".csv";
  Rule logs = world.rule();
  logs.id = "logs";
  logs.filter.suffix = ".log";
  world.configuration.rules.push_back(logs);
  world.Leave({.objects = {{.relative_key = "a.csv", .content = "a", .created = world.now - 1h},
                           {.relative_key = "b.log", .content = "b", .created = world.now - 1h}}});
  OnceResult result = world.RunOnce(kTargetAlone);
  EXPECT_EQ(result.parked_archives, 0) << world.ParkedReason();
  EXPECT_EQ(world.Replicas(), (Keys{"a.csv", "b.log"}));
  EXPECT_EQ(world.Left(), 0u);
}

// Killed or cut off at any step, the next run ends in the same state.
TEST(TakeOverTest, FailureAtEachStep) {
  for (int step = 1;; ++step) {
    ASSERT_LT(step, 300);
    CutOver world;
    world.PutDirectly("out", "foreign", "kept");
    CompressorArchive archive;
    for (const std::string name : {"a", "b", "c", "foreign"}) {
      archive.objects.push_back(
          {.relative_key = name, .content = "of " + name, .created = world.now - 1h});
    }
    archive.objects.push_back(
        {.relative_key = "large", .content = std::string(150'000, 'l'), .created = world.now});
    world.Leave(archive);
    int count = 0;
    bool failed = false;
    world.target().decide = [&](StoreOperation, std::string_view bucket, std::string_view) {
      Fault fault;
      if (bucket == "staging" || ++count != step) return fault;
      failed = true;
      fault.error = Cancelled("killed");
      fault.effect = step % 2 == 0 ? Fault::Effect::kDone : Fault::Effect::kAsUsual;
      return fault;
    };
    static_cast<void>(world.RunOnce({.source = false, .target = true, .timeout = 5s}));
    world.target().Heal();
    OnceResult result = world.RunOnce(kTargetAlone);
    EXPECT_FALSE(result.store_error) << "step " << step << result.store_error->Describe();
    EXPECT_EQ(world.Replicas(), (Keys{"a", "b", "c", "foreign", "large"})) << "step " << step;
    EXPECT_EQ(world.Text("foreign"), "kept");
    EXPECT_EQ(world.Text("b"), "of b");
    EXPECT_EQ(world.Left(), 0u) << "step " << step;
    if (!failed) break;
  }
}

// Also where it has the name of an archive, and lies in no folder.
TEST(TakeOverTest, LeavesAnArchiveWithoutAFolderAlone) {
  CutOver world;
  world.rule().targets[0].take_over->from.prefix = "left/";
  world.PutDirectly("inbound", "left/" + std::string(32, 'a') + ".tar.zst", "not ours");
  OnceResult result = world.RunOnce(kTargetAlone);
  EXPECT_FALSE(result.store_error);
  EXPECT_EQ(result.parked_archives, 0);
  EXPECT_EQ(world.Left(), 1u);
}

// What lies there besides is nobody's business; a folder that no rule knows is told of.
TEST(TakeOverTest, LeavesOtherThingsAlone) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "a"}}}, "other/");
  world.PutDirectly("inbound", "in/notes.txt", "notes");
  world.PutDirectly("inbound", "in/deeper/" + std::string(32, 'a') + ".tar.zst", "not ours");
  OnceResult result = world.RunOnce(kTargetAlone);
  EXPECT_FALSE(result.store_error);
  EXPECT_EQ(result.parked_archives, 0);
  EXPECT_EQ(world.Left(), 3u);
  EXPECT_TRUE(
      world.log.Has("archives that no rule takes over: their folder is that of another "
                    "source"));
}

TEST(TakeOverTest, RefusesWhatIsTooOld) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "a", .created = world.now}}});
  world.world.clock.Advance(15 * 24h);
  world.ExpectRefused("older than 14 days");
}

// Two processes see an archive at once. What the slower one finds, in a bucket with versions, is a
// delete marker.
TEST(TakeOverTest, AnArchiveThatAnotherProcessWasFasterWithIsNoFailure) {
  for (const char* code : {"NoSuchKey", "DeleteMarker"}) {
    CutOver world;
    world.Leave({.objects = {{.relative_key = "a", .content = "a", .created = world.now - 1h}}});
    int left = 1;
    world.target().decide = [&](StoreOperation operation, std::string_view bucket,
                                std::string_view) {
      Fault fault;
      if (operation == StoreOperation::kGet && bucket == "inbound" && left-- > 0) {
        fault.error = NotFound("there is no such key", code);
      }
      return fault;
    };
    world.log.lines.clear();
    OnceResult result = world.RunOnce(kTargetAlone);
    EXPECT_FALSE(result.store_error) << code << ": " << result.store_error->Describe();
    EXPECT_LE(left, 0) << "no archive was opened";
    EXPECT_FALSE(world.log.Has("archive not taken over yet")) << code;
    EXPECT_EQ(result.parked_archives, 0) << world.ParkedReason();
  }
}

// The source's own object has headers and metadata, and an archive does not: the source first.
TEST(TakeOverTest, WhatTheSourceHoldsComesFromTheSource) {
  for (const bool once : {true, false}) {
    CutOver world;
    world.Put("a", "text", {{"colour", "red"}});
    world.Leave({.objects = {{.relative_key = "a", .content = "text", .created = world.now - 1h},
                             {.relative_key = "gone", .content = "x", .created = world.now - 1h}}});
    world.rule().deletes = false;
    if (once) {
      EXPECT_FALSE(world.RunOnce().store_error);
    } else {
      world.Start();
      world.RunFor(1min);
    }
    EXPECT_EQ(world.Replicas(), (Keys{"a", "gone"}));
    EXPECT_EQ(world.Replica("a").info.metadata.at("colour"), "red");
    EXPECT_EQ(world.Left(), 0u);
    if (!once) world.Stop();
  }
}

// What arrives while longhaul runs is found by listing; what is paused waits.
TEST(TakeOverTest, FindsWhatComesLater) {
  CutOver world;
  world.Start(kTargetAlone);
  world.RunFor(2min);
  world.Leave({.objects = {{.relative_key = "a", .content = "a", .created = world.now - 1h}}});
  world.RunFor(70s);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_EQ(world.Left(), 0u);
  world.Stop();
}

// Of two targets one is paused: the other one does not wait, the archive does, and nobody waits for
// it under --once.
TEST(TakeOverTest, AnArchiveWaitsForAPausedTarget) {
  CutOver world;
  world.target().backend->buckets["second"].created = world.now;
  Target second = world.rule().targets[0];
  second.name = "second";
  second.to.bucket = "second";
  world.rule().targets.push_back(second);
  world.Leave(
      {.targets = {{.region = "west", .bucket = "out"}, {.region = "west", .bucket = "second"}},
       .objects = {{.relative_key = "a", .content = "a", .created = world.now - 1h}}});
  ASSERT_TRUE(world.world.Run(WritePause(world.state, "r", "second", {})));
  OnceResult result = world.RunOnce(kTargetAlone);
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_EQ(world.Left(), 1u);
  ASSERT_TRUE(world.world.Run(RemovePause(world.state, "r", "second")));
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  EXPECT_EQ(world.target().backend->Keys("second").size(), 1u);
  EXPECT_EQ(world.Left(), 0u);
}

// `rules retry` does not wait for the next of the long pauses, and what is settled by then is
// neither written nor told of again.
TEST(TakeOverTest, TriesAgainWhenAsked) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "a", .created = world.now - 1h},
                           {.relative_key = "b", .content = "b", .created = world.now - 1h}}});
  world.target().decide = [](StoreOperation operation, std::string_view, std::string_view key) {
    const bool hit = operation == StoreOperation::kPut && key == "b";
    return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  world.Start(kTargetAlone);
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 1);
  world.target().Heal();
  ASSERT_TRUE(world.world.Run(AskForRetry(world.state, "r", world.world.clock.Now())));
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas(), (Keys{"a", "b"}));
  EXPECT_EQ(world.observer.Count(OutcomeState::kApplied), 2);
  EXPECT_EQ(world.observer.Count(OutcomeState::kEqual), 0);
  EXPECT_EQ(world.Left(), 0u);
  auto row = world.world.Run(FindParked(world.state, "r", "t0", "b"));
  EXPECT_TRUE(row && !*row);
  world.Stop();
}

// What is parked as a whole is told of while it is there: when a process has begun and has not
// listed yet, and while it applies another archive for a long time.
TEST(TakeOverTest, AParkedArchiveStaysRecordedWhileItIsThere) {
  CutOver world;
  const std::vector<CompressorArchive::Target> targets = {
      {.region = "west", .bucket = "out"}, {.region = "west", .bucket = "elsewhere"}};
  const auto leave = [&](const std::string& key) {
    return world.Leave({.targets = targets,
                        .objects = {{.relative_key = key, .content = key, .created = world.now}}});
  };
  const std::string slow = leave("a");
  world.RunFor(5s);
  const std::string other = leave("b");
  EXPECT_EQ(world.RunOnce(kTargetAlone).parked_archives, 2);
  const auto parked = [&] {
    Keys archives;
    auto rows = world.world.Run(ScanParkedArchives(world.state, "r", "t0", "", 10));
    EXPECT_TRUE(rows);
    for (const ParkedKey& row : *rows) archives.insert(row.archive);
    return archives;
  };
  world.RunFor(15min);
  world.target().decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
    Fault fault;
    if (operation == StoreOperation::kGet && key.find(slow) != key.npos) fault.delay = 40min;
    return fault;
  };
  world.Start(kTargetAlone);
  world.RunFor(3s);
  EXPECT_EQ(parked(), (Keys{slow, other}));
  world.RunFor(30min);
  EXPECT_EQ(parked(), (Keys{slow, other}));
  // What somebody has removed is forgotten all the same.
  world.target().Heal();
  world.target().backend->buckets["inbound"].objects.clear();
  world.RunFor(90min);
  EXPECT_EQ(parked(), Keys());
  world.Stop();
}

// Credentials that were withdrawn are not the fault of every object.
TEST(TakeOverTest, AStoreThatDeniesEverythingIsAStoreError) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "a", .created = world.now - 1h}}});
  world.target().decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    const bool hit = operation == StoreOperation::kPut && bucket == "out";
    return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  OnceResult result = world.RunOnce(kTargetAlone);
  ASSERT_TRUE(result.store_error);
  EXPECT_EQ(result.store_error->kind, ErrorKind::kDenied);
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  EXPECT_EQ(world.Left(), 1u);
}

// One object that stays refused among others that were applied: it is parked, and looked at again
// now and then, not downloaded with all the others twice a minute for ever.
TEST(TakeOverTest, ARefusedObjectStaysParked) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "a", .created = world.now - 1h},
                           {.relative_key = "b", .content = "b", .created = world.now - 1h}}});
  int gets = 0;
  world.target().decide = [&](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    gets += operation == StoreOperation::kGet && bucket == "inbound" ? 1 : 0;
    const bool hit = operation == StoreOperation::kPut && bucket == "out" && key.ends_with("b");
    return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  world.Start(kTargetAlone);
  world.RunFor(1min);
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 1);
  const int once = gets;
  world.RunFor(1h);
  EXPECT_TRUE(world.observer.unready.empty()) << world.observer.unready.begin()->second;
  EXPECT_LE(gets, 8 * once) << "every ten minutes";
  EXPECT_EQ(world.Left(), 1u);
  world.Stop();
}

}  // namespace
}  // namespace longhaul
