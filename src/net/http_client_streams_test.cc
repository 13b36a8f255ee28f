// Bodies that an HttpClient streams: uploads from a source, and answers that are read slowly, or in
// part, or many at once.

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "tests/support/http_client_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::HttpClientTest;
using testing::kHello;
using testing::Peer;

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

}  // namespace
}  // namespace longhaul
