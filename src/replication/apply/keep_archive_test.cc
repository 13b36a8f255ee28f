#include "replication/apply/keep_archive.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "backup/vault_versions.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::ReplicationWorld;
using testing::StoreOperation;
using testing::TroubledStore;

// A rule whose target t0 is a backup, in a vault of the bucket "out".
class KeepArchiveTest : public ::testing::Test {
 protected:
  explicit KeepArchiveTest(int targets = 1) : world(targets) {
    Target& target = world.configuration.rules[0].targets[0];
    target.to.prefix = "v/";
    target.backup = BackupOptions();
  }

  std::vector<std::string> Kept(std::string_view end) {
    std::vector<std::string> keys;
    for (const std::string& key : world.target().backend->Keys("out")) {
      if (key.ends_with(end)) keys.push_back(key);
    }
    return keys;
  }
  std::vector<std::string> Archives() { return Kept(".tar.zst"); }
  std::vector<std::string> Catalogs() { return Kept(".jsonl.zst"); }

  // Everything that the vault says at `at`: key and ETag.
  std::map<std::string, std::string> Listed(SystemTime at = SystemTime::max()) {
    MemoryStore store(world.runtime, world.target().backend, listed_store);
    troubles = {};
    std::unique_ptr<Listing> listing =
        backup::OpenVaultListing(world.runtime,
                                 {.store = &store,
                                  .vault = {.bucket = "out", .prefix = "v/"},
                                  .source_bucket = "in",
                                  .prefix = ""},
                                 at, troubles, {});
    std::map<std::string, std::string> found;
    while (true) {
      Result<std::optional<ListedObject>> next = world.world.Run(listing->Next());
      error = next ? std::nullopt : std::optional<Error>(next.error());
      if (!next || !*next) break;
      found[(*next)->key] = (*next)->etag;
    }
    world.world.Run(listing->Close());
    return found;
  }
  std::string EtagOf(const std::string& key) {
    const auto* version = world.source().backend->Find("in", key);
    return version == nullptr ? "" : version->info.etag;
  }
  void Remove(const std::string& key) {
    MemoryStore direct(world.runtime, world.source().backend);
    ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "in", .key = key})));
  }

  using MemoryStore = testing::MemoryStore;
  ReplicationWorld world;
  TroubledStore* listed_store = nullptr;  // The troubles of Listed.
  backup::CatalogTroubles troubles;
  std::optional<Error> error;
};

