#include "backup/restore.h"

#include <gtest/gtest.h>

#include "backup/vault_store.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::ReplicationWorld;
using testing::StoreOperation;

// A bucket with a history in a vault, and another one to restore to.
class RestoreTest : public ::testing::Test {
 protected:
  RestoreTest() {
    Target& target = world.configuration.rules[0].targets[0];
    target.to.prefix = "v/";
    target.backup = BackupOptions();
    world.AddStore("home", {"back"});
    Keep("a/one", "first");
    Keep("a/one-more", "another");
    then = world.world.clock.Now();
    world.RunFor(10s);
    Keep("a/one", "second");
  }

  void Keep(const std::string& key, const std::string& text) {
    world.Put(key, text);
    world.RunFor(5s);
    EXPECT_FALSE(world.RunOnce().store_error);
  }
  backup::RestoreOrder Order(std::string prefix, bool one_key = false) const {
    return {.rule = "r",
            .target = "t0",
            .what = {.prefix = std::move(prefix), .at = then, .one_key = one_key},
            .destination = "home:back/"};
  }
  RunRecord Restore(const backup::RestoreOrder& order) {
    Result<std::unique_ptr<RunJournal>> journal = world.world.Run(RunJournal::Begin(
        world.runtime, world.state, backup::RestoreRun(order, "c.yaml", "west0:out/v/")));
    EXPECT_TRUE(journal);
    Event stop;
    world.world.Run(backup::RunRestore(
        world.runtime, world.state, vault, order,
        {.store = *world.store("home").store, .bucket = "back", .prefix = ""}, **journal, stop));
    return (*journal)->record();
  }
  std::map<std::string, std::string> Back() {
    std::map<std::string, std::string> texts;
    for (const auto& [key, versions] : world.store("home").backend->buckets.at("back").objects) {
      texts[key] = *versions.back().bytes;
    }
    return texts;
  }

  ReplicationWorld world{1};
  MemoryStore direct{world.runtime, world.target().backend, &world.target()};
  backup::VaultStore vault{world.runtime,
                           direct,
                           {.bucket = "out", .prefix = "v/"},
                           "in",
                           {.seal_keys = {}, .memory_bytes = 64 << 20}};
  SystemTime then{};
};

using Texts = std::map<std::string, std::string>;

// Someone who asks for one object as of a time gets that one, and not its neighbours.
TEST_F(RestoreTest, BringsOneObjectBackAsItWas) {
  const RunRecord run = Restore(Order("a/one", true));
  EXPECT_EQ(run.phase, RunPhase::kDone) << run.reason;
  EXPECT_EQ(Back(), (Texts{{"one", "first"}}));
  EXPECT_EQ(Restore(Order("a/on", true)).phase, RunPhase::kFailed);
  EXPECT_EQ(Back().size(), 1u);
  EXPECT_EQ(Restore(Order("a/on")).counts.copied, 1u);
  EXPECT_EQ(Back(), (Texts{{"one", "first"}, {"one-more", "another"}}));
}

// What lies at the destination is somebody's: it is replaced when that was said, else not even in
// part.
TEST_F(RestoreTest, ReplacesNothingUnasked) {
  MemoryStore home(world.runtime, world.store("home").backend);
  ASSERT_TRUE(world.world.Run(PutText(home, {.bucket = "back", .key = "one"}, "mine")));
  RunRecord run = Restore(Order("a/"));
  EXPECT_EQ(run.phase, RunPhase::kStopped);
  EXPECT_NE(run.reason.find("1 object at 'home:back/' would be replaced"), std::string::npos)
      << run.reason;
  EXPECT_EQ(Back(), (Texts{{"one", "mine"}}));
  backup::RestoreOrder order = Order("a/");
  order.dry_run = true;
  run = Restore(order);
  EXPECT_EQ(run.phase, RunPhase::kDone) << run.reason;
  EXPECT_EQ(run.counts.copied, 2u);
  EXPECT_EQ(Back(), (Texts{{"one", "mine"}})) << "a dry run has written";
  order.dry_run = false;
  order.overwrite = true;
  EXPECT_EQ(Restore(order).phase, RunPhase::kDone);
  EXPECT_EQ(Back(), (Texts{{"one", "first"}, {"one-more", "another"}}));
}

