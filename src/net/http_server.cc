#include "net/http_server.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <cstring>
#include <set>

#include "base/check.h"

namespace longhaul {

using tcp = asio::ip::tcp;

namespace {

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kChunkLineBytesMax = 1024;
constexpr size_t kTrailerBytesMax = 16 << 10;
// How often stalled connections are looked for.
constexpr std::chrono::seconds kSweep{1};

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

struct HttpServer::Impl {
  Impl(Runtime runtime, Handler handler, HttpServerOptions options)
      : runtime(runtime),
        handler(std::move(handler)),
        options(options),
        acceptor(runtime.executor) {}

  Runtime runtime;
  Handler handler;
  HttpServerOptions options;
  tcp::acceptor acceptor;
  std::set<HttpConnection*> connections;  // Each removes itself at its end.
  bool stopping = false;
  bool accepting = false;
  std::unique_ptr<Clock::Timer> sweeper;
  WaitList changed;  // A connection or the accept loop ended.

  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self);
  static void Sweep(const std::weak_ptr<Impl>& weak);
  void CloseListener() {
    boost::system::error_code ignored;
    acceptor.close(ignored);
  }
};

// One connection: its socket, what has been read ahead, and where in which message it is.
class HttpConnection {
 public:
  HttpConnection(std::shared_ptr<HttpServer::Impl> server, tcp::socket socket)
      : server_(std::move(server)), socket_(std::move(socket)) {
    server_->connections.insert(this);
    Touch(server_->options.head_timeout);
  }
  ~HttpConnection() {
    server_->connections.erase(this);
    server_->changed.NotifyAll();
  }

  static asio::awaitable<void> Run(std::shared_ptr<HttpServer::Impl> server, tcp::socket socket) {
    HttpConnection connection(std::move(server), std::move(socket));
    while (co_await connection.ServeOne()) {
    }
    co_await connection.Linger();
  }

  [[nodiscard]] bool idle() const { return idle_; }
  [[nodiscard]] bool Expired(SteadyTime now) const { return now >= deadline_; }
  // Ends whatever it waits for.
  void Shut() {
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
  }

  [[nodiscard]] std::optional<uint64_t> body_size_bytes() const {
    if (head_->chunked) return std::nullopt;
    return head_->content_length.value_or(0);
  }
  Async<size_t> ReadBody(std::span<std::byte> out);
  [[nodiscard]] const HttpHeaders& trailers() const { return trailers_; }

  Async<void> Start(HttpServerResponse& response, std::optional<uint64_t> size_bytes,
                    std::string_view body);
  Async<void> Write(std::span<const std::byte> bytes);
  Async<void> Finish();
  [[nodiscard]] bool started() const { return started_; }
  [[nodiscard]] bool is_head() const { return head_ != nullptr && head_->method == "HEAD"; }

 private:
  void Touch(std::chrono::nanoseconds timeout) {
    deadline_ = server_->runtime.clock.SteadyNow() + timeout;
  }
  asio::awaitable<bool> ServeOne();
  asio::awaitable<bool> ReadHead(size_t& head_end);
  asio::awaitable<void> Refuse(const Error& error);
  asio::awaitable<void> Linger();
  asio::awaitable<bool> Drain();
  // Reads more into the buffer; false at the end of the connection.
  asio::awaitable<bool> Fill();
  Async<size_t> ReadRaw(std::span<std::byte> out);
  Async<std::string> ReadLine(size_t size_bytes_max);
  Async<void> NextChunk();
  template <class Buffers>
  Async<void> Send(const Buffers& buffers);

  [[nodiscard]] std::string_view Buffered() const {
    return std::string_view(buffer_).substr(consumed_);
  }

  std::shared_ptr<HttpServer::Impl> server_;  // shared: the server may be gone before us.
  tcp::socket socket_;
  SteadyTime deadline_{};
  bool idle_ = true;
  std::string buffer_;  // Read ahead; from `consumed_` on it is still to be used.
  size_t consumed_ = 0;

  // Of the present request.
  HttpRequestHead* head_ = nullptr;
  bool continue_due_ = false;
  bool body_done_ = true;
  bool body_broken_ = false;
  uint64_t body_left_ = 0;  // Of the body, or of the present chunk.
  bool first_chunk_ = true;
  HttpHeaders trailers_;

