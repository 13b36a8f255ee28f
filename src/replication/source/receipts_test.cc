#include "replication/source/receipts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "events/hint.h"
#include "replication/life/parked.h"
#include "replication/staging/archive_keys.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr char kUlid[] = "01KJM000000000000000000000";

// Whom the messages in the Queue are for.
std::vector<std::string> TargetsOfHints(testing::ReplicationWorld& world) {
  std::vector<std::string> targets;
  for (const auto& [id, row] : world.queue_backend->rows) {
    Result<HintMessage> hints = DecodeHints(row.body);
    targets.push_back(hints ? hints->target : "no hints");
  }
  return targets;
}

// Two processes read the receipts of a staging that two targets share. Were what the other one has
// removed known for ever, it would take more and more memory, and a receipt that a target leaves
// later in its place would be removed without its keys being read anew.
TEST(ReceiptReaderTest, WhatAnotherProcessHasRemovedIsNotKnownAnyMore) {
  testing::ReplicationWorld world(2);
  std::vector<Target>& targets = world.configuration.rules[0].targets;
  targets[1].staging = targets[0].staging;
  auto make_process = [&] {
    world.MakeContext();
    for (const auto& target : world.context->rules[0]->targets) target->staging_found = true;
    return std::move(world.context);
  };
  const std::unique_ptr<ReplicationContext> one = make_process();
  const std::unique_ptr<ReplicationContext> two = make_process();
  ReceiptReader first(*one);
  ReceiptReader second(*two);
  Store& store = *world.target().store;
  const std::string prefix = one->rules[0]->targets[0]->staging_prefix;
  auto leave_receipt = [&](const std::string& target, std::vector<std::string> reread = {}) {
    const SystemTime now = world.world.clock.Now();
    const ArchiveReceipt receipt{.archive = kUlid,
                                 .rule = "r",
                                 .target = target,
                                 .written = now,
                                 .stamp_oldest = now,
                                 .reread = std::move(reread)};
    return world.world.Run(WriteReceipt(store, "staging", prefix, receipt));
  };

  const std::string archive = ArchiveKey(prefix, kUlid);
  ASSERT_TRUE(world.world.Run(PutText(store, {.bucket = "staging", .key = archive}, "x")));
  ASSERT_TRUE(leave_receipt("t0"));
  EXPECT_EQ(world.world.Run(first.RunPass()).read, 1);
  EXPECT_EQ(world.world.Run(first.RunPass()).read, 0) << "It waits for the other target's.";
  // Another process applies it a second time, and finds what must be read anew.
  ASSERT_TRUE(leave_receipt("t0", {"late"}));
  EXPECT_EQ(world.world.Run(first.RunPass()).read, 1);
  EXPECT_EQ(world.queue_backend->rows.size(), 1u);
  EXPECT_EQ(world.world.Run(first.RunPass()).read, 0);

  ASSERT_TRUE(leave_receipt("t1"));
  ASSERT_TRUE(world.world.Run(store.Remove({.bucket = "staging", .key = archive})));
  EXPECT_EQ(world.world.Run(second.RunPass()).read, 2);
  EXPECT_TRUE(world.Staged().empty());
  EXPECT_EQ(world.world.Run(first.RunPass()).read, 0);

  ASSERT_TRUE(leave_receipt("t0", {"k"}));
  EXPECT_EQ(world.world.Run(first.RunPass()).read, 1);
  EXPECT_EQ(world.queue_backend->rows.size(), 3u)
      << "the second process had read the late one, too";
  EXPECT_TRUE(world.Staged().empty());
}

