#include "transfer/copy_object.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "transfer/copy_plan.h"
#include "transfer/relay.h"

namespace longhaul {

namespace {

// Starting over: because the source changed, the bytes were wrong, or a body that cannot be sent
// again broke. What stores retry by themselves is not repeated here.
constexpr int kAttemptsMax = 4;
// A stream holds what its reader and its writer hold; a bound that stores keep to.
constexpr int64_t kStreamReserveBytes = 2 << 20;

bool BytesWereWrong(const Error& error) {
  return error.kind == ErrorKind::kCorrupt || error.code == "BadDigest" ||
         error.code == "InvalidDigest" || error.code == "XAmzContentChecksumMismatch" ||
         error.code == "XAmzContentSHA256Mismatch";
}

bool IsCrc(ChecksumAlgorithm algorithm) {
  return algorithm == ChecksumAlgorithm::kCrc64Nvme || algorithm == ChecksumAlgorithm::kCrc32c ||
         algorithm == ChecksumAlgorithm::kCrc32;
}

// What an attempt tells the loop around it.
enum class Again {
  kNo,        // Give up.
  kFresh,     // Look at the source anew.
  kSame,      // The connection broke: once more.
  kDisputed,  // The MD5 in the ETag may be none: once more, without trusting it.
  kAllParts,  // The guess at part sizes was wrong: ask for each.
};

class Copier {
 public:
  Copier(Runtime runtime, CopySource source, CopyTarget target, CopyOptions options)
      : runtime_(runtime),
        source_(std::move(source)),
        target_(std::move(target)),
        options_(std::move(options)),
        target_can_(target_.store.capabilities()) {}

  Async<CopyOutcome> Run() {
    for (int attempt = 1;; ++attempt) {
      again_ = Again::kNo;
      Result<CopyOutcome> done = co_await Attempt();
      if (done) {
        done->attempts = attempt;
        co_return done;
      }
      bool stopped = options_.stop != nullptr && options_.stop->is_set();
      if (again_ == Again::kNo || attempt == kAttemptsMax || stopped) {
        Error error = done.error();
        if (BytesWereWrong(error)) error.kind = ErrorKind::kCorrupt;
        co_return error;
      }
      if (again_ == Again::kFresh) source_.listed.reset();
      if (again_ == Again::kDisputed) etag_disputed_ = true;
      if (again_ == Again::kAllParts) ask_all_parts_ = true;
      runtime_.log.Debug("copy starts over", {{"key", source_.key}, done.error()});
      auto wait_max = std::chrono::nanoseconds(std::chrono::milliseconds(200)) * (1 << attempt);
      co_await runtime_.clock.Sleep(wait_max / 2 + std::chrono::nanoseconds(runtime_.random.Below(
                                                       static_cast<uint64_t>(wait_max.count()))));
    }
  }

 private:
  Async<CopyOutcome> Attempt() {
    std::optional<ObjectInfo> head;
    if (!source_.listed) {
      Result<ObjectInfo> info = co_await source_.store.Head(
          {.bucket = source_.bucket, .key = source_.key, .version_id = source_.version_id});
      if (!info) co_return ReadError(info.error());
      source_.listed = {.size_bytes = info->size_bytes, .etag = info->etag};
      head = std::move(*info);
    }
    CopyShape shape{.size_bytes = source_.listed->size_bytes,
                    .etag = source_.listed->etag,
                    .has_checksum = head ? WholeChecksum(*head).has_value() : false,
                    .one_store = &source_.store == &target_.store,
                    .memory_bytes = static_cast<uint64_t>(runtime_.memory.limit_bytes()),
                    .target = target_can_};
    switch (ChooseRoute(shape)) {
      case CopyRoute::kServerCopy:
        co_return co_await CopyInside();
      case CopyRoute::kBuffer:
        co_return co_await CopyBuffered();
      case CopyRoute::kStream:
        co_return co_await CopyStreamed();
      case CopyRoute::kParts:
        co_return co_await CopyParts(std::move(head));
    }
    co_return InvalidInput("no route");
  }

  // Most stores name the object themselves.
  Error ReadError(const Error& error) const {
    const std::string name = NameOf(source_.bucket, source_.key);
    return error.message.contains(name) ? error : error.In("read " + name);
  }
  Error WriteError(const Error& error) const {
    const std::string name = NameOf(target_.bucket, target_.key);
    return error.message.contains(name) ? error : error.In("write " + name);
  }

  // Not verified on the way: the target's Put gets the same digest to verify by (AddDigest).
  GetRequest WholeGet() const {
    return {.bucket = source_.bucket,
            .key = source_.key,
            .version_id = source_.version_id,
            .verify = false};
  }

