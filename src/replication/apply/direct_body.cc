#include "replication/apply/direct_body.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "net/http_client.h"
#include "replication/giants/giant.h"

namespace longhaul {

namespace {

constexpr uint64_t kOwnPartBytes = 16 << 20;  // The mean part size from which ETags are kept.
constexpr uint64_t kPartsMax = 10'000;
constexpr int kPartsAtOnce = 4;
// No byte of a copy comes here: parts are as large as keeps requests few and a failure cheap.
constexpr uint64_t kCopiedPartBytes = 512 << 20;
constexpr int kCopiesAtOnce = 8;

Error Changed() { return Retryable("the object changed while it was carried"); }
// Of what failed before anything that has an effect was asked of the target: what waits for a
// request that may still land need not wait for this.
Error NothingSent(Error error) {
  // What the server calls it is worth reading.
  if (error.kind == ErrorKind::kRetryable && error.http_status != 0 && !error.code.empty()) {
    error.message += " (" + error.code + ")";
  }
  if (error.kind == ErrorKind::kRetryable) error.code = kNotSentCode;
  return error;
}

bool SaysChanged(const Error& error) {
  return error.kind == ErrorKind::kPrecondition || error.kind == ErrorKind::kNotFound;
}

// A body whose last bytes are given out only when the whole has been found right.
class VerifiedSource : public ByteSource {
 public:
  VerifiedSource(ByteReader& body, uint64_t size_bytes, uint64_t& bytes_moved, bool& failed)
      : body_(body), size_bytes_(size_bytes), bytes_moved_(bytes_moved), failed_(failed) {}

  [[nodiscard]] uint64_t size_bytes() const override { return size_bytes_; }
  Async<size_t> Read(std::span<std::byte> out) override {
    Result<size_t> count = co_await ReadVerified(out);
    failed_ = failed_ || !count;
    co_return count;
  }

 private:
  Async<size_t> ReadVerified(std::span<std::byte> out) {
    const uint64_t left = size_bytes_ - read_;
    if (left == 0) co_return 0;
    Result<size_t> count =
        co_await body_.Read(out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), left))));
    if (!count) co_return count.error().In("read");
    if (*count == 0) co_return Retryable("the body ended early");
    read_ += *count;
    bytes_moved_ += *count;
    if (read_ < size_bytes_) co_return count;
    std::byte end[1];
    Result<size_t> after = co_await body_.Read(end);
    if (!after) co_return after.error().In("read");
    if (*after != 0) co_return Retryable("the body is longer than its headers say");
    co_return count;
  }

  ByteReader& body_;
  uint64_t size_bytes_;
  uint64_t& bytes_moved_;
  uint64_t read_ = 0;
  bool& failed_;
};

struct Part {
  std::vector<std::byte> bytes;
  Result<UploadedPart> uploaded;
};

Async<void> Fill(ByteSource& body, std::vector<std::byte>& part) {
  for (size_t filled = 0; filled < part.size();) {
    Result<size_t> count = co_await body.Read(std::span(part).subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) co_return Retryable("the body ended early");
    filled += *count;
  }
  co_return Ok();
}

Async<void> Send(Store& store, const MultipartUpload& upload, int number, Part& part) {
  MemorySource body{std::span<const std::byte>(part.bytes)};
  part.uploaded = co_await store.UploadPart(upload, number, body);
  std::vector<std::byte>().swap(part.bytes);
  if (!part.uploaded) co_return part.uploaded.error();
  co_return Ok();
}

// All parts, as many under way as the memory holds.
Async<std::vector<UploadedPart>> SendAll(Runtime& runtime, Store& store,
                                         const MultipartUpload& upload, ByteSource& body,
                                         uint64_t part_bytes, uint64_t memory_bytes) {
  const auto parallel =
      static_cast<int>(std::clamp<uint64_t>(memory_bytes / part_bytes, 1, kPartsAtOnce));
  std::vector<std::unique_ptr<Part>> parts;
  TaskGroup sending(runtime.executor);
  Result<void> filled;
  for (uint64_t left = body.size_bytes(); left > 0 && filled && !sending.failed();) {
    co_await sending.WaitBelow(parallel);
    const uint64_t size = std::min(left, part_bytes);
    left -= size;
    parts.push_back(std::make_unique<Part>());
    parts.back()->bytes.resize(size);
    filled = co_await Fill(body, parts.back()->bytes);
    if (filled) {
      sending.Spawn(Send(store, upload, static_cast<int>(parts.size()), *parts.back()));
    }
  }
  Result<void> joined = co_await sending.Join();
  if (filled && !joined) filled = joined;
  if (!filled) co_return filled.error();
  std::vector<UploadedPart> uploaded;
  for (const std::unique_ptr<Part>& part : parts) uploaded.push_back(std::move(*part->uploaded));
  co_return uploaded;
}

}  // namespace