// Another process may have removed a receipt before this one, which packed the archive, has listed
// either. It would seem to wait for that target until this process ends.
TEST(ReceiptReaderTest, AnArchiveThatIsNotThereWaitsForNobody) {
  testing::ReplicationWorld world(2);
  world.MakeContext();
  const auto& targets = world.context->rules[0]->targets;
  targets[0]->staging_found = true;
  RuleMeter& meter = *world.context->meter;
  const SystemTime now = world.world.clock.Now();
  ReceiptReader reader(*world.context);
  meter.OnStaged("r", kUlid, {"t0"}, {}, {{.key = "k", .heard = now}});
  EXPECT_FALSE(world.world.Run(reader.RunPass()).complete);
  EXPECT_EQ(meter.ArchivesWaiting().size(), 1U) << "it may be where nobody has looked";
  targets[1]->staging_found = true;
  const std::string archive = ArchiveKey(targets[1]->staging_prefix, kUlid);
  Store& store = *world.target(1).store;
  ASSERT_TRUE(world.world.Run(PutText(store, {.bucket = "staging", .key = archive}, "x")));
  EXPECT_TRUE(world.world.Run(reader.RunPass()).complete);
  EXPECT_EQ(meter.ArchivesWaiting().size(), 1U);
  ASSERT_TRUE(world.world.Run(store.Remove({.bucket = "staging", .key = archive})));
  ReceiptReader fresh(*world.context);
  EXPECT_TRUE(world.world.Run(fresh.RunPass()).complete);
  EXPECT_TRUE(meter.ArchivesWaiting().empty());
}

// An archive that is applied at once is never listed beside its receipt. The rows of its keys would
// fill State for two weeks.
TEST(ReceiptReaderTest, KeysOfAnArchiveThatNobodySawAreForgotten) {
  testing::ReplicationWorld world;
  world.MakeContext();
  world.context->rules[0]->targets[0]->staging_found = true;
  const SystemTime now = world.world.clock.Now();
  HintMessage keys{.store = "east", .bucket = "in", .rule = "r", .hints = {{.key = "k"}}};
  ASSERT_TRUE(world.world.Run(RememberArchiveKeys(world.state, now, kUlid, std::move(keys))));
  const ArchiveReceipt receipt{.archive = kUlid,
                               .rule = "r",
                               .target = "t0",
                               .written = now,
                               .stamp_oldest = now,
                               .entries = 1,
                               .applied = 1};
  ReceiptReader reader(*world.context);
  ASSERT_TRUE(
      world.world.Run(WriteReceipt(*world.target().store, "staging",
                                   world.context->rules[0]->targets[0]->staging_prefix, receipt)));
  EXPECT_EQ(world.world.Run(reader.RunPass()).read, 1);
  EXPECT_EQ(world.world.Run(reader.RunPass()).read, 0);
  for (const auto& [place, row] : world.state_backend->rows) {
    const bool of_archive = place.first == "archive/" + std::string(kUlid);
    EXPECT_TRUE(!of_archive || row.expires <= now + kArchiveKeysKept) << place.second;
  }
}

// A damaged archive's keys: those that State remembers, or else those that its receipt names.
TEST(ReceiptReaderTest, KeysOfADamagedArchiveAreReadAnew) {
  for (const bool remembered : {false, true}) {
    testing::ReplicationWorld world;
    world.MakeContext();
    const TargetContext& target = *world.context->rules[0]->targets[0];
    world.context->rules[0]->targets[0]->staging_found = true;
    const SystemTime now = world.world.clock.Now();
    HintMessage keys{.store = "east", .bucket = "in", .rule = "r", .hints = {{.key = "k"}}};
    if (remembered) {
      ASSERT_TRUE(world.world.Run(RememberArchiveKeys(world.state, now, kUlid, std::move(keys))));
    }
    ArchiveReceipt receipt{.state = ArchiveReceipt::State::kCorrupt,
                           .archive = kUlid,
                           .rule = "r",
                           .target = "t0",
                           .written = now};
    if (!remembered) receipt.reread = {"k"};
    ASSERT_TRUE(world.world.Run(
        WriteReceipt(*world.target().store, "staging", target.staging_prefix, receipt)));
    ReceiptReader reader(*world.context);
    EXPECT_EQ(world.world.Run(reader.RunPass()).read, 1);
    EXPECT_EQ(world.queue_backend->rows.size(), 1u) << remembered;
  }
}