  RelayOptions Relaying() const { return {.stop = options_.stop, .on_bytes = options_.on_bytes}; }

  // All of the request but what verifies the body. Reads the tags when there are any; they are
  // those of the version that was read only if the object is still that one.
  Async<PutRequest> DescribeTarget(const ObjectInfo& info) {
    PutRequest put{.bucket = target_.bucket,
                   .key = target_.key,
                   .headers = info.headers,
                   .metadata = info.metadata,
                   .storage_class = options_.storage_class,
                   .kms_key = options_.kms_key,
                   .condition = {.if_absent = options_.if_absent}};
    if (put.storage_class.empty() && options_.keep_storage_class && target_can_.storage_classes &&
        info.storage_class != "STANDARD") {
      put.storage_class = info.storage_class;
    }
    if (info.tag_count > 0 && target_can_.tags) {
      Result<Tags> tags =
          co_await source_.store.GetTags(source_.bucket, source_.key, source_.version_id);
      if (!tags) {
        if (tags.error().kind == ErrorKind::kNotFound) again_ = Again::kFresh;
        co_return ReadError(tags.error().In("tags"));
      }
      if (source_.version_id.empty()) {
        Result<ObjectInfo> now =
            co_await source_.store.Head({.bucket = source_.bucket, .key = source_.key});
        if (!now) co_return ReadError(now.error());
        if (now->etag != info.etag) {
          again_ = Again::kFresh;
          co_return ReadError(PreconditionFailed("the object has changed"));
        }
      }
      put.tags = std::move(*tags);
    }
    co_return put;
  }

  // Gives the target's server something to check the body by.
  Verified AddDigest(const ObjectInfo& info, PutRequest& put) const {
    std::optional<Checksum> checksum = WholeChecksum(info);
    if (checksum) put.checksum = checksum;
    bool md5 = IsPlainMd5Etag(info.etag) && !info.etag_opaque;
    if (md5 && (!checksum || !target_can_.checksums)) {
      Result<std::string> raw = HexDecode(info.etag);
      if (raw) put.content_md5 = Base64Encode(*raw);
    }
    if (checksum) return Verified::kChecksum;
    return md5 ? Verified::kEtag : Verified::kNot;
  }

  // After a failed PUT.
  void DecideAfterPut(const Error& error, bool replayable) {
    if (BytesWereWrong(error)) {
      again_ = Again::kFresh;
    } else if (error.Transient() && !replayable) {
      again_ = Again::kSame;
    }
  }

  Async<CopyOutcome> CopyInside() {
    CopyRequest request{.source_bucket = source_.bucket,
                        .source_key = source_.key,
                        .source_version_id = source_.version_id,
                        .source_if_match = source_.listed->etag,
                        .bucket = target_.bucket,
                        .key = target_.key,
                        .storage_class = options_.storage_class,
                        .condition = {.if_absent = options_.if_absent}};
    if (request.storage_class.empty() && options_.keep_storage_class) {
      // CopyObject writes STANDARD unless told otherwise. (S3 API Reference, CopyObject.)
      Result<ObjectInfo> info = co_await source_.store.Head(
          {.bucket = source_.bucket, .key = source_.key, .version_id = source_.version_id});
      if (!info) co_return ReadError(info.error());
      if (info->storage_class != "STANDARD") request.storage_class = info->storage_class;
    }
    Result<PutResult> put = co_await target_.store.Copy(request);
    if (!put) {
      if (put.error().kind == ErrorKind::kPrecondition && !options_.if_absent) {
        again_ = Again::kFresh;
      }
      co_return WriteError(put.error());
    }
    if (options_.on_bytes) options_.on_bytes(source_.listed->size_bytes);
    co_return CopyOutcome{.size_bytes = source_.listed->size_bytes,
                          .source_etag = source_.listed->etag,
                          .put = std::move(*put),
                          .verified = Verified::kByStore};
  }

