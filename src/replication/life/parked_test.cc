#include "replication/life/parked.h"

#include <gtest/gtest.h>

#include "archive/archive_file.h"
#include "events/hint.h"
#include "replica/lease.h"
#include "replication/make_context.h"
#include "replication/rule_orders.h"
#include "replication/staging/archive_keys.h"
#include "replication/staging/staging.h"
#include "tests/support/replication_world.h"
#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeFaults;
using testing::FakeState;
using testing::Fault;
using testing::MemoryStore;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

using Keys = std::set<std::string>;

std::vector<ParkedKey> Parked(ReplicationWorld& world, const std::string& target) {
  auto parked = world.world.Run(ScanParked(world.state, "r", target, "", 100));
  return parked ? *parked : std::vector<ParkedKey>();
}

void HintAt(ReplicationWorld& world, const std::string& key) {
  HintMessage message{.store = "east", .bucket = "in", .hints = {{.key = key}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
}

auto Deny(StoreOperation denied, std::string in_bucket, std::string of_key) {
  return [=](StoreOperation operation, std::string_view bucket, std::string_view key) {
    const bool hit = operation == denied && bucket == in_bucket && key == of_key;
    return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
}

// What is settled while another archive has the rows read goes, and what is parked stays known.
TEST(ParkedTest, AKeyThatIsSettledWhileTheRowsAreReadLosesItsRow) {
  ReplicationWorld world;
  FakeFaults faults(7);
  FakeState slow(world.runtime, world.state_backend, &faults);
  ParkedPlace place(slow, world.world.clock, world.configuration.rules[0], "t0");
  ASSERT_TRUE(world.world.Run(place.Load()));
  ASSERT_TRUE(world.world.Run(place.Park({.key = "old", .op = "put", .reason = "no"})));
  faults.slow = 1;
  faults.delay_max = 10s;
  bool loaded = false;
  world.world.Start([](ParkedPlace& place, bool& loaded) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await place.Load());
    loaded = true;
  }(place, loaded));
  world.RunFor(1ms);
  ASSERT_FALSE(loaded);
  faults.slow = 0;
  ASSERT_TRUE(place.MayHold("old"));
  ASSERT_TRUE(world.world.Run(place.Settled("old")));
  ASSERT_TRUE(world.world.Run(place.Park({.key = "new", .op = "put", .reason = "no"})));
  world.world.Drive([&] { return loaded; });
  ASSERT_EQ(Parked(world, "t0").size(), 1u);
  EXPECT_TRUE(place.MayHold("new"));
}

// Without a row nobody could say tomorrow what is parked; a row that stays would be a lie.
TEST(ParkedTest, AKeyThatATargetRefusesHasARowUntilItIsApplied) {
  ReplicationWorld world;
  world.Put("a", "text a");
  world.Put("refused", "text");
  world.target().decide = Deny(StoreOperation::kPut, "out", "refused");
  world.Start();
  world.RunFor(60s);
  std::vector<ParkedKey> parked = Parked(world, "t0");
  ASSERT_EQ(parked.size(), 1u);
  EXPECT_EQ(parked[0].key, "refused");
  EXPECT_EQ(parked[0].op, "put");
  EXPECT_NE(parked[0].reason.find("trouble"), std::string::npos) << parked[0].reason;
  EXPECT_GT(parked[0].when, SystemTime{});
  ASSERT_EQ(world.Staged().size(), 1u);
  EXPECT_NE(world.Staged().begin()->find(parked[0].archive), std::string::npos);
  EXPECT_TRUE(Parked(world, "").empty());

  world.target().Heal();
  HintAt(world, "refused");
  world.RunFor(30s);
  EXPECT_TRUE(world.Replicas().contains("refused"));
  EXPECT_TRUE(Parked(world, "t0").empty());
  world.Stop();
}

// Somebody removes the archive of a key that a target refuses. Nobody tries it any more then, so
// the row would stay for ever, and the state that the archive held would be nowhere.
class RemovedArchiveTest : public ::testing::Test {
 protected:
  RemovedArchiveTest() {
    world_.configuration.rules[0].intake.listing.reset();
    world_.configuration.rules[0].deletes = false;
    world_.Put("a", "text a");
    world_.Put("refused", "text");
    Refuse();
    world_.Start();
    HintAt(world_, "a");
    HintAt(world_, "refused");
    world_.RunFor(60s);
    EXPECT_EQ(Parked(world_, "t0").size(), 1u);
    archive_ = Parked(world_, "t0").front().archive;
  }
  ~RemovedArchiveTest() override { world_.Stop(); }

  // (A target that denies all that an archive holds would be a store that denies.)
  void Refuse() {
    world_.target().decide = [](StoreOperation operation, std::string_view bucket,
                                std::string_view key) {
      const bool hit = operation == StoreOperation::kPut && bucket == "out" && key == "refused";
      return hit ? TroubledStore::Failing(ErrorKind::kInvalidInput) : Fault();
    };
  }
  void RemoveArchives() {
    auto& staged = world_.target().backend->buckets["staging"].objects;
    for (const std::string& key : world_.Staged()) staged.erase(key);
  }
  static constexpr std::string_view kTold = "not in staging any more";

  ReplicationWorld world_;
  std::string archive_;
};

TEST_F(RemovedArchiveTest, ItsKeysAreReadAnew) {
  RemoveArchives();
  world_.RunFor(25min);
  EXPECT_TRUE(world_.log.Has(kTold));
  std::vector<ParkedKey> parked = Parked(world_, "t0");
  ASSERT_EQ(parked.size(), 1u) << "it is refused as before";
  EXPECT_NE(parked[0].archive, archive_) << "and lies there again";
  ASSERT_EQ(world_.Staged().size(), 1u);
  EXPECT_NE(world_.Staged().begin()->find(parked[0].archive), std::string::npos);
  RemoveArchives();
  world_.target().Heal();
  world_.RunFor(25min);
  EXPECT_TRUE(world_.Replicas().contains("refused"));
  EXPECT_TRUE(Parked(world_, "t0").empty());
}

TEST_F(RemovedArchiveTest, TheRowOfAKeyThatIsNotCarriedAnyMoreGoes) {
  RemoveArchives();
  world_.source().backend->buckets["in"].objects.erase("refused");
  world_.RunFor(25min);
  EXPECT_TRUE(Parked(world_, "t0").empty());
  EXPECT_TRUE(world_.queue_backend->rows.empty());
}

// What cannot be listed may be there; and what is there stays parked as it was.
TEST_F(RemovedArchiveTest, WhatMayBeThereIsLeftAlone) {
  world_.RunFor(25min);
  EXPECT_EQ(Parked(world_, "t0").front().archive, archive_);
  RemoveArchives();
  world_.target().decide = [](StoreOperation operation, std::string_view bucket, std::string_view) {
    const bool hit = operation == StoreOperation::kList && bucket == "staging";
    return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  world_.RunFor(25min);
  EXPECT_FALSE(world_.log.Has(kTold));
  ASSERT_EQ(Parked(world_, "t0").size(), 1u);
  EXPECT_EQ(Parked(world_, "t0").front().archive, archive_);
}

// A conflict is told of after its archive has gone; it goes when the key is settled.
TEST_F(RemovedArchiveTest, AConflictStays) {
  ParkedKey conflict{.key = "c",
                     .target = "t0",
                     .archive = archive_,
                     .op = "put",
                     .reason = "conflict: not a replica",
                     .when = world_.world.clock.Now()};
  ASSERT_TRUE(world_.world.Run(WriteParked(world_.state, "r", conflict)));
  RemoveArchives();
  world_.target().Heal();
  world_.RunFor(25min);
  ASSERT_EQ(Parked(world_, "t0").size(), 1u);
  EXPECT_EQ(Parked(world_, "t0").front().key, "c");
}

// It held a change of metadata alone, which no comparison would find.
TEST_F(RemovedArchiveTest, KeysOfOneThatWasRefusedAsAWholeAreReadAnew) {
  const std::set<std::string> staged = world_.Staged();
  const SystemTime now = world_.world.clock.Now();
  const std::string whole = NewUlid(now, world_.world.random);
  const std::string other = NewUlid(now, world_.world.random);
  HintMessage keys{.store = "east", .bucket = "in", .rule = "r", .hints = {{.key = "a"}}};
  ASSERT_TRUE(world_.world.Run(RememberArchiveKeys(world_.state, now, whole, keys)));
  for (const std::string& archive : {whole, other}) {
    ParkedKey row{.target = "t0",
                  .archive = archive,
                  .op = "archive",
                  .bucket = archive == whole ? "in" : "former",
                  .reason = "of another State",
                  .when = now};
    ASSERT_TRUE(world_.world.Run(WriteParked(world_.state, "r", row)));
  }
  world_.Put("a", "text a", {{"state", "new"}});
  world_.RunFor(28min);
  auto left = world_.world.Run(ScanParkedArchives(world_.state, "r", "t0", "", 10));
  ASSERT_TRUE(left);
  EXPECT_TRUE(left->empty());
  const auto* replica = world_.target().backend->Find("out", "a");
  ASSERT_TRUE(replica);
  EXPECT_EQ(replica->info.metadata.at("state"), "new");
  EXPECT_EQ(world_.Staged(), staged) << "of the key that is refused";
  EXPECT_FALSE(world_.log.Has("comparing")) << "another bucket's archive is none of this rule's";
}

// Keys that are parked, whose archives are gone, in several pages; a State that takes its time.
class ManyLeftKeysTest : public ::testing::Test {
 protected:
  static constexpr int kKeys = 2'500;

  ManyLeftKeysTest() {
    world_.configuration.rules[0].intake.listing.reset();
    world_.configuration.rules[0].deletes = false;
    for (int i = 0; i < kKeys; ++i) {
      EXPECT_TRUE(world_.world.Run(
          WriteParked(world_.state, "r",
                      {.key = KeyOf(i),
                       .target = "t0",
                       .archive = NewUlid(world_.world.clock.Now(), world_.world.random),
                       .op = "put",
                       .reason = "no",
                       .when = world_.world.clock.Now()})));
    }
    world_.RunFor(1h);
    faults_.slow = 1;
    faults_.delay_max = 20ms;
  }
  ~ManyLeftKeysTest() override {
    world_.Stop();
    world_.replicator.reset();
    world_.context.reset();  // Before the State that it borrows.
  }

  static std::string KeyOf(int i) { return "k" + std::to_string(10'000 + i); }
  void Start() {
    std::map<std::string, Store*> stores;
    for (const auto& [name, troubled] : world_.stores) stores[name] = troubled->store.get();
    auto context = MakeReplicationContext(world_.runtime, world_.configuration, stores,
                                          world_.queue, slow_, world_.observer, world_.limits);
    ASSERT_TRUE(context);
    world_.context = std::move(*context);
    auto made = Replicator::Make(*world_.context, {});
    ASSERT_TRUE(made);
    world_.replicator = std::move(*made);
    world_.running = true;
    world_.world.Start([](ReplicationWorld& world) -> asio::awaitable<void> {
      co_await world.replicator->RunContinuous(world.stop);
      world.running = false;
    }(world_));
  }
  size_t CountLeft() {
    auto rows = world_.world.Run(ScanParked(world_.state, "r", "t0", "", kKeys));
    return rows ? rows->size() : 0;
  }

  FakeFaults faults_{1};
  ReplicationWorld world_;
  FakeState slow_{world_.runtime, world_.state_backend, &faults_};
};

// To forget them takes a minute here: what comes meanwhile is applied.
TEST_F(ManyLeftKeysTest, TheTargetWorksOnWhileItForgetsThem) {
  const std::vector<std::string> some{KeyOf(0), KeyOf(1'500), KeyOf(kKeys - 1)};
  for (const std::string& key : some) world_.Put(key, "text");
  world_.Put("a", "text a");
  Start();
  world_.RunFor(5s);
  HintAt(world_, "a");
  world_.RunFor(10s);
  EXPECT_GT(CountLeft(), 1'000u);
  EXPECT_TRUE(world_.Replicas().contains("a"));
  world_.RunFor(3min);
  EXPECT_EQ(CountLeft(), 0u);
  for (const std::string& key : some) EXPECT_TRUE(world_.Replicas().contains(key)) << key;
  EXPECT_TRUE(world_.Staged().empty());
}

// Each process would have the source read all of them.
TEST_F(ManyLeftKeysTest, OneProcessAtATimeForgetsThem) {
  Lease other(world_.state, world_.world.clock, "left/r/t0", "other", 5min);
  ASSERT_TRUE(world_.world.Run(other.TryAcquire()));
  Start();
  world_.RunFor(4min);
  EXPECT_EQ(CountLeft(), static_cast<size_t>(kKeys));
  EXPECT_FALSE(world_.log.Has("not in staging any more"));
  world_.RunFor(15min);
  EXPECT_EQ(CountLeft(), 0u);
}

// The row outlives the process that wrote it, and another one must be able to end it.
TEST(ParkedTest, AnotherProcessForgetsWhatItApplies) {
  ReplicationWorld world;
  world.Put("a", "text a");
  world.Put("refused", "text");
  world.target().decide = Deny(StoreOperation::kPut, "out", "refused");
  world.RunOnce({.timeout = 60s});
  ASSERT_EQ(Parked(world, "t0").size(), 1u);
  world.target().Heal();
  world.RunOnce({.timeout = 60s});
  EXPECT_TRUE(Parked(world, "t0").empty());
}

// What the source cannot read is parked for all targets, and forgotten when it has been read.
TEST(ParkedTest, AKeyThatTheSourceRefusesHasARowUntilItIsRead) {
  ReplicationWorld world;
  world.Put("secret", "text");
  world.source().decide = Deny(StoreOperation::kGet, "in", "secret");
  world.Start();
  world.RunFor(60s);
  std::vector<ParkedKey> parked = Parked(world, "");
  ASSERT_EQ(parked.size(), 1u);
  EXPECT_EQ(parked[0].key, "secret");
  EXPECT_TRUE(parked[0].archive.empty());
  world.source().Heal();
  HintAt(world, "secret");
  world.RunFor(30s);
  EXPECT_TRUE(world.Replicas().contains("secret"));
  EXPECT_TRUE(Parked(world, "").empty());
  world.Stop();
}

// A row must not outlive its reason because another process carries the key.
TEST(ParkedTest, AnotherProcessForgetsWhatItReads) {
  ReplicationWorld world;
  world.Put("secret", "text");
  world.source().decide = Deny(StoreOperation::kGet, "in", "secret");
  world.RunOnce({.timeout = 60s});
  ASSERT_EQ(Parked(world, "").size(), 1u);
  world.source().Heal();
  world.RunOnce({.timeout = 60s});
  EXPECT_TRUE(world.Replicas().contains("secret"));
  EXPECT_TRUE(Parked(world, "").empty());
}

// An object that goes between the reading of its bytes and of its tags has changed, no more.
TEST(ParkedTest, AnObjectThatGoesWhileItIsReadIsNotParked) {
  ReplicationWorld world;
  MemoryStore direct(world.runtime, world.source().backend);
  PutRequest request{.bucket = "in", .key = "k"};
  request.tags["color"] = "red";
  ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), "text")));
  int left = 1;
  world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    Fault fault;
    if (operation == StoreOperation::kGetTags && left-- > 0) {
      fault.error = NotFound("no such key", "NoSuchKey");
    }
    return fault;
  };
  world.RunOnce({.timeout = 60s});
  EXPECT_LE(left, 0) << "no tags were read";
  EXPECT_TRUE(Parked(world, "").empty());
  EXPECT_EQ(world.observer.Count(OutcomeState::kParked), 0);
  EXPECT_TRUE(world.Replicas().contains("k"));
}

// A conflict's archive goes, so the row is all that is left of it.
TEST(ParkedTest, AConflictHasARowUntilTheKeyIsFree) {
  ReplicationWorld world;
  world.Put("k", "ours");
  MemoryStore direct(world.runtime, world.target().backend);
  ASSERT_TRUE(world.world.Run(PutText(direct, {.bucket = "out", .key = "k"}, "theirs")));
  world.Start();
  world.RunFor(30s);
  ASSERT_EQ(Parked(world, "t0").size(), 1u);
  EXPECT_TRUE(Parked(world, "t0")[0].reason.starts_with("conflict: "));
  ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "out", .key = "k"})));
  HintAt(world, "k");
  world.RunFor(30s);
  EXPECT_TRUE(Parked(world, "t0").empty());
  world.Stop();
}

