#include "replication/explain/explain.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "replication/life/spool.h"
#include "tests/support/explain_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::ExplainTest;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::Says;

// Whoever asks wants one word first, and it must be the right one at each stage.
TEST_F(ExplainTest, TellsTheWayOfAnObject) {
  world.Put("a", "text");
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  EXPECT_NE(told.next.find("no event is in the queue"), std::string::npos) << told.next;
  ASSERT_EQ(told.from.size(), 1u);
  EXPECT_TRUE(told.from[0].source);

  world.RunOnce({.target = false});
  told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  ASSERT_EQ(told.from[0].targets[0].pending.size(), 1u);
  EXPECT_NE(told.next.find(told.from[0].targets[0].pending[0].archive), std::string::npos);

  world.RunOnce();
  told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kCompleted) << told.next;
  ASSERT_TRUE(told.from[0].targets[0].mark);
  EXPECT_EQ(told.from[0].targets[0].mark->site, "here");

  told = Ask("west0", "out", "a");
  EXPECT_EQ(told.status, ReplicationStatus::kReplica);
  ASSERT_EQ(told.to.size(), 1u);
  EXPECT_EQ(told.to[0].source_key, "a");

  world.RunFor(5s);
  world.Put("a", "other text");
  EXPECT_EQ(AskSource("a").status, ReplicationStatus::kPending);
}

// The same bytes with other metadata: only the time tells that the replica is behind.
TEST_F(ExplainTest, AChangeOfMetadataAloneIsPending) {
  world.Put("a", "text");
  world.RunOnce();
  world.RunFor(5s);
  world.Put("a", "text", {{"colour", "red"}});
  EXPECT_EQ(AskSource("a").status, ReplicationStatus::kPending);
}

// The most asked question of all: why is it not carried?
TEST_F(ExplainTest, SaysWhyARuleDoesNotMatch) {
  world.Put("logs/a.txt", "text");
  auto why = [&] {
    Explanation told = AskSource("logs/a.txt");
    EXPECT_EQ(told.status, ReplicationStatus::kNone);
    EXPECT_FALSE(told.from[0].matches);
    return told.from[0].why_not;
  };
  rule().source.prefix = "data/";
  EXPECT_EQ(why(), "its prefix is \"data/\"");
  rule().source.prefix = "";
  rule().filter.suffix = ".log";
  EXPECT_EQ(why(), "its suffix is \".log\"");
  rule().filter = {.size_bytes_min = 10};
  EXPECT_NE(why().find("leaves out objects of"), std::string::npos);
  rule().filter = {.tags = {{"tier", "hot"}}};
  EXPECT_EQ(why(), "its filter asks for other tags");
  rule().filter = {.modified_since = world.world.clock.Now() + 1h};
  EXPECT_NE(why().find("what was written before"), std::string::npos);
  rule().filter = {};
  rule().enabled = false;
  EXPECT_EQ(why(), "the rule is disabled");
  EXPECT_TRUE(Ask("east", "elsewhere", "logs/a.txt").from.empty());
}

TEST_F(ExplainTest, WhatIsParkedHasFailed) {
  world.Put("a", "text a");
  world.Put("refused", "text");
  RefuseWrites("refused");
  world.RunOnce({.timeout = 60s});
  world.target().Heal();
  Explanation told = AskSource("refused");
  EXPECT_EQ(told.status, ReplicationStatus::kFailed);
  EXPECT_NE(told.next.find("rules retry r"), std::string::npos) << told.next;
  EXPECT_EQ(told.from[0].targets[0].pending.size(), 1u);
  EXPECT_EQ(AskSource("a").status, ReplicationStatus::kCompleted);
}

TEST_F(ExplainTest, DeletesAreToldByTheRule) {
  world.Put("a", "text");
  world.Put("b", "text");
  world.RunOnce();
  MemoryStore direct(world.runtime, world.source().backend);
  ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = "a"})));
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  EXPECT_FALSE(told.from[0].source);
  rule().deletes = false;
  told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kNone);
  EXPECT_NE(told.next.find("the replica stays"), std::string::npos) << told.next;
  rule().deletes = true;
  world.RunOnce();
  told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kCompleted);
  ASSERT_TRUE(told.from[0].targets[0].floor);
  EXPECT_TRUE(told.from[0].targets[0].floor->deleted);
}

// A mark that was copied along to another key proves nothing.
TEST_F(ExplainTest, AMarkOfAnotherKeyIsNamed) {
  world.Put("a", "text");
  world.RunOnce();
  MemoryStore direct(world.runtime, world.target().backend);
  auto info = world.world.Run(direct.Head({.bucket = "out", .key = "a"}));
  ASSERT_TRUE(info);
  PutRequest request{.bucket = "out", .key = "copied"};
  request.metadata = info->metadata;
  ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), "text")));
  Explanation told = Ask("west0", "out", "copied");
  EXPECT_EQ(told.status, ReplicationStatus::kNone);
  EXPECT_TRUE(told.to[0].targets[0].foreign_mark);
}

