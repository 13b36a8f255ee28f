#include "backup/vault_store.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <map>
#include <tuple>

#include "backup/restore.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/giant_fixture.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_vault.h"
#include "transfer/listing/text_lines.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Fault;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::ReplicationWorld;
using testing::StoreOperation;

std::string NoiseOf(size_t size, uint64_t seed) {
  SeededRandom random(seed);
  std::string noise(size, '\0');
  for (char& c : noise) c = static_cast<char>(random.Below(256));
  return noise;
}

// All that a person would call the object.
struct Facts {
  std::string bytes;
  SystemHeaders headers;
  UserMetadata metadata;
  Tags tags;
  bool operator==(const Facts&) const = default;
};
using BucketState = std::map<std::string, Facts>;

BucketState StateOf(const MemoryStoreBackend& backend, const std::string& bucket) {
  BucketState state;
  for (const auto& [key, versions] : backend.buckets.at(bucket).objects) {
    const auto& version = versions.back();
    if (version.is_delete_marker) continue;
    state[key] = {.bytes = *version.bytes,
                  .headers = version.info.headers,
                  .metadata = version.info.metadata,
                  .tags = version.tags};
  }
  return state;
}

// What a restore is told of, besides its totals.
struct ToldOfCopies : SyncObserver {
  void OnFailed(const SyncStep& step, const Error& error) override {
    failures.emplace_back(std::string(step.name), error);
  }
  std::vector<std::pair<std::string, Error>> failures;
};

// The vault of the first target of a world, whose rule has no other.
class Vault {
 public:
  explicit Vault(ReplicationWorld& of, int64_t memory_bytes = 64 << 20)
      : world(of),
        direct(of.runtime, of.target().backend, &of.target()),
        store(of.runtime, direct, {.bucket = "out", .prefix = "v/"}, "in",
              {.seal_keys = {}, .memory_bytes = memory_bytes}) {
    Target& target = of.configuration.rules[0].targets[0];
    target.to.prefix = "v/";
    target.backup = BackupOptions();
  }

  // Into the bucket "back", emptied before, of another store.
  BucketState Restore(SystemTime at, const std::string& prefix = "") {
    if (!world.stores.contains("home")) world.AddStore("home", {});
    MemoryStoreBackend& home = *world.store("home").backend;
    home.buckets.erase("back");
    home.buckets["back"].created = world.world.clock.Now();
    told = {};
    totals = {};
    troubles = {};
    std::unique_ptr<Listing> listing = store.OpenAt(prefix, at, troubles, {});
    SyncOptions options;
    options.copy.source_proves_bytes = true;
    Result<void> done = world.world.Run(
        SyncTrees(world.runtime, {.store = store, .bucket = "in", .prefix = prefix},
                  {.store = *world.store("home").store, .bucket = "back", .prefix = prefix},
                  *listing, nullptr, options, told, totals));
    world.world.Run(listing->Close());
    EXPECT_TRUE(done) << done.error().Describe();
    return StateOf(home, "back");
  }

  ReplicationWorld& world;
  MemoryStore direct;
  backup::VaultStore store;
  ToldOfCopies told;
  SyncTotals totals;
  backup::CatalogTroubles troubles;
};