// An archive that this version may not read has a row, too; it goes with the archive.
TEST(ParkedTest, ARefusedArchiveHasARowWhileItIsThere) {
  ReplicationWorld world;
  world.Put("a", "text");
  world.RunOnce({.target = false});
  ASSERT_EQ(world.Staged().size(), 1u);
  // From now on archives must be sealed.
  world.configuration.rules[0].seal_key = Secret("0123456789abcdef");
  world.Start({.source = false});
  world.RunFor(30s);
  auto archives = world.world.Run(ScanParkedArchives(world.state, "r", "t0", "", 10));
  ASSERT_TRUE(archives);
  ASSERT_EQ(archives->size(), 1u);
  EXPECT_EQ(world.Staged().begin()->find((*archives)[0].archive), 2u);
  MemoryStore direct(world.runtime, world.target().backend);
  ASSERT_TRUE(
      world.world.Run(direct.Remove({.bucket = "staging", .key = *world.Staged().begin()})));
  world.RunFor(25min);
  archives = world.world.Run(ScanParkedArchives(world.state, "r", "t0", "", 10));
  EXPECT_TRUE(archives && archives->empty());
  world.Stop();
}

// A row that somebody asked to retry must not come back after it has been carried meanwhile.
TEST(ParkedTest, ARowIsReplacedOnlyWhileItIsThere) {
  ReplicationWorld world;
  ParkedPlace place(world.state, world.world.clock, world.configuration.rules[0], "t0");
  ASSERT_TRUE(world.world.Run(place.Park({.key = "k", .op = "put", .reason = "why"})));
  ParkedKey parked = Parked(world, "t0").at(0);
  EXPECT_GT(parked.revision, 0);
  parked.retried = world.world.clock.Now();
  ASSERT_TRUE(world.world.Run(WriteParked(world.state, "r", parked)));
  EXPECT_EQ(Parked(world, "t0").at(0).retried, parked.retried);
  ASSERT_TRUE(world.world.Run(place.Settled("k")));
  Result<void> late = world.world.Run(WriteParked(world.state, "r", parked));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::kPrecondition);
  EXPECT_TRUE(Parked(world, "t0").empty());
}

