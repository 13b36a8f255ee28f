#include "backup/backup_store.h"

#include <algorithm>

namespace longhaul::backup {

namespace {

Error OnlyRead() {
  Error error = InvalidInput("a backup is only read");
  error.code = "NotImplemented";
  return error;
}

}  // namespace

Capabilities BackupStore::capabilities() const {
  return {.sorted_listing = true, .versions = true, .storage_classes = true};
}

Result<void> BackupStore::SetRange(const GetRequest& request, ObjectStream& stream) {
  const uint64_t size = stream.info.size_bytes;
  if (!request.if_match.empty() && request.if_match != stream.info.etag) {
    return PreconditionFailed(request.key + " has another ETag");
  }
  stream.length_bytes = size;
  if (request.range) {
    if (request.range->offset_bytes >= size) {
      Error error = InvalidInput(request.key + ": the range starts past the end");
      error.code = "InvalidRange";
      return error;
    }
    stream.offset_bytes = request.range->offset_bytes;
    stream.length_bytes = std::min(request.range->size_bytes, size - stream.offset_bytes);
  } else if (request.suffix_bytes) {
    stream.length_bytes = std::min(*request.suffix_bytes, size);
    stream.offset_bytes = size - stream.length_bytes;
  }
  return Ok();
}

Async<ListPage> BackupStore::List(ListRequest /*request*/) { co_return OnlyRead(); }
Async<PutResult> BackupStore::Put(PutRequest /*request*/, ByteSource& /*body*/) {
  co_return OnlyRead();
}
Async<MultipartUpload> BackupStore::CreateMultipart(PutRequest /*request*/) {
  co_return OnlyRead();
}
Async<UploadedPart> BackupStore::UploadPart(const MultipartUpload& /*upload*/, int /*number*/,
                                            ByteSource& /*body*/) {
  co_return OnlyRead();
}
Async<std::vector<UploadedPart>> BackupStore::ListParts(const MultipartUpload& /*upload*/) {
  co_return OnlyRead();
}
Async<PutResult> BackupStore::CompleteMultipart(CompleteRequest /*request*/) {
  co_return OnlyRead();
}
Async<void> BackupStore::AbortMultipart(const MultipartUpload& /*upload*/) { co_return OnlyRead(); }
Async<std::vector<MultipartUpload>> BackupStore::ListMultipartUploads(std::string /*bucket*/,
                                                                      std::string /*prefix*/) {
  co_return OnlyRead();
}
Async<PutResult> BackupStore::Copy(CopyRequest /*request*/) { co_return OnlyRead(); }
Async<void> BackupStore::Remove(RemoveRequest /*request*/) { co_return OnlyRead(); }
Async<std::vector<RemoveFailure>> BackupStore::RemoveMany(std::string /*bucket*/,
                                                          std::vector<RemoveRequest> /*requests*/) {
  co_return OnlyRead();
}
Async<void> BackupStore::PutTags(std::string /*bucket*/, std::string /*key*/, Tags /*tags*/) {
  co_return OnlyRead();
}
Async<void> BackupStore::HeadBucket(std::string /*bucket*/) { co_return Ok(); }
Async<void> BackupStore::CreateBucket(std::string /*bucket*/) { co_return OnlyRead(); }
Async<void> BackupStore::RemoveBucket(std::string /*bucket*/) { co_return OnlyRead(); }
Async<std::vector<BucketInfo>> BackupStore::ListBuckets() { co_return OnlyRead(); }
Async<bool> BackupStore::GetVersioning(std::string /*bucket*/) { co_return true; }
Async<void> BackupStore::SetVersioning(std::string /*bucket*/, bool /*enabled*/) {
  co_return OnlyRead();
}

}  // namespace longhaul::backup