// Two targets share a staging, and an archive is removed from it by hand, or by the bucket's
// lifecycle. Process `first` has seen it.
class UntoldArchiveTest : public ::testing::Test {
 protected:
  using Rows = std::map<std::string, std::string>;  // Targets that are waited for, by archive.

  UntoldArchiveTest() {
    std::vector<Target>& targets = world_.configuration.rules[0].targets;
    targets[1].staging = targets[0].staging;
    one_ = MakeProcess();
    two_ = MakeProcess();
    first_.emplace(*one_);
    second_.emplace(*two_);
    const SystemTime now = world_.world.clock.Now();
    ulid_ = NewUlid(now, world_.world.random);
    HintMessage keys{.store = "east", .bucket = "in", .rule = "r", .hints = {{.key = "k"}}};
    EXPECT_TRUE(world_.world.Run(RememberArchiveKeys(world_.state, now, ulid_, std::move(keys))));
    archive_ = ArchiveKey(Prefix(), ulid_);
    EXPECT_TRUE(world_.world.Run(PutText(Staging(), {.bucket = "staging", .key = archive_}, "x")));
    world_.RunFor(2h);
    Pass(*first_);
  }

  std::unique_ptr<ReplicationContext> MakeProcess() {
    world_.MakeContext();
    for (const auto& target : world_.context->rules[0]->targets) target->staging_found = true;
    return std::move(world_.context);
  }
  const std::string& Prefix() { return one_->rules[0]->targets[0]->staging_prefix; }
  Store& Staging() { return *world_.target().store; }
  void Pass(ReceiptReader& reader) { EXPECT_TRUE(world_.world.Run(reader.RunPass()).complete); }
  void LeaveReceipt(const std::string& target) {
    const SystemTime now = world_.world.clock.Now();
    const ArchiveReceipt receipt{
        .archive = ulid_, .rule = "r", .target = target, .written = now, .stamp_oldest = now};
    EXPECT_TRUE(world_.world.Run(WriteReceipt(Staging(), "staging", Prefix(), receipt)));
  }
  void RemoveArchive() {
    EXPECT_TRUE(world_.world.Run(Staging().Remove({.bucket = "staging", .key = archive_})));
  }
  Rows Waiting() {
    Rows rows;
    for (const auto& [place, row] : world_.state_backend->rows) {
      if (place.first == "untold/r") rows[place.second] = row.value;
    }
    return rows;
  }
  size_t CountSent() { return world_.queue_backend->rows.size(); }
  bool IsRemembered() {
    auto keys = world_.world.Run(RecallArchiveKeys(world_.state, ulid_));
    return keys && !keys->empty();
  }

  testing::ReplicationWorld world_{2};
  std::unique_ptr<ReplicationContext> one_;
  std::unique_ptr<ReplicationContext> two_;
  std::optional<ReceiptReader> first_;
  std::optional<ReceiptReader> second_;
  std::string ulid_;
  std::string archive_;
};

TEST_F(UntoldArchiveTest, ItsKeysAreReadAnew) {
  RemoveArchive();
  for (int i = 0; i < 8; ++i) {
    Pass(*first_);
    world_.RunFor(10min);
  }
  EXPECT_TRUE(IsRemembered()) << "a target may ask for them";
  EXPECT_EQ(CountSent(), 0u);
  world_.RunFor(11min);
  Pass(*first_);
  EXPECT_EQ(CountSent(), 1u);
  EXPECT_FALSE(IsRemembered());
  world_.RunFor(2h);
  Pass(*first_);
  EXPECT_EQ(CountSent(), 1u);
}

TEST_F(UntoldArchiveTest, OneTargetHasToldOfIt) {
  LeaveReceipt("t0");
  Pass(*first_);
  RemoveArchive();
  Pass(*first_);
  EXPECT_TRUE(world_.Staged().empty());
  Pass(*first_);
  EXPECT_TRUE(IsRemembered());
  world_.RunFor(91min);
  Pass(*first_);
  EXPECT_EQ(CountSent(), 1u);
}

