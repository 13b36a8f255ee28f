#include "queue/sqlite_queue.h"
#include "tests/conformance/queue_suite.h"
#include "tests/support/fake_queue.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/sqlite_fixture.h"
#include "tests/support/sqs_fixture.h"

namespace longhaul::testing {
namespace {

class FakeQueueHarness : public QueueHarness {
 public:
  AnyWorld& world() override { return world_; }
  std::unique_ptr<Queue> Open() override {
    return std::make_unique<FakeQueue>(world_.runtime(), backend_);
  }

 private:
  AnyWorld world_ = AnyWorld::Fake();
  std::shared_ptr<FakeQueueBackend> backend_ =
      std::make_shared<FakeQueueBackend>(kSuiteReceivesMax);
};

class SqliteQueueHarness : public QueueHarness {
 public:
  explicit SqliteQueueHarness(SqliteMode mode) : fixture_(mode) {}
  AnyWorld& world() override { return fixture_.world(); }
  std::unique_ptr<Queue> Open() override {
    Result<std::unique_ptr<Queue>> opened = world().Run(SqliteQueue::Open(
        world().runtime(), fixture_.Database(), {.receives_max = kSuiteReceivesMax}));
    EXPECT_TRUE(opened) << opened.error().Describe();
    return std::move(*opened);
  }

 private:
  SqliteFixture fixture_;
};

QueueBackendCase SqliteCase(std::string name, SqliteMode mode) {
  return {.name = std::move(name),
          .make = [mode] { return std::make_unique<SqliteQueueHarness>(mode); }};
}

class SqsQueueHarness : public QueueHarness {
 public:
  explicit SqsQueueHarness(const SqsServerCase& server) : fixture_(server, kSuiteReceivesMax) {
    fixture_.SetUp();
  }
  AnyWorld& world() override { return fixture_.world(); }
  std::unique_ptr<Queue> Open() override { return fixture_.Open(); }

 private:
  SqsFixture fixture_;
};

// On FakeSqs, or on a server that LONGHAUL_TEST_SQS names.
QueueBackendCase SqsCase(const SqsServerCase& server) {
  return {.name = server.name,
          .make = [server] { return std::make_unique<SqsQueueHarness>(server); },
          .traits = {.short_time = std::chrono::milliseconds(1'000),
                     .past_short = std::chrono::milliseconds(1'500),
                     .extends_late = !server.endpoint.empty(),  // The real SQS does not.
                     .counts_behind = std::chrono::milliseconds(20),
                     .released_is_in_flight = true,
                     .dead_is_final = true,
                     .many = 105}};  // It takes ten at a time.
}

INSTANTIATE_TEST_SUITE_P(
    All, QueueSuite,
    ::testing::Values(QueueBackendCase{"Fake", [] { return std::make_unique<FakeQueueHarness>(); }},
                      SqliteCase("SqliteInPlace", SqliteMode::kInPlace),
                      SqliteCase("SqliteThreaded", SqliteMode::kThreaded),
                      SqliteCase("SqliteShared", SqliteMode::kShared),
                      SqsCase({.name = "SqsFake"})),
    [](const auto& info) { return info.param.name; });

// On the server that LONGHAUL_TEST_POSTGRES names.
class PostgresQueueHarness : public QueueHarness {
 public:
  AnyWorld& world() override { return fixture_.world(); }
  std::unique_ptr<Queue> Open() override {
    Result<std::unique_ptr<Queue>> opened = world().Run(PostgresQueue::Open(
        world().runtime(), fixture_.Client(), {.receives_max = kSuiteReceivesMax}));
    EXPECT_TRUE(opened) << opened.error().Describe();
    return std::move(*opened);
  }

 private:
  PostgresFixture fixture_;
};

std::vector<QueueBackendCase> Servers() {
  std::vector<QueueBackendCase> servers;
  if (PostgresTestUrl() != nullptr) {
    servers.push_back(
        {.name = "Postgres", .make = [] { return std::make_unique<PostgresQueueHarness>(); }});
  }
  for (const SqsServerCase& server : SqsServers()) servers.push_back(SqsCase(server));
  return servers;
}

INSTANTIATE_TEST_SUITE_P(Server, QueueSuite, ::testing::ValuesIn(Servers()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace longhaul::testing