// Rows of version 0.1 hold the bare reason.
TEST(ParkedTest, ReadsTheRowsOfTheFirstVersion) {
  ReplicationWorld world;
  ASSERT_TRUE(world.world.Run(world.state.Write("parked/r", {.key = "k", .value = "denied: no"})));
  ASSERT_EQ(Parked(world, "").size(), 1u);
  EXPECT_EQ(Parked(world, "")[0].reason, "denied: no");
}

// Whoever gives the source's credentials back what they lacked does not know what was refused
// meanwhile, and where nothing is compared nobody else would ask for it.
TEST(ParkedTest, WhatWasDeniedIsReadAnewByItself) {
  for (const Transport transport : {Transport::kDirect, Transport::kPlain}) {
    if (testing::kSanitized && transport == Transport::kDirect) continue;
    ReplicationWorld world;
    world.configuration.rules[0].intake.listing.reset();
    world.configuration.rules[0].transport = transport;
    Keys keys;
    for (int i = 0; i < 20; ++i) keys.insert("k" + std::to_string(i));
    for (const std::string& key : keys) world.Put(key, "text");
    int gets = 0;
    world.source().decide = [&gets](StoreOperation operation, std::string_view, std::string_view) {
      const bool hit = operation == StoreOperation::kGet;
      gets += hit ? 1 : 0;
      return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
    };
    world.Start();
    for (const std::string& key : keys) HintAt(world, key);
    world.RunFor(2min);
    EXPECT_EQ(Parked(world, "").size(), 20u);
    gets = 0;
    // It is read anew whenever as much time has passed again: a day shows what a few hours do.
    const bool a_day = transport == Transport::kPlain && !testing::kSanitized;
    world.RunFor(a_day ? 24h : 3h);
    EXPECT_GT(gets, 20 * 2);
    EXPECT_LT(gets, 20 * (a_day ? 100 : 40)) << "denials cost requests";
    world.source().Heal();
    world.RunFor(a_day ? 25h : 3h);
    EXPECT_EQ(world.Replicas(), keys);
    EXPECT_TRUE(Parked(world, "").empty());
    world.Stop();
  }
}

