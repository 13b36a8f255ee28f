#include "net/http_client.h"

#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <list>

#include "base/bytes.h"
#include "base/shards.h"
#include "tests/support/run.h"
#include "tests/support/tls.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;

// One accepted connection of a server that says what a test tells it to say.
class Peer {
 public:
  // `tls`: null for plain HTTP.
  Peer(tcp::socket socket, asio::ssl::context* tls)
      : socket_(std::move(socket)), tls_(tls != nullptr ? new Tls(socket_, *tls) : nullptr) {}

  asio::awaitable<bool> Handshake() {
    boost::system::error_code error;
    if (tls_) {
      co_await tls_->async_handshake(asio::ssl::stream_base::server,
                                     asio::redirect_error(asio::use_awaitable, error));
    }
    co_return !error;
  }

  // The next request's head; empty when the client has closed.
  asio::awaitable<std::string> ReadHead() {
    size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!co_await Fill()) co_return std::string();
    }
    std::string head = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    co_return head;
  }
  asio::awaitable<std::string> ReadBody(size_t size) {
    while (buffer_.size() < size && co_await Fill()) {
    }
    std::string body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    co_return body;
  }
  asio::awaitable<void> Write(std::string text) {
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    if (tls_) {
      co_await asio::async_write(*tls_, asio::buffer(text), token);
    } else {
      co_await asio::async_write(socket_, asio::buffer(text), token);
    }
  }
  // As a server that has said all.
  asio::awaitable<void> End() {
    boost::system::error_code error;
    if (tls_) {
      co_await tls_->async_shutdown(asio::redirect_error(asio::use_awaitable, error));
    }
    Close();
  }
  void Close() {
    boost::system::error_code error;
    socket_.close(error);
  }
  void Reset() {
    socket_.set_option(asio::socket_base::linger(true, 0));
    Close();
  }

 private:
  asio::awaitable<bool> Fill() {
    char bytes[65536];
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    size_t count = tls_ ? co_await tls_->async_read_some(asio::buffer(bytes), token)
                        : co_await socket_.async_read_some(asio::buffer(bytes), token);
    buffer_.append(bytes, count);
    co_return !error;
  }

  using Tls = asio::ssl::stream<tcp::socket&>;

  tcp::socket socket_;
  std::unique_ptr<Tls> tls_;
  std::string buffer_;
};

struct Way {
  bool tls = false;
  int shards = 1;
};

// The parameter: whether all of it goes by TLS, and by how many shards.
class HttpClientTest : public ::testing::TestWithParam<Way> {
 protected:
  using Script = std::function<asio::awaitable<void>(Peer& peer, int connection)>;