Async<PutResult> StreamBody::Write(Store& store, PutRequest request) {
  const ObjectInfo& info = source_.info;
  Result<ObjectStream> stream = co_await source_.store->Get({.bucket = source_.bucket,
                                                             .key = source_.key,
                                                             .version_id = info.version_id,
                                                             .if_match = info.etag});
  source_failed_ = true;  // As long as nothing has gone to the target.
  if (!stream && SaysChanged(stream.error())) co_return NothingSent(Changed());
  if (!stream) co_return NothingSent(stream.error().In("read"));
  if (stream->info.etag != info.etag || stream->info.last_modified != info.last_modified ||
      stream->length_bytes != info.size_bytes) {
    co_return NothingSent(Changed());
  }
  co_return co_await WriteStream(store, std::move(request), std::move(*stream));
}

Async<PutResult> StreamBody::WriteStream(Store& store, PutRequest request, ObjectStream stream) {
  const ObjectInfo& info = source_.info;
  VerifiedSource body(*stream.body, info.size_bytes, bytes_moved_, source_failed_);
  const Capabilities can = store.capabilities();
  if (info.etag.find('-') == std::string::npos && info.size_bytes <= can.put_size_bytes_max) {
    for (const Checksum& checksum : stream.info.checksums) {
      if (!checksum.composite &&
          (!request.checksum || checksum.algorithm == ChecksumAlgorithm::kCrc64Nvme)) {
        request.checksum = checksum;
      }
    }
    source_failed_ = false;
    co_return co_await store.Put(std::move(request), body);
  }
  Result<uint64_t> part = co_await PartSizeOf(*source_.store, source_.bucket, source_.key, info);
  if (!part) co_return NothingSent(part.error().In("look at the parts"));
  const bool keep = *part > 0 && *part <= memory_bytes_ && *part >= can.part_size_bytes_min &&
                    info.size_bytes / *part < kPartsMax;
  uint64_t part_bytes = *part;
  if (!keep) {
    part_bytes = std::max({std::min(memory_bytes_, kOwnPartBytes), can.part_size_bytes_min,
                           info.size_bytes / kPartsMax + 1});
  }
  if (part_bytes > memory_bytes_) {
    co_return InvalidInput("carrying it takes " + std::to_string(part_bytes) +
                           " bytes of memory for a part, " + std::to_string(memory_bytes_) +
                           " are there (--memory)");
  }
  source_failed_ = false;
  co_return co_await PutInParts(runtime_, ledger_, store, std::move(request), body, part_bytes,
                                memory_bytes_);
}

Async<PutResult> PutInParts(Runtime& runtime, UploadLedger& ledger, Store& store,
                            PutRequest request, ByteSource& body, uint64_t part_bytes,
                            uint64_t memory_bytes) {
  const WriteCondition condition = request.condition;
  Result<MultipartUpload> upload = co_await ledger.Create(store, std::move(request));
  if (!upload) co_return upload.error();
  Result<std::vector<UploadedPart>> parts =
      co_await SendAll(runtime, store, *upload, body, part_bytes, memory_bytes);
  Result<PutResult> completed;
  if (!parts) {
    completed = NothingSent(parts.error());  // Parts alone are no object.
  } else {
    CompleteRequest complete{
        .upload = *upload, .parts = std::move(*parts), .condition = condition, .checksum = {}};
    completed = co_await store.CompleteMultipart(std::move(complete));
  }
  if (completed) {
    co_await ledger.Forget(store, *upload);
  } else {
    co_await ledger.Abort(store, *upload);
  }
  co_return completed;
}