// After a short outage it comes soon.
TEST(ParkedTest, WhatWasDeniedForAMomentComesWithinTenMinutes) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Put("k", "text");
  world.source().decide = Deny(StoreOperation::kGet, "in", "k");
  world.Start();
  HintAt(world, "k");
  world.RunFor(60s);
  ASSERT_EQ(Parked(world, "").size(), 1u);
  world.source().Heal();
  world.RunFor(12min);
  EXPECT_EQ(world.Replicas(), Keys{"k"});
  world.Stop();
}

// It was refused when the rule carried directly; its archives know nothing of it.
TEST(ParkedTest, WhatWasRefusedByAnotherTransportIsReadAnew) {
  ReplicationWorld world;
  world.configuration.rules[0].intake.listing.reset();
  world.Put("k", "text");
  world.Start();
  world.RunFor(60s);
  world.Stop();
  world.stop.Reset();
  ASSERT_EQ(world.Replicas(), Keys{"k"});
  ParkedKey row{.key = "k", .target = "t0", .op = "put", .reason = "denied"};
  row.when = world.world.clock.Now() - 1h;
  ASSERT_TRUE(world.world.Run(WriteParked(world.state, "r", row)));
  world.Start();
  world.RunFor(3min);
  EXPECT_TRUE(Parked(world, "t0").empty());
  world.Stop();
}

