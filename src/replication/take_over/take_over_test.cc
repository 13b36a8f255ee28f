#include "replication/take_over/take_over.h"

#include <gtest/gtest.h>

#include "events/hint.h"
#include "replica/mark.h"
#include "tests/support/compressor_archive.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::CompressorArchive;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;
using Keys = std::set<std::string>;

constexpr ReplicatorOptions kTargetAlone{.source = false, .target = true, .timeout = 60s};

// The world of replication with the bucket "inbound" beside the target, in which archives lie.
struct CutOver : ReplicationWorld {
  explicit CutOver(int targets = 1) : ReplicationWorld(targets) {
    target().backend->buckets["inbound"].created = world.clock.Now();
    rule().targets[0].take_over = {.from = {.store = "west0", .bucket = "inbound", .prefix = ""}};
    now = std::chrono::floor<std::chrono::seconds>(world.clock.Now());
  }
  Rule& rule() { return configuration.rules[0]; }

  std::string Leave(const CompressorArchive& archive, std::string folder = "in/") {
    return LeaveBytes(archive.Bytes(), std::move(folder));
  }
  std::string LeaveBytes(std::string bytes, std::string folder = "in/") {
    const std::string name = HexEncode(Md5("archive " + std::to_string(++archives)));
    PutDirectly("inbound", folder + name + ".tar.zst", std::move(bytes));
    return name;
  }
  void PutDirectly(const std::string& bucket, const std::string& key, std::string text,
                   Tags tags = {}) {
    MemoryStore direct(runtime, target().backend);
    PutRequest request{.bucket = bucket, .key = key, .tags = std::move(tags)};
    ASSERT_TRUE(world.Run(PutText(direct, std::move(request), std::move(text))));
  }
  [[nodiscard]] size_t Left() { return target().backend->Keys("inbound").size(); }
  [[nodiscard]] const MemoryStoreBackend::Version& Replica(const std::string& key) {
    return target().backend->buckets.at("out").objects.at(key).back();
  }
  [[nodiscard]] std::string Text(const std::string& key) { return *Replica(key).bytes; }
  [[nodiscard]] std::optional<Mark> MarkOf(const std::string& key) {
    return FindMark(Replica(key).info.metadata, "out", key);
  }
  [[nodiscard]] std::string ParkedReason() {
    for (const Outcome& outcome : observer.outcomes) {
      if (outcome.state == OutcomeState::kParked) return outcome.reason;
    }
    return "";
  }
  // All of it comes to nothing: it stays, with a reason, and nothing is written.
  void ExpectRefused(std::string_view words) {
    OnceResult result = RunOnce(kTargetAlone);
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
    EXPECT_EQ(result.parked_archives, 1);
    EXPECT_EQ(Left(), 1u);
    EXPECT_EQ(Replicas(), Keys()) << words;
    EXPECT_NE(ParkedReason().find(words), std::string::npos) << ParkedReason();
  }

  SystemTime now;
  int archives = 0;
};

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

// An archive waits for hours: what longhaul has carried since is newer.
TEST(TakeOverTest, NeverReplacesANewerReplica) {
  CutOver world;
  world.Put("a", "new");
  EXPECT_FALSE(world.RunOnce().store_error);
  world.Leave({.objects = {{.relative_key = "a", .content = "old", .created = world.now - 1h}}});
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  EXPECT_EQ(world.Text("a"), "new");
  EXPECT_EQ(world.observer.Count(OutcomeState::kSuperseded), 1);
  EXPECT_EQ(world.Left(), 0u);
}

