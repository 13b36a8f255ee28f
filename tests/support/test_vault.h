// A vault in memory of the bucket "in", whose archives a test makes entry by entry.

#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backup/catalog.h"
#include "backup/vault_store.h"
#include "backup/vault_versions.h"
#include "base/random.h"
#include "tests/support/archive.h"
#include "tests/support/replication_world.h"

namespace longhaul::testing {

class TestVault {
 public:
  explicit TestVault(uint64_t seed = 1) : world(seed) {
    MemoryStoreOptions options;
    options.name = "west";
    server.backend = std::make_shared<MemoryStoreBackend>(options);
    server.backend->buckets["out"].created = world.clock.Now();
    server.store = std::make_unique<MemoryStore>(world.runtime, server.backend, &server);
    direct = std::make_unique<MemoryStore>(world.runtime, server.backend);
  }

  [[nodiscard]] SystemTime now() const {
    return std::chrono::floor<std::chrono::seconds>(world.clock.Now());
  }
  void Pass(std::chrono::seconds time) { world.Run(world.clock.Sleep(time)); }

  static ArchiveItem Object(std::string key, std::string text, SystemTime stamp) {
    ArchiveItem item = testing::Put(std::move(key), std::move(text));
    item.entry.etag_is_md5 = true;
    item.entry.stamp = stamp;
    return item;
  }
  static ArchiveItem Gone(std::string key, SystemTime stamp) {
    ArchiveItem item = testing::Put(std::move(key), "");
    item.entry.op = EntryOp::kDelete;
    item.entry.stamp = stamp;
    return item;
  }
  // Segment `number` of `count` of an object that holds `text` so many times.
  static ArchiveItem Part(std::string key, const std::string& text, SystemTime stamp,
                          const std::string& plan, uint32_t number, uint32_t count) {
    ArchiveItem item = testing::Put(std::move(key), text);
    item.entry.stamp = stamp;
    item.entry.etag = "0123456789abcdef0123456789abcdef-" + std::to_string(count);
    item.entry.segment = Segment{.plan = plan,
                                 .offset_bytes = number * text.size(),
                                 .object_size_bytes = count * text.size(),
                                 .number = number,
                                 .count = count};
    return item;
  }

  [[nodiscard]] std::string NewId() { return NewUlid(world.clock.Now(), world.random); }
  // Puts an archive into the vault. Empty `id`: one begun now.
  backup::VaultName Keep(std::vector<ArchiveItem> items, std::string id = "",
                         BackupOptions::Partition partition = BackupOptions::Partition::kDaily) {
    if (id.empty()) id = NewId();
    ArchiveManifest manifest = TestManifest();
    manifest.id = id;
    manifest.source = "east:in/";
    MemorySink sink;
    auto written =
        world.Run(WriteArchive(world.runtime, std::move(items),
                               {.level = 1, .frame_size_bytes = 128 << 10}, sink, manifest));
    EXPECT_TRUE(written) << written.error().Describe();
    const backup::VaultName name{.folder = backup::VaultFolder(from, partition, id), .ulid = id};
    Store(backup::VaultArchiveKey(place, name), sink.bytes);
    MemoryArchiveFile file(sink.bytes);
    auto reader = world.Run(ArchiveReader::Open(world.runtime, file, {}));
    EXPECT_TRUE(reader);
    auto records = world.Run(backup::ReadRecords(world.runtime, **reader, [](uint64_t) {}));
    EXPECT_TRUE(records);
    StoreCatalog(name, std::move(*records));
    return name;
  }
  void StoreCatalog(const backup::VaultName& name, std::vector<backup::CatalogRecord> records) {
    Store(backup::VaultCatalogKey(place, name),
          world.Run(backup::PackCatalog(
              world.runtime, {.vault = place, .name = name, .source = from}, std::move(records))));
  }
  void Store(const std::string& key, std::string bytes) {
    EXPECT_TRUE(world.Run(PutText(*direct, {.bucket = "out", .key = key}, std::move(bytes))));
  }
  void Drop(const std::string& key) {
    EXPECT_TRUE(world.Run(direct->Remove({.bucket = "out", .key = key})));
  }
  [[nodiscard]] bool Has(const backup::VaultName& name) const {
    return server.backend->Find("out", backup::VaultArchiveKey(place, name)) != nullptr;
  }
  [[nodiscard]] bool HasCatalog(const backup::VaultName& name) const {
    return server.backend->Find("out", backup::VaultCatalogKey(place, name)) != nullptr;
  }
  [[nodiscard]] size_t archives() const {
    size_t count = 0;
    for (const std::string& key : server.backend->Keys("out")) {
      count += key.ends_with(".tar.zst") ? 1 : 0;
    }
    return count;
  }

  [[nodiscard]] backup::CatalogSource source(longhaul::Store& store) const {
    return {.store = &store, .vault = place, .source_bucket = "in", .prefix = ""};
  }
  using State = std::map<std::string, std::string>;  // ETags by key.
  // All that the vault has, of each key the newest first.
  std::vector<ListedObject> History() {
    backup::CatalogTroubles troubles;
    std::unique_ptr<Listing> listing =
        backup::OpenVaultHistory(world.runtime, source(*direct), troubles, {});
    std::vector<ListedObject> versions;
    while (true) {
      Result<std::optional<ListedObject>> next = world.Run(listing->Next());
      EXPECT_TRUE(next) << next.error().Describe();
      if (!next || !*next) break;
      versions.push_back(std::move(**next));
    }
    world.Run(listing->Close());
    return versions;
  }
  static State StateAt(const std::vector<ListedObject>& history, SystemTime time) {
    State state;
    std::set<std::string> decided;
    for (const ListedObject& version : history) {
      if (version.last_modified > time || !decided.insert(version.key).second) continue;
      if (!version.is_delete_marker) state[version.key] = version.etag;
    }
    return state;
  }
  // What the vault gives back of a time.
  State At(SystemTime time) { return StateAt(History(), time); }
  // The same with the bytes of each object, read from the archives. `some`: those that can be read.
  State BytesAt(SystemTime time, bool some = false) {
    backup::VaultStore store(world.runtime, *direct, place, "in",
                             {.seal_keys = {}, .memory_bytes = 64 << 20});
    backup::CatalogTroubles troubles;
    std::unique_ptr<Listing> listing = store.OpenAt("", time, troubles, {});
    State state;
    while (true) {
      Result<std::optional<ListedObject>> next = world.Run(listing->Next());
      EXPECT_TRUE(next) << next.error().Describe();
      if (!next || !*next) break;
      Result<std::string> bytes = world.Run(
          GetAll(store, {.bucket = "in", .key = (*next)->key, .version_id = (*next)->version_id},
                 1 << 20));
      EXPECT_TRUE(bytes || some) << bytes.error().Describe();
      if (bytes) state[(*next)->key] = *bytes;
    }
    world.Run(listing->Close());
    return state;
  }

  FakeWorld world;
  TroubledStore server;  // `server.store` has its troubles, `direct` has none.
  std::unique_ptr<MemoryStore> direct;
  backup::VaultPlace place{.bucket = "out", .prefix = "v/"};
  Address from{.store = "east", .bucket = "in", .prefix = ""};
};

}  // namespace longhaul::testing
