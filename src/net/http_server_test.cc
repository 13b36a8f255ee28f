#include "net/http_server.h"

#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/bytes.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using tcp = asio::ip::tcp;
using std::chrono::milliseconds;
using testing::RealWorld;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

// What the last request was, and the answer: by path.
struct Seen {
  std::string target;
  std::string body;
  HttpHeaders trailers;
  Error error;
  int count = 0;
};

asio::awaitable<void> Handle(Seen* seen, Clock* clock, HttpServerRequest& request,
                             HttpServerResponse& response) {
  ++seen->count;
  seen->target = request.head.target;
  if (request.path() == "/silent") co_return;
  if (request.path() == "/throws") throw std::runtime_error("a bug");
  if (request.path() == "/refuse") {
    response.status = 403;
    (void)co_await response.Send("no\n");
    co_return;
  }
  if (request.path() == "/slow") co_await clock->Sleep(milliseconds(200));
  Result<std::string> body = co_await request.ReadBody(1 << 20);
  if (!body) {
    seen->error = body.error();
    response.status = body.error().http_status == 413 ? 413 : 400;
    (void)co_await response.Send("bad body\n");
    co_return;
  }
  seen->body = *body;
  seen->trailers = request.trailers();
  response.headers.Add("X-Test", "a");
  response.headers.Add("X-Bad", "a\r\nInjected: yes");
  if (request.path() == "/stream") {
    (void)co_await response.Start(std::nullopt);
    (void)co_await response.Write(AsBytes("one,"));
    (void)co_await response.Write(AsBytes("two"));
    (void)co_await response.Finish();
    co_return;
  }
  if (request.path() == "/short") {
    (void)co_await response.Start(100);
    (void)co_await response.Write(AsBytes("only this"));
    (void)co_await response.Finish();
    co_return;
  }
  (void)co_await response.Send("hello " + seen->body);
}

// Sends raw bytes and returns all that comes back until the server closes or is quiet.
Async<std::string> Exchange(uint16_t port, std::vector<std::string> pieces, Clock& clock) {
  tcp::socket socket(co_await CurrentExecutor());
  boost::system::error_code refused;
  socket.connect({asio::ip::make_address("127.0.0.1"), port}, refused);
  if (refused) co_return Retryable(refused.message());
  std::string answer;
  std::string buffer(64 << 10, '\0');
  for (const std::string& piece : pieces) {
    if (piece == "<wait>") {
      co_await clock.Sleep(milliseconds(100));
      continue;
    }
    auto [error, count] = co_await asio::async_write(socket, asio::buffer(piece), kAsTuple);
    if (error) co_return Retryable(error.message());
  }
  while (true) {
    auto [error, count] = co_await socket.async_read_some(asio::buffer(buffer), kAsTuple);
    if (error) break;
    answer.append(buffer, 0, count);
  }
  co_return answer;
}

class HttpServerTest : public ::testing::Test {
 protected:
  explicit HttpServerTest(HttpServerOptions options = {})
      : server_(
            world_.runtime,
            [this](HttpServerRequest& request, HttpServerResponse& response) {
              return Handle(&seen_, &world_.clock, request, response);
            },
            options) {}
  void SetUp() override {
    Result<void> listening = world_.Run(server_.Listen("127.0.0.1:0"));
    ASSERT_TRUE(listening) << listening.error().Describe();
  }
  void TearDown() override { (void)world_.Run(server_.Stop(milliseconds(100))); }

  std::string Send(std::vector<std::string> pieces) {
    Result<std::string> answer =
        world_.Run(Exchange(server_.port(), std::move(pieces), world_.clock));
    EXPECT_TRUE(answer) << answer.error().Describe();
    return answer ? *answer : "";
  }
  std::string Send(std::string text) { return Send(std::vector<std::string>{std::move(text)}); }

  RealWorld world_;
  Seen seen_;
  HttpServer server_;
};