  Async<CopyOutcome> CopyBuffered() {
    uint64_t size_bytes = source_.listed->size_bytes;
    Result<Reservation> memory =
        co_await runtime_.memory.Reserve(static_cast<int64_t>(size_bytes) + 1);
    if (!memory) co_return memory.error();
    Result<ObjectStream> stream = co_await source_.store.Get(WholeGet());
    if (!stream) co_return ReadError(stream.error());
    if (stream->length_bytes > size_bytes) {  // It has grown since it was listed.
      source_.listed = {.size_bytes = stream->info.size_bytes, .etag = stream->info.etag};
      again_ = Again::kSame;
      co_return ReadError(PreconditionFailed("the object has changed"));
    }
    size_bytes = stream->length_bytes;
    ObjectInfo info = std::move(stream->info);
    RelaySource relay(runtime_, source_.store, WholeGet(), std::move(*stream), Relaying());
    auto buffer = std::make_unique_for_overwrite<std::byte[]>(size_bytes + 1);
    std::span<std::byte> bytes(buffer.get(), size_bytes);
    Result<void> read = co_await ReadExactly(relay, bytes);
    if (!read) {
      if (relay.source_changed() || BytesWereWrong(read.error())) again_ = Again::kFresh;
      co_return ReadError(read.error());
    }
    Result<PutRequest> put = co_await DescribeTarget(info);
    if (!put) co_return put.error();
    Verified verified = AddDigest(info, *put);
    MemorySource body{std::span<const std::byte>(bytes)};
    Result<PutResult> done = co_await target_.store.Put(*put, body);
    if (!done) {
      DecideAfterPut(done.error(), true);
      co_return WriteError(done.error());
    }
    co_return CopyOutcome{.size_bytes = size_bytes,
                          .source_etag = info.etag,
                          .put = std::move(*done),
                          .verified = verified};
  }

  Async<CopyOutcome> CopyStreamed() {
    Result<Reservation> memory = co_await runtime_.memory.Reserve(
        std::min(kStreamReserveBytes, runtime_.memory.limit_bytes()));
    if (!memory) co_return memory.error();
    Result<ObjectStream> stream = co_await source_.store.Get(WholeGet());
    if (!stream) co_return ReadError(stream.error());
    ObjectInfo info = stream->info;
    uint64_t size_bytes = stream->length_bytes;
    if (size_bytes > target_can_.put_size_bytes_max) {
      source_.listed = {.size_bytes = info.size_bytes, .etag = info.etag};
      again_ = Again::kSame;
      co_return ReadError(PreconditionFailed("the object has changed"));
    }
    Result<PutRequest> put = co_await DescribeTarget(info);
    if (!put) co_return put.error();
    Verified verified = AddDigest(info, *put);
    RelaySource relay(runtime_, source_.store, WholeGet(), std::move(*stream), Relaying());
    Result<PutResult> done = co_await target_.store.Put(*put, relay);
    if (!done) {
      DecideAfterPut(done.error(), false);
      if (relay.source_changed()) again_ = Again::kFresh;
      if (done.error().kind == ErrorKind::kCancelled) again_ = Again::kNo;
      co_return WriteError(done.error());
    }
    co_return CopyOutcome{.size_bytes = size_bytes,
                          .source_etag = info.etag,
                          .put = std::move(*done),
                          .verified = verified};
  }

  // ---- parts

  struct Part {
    int number = 0;
    ByteRange range;
    UploadedPart uploaded;
    std::string digest;  // Raw CRC, where the whole is verified by one.
  };

  // Sizes like the source's where that keeps the ETag and fits into memory, else our own.
  Async<std::vector<uint64_t>> PartSizes(const ObjectInfo& info) {
    split_like_source_ = false;
    std::vector<uint64_t> own =
        EqualParts(info.size_bytes, OwnPartSize(info.size_bytes, target_can_));
    std::optional<int> count = PartCountOfEtag(info.etag);
    if (!count || info.size_bytes / static_cast<uint64_t>(*count) < kPartBytesMeanMin) {
      co_return own;
    }
    std::vector<uint64_t> sizes;
    Result<uint64_t> first = co_await PartSize(info, 1);
    if (!first) co_return first.error();
    uint64_t guess = *first != 0 ? *first : GuessPartSize(info.size_bytes, *count);
    if (guess != 0) sizes = EqualParts(info.size_bytes, guess);
    bool even = sizes.size() == static_cast<size_t>(*count);
    // The second and the last part bear it out; the ETag proves it in the end.
    for (int number : {2, *count}) {
      if (*first == 0 || !even || ask_all_parts_ || number > *count) continue;
      Result<uint64_t> size = co_await PartSize(info, number);
      if (!size) co_return size.error();
      even = *size == sizes[static_cast<size_t>(number) - 1];
    }
    if (*first != 0 && (!even || ask_all_parts_)) {
      sizes = {*first};
      uint64_t sum = *first;
      for (int number = 2; number <= *count; ++number) {
        Result<uint64_t> size = co_await PartSize(info, number);
        if (!size) co_return size.error();
        sizes.push_back(*size);
        sum += *size;
      }
      if (sum != info.size_bytes) co_return own;
    } else if (!even) {
      co_return own;
    }
    uint64_t largest = *std::max_element(sizes.begin(), sizes.end());
    bool fits = largest <= static_cast<uint64_t>(runtime_.memory.limit_bytes()) / 2;
    bool allowed = std::all_of(sizes.begin(), sizes.end() - 1, [&](uint64_t size) {
      return size >= target_can_.part_size_bytes_min;
    });
    split_like_source_ = fits && allowed;
    co_return split_like_source_ ? sizes : own;
  }