TEST_F(ExplainTest, APauseIsTheNextThing) {
  world.Put("a", "text");
  const SystemTime until = world.world.clock.Now() + 1h;
  ASSERT_TRUE(world.world.Run(WritePause(world.state, "r", "", {.until = until})));
  ASSERT_TRUE(world.world.Run(SpoolHints(world.state, "r", "", "", {{.hint = {.key = "a"}}})));
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  EXPECT_TRUE(told.from[0].targets[0].spooled);
  EXPECT_NE(told.next.find(FormatRfc3339(until)), std::string::npos) << told.next;
  EXPECT_EQ(told.next_try, until);
}

// A store that is away must not keep the rest from being told.
TEST_F(ExplainTest, WhatCannotBeLookedAtIsSaid) {
  world.Put("a", "text");
  world.target().Fails(ErrorKind::kRetryable);
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  ASSERT_TRUE(told.from[0].targets[0].error);
  EXPECT_TRUE(told.from[0].source);
}

// Opening thousands of archives would cost money; that some were not opened must be said.
TEST_F(ExplainTest, SaysHowManyArchivesItDidNotOpen) {
  world.configuration.rules[0].batch.count = 1;
  for (int i = 0; i < 5; ++i) world.Put("k" + std::to_string(i), "text");
  world.RunOnce({.target = false});
  Explanation told = AskSource("k0");
  EXPECT_EQ(told.from[0].targets[0].archives_not_read, 2u);
}

// An archive that one target is done with stays for the other: without the receipt it would look as
// if it had never been applied, or as if it were forgotten.
TEST(ExplainReceiptTest, AReceiptTellsWhomTheArchiveWaitsFor) {
  ReplicationWorld world(2);
  world.configuration.rules[0].targets[1].staging = world.configuration.rules[0].targets[0].staging;
  world.Put("a", "text");
  world.Put("b", "text");
  ASSERT_TRUE(world.world.Run(WritePause(world.state, "r", "t1", {.since = {}, .until = {}})));
  world.RunOnce();
  world.MakeContext();
  auto told =
      world.world.Run(Explain(*world.context, world.configuration, {"east"}, "in", "a", {}));
  ASSERT_TRUE(told);
  const TargetExplanation& done = told->from[0].targets[0];
  ASSERT_EQ(done.receipts.size(), 1u);
  const LeftReceipt& left = done.receipts[0];
  EXPECT_EQ(left.receipt.state, ArchiveReceipt::State::kDone);
  EXPECT_EQ(left.receipt.applied, 2u);
  EXPECT_NE(left.receipt.written, SystemTime());
  EXPECT_EQ(left.waits_for, std::vector<std::string>{"t1"});
  ASSERT_TRUE(left.reading);
  EXPECT_EQ(left.reading->archive, left.receipt.archive);
  EXPECT_TRUE(done.pending.empty());
  EXPECT_EQ(done.status, ReplicationStatus::kCompleted);
  const TargetExplanation& paused = told->from[0].targets[1];
  EXPECT_TRUE(paused.receipts.empty());
  ASSERT_EQ(paused.pending.size(), 1u);
  EXPECT_EQ(paused.pending[0].archive, left.receipt.archive);
  told = world.world.Run(Explain(*world.context, world.configuration, {"east"}, "in", "x", {}));
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->from[0].targets[0].receipts.empty()) << "it is not in that archive";
}

// Nothing in staging is to be applied any more, and yet somebody is at work: the source.
TEST_F(ExplainTest, AReceiptOfADamagedArchiveAsksTheSource) {
  world.Put("a", std::string(5000, 'x'));
  world.RunOnce({.target = false});
  const std::string ulid = StagedUlid();
  world.target().backend->CorruptStored("staging", "r/" + ulid + ".tar.zst", 40);
  world.RunOnce({.source = false, .timeout = 30s});
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  ASSERT_EQ(told.from[0].targets[0].receipts.size(), 1u);
  const LeftReceipt& left = told.from[0].targets[0].receipts[0];
  EXPECT_EQ(left.receipt.state, ArchiveReceipt::State::kCorrupt);
  EXPECT_FALSE(left.receipt.reason.empty());
  EXPECT_TRUE(left.rereads);
  EXPECT_TRUE(left.archive_there);
  EXPECT_TRUE(Says(told.next, "reads it anew, as the receipt of archive " + ulid)) << told.next;

  MemoryStore direct(world.runtime, world.target().backend);
  ASSERT_TRUE(world.world.Run(
      PutText(direct, {.bucket = "staging", .key = ReceiptKey("r/", ulid, "t0")}, "no receipt")));
  told = AskSource("a");
  ASSERT_EQ(told.from[0].targets[0].receipts.size(), 1u);
  EXPECT_TRUE(Says(told.from[0].targets[0].receipts[0].receipt.reason, "cannot be read"));
}

