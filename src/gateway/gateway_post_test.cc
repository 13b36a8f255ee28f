// Forms, which anybody can send: what they may hold, and for how long.

#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <optional>
#include <tuple>

#include "base/bytes.h"
#include "base/checksum.h"
#include "gateway/gateway.h"
#include "net/http_client.h"
#include "tests/support/any_world.h"
#include "tests/support/memory_store.h"

namespace longhaul::testing {
namespace {

using tcp = asio::ip::tcp;
using std::chrono::milliseconds;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kFormBytesMax = 8 << 20;

std::string Field(const std::string& name, const std::string& value) {
  return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}

// What comes before the bytes of the file, signed by `secret`.
std::string Fields(const std::string& key, const std::string& secret = "secret") {
  const std::string policy =
      Base64Encode(R"({"expiration":"2099-01-01T00:00:00Z","conditions":[{"bucket":"bucket"},)"
                   R"(["starts-with","$key",""],["starts-with","$x-amz-algorithm",""],)"
                   R"(["starts-with","$x-amz-credential",""],["starts-with","$x-amz-date",""],)"
                   R"(["content-length-range",1,1000000]]})");
  std::string signing_key = "AWS4" + secret;
  for (const char* part : {"20260101", "us-east-1", "s3", "aws4_request"}) {
    signing_key = HmacSha256(signing_key, part);
  }
  return Field("key", key) + Field("policy", policy) +
         Field("x-amz-algorithm", "AWS4-HMAC-SHA256") +
         Field("x-amz-credential", "key/20260101/us-east-1/s3/aws4_request") +
         Field("x-amz-date", "20260101T000000Z") +
         Field("x-amz-signature", HexEncode(HmacSha256(signing_key, policy))) +
         "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
}

std::string Head(size_t size_bytes) {
  return "POST /bucket HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=B\r\n"
         "Content-Length: " +
         std::to_string(size_bytes) + "\r\n\r\n";
}

asio::awaitable<bool> Pause(Clock& clock, milliseconds time) {
  co_await clock.Sleep(time);
  co_return true;
}

struct Sent {
  std::string begin;     // With its head.
  int trickled = 0;      // Further bytes, one each 50 ms.
  milliseconds time{0};  // For all; then the connection is closed.
};

// Sends that and returns what is answered.
Async<std::string> SendRaw(uint16_t port, Sent sent, Clock& clock) {
  tcp::socket socket(co_await CurrentExecutor());
  boost::system::error_code failed;
  socket.connect({asio::ip::make_address("127.0.0.1"), port}, failed);
  if (failed) co_return Retryable(failed.message());
  auto timer = clock.StartTimer(sent.time, [&socket] {
    boost::system::error_code ignored;
    socket.close(ignored);
  });
  std::string piece = sent.begin;
  for (int i = 0; i <= sent.trickled; ++i) {
    auto [error, count] = co_await asio::async_write(socket, asio::buffer(piece), kAsTuple);
    if (error) break;
    piece = "x";
    if (i < sent.trickled) co_await clock.Sleep(milliseconds(50));
  }
  std::string answer;
  std::string buffer(4096, '\0');
  while (true) {
    auto [error, count] = co_await socket.async_read_some(asio::buffer(buffer), kAsTuple);
    if (error) break;
    answer.append(buffer, 0, count);
  }
  co_return answer;
}

class GatewayPostTest : public ::testing::Test {
 protected:
  void Open(GatewayOptions options) {
    backend_->buckets["bucket"];
    options.access_key_id = "key";
    options.secret_access_key = Secret("secret");
    gateway_ = std::make_unique<Gateway>(world_.runtime(), store_, std::move(options));
    ASSERT_TRUE(world_.Run(gateway_->Start("127.0.0.1:0")));
  }
  ~GatewayPostTest() override {
    http_.reset();
    if (gateway_) (void)world_.Run(gateway_->Stop(milliseconds(100)));
  }
  [[nodiscard]] uint16_t port() const {
    std::string endpoint = gateway_->endpoint();
    return static_cast<uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
  }
  // Its status and text; 0: none within ten seconds.
  std::pair<int, std::string> Post(const std::string& key, const std::string& file) {
    const std::string body = Fields(key) + file + "\r\n--B--\r\n";
    HttpRequest request{.method = "POST",
                        .url = gateway_->endpoint() + "/bucket",
                        .headers = {{"Content-Type", "multipart/form-data; boundary=B"}}};
    request.body = AsBytes(body);
    request.timeouts.total = milliseconds(10'000);
    Result<HttpResponse> answer = world_.Run(http_->Send(std::move(request)));
    if (!answer) return {0, answer.error().Describe()};
    Result<std::string> text = world_.Run(ReadText(*answer));
    return {answer->status, text ? *text : ""};
  }
  static Async<std::string> ReadText(HttpResponse& answer) {
    if (answer.body == nullptr) co_return "";
    std::string text(64 << 10, '\0');
    Result<size_t> count = co_await answer.body->Read(std::as_writable_bytes(std::span(text)));
    if (!count) co_return count.error();
    text.resize(*count);
    co_return text;
  }
  std::string Stored(const std::string& key) {
    Result<std::string> text =
        world_.Run(GetAll(store_, {.bucket = "bucket", .key = key}, 1 << 20));
    return text ? *text : text.error().Describe();
  }

  AnyWorld world_ = AnyWorld::Real();
  std::shared_ptr<MemoryStoreBackend> backend_ = std::make_shared<MemoryStoreBackend>();
  MemoryStore store_{world_.runtime(), backend_};
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<HttpClient> http_ = MakeHttpClient(world_.runtime());
};

// Anybody without keys could stop all forms, and all uploads of unknown size, at no cost.
TEST_F(GatewayPostTest, FormsOfAnybodyHoldNothing) {
  Open({});
  std::vector<tcp::socket> sockets;
  for (int i = 0; i < 8; ++i) {
    sockets.emplace_back(world_.runtime().executor);
    sockets.back().connect({asio::ip::make_address("127.0.0.1"), port()});
    asio::write(sockets.back(), asio::buffer(Head(kFormBytesMax) + "-"));
  }
  world_.Run(Pause(world_.clock(), milliseconds(300)));
  auto [status, text] = Post("a", "the file");
  EXPECT_EQ(status, 204) << text;
  EXPECT_EQ(Stored("a"), "the file");
}

// What nobody signed is refused by its fields: its file is not waited for.
TEST_F(GatewayPostTest, UnsignedFormsAreRefusedBeforeTheirFile) {
  Open({});
  Result<std::string> answer = world_.Run(
      SendRaw(port(),
              {.begin = Head(kFormBytesMax) + Fields("a", "other") + std::string(32 << 10, 'x'),
               .time = milliseconds(5000)},
              world_.clock()));
  ASSERT_TRUE(answer) << answer.error().Describe();
  EXPECT_NE(answer->find("SignatureDoesNotMatch"), std::string::npos) << *answer;
  // And what is no form, by its first bytes.
  answer = world_.Run(SendRaw(
      port(),
      {.begin = Head(kFormBytesMax) + std::string(32 << 10, 'x'), .time = milliseconds(5000)},
      world_.clock()));
  ASSERT_TRUE(answer) << answer.error().Describe();
  EXPECT_NE(answer->find("MalformedPOSTRequest"), std::string::npos) << *answer;
}

// Whoever was given a form could hold the memory for all with it: there is a time for each, and
// nobody waits for another one's.
TEST_F(GatewayPostTest, SlowFormsAreCutOffAndHoldUpNobody) {
  Open({.memory_bytes = 1 << 20, .form_timeout = milliseconds(2000)});
  std::optional<Result<std::string>> slow;
  bool done = false;
  auto send = [](uint16_t to, Clock& clock, std::optional<Result<std::string>>& answer,
                 bool& ended) -> asio::awaitable<void> {
    answer = co_await SendRaw(to,
                              {.begin = Head(900'000) + Fields("slow") + std::string(64 << 10, 'x'),
                               .trickled = 60,
                               .time = milliseconds(15'000)},
                              clock);
    ended = true;
  };
  SpawnDetached(world_.runtime().executor, send(port(), world_.clock(), slow, done));
  world_.Run(Pause(world_.clock(), milliseconds(500)));
  auto [status, text] = Post("quick", std::string(200'000, 'q'));
  EXPECT_EQ(status, 503) << text;
  EXPECT_NE(text.find("SlowDown"), std::string::npos) << text;
  for (int i = 0; i < 200 && !done; ++i) world_.Run(Pause(world_.clock(), milliseconds(100)));
  ASSERT_TRUE(done);
  ASSERT_TRUE(*slow) << slow->error().Describe();
  EXPECT_NE((*slow)->find("RequestTimeout"), std::string::npos) << **slow;
  EXPECT_FALSE(world_.Run(store_.Head({.bucket = "bucket", .key = "slow"})));
  std::tie(status, text) = Post("quick", std::string(200'000, 'q'));
  EXPECT_EQ(status, 204) << text;
  EXPECT_EQ(Stored("quick"), std::string(200'000, 'q'));
}

// The size that the policy allows is that of the file, which comes last; more than one piece is
// read of it.
TEST_F(GatewayPostTest, LargeFormsArriveWhole) {
  Open({});
  std::string file(900'000, '\0');
  for (size_t i = 0; i < file.size(); ++i) file[i] = static_cast<char>(i * i >> 7);
  auto [status, text] = Post("large", file);
  EXPECT_EQ(status, 204) << text;
  EXPECT_TRUE(Stored("large") == file);
  std::tie(status, text) = Post("larger", std::string(1'000'001, 'x'));
  EXPECT_EQ(status, 400) << text;
  EXPECT_NE(text.find("EntityTooLarge"), std::string::npos) << text;
  std::tie(status, text) = Post("none", "");
  EXPECT_NE(text.find("EntityTooSmall"), std::string::npos) << text;
  EXPECT_FALSE(world_.Run(store_.Head({.bucket = "bucket", .key = "larger"})));
}

}  // namespace
}  // namespace longhaul::testing