// What was written last here is not there, or something is happening to the key just now: the
// source says what it has, at once or when it is there again, and the archive need not wait for
// that.
TEST(TakeOverTest, TheSourceDecidesWhatIsUnclear) {
  CutOver world;
  world.rule().intake.listing.reset();
  world.Leave({.objects = {{.relative_key = "a", .content = "old", .created = world.now - 1h},
                           {.relative_key = "b", .content = "old", .created = world.now - 1h}}});
  world.MakeContext();
  const TargetContext& target = *world.context->rules[0]->targets[0];
  const Floor written{.stamp = world.now};  // And yet nothing is there.
  ASSERT_TRUE(world.world.Run(target.floors->Raise("a", written)));
  ASSERT_TRUE(world.world.Run(target.floors->Raise("b", written)));
  OnceResult result = world.RunOnce(kTargetAlone);
  EXPECT_EQ(result.parked_archives, 0);
  EXPECT_EQ(world.observer.Count(OutcomeState::kReread), 2);
  EXPECT_EQ(world.Left(), 0u);
  EXPECT_EQ(world.Replicas(), Keys());
  EXPECT_EQ(world.Staged().size(), 1u) << "a receipt that asks the source";

  world.Put("a", "new");
  world.Start();
  world.RunFor(1min);
  world.Stop();
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  EXPECT_EQ(world.Text("a"), "new");
  EXPECT_TRUE(world.Staged().empty());
}

TEST(TakeOverTest, ReplacesAnOlderReplica) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "old", .created = world.now - 2h}}});
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  world.Leave({.objects = {{.relative_key = "a", .content = "new", .created = world.now - 1h}}});
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  EXPECT_EQ(world.Text("a"), "new");
}

// What is not longhaul's has an age that nobody knows, whatever the rule or the bucket allow.
TEST(TakeOverTest, NeverReplacesWhatHasNoAge) {
  for (const bool overwrite : {false, true}) {
    CutOver world;
    if (overwrite) world.rule().on_conflict = OnConflict::kOverwrite;
    if (!overwrite) {
      world.target().backend->buckets["out"].versioning = MemoryStoreBackend::Versioning::kEnabled;
    }
    world.PutDirectly("out", "a", "somebody's");
    world.PutDirectly("out", "same", "same text", {{"colour", "red"}});
    world.Leave(
        {.objects = {{.relative_key = "a", .content = "text", .created = world.now},
                     {.relative_key = "same", .content = "same text", .created = world.now}}});
    OnceResult result = world.RunOnce(kTargetAlone);
    EXPECT_EQ(world.Text("a"), "somebody's");
    EXPECT_EQ(world.Replica("same").tags, (Tags{{"colour", "red"}}));
    EXPECT_EQ(world.observer.Count(OutcomeState::kConflict), 1);
    EXPECT_EQ(world.observer.Count(OutcomeState::kEqual), 1);
    EXPECT_EQ(world.Left(), 0u);
    // The archive goes, the row stays.
    auto parked = world.world.Run(FindParked(world.state, "r", "t0", "a"));
    ASSERT_TRUE(parked && *parked);
    EXPECT_TRUE((*parked)->reason.starts_with("conflict: "));
  }
}

// What the compressor itself has written says how old it is.
TEST(TakeOverTest, KnowsTheAgeOfWhatTheCompressorWrote) {
  CutOver world;
  auto tags = [&](SystemTime time) {
    return Tags{{"OriginalCreationTime", testing::CompressorTimeText(time)}};
  };
  world.PutDirectly("out", "older", "1", tags(world.now - 2h));
  world.PutDirectly("out", "newer", "3", tags(world.now - 30min));
  world.PutDirectly("out", "odd", "?", {{"OriginalCreationTime", "yesterday"}});
  world.Leave({.objects = {{.relative_key = "older", .content = "2", .created = world.now - 1h},
                           {.relative_key = "newer", .content = "2", .created = world.now - 1h},
                           {.relative_key = "odd", .content = "2", .created = world.now - 1h}}});
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  EXPECT_EQ(world.Text("older"), "2");
  EXPECT_EQ(world.Text("newer"), "3");
  EXPECT_EQ(world.Text("odd"), "?");
}