// It waited for a target for long, and went while no process of the source ran.
TEST_F(UntoldArchiveTest, ItsKeysAreReadAnewByTheNextProcess) {
  LeaveReceipt("t0");
  Pass(*first_);
  EXPECT_EQ(Waiting(), (Rows{{ulid_, "t1"}}));
  RemoveArchive();
  Pass(*second_);
  Pass(*second_);  // The first one has removed the receipt.
  world_.RunFor(91min);
  Pass(*second_);
  EXPECT_EQ(CountSent(), 1u);
  EXPECT_EQ(Waiting(), Rows{});
}

TEST_F(UntoldArchiveTest, OneThatWaitsForLongHasARow) {
  EXPECT_EQ(Waiting(), (Rows{{ulid_, "t0 t1"}}));
  LeaveReceipt("t0");
  Pass(*first_);
  EXPECT_EQ(Waiting(), (Rows{{ulid_, "t1"}}));
  LeaveReceipt("t1");
  RemoveArchive();
  Pass(*first_);
  EXPECT_EQ(Waiting(), Rows{});
  Pass(*second_);
  world_.RunFor(91min);
  Pass(*second_);
  EXPECT_EQ(CountSent(), 0u);
}

// However short the lives of those who look.
TEST_F(UntoldArchiveTest, OneThatWentHasARow) {
  RemoveArchive();
  Pass(*first_);
  world_.RunFor(61s);
  Pass(*first_);
  EXPECT_THAT(Waiting()[ulid_], ::testing::MatchesRegex("gone=[^ ]+ t0 t1"));
  for (int i = 0; i < 9; ++i) {
    world_.RunFor(10min);
    EXPECT_EQ(CountSent(), 0u);
    ReceiptReader another(*two_);
    Pass(another);
  }
  EXPECT_EQ(CountSent(), 1u);
  EXPECT_EQ(Waiting(), Rows{});
}

TEST_F(UntoldArchiveTest, AFreshOneHasNoRow) {
  const std::string fresh = NewUlid(world_.world.clock.Now(), world_.world.random);
  ASSERT_TRUE(world_.world.Run(
      PutText(Staging(), {.bucket = "staging", .key = ArchiveKey(Prefix(), fresh)}, "x")));
  world_.RunFor(9min);
  Pass(*first_);
  EXPECT_FALSE(Waiting().contains(fresh));
  world_.RunFor(2min);
  Pass(*first_);
  EXPECT_TRUE(Waiting().contains(fresh));
}

// A target that was taken out of the rule misses nothing; it has all been carried to the others.
TEST_F(UntoldArchiveTest, ATargetThatIsNotThereMissesNothing) {
  world_.state_backend->rows[{"untold/r", ulid_}].value = "other";
  LeaveReceipt("t0");
  LeaveReceipt("t1");
  Pass(*second_);
  Pass(*second_);
  EXPECT_EQ(Waiting(), Rows{});
  world_.RunFor(92min);
  Pass(*second_);
  EXPECT_EQ(CountSent(), 0u);
}

// Only the source's side knows of the target, and the other removes what all have applied that it
// knows. Were it sent anew, that would go on for ever, for all of them.
TEST_F(UntoldArchiveTest, ATargetThatNeverAnsweredGetsNothingAnew) {
  LeaveReceipt("t0");
  RemoveArchive();
  Pass(*first_);
  Pass(*first_);
  ASSERT_TRUE(world_.world.Run(one_->meter->Publish(true)));
  world_.RunFor(91min);
  Pass(*first_);
  EXPECT_EQ(CountSent(), 0u);
  EXPECT_TRUE(world_.log.Has("a target shares which has never answered"));
  EXPECT_FALSE(IsRemembered());
}

