// VaultStore: what a vault holds of one bucket, as a Store that is read: versions are those of its
// listings (backup/vault_versions.h), so whoever copies, compares or reads objects of a store does
// the same with a backup.
//
// Nothing that a catalog says is believed: the archive is, and of that every frame is compared with
// its digest. A catalog that names another object than the archive has is kCorrupt.
//
// Belongs to one shard. Everything that was opened goes before it does.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/backup_store.h"
#include "backup/catalog.h"
#include "backup/vault_archives.h"
#include "backup/vault_versions.h"
#include "storage/store.h"

namespace longhaul::backup {

// A version id of OpenAt as the vault has it: OpenAt puts the stamp of the catalog into it, with
// which the archive is compared when the object is read.
std::string WithoutStamp(std::string version_id);

class VaultStore : public BackupStore {
 public:
  // `store` is borrowed. `bucket`: of the source, whose objects these are.
  VaultStore(Runtime runtime, Store& store, VaultPlace vault, std::string bucket,
             VaultArchives::Options options);

  std::unique_ptr<Listing> OpenAt(std::string prefix, SystemTime at, CatalogTroubles& troubles,
                                  std::function<void(const std::string& what)> told) override;
  std::unique_ptr<Listing> OpenVersions(std::string prefix, CatalogTroubles& troubles,
                                        std::function<void(const std::string& what)> told) override;

  [[nodiscard]] std::vector<std::string> ArchiveKeys(const std::string& version_id) const override;

  [[nodiscard]] std::string description() const override;
  Async<ObjectInfo> Head(HeadRequest request) override;
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at = nullptr) override;
  Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) override;

  // A stretch of an object's bytes: an entry's content.
  struct Extent {
    VersionPlace place;
    uint64_t size_bytes = 0;
    std::string archive_etag{};
  };

 private:
  struct Object {
    ObjectInfo info;
    Tags tags;
    std::vector<uint64_t> part_sizes;
    std::vector<Extent> extents;
  };
  Async<std::shared_ptr<const Object>> Describe(std::string key, std::string version_id);
  Async<VaultArchives::Entry> FindPut(const std::string& key, const std::string& version_id);
  Async<std::string> Md5Of(const VersionPlace& place, const VaultArchives::Entry& found);
  SegmentsTold NoteSegments();

  Runtime runtime_;
  Store& store_;
  VaultPlace vault_;
  std::string bucket_;
  std::vector<SealKey> seal_keys_;
  VaultArchives archives_;
  // Of objects in segments: what the listings have told, and what was found of each.
  std::map<std::string, std::vector<std::string>> segments_;
  std::map<std::string, std::shared_ptr<const Object>> giants_;  // shared with who reads them.
};

}  // namespace longhaul::backup