// A delete that came later is not undone.
TEST(TakeOverTest, DoesNotBringBackWhatWasDeleted) {
  CutOver world;
  Floors floors(world.state, world.world.clock, ReplicaPartition(world.rule().targets[0]));
  ASSERT_TRUE(world.world.Run(floors.Raise("a", {.stamp = world.now - 30min, .deleted = true})));
  world.Leave({.objects = {{.relative_key = "a", .content = "old", .created = world.now - 1h}}});
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  EXPECT_EQ(world.Replicas(), Keys());
  EXPECT_EQ(world.Left(), 0u);
}

// Bytes that are not those of their ETag are parked, and the archive stays; the others are applied.
TEST(TakeOverTest, AWrongEtagIsParked) {
  CutOver world;
  const CompressorArchive archive{
      .objects = {{.relative_key = "bad",
                   .content = "text",
                   .created = world.now - 1h,
                   .etag = HexEncode(Md5("other"))},
                  {.relative_key = "good", .content = "text", .created = world.now - 1h}}};
  const std::string name = world.Leave(archive);
  OnceResult result = world.RunOnce(kTargetAlone);
  EXPECT_FALSE(result.store_error);
  EXPECT_EQ(result.parked_archives, 1);
  EXPECT_EQ(world.Replicas(), Keys{"good"});
  EXPECT_EQ(world.Left(), 1u);
  auto row = world.world.Run(FindParked(world.state, "r", "t0", "bad"));
  ASSERT_TRUE(row && *row);
  EXPECT_EQ((*row)->archive, name);
  // Encrypted under KMS: the configuration knows.
  world.rule().targets[0].take_over->etags_are_md5 = false;
  result = world.RunOnce(kTargetAlone);
  EXPECT_EQ(result.parked_archives, 0);
  EXPECT_EQ(world.Replicas(), (Keys{"bad", "good"}));
  EXPECT_EQ(world.MarkOf("bad")->source_etag, HexEncode(Md5("text")));
  EXPECT_EQ(world.Left(), 0u);
  row = world.world.Run(FindParked(world.state, "r", "t0", "bad"));
  EXPECT_TRUE(row && !*row) << "it is applied and still parked";
}

// A size that is not that of the bytes, or the ETag of an upload in parts: its bytes may be older
// than its time says. They fill a gap and replace nothing.
TEST(TakeOverTest, WhatIsNotProvedReplacesNothing) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "1", .created = world.now - 3h},
                           {.relative_key = "b", .content = "1", .created = world.now - 3h}}});
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  const std::string parts = std::string(32, 'a') + "-3";
  world.Leave(
      {.objects = {
           {.relative_key = "a", .content = "2", .created = world.now - 2h, .size_bytes = 7},
           {.relative_key = "b", .content = "2", .created = world.now - 2h, .etag = parts},
           {.relative_key = "c", .content = "2", .created = world.now - 2h, .size_bytes = 7},
           {.relative_key = "d", .content = "2", .created = world.now - 2h, .etag = parts}}});
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  EXPECT_EQ(world.Text("a"), "1");
  EXPECT_EQ(world.Text("b"), "1");
  EXPECT_EQ(world.Text("c"), "2");
  EXPECT_EQ(world.Text("d"), "2");
  // The mark names the bytes, not what was there a moment later: a comparison finds the difference.
  EXPECT_EQ(world.MarkOf("c")->source_etag, HexEncode(Md5("2")));
  EXPECT_EQ(world.MarkOf("d")->source_etag, HexEncode(Md5("2")));
  EXPECT_EQ(world.Left(), 0u);
  // The newer state of which the archive had the time.
  world.Leave(
      {.objects = {{.relative_key = "c", .content = "3333333", .created = world.now - 2h}}});
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  EXPECT_EQ(world.Text("c"), "3333333");
}