Async<PutResult> CopyBody::Write(Store& store, PutRequest request) {
  LH_CHECK(!request.condition.if_absent && request.condition.if_match.empty());
  if (source_.info.size_bytes > store.capabilities().copy_size_bytes_max) {
    co_return co_await WriteParts(store, std::move(request));
  }
  CopyRequest copy{.source_bucket = source_.bucket,
                   .source_key = source_.key,
                   .source_version_id = source_.info.version_id,
                   .source_if_match = source_.info.etag,
                   .bucket = request.bucket,
                   .key = request.key,
                   .replacement = CopyRequest::Replacement{.headers = std::move(request.headers),
                                                           .metadata = std::move(request.metadata)},
                   .tags = std::move(request.tags),
                   .storage_class = std::move(request.storage_class),
                   .sse = std::move(request.sse),
                   .kms_key = std::move(request.kms_key),
                   .bucket_key = request.bucket_key,
                   .acl = std::move(request.acl),
                   .bucket_owner = std::move(request.bucket_owner),
                   .at_most_once = request.at_most_once,
                   .lock = request.lock};
  const bool once = copy.at_most_once;
  Result<PutResult> copied = co_await store.Copy(std::move(copy));
  if (!copied && SaysChanged(copied.error()) && copied.error().code != "NoSuchBucket") {
    // (Of several one may have been accepted before this one was refused.)
    co_return once ? NothingSent(Changed()) : Changed();
  }
  co_return copied;
}

namespace {

Async<void> CopyOnePart(Store& store, const MultipartUpload& upload, int number,
                        CopyPartRequest request, UploadedPart& part) {
  Result<UploadedPart> copied = co_await store.CopyPart(upload, number, std::move(request));
  if (!copied) co_return copied.error();
  part = std::move(*copied);
  co_return Ok();
}

}  // namespace

Async<std::vector<UploadedPart>> CopyBody::CopyParts(Store& store, const MultipartUpload& upload,
                                                     uint64_t part_bytes) {
  const ObjectInfo& info = source_.info;
  std::vector<UploadedPart> parts((info.size_bytes + part_bytes - 1) / part_bytes);
  TaskGroup copying(runtime_.executor);
  for (size_t i = 0; i < parts.size() && !copying.failed(); ++i) {
    co_await copying.WaitBelow(kCopiesAtOnce);
    const uint64_t offset = i * part_bytes;
    CopyPartRequest part{.source_bucket = source_.bucket,
                         .source_key = source_.key,
                         .source_version_id = info.version_id,
                         .source_if_match = info.etag,
                         .range = {.offset_bytes = offset,
                                   .size_bytes = std::min(part_bytes, info.size_bytes - offset)}};
    copying.Spawn(CopyOnePart(store, upload, static_cast<int>(i) + 1, std::move(part), parts[i]));
  }
  Result<void> joined = co_await copying.Join();
  if (!joined) co_return joined.error();
  // Ceph, for one, copies parts of whatever is there by now.
  Result<ObjectInfo> after = co_await source_.store->Head(
      {.bucket = source_.bucket, .key = source_.key, .version_id = info.version_id});
  if (!after) co_return after.error().In("look at the source again");
  const bool same = after->etag == info.etag && after->size_bytes == info.size_bytes &&
                    after->last_modified == info.last_modified;
  if (!same) co_return Changed();
  co_return parts;
}

Async<PutResult> CopyBody::WriteParts(Store& store, PutRequest request) {
  const uint64_t copy_max = store.capabilities().copy_size_bytes_max;
  const uint64_t size = source_.info.size_bytes;
  Result<uint64_t> part =
      co_await PartSizeOf(*source_.store, source_.bucket, source_.key, source_.info);
  if (!part) co_return NothingSent(part.error().In("look at the parts"));
  // The source's own keep the ETag; but each is a request.
  const bool keep =
      *part >= std::min(kOwnPartBytes, copy_max) && *part <= copy_max && size / *part < kPartsMax;
  const uint64_t part_bytes =
      keep ? *part : std::min(std::max(kCopiedPartBytes, size / kPartsMax + 1), copy_max);
  request.parts_copied = true;
  Result<MultipartUpload> upload = co_await ledger_.Create(store, std::move(request));
  if (!upload) co_return upload.error();
  Result<std::vector<UploadedPart>> parts = co_await CopyParts(store, *upload, part_bytes);
  Result<PutResult> completed;
  if (!parts) {
    const bool changed = SaysChanged(parts.error()) && parts.error().code != "NoSuchUpload" &&
                         parts.error().code != "NoSuchBucket";
    completed = NothingSent(changed ? Changed() : parts.error());
  } else {
    CompleteRequest complete{
        .upload = *upload, .parts = std::move(*parts), .condition = {}, .checksum = {}};
    completed = co_await store.CompleteMultipart(std::move(complete));
  }
  if (completed) {
    co_await ledger_.Forget(store, *upload);
  } else {
    co_await ledger_.Abort(store, *upload);
  }
  co_return completed;
}

}  // namespace longhaul