// An object that is damaged at the source would be read whole once a minute, for ever, and nobody
// would be told which.
TEST(ParkedTest, WhatIsAlwaysDamagedIsParked) {
  ReplicationWorld world;
  world.Put("a", "text");
  world.Put("rotten", "text");
  world.source().decide = [](StoreOperation operation, std::string_view, std::string_view key) {
    const bool hit = operation == StoreOperation::kGet && key == "rotten";
    return hit ? TroubledStore::Failing(ErrorKind::kCorrupt) : Fault();
  };
  OnceResult result = world.RunOnce({.timeout = 5min});
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(world.Replicas(), Keys{"a"});
  ASSERT_EQ(Parked(world, "").size(), 1u);
  EXPECT_EQ(Parked(world, "")[0].key, "rotten");
}

// A row that nobody ends would be asked for day after day, and a person would look for its cause.
TEST(ParkedTest, WhatTheRuleDoesNotCarryAnyMoreIsForgotten) {
  ReplicationWorld world;
  Rule& rule = world.configuration.rules[0];
  rule.intake.listing.reset();
  rule.transport = Transport::kPlain;
  rule.source.prefix = "logs/";
  for (const char* target : {"", "t0"}) {
    ParkedKey row{.key = "other", .target = target, .reason = "denied"};
    row.when = world.world.clock.Now();
    ASSERT_TRUE(world.world.Run(WriteParked(world.state, "r", row)));
    row.key = "logs/a";
    ASSERT_TRUE(world.world.Run(WriteParked(world.state, "r", row)));
  }
  world.Start();
  world.RunFor(2min);
  for (const char* target : {"", "t0"}) {
    const std::vector<ParkedKey> parked = Parked(world, target);
    ASSERT_EQ(parked.size(), 1u);
    EXPECT_EQ(parked[0].key, "logs/a");
  }
  world.RunFor(15min);
  EXPECT_TRUE(Parked(world, "").empty()) << "it is not there to be carried";
  EXPECT_TRUE(Parked(world, "t0").empty());
  world.Stop();
}

