#include "transfer/object/relay.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace longhaul {

namespace {
constexpr int kReopensMax = 5;  // Each after up to twice the wait of the one before: 0.2 s to 6 s.
// Less than this is finished after a stop: it takes no longer than tidying up.
constexpr uint64_t kFinishAnywayBytes = 16ULL << 20;
constexpr char kSourceChanged[] = "SourceChanged";
}  // namespace

Error SourceChanged(std::string_view bucket, std::string_view key) {
  return {.kind = ErrorKind::kPrecondition,
          .message = std::string(bucket) + (bucket.ends_with('/') ? "" : "/") + std::string(key) +
                     " has changed while it was copied",
          .code = kSourceChanged};
}

bool IsSourceChanged(const Error& error) { return error.code == kSourceChanged; }

Async<ObjectStream> GetPinned(Store& store, GetRequest request) {
  if (request.if_match.empty()) {
    co_return InvalidInput("the store tells no ETag: the object cannot be read in pieces")
        .In(request.bucket + "/" + request.key);
  }
  Result<ObjectStream> stream = co_await store.Get(request);
  if (!stream) {
    const Error& error = stream.error();
    bool shorter = error.kind == ErrorKind::kInvalidInput && error.http_status == 416;
    if (error.kind == ErrorKind::kPrecondition || error.kind == ErrorKind::kNotFound || shorter) {
      co_return SourceChanged(request.bucket, request.key);
    }
    co_return error;
  }
  bool same = stream->info.etag == request.if_match;
  if (!request.version_id.empty() && !stream->info.version_id.empty()) {
    same = same && stream->info.version_id == request.version_id;
  }
  if (request.range) {
    same = same && stream->offset_bytes == request.range->offset_bytes &&
           stream->length_bytes == request.range->size_bytes;
  }
  if (!same) co_return SourceChanged(request.bucket, request.key);
  co_return stream;
}

RelaySource::RelaySource(Runtime runtime, Store& store, GetRequest request, ObjectStream stream,
                         RelayOptions options)
    : runtime_(runtime),
      store_(store),
      request_(std::move(request)),
      body_(std::move(stream.body)),
      options_(std::move(options)),
      begin_bytes_(stream.offset_bytes),
      length_bytes_(stream.length_bytes) {
  request_.if_match = stream.info.etag;  // From here on this state or none.
}

Async<size_t> RelaySource::Read(std::span<std::byte> out) {
  while (true) {
    if (options_.stop != nullptr && options_.stop->is_set() &&
        length_bytes_ - done_bytes_ > kFinishAnywayBytes) {
      co_return Cancelled("stopped on request");
    }
    Result<size_t> count = co_await body_->Read(out);
    if (count && *count == 0 && done_bytes_ < length_bytes_) {
      count = Retryable("the body ended early");
    }
    if (!count) {
      if (!count.error().Transient() || reopened_ >= kReopensMax) {
        if (count.error().kind != ErrorKind::kPrecondition) co_return count.error();
        source_changed_ = true;  // A file that changed while it was read.
        co_return SourceChanged(request_.bucket, request_.key);
      }
      // All bytes are here and only the end is missing: the checksum at the target decides.
      if (done_bytes_ == length_bytes_) co_return 0;
      Result<void> reopened = co_await Reopen();
      if (!reopened) co_return reopened.error();
      continue;
    }
    if (done_bytes_ + *count > length_bytes_) co_return Corrupt("the body is too long");
    done_bytes_ += *count;
    if (options_.on_bytes && *count > 0) options_.on_bytes(*count);
    co_return *count;
  }
}

Async<void> RelaySource::Reopen() {
  body_.reset();
  auto wait_max = std::chrono::milliseconds(200) * (1 << reopened_);
  ++reopened_;
  co_await runtime_.clock.Sleep(
      std::chrono::duration_cast<std::chrono::nanoseconds>(wait_max) / 2 +
      std::chrono::nanoseconds(runtime_.random.Below(
          static_cast<uint64_t>(std::chrono::nanoseconds(wait_max).count() / 2))));
  GetRequest request = request_;
  request.range = ByteRange{begin_bytes_ + done_bytes_, length_bytes_ - done_bytes_};
  Result<ObjectStream> stream = co_await GetPinned(store_, std::move(request));
  if (!stream) {
    source_changed_ = IsSourceChanged(stream.error());
    co_return stream.error();
  }
  body_ = std::move(stream->body);
  co_return Ok();
}

Async<void> ReadExactly(ByteSource& source, std::span<std::byte> out) {
  size_t filled = 0;
  while (filled < out.size()) {
    Result<size_t> count = co_await source.Read(out.subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) co_return Retryable("the body ended early");
    filled += *count;
  }
  std::array<std::byte, 1> beyond{};  // The end, where the store has checked its checksum.
  Result<size_t> count = co_await source.Read(beyond);
  if (!count) co_return count.error();
  if (*count != 0) co_return Corrupt("the body is too long");
  co_return Ok();
}

}  // namespace longhaul