// Nor do the others get again what they have applied.
TEST_F(UntoldArchiveTest, WhoHasToldGetsNothingAnew) {
  for (const auto& process : {one_.get(), two_.get()}) {
    // Of another archive, to another process perhaps.
    process->meter->OnAnswer("r", process == one_.get() ? "t0" : "t1");
    ASSERT_TRUE(world_.world.Run(process->meter->Publish(true)));
  }
  LeaveReceipt("t0");
  RemoveArchive();
  Pass(*first_);
  world_.RunFor(1s);
  Pass(*first_);
  world_.RunFor(91min);
  Pass(*first_);
  EXPECT_EQ(TargetsOfHints(world_), std::vector<std::string>{"t1"});
}

// Another process has taken the receipts, and this one has nothing to remember.
TEST_F(UntoldArchiveTest, WhatAnotherProcessHasForgottenHasNoRow) {
  const std::string fresh = NewUlid(world_.world.clock.Now(), world_.world.random);
  HintMessage keys{.store = "east", .bucket = "in", .rule = "r", .hints = {{.key = "k"}}};
  ASSERT_TRUE(world_.world.Run(
      RememberArchiveKeys(world_.state, world_.world.clock.Now(), fresh, std::move(keys))));
  const std::string key = ArchiveKey(Prefix(), fresh);
  ASSERT_TRUE(world_.world.Run(PutText(Staging(), {.bucket = "staging", .key = key}, "x")));
  Pass(*first_);
  Pass(*second_);
  ASSERT_TRUE(world_.world.Run(Staging().Remove({.bucket = "staging", .key = key})));
  ASSERT_TRUE(world_.world.Run(ForgetArchiveKeys(world_.state, world_.world.clock.Now(), fresh)));
  Pass(*first_);
  world_.RunFor(61s);
  Pass(*first_);
  EXPECT_FALSE(Waiting().contains(fresh));
}

TEST_F(UntoldArchiveTest, RowsThatCannotBeReadAreReadLater) {
  RemoveArchive();
  world_.state_backend->unreadable = ulid_;
  Pass(*second_);
  world_.state_backend->unreadable.clear();
  Pass(*second_);
  world_.RunFor(91min);
  Pass(*second_);
  EXPECT_EQ(CountSent(), 1u);
}

TEST_F(UntoldArchiveTest, AllHaveToldOfIt) {
  LeaveReceipt("t0");
  LeaveReceipt("t1");
  RemoveArchive();
  Pass(*first_);
  Pass(*first_);
  EXPECT_FALSE(IsRemembered());
  world_.RunFor(91min);
  Pass(*first_);
  EXPECT_EQ(CountSent(), 0u);
}

TEST_F(UntoldArchiveTest, AnotherProcessHasTakenWhatTheyTold) {
  LeaveReceipt("t0");
  LeaveReceipt("t1");
  RemoveArchive();
  Pass(*second_);
  Pass(*second_);
  Pass(*first_);
  world_.RunFor(91min);
  Pass(*first_);
  EXPECT_EQ(CountSent(), 0u);
}

// A listing may miss it, or somebody has put it back.
TEST_F(UntoldArchiveTest, ItIsThereAgain) {
  RemoveArchive();
  Pass(*first_);
  ASSERT_TRUE(world_.world.Run(PutText(Staging(), {.bucket = "staging", .key = archive_}, "x")));
  Pass(*first_);
  world_.RunFor(91min);
  Pass(*first_);
  EXPECT_EQ(CountSent(), 0u);
  EXPECT_TRUE(IsRemembered());
}

// The target asks for them, once: they are in the Queue then.
TEST_F(UntoldArchiveTest, ATargetAsksForItsKeys) {
  RemoveArchive();
  Pass(*first_);
  const ArchiveReceipt receipt{.state = ArchiveReceipt::State::kCorrupt,
                               .archive = ulid_,
                               .rule = "r",
                               .target = "t0",
                               .written = world_.world.clock.Now(),
                               .keys_known = false};
  ASSERT_TRUE(world_.world.Run(WriteReceipt(Staging(), "staging", Prefix(), receipt)));
  Pass(*first_);
  EXPECT_EQ(CountSent(), 1u);
  Pass(*first_);
  EXPECT_FALSE(IsRemembered());
  world_.RunFor(91min);
  Pass(*first_);
  EXPECT_EQ(CountSent(), 1u);
}