// The rule has another bucket since: what is not in it would be taken for deleted.
TEST(ParkedTest, WhatWasParkedOfAnotherBucketIsForgotten) {
  for (const bool asked_for : {false, true}) {
    ReplicationWorld world;
    Rule& rule = world.configuration.rules[0];
    rule.intake.listing.reset();
    rule.transport = Transport::kPlain;
    for (const char* target : {"", "t0"}) {
      for (const char* bucket : {"former", "in"}) {
        ParkedKey row{.key = bucket, .target = target, .bucket = bucket, .reason = "denied"};
        row.when = world.world.clock.Now();
        ASSERT_TRUE(world.world.Run(WriteParked(world.state, "r", row)));
      }
    }
    if (asked_for) {
      auto retried =
          world.world.Run(RetryParked(world.state, world.queue, world.world.clock, rule, {}, ""));
      ASSERT_TRUE(retried);
      EXPECT_EQ(retried->asked, 2u);
      EXPECT_EQ(retried->forgotten, 2u);
      EXPECT_EQ(world.queue_backend->rows.size(), 2U);
    } else {
      world.Start();
      world.RunFor(2min);
      world.Stop();
    }
    for (const char* target : {"", "t0"}) {
      const std::vector<ParkedKey> parked = Parked(world, target);
      ASSERT_EQ(parked.size(), 1u) << asked_for;
      EXPECT_EQ(parked[0].key, "in");
    }
  }
}

