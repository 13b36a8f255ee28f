// Archives in archive classes: found, asked for at once, and waited for.

#include "backup/ask_back.h"

#include <gmock/gmock.h>

#include "backup/vault_store.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MemoryStore;
using testing::ReplicationWorld;
using ::testing::SizeIs;

// What is in GLACIER and DEEP_ARCHIVE cannot be read before it has been asked for and is there.
class AwayStore : public MemoryStore, public RestoresObjects {
 public:
  using MemoryStore::MemoryStore;

  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at) override {
    ++reads;
    Result<ObjectStream> stream = co_await MemoryStore::Get(request, absent_at);
    if (stream && away.contains(request.key)) {
      Error error{.kind = ErrorKind::kDenied, .message = "it lies in GLACIER"};
      error.code = kArchivedCode;
      co_return error;
    }
    co_return stream;
  }
  Async<void> Restore(RestoreRequest request) override {
    if (request.key == refused) co_return Error{.kind = ErrorKind::kDenied, .message = "no right"};
    asked.push_back(request.key + " " + request.tier + " " + std::to_string(request.days));
    under_way.insert(request.key);
    co_return Ok();
  }
  Async<bool> IsBeingRestored(std::string /*bucket*/, std::string key) override {
    co_return under_way.contains(key);
  }

  std::set<std::string> away;
  std::set<std::string> under_way;
  std::vector<std::string> asked;
  std::string refused;
  int reads = 0;
};

class AskBackTest : public ::testing::Test {
 protected:
  AskBackTest() {
    Target& target = world.configuration.rules[0].targets[0];
    target.to.prefix = "v/";
    target.backup = BackupOptions();
    for (const char* key : {"a/one", "a/two", "b/one"}) {
      world.Put(key, key);
      world.RunFor(5s);
      EXPECT_FALSE(world.RunOnce().store_error);
    }
    for (const auto& [key, versions] : Objects()) {
      if (key.ends_with(".tar.zst")) archives.push_back(key);
    }
  }
  std::map<std::string, std::vector<testing::MemoryStoreBackend::Version>>& Objects() {
    return world.target().backend->buckets.at("out").objects;
  }
  void MoveAway(size_t archive, const std::string& storage_class = "GLACIER") {
    Objects().at(archives[archive]).back().info.storage_class = storage_class;
    store.away.insert(archives[archive]);
  }
  std::vector<backup::AwayArchive> Find(std::string prefix) {
    auto found = world.world.Run(
        backup::FindAway(world.runtime, vault, {.prefix = std::move(prefix)}, place));
    EXPECT_TRUE(found) << found.error().Describe();
    return found ? *found : std::vector<backup::AwayArchive>();
  }
  std::vector<std::string> Keys(const std::vector<backup::AwayArchive>& away) {
    std::vector<std::string> keys;
    for (const backup::AwayArchive& one : away) keys.push_back(one.key);
    return keys;
  }

  ReplicationWorld world{1};
  AwayStore store{world.runtime, world.target().backend, &world.target()};
  backup::VaultStore vault{world.runtime,
                           store,
                           {.bucket = "out", .prefix = "v/"},
                           "in",
                           {.seal_keys = {}, .memory_bytes = 64 << 20}};
  backup::ArchivesPlace place{.store = &store, .bucket = "out", .prefix = "v/in/"};
  std::vector<std::string> archives;
};

// Whoever restores a folder pays for its archives and no others.
TEST_F(AskBackTest, FindsWhatTheRestoreNeeds) {
  ASSERT_THAT(archives, SizeIs(3));
  EXPECT_THAT(Find(""), IsEmpty());
  EXPECT_EQ(store.reads, 0) << "a listing tells that nothing has such a class";
  MoveAway(1, "DEEP_ARCHIVE");
  MoveAway(2);
  EXPECT_THAT(Keys(Find("a/")), ElementsAre(archives[1]));
  const auto away = Find("");
  ASSERT_THAT(Keys(away), ElementsAre(archives[1], archives[2]));
  EXPECT_EQ(away[0].storage_class, "DEEP_ARCHIVE");
  EXPECT_GT(away[0].size_bytes, 0u);
  EXPECT_FALSE(away[0].asked);
  EXPECT_THAT(Find("a/one"), IsEmpty());
}

// A class is a name to many stores, and a restored copy has the class still.
TEST_F(AskBackTest, WhatCanBeReadIsNotAway) {
  MoveAway(0);
  MoveAway(1);
  store.away.erase(archives[0]);
  EXPECT_THAT(Keys(Find("")), ElementsAre(archives[1]));
}

TEST_F(AskBackTest, AsksOnceForEach) {
  MoveAway(0);
  MoveAway(1);
  store.under_way.insert(archives[0]);
  auto away = Find("");
  ASSERT_THAT(away, SizeIs(2));
  EXPECT_TRUE(away[0].asked);
  ASSERT_TRUE(world.world.Run(backup::AskBack(world.runtime, place, away, "Bulk", 3)));
  EXPECT_THAT(store.asked, ElementsAre(archives[1] + " Bulk 3"));
  ASSERT_TRUE(world.world.Run(backup::AskBack(world.runtime, place, away, "Bulk", 3)));
  EXPECT_THAT(store.asked, SizeIs(1)) << "what has been asked for is not asked for again";
  store.away.erase(archives[0]);
  ASSERT_TRUE(world.world.Run(backup::DropReadable(world.runtime, place, away)));
  EXPECT_THAT(Keys(away), ElementsAre(archives[1]));
}

// It has archive tiers, and no listing tells what lies there: nothing would ever come back.
TEST_F(AskBackTest, ArchiveTiersAreAskedBackAsWell) {
  MoveAway(0, "INTELLIGENT_TIERING");
  MoveAway(1, "INTELLIGENT_TIERING");
  MoveAway(2, "INTELLIGENT_TIERING");
  store.away.erase(archives[2]);
  auto away = Find("");
  ASSERT_THAT(Keys(away), ElementsAre(archives[0], archives[1]));
  // S3 refuses days for them.
  ASSERT_TRUE(world.world.Run(backup::AskBack(world.runtime, place, away, "Standard", 3)));
  EXPECT_THAT(store.asked, ElementsAre(archives[0] + " Standard 0", archives[1] + " Standard 0"));
}

TEST_F(AskBackTest, NamesTheOneThatIsRefused) {
  MoveAway(0);
  MoveAway(1);
  store.refused = archives[0];
  auto away = Find("");
  const Result<void> asked =
      world.world.Run(backup::AskBack(world.runtime, place, away, "Standard", 1));
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().kind, ErrorKind::kDenied);
  EXPECT_THAT(asked.error().message, HasSubstr(archives[0]));
  EXPECT_THAT(store.asked, ElementsAre(archives[1] + " Standard 1"));
}

// Stores that have no such classes are asked for nothing.
TEST_F(AskBackTest, OthersHaveNone) {
  MoveAway(0);
  MemoryStore direct(world.runtime, world.target().backend, &world.target());
  place.store = &direct;
  EXPECT_THAT(Find(""), IsEmpty());
}

}  // namespace
}  // namespace longhaul
