#include "state/sqlite_state.h"
#include "tests/conformance/state_suite.h"
#include "tests/support/dynamodb_fixture.h"
#include "tests/support/fake_state.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/sqlite_fixture.h"

namespace longhaul::testing {
namespace {

class FakeStateHarness : public StateHarness {
 public:
  AnyWorld& world() override { return world_; }
  std::unique_ptr<State> Open() override {
    return std::make_unique<FakeState>(world_.runtime(), backend_);
  }

 private:
  AnyWorld world_ = AnyWorld::Fake();
  std::shared_ptr<FakeStateBackend> backend_ = std::make_shared<FakeStateBackend>();
};

class SqliteStateHarness : public StateHarness {
 public:
  explicit SqliteStateHarness(SqliteMode mode) : fixture_(mode) {}
  AnyWorld& world() override { return fixture_.world(); }
  std::unique_ptr<State> Open() override {
    Result<std::unique_ptr<State>> opened =
        world().Run(SqliteState::Open(world().runtime(), fixture_.Database()));
    EXPECT_TRUE(opened) << opened.error().Describe();
    return std::move(*opened);
  }

 private:
  SqliteFixture fixture_;
};

StateBackendCase SqliteCase(std::string name, SqliteMode mode) {
  return {.name = std::move(name),
          .make = [mode] { return std::make_unique<SqliteStateHarness>(mode); }};
}

INSTANTIATE_TEST_SUITE_P(
    All, StateSuite,
    ::testing::Values(StateBackendCase{"Fake", [] { return std::make_unique<FakeStateHarness>(); }},
                      SqliteCase("SqliteInPlace", SqliteMode::kInPlace),
                      SqliteCase("SqliteThreaded", SqliteMode::kThreaded),
                      SqliteCase("SqliteShared", SqliteMode::kShared)),
    [](const auto& info) { return info.param.name; });

constexpr std::chrono::seconds kSoonOfServer{4};

// On the server that LONGHAUL_TEST_POSTGRES names.
class PostgresStateHarness : public StateHarness {
 public:
  AnyWorld& world() override { return fixture_.world(); }
  std::unique_ptr<State> Open() override {
    Result<std::unique_ptr<State>> opened =
        world().Run(PostgresState::Open(world().runtime(), fixture_.Client()));
    EXPECT_TRUE(opened) << opened.error().Describe();
    return std::move(*opened);
  }
  [[nodiscard]] std::chrono::milliseconds soon() const override { return kSoonOfServer; }

 private:
  PostgresFixture fixture_;
};

// On a server that LONGHAUL_TEST_DYNAMODB names.
class DynamodbStateHarness : public StateHarness {
 public:
  explicit DynamodbStateHarness(const DynamodbServerCase& server) : fixture_(server) {
    fixture_.SetUp();
  }
  AnyWorld& world() override { return fixture_.world(); }
  std::unique_ptr<State> Open() override { return fixture_.Open(); }
  [[nodiscard]] std::chrono::milliseconds soon() const override { return kSoonOfServer; }

 private:
  DynamodbFixture fixture_;
};

std::vector<StateBackendCase> Servers() {
  std::vector<StateBackendCase> servers;
  if (PostgresTestUrl() != nullptr) {
    servers.push_back(
        {.name = "Postgres", .make = [] { return std::make_unique<PostgresStateHarness>(); }});
  }
  for (const DynamodbServerCase& server : DynamodbServers()) {
    servers.push_back({.name = server.name, .make = [server] {
                         return std::make_unique<DynamodbStateHarness>(server);
                       }});
  }
  return servers;
}

INSTANTIATE_TEST_SUITE_P(Server, StateSuite, ::testing::ValuesIn(Servers()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace longhaul::testing
