#include "transfer/object/copy_job.h"

#include <chrono>

#include "base/bytes.h"
#include "transfer/local/local_folder.h"

namespace longhaul {

bool BytesWereWrong(const Error& error) {
  return error.kind == ErrorKind::kCorrupt || error.code == "BadDigest" ||
         error.code == "InvalidDigest" || error.code == "XAmzContentChecksumMismatch" ||
         error.code == "XAmzContentSHA256Mismatch";
}

Verified AddDigest(const CopyJob& job, const ObjectInfo& info, PutRequest& put) {
  std::optional<Checksum> checksum = WholeChecksum(info);
  if (checksum) put.checksum = checksum;
  bool md5 = IsPlainMd5Etag(info.etag) && !info.etag_opaque && !job.etag_disputed;
  if (md5 && (!checksum || !job.target_can.checksums)) {
    Result<std::string> raw = HexDecode(info.etag);
    if (raw) put.content_md5 = Base64Encode(*raw);
  }
  if (checksum) return Verified::kChecksum;
  return md5 ? Verified::kEtag : Verified::kNot;
}

// Most stores name the object themselves.
Error CopyJob::ReadError(const Error& error) const {
  // (Reads that want one state alone are the only ones with a condition.)
  if (options.listed_only && error.kind == ErrorKind::kPrecondition) {
    return SourceChanged(source.bucket, source.key);
  }
  const std::string name = NameOf(source.bucket, source.key);
  return error.message.contains(name) ? error : error.In("read " + name);
}

Error CopyJob::WriteError(const Error& error) const {
  const std::string name = NameOf(target.bucket, target.key);
  return error.message.contains(name) ? error : error.In("write " + name);
}

Error CopyJob::Outdated(const ObjectInfo& now) {
  if (options.listed_only) return SourceChanged(source.bucket, source.key);
  source.listed = {.size_bytes = now.size_bytes,
                   .etag = now.etag,
                   .storage_class = now.storage_class,
                   .modified = now.last_modified};
  again = Again::kSame;
  return SourceChanged(source.bucket, source.key);
}

GetRequest CopyJob::WholeGet() const {
  return {.bucket = source.bucket,
          .key = source.key,
          .version_id = source.version_id,
          .if_match = options.listed_only && source.listed ? source.listed->etag : "",
          .verify = false};
}

bool CopyJob::IsWanted(const ObjectInfo& read) const {
  const bool any = !options.listed_only || !source.listed || source.listed->etag.empty();
  return any || read.etag == source.listed->etag;
}

RelayOptions CopyJob::Relaying() const {
  return {.stop = options.stop, .on_bytes = options.on_bytes};
}

Async<ObjectInfo> CopyJob::HeadSource() {
  Result<ObjectInfo> info = co_await source.store.Head(
      {.bucket = source.bucket, .key = source.key, .version_id = source.version_id});
  if (!info) co_return ReadError(info.error());
  co_return info;
}

SystemTime CopyJob::ModifiedOf(const ObjectInfo& info) const {
  if (!source.listed || source.listed->etag.empty() || source.listed->etag != info.etag) {
    return info.last_modified;
  }
  const SystemTime listed = source.listed->modified;
  const bool finer = std::chrono::floor<std::chrono::seconds>(listed) == info.last_modified;
  return finer ? listed : info.last_modified;
}

Async<PutRequest> CopyJob::DescribeTarget(const ObjectInfo& info, ToldBy by) {
  PutRequest put{.bucket = target.bucket,
                 .key = target.key,
                 .headers = info.headers,
                 .metadata = info.metadata,
                 .storage_class = options.storage_class,
                 .sse = options.sse,
                 .kms_key = options.kms_key,
                 .bucket_key = options.bucket_key,
                 .acl = options.acl,
                 .condition = Condition()};
  for (const auto& [name, value] : options.metadata) put.metadata[name] = value;
  if (IsPlainFolder(target_can)) put.metadata[kModifiedEntry] = FormatRfc3339(ModifiedOf(info));
  if (put.storage_class.empty() && options.keep_storage_class && target_can.storage_classes &&
      info.storage_class != "STANDARD") {
    put.storage_class = info.storage_class;
  }
  if ((info.tag_count > 0 || by == ToldBy::kHead) && target_can.tags) {
    Result<FoundTags> found = co_await FindTags(source.store, source.bucket, source.key,
                                                source.version_id, info.tag_count);
    if (!found) {
      if (found.error().kind == ErrorKind::kNotFound) again = Again::kFresh;
      co_return ReadError(found.error().In("tags"));
    }
    if (found->denied && source_goes) {
      co_return ReadError(found->denied->In("its tags would be lost, so it is not moved"));
    }
    if (source.version_id.empty() && (info.tag_count > 0 || !found->tags.empty())) {
      Result<ObjectInfo> now = co_await HeadSource();
      if (!now) co_return now.error();
      if (now->etag != info.etag) {
        again = Again::kFresh;
        co_return SourceChanged(source.bucket, source.key);
      }
    }
    put.tags = std::move(found->tags);
  }
  co_return put;
}

}  // namespace longhaul
