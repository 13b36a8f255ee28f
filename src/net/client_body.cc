#include "net/client_body.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"

namespace longhaul {
namespace {

constexpr int kTrailersMax = 256;

}  // namespace

ClientBody::ClientBody(ClientLease lease, const HttpResponseHead& head, bool no_body, bool reusable)
    : lease_(std::move(lease)),
      keep_alive_(head.keep_alive && reusable),
      chunked_(head.chunked && !no_body),
      until_close_(!chunked_ && !no_body && !head.content_length),
      left_(no_body || chunked_ ? 0 : head.content_length.value_or(0)) {
  if (!chunked_ && !until_close_ && left_ == 0) End();
}

Async<size_t> ClientBody::Read(std::span<std::byte> out) {
  LH_CHECK(!out.empty());
  size_t filled = 0;
  while (filled < out.size() && lease_.connection() != nullptr) {
    if (lease_.pool_is_gone()) co_return Cancelled("the HTTP client is gone");
    if (chunked_ && left_ == 0) {
      Result<void> next = co_await NextChunk();
      if (!next) co_return next.error();
      continue;
    }
    std::span<std::byte> into = out.subspan(filled);
    if (!until_close_ && left_ < into.size()) into = into.first(static_cast<size_t>(left_));
    // What came with the head is mostly all of a small body, and needs no coroutine.
    Result<size_t> count = lease_.connection()->ReadAhead(into);
    if (*count == 0) count = co_await lease_.connection()->Read(into);
    if (!count) co_return count.error();
    if (*count == 0 && !until_close_) co_return Retryable("the body was cut");
    filled += *count;
    if (*count == 0) {
      lease_.End(false);
    } else if (!until_close_) {
      left_ -= *count;
      if (left_ == 0 && !chunked_) End();
    }
  }
  co_return filled;
}

std::string ClientBody::TakeAhead() {
  if (ended() || chunked_) return {};
  size_t count = lease_.connection()->ahead();
  if (!until_close_) count = static_cast<size_t>(std::min<uint64_t>(count, left_));
  std::string bytes(count, '\0');
  lease_.connection()->ReadAhead(std::as_writable_bytes(std::span(bytes)));
  if (!until_close_) {
    left_ -= count;
    if (left_ == 0) End();
  }
  return bytes;
}

Async<void> ClientBody::NextChunk() {
  ClientConnection& connection = *lease_.connection();
  if (!std::exchange(first_chunk_, false)) {
    Result<std::string> end = co_await connection.ReadLine();
    if (!end) co_return end.error();
    if (!end->empty()) co_return Retryable("a chunk of the answer is longer than it said");
  }
  Result<std::string> line = co_await connection.ReadLine();
  if (!line) co_return line.error();
  const char* last = line->data() + std::min(line->find_first_of("; \t"), line->size());
  auto [end, failed] = std::from_chars(line->data(), last, left_, 16);
  if (failed != std::errc() || end != last) {
    co_return Retryable("the size of a chunk is not a number");
  }
  for (int trailers = 0; left_ == 0; ++trailers) {
    if (trailers > kTrailersMax) co_return Retryable("the answer has trailers without end");
    line = co_await connection.ReadLine();
    if (!line) co_return line.error();
    if (line->empty()) {
      End();
      break;
    }
    Result<void> added = AddHeaderLine(*line, trailers_);
    if (!added) co_return added.error();
  }
  co_return Ok();
}

}  // namespace longhaul