// Who asks for a key by name is not told that it will be tried when its row is all that is done.
TEST(ParkedTest, AKeyOfAnotherBucketIsNotSaidToBeTried) {
  ReplicationWorld world;
  const Rule& rule = world.configuration.rules[0];
  const auto park = [&](const std::string& key, const std::string& target,
                        const std::string& bucket) {
    ParkedKey row{.key = key, .target = target, .bucket = bucket, .reason = "denied"};
    row.when = world.world.clock.Now();
    ASSERT_TRUE(world.world.Run(WriteParked(world.state, "r", row)));
  };
  park("old", "", "former");
  park("old", "t0", "former");
  park("both", "", "former");
  park("both", "t0", "in");
  Result<RetriedKeys> retried = world.world.Run(
      RetryParked(world.state, world.queue, world.world.clock, rule, {"old", "both", "none"}, ""));
  ASSERT_TRUE(retried);
  EXPECT_EQ(retried->asked, 1u);
  EXPECT_EQ(retried->forgotten, 1u);
  EXPECT_EQ(retried->missing, std::vector<std::string>{"none"});
}

// A store of another name may be another one, and what it lacks would be deleted.
TEST(ParkedTest, WhatWasParkedOfAnotherStoreIsForgottenByARuleWithDeletes) {
  for (const bool deletes : {false, true}) {
    ReplicationWorld world;
    Rule& rule = world.configuration.rules[0];
    rule.deletes = deletes;
    ParkedKey row{.key = "k", .store = "former", .bucket = "in", .reason = "denied"};
    row.when = world.world.clock.Now();
    ASSERT_TRUE(world.world.Run(WriteParked(world.state, "r", row)));
    auto retried =
        world.world.Run(RetryParked(world.state, world.queue, world.world.clock, rule, {}, ""));
    ASSERT_TRUE(retried);
    EXPECT_EQ(retried->forgotten, deletes ? 1u : 0u);
    EXPECT_EQ(world.queue_backend->rows.size(), deletes ? 0u : 1u);
  }
}