  // 0: the store does not tell.
  Async<uint64_t> PartSize(const ObjectInfo& info, int number) {
    Result<ObjectInfo> part = co_await source_.store.Head({.bucket = source_.bucket,
                                                           .key = source_.key,
                                                           .version_id = source_.version_id,
                                                           .part_number = number});
    if (!part) {
      if (part.error().kind == ErrorKind::kInvalidInput) co_return 0;
      co_return ReadError(part.error());
    }
    if (part->etag != info.etag) {
      again_ = Again::kFresh;
      co_return ReadError(PreconditionFailed("the object has changed"));
    }
    co_return part->part_count > 0 ? part->size_bytes : 0;
  }

  Async<CopyOutcome> CopyParts(std::optional<ObjectInfo> head) {
    if (!head) {
      Result<ObjectInfo> info = co_await source_.store.Head(
          {.bucket = source_.bucket, .key = source_.key, .version_id = source_.version_id});
      if (!info) co_return ReadError(info.error());
      head = std::move(*info);
    }
    const ObjectInfo& info = *head;
    if (info.etag != source_.listed->etag || info.size_bytes != source_.listed->size_bytes) {
      source_.listed = {.size_bytes = info.size_bytes, .etag = info.etag};
      again_ = Again::kSame;
      co_return ReadError(PreconditionFailed("the object has changed"));
    }
    Result<std::vector<uint64_t>> sizes = co_await PartSizes(info);
    if (!sizes) co_return sizes.error();
    Result<PutRequest> put = co_await DescribeTarget(info);
    if (!put) co_return put.error();
    std::optional<Checksum> checksum = WholeChecksum(info);
    if (checksum && !IsCrc(checksum->algorithm)) checksum.reset();  // No way to combine parts.
    if (checksum) put->checksum = Checksum{.algorithm = checksum->algorithm};
    Result<MultipartUpload> upload = co_await target_.store.CreateMultipart(*put);
    if (!upload) co_return WriteError(upload.error());

    Result<CopyOutcome> done = co_await FillAndComplete(info, *sizes, *put, checksum, *upload);
    if (!done) {
      Result<void> aborted = co_await target_.store.AbortMultipart(*upload);
      if (!aborted) {
        runtime_.log.Warning("upload not aborted", {{"bucket", target_.bucket},
                                                    {"key", target_.key},
                                                    {"upload_id", upload->upload_id},
                                                    aborted.error()});
      }
    }
    co_return done;
  }

  Async<CopyOutcome> FillAndComplete(const ObjectInfo& info, const std::vector<uint64_t>& sizes,
                                     const PutRequest& put, std::optional<Checksum> checksum,
                                     const MultipartUpload& upload) {
    std::vector<Part> parts(sizes.size());
    uint64_t offset = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      parts[i] = {.number = static_cast<int>(i) + 1,
                  .range = {.offset_bytes = offset, .size_bytes = sizes[i]}};
      offset += sizes[i];
    }
    std::optional<HashKind> hash;
    if (checksum) hash = HashKindOf(checksum->algorithm);
    TaskGroup group(runtime_.executor);
    std::optional<Error> failure;
    for (Part& part : parts) {
      co_await group.WaitBelow(options_.parts_in_flight);
      if (group.failed()) break;
      if (options_.stop != nullptr && options_.stop->is_set()) {
        failure = Cancelled("stopped on request");
        break;
      }
      // Here and not in the task: memory is handed out in the order of the parts.
      Result<Reservation> memory =
          co_await runtime_.memory.Reserve(static_cast<int64_t>(part.range.size_bytes));
      if (!memory) {
        failure = memory.error();
        break;
      }
      group.Spawn(CopyPart(info, upload, part, hash, std::move(*memory)));
    }
    Result<void> joined = co_await group.Join();
    if (!joined) co_return joined.error();
    if (failure) co_return *failure;

