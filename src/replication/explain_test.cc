#include "replication/explain.h"

#include <gtest/gtest.h>

#include "replication/spool.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

class ExplainTest : public ::testing::Test {
 protected:
  Explanation Ask(const std::string& store, const std::string& bucket, const std::string& key) {
    world.MakeContext();
    auto told = world.world.Run(
        Explain(*world.context, world.configuration, {store}, bucket, key, {.archives_max = 3}));
    EXPECT_TRUE(told);
    return told ? std::move(*told) : Explanation();
  }
  Explanation AskSource(const std::string& key) { return Ask("east", "in", key); }
  [[nodiscard]] Rule& rule() { return world.configuration.rules[0]; }

  ReplicationWorld world;
};

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
  world.target().decide = [](StoreOperation operation, std::string_view bucket,
                             std::string_view key) {
    const bool hit = operation == StoreOperation::kPut && bucket == "out" && key == "refused";
    return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
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
  ASSERT_TRUE(world.world.Run(SpoolHints(world.state, "r", {{.hint = {.key = "a"}}})));
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  EXPECT_TRUE(told.from[0].targets[0].spooled);
  EXPECT_NE(told.next.find(FormatRfc3339(until)), std::string::npos) << told.next;
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

}  // namespace
}  // namespace longhaul
