#include "cache/caching_store.h"

#include <algorithm>
#include <utility>

namespace longhaul::cache {

namespace {

// A row that was read counts for so long.
constexpr std::chrono::seconds kRowAge{1};
constexpr size_t kCopyRowsMax = 100'000;
// Between two tries to tell State of a write.
constexpr std::chrono::milliseconds kPauseMax{5'000};

// "From here to the end", in numbers that servers with signed ones understand: they take a larger
// one for no range, and send the whole.
void ClampRange(ByteRange& range) {
  constexpr uint64_t kEndMax = INT64_MAX;
  if (range.offset_bytes < kEndMax && range.size_bytes > kEndMax - range.offset_bytes) {
    range.size_bytes = kEndMax - range.offset_bytes;
  }
}

}  // namespace

// The bytes of a copy. When they are found to be damaged its reader has got most of them already:
// the next one reads the source.
class CachingStore::CopyReader : public ByteReader {
 public:
  CopyReader(CachingStore& store, std::string key, std::unique_ptr<ByteReader> body)
      : store_(store), key_(std::move(key)), body_(std::move(body)) {}
  Async<size_t> Read(std::span<std::byte> out) override {
    Result<size_t> count = co_await body_->Read(out);
    if (count || count.error().kind != ErrorKind::kCorrupt) co_return count;
    // As a write does: State hears of it, however long it is away.
    store_.filler_.BeginWrite(key_);
    Result<void> told = co_await store_.EndWrite(key_);
    static_cast<void>(told);
    co_return count;
  }