TEST(TakeOverTest, KeepsOddKeysByteForByte) {
  CutOver world;
  world.rule().source.prefix = "logs/";
  world.rule().targets[0].to.prefix = "copy/";
  const Keys names = {"../../etc/passwd",
                      "a//b",
                      "folder/",
                      "\xc3\xa4/\xf0\x9f\x9a\x9a",
                      std::string(90, 'f') + "/" + std::string(150, 'n'),
                      std::string(900, 'x'),
                      "",
                      "manifest.json",
                      "a b+c%41"};
  CompressorArchive archive{.source_prefix = "logs/"};
  Keys wanted;
  for (const std::string& name : names) {
    archive.objects.push_back(
        {.relative_key = name, .content = "of " + name, .created = world.now - 1h});
    wanted.insert("copy/" + name);
  }
  world.Leave(archive, "in/logs/");
  OnceResult result = world.RunOnce(kTargetAlone);
  EXPECT_EQ(result.parked_archives, 0) << world.ParkedReason();
  EXPECT_EQ(world.Replicas(), wanted);
  for (const std::string& name : names) EXPECT_EQ(world.Text("copy/" + name), "of " + name);
}

// A key that came twice is in the archive twice; what counts is the last.
TEST(TakeOverTest, OfSeveralWithOneNameTheLastCounts) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "first", .created = world.now - 2h},
                           {.relative_key = "b", .content = "b", .created = world.now - 2h},
                           {.relative_key = "a", .content = "last", .created = world.now - 1h}}});
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  EXPECT_EQ(world.Text("a"), "last");
  EXPECT_EQ(world.Replica("a").info.etag, HexEncode(Md5("last")));
  EXPECT_EQ(world.observer.Count(OutcomeState::kApplied), 2);
  EXPECT_EQ(world.Left(), 0u);
}