// Targets with stagings of their own, and two processes of the source: each takes the receipt of
// one target and removes it before the other has seen it.
class TwoStagingsTest : public ::testing::Test {
 protected:
  TwoStagingsTest() {
    for (Process& process : processes_) {
      world_.MakeContext();
      process.context = std::move(world_.context);
      for (const auto& target : process.context->rules[0]->targets) target->staging_found = true;
      process.reader.emplace(*process.context);
    }
    const SystemTime now = world_.world.clock.Now();
    ulid_ = NewUlid(now, world_.world.random);
    HintMessage keys{.store = "east", .bucket = "in", .rule = "r", .hints = {{.key = "k"}}};
    EXPECT_TRUE(world_.world.Run(RememberArchiveKeys(world_.state, now, ulid_, std::move(keys))));
    key_ = ArchiveKey(processes_[0].context->rules[0]->targets[0]->staging_prefix, ulid_);
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(world_.world.Run(
          PutText(*world_.target(i).store, {.bucket = "staging", .key = key_}, "x")));
    }
    PassAll();
  }
  ReceiptPass Pass(int process) { return world_.world.Run(processes_[process].reader->RunPass()); }
  void PassAll() {
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(Pass(i).complete);
  }
  void Remove(int i) {
    EXPECT_TRUE(
        world_.world.Run(world_.target(i).store->Remove({.bucket = "staging", .key = key_})));
  }
  void Apply(int i) {
    const SystemTime now = world_.world.clock.Now();
    const ArchiveReceipt receipt{.archive = ulid_,
                                 .rule = "r",
                                 .target = "t" + std::to_string(i),
                                 .written = now,
                                 .stamp_oldest = now};
    EXPECT_TRUE(world_.world.Run(
        WriteReceipt(*world_.target(i).store, "staging",
                     processes_[0].context->rules[0]->targets[i]->staging_prefix, receipt)));
    Remove(i);
  }
  void PassUntilAllIsSent() {
    for (const auto pause : {1s, 61s, 91 * 60s}) {
      world_.RunFor(pause);
      PassAll();
    }
  }

  struct Process {
    std::unique_ptr<ReplicationContext> context;
    std::optional<ReceiptReader> reader;
  };
  testing::ReplicationWorld world_{2};
  std::array<Process, 2> processes_;
  std::string ulid_;
  std::string key_;
};

// Each would miss what the other one has been told, and all of it would be sent again.
TEST_F(TwoStagingsTest, EachTargetTellsAnotherProcess) {
  for (const bool down : {false, true}) {  // State does not take it at first.
    if (down) world_.state_backend->read_only = "archive/" + ulid_;
    Apply(down ? 1 : 0);
    EXPECT_EQ(Pass(down ? 1 : 0).store_error.has_value(), down);
    world_.state_backend->read_only.clear();
    EXPECT_FALSE(Pass(down ? 1 : 0).store_error);
    EXPECT_TRUE(world_.Staged(down ? 1 : 0).empty());
  }
  PassUntilAllIsSent();
  EXPECT_EQ(TargetsOfHints(world_), std::vector<std::string>{});
  for (const auto& [place, row] : world_.state_backend->rows) {
    const bool of_archive = place.first == "archive/" + ulid_ || place.first == "untold/r";
    EXPECT_TRUE(!of_archive || row.expires.value_or(SystemTime::max()) <= world_.world.clock.Now())
        << place.first << " " << place.second;
  }
}

// What one has told says nothing of another whose archive was removed.
TEST_F(TwoStagingsTest, WhoHasNotToldGetsItAnew) {
  Apply(0);
  EXPECT_EQ(Pass(0).read, 1);
  Remove(1);
  PassUntilAllIsSent();
  EXPECT_EQ(TargetsOfHints(world_), std::vector<std::string>{"t1"});
}

