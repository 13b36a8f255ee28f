// DynamodbFixture: a table of its own in a server that LONGHAUL_TEST_DYNAMODB names
// ("Moto=http://…, Local=http://…"), for the suites. tests/servers/servers.py starts the servers,
// and what is in them ends with them.

#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "state/dynamodb_state.h"
#include "state/dynamodb_table.h"
#include "tests/support/any_world.h"

namespace longhaul::testing {

struct DynamodbServerCase {
  std::string name;
  std::string endpoint;
};

inline void PrintTo(const DynamodbServerCase& server, std::ostream* out) { *out << server.name; }

inline std::vector<DynamodbServerCase> DynamodbServers() {
  std::vector<DynamodbServerCase> servers;
  const char* text = ::getenv("LONGHAUL_TEST_DYNAMODB");
  std::string rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(','), rest.size());
    const std::string one = rest.substr(0, end);
    rest.erase(0, end + 1);
    const size_t equals = one.find('=');
    servers.push_back(
        {.name = "Dynamodb" + one.substr(0, equals), .endpoint = one.substr(equals + 1)});
  }
  return servers;
}

class DynamodbFixture {
 public:
  explicit DynamodbFixture(DynamodbServerCase server)
      : server_(std::move(server)), table_(NewTable()) {}
  DynamodbFixture(const DynamodbFixture&) = delete;
  DynamodbFixture& operator=(const DynamodbFixture&) = delete;

  AnyWorld& world() { return world_; }
  // Connections of their own, as another process has them.
  std::shared_ptr<DynamodbClient> Client() {
    auto service = AwsJsonClient::Make(
        world_.runtime(),
        {.service = "dynamodb",
         .target = "DynamoDB_20120810",
         .endpoint = server_.endpoint,
         .region = "us-east-1",
         .credentials = MakeStaticCredentials({.access_key_id = "longhaultest",
                                               .secret_access_key = Secret("secret"),
                                               .session_token = {},
                                               .expires = {}})});
    EXPECT_TRUE(service) << service.error().Describe();
    return std::make_shared<DynamodbClient>(std::move(*service), table_);
  }
  void SetUp() {
    auto made = world_.Run(SetUpDynamodbState(*Client()));
    EXPECT_TRUE(made) << made.error().Describe();
    EXPECT_TRUE(made && *made);
  }
  std::unique_ptr<State> Open() {
    auto opened = world_.Run(DynamodbState::Open(world_.runtime(), Client()));
    EXPECT_TRUE(opened) << opened.error().Describe();
    return std::move(*opened);
  }

 private:
  static std::string NewTable() {
    static int number = 0;
    return "test-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  }

  AnyWorld world_ = AnyWorld::Real();
  DynamodbServerCase server_;
  std::string table_;
};

}  // namespace longhaul::testing