// Larger than what is held in memory: streamed, in one piece or in parts.
TEST(TakeOverTest, StreamsLargeObjects) {
  for (const bool in_parts : {false, true}) {
    CutOver world;
    std::string noise(700'000, '\0');
    SeededRandom random(7);
    for (char& c : noise) c = static_cast<char>(random.Below(256));
    world.PutDirectly("out", "there", noise);
    world.Leave({.objects = {{.relative_key = "there", .content = noise, .created = world.now},
                             {.relative_key = "big", .content = noise, .created = world.now},
                             {.relative_key = "small", .content = "s", .created = world.now},
                             {.relative_key = "big2", .content = noise, .created = world.now}}});
    if (in_parts) world.target().backend->options.capabilities.put_size_bytes_max = 100'000;
    OnceResult result = world.RunOnce(kTargetAlone);
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
    EXPECT_EQ(result.parked_archives, 0) << world.ParkedReason();
    EXPECT_EQ(world.Replicas(), (Keys{"there", "big", "small", "big2"}));
    EXPECT_TRUE(world.Text("big") == noise && world.Text("big2") == noise);
    EXPECT_TRUE(world.Replica("there").info.metadata.empty());
    EXPECT_EQ(world.Replica("big").part_sizes_bytes.empty(), !in_parts);
    EXPECT_EQ(world.Left(), 0u);
  }
}

TEST(TakeOverTest, RefusesWhatIsDamaged) {
  const CompressorArchive archive{
      .objects = {{.relative_key = "a", .content = std::string(50'000, 'x')}}};
  auto expect = [](std::string bytes, std::string_view words) {
    CutOver world;
    world.LeaveBytes(std::move(bytes));
    world.ExpectRefused(words);
  };
  const std::string bytes = archive.Bytes();
  expect(bytes.substr(0, bytes.size() - 1), "cut off");
  expect(bytes.substr(0, 5), "zstd");
  expect("no archive at all, but some text", "zstd frame");
  expect("", "zstd");
  expect(testing::ZstdStream(archive.Tar().substr(0, 30'000)), "cut off");
  expect(testing::ZstdStream(archive.Tar() + "more"), "behind its end");
  expect(testing::ZstdStream(""), "cut off");
  CompressorArchive none = archive;
  none.manifest = CompressorArchive::Manifest::kNone;
  expect(none.Bytes(), "no manifest");
  CompressorArchive twice = archive;
  twice.manifest = CompressorArchive::Manifest::kTwice;
  expect(twice.Bytes(), "two manifests");
  CompressorArchive more = archive;
  more.more_members.emplace_back("somebody's", "file");
  expect(more.Bytes(), "neither an object nor its manifest");
  CompressorArchive unknown = archive;
  unknown.objects[0].in_manifest = false;
  expect(unknown.Bytes(), "does not name it");
  CompressorArchive lacking = archive;
  lacking.objects[0].in_tar = false;
  expect(lacking.Bytes(), "does not hold it");
  CompressorArchive tags = archive;
  tags.objects[0].tags = "[[]]";
  expect(tags.Bytes(), "not one name with one value");
}

// Where the manifest lies is nobody's promise.
TEST(TakeOverTest, TheManifestMayComeFirst) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "text", .created = world.now - 1h}},
               .manifest = CompressorArchive::Manifest::kFirst});
  EXPECT_EQ(world.RunOnce(kTargetAlone).parked_archives, 0);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
}

// The configuration decides what a rule carries, not the archive.
TEST(TakeOverTest, RefusesWhatIsNotTheRules) {
  CompressorArchive archive{.objects = {{.relative_key = "a", .content = "text"}}};
  {
    CutOver world;
    CompressorArchive other = archive;
    other.source_bucket = "elsewhere";
    world.Leave(other);
    world.ExpectRefused("from bucket elsewhere");
  }
  {
    CutOver world;
    CompressorArchive other = archive;
    other.source_prefix = "logs";
    world.Leave(other);
    world.ExpectRefused("from prefix");
  }
  {
    CutOver world;
    world.rule().filter.suffix = ".csv";
    world.Leave(archive);
    world.ExpectRefused("does not carry this key");
  }
  {
    CutOver world;
    archive.objects[0].created = world.now + 24h;
    world.Leave(archive);
    world.ExpectRefused("ahead of this machine's clock");
  }
}

// "logs" as the configured prefix meant the folder in release 1.1.0; before, nobody can tell.
TEST(TakeOverTest, PrefixesWithoutASlash) {
  for (const bool old : {false, true}) {
    CutOver world;
    world.rule().source.prefix = "logs/";
    CompressorArchive archive{
        .source_prefix = "logs",
        .objects = {{.relative_key = "2024/x", .content = "x", .created = world.now - 1h}}};
    if (old) archive.source_region = "";
    world.Leave(archive, "in/logs/");
    if (old) {
      world.ExpectRefused("release 1.0.0");
      continue;
    }
    EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
    EXPECT_EQ(world.Replicas(), Keys{"2024/x"});
  }
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

// Memory is the budget's: an archive that asks for more says how much.
TEST(TakeOverTest, AWindowThatDoesNotFitIsRefused) {
  CutOver world;
  CompressorArchive archive{.objects = {{.relative_key = "a", .content = "a"}}};
  world.LeaveBytes(testing::ZstdStream(archive.Tar(), 27));
  world.ExpectRefused("--memory");
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

// A bomb: what it unpacks to takes time, and no more memory than there is.
TEST(TakeOverTest, MemoryIsBounded) {
  CutOver world;
  CompressorArchive archive;
  for (int i = 0; i < 12'000; ++i) {
    archive.objects.push_back({.relative_key = std::to_string(i), .content = ""});
  }
  std::string tar = CompressorArchive::Member("objects/zeros", std::string(16 << 20, '\0'));
  tar += archive.Tar();
  world.LeaveBytes(testing::ZstdStream(tar));
  world.ExpectRefused("--memory");
  EXPECT_LE(world.world.memory.peak_bytes(), world.world.memory.limit_bytes());
}

}  // namespace
}  // namespace longhaul
