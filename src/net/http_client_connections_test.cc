// How an HttpClient makes, keeps and gives up connections, and what becomes of the requests on
// them.

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/event_loop.h"
#include "tests/support/http_client_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using testing::AnswerAll;
using testing::HttpClientTest;
using testing::kHello;
using testing::Peer;

// A connection for each request would triple the cost of small objects.
TEST_P(HttpClientTest, KeepsConnectionsAlive) {
  std::string url = Serve([](Peer& peer, int) { return AnswerAll(peer, std::string(kHello)); });
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Fetch(Get(url + "/x")));
  EXPECT_EQ(connections, 1);
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
    EXPECT_LT(world.clock.SteadyNow() - start, 10s);
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
  request.timeouts.stall = 1s;
  request.timeouts.total = 1400ms;
  Result<std::string> body = Fetch(std::move(request));
  ASSERT_FALSE(body);
  EXPECT_NE(body.error().message.find("in time"), std::string::npos) << body.error().Describe();
}

// A proxy variable in the environment must not redirect anyone's data.
TEST_P(HttpClientTest, IgnoresProxiesOfTheEnvironment) {
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  std::string url = Serve([](Peer& peer, int) { return AnswerAll(peer, std::string(kHello)); });
  EXPECT_TRUE(Fetch(Get(url)));
  ::unsetenv("http_proxy");
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

// What the event loop goes by: too few, and it wakes for each answer; one that is counted for ever
// would slow down all that is asked alone.
TEST_P(HttpClientTest, WhatItWaitsForIsCounted) {
  constexpr size_t kBodyBytes = 8 << 20;  // More than a socket takes.
  Event read_body, begin, end;
  std::string url = Serve([&](Peer& peer, int) -> asio::awaitable<void> {
    const std::string head = co_await peer.ReadHead();
    if (head.starts_with("PUT")) {
      co_await read_body.Wait();
      co_await peer.ReadBody(kBodyBytes);
    }
    co_await begin.Wait();
    co_await peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
    co_await end.Wait();
    co_await peer.Write("cdefghi");
  });
  auto waits = [this] {
    NetworkWaits sum;
    auto add = [&sum](const asio::any_io_executor& executor) {
      const std::shared_ptr<NetworkWaits> waits = NetworkWaits::Of(executor);
      sum.answers += waits->answers;
      sum.bodies += waits->bodies;
    };
    add(world.runtime.executor);
    for (const std::unique_ptr<Shard>& shard : shards.all()) {
      shard->RunAndWait([&] { add(shard->executor()); });
    }
    return std::pair(sum.answers, sum.bodies);
  };
  auto expect = [&](int answers, int bodies) {
    for (int looks = 0; looks < 1000 && waits() != std::pair(answers, bodies); ++looks) {
      ASSERT_TRUE(world.Run(SleepFor(world.clock, 10ms)));
    }
    EXPECT_EQ(waits(), std::pair(answers, bodies));
  };
  const std::string bytes(kBodyBytes, 'b');
  TaskGroup group(world.runtime.executor);
  for (int i = 0; i < 5; ++i) {
    HttpRequest request = Get(url);
    if (i >= 3) {
      request.method = "PUT";
      request.body = AsBytes(bytes);
    }
    group.Spawn([](HttpClient& client, HttpRequest request) -> Async<void> {
      Result<std::string> text = co_await FetchText(client, std::move(request));
      if (!text) co_return text.error();
      co_return Ok();
    }(*client, std::move(request)));
  }
  expect(3, 2);
  read_body.Set();
  expect(5, 0);
  begin.Set();
  expect(0, 5);
  end.Set();
  ASSERT_TRUE(world.Run(group.Join()));
  expect(0, 0);
}

}  // namespace
}  // namespace longhaul
