// VaultStore: what a vault holds of one bucket, as a Store that is read: versions are those of its
// listings (backup/vault_versions.h), so whoever copies, compares or reads objects of a store does
// the same with a backup.
//
// A version is asked for by its id; without one, a key stands for what Remember has said of it.
// Nothing that a catalog says is believed: the archive is, and of that every frame is compared with
// its digest. A catalog that names another object than the archive has is kCorrupt. Whatever would
// change something is refused (kInvalidInput, code NotImplemented); nothing can be listed by List.
//
// Belongs to one shard. Everything that was opened goes before it does.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/catalog.h"
#include "backup/vault_archives.h"
#include "backup/vault_versions.h"
#include "storage/store.h"

namespace longhaul::backup {

class VaultStore : public Store {
 public:
  // `store` is borrowed. `bucket`: of the source, whose objects these are.
  VaultStore(Runtime runtime, Store& store, VaultPlace vault, std::string bucket,
             VaultArchives::Options options);

  // The bucket as it was at `at`: keys that begin with `prefix`. `troubles` lives as long as it.
  std::unique_ptr<Listing> OpenAt(std::string prefix, SystemTime at, CatalogTroubles& troubles,
                                  std::function<void(const std::string& what)> told);
  // Of those keys all that the vault has, the newest first.
  std::unique_ptr<Listing> OpenVersions(std::string prefix, CatalogTroubles& troubles,
                                        std::function<void(const std::string& what)> told);
  // For whoever asks for `key` without a version.
  void Remember(std::string key, std::string version_id) { current_[key] = std::move(version_id); }

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] std::string description() const override;
  Async<ListPage> List(ListRequest request) override;
  Async<ObjectInfo> Head(HeadRequest request) override;
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at = nullptr) override;
  Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) override;

  Async<PutResult> Put(PutRequest request, ByteSource& body) override;
  Async<MultipartUpload> CreateMultipart(PutRequest request) override;
  Async<UploadedPart> UploadPart(const MultipartUpload& upload, int number,
                                 ByteSource& body) override;
  Async<std::vector<UploadedPart>> ListParts(const MultipartUpload& upload) override;
  Async<PutResult> CompleteMultipart(CompleteRequest request) override;
  Async<void> AbortMultipart(const MultipartUpload& upload) override;
  Async<std::vector<MultipartUpload>> ListMultipartUploads(std::string bucket,
                                                           std::string prefix) override;
  Async<PutResult> Copy(CopyRequest request) override;
  Async<void> Remove(RemoveRequest request) override;
  Async<std::vector<RemoveFailure>> RemoveMany(std::string bucket,
                                               std::vector<RemoveRequest> requests) override;
  Async<void> PutTags(std::string bucket, std::string key, Tags tags) override;
  Async<void> HeadBucket(std::string bucket) override;
  Async<void> CreateBucket(std::string bucket) override;
  Async<void> RemoveBucket(std::string bucket) override;
  Async<std::vector<BucketInfo>> ListBuckets() override;
  Async<bool> GetVersioning(std::string bucket) override;
  Async<void> SetVersioning(std::string bucket, bool enabled) override;

  // A stretch of an object's bytes: an entry's content.
  struct Extent {
    VersionPlace place;
    uint64_t size_bytes = 0;
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
  VaultArchives archives_;
  std::map<std::string, std::string> current_;
  // Of objects in segments: what the listings have told, and what was found of each.
  std::map<std::string, std::vector<std::string>> segments_;
  std::map<std::string, std::shared_ptr<const Object>> giants_;  // shared with who reads them.
};

}  // namespace longhaul::backup