// A backup that gives anything else back than what was there is worse than none: at any time of a
// long history of puts, overwrites and deletes, bytes and all that belongs to them are as they
// were.
TEST(VaultStoreTest, GivesBackEveryStateOfALongHistory) {
  ReplicationWorld world(1);
  Vault vault(world);
  SeededRandom random(5);
  MemoryStore source(world.runtime, world.source().backend);
  std::vector<std::pair<SystemTime, BucketState>> states;
  constexpr int kRounds = testing::kSanitized ? 8 : 30;
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < 100; ++i) {
      const std::string key = "k/" + std::to_string(random.Below(300));
      if (random.Below(5) == 0) {
        ASSERT_TRUE(world.world.Run(source.Remove({.bucket = "in", .key = key})));
        continue;
      }
      PutRequest request{.bucket = "in", .key = key};
      const uint64_t kind = random.Below(4);
      if (kind == 0) request.headers.content_type = "text/x" + std::to_string(random.Below(9));
      if (kind == 1) request.metadata["who"] = std::to_string(random.Below(1000));
      if (kind == 2) request.tags["tier"] = std::to_string(random.Below(1000));
      // Few texts, so that one archive often has the same bytes twice; some larger than a frame.
      std::string text(random.Below(20) == 0 ? 150'000 + random.Below(100'000) : random.Below(3000),
                       static_cast<char>('a' + random.Below(26)));
      ASSERT_TRUE(world.world.Run(PutText(source, std::move(request), std::move(text))));
    }
    world.RunFor(5s);
    OnceResult result = world.RunOnce();
    ASSERT_FALSE(result.store_error) << result.store_error->Describe();
    states.emplace_back(world.world.clock.Now(), StateOf(*world.source().backend, "in"));
    world.RunFor(std::chrono::seconds(10 + random.Below(3600)));
  }
  for (int i = 0; i < kRounds; ++i) {
    const auto& [time, state] = states[random.Below(states.size())];
    // Any time until the next change tells the same.
    const BucketState restored = vault.Restore(time + std::chrono::seconds(random.Below(9)));
    ASSERT_EQ(restored.size(), state.size());
    for (const auto& [key, facts] : state) {
      ASSERT_TRUE(restored.contains(key)) << key;
      ASSERT_TRUE(restored.at(key) == facts) << key;
    }
    ASSERT_EQ(vault.told.failures.size(), 0u) << vault.told.failures[0].second.Describe();
    ASSERT_EQ(vault.troubles.count(), 0u);
  }
}

