#include "net/http_connection.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <cstring>

#include "base/check.h"

namespace longhaul {

using tcp = asio::ip::tcp;

namespace {

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kChunkLineBytesMax = 1024;
constexpr size_t kTrailerBytesMax = 16 << 10;

std::string_view Reason(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 416:
      return "Range Not Satisfiable";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return "Answer";
  }
}

asio::const_buffer Buffer(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

asio::awaitable<bool> HttpConnection::Fill() {
  if (consumed_ > 0) {
    buffer_.erase(0, consumed_);
    consumed_ = 0;
  }
  size_t before = buffer_.size();
  buffer_.resize(before + kReadBytes);
  auto [error, count] =
      co_await socket_.async_read_some(asio::buffer(buffer_.data() + before, kReadBytes), kAsTuple);
  buffer_.resize(before + (error ? 0 : count));
  co_return !error && count > 0;
}

asio::awaitable<bool> HttpConnection::ReadHead(size_t& head_end) {
  const HttpServerOptions& options = server_->options;
  idle_ = Buffered().empty();
  Touch(idle_ ? options.idle_timeout : options.head_timeout);
  waits_since_ = server_->runtime.clock.SteadyNow();
  size_t searched = 0;
  while (true) {
    // An empty line before a request is to be ignored. (RFC 9112, 2.2.)
    while (Buffered().starts_with("\r\n")) consumed_ += 2;
    size_t from = searched > 3 ? searched - 3 : 0;
    size_t found = FindHeadEnd(Buffered().substr(std::min(from, Buffered().size())));
    if (found != std::string_view::npos) {
      head_end = from + found;
      waits_since_.reset();
      co_return true;
    }
    searched = Buffered().size();
    if (searched > options.head.head_bytes_max) {
      Error error = InvalidInput("HTTP request: the head is too long");
      error.http_status = 431;
      co_await Refuse(error);
      co_return false;
    }
    if (idle_ && server_->stopping) co_return false;
    bool first = Buffered().empty();
    if (!co_await Fill()) co_return false;
    if (first) {
      idle_ = false;
      waits_since_ = server_->runtime.clock.SteadyNow();
      Touch(options.head_timeout);
    }
  }
}

asio::awaitable<void> HttpConnection::Refuse(const Error& error) {
  int status = error.http_status == 0 ? 400 : error.http_status;
  std::string text = error.message + "\n";
  std::string answer =
      "HTTP/1.1 " + std::to_string(status) + " " + std::string(Reason(status)) +
      "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(text.size()) +
      "\r\nConnection: close\r\n\r\n" + text;
  Touch(std::chrono::seconds(5));
  (void)co_await Send(std::array{Buffer(answer)});
}

// Before a connection is closed that the client may still be writing to: says that no more comes
// and reads a little on, so that a reset does not overtake the answer. (RFC 9112, 9.6.)
asio::awaitable<void> HttpConnection::Linger() {
  if (!socket_.is_open()) co_return;
  boost::system::error_code failed;
  socket_.shutdown(tcp::socket::shutdown_send, failed);
  Touch(std::chrono::seconds(2));
  // A form of 8 MiB may be on its way: closed before it has come, the connection is reset, and the
  // client never sees the answer.
  constexpr size_t kReadMax = 9 << 20;
  size_t read = 0;
  std::array<char, 16384> scrap;
  while (!failed && read < kReadMax) {
    auto [error, count] = co_await socket_.async_read_some(asio::buffer(scrap), kAsTuple);
    failed = error;
    read += count;
  }
}

asio::awaitable<bool> HttpConnection::ServeOne() {
  size_t head_end = 0;
  if (!co_await ReadHead(head_end)) co_return false;
  Result<HttpRequestHead> head =
      ParseRequestHead(Buffered().substr(0, head_end), server_->options.head);
  consumed_ += head_end;
  if (!head) {
    co_await Refuse(head.error());
    co_return false;
  }

  HttpServerRequest request(*this);
  HttpServerResponse response(*this);
  request.head = std::move(*head);
  boost::system::error_code failed;
  tcp::endpoint peer = socket_.remote_endpoint(failed);
  if (!failed) request.peer = peer.address().to_string() + ":" + std::to_string(peer.port());

  head_ = &request.head;
  continue_due_ = head_->expects_continue;
  body_left_ = head_->chunked ? 0 : head_->content_length.value_or(0);
  body_done_ = !head_->chunked && body_left_ == 0;
  body_broken_ = false;
  first_chunk_ = true;
  trailers_.clear();
  started_ = finished_ = false;
  keep_alive_ = head_->keep_alive;
  Touch(std::chrono::hours(24 * 365));  // The handler may take its time.

  bool threw = false;
  try {
    co_await server_->handler(request, response);
  } catch (const std::exception& exception) {
    server_->runtime.log.Failure("http handler failed", {{"what", exception.what()}});
    threw = true;
  }
  if (!started_ && !threw) {
    server_->runtime.log.Failure("http handler gave no answer", {{"target", request.head.target}});
  }
  if (!started_) {
    response.status = 500;
    response.headers.clear();
    (void)co_await response.Send("internal error\n");
  }
  bool whole = finished_ || (answer_without_body_ && !answer_chunked_);
  bool go_on = whole && !threw && keep_alive_ && !server_->stopping && !body_broken_;
  go_on = go_on && (body_done_ || co_await Drain());
  head_ = nullptr;
  if (!whole) Shut();  // The client must see that the answer is cut.
  co_return go_on;
}

// Reads away what the handler left of the body; false: too much, or too slow, or the client waits
// to be asked.
asio::awaitable<bool> HttpConnection::Drain() {
  if (continue_due_) co_return false;
  std::array<std::byte, 8192> scrap;
  size_t drained = 0;
  const Clock& clock = server_->runtime.clock;
  const SteadyTime until = clock.SteadyNow() + server_->options.head_timeout;
  while (!body_done_ && drained <= server_->options.drain_bytes_max && clock.SteadyNow() < until) {
    Result<size_t> count = co_await ReadBody(scrap);
    if (!count) co_return false;
    drained += *count;
  }
  co_return body_done_;
}

Async<size_t> HttpConnection::ReadRaw(std::span<std::byte> out) {
  std::string_view buffered = Buffered();
  if (!buffered.empty()) {
    size_t count = std::min(out.size(), buffered.size());
    std::memcpy(out.data(), buffered.data(), count);
    consumed_ += count;
    co_return count;
  }
  Touch(server_->options.stall_timeout);
  auto [error, count] =
      co_await socket_.async_read_some(asio::buffer(out.data(), out.size()), kAsTuple);
  if (error || count == 0) co_return Retryable("the client went away: " + error.message());
  co_return count;
}

Async<std::string> HttpConnection::ReadLine(size_t size_bytes_max) {
  while (true) {
    size_t end = Buffered().find("\r\n");
    if (end != std::string_view::npos) {
      std::string line(Buffered().substr(0, end));
      consumed_ += end + 2;
      co_return line;
    }
    if (Buffered().size() > size_bytes_max) co_return InvalidInput("a line of a chunk is too long");
    Touch(server_->options.stall_timeout);
    if (!co_await Fill()) co_return Retryable("the client went away");
  }
}

// Goes to the next chunk's bytes, or past the last one. (RFC 9112, 7.1.)
Async<void> HttpConnection::NextChunk() {
  if (!first_chunk_) {
    Result<std::string> end = co_await ReadLine(kChunkLineBytesMax);
    if (!end) co_return end.error();
    if (!end->empty()) co_return InvalidInput("a chunk is longer than it said");
  }
  first_chunk_ = false;
  Result<std::string> line = co_await ReadLine(kChunkLineBytesMax);
  if (!line) co_return line.error();
  std::string_view size = std::string_view(*line).substr(0, line->find(';'));
  while (size.ends_with(' ') || size.ends_with('\t')) size.remove_suffix(1);
  auto [rest, failed] = std::from_chars(size.data(), size.data() + size.size(), body_left_, 16);
  if (failed != std::errc() || rest != size.data() + size.size()) {
    co_return InvalidInput("the size of a chunk is not a number");
  }
  if (body_left_ > 0) co_return Ok();

  std::string trailers;
  while (true) {
    Result<std::string> trailer = co_await ReadLine(kTrailerBytesMax);
    if (!trailer) co_return trailer.error();
    if (trailer->empty()) break;
    trailers += *trailer + "\r\n";
    if (trailers.size() > kTrailerBytesMax) co_return InvalidInput("too many trailers");
  }
  Result<HttpHeaders> parsed = ParseHeaderLines(trailers, server_->options.head.header_count_max);
  if (!parsed) co_return parsed.error();
  trailers_ = std::move(*parsed);
  body_done_ = true;
  co_return Ok();
}

Async<size_t> HttpConnection::ReadBody(std::span<std::byte> out) {
  if (body_done_ || out.empty()) co_return 0;
  if (body_broken_) co_return Retryable("the body was cut");
  if (continue_due_) {
    continue_due_ = false;
    if (!started_) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      Result<void> sent = co_await Send(std::array{Buffer(kContinue)});
      if (!sent) co_return sent.error();
    }
  }
  body_broken_ = true;  // Until this piece has been read well.
  if (head_->chunked && body_left_ == 0) {
    Result<void> next = co_await NextChunk();
    if (!next) co_return next.error();
    if (body_done_) {
      body_broken_ = false;
      co_return 0;
    }
  }
  Result<size_t> count =
      co_await ReadRaw(out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), body_left_))));
  if (!count) co_return count.error();
  body_left_ -= *count;
  body_broken_ = false;
  if (!head_->chunked && body_left_ == 0) body_done_ = true;
  Touch(std::chrono::hours(24 * 365));
  co_return *count;
}