  // Of the present answer.
  bool started_ = false;
  bool finished_ = false;
  bool answer_chunked_ = false;
  bool answer_until_close_ = false;  // To HTTP/1.0, when the size is unknown.
  bool answer_without_body_ = false;
  uint64_t answer_left_ = 0;
  bool keep_alive_ = true;
};

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
  size_t searched = 0;
  while (true) {
    // An empty line before a request is to be ignored. (RFC 9112, 2.2.)
    while (Buffered().starts_with("\r\n")) consumed_ += 2;
    size_t from = searched > 3 ? searched - 3 : 0;
    size_t found = FindHeadEnd(Buffered().substr(std::min(from, Buffered().size())));
    if (found != std::string_view::npos) {
      head_end = from + found;
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
  size_t read = 0;
  std::array<char, 4096> scrap;
  while (!failed && read < (1 << 20)) {
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

// Reads away what the handler left of the body; false: too much, or the client waits to be asked.
asio::awaitable<bool> HttpConnection::Drain() {
  if (continue_due_) co_return false;
  std::array<std::byte, 8192> scrap;
  size_t drained = 0;
  while (!body_done_ && drained <= server_->options.drain_bytes_max) {
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
  if (response.close || server_->stopping || answer_until_close_) keep_alive_ = false;
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

std::optional<uint64_t> HttpServerRequest::body_size_bytes() const {
  return connection_.body_size_bytes();
}

Async<size_t> HttpServerRequest::ReadBody(std::span<std::byte> out) {
  return connection_.ReadBody(out);
}

Async<std::string> HttpServerRequest::ReadBody(size_t size_bytes_max) {
  Error too_large = InvalidInput("the body is longer than " + std::to_string(size_bytes_max));
  too_large.code = "EntityTooLarge";
  too_large.http_status = 413;
  if (body_size_bytes().value_or(0) > size_bytes_max) co_return too_large;
  std::string body;
  size_t filled = 0;
  while (true) {
    if (filled == body.size()) {
      if (filled > size_bytes_max) co_return too_large;
      size_t wanted = body_size_bytes().value_or(std::max<size_t>(4096, filled * 2)) + 1;
      body.resize(std::min(std::max(wanted, filled + 1), size_bytes_max + 1));
    }
    Result<size_t> count =
        co_await ReadBody(std::as_writable_bytes(std::span(body)).subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) break;
    filled += *count;
  }
  if (filled > size_bytes_max) co_return too_large;
  body.resize(filled);
  co_return body;
}

const HttpHeaders& HttpServerRequest::trailers() const { return connection_.trailers(); }

Async<void> HttpServerResponse::Send(std::string body) {
  Result<void> sent = co_await connection_.Start(*this, body.size(), body);
  if (!sent) co_return sent.error();
  co_return co_await connection_.Finish();
}

Async<void> HttpServerResponse::Start(std::optional<uint64_t> size_bytes) {
  return connection_.Start(*this, size_bytes, {});
}

Async<void> HttpServerResponse::Write(std::span<const std::byte> bytes) {
  return connection_.Write(bytes);
}

Async<void> HttpServerResponse::Finish() { return connection_.Finish(); }

bool HttpServerResponse::started() const { return connection_.started(); }

asio::awaitable<void> HttpServer::Impl::Accept(std::shared_ptr<Impl> self) {
  self->accepting = true;
  while (!self->stopping) {
    while (static_cast<int>(self->connections.size()) >= self->options.connections_max &&
           !self->stopping) {
      co_await self->changed.Wait();
    }
    if (self->stopping) break;
    auto [error, socket] = co_await self->acceptor.async_accept(kAsTuple);
    if (self->stopping) break;
    if (error) {
      // Out of descriptors, or a client that was gone at once: go on, but not in a busy loop.
      self->runtime.log.Warning("http accept failed", {{"why", error.message()}});
      co_await self->runtime.clock.Sleep(std::chrono::milliseconds(100));
      continue;
    }
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    SpawnDetached(self->runtime.executor, HttpConnection::Run(self, std::move(socket)));
  }
  self->accepting = false;
  self->changed.NotifyAll();
}

void HttpServer::Impl::Sweep(const std::weak_ptr<Impl>& weak) {
  std::shared_ptr<Impl> self = weak.lock();
  if (self == nullptr) return;
  SteadyTime now = self->runtime.clock.SteadyNow();
  for (HttpConnection* connection : self->connections) {
    if (connection->Expired(now)) connection->Shut();
  }
  self->sweeper = self->runtime.clock.StartTimer(kSweep, [weak] { Sweep(weak); });
}

HttpServer::HttpServer(Runtime runtime, Handler handler, HttpServerOptions options)
    : impl_(std::make_shared<Impl>(runtime, std::move(handler), options)) {}

HttpServer::~HttpServer() {
  impl_->stopping = true;
  impl_->sweeper.reset();
  impl_->CloseListener();
  for (HttpConnection* connection : impl_->connections) connection->Shut();
}

Async<void> HttpServer::Listen(std::string address) {
  LH_CHECK(!impl_->acceptor.is_open());
  size_t colon = address.rfind(':');
  std::string host = colon == std::string::npos ? "" : address.substr(0, colon);
  std::string port = colon == std::string::npos ? address : address.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  uint16_t port_number = 0;
  auto [end, bad] = std::from_chars(port.data(), port.data() + port.size(), port_number);
  if (colon == std::string::npos || port.empty() || bad != std::errc() ||
      end != port.data() + port.size()) {
    co_return InvalidInput("listen on \"" + address + "\": not of the form HOST:PORT");
  }

  tcp::endpoint endpoint(tcp::v4(), port_number);
  if (!host.empty()) {
    tcp::resolver resolver(impl_->runtime.executor);
    auto [error, found] = co_await resolver.async_resolve(host, port, kAsTuple);
    if (error || found.empty()) {
      co_return InvalidInput("listen on " + address + ": " + error.message());
    }
    endpoint = found.begin()->endpoint();
  }
  boost::system::error_code error;
  tcp::acceptor& acceptor = impl_->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(1024, error);
  if (error) {
    impl_->CloseListener();
    if (error == asio::error::address_in_use) {
      Error used = InvalidInput("listen on " + address +
                                ": the address is in use, by another process perhaps");
      used.code = "AddressInUse";
      co_return used;
    }
    Error failed = InvalidInput("listen on " + address + ": " + error.message());
    if (error == asio::error::access_denied) failed.kind = ErrorKind::kDenied;
    co_return failed;
  }
  SpawnDetached(impl_->runtime.executor, Impl::Accept(impl_));
  Impl::Sweep(impl_);
  co_return Ok();
}

uint16_t HttpServer::port() const {
  boost::system::error_code error;
  tcp::endpoint endpoint = impl_->acceptor.local_endpoint(error);
  return error ? 0 : endpoint.port();
}

std::string HttpServer::address() const {
  boost::system::error_code error;
  tcp::endpoint endpoint = impl_->acceptor.local_endpoint(error);
  if (error) return "";
  std::string host = endpoint.address().to_string();
  if (endpoint.address().is_v6()) host = "[" + host + "]";
  return host + ":" + std::to_string(endpoint.port());
}

Async<void> HttpServer::Stop(std::chrono::milliseconds grace) {
  std::shared_ptr<Impl> impl = impl_;
  impl->stopping = true;
  impl->changed.NotifyAll();
  impl->CloseListener();
  for (HttpConnection* connection : impl->connections) {
    if (connection->idle()) connection->Shut();
  }
  SteadyTime deadline = impl->runtime.clock.SteadyNow() + grace;
  bool shut = false;
  while (impl->accepting || !impl->connections.empty()) {
    SteadyTime now = impl->runtime.clock.SteadyNow();
    if (now >= deadline && !shut) {
      shut = true;
      for (HttpConnection* connection : impl->connections) connection->Shut();
    }
    auto wait = shut ? std::chrono::nanoseconds(std::chrono::seconds(1)) : deadline - now;
    (void)co_await impl->changed.WaitFor(impl->runtime.clock, wait);
  }
  impl->sweeper.reset();
  co_return Ok();
}

int HttpServer::connections() const { return static_cast<int>(impl_->connections.size()); }

}  // namespace longhaul