// It was parked for both, and one of them gets it by a hint of its own.
TEST(ParkedTest, AKeyThatOneTargetHasIsOwedToTheOther) {
  ReplicationWorld world(2);
  world.configuration.rules[0].intake.listing.reset();
  world.Put("k", "text");
  world.source().decide = Deny(StoreOperation::kGet, "in", "k");
  world.Start();
  HintAt(world, "k");
  world.RunFor(60s);
  ASSERT_EQ(Parked(world, "").size(), 1u);
  world.source().Heal();
  HintMessage alone{
      .store = "east", .bucket = "in", .rule = "r", .target = "t1", .hints = {{.key = "k"}}};
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(alone), {})));
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(1), Keys{"k"});
  EXPECT_EQ(world.Replicas(0), Keys{});
  ASSERT_EQ(Parked(world, "").size(), 1u);
  EXPECT_EQ(Parked(world, "")[0].carried, (std::set<std::string>{"t1"}));
  alone.target = "t0";
  ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(alone), {})));
  world.RunFor(30s);
  EXPECT_EQ(world.Replicas(0), Keys{"k"});
  EXPECT_TRUE(Parked(world, "").empty());
  world.Stop();
}

// What an archive holds may be older than what was parked since.
TEST(ParkedTest, AnOlderArchiveSettlesItsOwnAlone) {
  ReplicationWorld world;
  ParkedPlace place(world.state, world.world.clock, world.configuration.rules[0], "t0");
  const SystemTime before = world.world.clock.Now();
  world.world.clock.Advance(1s);
  ASSERT_TRUE(world.world.Run(place.Park({.key = "k", .op = "put", .reason = "denied"})));
  ASSERT_TRUE(world.world.Run(place.SettledBy("k", "ARCHIVE", before)));
  EXPECT_EQ(Parked(world, "t0").size(), 1u);
  ASSERT_TRUE(world.world.Run(place.SettledBy("k", "ARCHIVE", world.world.clock.Now())));
  EXPECT_TRUE(Parked(world, "t0").empty());
  ASSERT_TRUE(world.world.Run(
      place.Park({.key = "k", .archive = "ARCHIVE", .op = "put", .reason = "denied"})));
  ASSERT_TRUE(world.world.Run(place.SettledBy("k", "ARCHIVE", before)));
  EXPECT_TRUE(Parked(world, "t0").empty());
}

// It is noted with each row.
TEST(ParkedTest, ARowSaysOfWhichBucketItIs) {
  ReplicationWorld world;
  ParkedPlace place(world.state, world.world.clock, world.configuration.rules[0], "t0");
  ASSERT_TRUE(world.world.Run(place.Park({.key = "k", .op = "put", .reason = "why"})));
  EXPECT_EQ(Parked(world, "t0").at(0).bucket, "in");
}

// What is read anew may not be the rule's any more, and then nobody settles it at the target: a row
// of an archive that is gone would be told of for ever.
TEST(ParkedTest, RowsOfAnArchiveThatIsTooOldGoWithIt) {
  ReplicationWorld world;
  Rule& rule = world.configuration.rules[0];
  rule.deletes = false;
  world.Put("a", "text a");
  world.Put("refused", "text");
  world.target().decide = Deny(StoreOperation::kPut, "out", "refused");
  world.RunOnce({.timeout = 60s});
  ASSERT_EQ(Parked(world, "t0").size(), 1u);
  ASSERT_EQ(world.Staged().size(), 1u);
  MemoryStore direct(world.runtime, world.source().backend);
  ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = "refused"})));
  world.RunFor(15 * 24h);
  world.RunOnce({.timeout = 60s});
  EXPECT_TRUE(world.Staged().empty());
  EXPECT_TRUE(Parked(world, "t0").empty());
}

}  // namespace
}  // namespace longhaul