// Many stores know no condition of writes: they get their objects back all the same, and what
// appears there meanwhile stays.
TEST_F(RestoreTest, ReplacesNothingWhereTheStoreKnowsNoConditions) {
  MemoryStoreBackend& home = *world.store("home").backend;
  home.options.refuse_unknown_conditions = true;
  for (const bool creates : {false, true}) {
    home.options.capabilities.create_if_absent = creates;
    home.options.capabilities.complete_if_absent = false;
    home.buckets["back"].objects.clear();
    const RunRecord run = Restore(Order("a/"));
    EXPECT_EQ(run.phase, RunPhase::kDone) << run.reason;
    EXPECT_EQ(Back(), (Texts{{"one", "first"}, {"one-more", "another"}}));
  }
  home.options.capabilities.create_if_absent = false;
  home.buckets["back"].objects.clear();
  MemoryStore direct_home(world.runtime, world.store("home").backend);
  home.buckets["spare"].created = world.world.clock.Now();
  ASSERT_TRUE(world.world.Run(PutText(direct_home, {.bucket = "spare", .key = "one"}, "mine")));
  // After the target was listed.
  world.store("home").decide = [&](StoreOperation operation, std::string_view bucket,
                                   std::string_view key) {
    if (bucket == "back" && key == "one" && operation != StoreOperation::kList) {
      home.buckets["back"].objects["one"] = home.buckets["spare"].objects["one"];
    }
    return Fault();
  };
  const RunRecord run = Restore(Order("a/"));
  EXPECT_EQ(run.phase, RunPhase::kFailed);
  EXPECT_NE(run.reason.find("appeared at the destination"), std::string::npos) << run.reason;
  EXPECT_EQ(Back(), (Texts{{"one", "mine"}, {"one-more", "another"}}));
}

// One damaged object must not keep all others from being restored in place.
TEST_F(RestoreTest, WhatIsDamagedKeepsNothingElseFromComingBack) {
  std::vector<std::string> archives;
  for (const std::string& key : world.target().backend->Keys("out")) {
    if (key.ends_with(".tar.zst")) archives.push_back(key);
  }
  ASSERT_EQ(archives.size(), 3u);
  world.target().backend->CorruptStored("out", archives[1], 40);
  MemoryStore home(world.runtime, world.store("home").backend);
  ASSERT_TRUE(world.world.Run(PutText(home, {.bucket = "back", .key = "one-more"}, "another")));
  const RunRecord run = Restore(Order("a/"));
  EXPECT_EQ(run.phase, RunPhase::kFailed);
  EXPECT_EQ(run.counts.failed, 1u) << run.reason;
  EXPECT_EQ(Back(), (Texts{{"one", "first"}, {"one-more", "another"}}));
}

// A run that is shown as another one than it was would be begun again as that.
TEST_F(RestoreTest, ARunKeepsItsOrder) {
  for (bool flag : {false, true}) {
    backup::RestoreOrder order = Order("--overwrite");
    order.overwrite = flag;
    order.dry_run = !flag;
    order.what.one_key = flag;
    if (flag) order.what.at = SystemTime::max();
    const std::optional<backup::RestoreOrder> read =
        backup::OrderOf(backup::RestoreRun(order, "c.yaml", "west:v/"));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->rule, "r");
    EXPECT_EQ(read->target, "t0");
    EXPECT_EQ(read->what.prefix, "--overwrite");
    EXPECT_EQ(read->what.at, order.what.at);
    EXPECT_EQ(read->destination, "home:back/");
    EXPECT_EQ(read->overwrite, flag);
    EXPECT_EQ(read->dry_run, !flag);
    // Else one object becomes all whose keys begin like it, and what was never named is replaced.
    EXPECT_EQ(read->what.one_key, flag);
  }
  EXPECT_FALSE(backup::OrderOf({.command = "sync", .arguments = {"a", "b", "--", "c", "d"}}));
  EXPECT_FALSE(backup::OrderOf({.command = "backup restore", .arguments = {"a", "b"}}));
}

}  // namespace
}  // namespace longhaul