// A giant is at the target in part, which no HEAD shows: only State knows how far it has come.
TEST_F(ExplainTest, AGiantTellsHowMuchOfItHasArrived) {
  world.limits.single_object_bytes_max = 300'000;
  world.limits.segment_bytes_min = 200'000;
  world.limits.giant_part_bytes_min = 50'000;
  MemoryStore source(world.runtime, world.source().backend);
  auto upload = world.world.Run(source.CreateMultipart({.bucket = "in", .key = "film"}));
  ASSERT_TRUE(upload);
  CompleteRequest complete{.upload = *upload, .parts = {}, .condition = {}, .checksum = {}};
  const std::string part(50'000, 'x');
  for (int number = 1; number <= 20; ++number) {
    MemorySource body{std::string_view(part)};
    auto stored = world.world.Run(source.UploadPart(*upload, number, body));
    ASSERT_TRUE(stored);
    complete.parts.push_back(*stored);
  }
  ASSERT_TRUE(world.world.Run(source.CompleteMultipart(complete)));
  world.RunOnce({.target = false});
  Explanation told = AskSource("film");
  const TargetExplanation* target = &told.from[0].targets[0];
  ASSERT_TRUE(target->giant);
  EXPECT_FALSE(target->giant->upload);
  ASSERT_FALSE(target->pending.empty());
  ASSERT_TRUE(target->pending[0].segment);
  EXPECT_EQ(target->pending[0].segment->count, 5u);

  const std::set<std::string> staged = world.Staged();
  ASSERT_EQ(staged.size(), 5u);
  MemoryStore direct(world.runtime, world.target().backend);
  for (const std::string& key : {*staged.begin(), *staged.rbegin()}) {
    ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "staging", .key = key})));
  }
  world.RunOnce({.source = false});
  told = AskSource("film");
  target = &told.from[0].targets[0];
  ASSERT_TRUE(target->giant && target->giant->upload);
  EXPECT_EQ(target->giant->plan, target->giant->upload->plan);
  EXPECT_FALSE(target->giant->upload->upload_id.empty());
  EXPECT_EQ(target->giant->upload->stored.size(), 5u);
  EXPECT_EQ(std::ranges::count(target->giant->upload->stored, true), 3);
  EXPECT_TRUE(Says(told.next, "its segments travel")) << told.next;

  rule().deletes = false;
  ASSERT_TRUE(world.world.Run(source.Remove({.bucket = "in", .key = "film"})));
  told = AskSource("film");
  target = &told.from[0].targets[0];
  EXPECT_EQ(told.next_try, target->giant->upload->touched + kArchiveAgeMax);
  EXPECT_TRUE(Says(told.next, "is swept")) << told.next;
}

// With the source away nobody knows what it holds; what the target and staging have is told still.
TEST_F(ExplainTest, ASourceThatIsAwayKeepsNothingElseFromBeingTold) {
  world.Put("a", "text");
  world.RunOnce({.target = false});
  rule().filter = {.tags = {{"tier", "hot"}}};
  for (ErrorKind kind : {ErrorKind::kRetryable, ErrorKind::kDenied}) {
    world.source().Fails(kind);
    Explanation told = AskSource("a");
    EXPECT_EQ(told.status, ReplicationStatus::kPending);
    ASSERT_TRUE(told.from[0].source_error);
    EXPECT_TRUE(told.from[0].matches);
    EXPECT_FALSE(told.from[0].source);
    EXPECT_EQ(told.from[0].targets[0].pending.size(), 1u);
    EXPECT_EQ(told.next, "the source cannot be looked at: it is tried again for ever");
  }
  // Neither is an empty bucket; a HEAD says 404 of both.
  world.source().Heal();
  world.source().backend->options.bare_404 = true;
  EXPECT_TRUE(AskSource("absent").from[0].source_error);
  world.source().backend->options.bare_404 = false;
  EXPECT_FALSE(AskSource("absent").from[0].source_error);
  world.source().backend->buckets.clear();
  EXPECT_EQ(AskSource("a").status, ReplicationStatus::kPending);
}

// A State that is new, or was lost, says nothing; source and replica alone tell then.
TEST_F(ExplainTest, AStateWithoutRowsIsNoTrouble) {
  world.Put("a", "text");
  world.RunOnce();
  world.state_backend->rows.clear();
  EXPECT_EQ(AskSource("a").status, ReplicationStatus::kCompleted);
  world.RunFor(5s);
  world.Put("a", "other text");
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  EXPECT_FALSE(told.from[0].targets[0].floor);
  EXPECT_FALSE(told.next_try);
}

}  // namespace
}  // namespace longhaul
