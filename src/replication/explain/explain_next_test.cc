#include "replication/explain/explain_next.h"

#include <gtest/gtest.h>

#include "events/hint.h"
#include "tests/support/explain_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::Says;
using testing::StoreOperation;
using testing::TroubledStore;

class ExplainNextTest : public testing::ExplainTest {};

// The time that is told must be the one at which it really happens.
TEST_F(ExplainNextTest, WhatIsParkedIsTriedAgainWhenItSays) {
  world.Put("a", "text");
  world.Put("refused", "text");
  RefuseWrites("refused");
  world.Start();
  world.RunFor(60s);
  Explanation told = AskSource("refused");
  ASSERT_EQ(told.status, ReplicationStatus::kFailed) << told.next;
  ASSERT_TRUE(told.next_try) << told.next;
  EXPECT_GT(*told.next_try, Now());
  EXPECT_TRUE(Says(told.next, FormatRfc3339(*told.next_try))) << told.next;
  world.target().Heal();
  // A comparison would bring it sooner, in another archive.
  world.source().Fails(ErrorKind::kRetryable);
  world.RunFor(*told.next_try - Now() - 2s);
  EXPECT_FALSE(world.Replicas().contains("refused"));
  world.RunFor(15s);
  EXPECT_TRUE(world.Replicas().contains("refused"));
  world.source().Heal();
  world.Stop();
}

// The source refuses it to whoever asks as well; "tried again for ever" would have nobody mend it.
TEST_F(ExplainNextTest, WhatTheSourceDoesNotGiveIsParked) {
  world.Put("a", "text");
  world.source().decide = [](StoreOperation, std::string_view, std::string_view key) {
    return key == "a" ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  ASSERT_TRUE(world.world.Run(
      WriteParked(world.state, "r", {.key = "a", .reason = "access denied", .when = Now()})));
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kFailed);
  EXPECT_TRUE(Says(told.next, "parked: access denied")) << told.next;
}

// A time at which nobody is there to try would be a promise that nobody keeps.
TEST_F(ExplainNextTest, WithoutAProcessNoTimeIsTold) {
  world.Put("a", "text");
  world.Put("refused", "text");
  RefuseWrites("refused");
  world.RunOnce({.timeout = 60s});
  Explanation told = AskSource("refused");
  EXPECT_FALSE(told.next_try);
  EXPECT_TRUE(Says(told.next, "runs the rule as target, as none does now")) << told.next;
  world.Put("new", "text");
  told = AskSource("new");
  EXPECT_FALSE(told.next_try);
  EXPECT_TRUE(Says(told.next, "runs the rule as source, as none does now")) << told.next;
}

TEST_F(ExplainNextTest, TheNextComparisonComesWhenItSays) {
  world.Start();
  world.RunFor(100s);
  world.Put("unheard", "text");
  Explanation told = AskSource("unheard");
  ASSERT_TRUE(told.next_try) << told.next;
  EXPECT_TRUE(Says(told.next, "the next comparison finds it, about ")) << told.next;
  EXPECT_GT(*told.next_try, Now() + 5s);
  world.RunFor(*told.next_try - Now() - 2s);
  EXPECT_TRUE(world.Replicas().empty());
  world.RunFor(15s);
  EXPECT_EQ(world.Replicas().size(), 1u);
  world.Stop();

  Publish({});
  world.Put("asked", "text");
  ASSERT_TRUE(world.world.Run(AskForBackfill(world.state, "r", {.asked = Now(), .prefix = "as"})));
  EXPECT_TRUE(Says(AskSource("asked").next, "which was asked for at")) << told.next;
}

// Somebody who has just written an object must not be sent to look for what went wrong.
TEST_F(ExplainNextTest, AnObjectThatHasNotSettledIsWaitedFor) {
  world.Put("a", "text");
  HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = "a", .time = Now()}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  Explanation told = AskSource("a");
  ASSERT_TRUE(told.from[0].source);
  EXPECT_EQ(told.next_try, told.from[0].source->last_modified + rule().settle);
  EXPECT_TRUE(Says(told.next, "is read from ")) << told.next;
  world.RunFor(5s);
  told = AskSource("a");
  EXPECT_FALSE(told.next_try);
  EXPECT_TRUE(Says(told.next, "an event may be among the 1 messages")) << told.next;
}

// A comparison that holds deletes back is no promise that the next one will not.
TEST_F(ExplainNextTest, AHeldDeleteSaysWhy) {
  world.Put("a", "text");
  world.RunOnce();
  testing::MemoryStore direct(world.runtime, world.source().backend);
  ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = "a"})));
  Publish({.deletes_held = 3});
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  EXPECT_TRUE(Says(told.next, "held back by the delete guard")) << told.next;
  Publish({.troubles = {{"listing", "it is denied"}}});
  world.Put("b", "text");
  EXPECT_TRUE(Says(AskSource("b").next, "it is denied")) << told.next;
  told = AskSource("never was");
  EXPECT_EQ(told.status, ReplicationStatus::kNone) << "nothing has been completed";
}

// A target that is left alone is not tried at all; the reason is known to the process alone.
TEST_F(ExplainNextTest, ATargetThatIsLeftAloneSaysWhy) {
  world.Put("a", "text");
  RuleNow now;
  now.targets["t0"].open = OpenTarget{.since = Now() - 5min, .reason = "no answer"};
  Publish(now);
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  ASSERT_TRUE(told.from[0].targets[0].open);
  EXPECT_TRUE(Says(told.next, "(no answer); its store is probed every 1m")) << told.next;
  EXPECT_FALSE(told.next_try) << "nobody writes down when the next probe is";
  world.target().Fails(ErrorKind::kRetryable);
  EXPECT_TRUE(Says(AskSource("a").next, "(no answer)"));
}

// One refused archive can hold back thousands of keys, none of which has a row of its own.
TEST_F(ExplainNextTest, AnArchiveThatIsRefusedAsAWholeIsNamed) {
  world.Put("a", std::string(5000, 'x'));
  world.RunOnce({.target = false});
  const std::string ulid = StagedUlid();
  ASSERT_TRUE(world.world.Run(WriteParked(world.state, "r",
                                          {.target = "t0",
                                           .archive = ulid,
                                           .op = "archive",
                                           .reason = "of another State",
                                           .when = Now()})));
  Publish({});
  Explanation told = AskSource("a");
  EXPECT_EQ(told.status, ReplicationStatus::kFailed);
  EXPECT_TRUE(Says(told.next, ulid + " is refused as a whole: of another State")) << told.next;
  EXPECT_EQ(told.next_try, told.from[0].targets[0].refused.at(0).when + kParkedRetry);
  EXPECT_TRUE(AskSource("other").from[0].targets[0].refused.empty());

  world.target().backend->CorruptStored("staging", "r/" + ulid + ".tar.zst", 40);
  world.Put("other", "text");
  told = AskSource("other");
  EXPECT_EQ(told.status, ReplicationStatus::kPending);
  EXPECT_TRUE(Says(told.next, ulid + ", which may hold it, is refused")) << told.next;
}

}  // namespace
}  // namespace longhaul