size_t CountOf(const std::string& text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// A target that is cleaned on the way would name another object.
TEST_F(HttpServerTest, TargetsArriveAsSent) {
  std::string answer =
      Send("GET /a//b/../%2e%2F+%41?x=%20+&&y HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(seen_.target, "/a//b/../%2e%2F+%41?x=%20+&&y");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nhello ")) << answer;
  EXPECT_NE(answer.find("\r\nDate: "), std::string::npos);
  EXPECT_NE(answer.find("\r\nX-Test: a\r\n"), std::string::npos);
  // A value with a line break would let a key or a metadata value forge headers.
  EXPECT_EQ(answer.find("Injected"), std::string::npos);
}

// Pipelined requests on one connection, with bodies of both kinds between them.
TEST_F(HttpServerTest, KeepAliveAndBodies) {
  std::string answer = Send(
      "PUT /1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nfirst"
      "PUT /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;ext=1\r\nsec\r\n3\r\nond\r\n0\r\nX-Trailer: t\r\n\r\n"
      "GET /3 HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(CountOf(answer, "HTTP/1.1 200 OK"), 3u) << answer;
  EXPECT_NE(answer.find("hello first"), std::string::npos);
  EXPECT_NE(answer.find("hello second"), std::string::npos);
  EXPECT_EQ(seen_.count, 3);
}

TEST_F(HttpServerTest, TrailersAreKept) {
  Send(
      "PUT /t HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "1\r\nx\r\n0\r\nx-amz-checksum-crc32: AAAA\r\n\r\n");
  EXPECT_EQ(seen_.trailers.Get("X-Amz-Checksum-Crc32"), "AAAA");
}

// Byte by byte is how slow networks and hostile clients send.
TEST_F(HttpServerTest, SplitAnywhere) {
  std::string request =
      "PUT /split HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "3\r\nabc\r\n0\r\n\r\n";
  std::vector<std::string> pieces;
  for (char c : request) pieces.emplace_back(1, c);
  EXPECT_TRUE(Send(pieces).ends_with("hello abc"));
}

TEST_F(HttpServerTest, AnswersInChunksAndToHead) {
  std::string answer = Send("GET /stream HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n")) << answer;
  answer = Send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\none,two")) << answer;
  answer = Send("HEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("Content-Length: 6\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

// A client that gets fewer bytes than announced must see it as a cut answer.
TEST_F(HttpServerTest, ShortAnswersCloseTheConnection) {
  std::string answer = Send("GET /short HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("only this")) << answer;
  EXPECT_EQ(seen_.count, 1);
}

TEST_F(HttpServerTest, ContinueIsSentWhenTheBodyIsWanted) {
  std::string answer = Send(
      {"PUT /c HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
       "<wait>", "hi"});
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")) << answer;
  EXPECT_EQ(seen_.body, "hi");
  // And not when it is not: the client then never sends it.
  answer = Send("PUT /refuse HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 Forbidden")) << answer;
  // The connection ends with it, and the client is told: it must not send its next request there.
  EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
}

// An upload that was refused unread: the answer arrives all the same.
TEST_F(HttpServerTest, UnreadBodiesAreDrainedOrCutOff) {
  std::string answer = Send(
      "PUT /refuse HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"
      "GET /2 HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("403"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("hello ")) << answer;
  EXPECT_EQ(CountOf(answer, "Connection: close"), 1U) << answer;
  std::string large(3 << 20, 'x');
  answer =
      Send("PUT /refuse HTTP/1.1\r\nContent-Length: " + std::to_string(large.size()) + "\r\n\r\n");
  EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
  answer = Send("PUT /x HTTP/1.1\r\nContent-Length: " + std::to_string(large.size()) + "\r\n\r\n" +
                large.substr(0, 900'000));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413")) << answer.substr(0, 100);
}

// Bugs in a handler must not take the connection's client along without an answer.
TEST_F(HttpServerTest, BrokenHandlersAnswer500) {
  EXPECT_TRUE(
      Send("GET /silent HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 500"));
  EXPECT_TRUE(Send("GET /throws HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 500"));
}

// What can be read in two ways is how requests are smuggled past a proxy.
TEST_F(HttpServerTest, AmbiguousAndHostileRequestsAreRefused) {
  struct Case {
    std::string request;
    std::string status;
  };
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 300; ++i) many += "H: 1\r\n";
  for (const Case& c : {
           Case{"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
           {"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"},
           {"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"},
           {"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "400"},
           {"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"},
           {"GET / HTTP/1.1\r\nA: 1\r\n folded\r\n\r\n", "400"},
           {"GET / HTTP/1.1\r\nA : 1\r\n\r\n", "400"},
           {"GET / HTTP/2.0\r\n\r\n", "505"},
           {"GET http://other/ HTTP/1.1\r\n\r\n", "400"},
           {"G\x01T / HTTP/1.1\r\n\r\n", "400"},
           {"nonsense\r\n\r\n", "400"},
           {many + "\r\n", "431"},
           {"GET /" + std::string(20'000, 'x') + " HTTP/1.1\r\n\r\n", "414"},
           {"GET / HTTP/1.1\r\nA: " + std::string(70'000, 'x'), "431"},
       }) {
    std::string answer = Send(c.request);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + c.status)) << c.request.substr(0, 80) << answer;
  }
  EXPECT_EQ(seen_.count, 0);
  for (const char* chunks : {"zz\r\nabc\r\n", "3\r\nabcdef\r\n0\r\n\r\n", "-1\r\n\r\n"}) {
    std::string answer =
        Send(std::string("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n") + chunks);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400")) << answer;
  }
}

// "It does not start" is not enough for someone who has another server running.
TEST_F(HttpServerTest, AddressInUseIsSaid) {
  HttpServer second(world_.runtime, [](HttpServerRequest&, HttpServerResponse&) {
    return asio::awaitable<void>();
  });
  Result<void> listening = world_.Run(second.Listen(server_.address()));
  ASSERT_FALSE(listening);
  EXPECT_EQ(listening.error().code, "AddressInUse");
  EXPECT_NE(listening.error().message.find(server_.address()), std::string::npos);
  for (const char* bad : {"nonsense", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:8x"}) {
    EXPECT_FALSE(world_.Run(second.Listen(bad))) << bad;
  }
}

Async<void> StopSoon(HttpServer& server, Clock& clock) {
  co_await clock.Sleep(milliseconds(50));
  co_return co_await server.Stop(milliseconds(2000));
}
Async<std::string> ExchangeAndStop(HttpServer& server, std::string request, Clock& clock) {
  TaskGroup group(co_await CurrentExecutor());
  group.Spawn(StopSoon(server, clock));
  Result<std::string> answer = co_await Exchange(server.port(), {std::move(request)}, clock);
  (void)co_await group.Join();
  co_return answer;
}

// A stop while requests run lets them finish.
TEST_F(HttpServerTest, StopFinishesWhatRuns) {
  Result<std::string> answer =
      world_.Run(ExchangeAndStop(server_, "GET /slow HTTP/1.1\r\n\r\n", world_.clock));
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->ends_with("hello ")) << *answer;
  EXPECT_EQ(server_.connections(), 0);
  EXPECT_FALSE(world_.Run(Exchange(server_.port(), {"GET / HTTP/1.1\r\n\r\n"}, world_.clock)));
}

// Sends `head` and then a byte each 60 ms until the server has had enough: `ended`.
asio::awaitable<void> Trickle(uint16_t port, Clock& clock, std::string head, bool& ended) {
  tcp::socket socket(co_await CurrentExecutor());
  boost::system::error_code failed;
  socket.connect({asio::ip::make_address("127.0.0.1"), port}, failed);
  while (!failed) {
    auto [error, count] = co_await asio::async_write(socket, asio::buffer(head), kAsTuple);
    failed = error;
    head = "x";
    co_await clock.Sleep(milliseconds(60));
  }
  ended = true;
}

asio::awaitable<bool> Pause(Clock& clock) {
  co_await clock.Sleep(milliseconds(20));
  co_return true;
}

class ImpatientServerTest : public HttpServerTest {
 protected:
  ImpatientServerTest()
      : HttpServerTest({.idle_timeout = milliseconds(100),
                        .head_timeout = milliseconds(100),
                        .stall_timeout = milliseconds(100)}) {}
};

// Slow clients must not hold connections for ever.
TEST_F(ImpatientServerTest, SlowClientsAreCutOff) {
  EXPECT_EQ(Send(""), "");
  EXPECT_EQ(Send("GET / HTT"), "");
  std::string answer = Send("PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_EQ(answer.find("200"), std::string::npos) << answer;
}

// Nor one whose request was refused, which anybody can make, and who goes on byte by byte.
TEST_F(ImpatientServerTest, RefusedBodiesAreNotWaitedFor) {
  std::vector<std::string> pieces = {"PUT /refuse HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"};
  const SteadyTime begun = world_.clock.SteadyNow();
  bool ended = false;
  world_.Start(Trickle(server_.port(), world_.clock, pieces.front(), ended));
  const std::string answer = Send(pieces);
  EXPECT_NE(answer.find("403"), std::string::npos) << answer;
  while ((server_.connections() > 0 || !ended) &&
         world_.clock.SteadyNow() - begun < milliseconds(10'000)) {
    world_.Run(Pause(world_.clock));
  }
  EXPECT_EQ(server_.connections(), 0);
  EXPECT_TRUE(ended);
}

class SmallServerTest : public HttpServerTest {
 protected:
  SmallServerTest() : HttpServerTest({.connections_max = 3}) {}
};

// One request and its answer; the connection stays.
Async<std::string> Ask(tcp::socket& socket, std::string request) {
  auto [error, sent] = co_await asio::async_write(socket, asio::buffer(request), kAsTuple);
  if (error) co_return Retryable(error.message());
  std::string buffer(4096, '\0');
  auto [closed, count] = co_await socket.async_read_some(asio::buffer(buffer), kAsTuple);
  if (closed) co_return Retryable(closed.message());
  co_return buffer.substr(0, count);
}

Async<std::vector<std::string>> AskInTurns(uint16_t port, int clients, Clock& clock) {
  std::vector<tcp::socket> sockets;
  std::vector<std::string> answers;
  std::string request = "GET / HTTP/1.1\r\n\r\n";
  for (int turn = 0; turn < clients; ++turn) {
    sockets.emplace_back(co_await CurrentExecutor());
    sockets.back().connect({asio::ip::make_address("127.0.0.1"), port});
    Result<std::string> answer = co_await Ask(sockets.back(), request);
    answers.push_back(answer ? *answer : answer.error().message);
    co_await clock.Sleep(milliseconds(10));  // The connections do not look equally old.
  }
  for (tcp::socket& socket : sockets) {
    Result<std::string> answer = co_await Ask(socket, request);
    answers.push_back(answer ? *answer : answer.error().message);
  }
  co_return answers;
}

// A sender of events that opens a connection for each and leaves it open (versitygw does, for three
// seconds) would keep all others out, and lose the events for which it cannot wait.
TEST_F(SmallServerTest, ConnectionsThatAreIdleMakeRoom) {
  SteadyTime begun = world_.clock.SteadyNow();
  Result<std::vector<std::string>> answers =
      world_.Run(AskInTurns(server_.port(), 5, world_.clock));
  ASSERT_TRUE(answers) << answers.error().Describe();
  for (int i = 0; i < 10; ++i) {
    // The first two have made room for the last two.
    EXPECT_EQ(CountOf((*answers)[i], "HTTP/1.1 200"), i == 5 || i == 6 ? 0U : 1U)
        << i << ": " << (*answers)[i];
  }
  EXPECT_LT(world_.clock.SteadyNow() - begun, std::chrono::seconds(10));
}

Async<std::vector<std::string>> AskAtOnce(uint16_t port, int clients, Clock& clock) {
  std::vector<tcp::socket> sockets;
  std::vector<std::string> answers;
  for (int i = 0; i < clients; ++i) {
    sockets.emplace_back(co_await CurrentExecutor());
    sockets.back().connect({asio::ip::make_address("127.0.0.1"), port});
    std::string request =
        i == 0 ? "PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r\na" : "GET /slow HTTP/1.1\r\n\r\n";
    if (i == 1) request = "";  // This one comes, and says nothing for a while.
    (void)co_await asio::async_write(sockets[i], asio::buffer(request), kAsTuple);
  }
  co_await clock.Sleep(milliseconds(600));
  for (int i = 0; i < clients; ++i) {
    std::string rest = i == 0 ? "b" : i == 1 ? "GET / HTTP/1.1\r\n\r\n" : "";
    Result<std::string> answer = co_await Ask(sockets[i], rest);
    answers.push_back(answer ? *answer : answer.error().message);
  }
  co_return answers;
}

// Those that serve a request, or have just come, are not shut: the others wait for their turn.
TEST_F(SmallServerTest, ConnectionsThatAreBusyStay) {
  Result<std::vector<std::string>> answers = world_.Run(AskAtOnce(server_.port(), 7, world_.clock));
  ASSERT_TRUE(answers) << answers.error().Describe();
  for (const std::string& answer : *answers)
    EXPECT_EQ(CountOf(answer, "HTTP/1.1 200"), 1U) << answer;
}

// Connections that send a byte of a head now and then.
asio::awaitable<void> Drip(tcp::socket socket, const bool* over, Clock* clock) {
  std::string_view head = "GET /x HTTP/1.1\r\nX: ";
  for (size_t i = 0; !*over; ++i) {
    const std::string_view byte = i < head.size() ? head.substr(i, 1) : "a";
    auto [error, count] =
        co_await asio::async_write(socket, asio::buffer(byte.data(), byte.size()), kAsTuple);
    if (error) co_return;
    co_await clock->Sleep(milliseconds(200));
  }
}

Async<std::chrono::nanoseconds> AskAmongDripping(uint16_t port, int dripping, Clock& clock) {
  bool over = false;
  std::vector<tcp::socket> sockets;
  for (int i = 0; i < dripping; ++i) {
    tcp::socket socket(co_await CurrentExecutor());
    socket.connect({asio::ip::make_address("127.0.0.1"), port});
    SpawnDetached(co_await CurrentExecutor(), Drip(std::move(socket), &over, &clock));
  }
  co_await clock.Sleep(milliseconds(500));
  const SteadyTime begun = clock.SteadyNow();
  tcp::socket client(co_await CurrentExecutor());
  client.connect({asio::ip::make_address("127.0.0.1"), port});
  Result<std::string> answer = co_await Ask(client, "GET / HTTP/1.1\r\n\r\n");
  const std::chrono::nanoseconds took = clock.SteadyNow() - begun;
  over = true;
  co_await clock.Sleep(milliseconds(400));
  if (!answer) co_return answer.error();
  if (CountOf(*answer, "HTTP/1.1 200") != 1) co_return Retryable("answered: " + *answer);
  co_return took;
}

// Those that never finish a head would keep all others out for as long as a head may take.
TEST_F(SmallServerTest, HeadsThatNeverEndMakeRoom) {
  Result<std::chrono::nanoseconds> took =
      world_.Run(AskAmongDripping(server_.port(), 12, world_.clock));
  ASSERT_TRUE(took) << took.error().Describe();
  EXPECT_LT(*took, std::chrono::seconds(2));
}

}  // namespace
}  // namespace longhaul
