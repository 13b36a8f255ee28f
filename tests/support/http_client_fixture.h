// HttpClientTest: an HttpClient and a server that says what a test tells it to say. Its tests are
// in src/net/http_client_*test.cc; http_client_test.cc runs them all by HTTP and by TLS, on one
// shard and on several.

#pragma once

#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "base/shards.h"
#include "net/http_client.h"
#include "tests/support/run.h"
#include "tests/support/tls.h"

namespace longhaul::testing {

// One accepted connection of a server that says what a test tells it to say.
class Peer {
 public:
  // `tls`: null for plain HTTP.
  Peer(asio::ip::tcp::socket socket, asio::ssl::context* tls)
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
  // False: the client has gone.
  asio::awaitable<bool> Write(std::string text) {
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    if (tls_) {
      co_await asio::async_write(*tls_, asio::buffer(text), token);
    } else {
      co_await asio::async_write(socket_, asio::buffer(text), token);
    }
    co_return !error;
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

  using Tls = asio::ssl::stream<asio::ip::tcp::socket&>;

  asio::ip::tcp::socket socket_;
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
    acceptor_ = std::make_unique<asio::ip::tcp::acceptor>(
        world.io, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
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
  RealWorld world;
  std::unique_ptr<HttpClient> client;
  Event never;  // What a silent server waits for; takes its coroutines along at the end.
  int connections = 0;

 private:
  asio::awaitable<void> Accept(Script& script) {
    while (true) {
      boost::system::error_code error;
      asio::ip::tcp::socket socket =
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

  TlsServer tls_{"IP:127.0.0.1,DNS:localhost"};

  std::list<Script> scripts_;  // Their captures live as long as the coroutines they start.
  std::unique_ptr<asio::ip::tcp::acceptor> acceptor_;
};

inline constexpr std::string_view kHello =
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello";

inline asio::awaitable<void> AnswerAll(Peer& peer, std::string answer) {
  while (!(co_await peer.ReadHead()).empty()) co_await peer.Write(answer);
}

}  // namespace longhaul::testing
