// HttpServer: a small HTTP/1.1 server for one shard: health, metrics, webhooks, the gateway.
//
// One handler gets every request: a coroutine that reads the body as it likes and sends one answer.
// The target reaches it exactly as it was sent: nothing is decoded, cleaned or normalised. The
// server does keep-alive, Expect: 100-continue, chunked bodies both ways, limits and timeouts; it
// speaks no TLS and no HTTP/2. It belongs to one shard.
//
// Facts: RFC 9110 and RFC 9112. A request that could be read in two ways (both Content-Length and
// Transfer-Encoding, folded headers, doubled lengths) is refused: 400 and the connection is closed.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/async.h"
#include "base/runtime.h"
#include "net/http_client.h"
#include "net/http_request_head.h"

namespace longhaul {

class HttpConnection;

class HttpServerRequest {
 public:
  explicit HttpServerRequest(HttpConnection& connection) : connection_(connection) {}

  HttpRequestHead head;
  std::string peer;  // "127.0.0.1:51234"

  [[nodiscard]] const std::string& method() const { return head.method; }
  [[nodiscard]] std::string_view path() const { return head.path(); }    // As sent.
  [[nodiscard]] std::string_view query() const { return head.query(); }  // As sent, without '?'.
  [[nodiscard]] const HttpHeaders& headers() const { return head.headers; }
  // Of the body; nullopt: it comes in chunks. 0 when there is none.
  [[nodiscard]] std::optional<uint64_t> body_size_bytes() const;

  // The next bytes of the body; 0 at its end. The first call lets a client go on that waits for
  // "100 Continue". kRetryable: the client went away or was too slow; kInvalidInput: the chunks
  // make no sense. After an error the connection is closed when the handler is done.
  Async<size_t> ReadBody(std::span<std::byte> out);
  // The rest of the body. kInvalidInput, code EntityTooLarge: more than `size_bytes_max`; known
  // from the head it is not read at all.
  Async<std::string> ReadBody(size_t size_bytes_max);
  // What followed a chunked body, after its end.
  [[nodiscard]] const HttpHeaders& trailers() const;

 private:
  HttpConnection& connection_;
};

class HttpServerResponse {
 public:
  explicit HttpServerResponse(HttpConnection& connection) : connection_(connection) {}

  int status = 200;
  // `Date`, `Content-Length`, `Transfer-Encoding` and `Connection` are added by the server; a
  // `Date` or, for a HEAD or 304 answer, a `Content-Length` given here is kept.
  HttpHeaders headers;
  bool close = false;  // Closes the connection after this answer.

  // The whole answer. To a HEAD request `body` is only measured.
  Async<void> Send(std::string body = "");

  // Or piece by piece: Start, Write as often as needed, Finish. `size_bytes` unknown: in chunks.
  // kRetryable: the client went away. Fewer bytes than announced close the connection.
  Async<void> Start(std::optional<uint64_t> size_bytes);
  Async<void> Write(std::span<const std::byte> bytes);
  Async<void> Finish();

  [[nodiscard]] bool started() const;

 private:
  HttpConnection& connection_;
};

struct HttpServerOptions {
  HttpHeadLimits head;
  // Further ones end those that have waited longest for a request or for the rest of its head, and
  // wait while all are busy. One address may hold seven eighths of them.
  int connections_max = 1024;
  std::chrono::milliseconds idle_timeout{75'000};   // Between two requests.
  std::chrono::milliseconds head_timeout{20'000};   // From the first byte of a head to its last.
  std::chrono::milliseconds stall_timeout{60'000};  // No byte of a body moved, in or out.
  // So much of a body nobody read is read away to keep alive, for as long as a head may take.
  size_t drain_bytes_max = 256 << 10;
};

class HttpServer {
 public:
  // Both borrowed things of `request` and `response` live until the handler returns.
  using Handler = std::function<asio::awaitable<void>(HttpServerRequest&, HttpServerResponse&)>;

  // What `handler` borrows must live until Stop has returned.
  HttpServer(Runtime runtime, Handler handler, HttpServerOptions options = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Listens on "HOST:PORT", "[::1]:PORT" or ":PORT" (every address); port 0 takes a free one.
  // kInvalidInput: no such address, or code "AddressInUse" with a message for people; kDenied: a
  // port that needs privileges. Once per server.
  Async<void> Listen(std::string address);
  // The port it listens on; 0 before Listen.
  [[nodiscard]] uint16_t port() const;
  // "127.0.0.1:8787", with the true port.
  [[nodiscard]] std::string address() const;

  // Takes no new request, lets those in flight finish for `grace`, then closes everything.
  // Call it before the server is destroyed, unless the io_context goes away with it.
  Async<void> Stop(std::chrono::milliseconds grace);

  [[nodiscard]] int connections() const;

 private:
  friend class HttpConnection;
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the connections that still run.
};

}  // namespace longhaul