  // Runs `script` for every connection to the returned address.
  std::string Serve(Script script) {
    acceptor_ = std::make_unique<tcp::acceptor>(world.io,
                                                tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    scripts_.push_back(std::move(script));
    world.Start(Accept(scripts_.back()));
    return Scheme() + "127.0.0.1:" + std::to_string(acceptor_->local_endpoint().port());
  }
  static std::string Scheme() { return GetParam().tls ? "https://" : "http://"; }
  static std::string HostOf(const std::string& url) { return url.substr(url.find("://") + 3); }

  void Restart(HttpClientOptions options) {
    options.ca_file = tls_.trust_file();
    options.shards = &shards;
    client = MakeHttpClient(world.runtime, options);
  }
  void SetUp() override { Restart({}); }

  static Async<std::string> FetchText(HttpClient& client, HttpRequest request,
                                      HttpResponse* response = nullptr) {
    Result<HttpResponse> got = co_await client.Send(std::move(request));
    if (!got) co_return got.error();
    Result<std::string> text = co_await ReadAll(*got->body, 256 << 20);
    if (response) *response = std::move(*got);
    co_return text;
  }

  Result<std::string> Fetch(HttpRequest request, HttpResponse* response = nullptr) {
    return world.Run(FetchText(*client, std::move(request), response));
  }
  static HttpRequest Get(std::string url) {
    HttpRequest request;
    request.url = std::move(url);
    return request;
  }

  Shards shards{GetParam().shards};
  testing::RealWorld world;
  std::unique_ptr<HttpClient> client;
  Event never;  // What a silent server waits for; takes its coroutines along at the end.
  int connections = 0;

 private:
  asio::awaitable<void> Accept(Script& script) {
    while (true) {
      boost::system::error_code error;
      tcp::socket socket =
          co_await acceptor_->async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      auto peer =
          std::make_unique<Peer>(std::move(socket), GetParam().tls ? &tls_.context() : nullptr);
      world.Start(RunScript(script, std::move(peer), connections++));
    }
  }
  asio::awaitable<void> RunScript(Script& script, std::unique_ptr<Peer> peer, int connection) {
    if (co_await peer->Handshake()) co_await script(*peer, connection);
  }

  testing::TlsServer tls_{"IP:127.0.0.1,DNS:localhost"};

  std::list<Script> scripts_;  // Their captures live as long as the coroutines they start.
  std::unique_ptr<tcp::acceptor> acceptor_;
};

constexpr std::string_view kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello";

asio::awaitable<void> AnswerAll(Peer& peer, std::string answer) {
  while (!(co_await peer.ReadHead()).empty()) co_await peer.Write(answer);
}

// The path is signed as bytes: a client that tidied it would ask for another key.
TEST_P(HttpClientTest, SendsThePathAsItIsAndOnlyTheCallersHeaders) {
  std::string head;
  std::string url = Serve([&](Peer& peer, int) -> asio::awaitable<void> {
    head = co_await peer.ReadHead();
    co_await peer.Write(std::string(kHello));
  });
  HttpRequest request = Get(url + "/b//a/../x/./%2e?prefix=%2F&empty=");
  request.headers.Add("X-First", "1");
  request.headers.Add("X-Empty", "");
  HttpResponse response;
  Result<std::string> body = Fetch(std::move(request), &response);
  ASSERT_TRUE(body) << body.error().Describe();
  EXPECT_EQ(*body, "hello");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.Get("x-a"), "1");
  EXPECT_EQ(head, "GET /b//a/../x/./%2e?prefix=%2F&empty= HTTP/1.1\r\nHost: " + HostOf(url) +
                      "\r\nX-First: 1\r\nX-Empty:\r\n\r\n");
}

// A connection for each request would triple the cost of small objects.
TEST_P(HttpClientTest, KeepsConnectionsAlive) {
  std::string url = Serve([](Peer& peer, int) { return AnswerAll(peer, std::string(kHello)); });
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Fetch(Get(url + "/x")));
  EXPECT_EQ(connections, 1);
}

// A header with a line break would let metadata of an object write headers of the request.
TEST_P(HttpClientTest, RefusesHeadersThatBreakTheLine) {
  HttpRequest request = Get(Scheme() + "127.0.0.1:1/");
  request.headers.Add("X-A", "1\r\nX-B: 2");
  Result<std::string> body = Fetch(std::move(request));
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().kind, ErrorKind::kInvalidInput);
}

// Servers send chunked listings, also byte by byte, and trailers with checksums.
TEST_P(HttpClientTest, ReadsChunkedBodiesAndTrailers) {
  std::string url = Serve([](Peer& peer, int) -> asio::awaitable<void> {
    co_await peer.ReadHead();
    std::string answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        "3;ext=1\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 9\r\n\r\n";
    for (char c : answer) co_await peer.Write(std::string(1, c));
  });
  HttpResponse response;
  Result<std::string> body = Fetch(Get(url), &response);
  ASSERT_TRUE(body) << body.error().Describe();
  EXPECT_EQ(*body, "abcd");
  EXPECT_EQ(response.body->trailers().Get("x-sum"), "9");
}