// Nothing is unpacked, and what the catalog says is what the source has.
TEST_F(KeepArchiveTest, ArchivesAreKeptAsTheyAre) {
  world.Put("a", "text a");
  world.Put("b", std::string(70'000, 'b'));
  world.Put("c", "text a");
  world.Put("empty", "");
  OnceResult result = world.RunOnce();
  EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  EXPECT_EQ(Archives().size(), 1u);
  EXPECT_EQ(Catalogs().size(), 1u);
  EXPECT_EQ(world.Replicas().size(), 2u);
  EXPECT_TRUE(world.Staged().empty());
  const std::map<std::string, std::string> listed = Listed();
  EXPECT_EQ(
      listed,
      (std::map<std::string, std::string>{
          {"a", EtagOf("a")}, {"b", EtagOf("b")}, {"c", EtagOf("c")}, {"empty", EtagOf("empty")}}));
  EXPECT_EQ(troubles.count(), 0u);
}

// What the vault has already is not sent again; what has changed or gone is.
TEST_F(KeepArchiveTest, IsComparedByItsCatalogs) {
  world.Put("a", "one");
  world.Put("b", "two");
  world.Put("gone", "three");
  world.RunOnce();
  const SystemTime before = world.world.clock.Now();
  ASSERT_EQ(Archives().size(), 1u);
  world.RunOnce();
  EXPECT_EQ(Archives().size(), 1u) << "all was kept again";
  world.RunFor(60s);
  world.Put("a", "changed");
  Remove("gone");
  world.RunOnce();
  EXPECT_EQ(Archives().size(), 2u);
  EXPECT_EQ(Listed(), (std::map<std::string, std::string>{{"a", EtagOf("a")}, {"b", EtagOf("b")}}));
  EXPECT_EQ(Listed(before).size(), 3u);
  world.RunOnce();
  EXPECT_EQ(Archives().size(), 2u) << "a delete was recorded again";
}

// Whatever request fails, and whether or not it had its effect: in the end all is kept, once.
TEST_F(KeepArchiveTest, EndsTheSameWhicheverRequestFails) {
  for (const Fault::Effect effect : {Fault::Effect::kAsUsual, Fault::Effect::kDone}) {
    for (int failing = 0;; ++failing) {
      ReplicationWorld fresh(1);
      fresh.configuration = world.configuration;
      int count = 0;
      bool failed = false;
      fresh.Put("a", "text a");
      fresh.Put("b", std::string(200'000, 'b'));
      fresh.target().decide = [&](StoreOperation, std::string_view bucket, std::string_view) {
        Fault fault;
        if (bucket != "out" || count++ != failing) return fault;
        failed = true;
        fault.error = Error{.kind = ErrorKind::kRetryable, .message = "cut", .code = ""};
        fault.effect = effect;
        return fault;
      };
      OnceResult result = fresh.RunOnce({.timeout = 5min});
      EXPECT_FALSE(result.store_error) << failing;
      size_t archives = 0;
      size_t catalogs = 0;
      for (const std::string& key : fresh.target().backend->Keys("out")) {
        archives += key.ends_with(".tar.zst") ? 1 : 0;
        catalogs += key.ends_with(".jsonl.zst") ? 1 : 0;
      }
      EXPECT_EQ(archives, catalogs) << failing;
      EXPECT_GE(archives, 1u) << failing;
      EXPECT_TRUE(fresh.Staged().empty()) << failing;
      if (!failed) break;
    }
  }
}

// A damaged archive in the vault would be found when it is needed, and the source is gone.
TEST_F(KeepArchiveTest, WhatIsDamagedIsNotKept) {
  world.Put("a", std::string(50'000, 'x'));
  world.RunOnce({.source = true, .target = false});
  ASSERT_EQ(world.Staged().size(), 1u);
  const std::string staged = *world.Staged().begin();
  world.target().backend->CorruptStored("staging", staged, 40);
  world.RunOnce();
  for (const std::string& key : Archives()) {
    EXPECT_EQ(key.find(staged.substr(2)), std::string::npos) << "the damaged one was kept";
  }
  EXPECT_EQ(Listed(), (std::map<std::string, std::string>{{"a", EtagOf("a")}}));
}

// The archive is durable before anything says that it is there, and no receipt comes before both.
TEST_F(KeepArchiveTest, NothingIsSettledBeforeTheCatalogIsThere) {
  world.Put("a", "text");
  world.target().decide = [](StoreOperation operation, std::string_view, std::string_view key) {
    return operation == StoreOperation::kPut && key.ends_with(".jsonl.zst")
               ? TroubledStore::Failing(ErrorKind::kRetryable)
               : Fault();
  };
  OnceResult result = world.RunOnce({.timeout = 30s});
  EXPECT_EQ(Archives().size(), 1u);
  EXPECT_EQ(Catalogs().size(), 0u);
  EXPECT_EQ(world.Staged().size(), 1u);
  world.target().Heal();
  world.RunOnce();
  EXPECT_EQ(Archives().size(), 1u);
  EXPECT_EQ(Catalogs().size(), 1u);
  EXPECT_TRUE(world.Staged().empty());
}

TEST_F(KeepArchiveTest, ClassLockAndPartitionAreThoseOfTheConfiguration) {
  BackupOptions& options = *world.configuration.rules[0].targets[0].backup;
  options.storage_class = "STANDARD_IA";
  options.lock_mode = "COMPLIANCE";
  options.lock_days = 3;
  options.partition = BackupOptions::Partition::kMonthly;
  world.Put("a", "text");
  world.RunOnce();
  ASSERT_EQ(Archives().size(), 1u);
  EXPECT_EQ(Archives()[0].find("day="), std::string::npos);
  const auto* kept = world.target().backend->Find("out", Archives()[0]);
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->info.storage_class, "STANDARD_IA");
  ASSERT_TRUE(kept->lock);
  EXPECT_EQ(kept->lock->mode, "COMPLIANCE");
  EXPECT_GE(kept->lock->until, world.world.clock.Now() + 71h);
  EXPECT_LE(kept->lock->until, world.world.clock.Now() + 73h);
  const auto* catalog = world.target().backend->Find("out", Catalogs()[0]);
  EXPECT_FALSE(catalog->lock);
  EXPECT_EQ(catalog->info.storage_class, "");
}

// By a clock that is a year ahead nobody could take a lock back for a year.
TEST_F(KeepArchiveTest, ALockEndsByTheClockOfTheStore) {
  BackupOptions& options = *world.configuration.rules[0].targets[0].backup;
  options.lock_mode = "COMPLIANCE";
  options.lock_days = 3;
  world.target().backend->options.clock_offset = -300s;
  world.Put("a", "text");
  world.RunOnce();
  ASSERT_EQ(Archives().size(), 1u);
  const auto* kept = world.target().backend->Find("out", Archives()[0]);
  ASSERT_TRUE(kept != nullptr && kept->lock);
  EXPECT_LE(kept->lock->until, world.world.clock.Now() + 72h - 290s);
}

// An archive without a catalog is not as good as none: what it holds would be taken for missing.
TEST_F(KeepArchiveTest, AnArchiveWithoutItsCatalogIsAnError) {
  world.Put("a", "text");
  world.RunOnce();
  MemoryStore direct(world.runtime, world.target().backend);
  ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "out", .key = Catalogs().at(0)})));
  // A young one is read itself.
  EXPECT_EQ(Listed(), (std::map<std::string, std::string>{{"a", EtagOf("a")}}));
  EXPECT_FALSE(error);
  EXPECT_EQ(troubles.archives, 1u);
  EXPECT_EQ(troubles.count(), 0u);
  world.RunFor(backup::kCatalogDelayMax + 1min);
  // Young by the clock that the store has.
  world.target().backend->options.clock_offset = -5min;
  EXPECT_EQ(Listed(), (std::map<std::string, std::string>{{"a", EtagOf("a")}}));
  EXPECT_FALSE(error);
  world.target().backend->options.clock_offset = 0s;
  Listed();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, backup::kNoCatalog);
}

