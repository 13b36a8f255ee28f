// BackupStore: what a backup holds of one bucket, as a Store that is read.
//
// Versions are those of its listings; a version is asked for by its id. Without one, a key stands
// for what Remember has said of it. Whatever would change something is refused (kInvalidInput, code
// NotImplemented); nothing can be listed by List. Implemented by VaultStore (our own vaults) and by
// CompressorBackup (replication/take_over), those of the cross-region compressor.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backup/catalog.h"
#include "storage/store.h"
#include "transfer/listing/listing.h"

namespace longhaul::backup {

class BackupStore : public Store {
 public:
  // The bucket as it was at `at`: keys that begin with `prefix`, in order. `troubles` lives as long
  // as the listing, and so does this.
  virtual std::unique_ptr<Listing> OpenAt(std::string prefix, SystemTime at,
                                          CatalogTroubles& troubles,
                                          std::function<void(const std::string& what)> told) = 0;
  // Of those keys all that the backup has, the newest first.
  virtual std::unique_ptr<Listing> OpenVersions(
      std::string prefix, CatalogTroubles& troubles,
      std::function<void(const std::string& what)> told) = 0;
  // Where the archives are that the bytes of a version lie in; the version is of a listing that
  // has been read. Empty: it is none.
  [[nodiscard]] virtual std::vector<std::string> ArchiveKeys(
      const std::string& version_id) const = 0;
  // For whoever asks for `key` without a version.
  void Remember(std::string key, std::string version_id) { current_[key] = std::move(version_id); }

  [[nodiscard]] Capabilities capabilities() const override;
  Async<ListPage> List(ListRequest request) override;
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

 protected:
  // Sets what of the object `stream.info` describes is asked for. kPrecondition: not this ETag;
  // kInvalidInput with code InvalidRange: it begins past the end.
  static Result<void> SetRange(const GetRequest& request, ObjectStream& stream);
  // The version that a key without one stands for; empty: none.
  [[nodiscard]] std::string Remembered(const std::string& key) const {
    const auto found = current_.find(key);
    return found == current_.end() ? "" : found->second;
  }

 private:
  std::map<std::string, std::string> current_;
};

}  // namespace longhaul::backup