    Verified verified = Verified::kNot;
    if (hash) {
      std::string whole = parts[0].digest;
      for (size_t i = 1; i < parts.size(); ++i) {
        Result<std::string> combined =
            CombineDigests(*hash, whole, parts[i].digest, parts[i].range.size_bytes);
        if (!combined) co_return combined.error();
        whole = std::move(*combined);
      }
      if (Base64Encode(whole) != checksum->value) {
        again_ = Again::kFresh;
        co_return ReadError(Corrupt("the bytes do not have the checksum of the object"));
      }
      verified = Verified::kChecksum;
    }
    std::string etag = EtagOf(parts);
    if (!hash && split_like_source_ && !etag.empty() && !info.etag_opaque) {
      if (etag == info.etag) {
        verified = Verified::kEtag;
      } else if (!etag_disputed_) {
        // Parts of other sizes, wrong bytes, or an ETag that is made of something else.
        again_ = ask_all_parts_ ? Again::kDisputed : Again::kAllParts;
        co_return ReadError(Corrupt("the parts do not have the ETag of the object"));
      }
    }
    CompleteRequest complete{.upload = upload, .condition = put.condition};
    if (hash && target_can_.checksums) complete.checksum = checksum;
    for (Part& part : parts) complete.parts.push_back(std::move(part.uploaded));
    Result<PutResult> done = co_await target_.store.CompleteMultipart(complete);
    if (!done) {
      if (BytesWereWrong(done.error())) again_ = Again::kFresh;
      co_return WriteError(done.error());
    }
    co_return CopyOutcome{.size_bytes = info.size_bytes,
                          .source_etag = info.etag,
                          .put = std::move(*done),
                          .verified = verified};
  }

  Async<void> CopyPart(const ObjectInfo& info, const MultipartUpload& upload, Part& part,
                       std::optional<HashKind> hash, Reservation memory) {
    GetRequest request = WholeGet();
    request.range = part.range;
    request.if_match = info.etag;
    Result<ObjectStream> stream = co_await source_.store.Get(request);
    if (!stream) {
      if (stream.error().kind == ErrorKind::kPrecondition ||
          stream.error().kind == ErrorKind::kNotFound) {
        again_ = Again::kFresh;
      }
      co_return ReadError(stream.error());
    }
    if (stream->length_bytes != part.range.size_bytes) {
      again_ = Again::kFresh;
      co_return ReadError(PreconditionFailed("the object has changed"));
    }
    RelaySource relay(runtime_, source_.store, request, std::move(*stream), Relaying());
    auto buffer = std::make_unique_for_overwrite<std::byte[]>(part.range.size_bytes);
    std::span<std::byte> bytes(buffer.get(), part.range.size_bytes);
    Result<void> read = co_await ReadExactly(relay, bytes);
    if (!read) {
      if (relay.source_changed() || BytesWereWrong(read.error())) again_ = Again::kFresh;
      co_return ReadError(read.error());
    }
    MemorySource body{std::span<const std::byte>(bytes)};
    Result<UploadedPart> uploaded = co_await target_.store.UploadPart(upload, part.number, body);
    if (!uploaded) co_return WriteError(uploaded.error());
    part.uploaded = std::move(*uploaded);
    if (hash) {
      // The store computed it to send it; once is enough.
      bool known = part.uploaded.checksum && HashKindOf(part.uploaded.checksum->algorithm) == *hash;
      Result<std::string> raw =
          known ? Base64Decode(part.uploaded.checksum->value) : Result<std::string>(std::string());
      if (known && raw) {
        part.digest = std::move(*raw);
      } else {
        part.digest = co_await runtime_.pool.Run(
            [bytes, kind = *hash] { return Digest(kind, std::span<const std::byte>(bytes)); });
      }
    }
    co_return Ok();
  }

  // MD5 of the MD5s of the parts and their number, as S3 does; empty where ETags are no MD5s.
  static std::string EtagOf(const std::vector<Part>& parts) {
    std::string digests;
    for (const Part& part : parts) {
      if (!IsPlainMd5Etag(part.uploaded.etag)) return "";
      Result<std::string> raw = HexDecode(part.uploaded.etag);
      if (!raw) return "";
      digests += *raw;
    }
    return HexEncode(Md5(digests)) + "-" + std::to_string(parts.size());
  }

  Runtime runtime_;
  CopySource source_;
  CopyTarget target_;
  CopyOptions options_;
  Capabilities target_can_;
  Again again_ = Again::kNo;
  bool etag_disputed_ = false;
  bool ask_all_parts_ = false;
  bool split_like_source_ = false;
};

}  // namespace

std::string NameOf(std::string_view bucket, std::string_view key) {
  return std::string(bucket) + (bucket.ends_with('/') ? "" : "/") + std::string(key);
}

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

Async<CopyOutcome> CopyObject(Runtime runtime, CopySource source, CopyTarget target,
                              CopyOptions options) {
  Copier copier(runtime, std::move(source), std::move(target), std::move(options));
  co_return co_await copier.Run();
}

}  // namespace longhaul