// They were read in another bucket than the rule reads now: one that is absent in this one would be
// taken for deleted.
TEST(ReceiptReaderTest, KeysOfAnotherBucketAreNotReadAnew) {
  testing::ReplicationWorld world;
  world.MakeContext();
  world.context->rules[0]->targets[0]->staging_found = true;
  ReceiptReader reader(*world.context);
  const std::string prefix = world.context->rules[0]->targets[0]->staging_prefix;
  for (const std::string bucket : {"former", "in"}) {
    const SystemTime now = world.world.clock.Now();
    ASSERT_TRUE(world.world.Run(WriteReceipt(*world.target().store, "staging", prefix,
                                             {.archive = kUlid,
                                              .rule = "r",
                                              .target = "t0",
                                              .bucket = bucket,
                                              .written = now,
                                              .stamp_oldest = now,
                                              .reread = {"k"}})));
    EXPECT_EQ(world.world.Run(reader.RunPass()).read, 1);
    EXPECT_EQ(world.queue_backend->rows.size(), bucket == "in" ? 1U : 0U) << bucket;
    EXPECT_TRUE(world.Staged().empty());
  }
}

// A giant that was parked, by another process perhaps, and has arrived: were its row to stay, all
// of it would be carried again and again.
TEST(ReceiptReaderTest, AGiantThatHasArrivedIsParkedNoMore) {
  for (const bool reread : {false, true}) {
    testing::ReplicationWorld world;
    world.MakeContext();
    world.context->rules[0]->targets[0]->staging_found = true;
    const SystemTime now = world.world.clock.Now();
    ASSERT_TRUE(world.world.Run(
        WriteParked(world.state, "r", {.key = "film", .reason = "denied", .when = now})));
    ArchiveReceipt receipt{.archive = kUlid,
                           .rule = "r",
                           .target = "t0",
                           .written = now,
                           .stamp_oldest = now,
                           .transfer = kUlid,
                           .transfer_key = "film"};
    if (reread) receipt.reread = {"film"};
    ASSERT_TRUE(world.world.Run(WriteReceipt(*world.target().store, "staging",
                                             world.context->rules[0]->targets[0]->staging_prefix,
                                             receipt)));
    ReceiptReader reader(*world.context);
    EXPECT_EQ(world.world.Run(reader.RunPass()).read, 1);
    auto parked = world.world.Run(FindParked(world.state, "r", "", "film"));
    ASSERT_TRUE(parked);
    EXPECT_EQ(parked->has_value(), reread);
  }
}

// What was parked since the giant was planned is of a later state, unless it is of the transfer.
TEST(ReceiptReaderTest, AGiantThatHasArrivedLeavesALaterStateParked) {
  for (const bool of_transfer : {false, true}) {
    testing::ReplicationWorld world;
    world.MakeContext();
    world.context->rules[0]->targets[0]->staging_found = true;
    const SystemTime planned = world.world.clock.Now();
    ParkedKey row{.key = "film", .reason = "denied", .when = planned + 1min};
    if (of_transfer) row.plan = kUlid;
    ASSERT_TRUE(world.world.Run(WriteParked(world.state, "r", row)));
    const ArchiveReceipt receipt{.archive = kUlid,
                                 .rule = "r",
                                 .target = "t0",
                                 .written = planned + 2min,
                                 .stamp_oldest = planned,
                                 .transfer = kUlid,
                                 .transfer_key = "film"};
    ASSERT_TRUE(world.world.Run(WriteReceipt(*world.target().store, "staging",
                                             world.context->rules[0]->targets[0]->staging_prefix,
                                             receipt)));
    ReceiptReader reader(*world.context);
    EXPECT_EQ(world.world.Run(reader.RunPass()).read, 1);
    auto parked = world.world.Run(FindParked(world.state, "r", "", "film"));
    ASSERT_TRUE(parked);
    EXPECT_EQ(parked->has_value(), !of_transfer);
  }
}

