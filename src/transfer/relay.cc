#include "transfer/relay.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace longhaul {

namespace {
constexpr int kReopensMax = 5;  // Each after up to twice the wait of the one before: 0.2 s to 6 s.
// Less than this is finished after a stop: it takes no longer than tidying up.
constexpr uint64_t kFinishAnywayBytes = 16ULL << 20;
}  // namespace

RelaySource::RelaySource(Runtime runtime, Store& store, GetRequest request, ObjectStream stream,
                         RelayOptions options)
    : runtime_(runtime),
      store_(store),
      request_(std::move(request)),
      body_(std::move(stream.body)),
      options_(std::move(options)),
      begin_bytes_(stream.offset_bytes),
      length_bytes_(stream.length_bytes) {
  // From here on this version or none. Without an ETag the size has to do.
  if (request_.if_match.empty()) request_.if_match = stream.info.etag;
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
        if (count.error().kind == ErrorKind::kPrecondition) source_changed_ = true;
        co_return count.error();
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
  Result<ObjectStream> stream = co_await store_.Get(request);
  if (!stream) {
    if (stream.error().kind == ErrorKind::kPrecondition ||
        stream.error().kind == ErrorKind::kNotFound) {
      source_changed_ = true;
    }
    co_return stream.error();
  }
  if (stream->length_bytes != length_bytes_ - done_bytes_) {
    source_changed_ = true;
    co_return PreconditionFailed("the source has changed");
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
