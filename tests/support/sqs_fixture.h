// SqsFixture: queues of their own at FakeSqs, or at a server that LONGHAUL_TEST_SQS names
// ("Moto=http://…,Elasticmq=http://…"), for the suites. tests/servers/servers.py starts the
// servers, and what is in them ends with them.

#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "queue/sqs_queue.h"
#include "queue/sqs_setup.h"
#include "tests/support/any_world.h"
#include "tests/support/fake_sqs.h"

namespace longhaul::testing {

struct SqsServerCase {
  std::string name;
  std::string endpoint;  // Empty: FakeSqs.
};

inline void PrintTo(const SqsServerCase& server, std::ostream* out) { *out << server.name; }

inline std::vector<SqsServerCase> SqsServers() {
  std::vector<SqsServerCase> servers;
  const char* text = ::getenv("LONGHAUL_TEST_SQS");
  std::string rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(','), rest.size());
    const std::string one = rest.substr(0, end);
    rest.erase(0, end + 1);
    const size_t equals = one.find('=');
    servers.push_back({.name = "Sqs" + one.substr(0, equals), .endpoint = one.substr(equals + 1)});
  }
  return servers;
}

class SqsFixture {
 public:
  SqsFixture(SqsServerCase server, int receives_max)
      : world_(server.endpoint.empty() ? AnyWorld::Fake() : AnyWorld::Real()),
        server_(std::move(server)),
        fake_(world_.runtime()) {
    static int number = 0;
    options_.prefix = "test" + std::to_string(::getpid()) + "-" + std::to_string(++number);
    options_.receives_max = receives_max;
    options_.settle = std::chrono::seconds(0);
    if (!server_.endpoint.empty()) options_.wait = std::chrono::seconds(1);
    for (const std::string lane : {"", "a", "b"}) {
      options_.lanes.push_back({.lane = lane,
                                .queue = SqsQueueName(options_.prefix, "lane" + lane, "events"),
                                .listens = lane.empty()});
    }
  }
  // A request that waits at a server outlives its queue, and has to be over before the world is.
  ~SqsFixture() {
    for (int i = 0; i < 3000 && Waiting(); ++i) {
      const Result<void> paused = world_.Run(Pause(world_.clock()));
      static_cast<void>(paused);
    }
    EXPECT_FALSE(Waiting()) << "a request still waits at SQS";
  }
  SqsFixture(const SqsFixture&) = delete;
  SqsFixture& operator=(const SqsFixture&) = delete;

  AnyWorld& world() { return world_; }
  FakeSqs& fake() { return fake_; }
  SqsQueueOptions& options() { return options_; }
  // Connections of their own, as another process has them.
  std::shared_ptr<SqsClient> Client() {
    if (server_.endpoint.empty()) return fake_.Client();
    Result<std::unique_ptr<SqsClient>> client = SqsClient::Make(
        world_.runtime(),
        {.service = "sqs",
         .target = "AmazonSQS",
         .endpoint = server_.endpoint,
         .region = "us-east-1",
         .credentials = MakeStaticCredentials({.access_key_id = "longhaultest",
                                               .secret_access_key = Secret("secret"),
                                               .session_token = {},
                                               .expires = {}})},
        3);
    EXPECT_TRUE(client) << client.error().Describe();
    std::shared_ptr<SqsClient> shared = std::move(*client);
    clients_.push_back(shared);
    return shared;
  }
  void SetUp() {
    const std::shared_ptr<SqsClient> client = Client();
    auto made = world_.Run(SetUpSqs(*client, options_));
    ASSERT_TRUE(made) << made.error().Describe();
    EXPECT_EQ(made->size(), options_.lanes.size() + 1);
  }
  std::unique_ptr<Queue> Open() {
    auto opened = world_.Run(SqsQueue::Open(world_.runtime(), Client(), options_));
    EXPECT_TRUE(opened) << opened.error().Describe();
    return std::move(*opened);
  }

 private:
  [[nodiscard]] bool Waiting() const {
    return std::ranges::any_of(clients_, [](const auto& client) { return !client.expired(); });
  }
  static Async<void> Pause(Clock& clock) {
    Event never;
    co_await never.WaitFor(clock, std::chrono::milliseconds(20));
    co_return Ok();
  }

  AnyWorld world_;
  SqsServerCase server_;
  FakeSqs fake_;
  SqsQueueOptions options_;
  std::vector<std::weak_ptr<SqsClient>> clients_;  // Of a server.
};

}  // namespace longhaul::testing