// All that targets say after it would wait for it for ever.
TEST(ReceiptReaderTest, AReceiptThatCannotBeReadKeepsNoOtherWaiting) {
  testing::ReplicationWorld world;
  world.MakeContext();
  TargetContext& target = *world.context->rules[0]->targets[0];
  target.staging_found = true;
  Store& store = *world.target().store;
  const SystemTime now = world.world.clock.Now();
  for (const char* ulid : {kUlid, "01KJM0000000000000000000ZZ"}) {
    const ArchiveReceipt receipt{.archive = ulid,
                                 .rule = "r",
                                 .target = "t0",
                                 .written = now,
                                 .stamp_oldest = now,
                                 .reread = {"k"}};
    ASSERT_TRUE(world.world.Run(WriteReceipt(store, "staging", target.staging_prefix, receipt)));
  }
  world.target().decide = [](testing::StoreOperation operation, std::string_view,
                             std::string_view key) {
    const bool hit = operation == testing::StoreOperation::kGet && key.find(kUlid) != key.npos;
    return hit ? testing::TroubledStore::Failing(ErrorKind::kDenied) : testing::Fault();
  };
  ReceiptReader reader(*world.context);
  const ReceiptPass pass = world.world.Run(reader.RunPass());
  EXPECT_EQ(pass.read, 1);
  ASSERT_TRUE(pass.store_error);
  EXPECT_EQ(world.queue_backend->rows.size(), 1U);
  EXPECT_EQ(world.Staged().size(), 1U) << "that of which nobody knows what it says";
}

// Whoever may write to staging must not have all else of the process wait for memory.
TEST(ReceiptReaderTest, ALargeReceiptWaitsForNoMemory) {
  for (const size_t size : {size_t{2} << 20, size_t{33} << 20}) {
    testing::ReplicationWorld world;
    world.MakeContext();
    TargetContext& target = *world.context->rules[0]->targets[0];
    target.staging_found = true;
    const std::string key = ReceiptKey(target.staging_prefix, kUlid, "t0");
    ASSERT_TRUE(world.world.Run(
        PutText(*world.target().store, {.bucket = "staging", .key = key}, std::string(size, ' '))));
    MemoryBudget& budget = world.context->runtime.memory;
    const std::optional<Reservation> other = budget.TryReserve(budget.limit_bytes());
    ASSERT_TRUE(other);
    ReceiptReader reader(*world.context);
    const ReceiptPass pass = world.world.Run(reader.RunPass());
    ASSERT_TRUE(pass.store_error) << size;
    EXPECT_EQ(pass.store_error->kind,
              size > kReceiptSizeBytesMax ? ErrorKind::kInvalidInput : ErrorKind::kRetryable);
    EXPECT_EQ(pass.read, 0);
    EXPECT_EQ(world.target().backend->count(testing::StoreOperation::kGet), 0);
    EXPECT_EQ(world.Staged().size(), 1U) << "it stays";
  }
}

// A thousand of them would be a thousand listings of the source.
TEST(ReceiptReaderTest, WhatIsNoReceiptIsOneComparisonForAll) {
  int listings_of_one = 0;
  for (const int count : {1, 5}) {
    testing::ReplicationWorld world;
    world.RunOnce({.timeout = std::chrono::seconds(60)});  // Finds the stores.
    Store& store = *world.target().store;
    const std::string prefix = world.context->rules[0]->targets[0]->staging_prefix;
    for (int i = 0; i < count; ++i) {
      const std::string ulid = std::string(kUlid).substr(0, 25) + std::to_string(i);
      ASSERT_TRUE(world.world.Run(
          PutText(store, {.bucket = "staging", .key = ReceiptKey(prefix, ulid, "t0")}, "")));
    }
    ReceiptReader reader(*world.context);
    world.source().backend->ResetCounts();
    EXPECT_EQ(world.world.Run(reader.RunPass()).read, count);
    const int listings = world.source().backend->count(testing::StoreOperation::kList);
    EXPECT_GE(listings, 1);
    if (count == 1) listings_of_one = listings;
    EXPECT_EQ(listings, listings_of_one);
    EXPECT_TRUE(world.Staged().empty());
  }
}

}  // namespace
}  // namespace longhaul