// Room for little more than one archive at a time: slower, and the same.
TEST(VaultStoreTest, NeedsLittleMemory) {
  ReplicationWorld world(1);
  Vault vault(world, 3 << 20);
  for (int round = 0; round < 6; ++round) {
    for (int i = round; i < 60; i += 6) {
      world.Put("k/" + std::to_string(i), std::string(100'000 + i, static_cast<char>('A' + i)));
    }
    world.RunOnce();
    world.RunFor(10s);
  }
  EXPECT_EQ(vault.Restore(SystemTime::max()), StateOf(*world.source().backend, "in"));
  EXPECT_TRUE(vault.told.failures.empty());
}

// One object costs the tail of its archive and a frame, not the archive.
TEST(VaultStoreTest, OneObjectTakesThreeReadsOfItsArchiveAtMost) {
  SeededRandom random(3);
  ReplicationWorld world(1);
  Vault vault(world);
  for (int i = 0; i < 300; ++i) {
    std::string noise(60'000, '\0');
    for (char& c : noise) c = static_cast<char>(random.Below(256));
    world.Put("k/" + std::to_string(1000 + i), std::move(noise));
  }
  world.RunOnce();
  uint64_t gets = 0;
  world.target().decide = [&gets](StoreOperation operation, std::string_view,
                                  std::string_view key) {
    if (key.ends_with(".tar.zst")) {
      EXPECT_TRUE(operation == StoreOperation::kGet) << ToString(operation);
      ++gets;
    }
    return Fault();
  };
  const BucketState restored = vault.Restore(SystemTime::max(), "k/1007");
  EXPECT_EQ(restored.size(), 1u);
  EXPECT_EQ(restored.at("k/1007"), StateOf(*world.source().backend, "in").at("k/1007"));
  EXPECT_GE(gets, 1u);
  EXPECT_LE(gets, 3u);
}

// What is damaged in the vault is never written anywhere; all else comes back.
TEST(VaultStoreTest, DamageFailsItsObjectsAlone) {
  ReplicationWorld world(1);
  Vault vault(world);
  world.Put("a", NoiseOf(90'000, 1));
  world.RunOnce();
  std::string damaged;
  for (const std::string& key : world.target().backend->Keys("out")) {
    if (key.ends_with(".tar.zst")) damaged = key;
  }
  world.RunFor(10s);
  world.Put("b", NoiseOf(90'000, 2));
  world.RunOnce();
  world.target().backend->CorruptStored("out", damaged, 5000);
  const BucketState restored = vault.Restore(SystemTime::max());
  EXPECT_EQ(restored.size(), 1u);
  EXPECT_TRUE(restored.contains("b"));
  ASSERT_EQ(vault.told.failures.size(), 1u);
  EXPECT_EQ(vault.told.failures[0].first, "a");
  EXPECT_EQ(vault.told.failures[0].second.kind, ErrorKind::kCorrupt);
}

// With little room archives are closed between two reads. One that lies under the name by then, a
// copy by hand or a second writer's, has other bytes at the same places.
TEST(VaultStoreTest, AnArchiveThatWasReplacedIsNotReadOnIn) {
  for (const bool begun : {false, true}) {
    testing::TestVault vault;
    const std::string id = vault.NewId();
    const SystemTime stamp = vault.now();
    const auto keep = [&](uint64_t seed) {
      vault.Keep({testing::TestVault::Object("a", NoiseOf(1'000'000, seed), stamp)}, id);
    };
    keep(1);
    vault.Pass(1h);
    vault.Keep({testing::TestVault::Object("b", NoiseOf(1'000'000, 2), vault.now())});
    backup::VaultStore store(vault.world.runtime, *vault.direct, vault.place, "in",
                             {.seal_keys = {}, .memory_bytes = 1 << 20});
    backup::CatalogTroubles troubles;
    std::unique_ptr<Listing> listing = store.OpenAt("", SystemTime::max(), troubles, {});
    std::vector<std::string> versions;
    for (int i = 0; i < 2; ++i) {
      Result<std::optional<ListedObject>> next = vault.world.Run(listing->Next());
      ASSERT_TRUE(next && *next);
      versions.push_back((*next)->version_id);
    }
    vault.world.Run(listing->Close());
    Result<ObjectStream> stream =
        vault.world.Run(store.Get({.bucket = "in", .key = "a", .version_id = versions[0]}));
    ASSERT_TRUE(stream) << stream.error().Describe();
    std::vector<std::byte> part(1 << 20);
    // All of a frame, which keeps the archive open until then.
    Result<size_t> count = 1;
    if (begun) count = vault.world.Run(stream->body->Read(part));
    ASSERT_TRUE(count && *count > 0);
    keep(3);
    ASSERT_TRUE(vault.world.Run(
        GetAll(store, {.bucket = "in", .key = "b", .version_id = versions[1]}, 2 << 20)));
    while (count && *count > 0) count = vault.world.Run(stream->body->Read(part));
    ASSERT_FALSE(count) << "the bytes of another archive were given";
    EXPECT_EQ(count.error().kind, ErrorKind::kPrecondition) << count.error().Describe();
    // Whoever asks anew gets what is there.
    Result<std::string> anew = vault.world.Run(
        GetAll(store, {.bucket = "in", .key = "a", .version_id = versions[0]}, 2 << 20));
    ASSERT_TRUE(anew) << anew.error().Describe();
    EXPECT_TRUE(*anew == NoiseOf(1'000'000, 3));
  }
}

// Edits the only catalog of the vault.
void EditCatalog(ReplicationWorld& world, Vault& vault, const std::string& what,
                 const std::string& with) {
  std::string catalog;
  for (const std::string& key : world.target().backend->Keys("out")) {
    if (key.ends_with(".jsonl.zst")) catalog = key;
  }
  std::string lines;
  {
    Result<std::string> text = world.world.Run(ReadListingFile(
        {.store = &vault.direct, .bucket = "out", .key = catalog, .name = catalog}, 1 << 20));
    ASSERT_TRUE(text);
    lines.resize(1 << 20);
    const size_t size = ZSTD_decompress(lines.data(), lines.size(), text->data(), text->size());
    ASSERT_FALSE(ZSTD_isError(size));
    lines.resize(size);
  }
  const size_t at = lines.find(what);
  ASSERT_NE(at, std::string::npos) << lines;
  lines.replace(at, what.size(), with);
  std::string packed(ZSTD_compressBound(lines.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), lines.data(), lines.size(), 1));
  ASSERT_TRUE(world.world.Run(PutText(vault.direct, {.bucket = "out", .key = catalog}, packed)));
}

// A catalog can be written by whoever can write to the vault: it leads to no other object's bytes.
TEST(VaultStoreTest, ACatalogThatNamesAnotherObjectIsNotBelieved) {
  ReplicationWorld world(1);
  Vault vault(world);
  world.Put("a", "the bytes of a");
  world.Put("b", "the bytes of b");
  world.RunOnce();
  EditCatalog(world, vault, "\"object_path\":\"a\"", "\"object_path\":\"c\"");
  const BucketState restored = vault.Restore(SystemTime::max());
  EXPECT_EQ(restored.size(), 1u);
  EXPECT_TRUE(restored.contains("b"));
  ASSERT_EQ(vault.told.failures.size(), 1u);
  EXPECT_EQ(vault.told.failures[0].first, "c");
}

// A restore in place would leave other bytes where they are, and say that they are the same.
TEST(VaultStoreTest, AnETagOfACatalogDoesNotMakeAnObjectTheSame) {
  ReplicationWorld world(1);
  Vault vault(world);
  const std::string text(300'000, 'a');
  const std::string other(300'000, 'b');
  world.Put("a", text);
  world.Put("b", "the bytes of b");
  world.RunOnce();
  world.AddStore("home", {});
  world.store("home").backend->buckets["back"].created = world.world.clock.Now();
  MemoryStore home(world.runtime, world.store("home").backend, &world.store("home"));
  ASSERT_TRUE(world.world.Run(PutText(home, {.bucket = "back", .key = "a"}, other)));
  ASSERT_TRUE(world.world.Run(PutText(home, {.bucket = "back", .key = "b"}, "the bytes of b")));
  EditCatalog(world, vault, HexEncode(Md5(text)), HexEncode(Md5(other)));
  SyncOptions options;
  backup::SetRestoreOptions(options);
  for (const char* key : {"a", "b"}) {
    std::unique_ptr<Listing> listing =
        vault.store.OpenAt(key, SystemTime::max(), vault.troubles, {});
    std::unique_ptr<Listing> there = OpenListing(world.runtime, home, "back", key);
    Result<void> done = world.world.Run(
        SyncTrees(world.runtime, {.store = vault.store, .bucket = "in", .prefix = key},
                  {.store = home, .bucket = "back", .prefix = key}, *listing, there.get(), options,
                  vault.told, vault.totals));
    ASSERT_TRUE(done) << done.error().Describe();
    world.world.Run(listing->Close());
    world.world.Run(there->Close());
  }
  EXPECT_TRUE(vault.told.failures.empty());
  EXPECT_EQ(vault.totals.copied, 1u);
  EXPECT_EQ(vault.totals.skipped, 1u);
  EXPECT_TRUE(StateOf(*world.store("home").backend, "back").at("a").bytes == text);
}

// With another time in it an old state would pass for the current one.
TEST(VaultStoreTest, ACatalogThatSaysAnotherTimeIsNotBelieved) {
  ReplicationWorld world(1);
  Vault vault(world);
  world.Put("a", "the bytes of a");
  world.Put("b", "the bytes of b");
  world.RunOnce();
  EditCatalog(world, vault, "\"stamp\":\"20", "\"stamp\":\"21");
  const BucketState restored = vault.Restore(SystemTime::max());
  EXPECT_EQ(restored.size(), 1u);
  ASSERT_EQ(vault.told.failures.size(), 1u);
  EXPECT_EQ(vault.told.failures[0].second.kind, ErrorKind::kCorrupt);
}

class VaultGiantTest : public testing::GiantTest {};

// An object that lies in several archives comes back as one, in the parts that it had.
TEST_F(VaultGiantTest, ObjectsInSegmentsComeBackWhole) {
  Make();
  Vault vault(*world);
  const std::string text = Noise(1'000'000, 9);
  PutParts("film", text, 50'000);
  world->Put("small", "text");
  world->RunOnce();
  const BucketState restored = vault.Restore(SystemTime::max());
  EXPECT_TRUE(vault.told.failures.empty());
  ASSERT_EQ(restored.size(), 2u);
  EXPECT_TRUE(restored.at("film") == StateOf(*world->source().backend, "in").at("film"));
  // Any stretch of it can be read alone.
  backup::CatalogTroubles troubles;
  std::unique_ptr<Listing> listing = vault.store.OpenAt("film", SystemTime::max(), troubles, {});
  Result<std::optional<ListedObject>> film = world->world.Run(listing->Next());
  world->world.Run(listing->Close());
  ASSERT_TRUE(film && *film);
  for (const uint64_t offset : {0ULL, 199'999ULL, 200'000ULL, 555'555ULL, 999'990ULL}) {
    Result<std::string> bytes =
        world->world.Run(GetAll(vault.store,
                                {.bucket = "in",
                                 .key = "film",
                                 .version_id = (*film)->version_id,
                                 .range = ByteRange{.offset_bytes = offset, .size_bytes = 300'000}},
                                1 << 20));
    ASSERT_TRUE(bytes) << bytes.error().Describe();
    EXPECT_TRUE(*bytes == text.substr(offset, 300'000)) << offset;
  }
}

}  // namespace
}  // namespace longhaul
