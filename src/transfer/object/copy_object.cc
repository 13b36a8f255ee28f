#include "transfer/object/copy_object.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/placed_parts.h"
#include "transfer/object/copy_job.h"
#include "transfer/object/copy_plan.h"
#include "transfer/object/copy_to_move.h"
#include "transfer/object/relay.h"

namespace longhaul {

namespace {

using Again = CopyJob::Again;

// Starting over: because the source changed, the bytes were wrong, or a body that cannot be sent
// again broke. What stores retry by themselves is not repeated here.
constexpr int kAttemptsMax = 4;
// A stream holds what its reader and its writer hold; a bound that stores keep to.
constexpr int64_t kStreamReserveBytes = 2 << 20;

// After a failed PUT.
void DecideAfterPut(CopyJob& job, const Error& error, bool replayable) {
  if (BytesWereWrong(error)) {
    const bool dispute = job.options.source_proves_bytes && job.bytes_wrong++ > 0;
    job.again = dispute ? Again::kDisputed : Again::kFresh;
  } else if ((error.Transient() && !replayable) || IsWriteConflict(error)) {
    job.again = Again::kSame;
  }
}

Async<CopyOutcome> CopyInside(CopyJob& job, std::optional<ObjectInfo> head) {
  const CopyOptions& options = job.options;
  const CopySource::Listed& listed = *job.source.listed;
  CopyRequest request{.source_bucket = job.source.bucket,
                      .source_key = job.source.key,
                      .source_version_id = job.source.version_id,
                      .source_if_match = listed.etag,
                      .bucket = job.target.bucket,
                      .key = job.target.key,
                      .storage_class = options.storage_class,
                      .condition = job.Condition(),
                      .sse = options.sse,
                      .kms_key = options.kms_key,
                      .bucket_key = options.bucket_key,
                      .acl = options.acl};
  // CopyObject writes STANDARD unless told otherwise. (S3 API Reference, CopyObject.)
  const bool keep_class = request.storage_class.empty() && options.keep_storage_class;
  if (keep_class && listed.storage_class) request.storage_class = *listed.storage_class;
  if (!head) {
    Result<ObjectInfo> info = co_await job.HeadSource();
    if (!info) co_return info.error();
    if (info->etag != listed.etag) co_return job.Outdated(*info);
    head = std::move(*info);
  }
  if (keep_class && !listed.storage_class) request.storage_class = head->storage_class;
  // A copy has the redirect of a website only where it is given. (S3 API Reference, CopyObject.)
  if (!options.metadata.empty() || !head->headers.website_redirect_location.empty()) {
    request.replacement = {.headers = head->headers, .metadata = head->metadata};
    for (const auto& [name, value] : options.metadata) {
      request.replacement->metadata[name] = value;
    }
  }
  if (request.storage_class == "STANDARD" && options.storage_class.empty()) {
    request.storage_class.clear();
  }
  Result<PutResult> put = co_await job.target.store.Copy(request);
  if (!put) {
    if (put.error().kind != ErrorKind::kPrecondition) co_return job.WriteError(put.error());
    // Of the source, or of the target?
    Result<ObjectInfo> now = co_await job.HeadSource();
    if (!now) co_return now.error();
    if (now->etag != listed.etag) co_return job.Outdated(*now);
    if (IsWriteConflict(put.error())) job.again = Again::kSame;
    co_return job.WriteError(put.error());
  }
  if (options.on_bytes) options.on_bytes(listed.size_bytes);
  co_return CopyOutcome{.size_bytes = listed.size_bytes,
                        .source_etag = listed.etag,
                        .source_modified = head->last_modified,
                        .put = std::move(*put),
                        .verified = Verified::kByStore};
}

Async<CopyOutcome> CopyBuffered(CopyJob& job) {
  const Runtime& runtime = job.runtime;
  uint64_t size_bytes = job.source.listed->size_bytes;
  Result<Reservation> memory =
      co_await runtime.memory.Reserve(static_cast<int64_t>(size_bytes) + 1);
  if (!memory) co_return memory.error();
  Result<ObjectStream> stream = co_await job.source.store.Get(job.WholeGet());
  if (!stream) co_return job.ReadError(stream.error());
  if (!job.IsWanted(stream->info)) co_return job.Outdated(stream->info);
  if (stream->length_bytes > size_bytes) co_return job.Outdated(stream->info);  // It has grown.
  size_bytes = stream->length_bytes;
  ObjectInfo info = stream->info;
  RelaySource relay(runtime, job.source.store, job.WholeGet(), std::move(*stream), job.Relaying());
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(size_bytes + 1);
  std::span<std::byte> bytes(buffer.get(), size_bytes);
  Result<void> read = co_await ReadExactly(relay, bytes);
  if (!read) {
    if (relay.source_changed() || BytesWereWrong(read.error())) job.again = Again::kFresh;
    co_return job.ReadError(read.error());
  }
  Result<PutRequest> put = co_await job.DescribeTarget(info, ToldBy::kGet);
  if (!put) co_return put.error();
  Verified verified = AddDigest(job, info, *put);
  MemorySource body{std::span<const std::byte>(bytes)};
  Result<PutResult> done = co_await job.target.store.Put(*put, body);
  if (!done) {
    DecideAfterPut(job, done.error(), true);
    co_return job.WriteError(done.error());
  }
  co_return CopyOutcome{.size_bytes = size_bytes,
                        .source_etag = info.etag,
                        .source_modified = info.last_modified,
                        .put = std::move(*done),
                        .verified = verified};
}

Async<CopyOutcome> CopyStreamed(CopyJob& job) {
  const Runtime& runtime = job.runtime;
  Result<Reservation> memory =
      co_await runtime.memory.Reserve(std::min(kStreamReserveBytes, runtime.memory.limit_bytes()));
  if (!memory) co_return memory.error();
  Result<ObjectStream> stream = co_await job.source.store.Get(job.WholeGet());
  if (!stream) co_return job.ReadError(stream.error());
  if (!job.IsWanted(stream->info)) co_return job.Outdated(stream->info);
  ObjectInfo info = stream->info;
  uint64_t size_bytes = stream->length_bytes;
  if (size_bytes > job.target_can.put_size_bytes_max) co_return job.Outdated(info);
  Result<PutRequest> put = co_await job.DescribeTarget(info, ToldBy::kGet);
  if (!put) co_return put.error();
  Verified verified = AddDigest(job, info, *put);
  RelaySource relay(runtime, job.source.store, job.WholeGet(), std::move(*stream), job.Relaying());
  Result<PutResult> done = co_await job.target.store.Put(*put, relay);
  if (!done) {
    DecideAfterPut(job, done.error(), false);
    if (relay.source_changed()) job.again = Again::kFresh;
    if (done.error().kind == ErrorKind::kCancelled) job.again = Again::kNo;
    co_return job.WriteError(done.error());
  }
  co_return CopyOutcome{.size_bytes = size_bytes,
                        .source_etag = info.etag,
                        .source_modified = info.last_modified,
                        .put = std::move(*done),
                        .verified = verified};
}

// Neither this nor Attempt is a coroutine: each object that is copied has a frame only for where it
// waits. `head`: what is known of the source already.
Async<CopyOutcome> GoByRoute(CopyJob& job, std::optional<ObjectInfo> head) {
  const CopySource& source = job.source;
  CopyShape shape{.size_bytes = source.listed->size_bytes,
                  .etag = source.listed->etag,
                  .has_checksum = head && WholeChecksum(*head).has_value(),
                  .one_store = &source.store == &job.target.store,
                  .places_parts = PlacedPartsOf(job.target.store) != nullptr,
                  .memory_bytes = static_cast<uint64_t>(job.runtime.memory.limit_bytes()),
                  .multipart_threshold_bytes = job.options.multipart_threshold_bytes,
                  .target = job.target_can};
  switch (ChooseRoute(shape)) {
    case CopyRoute::kServerCopy:
      return CopyInside(job, std::move(head));
    case CopyRoute::kServerParts:
      return CopyInsideByParts(job, std::move(head));
    case CopyRoute::kBuffer:
      return CopyBuffered(job);
    case CopyRoute::kStream:
      return CopyStreamed(job);
    case CopyRoute::kParts:
      break;
  }
  return CopyByParts(job, std::move(head));
}

Async<CopyOutcome> AttemptAfterHead(CopyJob& job) {
  Result<ObjectInfo> info = co_await job.HeadSource();
  if (!info) co_return info.error();
  job.source.listed = {.size_bytes = info->size_bytes,
                       .etag = info->etag,
                       .storage_class = info->storage_class,
                       .modified = job.ModifiedOf(*info)};
  co_return co_await GoByRoute(job, std::move(*info));
}

Async<CopyOutcome> Attempt(CopyJob& job) {
  const CopySource& source = job.source;
  // Whether it has a checksum decides how a large object of one part goes.
  const bool places_parts = PlacedPartsOf(job.target.store) != nullptr;
  const bool decides =
      source.listed &&
      source.listed->size_bytes > (places_parts ? kPlacedBytesMin : kStreamBytesPreferred) &&
      IsPlainMd5Etag(source.listed->etag) && &source.store != &job.target.store;
  if (!source.listed || decides) return AttemptAfterHead(job);
  return GoByRoute(job, std::nullopt);
}

Async<CopyOutcome> Copy(CopyJob job) {
  const Runtime& runtime = job.runtime;
  for (int attempt = 1;; ++attempt) {
    job.again = Again::kNo;
    Result<CopyOutcome> done = co_await Attempt(job);
    if (done) {
      done->attempts = attempt;
      co_return done;
    }
    bool stopped = job.options.stop != nullptr && job.options.stop->is_set();
    if (job.again == Again::kNo || attempt == kAttemptsMax || stopped) {
      Error error = done.error();
      if (BytesWereWrong(error)) error.kind = ErrorKind::kCorrupt;
      co_return error;
    }
    if (job.again == Again::kFresh && !job.options.listed_only) job.source.listed.reset();
    if (job.again == Again::kDisputed) job.etag_disputed = true;
    if (job.again == Again::kAllParts) job.ask_all_parts = true;
    runtime.log.Debug("copy starts over", {{"key", job.source.key}, done.error()});
    auto wait_max = std::chrono::nanoseconds(std::chrono::milliseconds(200)) * (1 << attempt);
    co_await runtime.clock.Sleep(wait_max / 2 + std::chrono::nanoseconds(runtime.random.Below(
                                                    static_cast<uint64_t>(wait_max.count()))));
  }
}

}  // namespace

Async<CopyOutcome> CopyObject(Runtime runtime, CopySource source, CopyTarget target,
                              CopyOptions options) {
  return Copy(CopyJob(runtime, std::move(source), std::move(target), std::move(options)));
}

Async<CopyOutcome> CopyToMove(Runtime runtime, CopySource source, CopyTarget target,
                              CopyOptions options) {
  CopyJob job(runtime, std::move(source), std::move(target), std::move(options));
  job.source_goes = true;
  return Copy(std::move(job));
}

bool IsWriteConflict(const Error& error) { return error.code == "ConditionalRequestConflict"; }

std::optional<Checksum> WholeChecksum(const ObjectInfo& info) {
  for (ChecksumAlgorithm algorithm :
       {ChecksumAlgorithm::kCrc64Nvme, ChecksumAlgorithm::kCrc32c, ChecksumAlgorithm::kCrc32,
        ChecksumAlgorithm::kSha256, ChecksumAlgorithm::kSha1}) {
    for (const Checksum& checksum : info.checksums) {
      if (checksum.algorithm == algorithm && !checksum.composite && !checksum.value.empty()) {
        return checksum;
      }
    }
  }
  return std::nullopt;
}

}  // namespace longhaul
