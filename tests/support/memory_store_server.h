// What the "server" behind MemoryStore does with each request, at one moment of its clock.

#pragma once

#include "tests/support/memory_store.h"

namespace longhaul::testing {

// Copied into effects that may outlive their client; borrows the backend and its clock.
struct MemoryServer {
  MemoryStoreBackend* backend;
  Clock* clock;

  struct Opened {
    ObjectInfo info;
    std::shared_ptr<const std::string> bytes;
    std::optional<SparseRange> sparse{};
    uint64_t offset_bytes = 0;
    uint64_t length_bytes = 0;
  };

  Result<ListPage> List(const ListRequest& request) const;
  Result<ObjectInfo> Head(const HeadRequest& request) const;
  Result<Opened> Get(const GetRequest& request, SystemTime& absent_at) const;
  // `part_sizes`: empty, or those of a multipart object. `sparse`: here and below, instead of
  // `bytes`, which may be null then.
  Result<PutResult> Put(const PutRequest& request, std::shared_ptr<const std::string> bytes,
                        std::vector<uint64_t> part_sizes, const std::string& etag = "",
                        std::optional<SparseRange> sparse = std::nullopt) const;
  Result<MultipartUpload> CreateMultipart(const PutRequest& request) const;
  Result<UploadedPart> UploadPart(const MultipartUpload& upload, int number,
                                  std::shared_ptr<const std::string> bytes,
                                  std::optional<SparseRange> sparse = std::nullopt) const;
  Result<std::vector<UploadedPart>> ListParts(const MultipartUpload& upload) const;
  Result<PutResult> CompleteMultipart(const CompleteRequest& request) const;
  Result<void> AbortMultipart(const MultipartUpload& upload) const;
  Result<std::vector<MultipartUpload>> ListMultipartUploads(const std::string& bucket,
                                                            const std::string& prefix) const;
  Result<PutResult> Copy(const CopyRequest& request) const;
  Result<void> Remove(const RemoveRequest& request) const;
  Result<std::vector<RemoveFailure>> RemoveMany(const std::string& bucket,
                                                const std::vector<RemoveRequest>& requests) const;
  Result<Tags> GetTags(const std::string& bucket, const std::string& key,
                       const std::string& version_id) const;
  Result<void> PutTags(const std::string& bucket, const std::string& key, const Tags& tags) const;
  Result<void> CreateBucket(const std::string& bucket) const;
  Result<void> RemoveBucket(const std::string& bucket) const;
  Result<void> SetVersioning(const std::string& bucket, bool enabled) const;

  // Whether a write with this condition may happen now.
  Result<void> Check(const std::string& bucket, const std::string& key,
                     const WriteCondition& condition, bool complete = false) const;
  Result<MemoryStoreBackend::Bucket*> FindBucket(const std::string& bucket) const;

 private:
  using Version = MemoryStoreBackend::Version;
  [[nodiscard]] SystemTime Now() const;
  [[nodiscard]] std::string NewId(std::string_view kind) const;
  [[nodiscard]] Error Fail(ErrorKind kind, int http_status, std::string code,
                           std::string message) const;
  // The key under which the server keeps `key`.
  [[nodiscard]] std::string StoredKey(const std::string& key) const;
  Result<void> CheckStorable(const MemoryStoreBackend::Bucket& bucket, const std::string& key,
                             bool has_body) const;
  Result<void> CheckLimits(const PutRequest& request) const;
  Result<Version*> FindVersion(const std::string& bucket, const std::string& key,
                               const std::string& version_id) const;
  std::string Store(MemoryStoreBackend::Bucket& bucket, const std::string& key,
                    Version version) const;
  // The digits that an ETag made of this digest has.
  [[nodiscard]] std::string EtagFor(const std::string& md5) const;
  // What the server tells of a part; nullopt: no checksum.
  [[nodiscard]] std::optional<Checksum> ChecksumOf(const MemoryStoreBackend::Upload& upload,
                                                   const MemoryStoreBackend::Part& part) const;
  Result<MemoryStoreBackend::Upload*> FindUpload(const MultipartUpload& upload) const;
};

}  // namespace longhaul::testing
