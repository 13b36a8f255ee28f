// HttpClient: HTTP/1.1 requests with streaming bodies both ways, on one shard.
//
// One per shard and endpoint family: it keeps connections alive and reuses them. It belongs to its
// shard; many coroutines of it may send at once. Answers of any status are answers, not errors; it
// follows no redirect, decompresses nothing, uses no proxy that it was not given and sends no
// header but `Host`, `Content-Length` (or `Transfer-Encoding: chunked`) and what the caller gave.
// The URL goes out as it came: no segment is cleaned, nothing is re-encoded.
//
// Errors: kRetryable for what the network did (refused, reset, cut, stalled, deadline, garbage
// instead of HTTP or TLS); kDenied for a certificate that is not trusted, with what to do about it;
// kInvalidInput for a URL, a proxy or an option that makes no sense; kDenied also from a proxy that
// lets nobody through; kCorrupt never (content is not looked
// at). Codes: kNotSentCode, and kTimeoutCode (base/retry.h) for a stall or a deadline.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/async.h"
#include "base/secret.h"

namespace longhaul {

struct Runtime;
class Shards;

// The code of a kRetryable error where no byte of the request can have reached a server.
inline constexpr std::string_view kNotSentCode = "NotSent";
// Whether a request that failed so may have had an effect, or may have it yet.
[[nodiscard]] inline bool MayHaveHappened(const Error& error) {
  return (error.kind == ErrorKind::kRetryable && error.code != kNotSentCode) ||
         error.kind == ErrorKind::kCancelled;
}

// Headers in the order in which they are sent; names compare without regard to case.
class HttpHeaders {
 public:
  using Entry = std::pair<std::string, std::string>;

  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<Entry> entries) : entries_(entries) {}

  void Add(std::string name, std::string value) {
    entries_.emplace_back(std::move(name), std::move(value));
  }
  // Replaces all of that name.
  void Set(std::string_view name, std::string value);
  // The first value of that name, or nullptr.
  [[nodiscard]] const std::string* Find(std::string_view name) const;
  // The same, with "" for absent.
  [[nodiscard]] std::string_view Get(std::string_view name) const;

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  void clear() { entries_.clear(); }
  void reserve(size_t count) { entries_.reserve(count); }

 private:
  std::vector<Entry> entries_;
};

// A request body that is not in memory as a whole.
class HttpBodySource {
 public:
  virtual ~HttpBodySource() = default;
  // The next bytes; 0 at the end. An error ends the request with that error. It may send requests
  // by the same client as long as those have no HttpBodySource themselves.
  virtual Async<size_t> Read(std::span<std::byte> out) = 0;
};

struct HttpTimeouts {
  std::chrono::milliseconds connect{10'000};
  // No byte moved in either direction for so long while it was the other side's turn. Checked every
  // quarter of a second, as is `total`.
  std::chrono::milliseconds stall{60'000};
  // From Send to the last byte of the answer; 0: none.
  std::chrono::milliseconds total{0};
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // Absolute; path and query percent-encoded by the caller.
  HttpHeaders headers;
  // The body: none, a span, or a source. Borrowed until Send returns.
  std::optional<std::span<const std::byte>> body;
  HttpBodySource* source = nullptr;
  std::optional<uint64_t> source_size_bytes;  // Without it the body goes out chunked.
  // Whatever happens, no second copy of it goes out: the first may be carried out yet, after the
  // second has been answered.
  bool once = false;
  HttpTimeouts timeouts;
  // Adds up how often it goes out on a connection. Borrowed until Send returns; null: nobody
  // counts.
  int* times_sent = nullptr;
};

// The body of an answer. Dropping it early closes its connection and nothing else.
class HttpBody {
 public:
  virtual ~HttpBody() = default;
  // Fills `out` (> 0 bytes); fewer bytes only at the end of the body, 0 after it. What has not been
  // read waits in the kernel and in at most 320 KiB here. kRetryable: the body was cut.
  virtual Async<size_t> Read(std::span<std::byte> out) = 0;
  // After the end: what followed a chunked body.
  [[nodiscard]] virtual const HttpHeaders& trailers() const = 0;
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;
  std::unique_ptr<HttpBody> body;  // Never null.
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;

  // OK when the head of the answer is here and the request body has been sent or is not wanted any
  // more (an answer of 400 or more ends the upload). Where a kept-alive connection turns out dead
  // before a byte of answer came, a request without a source is sent again at once on a new one,
  // unless it is to go out `once`.
  virtual Async<HttpResponse> Send(HttpRequest request) = 0;
};

// A proxy for https://, by CONNECT (net/client_proxy.h). http:// and this machine's own names and
// addresses never go by it.
struct HttpProxySettings {
  Secret url;            // http://[USER:PASSWORD@]HOST:PORT; empty: none.
  std::string no_proxy;  // As NO_PROXY: what goes straight all the same.
};

struct HttpClientOptions {
  // Requests that wait for the head of their answer: so many without a source and as many with one
  // (two counts, so that a source can itself send requests). Further ones wait in order. Answers
  // whose body is still being read do not count: their readers bound them.
  int requests_max = 64;
  std::string ca_file;             // Instead of the system's certificates: PEM, or a hashed folder.
  bool verify_certificate = true;  // Off: for tests alone.
  HttpProxySettings proxy;
  // Where its connections are (net/client_shards.h); null, or none of them: on the runtime's own
  // executor. Borrowed: they outlive the client.
  Shards* shards = nullptr;
};

// An HttpClient on the runtime's executor, which runs an io_context: for http:// and https://, on
// sockets of its own.
std::unique_ptr<HttpClient> MakeHttpClient(const Runtime& runtime, HttpClientOptions options = {});

// Reads a body to its end. kInvalidInput when it is longer than `size_bytes_max`.
// `size_bytes_hint`: how long it probably is.
Async<std::string> ReadAll(HttpBody& body, size_t size_bytes_max, size_t size_bytes_hint = 0);

}  // namespace longhaul
