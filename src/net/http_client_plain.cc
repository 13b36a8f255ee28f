#include "net/http_client_plain.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.h"
#include "net/plain_pool.h"

namespace longhaul {
namespace {

// What sources may rely on (storage/s3_body.h); one system call for so much.
constexpr size_t kUploadPieceBytes = 256 << 10;
constexpr int kTrailersMax = 256;

struct PlainUrl {
  PlainOrigin origin;
  std::string_view authority;  // As it stands in the URL: what Host says.
  std::string_view target;     // Path and query; may lack the first slash.
};

Result<PlainUrl> ParseUrl(std::string_view text) {
  const Error bad = InvalidInput("not a URL: " + std::string(text));
  std::string_view rest = text;
  constexpr std::string_view kScheme = "http://";
  if (!rest.starts_with(kScheme)) return bad;
  rest.remove_prefix(kScheme.size());
  rest = rest.substr(0, rest.find('#'));
  const bool clean = std::ranges::none_of(
      rest, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
  PlainUrl url;
  url.authority = rest.substr(0, rest.find_first_of("/?"));
  url.target = rest.substr(url.authority.size());
  std::string_view host = url.authority;
  const size_t colon = host.rfind(':');
  if (colon != host.npos && host.find(']', colon) == host.npos) {
    std::string_view port = host.substr(colon + 1);
    auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), url.origin.port);
    if (failed != std::errc() || end != port.data() + port.size()) return bad;
    host = host.substr(0, colon);
  }
  if (!clean || host.empty() || url.origin.port == 0 || host.find_first_of("@\\") != host.npos) {
    return bad;
  }
  url.origin.host = host;
  url.origin.name = url.origin.host + ":" + std::to_string(url.origin.port);
  if (url.origin.port == 80) url.authority = host;  // Its own port is not named.
  return url;
}

bool IsToken(std::string_view text) {
  return !text.empty() && text.find_first_of(std::string_view("\r\n\0 :", 5)) == text.npos;
}

// Request line and headers.
Result<std::string> WriteHead(const HttpRequest& request, const PlainUrl& url) {
  if (!IsToken(request.method)) return InvalidInput("not an HTTP method: " + request.method);
  std::string head;
  head.reserve(1024);
  head.append(request.method).append(" ");
  if (!url.target.starts_with('/')) head += '/';
  head.append(url.target).append(" HTTP/1.1\r\n");
  if (!request.headers.Find("Host")) head.append("Host: ").append(url.authority).append("\r\n");
  for (const auto& [name, value] : request.headers.entries()) {
    if (!IsToken(name) || value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos) {
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

iovec PieceOf(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }
iovec PieceOf(std::span<const std::byte> bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

class PlainBody : public HttpBody {
 public:
  // `reusable`: whether the request has gone in full.
  PlainBody(PlainLease lease, const HttpResponseHead& head, bool no_body, bool reusable)
      : lease_(std::move(lease)),
        keep_alive_(head.keep_alive && reusable),
        chunked_(head.chunked && !no_body),
        until_close_(!chunked_ && !no_body && !head.content_length),
        left_(no_body || chunked_ ? 0 : head.content_length.value_or(0)) {
    if (!chunked_ && !until_close_ && left_ == 0) End();
  }

  Async<size_t> Read(std::span<std::byte> out) override {
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
      Result<size_t> count = co_await lease_.connection()->Read(into);
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

  [[nodiscard]] const HttpHeaders& trailers() const override { return trailers_; }

 private:
  void End() { lease_.End(keep_alive_); }

  // Goes to the bytes of the next chunk, or past the last one. (RFC 9112, 7.1.)
  Async<void> NextChunk() {
    PlainConnection& connection = *lease_.connection();
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

  PlainLease lease_;
  bool keep_alive_;
  bool chunked_;
  bool until_close_;
  bool first_chunk_ = true;
  uint64_t left_;  // Of the body, or of the present chunk.
  HttpHeaders trailers_;
};

// A request on its connection, until the head of its answer is here.
class Exchange {
 public:
  Exchange(PlainLease& lease, const HttpRequest& request, const std::string& head)
      : lease_(lease), connection_(*lease.connection()), request_(request), head_(head) {}

  Async<HttpResponseHead> Run() {
    Result<void> sent;
    if (request_.source != nullptr) {
      sent = co_await SendSource();
    } else {
      sent = co_await SendBody();
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
  // Whether all of the request has gone.
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  Async<void> SendBody() {
    std::array<iovec, 2> pieces{PieceOf(head_)};
    if (request_.body) pieces[1] = PieceOf(*request_.body);
    complete_ = true;  // Send says when not.
    co_return co_await Send(std::span(pieces).first(request_.body ? 2 : 1));
  }

  Async<void> SendSource() {
    const bool chunked = !request_.source_size_bytes;
    uint64_t left = request_.source_size_bytes.value_or(0);
    auto buffer = std::make_unique_for_overwrite<std::byte[]>(kUploadPieceBytes);
    std::string size_line;
    for (bool first = true;; first = false) {
      Result<size_t> count =
          co_await request_.source->Read(std::span(buffer.get(), kUploadPieceBytes));
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
      if (*count > 0) pieces[used++] = PieceOf(std::span(buffer.get(), *count));
      if (chunked) pieces[used++] = PieceOf(std::string_view("\r\n"));
      complete_ = last;
      Result<void> sent = co_await Send(std::span(pieces).first(used));
      if (!sent) co_return sent;
      if (answer_ && answer_->status >= 400) co_return Ok();
      if (!last) continue;
      // The source is told that it was read to its end: it may check something there.
      if (!chunked) {
        count = co_await request_.source->Read(std::span(buffer.get(), kUploadPieceBytes));
        if (count && *count > 0) {
          count = InvalidInput("the body is longer than was announced");
        }
        if (!count) co_return count.error();
        if (lease_.pool_is_gone()) co_return Cancelled("the HTTP client is gone");
      }
      co_return Ok();
    }
  }

  // Sends `pieces`, or a part of them if an answer of 400 or more comes first.
  Async<void> Send(std::span<iovec> pieces) {
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

  PlainLease& lease_;
  PlainConnection& connection_;
  const HttpRequest& request_;
  const std::string& head_;
  std::optional<HttpResponseHead> answer_;  // That came before the request had gone.
  bool complete_ = false;
  bool broken_ = false;
};

class PlainClient : public HttpClient {
 public:
  PlainClient(const Runtime& runtime, const HttpClientOptions& options)
      : pool_(std::make_shared<PlainPool>(runtime, 2 * static_cast<size_t>(options.requests_max))),
        plain_gate_(std::make_shared<Semaphore>(options.requests_max)),
        source_gate_(std::make_shared<Semaphore>(options.requests_max)) {}

  Async<HttpResponse> Send(HttpRequest request) override {
    Result<PlainUrl> url = ParseUrl(request.url);
    if (!url) co_return url.error();
    Result<std::string> head = WriteHead(request, *url);
    if (!head) co_return head.error();
    std::shared_ptr<Semaphore> gate = request.source ? source_gate_ : plain_gate_;
    co_await gate.get()->Acquire();
    Permit permit(std::move(gate));
    const SteadyTime deadline = request.timeouts.total.count() > 0
                                    ? pool_->clock().SteadyNow() + request.timeouts.total
                                    : SteadyTime::max();
    bool retried = false;
    while (true) {
      std::shared_ptr<PlainConnection> kept = retried ? nullptr : pool_->TakeKept(url->origin.name);
      const bool reused = kept != nullptr;
      PlainLease lease(pool_, reused ? std::move(kept) : pool_->TakeNew(url->origin.name));
      PlainConnection& connection = *lease.connection();
      connection.timeouts = request.timeouts;
      connection.deadline = deadline;
      connection.idle_sweeps = 0;
      connection.answered = false;
      if (!reused) {
        Result<void> connected = co_await Connect(connection, url->origin);
        if (!connected) co_return connected.error();
      }
      Exchange exchange(lease, request, *head);
      Result<HttpResponseHead> answer = co_await exchange.Run();
      if (!answer) {
        // The server may close an idle connection just when it is used again. It may as well have
        // carried the request out: whether a write may be sent again is for its sender to say.
        const Error& error = answer.error();
        const bool stale = reused && !connection.answered && error.Transient() &&
                           error.code.empty() && request.source == nullptr && !request.once;
        if (!stale || retried) co_return error;
        retried = true;
        continue;
      }
      const bool no_body =
          request.method == "HEAD" || answer->status == 204 || answer->status == 304;
      HttpResponse response;
      response.status = answer->status;
      response.body =
          std::make_unique<PlainBody>(std::move(lease), *answer, no_body, exchange.complete());
      response.headers = std::move(answer->headers);
      co_return response;
    }
  }

 private:
  // Tries one address after the other; one that is silent takes all of the time.
  Async<void> Connect(PlainConnection& connection, const PlainOrigin& origin) {
    connection.connect_deadline = pool_->clock().SteadyNow() + connection.timeouts.connect;
    std::vector<PlainConnection::Endpoint> endpoints;
    if (const auto* known = pool_->FindAddresses(origin.name)) {
      endpoints = *known;
    } else {
      Result<std::vector<PlainConnection::Endpoint>> found =
          co_await connection.Resolve(origin.host, origin.port);
      if (!found) co_return found.error();
      endpoints = std::move(*found);
      pool_->NoteAddresses(origin.name, endpoints);
    }
    Result<void> connected = Retryable("no address");
    for (const PlainConnection::Endpoint& endpoint : endpoints) {
      connected = co_await connection.Connect(endpoint);
      if (connected) break;
    }
    if (connected) connection.connect_deadline = SteadyTime::max();
    co_return connected;
  }

  std::shared_ptr<PlainPool> pool_;
  // shared: a permit may outlive the client, in a coroutine that is being destroyed.
  std::shared_ptr<Semaphore> plain_gate_;
  std::shared_ptr<Semaphore> source_gate_;
};

}  // namespace

std::unique_ptr<HttpClient> MakePlainHttpClient(const Runtime& runtime,
                                                const HttpClientOptions& options) {
  return std::make_unique<PlainClient>(runtime, options);
}

}  // namespace longhaul