// Archives and catalogs are listed side by side: what is kept, or pruned, between the two is no
// sign that objects are missing, and an object must not come back as it was before.
TEST_F(KeepArchiveTest, WhatIsKeptWhileTheVaultIsListedCounts) {
  world.Put("a", "one");
  world.RunOnce();
  const std::string first = EtagOf("a");
  const std::vector<std::string> archives = Archives();
  const std::vector<std::string> catalogs = Catalogs();
  world.RunFor(60s);
  world.Put("a", "two");
  world.RunOnce();
  ASSERT_EQ(Archives().size(), 2u);
  const std::string archive = Archives().back();
  const std::string catalog = Catalogs().back();
  ASSERT_NE(archive, archives[0]);
  ASSERT_NE(catalog, catalogs[0]);
  auto& objects = world.target().backend->buckets.at("out").objects;
  const auto kept = objects.at(archive);
  listed_store = &world.target();

  objects.erase(archive);
  int lists = 0;
  world.target().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    // The second one is of the catalogs.
    if (operation == StoreOperation::kList && ++lists == 2) objects[archive] = kept;
    return Fault();
  };
  EXPECT_EQ(Listed(), (std::map<std::string, std::string>{{"a", EtagOf("a")}}));
  EXPECT_EQ(troubles.orphans, 0u);

  objects.erase(archive);
  world.target().decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
    if (operation == StoreOperation::kHead && key == archive) objects.erase(catalog);
    return Fault();
  };
  EXPECT_EQ(Listed(), (std::map<std::string, std::string>{{"a", first}}));
  EXPECT_EQ(troubles.orphans, 0u);
}

// What others have put there is left alone, and counted.
TEST_F(KeepArchiveTest, ForeignFilesAndLinesAreSkippedAndCounted) {
  world.Put("a", "text");
  world.RunOnce();
  MemoryStore direct(world.runtime, world.target().backend);
  const std::string catalog = Catalogs().at(0);
  std::string bytes = *world.target().backend->Find("out", catalog)->bytes;
  const std::string folder = catalog.substr(0, catalog.rfind('/') + 1);
  auto put = [&](const std::string& key, const std::string& text) {
    ASSERT_TRUE(world.world.Run(PutText(direct, {.bucket = "out", .key = key}, text)));
  };
  put(folder + "notes.txt", "hello");
  put(folder + "01KAW8Z3Q0ABCDEFGHJKMNPQRS.jsonl.zst", bytes);
  const std::string lines = "garbage\n{\"op\":\"put\"}\n";
  std::string packed(ZSTD_compressBound(lines.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), lines.data(), lines.size(), 1));
  put(catalog, packed);
  EXPECT_TRUE(Listed().empty());
  EXPECT_FALSE(error);
  EXPECT_EQ(troubles.files, 1u);
  EXPECT_EQ(troubles.orphans, 1u);
  EXPECT_EQ(troubles.lines, 2u);
}

// The source's host may write to staging, and knows the names of all archives: none that is kept
// may be replaced by it, or the vault would give back what it likes.
TEST_F(KeepArchiveTest, AnArchiveThatIsKeptIsNeverReplaced) {
  world.Put("a", "text");
  world.RunOnce({.source = true, .target = false});
  auto& staging = world.target().backend->buckets.at("staging").objects;
  const auto staged = staging;
  world.RunOnce({.source = false, .target = true});
  ASSERT_EQ(Archives().size(), 1u);
  const std::string key = Archives()[0];
  const std::string sound = *world.target().backend->Find("out", key)->bytes;
  MemoryStore direct(world.runtime, world.target().backend);
  for (const bool same : {true, false}) {
    const std::string text = same ? sound : std::string(sound.size(), 'x');
    ASSERT_TRUE(world.world.Run(PutText(direct, {.bucket = "out", .key = key}, text)));
    staging = staged;
    world.RunOnce({.source = false, .target = true, .timeout = 30s});
    EXPECT_EQ(*world.target().backend->Find("out", key)->bytes, text) << same;
    EXPECT_EQ(world.log.Has("archive refused"), !same);
  }
}

// Beside a replica in another bucket; each settles what is its own.
TEST_F(KeepArchiveTest, StandsBesideAReplica) {
  ReplicationWorld both(2);
  both.configuration.rules[0].targets[0].to.prefix = "v/";
  both.configuration.rules[0].targets[0].backup = BackupOptions();
  both.Put("a", "text");
  both.RunOnce();
  EXPECT_EQ(both.Replicas(0).size(), 2u);
  EXPECT_EQ(both.Replicas(1), std::set<std::string>{"a"});
}

}  // namespace
}  // namespace longhaul
