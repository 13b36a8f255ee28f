// What an object of a compressor's archive replaces at the target, and what it does not.

#include <gtest/gtest.h>

#include "tests/support/cut_over.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::CompressorArchive;
using testing::CutOver;
using testing::kTargetAlone;
using testing::MemoryStoreBackend;
using Keys = std::set<std::string>;

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

}  // namespace
}  // namespace longhaul
