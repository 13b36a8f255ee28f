#include "net/client_exchange.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

namespace longhaul {
namespace {

// What sources may rely on (storage/s3_body.h); one system call for so much.
constexpr size_t kUploadPieceBytes = 256 << 10;
// Of a large body. Each call of the kernel costs what its connection's other end does meanwhile:
// four times as few took a fifth less CPU for a copy from one store to another by plain HTTP; 2 MiB
// took no less.
constexpr size_t kLargePieceBytes = 1 << 20;
constexpr uint64_t kLargeBodyBytes = 64 << 20;
// Past the beginning of a page. TLS copies records to 8 bytes past one, and a copy to a few bytes
// past where it comes from, modulo a page, is slow by `rep movsb`: on AMD, with glibc 2.36, 3.5
// GB/s instead of 50, which was 18 % of what a copy of large objects by HTTPS took.
constexpr size_t kUploadOffsetBytes = 64;

// Faster than find_first_of, which looks at one character of `text` after the other.
bool HasAnyOf(std::string_view text, std::string_view characters) {
  return std::ranges::any_of(characters, [text](char c) { return text.find(c) != text.npos; });
}

bool IsRequestToken(std::string_view text) {
  return !text.empty() && !HasAnyOf(text, std::string_view("\r\n\0 :", 5));
}

iovec PieceOf(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }
iovec PieceOf(std::span<const std::byte> bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

}  // namespace

Result<std::string> WriteRequestHead(const HttpRequest& request, const ClientUrl& url) {
  if (!IsRequestToken(request.method)) return InvalidInput("not an HTTP method: " + request.method);
  std::string head;
  head.reserve(1024);
  head.append(request.method).append(" ");
  if (!url.target.starts_with('/')) head += '/';
  head.append(url.target).append(" HTTP/1.1\r\n");
  if (!request.headers.Find("Host")) head.append("Host: ").append(url.authority).append("\r\n");
  for (const auto& [name, value] : request.headers.entries()) {
    if (!IsRequestToken(name) || HasAnyOf(value, std::string_view("\r\n\0", 3))) {
      return InvalidInput("not an HTTP header: '" + name + "'");
    }
    head.append(name).append(value.empty() ? ":" : ": ").append(value).append("\r\n");
  }
  if (request.source != nullptr && !request.source_size_bytes) {
    head.append("Transfer-Encoding: chunked\r\n");
  } else if (request.source != nullptr || request.body || request.method == "PUT" ||
             request.method == "POST") {
    const uint64_t size = request.source != nullptr ? *request.source_size_bytes
                                                    : (request.body ? request.body->size() : 0);
    head.append("Content-Length: ").append(std::to_string(size)).append("\r\n");
  }
  head += "\r\n";
  return head;
}

Async<HttpResponseHead> ClientExchange::Run() {
  Result<void> sent;
  if (request_.source != nullptr) {
    sent = co_await SendSource();
  } else {
    std::array<iovec, 2> pieces{PieceOf(head_)};
    if (request_.body) pieces[1] = PieceOf(*request_.body);
    std::span<iovec> left = std::span(pieces).first(request_.body ? 2 : 1);
    complete_ = true;  // Send says when not.
    sent = connection_.WriteAtOnce(left);
    if (!sent) {
      complete_ = false;
      broken_ = true;
    } else if (!left.empty()) {
      sent = co_await Send(left);
    }
  }
  if (!sent && !broken_) co_return sent.error();
  if (answer_ && (answer_->status >= 400 || sent)) co_return std::move(*answer_);
  if (broken_) {
    // The server may have said why before it closed.
    Result<HttpResponseHead> answer = co_await connection_.ReadHead();
    if (answer && answer->status >= 400) co_return answer;
    co_return sent.error();
  }
  co_return co_await connection_.ReadHead();
}

Async<void> ClientExchange::SendSource() {
  const bool chunked = !request_.source_size_bytes;
  uint64_t left = request_.source_size_bytes.value_or(0);
  const size_t piece_bytes = left >= kLargeBodyBytes ? kLargePieceBytes : kUploadPieceBytes;
  auto memory = std::make_unique_for_overwrite<std::byte[]>(kUploadOffsetBytes + piece_bytes);
  const std::span buffer(memory.get() + kUploadOffsetBytes, piece_bytes);
  std::string size_line;
  for (bool first = true;; first = false) {
    Result<size_t> count = co_await request_.source->Read(buffer);
    if (!count) co_return count.error();
    if (lease_.pool_is_gone()) co_return Cancelled("the HTTP client is gone");
    if (!chunked && (*count > left || (*count == 0 && left > 0))) {
      co_return InvalidInput("the body does not have the length that was announced");
    }
    left -= chunked ? 0 : *count;
    const bool last = chunked ? *count == 0 : left == 0;
    std::array<iovec, 4> pieces;
    size_t used = 0;
    if (first) pieces[used++] = PieceOf(head_);
    if (chunked) {
      char digits[20];
      char* end = std::to_chars(digits, digits + sizeof digits, *count, 16).ptr;
      size_line.assign(digits, end).append("\r\n");
      pieces[used++] = PieceOf(size_line);
    }
    if (*count > 0) pieces[used++] = PieceOf(buffer.first(*count));
    if (chunked) pieces[used++] = PieceOf(std::string_view("\r\n"));
    complete_ = last;
    Result<void> sent = co_await Send(std::span(pieces).first(used));
    if (!sent) co_return sent;
    if (answer_ && answer_->status >= 400) co_return Ok();
    if (!last) continue;
    // The source is told that it was read to its end: it may check something there.
    if (!chunked) {
      count = co_await request_.source->Read(buffer);
      if (count && *count > 0) {
        count = InvalidInput("the body is longer than was announced");
      }
      if (!count) co_return count.error();
      if (lease_.pool_is_gone()) co_return Cancelled("the HTTP client is gone");
    }
    co_return Ok();
  }
}

Async<void> ClientExchange::Send(std::span<iovec> pieces) {
  while (true) {
    Result<bool> sent = co_await connection_.Write(pieces, !answer_);
    if (!sent) {
      complete_ = false;
      broken_ = true;
      co_return sent.error();
    }
    if (*sent) co_return Ok();
    Result<HttpResponseHead> answer = co_await connection_.ReadHead();
    if (!answer) {
      complete_ = false;
      co_return answer.error();
    }
    answer_ = std::move(*answer);
    if (answer_->status >= 400) {
      complete_ = false;
      co_return Ok();
    }
  }
}

}  // namespace longhaul
