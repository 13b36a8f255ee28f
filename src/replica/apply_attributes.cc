// Changes of headers, metadata, tags and storage class alone: the replica's store copies it onto
// itself, and no byte travels.
//
// The ETag stays as it was, so no condition tells an older copy from a newer one: not by its order,
// and not when it lands long after its sender has gone. So the floor is raised before it, and says
// until when the copy may land. Until then, or until its end is known, nobody calls this key
// settled, and no other copy is begun; whoever comes after that sees what it has become.

#include "net/http_client.h"
#include "replica/apply.h"

namespace longhaul {

namespace {

// The time that a slow store takes to copy.
constexpr uint64_t kCopyBytesPerSecond = 8 << 20;

}  // namespace

Async<ApplyOutcome> Applier::PutAttributes(ReplicaWrite write) {
  return PutWithLock(std::move(write), nullptr);
}

// Bytes that only may be those, or that were damaged when they were stored, are not: a copy would
// say of them that they are right.
bool Applier::HoldsBytesOf(const ReplicaWrite& write, const Existing& existing) const {
  const Mark* mark = existing.mark();
  return mark != nullptr && !write.source_etag.empty() && mark->source_etag == write.source_etag &&
         existing.info.size_bytes == write.size_bytes &&
         write.size_bytes <= policy_.capabilities.copy_size_bytes_max &&
         !SaysOtherBytes(existing.info, write);
}

SystemTime Applier::CopyMayLandUntil(const ReplicaWrite& write) const {
  return runtime_.clock.Now() + kRequestLifetime +
         std::chrono::seconds(write.size_bytes / kCopyBytesPerSecond);
}

Async<PutResult> Applier::CopyOntoItself(const ReplicaWrite& write, PutRequest request,
                                         std::string etag, PendingRequest noted) {
  const std::string key = request.key;
  CopyRequest copy{.source_bucket = request.bucket,
                   .source_key = key,
                   .source_if_match = std::move(etag),
                   .bucket = request.bucket,
                   .key = key,
                   .replacement = CopyRequest::Replacement{.headers = std::move(request.headers),
                                                           .metadata = std::move(request.metadata)},
                   .storage_class = std::move(request.storage_class),
                   .sse = std::move(request.sse),  // Else, from here on, the bucket's defaults.
                   .kms_key = std::move(request.kms_key),
                   .bucket_key = request.bucket_key,
                   .acl = std::move(request.acl),
                   .bucket_owner = std::move(request.bucket_owner),
                   .at_most_once = true,
                   .lock = std::move(request.lock)};  // A copy is a version of its own.
  if (policy_.capabilities.tags) copy.tags = std::move(request.tags);
  Result<PutResult> copied = co_await store_.Copy(std::move(copy));
  if (!copied && MayHaveHappened(copied.error())) {
    // From now on: what was noted before it is over when an answer has been long in coming.
    const PendingRequest lost{
        .kind = PendingKind::kWrite, .until = CopyMayLandUntil(write), .stamp = write.stamp};
    Result<Floor> floor = co_await floors_.Note(key, lost);
    if (!floor) co_return floor.error();
    co_return copied.error();
  }
  Result<Floor> ended = co_await floors_.End(key, noted);
  if (!ended) co_return ended.error();
  co_return copied;
}

}  // namespace longhaul
