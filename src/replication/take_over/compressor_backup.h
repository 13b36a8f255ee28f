// CompressorBackup: the backups that the cross-region compressor has kept (release 1.1.0), as a
// Store that is read, like our own (backup/backup_store.h).
//
//   catalogs   archive/compressor_catalog.h
//   archives   [<prefix>/]<32 hex digits>.tar.zst in the backup's bucket
//
// Versions are ordered by the object's LastModified at the source, in whole seconds; of two with
// one the later archive's counts as the newer. Deletes were never recorded, so an object stays
// until the end of time. Its archives have neither an index nor frames: whoever wants one object
// pays for reading the archive twice, once to find out whether it is sound. They hold tags and
// storage class, no headers and no metadata.
//
// Nothing that a catalog says is believed: the archive's manifest has to name the object with the
// same time, and the bytes must have its MD5 where its ETag is one. Belongs to one shard.

#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "archive/compressor_catalog.h"
#include "backup/backup_store.h"
#include "backup/vault_place.h"
#include "base/runtime.h"
#include "replication/take_over/compressor_archive.h"
#include "storage/store.h"

namespace longhaul {

struct CompressorBackupPlace {
  Store* archives = nullptr;  // Borrowed, as `catalogs`.
  backup::VaultPlace kept;    // Where the archives lie.
  Store* catalogs = nullptr;
  backup::VaultPlace catalog;
  std::string source_bucket;
  bool etags_are_md5 = true;  // False: the source encrypts under KMS, no ETag tells of bytes.
};

class CompressorBackup : public backup::BackupStore {
 public:
  // `memory_bytes`: of all that it reads at once; the caller has reserved it.
  CompressorBackup(const Runtime& runtime, CompressorBackupPlace place, int64_t memory_bytes);
  ~CompressorBackup() override;

  // Lines that are none and files of others are skipped, counted and told. `orphans`: of catalogs
  // whose archive is not there. Archives without a catalog are not seen.
  std::unique_ptr<Listing> OpenAt(std::string prefix, SystemTime at,
                                  backup::CatalogTroubles& troubles,
                                  std::function<void(const std::string& what)> told) override;
  std::unique_ptr<Listing> OpenVersions(std::string prefix, backup::CatalogTroubles& troubles,
                                        std::function<void(const std::string& what)> told) override;

  [[nodiscard]] std::vector<std::string> ArchiveKeys(const std::string& version_id) const override;

  [[nodiscard]] std::string description() const override;
  Async<ObjectInfo> Head(HeadRequest request) override;
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at = nullptr) override;
  Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) override;

  // What an archive holds, and which version of it was read.
  struct Surveyed {
    CompressorArchivePlace place;
    CompressorContents contents;
  };

 private:
  struct Found {
    std::shared_ptr<const Surveyed> archive;  // shared with the cache.
    const CompressorEntry* entry = nullptr;
  };
  Async<Found> Find(std::string key, std::string version_id);
  Async<std::shared_ptr<const Surveyed>> SurveyOnce(std::string archive_key, Address source);
  [[nodiscard]] ObjectInfo InfoOf(const CompressorEntry& entry, std::string version_id) const;

  MemoryBudget budget_;  // Of its own: what a copy has reserved never waits for what is read here.
  Runtime runtime_;
  Runtime outside_;  // With the memory of all, for listings.
  CompressorBackupPlace place_;
  std::shared_ptr<Semaphore> streams_;  // shared with the bodies that are read.
  std::map<std::string, std::shared_ptr<const Surveyed>> surveyed_;  // By the archive's key.
  std::deque<std::string> surveyed_order_;
  std::set<std::string> surveying_;
  WaitList changed_;
};

}  // namespace longhaul