 private:
  CachingStore& store_;
  std::string key_;
  std::unique_ptr<ByteReader> body_;
};

CachingStore::CachingStore(Runtime runtime, Store& source, KeyFiller& filler,
                           CachingOptions options)
    : runtime_(runtime),
      source_(source),
      filler_(filler),
      options_(options),
      fills_(runtime.executor) {}

asio::awaitable<void> CachingStore::Stop() {
  stopping_ = true;
  Result<void> joined = co_await fills_.Join();
  static_cast<void>(joined);
}

std::string CachingStore::description() const {
  return source_.description() + " by way of " + filler_.place().Text();
}

Capabilities CachingStore::capabilities() const {
  Capabilities can = source_.capabilities();
  if (can.conditions_proven) return can;
  can.create_if_absent = can.replace_if_match = can.delete_if_match = false;
  can.complete_if_absent = can.complete_if_match = false;
  return can;
}

// -- what is there

Async<std::optional<EntryRow>> CachingStore::Row(std::string key) {
  const SteadyTime now = runtime_.clock.SteadyNow();
  if (auto found = rows_.find(key); found != rows_.end() && now - found->second.read < kRowAge) {
    co_return found->second.row;
  }
  const uint64_t dropped = rows_dropped_;
  Result<std::optional<EntryRow>> row = co_await filler_.Read(key);
  if (!row) co_return row.error();
  // A write that has been acknowledged meanwhile would be read as it was before.
  if (rows_dropped_ != dropped) co_return row;
  if (rows_.size() >= kCopyRowsMax) rows_.clear();
  rows_[std::move(key)] = {.read = now, .row = *row};
  co_return row;
}

Async<std::optional<CachingStore::Hit>> CachingStore::Find(std::string key) {
  std::optional<ObjectInfo> current;
  if (options_.strict) {
    Result<ObjectInfo> info =
        co_await source_.Head({.bucket = filler_.options().source_bucket, .key = key});
    if (!info) co_return info.error();
    current = std::move(*info);
  }
  if (filler_.IsBeingWritten(key)) co_return std::optional<Hit>();
  Result<std::optional<EntryRow>> row = co_await Row(key);
  // Without State nothing is known of copies, and the source has everything.
  if (!row || !*row) co_return std::optional<Hit>();
  const Entry& entry = (*row)->entry;
  const bool lives = entry.pinned || entry.until > runtime_.clock.Now();
  if (entry.state != EntryState::kReady || !lives || !filler_.IsOurs(entry)) {
    co_return std::optional<Hit>();
  }
  if (current && (current->etag != entry.etag || IsLater(current->last_modified, entry.modified))) {
    co_return std::optional<Hit>();
  }
  co_return std::optional(Hit{.row = std::move(**row), .source = std::move(current)});
}

ObjectInfo CachingStore::AsSource(ObjectInfo info, const Entry& entry) const {
  // A checksum of parts is of these parts.
  if (info.etag != entry.etag) {
    std::erase_if(info.checksums, [](const Checksum& checksum) { return checksum.composite; });
  }
  info.etag = entry.etag;
  if (entry.modified != SystemTime{}) info.last_modified = entry.modified;
  info.version_id.clear();
  info.storage_class.clear();
  return info;
}

Async<ObjectInfo> CachingStore::Head(HeadRequest request) {
  Result<void> may = MayRead(request.bucket);
  if (!may) co_return may.error();
  // Of parts and versions the source knows; a HEAD costs it no more than the look at a copy.
  if (!request.version_id.empty() || request.part_number || options_.strict) {
    co_return co_await source_.Head(std::move(request));
  }
  Result<std::optional<Hit>> hit = co_await Find(request.key);
  if (hit && *hit) {
    const EntryRow& row = (*hit)->row;
    Result<ObjectInfo> info =
        co_await filler_.target().Head({.bucket = filler_.place().bucket, .key = row.key});
    if (info && info->etag == row.entry.cached_etag) {
      co_return AsSource(std::move(*info), row.entry);
    }
  }
  co_return co_await source_.Head(std::move(request));
}

Async<ObjectStream> CachingStore::Get(GetRequest request, SystemTime* absent_at) {
  Result<void> may = MayRead(request.bucket);
  if (!may) co_return may.error();
  if (request.range) ClampRange(*request.range);
  if (!request.version_id.empty()) co_return co_await source_.Get(std::move(request), absent_at);
  Result<std::optional<Hit>> hit = co_await Find(request.key);
  const bool fits =
      hit && *hit && (request.if_match.empty() || request.if_match == (*hit)->row.entry.etag);
  if (fits) {
    const EntryRow& row = (*hit)->row;
    Result<ObjectStream> copy = co_await filler_.target().Get({.bucket = filler_.place().bucket,
                                                               .key = row.key,
                                                               .range = request.range,
                                                               .suffix_bytes = request.suffix_bytes,
                                                               .if_match = row.entry.cached_etag,
                                                               .verify = request.verify});
    const bool same = copy && copy->info.etag == row.entry.cached_etag;
    // Of the copy as of the object: the range makes no sense.
    if (!copy && copy.error().code == "InvalidRange") co_return copy.error();
    if (same) {
      ++counts_.hits;
      counts_.hit_bytes += static_cast<int64_t>(copy->length_bytes);
      copy->info = AsSource(std::move(copy->info), row.entry);
      copy->body = std::make_unique<CopyReader>(*this, request.key, std::move(copy->body));
      filler_.Used(row);
      co_return copy;
    }
    // The row promises what is not there. (A cache that does not answer may have it yet.)
    if (copy || copy.error().kind == ErrorKind::kNotFound ||
        copy.error().kind == ErrorKind::kPrecondition || copy.error().kind == ErrorKind::kCorrupt) {
      Result<void> invalidated = co_await Invalidate(request.key);
      static_cast<void>(invalidated);
    }
  }
  const std::string key = request.key;
  Result<ObjectStream> stream = co_await source_.Get(std::move(request), absent_at);
  if (!stream) co_return stream.error();
  ++counts_.misses;
  FillLater(key, stream->info);
  co_return stream;
}

Async<ObjectInfo> CachingStore::HeadOrigin(HeadRequest request) {
  Result<void> may = MayRead(request.bucket);
  if (!may) co_return may.error();
  co_return co_await source_.Head(std::move(request));
}

Async<ObjectStream> CachingStore::GetOrigin(GetRequest request) {
  Result<void> may = MayRead(request.bucket);
  if (!may) co_return may.error();
  if (request.range) ClampRange(*request.range);
  co_return co_await source_.Get(std::move(request));
}

void CachingStore::FillLater(const std::string& key, const ObjectInfo& found) {
  if (stopping_) return;
  SourceState state{
      .etag = found.etag, .size_bytes = found.size_bytes, .modified = found.last_modified};
  if (filling_ >= options_.fills_max) {
    if (waiting_.size() >= static_cast<size_t>(options_.waiting_max) && !waiting_.contains(key)) {
      ++counts_.skipped;
      return;
    }
    waiting_[key] = std::move(state);
    return;
  }
  ++filling_;
  fills_.Spawn(FillOn(key, std::move(state)));
}

Async<void> CachingStore::FillOn(std::string key, SourceState found) {
  while (!stopping_) {
    Result<void> filled = co_await filler_.Fill(key, std::move(found));
    Forget(key);
    if (!filled && filled.error().kind != ErrorKind::kCancelled) {
      runtime_.log.Warning("a copy was not made", {{"key", key}, LogField(filled.error())});
    }
    if (waiting_.empty()) break;
    auto next = waiting_.extract(waiting_.begin());
    key = next.key();
    found = std::move(next.mapped());
  }
  --filling_;
  co_return Ok();
}

// -- what is refused

Result<void> CachingStore::MayRead(const std::string& bucket) const {
  if (bucket == filler_.options().source_bucket) return Ok();
  return NotFound("this endpoint serves the bucket " + filler_.options().source_bucket,
                  "NoSuchBucket");
}

Result<void> CachingStore::MayWrite(const std::string& bucket) const {
  Result<void> may = MayRead(bucket);
  if (!may) return may;
  if (options_.writes) return Ok();
  return Error{.kind = ErrorKind::kDenied,
               .message =
                   "this cache takes no writes: write to the source, or start it with "
                   "--writes",
               .code = "AccessDenied"};
}

Async<void> CachingStore::Invalidate(std::string key) {
  Result<void> done = co_await filler_.Invalidate(key);
  Forget(key);
  co_return done;
}

Async<void> CachingStore::KeepInvalidating(std::string key) {
  std::chrono::milliseconds pause{100};
  while (!stopping_) {
    co_await runtime_.clock.Sleep(pause);
    pause = std::min(pause * 2, kPauseMax);
    Result<void> done = co_await Invalidate(key);
    if (done) break;
  }
  filler_.EndWrite(key);
  co_return Ok();
}

template <class T>
Async<T> CachingStore::Written(std::string bucket, std::string key, Async<T> write) {
  Result<void> may = MayWrite(bucket);
  if (!may) co_return may.error();
  Result<void> begun = co_await BeginWrite(key);
  if (!begun) co_return begun.error();
  Result<T> result = co_await std::move(write);
  Result<void> ended = co_await EndWrite(key);
  if (!result) co_return result.error();
  if (!ended) co_return ended.error();
  co_return result;
}

// Should this process die in the middle of it, nothing old is served.
Async<void> CachingStore::BeginWrite(std::string key) {
  filler_.BeginWrite(key);
  Result<void> done = co_await Invalidate(key);
  if (!done) filler_.EndWrite(key);
  co_return done;
}

// Another process may have copied the old state meanwhile. A write that failed may have been done.
Async<void> CachingStore::EndWrite(std::string key) {
  Result<void> done = co_await Invalidate(key);
  if (done) {
    filler_.EndWrite(key);
  } else {
    fills_.Spawn(KeepInvalidating(key));
  }
  co_return done;
}

// -- writes

Async<PutResult> CachingStore::Put(PutRequest request, ByteSource& body) {
  std::string bucket = request.bucket;
  std::string key = request.key;
  co_return co_await Written<PutResult>(std::move(bucket), std::move(key),
                                        source_.Put(std::move(request), body));
}

Async<PutResult> CachingStore::CompleteMultipart(CompleteRequest request) {
  std::string bucket = request.upload.bucket;
  std::string key = request.upload.key;
  co_return co_await Written<PutResult>(std::move(bucket), std::move(key),
                                        source_.CompleteMultipart(std::move(request)));
}

Async<PutResult> CachingStore::Copy(CopyRequest request) {
  Result<void> may = MayRead(request.source_bucket);
  if (!may) co_return may.error();
  std::string bucket = request.bucket;
  std::string key = request.key;
  co_return co_await Written<PutResult>(std::move(bucket), std::move(key),
                                        source_.Copy(std::move(request)));
}

Async<void> CachingStore::Remove(RemoveRequest request) {
  std::string bucket = request.bucket;
  std::string key = request.key;
  co_return co_await Written<void>(std::move(bucket), std::move(key),
                                   source_.Remove(std::move(request)));
}

Async<std::vector<RemoveFailure>> CachingStore::RemoveMany(std::string bucket,
                                                           std::vector<RemoveRequest> requests) {
  Result<void> may = MayWrite(bucket);
  if (!may) co_return may.error();
  std::vector<std::string> keys;
  keys.reserve(requests.size());
  for (const RemoveRequest& request : requests) keys.push_back(request.key);
  Result<void> begun = Ok();
  size_t count = 0;
  for (; begun && count < keys.size(); ++count) begun = co_await BeginWrite(keys[count]);
  if (!begun) keys.resize(count - 1);  // That one has ended.
  Result<std::vector<RemoveFailure>> removed = std::vector<RemoveFailure>();
  if (begun) removed = co_await source_.RemoveMany(std::move(bucket), std::move(requests));
  Result<void> ended = Ok();
  for (const std::string& key : keys) {
    Result<void> one = co_await EndWrite(key);
    if (!one) ended = one;
  }
  if (!begun) co_return begun.error();
  if (!ended && removed) co_return ended.error();
  co_return removed;
}

Async<void> CachingStore::PutTags(std::string bucket, std::string key, Tags tags) {
  co_return co_await Written<void>(bucket, key, source_.PutTags(bucket, key, std::move(tags)));
}

Async<MultipartUpload> CachingStore::CreateMultipart(PutRequest request) {
  Result<void> may = MayWrite(request.bucket);
  if (!may) co_return may.error();
  co_return co_await source_.CreateMultipart(std::move(request));
}

Async<UploadedPart> CachingStore::UploadPart(const MultipartUpload& upload, int number,
                                             ByteSource& body) {
  Result<void> may = MayWrite(upload.bucket);
  if (!may) co_return may.error();
  co_return co_await source_.UploadPart(upload, number, body);
}

Async<UploadedPart> CachingStore::CopyPart(const MultipartUpload& upload, int number,
                                           CopyPartRequest request) {
  Result<void> may = MayWrite(upload.bucket);
  if (may) may = MayRead(request.source_bucket);
  if (!may) co_return may.error();
  co_return co_await source_.CopyPart(upload, number, std::move(request));
}

Async<void> CachingStore::AbortMultipart(const MultipartUpload& upload) {
  Result<void> may = MayWrite(upload.bucket);
  if (!may) co_return may.error();
  co_return co_await source_.AbortMultipart(upload);
}

// -- of the source

Async<ListPage> CachingStore::List(ListRequest request) {
  Result<void> may = MayRead(request.bucket);
  if (!may) co_return may.error();
  co_return co_await source_.List(std::move(request));
}

Async<std::vector<UploadedPart>> CachingStore::ListParts(const MultipartUpload& upload) {
  Result<void> may = MayRead(upload.bucket);
  if (!may) co_return may.error();
  co_return co_await source_.ListParts(upload);
}

Async<std::vector<MultipartUpload>> CachingStore::ListMultipartUploads(std::string bucket,
                                                                       std::string prefix) {
  Result<void> may = MayRead(bucket);
  if (!may) co_return may.error();
  co_return co_await source_.ListMultipartUploads(std::move(bucket), std::move(prefix));
}

Async<Tags> CachingStore::GetTags(std::string bucket, std::string key, std::string version_id) {
  Result<void> may = MayRead(bucket);
  if (!may) co_return may.error();
  co_return co_await source_.GetTags(std::move(bucket), std::move(key), std::move(version_id));
}

Async<void> CachingStore::HeadBucket(std::string bucket) {
  Result<void> may = MayRead(bucket);
  if (!may) co_return may.error();
  co_return co_await source_.HeadBucket(std::move(bucket));
}

Async<std::vector<BucketInfo>> CachingStore::ListBuckets() {
  std::vector<BucketInfo> buckets;
  buckets.push_back({.name = filler_.options().source_bucket});
  co_return buckets;
}

Async<bool> CachingStore::GetVersioning(std::string bucket) {
  Result<void> may = MayRead(bucket);
  if (!may) co_return may.error();
  co_return co_await source_.GetVersioning(std::move(bucket));
}

namespace {

Error NotHere() {
  return {.kind = ErrorKind::kDenied,
          .message = "a cache serves one bucket, and neither makes nor changes buckets",
          .code = "AccessDenied"};
}

}  // namespace

Async<void> CachingStore::CreateBucket(std::string) { co_return NotHere(); }
Async<void> CachingStore::RemoveBucket(std::string) { co_return NotHere(); }
Async<void> CachingStore::SetVersioning(std::string, bool) { co_return NotHere(); }

}  // namespace longhaul::cache
