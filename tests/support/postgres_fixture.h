// PostgresFixture: a schema of its own in the PostgreSQL that LONGHAUL_TEST_POSTGRES names, for the
// suites; gone with the fixture. tests/servers/servers.py starts the server.

#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>

#include "net/postgres_schema.h"
#include "queue/postgres_queue.h"
#include "state/postgres_state.h"
#include "tests/support/any_world.h"

namespace longhaul::testing {

inline const char* PostgresTestUrl() { return ::getenv("LONGHAUL_TEST_POSTGRES"); }

class PostgresFixture {
 public:
  PostgresFixture() : schema_(NewSchema()) {
    std::shared_ptr<PostgresClient> client = Client();
    auto made = world_.Run(SetUpPostgres(
        *client, {PostgresQueuePart(), PostgresDeadLettersPart(), PostgresStatePart()}));
    EXPECT_TRUE(made) << made.error().Describe();
  }
  ~PostgresFixture() {
    std::shared_ptr<PostgresClient> client = Client();
    auto gone = world_.Run(client->Execute("DROP SCHEMA " + schema_ + " CASCADE"));
    EXPECT_TRUE(gone) << gone.error().Describe();
  }
  PostgresFixture(const PostgresFixture&) = delete;
  PostgresFixture& operator=(const PostgresFixture&) = delete;

  AnyWorld& world() { return world_; }
  [[nodiscard]] std::string url() const {
    return std::string(PostgresTestUrl()) + "?schema=" + schema_;
  }
  // Connections of their own, as another process has them.
  std::shared_ptr<PostgresClient> Client(PostgresOptions options = {}) {
    options.url = Secret(url());
    auto client = PostgresClient::Make(world_.runtime(), std::move(options));
    EXPECT_TRUE(client) << client.error().Describe();
    return *client;
  }

 private:
  static std::string NewSchema() {
    static int number = 0;
    return "test_" + std::to_string(::getpid()) + "_" + std::to_string(++number);
  }

  AnyWorld world_ = AnyWorld::Real();
  std::string schema_;
};

}  // namespace longhaul::testing