// Chunks whose lines are cut anywhere: what was read ahead of one moves, and stays what it is.
TEST_P(HttpClientTest, ReadsChunksThatAreCutInsideTheirLines) {
  std::string expected;
  std::vector<std::string> pieces = {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1"};
  for (int i = 0; i < 60; ++i) {
    const std::string chunk(4096 + 160, static_cast<char>('a' + i % 26));
    expected += chunk;
    pieces.push_back("0a0\r\n" + chunk + "\r\n" + (i < 59 ? "1" : "0"));
  }
  pieces.emplace_back("\r\n\r\n");
  std::string url = Serve([&](Peer& peer, int) -> asio::awaitable<void> {
    co_await peer.ReadHead();
    for (const std::string& piece : pieces) co_await peer.Write(piece);
  });
  Result<std::string> body = Fetch(Get(url));
  ASSERT_TRUE(body) << body.error().Describe();
  EXPECT_EQ(*body, expected);
}

// A server that goes on without end, in a place where no body is counted, is left.
TEST_P(HttpClientTest, WhatNeverEndsIsLeft) {
  constexpr int kLines = 100'000;
  const std::string line(1000, 'x');
  for (const bool trailers : {false, true}) {
    int sent = 0;
    std::string url = Serve([&](Peer& peer, int) -> asio::awaitable<void> {
      co_await peer.ReadHead();
      if (trailers) {
        co_await peer.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
      }
      for (; sent < kLines; ++sent) {
        co_await peer.Write(trailers ? line + "\r\n" : "HTTP/1.1 100 " + line + "\r\n\r\n");
      }
    });
    Result<std::string> body = Fetch(Get(url));
    ASSERT_FALSE(body) << trailers;
    EXPECT_EQ(body.error().kind, ErrorKind::kRetryable) << body.error().Describe();
    EXPECT_LT(sent, kLines / 2) << trailers;
  }
}

// A body that ends early must never look like a short object.
TEST_P(HttpClientTest, CutBodyIsAnError) {
  for (std::string answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
    std::string url = Serve([&](Peer& peer, int) -> asio::awaitable<void> {
      co_await peer.ReadHead();
      co_await peer.Write(answer);
    });
    Result<std::string> body = Fetch(Get(url));
    ASSERT_FALSE(body) << answer;
    EXPECT_EQ(body.error().kind, ErrorKind::kRetryable);
  }
}

// What is not HTTP, or too much of it, ends the request and not the process.
TEST_P(HttpClientTest, HostileHeadsAreErrors) {
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 300; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  for (const std::string& answer :
       {std::string("SSH-2.0-OpenSSH_9\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nX: ") + std::string(100'000, 'x') + "\r\n\r\n",
        many + "\r\n", std::string("HTTP/1.1 200"), std::string(),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), std::string(1000, '\0')}) {
    std::string url = Serve([&](Peer& peer, int) -> asio::awaitable<void> {
      co_await peer.ReadHead();
      co_await peer.Write(answer);
    });
    Result<std::string> body = Fetch(Get(url));
    ASSERT_FALSE(body) << answer.substr(0, 40);
    EXPECT_EQ(body.error().kind, ErrorKind::kRetryable) << body.error().Describe();
  }
}

// The server closes an idle connection just when it is used again: no reason to bother anyone.
TEST_P(HttpClientTest, SendsAgainOnAFreshConnectionWhenAKeptOneWasDead) {
  for (size_t body_size : {size_t{0}, size_t{100}, size_t{200'000}}) {
    connections = 0;
    std::string url = Serve([&](Peer& peer, int connection) -> asio::awaitable<void> {
      co_await peer.ReadHead();
      co_await peer.ReadBody(body_size);
      co_await peer.Write(std::string(kHello));
      if (connection > 0) co_return;
      co_await peer.ReadHead();  // Takes the second request and says nothing.
      peer.Reset();
    });
    std::string bytes(body_size, 'b');
    int times_sent = 0;
    for (int i = 0; i < 2; ++i) {
      HttpRequest request = Get(url);
      request.times_sent = &times_sent;
      if (body_size > 0) {
        request.method = "PUT";
        request.body = AsBytes(bytes);
      }
      Result<std::string> body = Fetch(std::move(request));
      ASSERT_TRUE(body) << body_size << ": " << body.error().Describe();
    }
    EXPECT_EQ(connections, 2);
    EXPECT_EQ(times_sent, 3);  // As the server saw them: each may be on a bill.
  }
}

// What was asked for once may be carried out although its connection broke: a second one, answered
// at once, would hide that the first is still to come.
TEST_P(HttpClientTest, WhatGoesOutOnceIsNotSentAgainOnAFreshConnection) {
  for (size_t body_size : {size_t{0}, size_t{100}, size_t{200'000}}) {
    connections = 0;
    int requests = 0;
    std::string url = Serve([&](Peer& peer, int connection) -> asio::awaitable<void> {
      while (!(co_await peer.ReadHead()).empty()) {
        ++requests;
        co_await peer.ReadBody(body_size);
        if (connection == 0 && requests == 2) break;
        co_await peer.Write(std::string(kHello));
      }
      peer.Reset();
    });
    std::string bytes(body_size, 'b');
    for (int i = 0; i < 2; ++i) {
      HttpRequest request = Get(url);
      request.method = body_size > 0 ? "PUT" : "DELETE";
      if (body_size > 0) request.body = AsBytes(bytes);
      request.once = true;
      Result<std::string> body = Fetch(std::move(request));
      if (i == 0) {
        ASSERT_TRUE(body) << body_size << ": " << body.error().Describe();
        continue;
      }
      ASSERT_FALSE(body) << body_size;
      EXPECT_TRUE(MayHaveHappened(body.error())) << body.error().Describe();
    }
    EXPECT_EQ(requests, 2) << body_size;
    EXPECT_EQ(connections, 1) << body_size;
  }
}

// A server may end a connection at any time and without a word: a request that cannot be sent again
// must not be lost to a connection of which that could have been known, be it ever so fresh.
TEST_P(HttpClientTest, WhatGoesOutOnceGoesToNoConnectionThatHasEnded) {
  Event ended;
  std::string url = Serve([&](Peer& peer, int) -> asio::awaitable<void> {
    co_await peer.ReadHead();
    co_await peer.Write(std::string(kHello));
    peer.Close();
    ended.Set();
  });
  auto twice = [](HttpClient& client, HttpRequest request, Event& ended) -> Async<std::string> {
    Result<std::string> first = co_await FetchText(client, request);
    if (!first) co_return first;
    co_await ended.Wait();
    co_return co_await FetchText(client, std::move(request));
  };
  HttpRequest request = Get(url);
  request.once = true;
  Result<std::string> body = world.Run(twice(*client, std::move(request), ended));
  ASSERT_TRUE(body) << body.error().Describe();
  EXPECT_EQ(connections, 2);
}

// On a new connection the same is an error of the caller's: the request may have been carried out.
TEST_P(HttpClientTest, DoesNotRepeatOnAFirstConnection) {
  std::string url = Serve([](Peer& peer, int) -> asio::awaitable<void> {
    co_await peer.ReadHead();
    peer.Reset();
  });
  Result<std::string> body = Fetch(Get(url));
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().kind, ErrorKind::kRetryable);
  EXPECT_EQ(connections, 1);
}

TEST_P(HttpClientTest, RefusedConnectionIsRetryable) {
  std::string url;
  {
    tcp::acceptor closed(world.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    url = Scheme() + "127.0.0.1:" + std::to_string(closed.local_endpoint().port());
  }
  Result<std::string> body = Fetch(Get(url));
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().kind, ErrorKind::kRetryable);
}

TEST_P(HttpClientTest, NonsenseUrlIsInvalidInput) {
  for (const char* url :
       {"", "ftp://127.0.0.1/", "http://a b/", "https://a b/", "file:///etc/passwd"}) {
    Result<std::string> body = Fetch(Get(url));
    ASSERT_FALSE(body) << url;
    EXPECT_EQ(body.error().kind, ErrorKind::kInvalidInput) << url << body.error().Describe();
  }
}

// A server that falls silent must not hold a transfer for ever.
TEST_P(HttpClientTest, SilenceEndsInAStall) {
  std::string url = Serve([this](Peer& peer, int connection) -> asio::awaitable<void> {
    co_await peer.ReadHead();
    if (connection == 1) co_await peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
    co_await never.Wait();
  });
  for (int i = 0; i < 2; ++i) {
    HttpRequest request = Get(url);
    request.timeouts.stall = 400ms;
    SteadyTime start = world.clock.SteadyNow();
    Result<std::string> body = Fetch(std::move(request));
    ASSERT_FALSE(body);
    EXPECT_NE(body.error().message.find("stalled"), std::string::npos) << body.error().Describe();
    EXPECT_LT(world.clock.SteadyNow() - start, 2s);
  }
}

// Slow is not stalled, but a deadline is a deadline.
TEST_P(HttpClientTest, TotalDeadlineEndsASlowBody) {
  std::string url = Serve([this](Peer& peer, int) -> asio::awaitable<void> {
    co_await peer.ReadHead();
    co_await peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    for (int i = 0; i < 100; ++i) {
      co_await peer.Write("x");
      co_await never.WaitFor(world.clock, 20ms);
    }
  });
  HttpRequest request = Get(url);
  request.timeouts.stall = 500ms;
  request.timeouts.total = 700ms;
  Result<std::string> body = Fetch(std::move(request));
  ASSERT_FALSE(body);
  EXPECT_NE(body.error().message.find("in time"), std::string::npos) << body.error().Describe();
}

// Gives `size` bytes in odd pieces, like a body that comes from another store.
class PatternSource : public HttpBodySource {
 public:
  PatternSource(Clock& clock, uint64_t size) : clock_(clock), left_(size) {}
  Async<size_t> Read(std::span<std::byte> out) override {
    EXPECT_GE(out.size(), 256U << 10);  // Sources frame their bytes in one buffer.
    if (++reads_ % 3 == 0) co_await clock_.Sleep(1ms);
    if (fail_after_ == 0) co_return Corrupt("the source broke");
    --fail_after_;
    size_t count = std::min<uint64_t>({out.size(), left_, 100'003});
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<std::byte>(at_++ % 251);
    left_ -= count;
    co_return count;
  }
  int fail_after_ = 1 << 30;

 private:
  Clock& clock_;
  uint64_t left_;
  uint64_t at_ = 0;
  int reads_ = 0;
};

// A relay: what a slow source gives goes out once, in order, with its length or chunked.
TEST_P(HttpClientTest, StreamsUpFromASource) {
  constexpr uint64_t kSize = 3'000'000;
  std::string head;
  bool right = false;
  std::string url = Serve([&](Peer& peer, int connection) -> asio::awaitable<void> {
    head = co_await peer.ReadHead();
    if (connection == 0) {
      std::string body = co_await peer.ReadBody(kSize);
      right = body.size() == kSize;
      for (size_t i = 0; i < body.size() && right; ++i) {
        right = static_cast<uint8_t>(body[i]) == i % 251;
      }
    } else {
      std::string last;
      while (!last.ends_with("0\r\n\r\n")) {
        std::string next = co_await peer.ReadBody(1);
        if (next.empty()) break;
        last = (last + next).substr(last.size() > 8 ? 1 : 0);
        right = last.ends_with("0\r\n\r\n");
      }
    }
    co_await peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    peer.Close();
  });
  for (bool sized : {true, false}) {
    PatternSource source(world.clock, sized ? kSize : 300'000);
    HttpRequest request = Get(url);
    request.method = "PUT";
    request.source = &source;
    if (sized) request.source_size_bytes = kSize;
    right = false;
    Result<std::string> body = Fetch(std::move(request));
    ASSERT_TRUE(body) << body.error().Describe();
    EXPECT_TRUE(right) << "sized " << sized;
    EXPECT_EQ(head.find("Expect"), std::string::npos);
    EXPECT_EQ(head.find("chunked") == std::string::npos, sized);
  }
}

// The source's own error is what the caller must see, and the server must not take half a body.
TEST_P(HttpClientTest, ErrorOfTheSourceEndsTheRequest) {
  bool complete = false;
  std::string url = Serve([&](Peer& peer, int) -> asio::awaitable<void> {
    co_await peer.ReadHead();
    complete = (co_await peer.ReadBody(3'000'000)).size() == 3'000'000;
  });
  PatternSource source(world.clock, 3'000'000);
  source.fail_after_ = 4;
  HttpRequest request = Get(url);
  request.method = "PUT";
  request.source = &source;
  request.source_size_bytes = 3'000'000;
  Result<std::string> body = Fetch(std::move(request));
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().kind, ErrorKind::kCorrupt);
  EXPECT_FALSE(complete);
}

// "403" while a gigabyte is on its way up: the answer counts, the rest is not sent.
TEST_P(HttpClientTest, EarlyErrorAnswerEndsTheUpload) {
  std::string url = Serve([this](Peer& peer, int) -> asio::awaitable<void> {
    co_await peer.ReadHead();
    co_await peer.ReadBody(100'000);
    co_await peer.Write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    co_await never.Wait();
  });
  std::string bytes(64 << 20, 'x');
  for (bool streamed : {false, true}) {
    PatternSource source(world.clock, bytes.size());
    HttpRequest request = Get(url);
    request.method = "PUT";
    if (streamed) {
      request.source = &source;
      request.source_size_bytes = bytes.size();
    } else {
      request.body = AsBytes(bytes);
    }
    HttpResponse response;
    Result<std::string> body = Fetch(std::move(request), &response);
    ASSERT_TRUE(body) << body.error().Describe();
    EXPECT_EQ(response.status, 403);
    EXPECT_EQ(*body, "no");
  }
}

Async<void> OpenAndDrop(HttpClient& client, std::string url, size_t read_bytes) {
  HttpRequest request;
  request.url = std::move(url);
  Result<HttpResponse> response = co_await client.Send(std::move(request));
  if (!response) co_return response.error();
  std::vector<std::byte> buffer(read_bytes);
  Result<size_t> count = co_await response->body->Read(buffer);
  if (!count) co_return count.error();
  co_return Ok();
}

asio::awaitable<void> ServePattern(Peer& peer, size_t size) {
  std::string body(size, '\0');
  for (size_t i = 0; i < size; ++i) body[i] = static_cast<char>(i % 251);
  while (!(co_await peer.ReadHead()).empty()) {
    co_await peer.Write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
                        body);
  }
}

// Dropping a response mid-body is how a reader says that it has seen enough.
TEST_P(HttpClientTest, ResponseMayBeDroppedMidBody) {
  std::string url = Serve([](Peer& peer, int) { return ServePattern(peer, 8 << 20); });
  for (int i = 0; i < 5; ++i) {
    Result<void> dropped = world.Run(OpenAndDrop(*client, url, 1000));
    ASSERT_TRUE(dropped) << dropped.error().Describe();
  }
}

Async<void> ReadSlowly(HttpClient& client, Clock& clock, std::string url, size_t size) {
  HttpRequest request;
  request.url = std::move(url);
  Result<HttpResponse> response = co_await client.Send(std::move(request));
  if (!response) co_return response.error();
  std::vector<std::byte> buffer(70'001);
  size_t at = 0;
  for (int i = 0;; ++i) {
    if (i % 10 == 0) co_await clock.Sleep(2ms);
    Result<size_t> count = co_await response->body->Read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) break;
    for (size_t j = 0; j < *count; ++j, ++at) {
      if (buffer[j] != static_cast<std::byte>(at % 251)) co_return Corrupt("wrong byte");
    }
  }
  if (at != size) co_return Corrupt("wrong size " + std::to_string(at));
  co_return Ok();
}

// A reader slower than the network pauses it, and gets every byte once.
TEST_P(HttpClientTest, SlowReaderHoldsTheServerBack) {
  std::string url = Serve([](Peer& peer, int) { return ServePattern(peer, 9'000'001); });
  Result<void> read = world.Run(ReadSlowly(*client, world.clock, url, 9'000'001));
  ASSERT_TRUE(read) << read.error().Describe();
}

Async<void> ReadMany(HttpClient& client, testing::RealWorld& world, std::string url, int count) {
  TaskGroup group(world.io.get_executor());
  for (int i = 0; i < count; ++i) group.Spawn(ReadSlowly(client, world.clock, url, 300'000));
  co_return co_await group.Join();
}

Async<void> ReadAndWrite(HttpClient& client, Clock& clock, std::string url, std::string_view body) {
  for (int i = 0; i < 5; ++i) {
    Result<void> read = co_await ReadSlowly(client, clock, url, 300'000);
    if (!read) co_return read.error();
    HttpRequest put;
    put.method = "PUT";
    put.url = url;
    put.body = AsBytes(body);
    put.timeouts.stall = 5s;
    Result<HttpResponse> response = co_await client.Send(std::move(put));
    if (!response) co_return response.error();
    Result<std::string> text = co_await ReadAll(*response->body, 1000);
    if (!text) co_return text.error();
  }
  co_return Ok();
}

Async<void> ReadAndWriteMany(HttpClient& client, testing::RealWorld& world, std::string url,
                             std::string_view body) {
  TaskGroup group(world.io.get_executor());
  for (int i = 0; i < 8; ++i) group.Spawn(ReadAndWrite(client, world.clock, url, body));
  co_return co_await group.Join();
}

// News of bytes that have been read already is no answer: an upload that waited for one would wait
// for ever, as its server waits for the rest.
TEST_P(HttpClientTest, UploadsOnConnectionsThatWereJustRead) {
  const std::string bytes(4'000'000, 'b');
  std::string download(300'000, '\0');
  for (size_t i = 0; i < download.size(); ++i) download[i] = static_cast<char>(i % 251);
  std::string url = Serve([&](Peer& peer, int) -> asio::awaitable<void> {
    while (true) {
      std::string head = co_await peer.ReadHead();
      if (head.empty()) co_return;
      if (head.starts_with("GET")) {
        co_await peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + download);
      } else {
        co_await peer.ReadBody(bytes.size());
        co_await peer.Write(std::string(kHello));
      }
    }
  });
  Result<void> done = world.Run(ReadAndWriteMany(*client, world, url, bytes));
  ASSERT_TRUE(done) << done.error().Describe();
}

// More at once than the client lets out: all are served, by no more connections than allowed.
TEST_P(HttpClientTest, HundredAtOnce) {
  Restart({.requests_max = 16});
  std::string url = Serve([](Peer& peer, int) { return ServePattern(peer, 300'000); });
  Result<void> read = world.Run(ReadMany(*client, world, url, 100));
  ASSERT_TRUE(read) << read.error().Describe();
  EXPECT_LE(connections, 100);
}

// A proxy variable in the environment must not redirect anyone's data.
TEST_P(HttpClientTest, IgnoresProxiesOfTheEnvironment) {
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  std::string url = Serve([](Peer& peer, int) { return AnswerAll(peer, std::string(kHello)); });
  EXPECT_TRUE(Fetch(Get(url)));
  ::unsetenv("http_proxy");
}

// The head of an answer to HEAD announces a body that does not come.
TEST_P(HttpClientTest, HeadHasNoBody) {
  std::string url = Serve([](Peer& peer, int) {
    return AnswerAll(peer, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  });
  for (int i = 0; i < 2; ++i) {
    HttpRequest request = Get(url);
    request.method = "HEAD";
    HttpResponse response;
    Result<std::string> body = Fetch(std::move(request), &response);
    ASSERT_TRUE(body) << body.error().Describe();
    EXPECT_EQ(*body, "");
    EXPECT_EQ(response.headers.Get("Content-Length"), "1000");
  }
  EXPECT_EQ(connections, 1);
}

// Hints that come before the answer are not the answer.
TEST_P(HttpClientTest, SkipsInformationalAnswers) {
  std::string url = Serve([](Peer& peer, int) {
    return AnswerAll(peer, "HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n" + std::string(kHello));
  });
  HttpResponse response;
  Result<std::string> body = Fetch(Get(url), &response);
  ASSERT_TRUE(body) << body.error().Describe();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(*body, "hello");
  EXPECT_EQ(response.headers.Find("X-Hint"), nullptr);
}

// A server that will close, or that said more than its answer, must not get another request there.
TEST_P(HttpClientTest, DoesNotReuseWhatCannotBeReused) {
  for (const std::string& answer :
       {std::string("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"),
        std::string("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        std::string(kHello) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"}) {
    connections = 0;
    std::string url = Serve([&](Peer& peer, int) { return AnswerAll(peer, answer); });
    for (int i = 0; i < 2; ++i) {
      Result<std::string> body = Fetch(Get(url));
      ASSERT_TRUE(body) << body.error().Describe();
      EXPECT_EQ(*body, "hello");
    }
    EXPECT_EQ(connections, 2) << answer;
  }
}

// Without a length the end of the connection is the end of the body. (RFC 9112, 6.3.)
TEST_P(HttpClientTest, ReadsABodyThatEndsWithItsConnection) {
  std::string url = Serve([](Peer& peer, int) -> asio::awaitable<void> {
    co_await peer.ReadHead();
    co_await peer.Write("HTTP/1.1 200 OK\r\n\r\nhel");
    co_await peer.Write("lo");
    co_await peer.End();
  });
  Result<std::string> body = Fetch(Get(url));
  ASSERT_TRUE(body) << body.error().Describe();
  EXPECT_EQ(*body, "hello");
}

// Endpoints have names; this one often means two addresses, of which one answers.
TEST_P(HttpClientTest, FindsAHostByItsName) {
  std::string url = Serve([](Peer& peer, int) { return AnswerAll(peer, std::string(kHello)); });
  Result<std::string> body = Fetch(Get(Scheme() + "localhost" + url.substr(url.rfind(':')) + "/"));
  ASSERT_TRUE(body) << body.error().Describe();
  EXPECT_EQ(*body, "hello");
  Result<std::string> none = Fetch(Get(Scheme() + "no-such-host.invalid/"));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, kNotSentCode);
}

Async<void> SleepFor(Clock& clock, std::chrono::milliseconds time) {
  co_await clock.Sleep(time);
  co_return Ok();
}

// A process that ends with requests under way takes their coroutines along and touches no freed
// memory.
TEST_P(HttpClientTest, ClientMayGoWhileCoroutinesWait) {
  std::string url = Serve([this](Peer& peer, int) -> asio::awaitable<void> {
    co_await peer.ReadHead();
    co_await peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
    co_await never.Wait();
  });
  struct Forever {
    static asio::awaitable<void> Run(HttpClient& client, std::string url) {
      Result<std::string> text = co_await FetchText(client, Get(std::move(url)));
      ADD_FAILURE() << "should still be waiting";
    }
  };
  for (int i = 0; i < 3; ++i) world.Start(Forever::Run(*client, url));
  ASSERT_TRUE(world.Run(SleepFor(world.clock, 50ms)));
  client.reset();
}

INSTANTIATE_TEST_SUITE_P(Ways, HttpClientTest,
                         ::testing::Values(Way{.tls = false}, Way{.tls = true},
                                           Way{.tls = false, .shards = 3},
                                           Way{.tls = true, .shards = 3}),
                         [](const auto& info) {
                           return std::string(info.param.tls ? "Https" : "Http") +
                                  (info.param.shards > 1 ? "Shards" : "");
                         });

}  // namespace
}  // namespace longhaul
