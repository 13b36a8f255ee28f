// What an HttpClient on shards promises beyond what every HttpClient does (http_client_test.cc runs
// on both): whose thread touches what, and what becomes of requests whose client goes.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "base/bytes.h"
#include "base/shards.h"
#include "net/http_client.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;

class ClientShardsTest : public ::testing::Test {
 protected:
  // Answers a request, whose head it is given; false: the connection is closed.
  using Answer = std::function<asio::awaitable<bool>(tcp::socket& socket, std::string head)>;

  void SetUp() override {
    client = MakeHttpClient(world.runtime, {.shards = &shards});
    world.Start(Accept());
  }

  [[nodiscard]] std::string Url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + path;
  }
  HttpRequest Get(const std::string& path = "/") const {
    HttpRequest request;
    request.url = Url(path);
    return request;
  }
  HttpRequest Put(HttpBodySource& source, uint64_t size) const {
    HttpRequest request = Get("/put");
    request.method = "PUT";
    request.source = &source;
    request.source_size_bytes = size;
    return request;
  }
  [[nodiscard]] int UnderWay() const {
    return std::accumulate(shards.all().begin(), shards.all().end(), 0,
                           [](int sum, const auto& shard) { return sum + shard->under_way; });
  }
  void Turn(std::chrono::milliseconds time = 50ms) { (void)world.Run(SleepFor(world.clock, time)); }
  // Runs until `condition` holds. Other threads have to be woken for it: that takes as long as it
  // takes, and only what hangs ten seconds.
  bool Until(const std::function<bool()>& condition) {
    for (int i = 0; i < 2000 && !condition(); ++i) Turn(5ms);
    return condition();
  }

  static Async<void> SleepFor(Clock& clock, std::chrono::milliseconds time) {
    co_await clock.Sleep(time);
    co_return Ok();
  }
  static asio::awaitable<void> Say(tcp::socket& socket, std::string text) {
    boost::system::error_code error;
    co_await asio::async_write(socket, asio::buffer(text),
                               asio::redirect_error(asio::use_awaitable, error));
  }
  static std::string Ok200(std::string_view body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
  }

  static asio::awaitable<bool> SayMuch(tcp::socket& socket) {
    co_await Say(socket, Ok200(std::string(8 << 20, 'x')));
    co_return true;
  }

  Shards shards{3};
  testing::RealWorld world;
  Event never;
  Answer answer;
  std::string* rest = nullptr;  // What has come after the head; for `answer` at its beginning.
  int closed = 0;               // Connections that the client has ended.
  std::unique_ptr<HttpClient> client;

 private:
  asio::awaitable<void> Accept() {
    while (true) {
      boost::system::error_code error;
      tcp::socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      world.Start(Serve(std::make_unique<tcp::socket>(std::move(socket))));
    }
  }
  asio::awaitable<void> Serve(std::unique_ptr<tcp::socket> socket) {
    std::string head;
    while (true) {
      char bytes[4096];
      boost::system::error_code error;
      const size_t count = co_await socket->async_read_some(
          asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      head.append(bytes, count);
      const size_t end = head.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      std::string one = head.substr(0, end + 4);
      head.erase(0, end + 4);
      rest = &head;
      if (!co_await answer(*socket, std::move(one))) co_return;
    }
    ++closed;
  }

  tcp::acceptor acceptor_{world.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
};

// Says where it was destroyed: a coroutine's locals belong to the thread that made them.
struct AtHome {
  std::thread::id home = std::this_thread::get_id();
  int* destroyed = nullptr;
  explicit AtHome(int* counter = nullptr) : destroyed(counter) {}
  AtHome(const AtHome&) = delete;
  AtHome& operator=(const AtHome&) = delete;
  ~AtHome() {
    EXPECT_EQ(std::this_thread::get_id(), home);
    if (destroyed != nullptr) ++*destroyed;
  }
};

Async<void> FetchOwn(HttpClient& client, std::string url, std::string path, size_t size) {
  AtHome here;
  HttpRequest request;
  request.url = url + path;
  Result<HttpResponse> response = co_await client.Send(std::move(request));
  if (!response) co_return response.error();
  Result<std::string> text = co_await ReadAll(*response->body, 8 << 20);
  if (!text) co_return text.error();
  if (std::this_thread::get_id() != here.home) co_return Corrupt("not resumed at home");
  std::string expected;
  while (expected.size() < size) expected += path;
  if (*text != expected) co_return Corrupt("not the body of " + path);
  co_return Ok();
}

Async<void> FetchMany(HttpClient& client, testing::RealWorld& world, std::string url, int count,
                      size_t size) {
  TaskGroup group(world.io.get_executor());
  for (int i = 0; i < count; ++i) {
    // All paths have one length, and so has what they ask for.
    group.Spawn(FetchOwn(client, url, "/" + std::to_string(100000 + i), size));
  }
  co_return co_await group.Join();
}

// Many at once, by all shards: each gets its own answer, at home.
TEST_F(ClientShardsTest, EachGetsItsOwnAnswer) {
  answer = [](tcp::socket& socket, std::string head) -> asio::awaitable<bool> {
    std::string path = head.substr(4, head.find(" HTTP/") - 4);
    const size_t size = path.ends_with("7") ? 700'000 : 700;
    std::string body;
    while (body.size() < size) body += path;
    co_await Say(socket, Ok200(body));
    co_return true;
  };
  std::string url = Url("");
  struct Mixed {
    static Async<void> Run(HttpClient& client, testing::RealWorld& world, std::string url) {
      TaskGroup group(world.io.get_executor());
      for (int i = 0; i < 400; ++i) {
        std::string path = "/" + std::to_string(100000 + i);
        group.Spawn(FetchOwn(client, url, path, path.ends_with("7") ? 700'000 : 700));
      }
      co_return co_await group.Join();
    }
  };
  Result<void> done = world.Run(Mixed::Run(*client, world, url));
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(UnderWay(), 0);
}

// A shard that idles while another one is busy would be no use.
TEST_F(ClientShardsTest, RequestsGoWhereLeastIsUnderWay) {
  Event go;
  answer = [&go](tcp::socket& socket, std::string head) -> asio::awaitable<bool> {
    co_await go.Wait();
    std::string path = head.substr(4, head.find(" HTTP/") - 4);
    co_await Say(socket, Ok200(path));
    co_return true;
  };
  std::optional<Result<void>> done;
  struct Runner {
    static asio::awaitable<void> Run(HttpClient& client, testing::RealWorld& world, std::string url,
                                     std::optional<Result<void>>& done) {
      done = co_await FetchMany(client, world, std::move(url), 6, 7);
    }
  };
  world.Start(Runner::Run(*client, world, Url(""), done));
  Turn();
  for (const auto& shard : shards.all()) EXPECT_EQ(shard->under_way, 2);
  go.Set();
  ASSERT_TRUE(Until([&] { return done.has_value(); }));
  EXPECT_TRUE(*done) << done->error().Describe();
  EXPECT_EQ(UnderWay(), 0);
}

// What one caller does one after the other finds its connection again.
TEST_F(ClientShardsTest, OneAfterTheOtherTakesOneConnection) {
  int requests = 0;
  answer = [&requests](tcp::socket& socket, std::string) -> asio::awaitable<bool> {
    ++requests;
    co_await Say(socket, Ok200("/100000"));
    co_return true;
  };
  for (int i = 0; i < 5; ++i) {
    Result<void> got = world.Run(FetchOwn(*client, Url(""), "/100000", 7));
    ASSERT_TRUE(got) << got.error().Describe();
  }
  client.reset();
  EXPECT_TRUE(Until([this] { return closed > 0; }));
  EXPECT_EQ(requests, 5);
  EXPECT_EQ(closed, 1);
}

class HomeSource : public HttpBodySource {
 public:
  explicit HomeSource(uint64_t size) : left_(size) {}
  Async<size_t> Read(std::span<std::byte> out) override {
    AtHome there(&frames_destroyed);
    EXPECT_EQ(std::this_thread::get_id(), home_);
    ++reads;
    if (wait != nullptr) co_await wait->Wait();
    if (throws) throw std::runtime_error("the source broke");
    const auto count = static_cast<size_t>(std::min<uint64_t>(out.size(), left_));
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<std::byte>(at_++ % 251);
    left_ -= count;
    co_return count;
  }
  int reads = 0;
  int frames_destroyed = 0;
  bool throws = false;
  Event* wait = nullptr;

 private:
  std::thread::id home_ = std::this_thread::get_id();
  uint64_t left_;
  uint64_t at_ = 0;
};

asio::awaitable<bool> TakeBody(tcp::socket& socket, std::string& rest, uint64_t size, bool& right) {
  right = true;
  std::vector<std::byte> bytes(64 << 10);
  uint64_t at = 0;
  for (char byte : std::exchange(rest, {})) {
    if (static_cast<std::byte>(byte) != static_cast<std::byte>(at++ % 251)) right = false;
  }
  while (at < size) {
    boost::system::error_code error;
    const size_t count = co_await socket.async_read_some(
        asio::buffer(bytes.data(),
                     static_cast<size_t>(std::min<uint64_t>(bytes.size(), size - at))),
        asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      right = false;
      co_return false;
    }
    for (size_t i = 0; i < count; ++i, ++at) {
      if (bytes[i] != static_cast<std::byte>(at % 251)) right = false;
    }
  }
  co_return true;
}

Async<int> StatusOf(HttpClient& client, HttpRequest request) {
  Result<HttpResponse> response = co_await client.Send(std::move(request));
  if (!response) co_return response.error();
  Result<std::string> text = co_await ReadAll(*response->body, 1 << 20);
  if (!text) co_return text.error();
  co_return response->status;
}

// Sources read stores, take memory and count: all of it is their own thread's.
TEST_F(ClientShardsTest, SourcesAreReadAtHome) {
  constexpr uint64_t kSize = 5'000'000;
  bool right = false;
  answer = [this, &right](tcp::socket& socket, std::string) -> asio::awaitable<bool> {
    if (!co_await TakeBody(socket, *rest, kSize, right)) co_return false;
    co_await Say(socket, Ok200(""));
    co_return true;
  };
  for (int i = 0; i < 3; ++i) {
    HomeSource source(kSize);
    Result<int> status = world.Run(StatusOf(*client, Put(source, kSize)));
    ASSERT_TRUE(status) << status.error().Describe();
    EXPECT_EQ(*status, 200);
    EXPECT_TRUE(right);
    EXPECT_GT(source.reads, 10);
  }
  EXPECT_EQ(UnderWay(), 0);
}

asio::awaitable<bool> Throws(HttpClient& client, HttpRequest request) {
  try {
    (void)co_await StatusOf(client, std::move(request));
  } catch (const std::runtime_error& error) {
    co_return std::string(error.what()) == "the source broke";
  }
  co_return false;
}

// An exception out of a source comes out where the source was given, and only that request ends.
TEST_F(ClientShardsTest, ExceptionOfASourceComesOutAtHome) {
  answer = [this](tcp::socket& socket, std::string head) -> asio::awaitable<bool> {
    if (head.starts_with("PUT")) co_await never.WaitFor(world.clock, 20ms);
    if (!head.starts_with("PUT")) co_await Say(socket, Ok200("fine"));
    co_return true;
  };
  HomeSource source(1 << 20);
  source.throws = true;
  EXPECT_TRUE(world.Run(Throws(*client, Put(source, 1 << 20))));
  EXPECT_EQ(UnderWay(), 0);
  Result<int> status = world.Run(StatusOf(*client, Get()));
  ASSERT_TRUE(status) << status.error().Describe();
  EXPECT_EQ(*status, 200);
}

TEST_F(ClientShardsTest, ErrorsComeBackAsTheyAre) {
  HttpRequest request = Get();
  request.url = "http://127.0.0.1:1/";
  int sent = 0;
  request.times_sent = &sent;
  Result<int> refused = world.Run(StatusOf(*client, request));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRetryable);
  EXPECT_EQ(refused.error().code, kNotSentCode);
  EXPECT_EQ(sent, 0);
  request.url = "nonsense";
  Result<int> nonsense = world.Run(StatusOf(*client, request));
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(UnderWay(), 0);
}

Async<void> ReadCut(HttpClient& client, HttpRequest request) {
  Result<HttpResponse> response = co_await client.Send(std::move(request));
  if (!response) co_return response.error();
  std::vector<std::byte> buffer(300'000);
  for (int i = 0; i < 3; ++i) {
    Result<size_t> count = co_await response->body->Read(buffer);
    if (count) co_return InvalidInput("a cut body looks complete");
    if (count.error().kind != ErrorKind::kRetryable) co_return count.error();
  }
  co_return Ok();
}

// A body that was cut must not look complete to whoever reads on.
TEST_F(ClientShardsTest, ACutBodyStaysCut) {
  answer = [](tcp::socket& socket, std::string) -> asio::awaitable<bool> {
    co_await Say(socket,
                 "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + std::string(100'000, 'x'));
    boost::system::error_code error;
    socket.close(error);
    co_return false;
  };
  Result<void> read = world.Run(ReadCut(*client, Get()));
  EXPECT_TRUE(read) << read.error().Describe();
  EXPECT_EQ(UnderWay(), 0);
}

Async<void> ReadSome(HttpClient& client, HttpRequest request, std::unique_ptr<HttpBody>* keep) {
  Result<HttpResponse> response = co_await client.Send(std::move(request));
  if (!response) co_return response.error();
  std::vector<std::byte> buffer(1000);
  Result<size_t> count = co_await response->body->Read(buffer);
  if (!count) co_return count.error();
  if (keep != nullptr) *keep = std::move(response->body);
  co_return Ok();
}

// Dropping a body mid-way closes its connection, on the shard, and gives its place free.
TEST_F(ClientShardsTest, ADroppedBodyClosesItsConnection) {
  answer = [](tcp::socket& socket, std::string) { return SayMuch(socket); };
  for (int i = 1; i <= 4; ++i) {
    Result<void> read = world.Run(ReadSome(*client, Get(), nullptr));
    ASSERT_TRUE(read) << read.error().Describe();
    EXPECT_EQ(UnderWay(), 0);
    EXPECT_TRUE(Until([&] { return closed == i; })) << closed;
  }
}

Async<size_t> ReadInto(HttpBody& body, std::span<std::byte> out) {
  co_return co_await body.Read(out);
}

TEST_F(ClientShardsTest, ABodyMayOutliveItsClient) {
  answer = [](tcp::socket& socket, std::string) { return SayMuch(socket); };
  std::unique_ptr<HttpBody> body;
  ASSERT_TRUE(world.Run(ReadSome(*client, Get(), &body)));
  client.reset();
  std::vector<std::byte> buffer(1 << 20);
  for (int i = 0; i < 2; ++i) {
    Result<size_t> count = world.Run(ReadInto(*body, buffer));
    ASSERT_FALSE(count);
    EXPECT_EQ(count.error().kind, ErrorKind::kCancelled);
  }
  body.reset();
  EXPECT_EQ(UnderWay(), 0);
}

asio::awaitable<void> WaitForever(HttpClient& client, HttpRequest request, int& destroyed) {
  AtHome here(&destroyed);
  (void)co_await StatusOf(client, std::move(request));
  ADD_FAILURE() << "should still be waiting";
}

// A client that goes takes along the coroutines that wait for its answers, at home, and when it is
// gone no shard writes into what was theirs.
TEST_F(ClientShardsTest, ClientMayGoWhileHeadsAndBodiesAreWaitedFor) {
  answer = [this](tcp::socket& socket, std::string head) -> asio::awaitable<bool> {
    if (head.starts_with("GET /body")) {
      co_await Say(socket, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
    }
    co_await never.Wait();
    co_return true;
  };
  int destroyed = 0;
  for (int i = 0; i < 9; ++i) {
    world.Start(WaitForever(*client, Get(i % 2 == 0 ? "/body" : "/head"), destroyed));
  }
  Turn();
  EXPECT_EQ(UnderWay(), 9);
  client.reset();
  Until([&] { return destroyed == 9; });  // Coroutines are unwound by their executor.
  EXPECT_EQ(destroyed, 9);
  EXPECT_EQ(UnderWay(), 0);
}

// A shard that is in the middle of something when the client goes may be about to read into a
// buffer of a caller, which is freed next.
TEST_F(ClientShardsTest, AClientGoesOnlyWhenItsShardsAreDone) {
  std::atomic<int> done = 0;
  for (const auto& shard : shards.all()) {
    shard->Post([&done] {
      std::this_thread::sleep_for(50ms);
      ++done;
    });
  }
  client.reset();
  EXPECT_EQ(done, 3);
  shards.Stop();
}

// The same while bodies are pouring in: what is read goes straight into the callers' memory.
TEST_F(ClientShardsTest, ClientMayGoWhileBodiesPourIn) {
  answer = [](tcp::socket& socket, std::string) -> asio::awaitable<bool> {
    const std::string piece(256 << 10, 'x');
    co_await Say(socket, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    for (int i = 0; i < 4000 && socket.is_open(); ++i) {
      boost::system::error_code error;
      co_await asio::async_write(socket, asio::buffer(piece),
                                 asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
    }
    co_return false;
  };
  struct Pour {
    static asio::awaitable<void> Run(HttpClient& client, HttpRequest request, int& destroyed) {
      AtHome here(&destroyed);
      Result<HttpResponse> response = co_await client.Send(std::move(request));
      std::vector<std::byte> buffer(1 << 20);
      while (response) {
        Result<size_t> count = co_await response->body->Read(buffer);
        if (!count || *count == 0) break;
      }
    }
  };
  for (int round = 0; round < 10; ++round) {
    int destroyed = 0;
    for (int i = 0; i < 6; ++i) world.Start(Pour::Run(*client, Get(), destroyed));
    Turn(20ms);
    client.reset();
    // Whoever was not waiting just then finds out when it reads on.
    EXPECT_TRUE(Until([&] { return destroyed == 6; })) << destroyed;
    EXPECT_EQ(UnderWay(), 0);
    client = MakeHttpClient(world.runtime, {.shards = &shards});
  }
}

asio::awaitable<void> ExpectCancelled(HttpClient& client, HttpRequest request, int& ended) {
  AtHome here(&ended);
  Result<int> status = co_await StatusOf(client, std::move(request));
  EXPECT_FALSE(status);
  if (!status) EXPECT_EQ(status.error().kind, ErrorKind::kCancelled);
}

// The source writes into the memory of a shard's coroutine: that stays until the source is done.
TEST_F(ClientShardsTest, ClientMayGoWhileASourceIsRead) {
  answer = [this](tcp::socket&, std::string) -> asio::awaitable<bool> {
    co_await never.Wait();
    co_return true;
  };
  Event go;
  int ended = 0;
  std::vector<std::unique_ptr<HomeSource>> sources;
  for (int i = 0; i < 6; ++i) {
    sources.push_back(std::make_unique<HomeSource>(1 << 20));
    sources.back()->wait = &go;
    world.Start(ExpectCancelled(*client, Put(*sources.back(), 1 << 20), ended));
  }
  ASSERT_TRUE(Until([&] {
    return std::ranges::all_of(sources, [](const auto& source) { return source->reads == 1; });
  }));
  client.reset();
  EXPECT_EQ(ended, 0);
  go.Set();
  EXPECT_TRUE(Until([&] { return ended == 6; })) << ended;
  EXPECT_EQ(UnderWay(), 0);
}

// A coroutine that is destroyed while its source waits for something else (another store, whose
// client has gone) has the shard's half destroyed on the shard.
TEST_F(ClientShardsTest, ASenderMayBeDestroyedWhileItsSourceIsRead) {
  answer = [](tcp::socket& socket, std::string head) -> asio::awaitable<bool> {
    if (head.starts_with("PUT")) co_return true;
    co_await Say(socket, Ok200("fine"));
    co_return true;
  };
  auto gone = std::make_unique<Event>();
  HomeSource source(1 << 20);
  source.wait = gone.get();
  int destroyed = 0;
  world.Start(WaitForever(*client, Put(source, 1 << 20), destroyed));
  ASSERT_TRUE(Until([&] { return source.reads == 1; }));
  gone.reset();  // Destroys whatever is parked in it.
  EXPECT_TRUE(Until([&] { return destroyed == 1 && closed == 1; }));
  EXPECT_EQ(source.frames_destroyed, 1);
  EXPECT_EQ(destroyed, 1);
  EXPECT_EQ(UnderWay(), 0);
  EXPECT_EQ(closed, 1) << "half a request is under way on that connection";
  Result<int> status = world.Run(StatusOf(*client, Get()));
  ASSERT_TRUE(status) << status.error().Describe();
}

// The way a process ends: the shards stop, then everything at home is destroyed, its clients too.
TEST(ClientShardsEndTest, ShardsStopWhileRequestsAreUnderWay) {
  for (int round = 0; round < 20; ++round) {
    Shards shards(3);
    int destroyed = 0;
    Event never;
    HomeSource source(64 << 20);
    {
      testing::RealWorld world;
      tcp::acceptor silent(world.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
      std::unique_ptr<HttpClient> client = MakeHttpClient(world.runtime, {.shards = &shards});
      HttpRequest request;
      request.url = "http://127.0.0.1:" + std::to_string(silent.local_endpoint().port()) + "/";
      for (int i = 0; i < 5; ++i) world.Start(WaitForever(*client, request, destroyed));
      request.method = "PUT";
      request.source = &source;
      request.source_size_bytes = 64 << 20;
      world.Start(WaitForever(*client, request, destroyed));
      const SteadyTime until = world.clock.SteadyNow() + std::chrono::milliseconds(round);
      do {
        world.io.poll();
      } while (world.clock.SteadyNow() < until);
      shards.Stop();
    }
    EXPECT_EQ(destroyed, 6);
  }
}

}  // namespace
}  // namespace longhaul