template <class Buffers>
Async<void> HttpConnection::Send(const Buffers& buffers) {
  // In pieces, so that a slow reader that still reads is not taken for a stalled one.
  size_t total = asio::buffer_size(buffers);
  size_t sent = 0;
  std::array<asio::const_buffer, 4> rest;
  while (sent < total) {
    size_t used = 0;
    size_t skip = sent;
    size_t room = 1 << 20;
    for (const asio::const_buffer& buffer : buffers) {
      if (skip >= buffer.size()) {
        skip -= buffer.size();
        continue;
      }
      asio::const_buffer piece = asio::buffer(buffer + skip, room);
      skip = 0;
      room -= piece.size();
      rest[used++] = piece;
      if (room == 0 || used == rest.size()) break;
    }
    for (size_t i = used; i < rest.size(); ++i) rest[i] = asio::const_buffer();
    Touch(server_->options.stall_timeout);
    auto [error, count] = co_await socket_.async_write_some(rest, kAsTuple);
    if (error) {
      keep_alive_ = false;
      co_return Retryable("the client went away: " + error.message());
    }
    sent += count;
  }
  Touch(std::chrono::hours(24 * 365));
  co_return Ok();
}

Async<void> HttpConnection::Start(HttpServerResponse& response, std::optional<uint64_t> size_bytes,
                                  std::string_view body) {
  LH_CHECK(!started_);
  started_ = true;
  bool no_body = response.status == 204 || response.status == 304 || response.status < 200;
  answer_without_body_ = no_body || is_head();
  answer_chunked_ = !size_bytes && !no_body && head_->minor_version >= 1;
  answer_until_close_ = !size_bytes && !answer_chunked_ && !no_body;
  // Whose body will not be read to its end here learns it with the answer: the next request on this
  // connection would be lost.
  const bool unknown = head_->chunked && !body_done_;
  bool body_stays =
      continue_due_ || body_broken_ || unknown || body_left_ > server_->options.drain_bytes_max;
  if (response.close || server_->stopping || answer_until_close_ || body_stays) keep_alive_ = false;
  answer_left_ = size_bytes.value_or(0);

  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " " +
                     std::string(Reason(response.status)) + "\r\n";
  for (const auto& [name, value] : response.headers.entries()) {
    // What a handler passes on must not end the header early.
    if (name.find_first_of("\r\n:") != std::string::npos ||
        value.find_first_of("\r\n") != std::string::npos) {
      continue;
    }
    head += name + ": " + value + "\r\n";
  }
  if (response.headers.Find("Date") == nullptr) {
    head += "Date: " + FormatHttpDate(server_->runtime.clock.Now()) + "\r\n";
  }
  if (answer_chunked_) {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (size_bytes && !no_body && response.headers.Find("Content-Length") == nullptr) {
    head += "Content-Length: " + std::to_string(*size_bytes) + "\r\n";
  }
  if (!keep_alive_) {
    head += "Connection: close\r\n";
  } else if (head_->minor_version == 0) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  if (answer_without_body_) {
    body = {};
    finished_ = true;
  }
  answer_left_ -= std::min<uint64_t>(answer_left_, body.size());
  co_return co_await Send(std::array{Buffer(head), Buffer(body)});
}

Async<void> HttpConnection::Write(std::span<const std::byte> bytes) {
  LH_CHECK(started_);
  if (answer_without_body_ || bytes.empty()) co_return Ok();
  asio::const_buffer body(bytes.data(), bytes.size());
  if (!answer_chunked_) {
    if (!answer_until_close_ && bytes.size() > answer_left_) {
      co_return InvalidInput("more bytes than the answer announced");
    }
    answer_left_ -= std::min<uint64_t>(answer_left_, bytes.size());
    co_return co_await Send(std::array{body});
  }
  std::array<char, 20> size;
  auto [end, failed] = std::to_chars(size.data(), size.data() + 18, bytes.size(), 16);
  *end++ = '\r';
  *end++ = '\n';
  std::string_view size_line(size.data(), static_cast<size_t>(end - size.data()));
  co_return co_await Send(std::array{Buffer(size_line), body, Buffer("\r\n")});
}

Async<void> HttpConnection::Finish() {
  LH_CHECK(started_);
  if (finished_) co_return Ok();
  if (answer_chunked_) {
    Result<void> sent = co_await Send(std::array{Buffer("0\r\n\r\n")});
    if (!sent) co_return sent.error();
  } else if (answer_left_ > 0) {
    keep_alive_ = false;
    co_return InvalidInput("fewer bytes than the answer announced");
  }
  finished_ = true;
  co_return Ok();
}

}  // namespace longhaul
