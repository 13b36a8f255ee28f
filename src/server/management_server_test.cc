#include "server/management_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "tests/support/fake_queue.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// Sends a request as it is over a socket of its own and returns the whole answer.
std::string Exchange(uint16_t port, const std::string& request) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    size_t at = 0;
    while (at < request.size()) {
      ssize_t sent = send(fd, request.data() + at, request.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) break;
      at += static_cast<size_t>(sent);
    }
    char buffer[4096];
    for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(n));
    }
  }
  close(fd);
  return answer;
}

class ManagementServerTest : public ::testing::Test {
 protected:
  ManagementServerTest() {
    Rule rule;
    rule.id = "r";
    rule.source = {"east", "acme", ""};
    configuration_.rules.push_back(rule);
    configuration_.stores["east"].name = "east";
  }
  ~ManagementServerTest() override {
    if (server_) {
      EXPECT_TRUE(world_.Run(server_->Stop(1s)));
    }
  }
  Result<void> Start(Secret token = Secret(), std::string host = "127.0.0.1", uint16_t port = 0,
                     bool required = true) {
    webhook_ = std::make_unique<EventWebhook>(world_.runtime, configuration_, queue_, token);
    server_ = std::make_unique<ManagementServer>(
        world_.runtime,
        ManagementServerOptions{
            .listen = {.host = host, .port = port}, .token = token, .required = required},
        webhook_.get(), readiness_);
    return world_.Run(server_->Start());
  }
  uint16_t port() const {
    std::string address = server_->address();
    return static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }
  std::string Ask(const std::string& method, const std::string& target,
                  const std::string& headers = "", const std::string& body = "") {
    std::string request = method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" +
                          headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                          body;
    std::string answer;
    std::atomic<bool> done = false;
    uint16_t to = port();
    std::thread client([&] {
      answer = Exchange(to, request);
      done = true;
    });
    world_.io.restart();
    while (!done) world_.io.run_one_for(10ms);
    client.join();
    return answer;
  }
  static std::string StatusOf(const std::string& answer) { return answer.substr(9, 3); }

  testing::RealWorld world_;
  Configuration configuration_;
  std::shared_ptr<testing::FakeQueueBackend> backend_ =
      std::make_shared<testing::FakeQueueBackend>();
  testing::FakeQueue queue_{world_.runtime, backend_};
  Readiness readiness_;
  std::unique_ptr<EventWebhook> webhook_;
  std::unique_ptr<ManagementServer> server_;
};

// An operator must see that it runs, whether it can work, and if not, why.
TEST_F(ManagementServerTest, ShowsHealthReadinessAndMetrics) {
  ASSERT_TRUE(Start());
  EXPECT_EQ(StatusOf(Ask("GET", "/healthz")), "200");
  EXPECT_EQ(StatusOf(Ask("GET", "/readyz")), "200");
  readiness_.Set("store west", "connection refused");
  std::string answer = Ask("GET", "/readyz");
  EXPECT_EQ(StatusOf(answer), "503");
  EXPECT_NE(answer.find("connection refused"), std::string::npos);
  readiness_.Clear("store west");
  EXPECT_EQ(StatusOf(Ask("GET", "/readyz")), "200");
  world_.metrics.counter("longhaul_test_total", "Help.").Add(3);
  answer = Ask("GET", "/metrics");
  EXPECT_EQ(StatusOf(answer), "200");
  EXPECT_NE(answer.find("longhaul_test_total 3"), std::string::npos);
  EXPECT_EQ(StatusOf(Ask("POST", "/metrics")), "405");
  EXPECT_EQ(StatusOf(Ask("GET", "/")), "404");
}

TEST_F(ManagementServerTest, TakesEvents) {
  ASSERT_TRUE(Start());
  std::string event = R"({"s3":{"bucket":{"name":"acme"},"object":{"key":"k"}}})";
  EXPECT_EQ(StatusOf(Ask("POST", "/v1/events", "", event)), "200");
  EXPECT_EQ(StatusOf(Ask("POST", "/v1/events?a=b&store=east", "", event)), "200");
  EXPECT_EQ(StatusOf(Ask("POST", "/v1/events?store=w%65st", "", event)), "404");
  EXPECT_EQ(StatusOf(Ask("HEAD", "/v1/events")), "200");
  EXPECT_EQ(StatusOf(Ask("GET", "/v1/events")), "405");
  EXPECT_EQ(backend_->rows.size(), 2u);
  EXPECT_EQ(StatusOf(Ask("POST", "/v1/events", "", std::string(kEventBodyBytesMax + 1, ' '))),
            "413");
}

// With a token, nobody without it may put work in or look at what is replicated where.
TEST_F(ManagementServerTest, TheTokenGuardsAllButLiveness) {
  ASSERT_TRUE(Start(Secret("s3cret")));
  std::string event = R"({"s3":{"bucket":{"name":"acme"},"object":{"key":"k"}}})";
  std::string token = "Authorization: Bearer s3cret\r\n";
  EXPECT_EQ(StatusOf(Ask("POST", "/v1/events", "", event)), "401");
  EXPECT_EQ(StatusOf(Ask("POST", "/v1/events", token, event)), "200");
  EXPECT_EQ(StatusOf(Ask("GET", "/metrics")), "401");
  EXPECT_EQ(StatusOf(Ask("GET", "/metrics", token)), "200");
  EXPECT_EQ(StatusOf(Ask("GET", "/healthz")), "200");
  readiness_.Set("store west", "bucket private-name is missing");
  std::string answer = Ask("GET", "/readyz");
  EXPECT_EQ(StatusOf(answer), "503");
  EXPECT_EQ(answer.find("private-name"), std::string::npos);
  EXPECT_NE(Ask("GET", "/readyz", token).find("private-name"), std::string::npos);
}

// Open to the network without a token is a mistake that must not wait to be found.
TEST_F(ManagementServerTest, AnAddressThatOthersReachNeedsAToken) {
  Result<void> started = Start(Secret(), "0.0.0.0");
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::kInvalidInput);
  EXPECT_NE(started.error().message.find("token"), std::string::npos);
  EXPECT_TRUE(Start(Secret("s3cret"), "0.0.0.0"));
}

// A second process finds the port taken: an error where events must come in, else a warning.
TEST_F(ManagementServerTest, ATakenPortIsAnErrorOnlyWhereItIsNeeded) {
  ASSERT_TRUE(Start());
  ManagementServer second(world_.runtime,
                          {.listen = {.host = "127.0.0.1", .port = port()}, .token = Secret()},
                          nullptr, readiness_);
  Result<void> started = world_.Run(second.Start());
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, "AddressInUse");
  EXPECT_NE(started.error().message.find(std::to_string(port())), std::string::npos);
  ManagementServer third(
      world_.runtime,
      {.listen = {.host = "127.0.0.1", .port = port()}, .token = Secret(), .required = false},
      nullptr, readiness_);
  EXPECT_TRUE(world_.Run(third.Start()));
  EXPECT_EQ(third.address(), "");
  EXPECT_TRUE(world_.Run(third.Stop(0ms)));
}

}  // namespace
}  // namespace longhaul
