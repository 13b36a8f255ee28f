// What an HttpClient sends and what it takes for an answer. Also: http_client_connections_test.cc,
// http_client_streams_test.cc and http_client_tls_test.cc.

#include "net/http_client.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/http_client_fixture.h"

namespace longhaul {
namespace {

using testing::AnswerAll;
using testing::HttpClientTest;
using testing::kHello;
using testing::Peer;
using testing::Way;

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
    auto counter = std::make_shared<int>(0);  // The script may outlast the round.
    std::string url = Serve([=](Peer& peer, int) -> asio::awaitable<void> {
      co_await peer.ReadHead();
      if (trailers) {
        co_await peer.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
      }
      for (; *counter < kLines; ++*counter) {
        const std::string more = trailers ? line + "\r\n" : "HTTP/1.1 100 " + line + "\r\n\r\n";
        if (!co_await peer.Write(more)) co_return;
      }
    });
    Result<std::string> body = Fetch(Get(url));
    ASSERT_FALSE(body) << trailers;
    EXPECT_EQ(body.error().kind, ErrorKind::kRetryable) << body.error().Describe();
    EXPECT_LT(*counter, kLines / 2) << trailers;
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

TEST_P(HttpClientTest, NonsenseUrlIsInvalidInput) {
  for (const char* url :
       {"", "ftp://127.0.0.1/", "http://a b/", "https://a b/", "file:///etc/passwd"}) {
    Result<std::string> body = Fetch(Get(url));
    ASSERT_FALSE(body) << url;
    EXPECT_EQ(body.error().kind, ErrorKind::kInvalidInput) << url << body.error().Describe();
  }
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
