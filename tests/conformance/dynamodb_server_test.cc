// What DynamodbState promises of a real server, that LONGHAUL_TEST_DYNAMODB names.

#include <gtest/gtest.h>

#include "tests/support/dynamodb_fixture.h"

namespace longhaul::testing {
namespace {

class DynamodbServer : public ::testing::TestWithParam<DynamodbServerCase> {};

TEST_P(DynamodbServer, AMissingTableIsNamedWithItsRemedy) {
  DynamodbFixture fixture(GetParam());
  auto state =
      fixture.world().Run(DynamodbState::Open(fixture.world().runtime(), fixture.Client()));
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(state.error().message.contains("longhaul setup")) << state.error().message;
}

TEST_P(DynamodbServer, SettingUpTwiceIsSettingUpOnce) {
  DynamodbFixture fixture(GetParam());
  fixture.SetUp();
  auto again = fixture.world().Run(SetUpDynamodbState(*fixture.Client()));
  ASSERT_TRUE(again) << again.error().Describe();
  EXPECT_FALSE(*again);
}

// A table of something else must not be filled with our rows.
TEST_P(DynamodbServer, ATableWithOtherKeysIsRefused) {
  DynamodbFixture fixture(GetParam());
  auto client = fixture.Client();
  ASSERT_TRUE(fixture.world().Run(client->Create({"id HASH S", "at RANGE N"}, std::nullopt)));
  auto state = fixture.world().Run(DynamodbState::Open(fixture.world().runtime(), client));
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().kind, ErrorKind::kInvalidInput);
  auto made = fixture.world().Run(SetUpDynamodbState(*client));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::kInvalidInput);
}

// More than one answer of DynamoDB holds (16 MB, 1 MB of a page): all of it must come.
TEST_P(DynamodbServer, LargeRowsAllComeBack) {
  DynamodbFixture fixture(GetParam());
  fixture.SetUp();
  std::unique_ptr<State> state = fixture.Open();
  std::vector<StateWrite> writes;
  std::vector<std::string> keys;
  for (int i = 0; i < 80; ++i) {
    keys.push_back("k" + std::to_string(100 + i));
    writes.push_back({.key = keys.back(), .value = std::string(kStateValueSizeMaxBytes, 'v')});
  }
  auto written = fixture.world().Run(state->WriteMany("p", writes));
  ASSERT_TRUE(written) << written.error().Describe();
  auto rows = fixture.world().Run(state->GetMany("p", keys));
  ASSERT_TRUE(rows) << rows.error().Describe();
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_TRUE((*rows)[i]) << i;
  auto scanned = fixture.world().Run(state->Scan("p", "", 1000));
  ASSERT_TRUE(scanned) << scanned.error().Describe();
  EXPECT_EQ(scanned->size(), keys.size());
}

// Many who count at once must not wait for each other in rounds, nor lose a count.
TEST_P(DynamodbServer, AHundredAddersAllCount) {
  DynamodbFixture fixture(GetParam());
  fixture.SetUp();
  struct Adder {
    static Async<void> Run(State& state) {
      for (int i = 0; i < 3; ++i) {
        Result<int64_t> sum = co_await state.Add("p", "n", 2);
        if (!sum) co_return sum.error();
      }
      co_return Ok();
    }
    static Async<void> All(State& state, Runtime& runtime) {
      TaskGroup group(runtime.executor);
      for (int i = 0; i < 100; ++i) group.Spawn(Run(state));
      co_return co_await group.Join();
    }
  };
  std::unique_ptr<State> state = fixture.Open();
  ASSERT_TRUE(fixture.world().Run(state->Write("p", {.key = "n", .value = "10"})));
  auto added = fixture.world().Run(Adder::All(*state, fixture.world().runtime()));
  ASSERT_TRUE(added) << added.error().Describe();
  auto row = fixture.world().Run(state->Get("p", "n"));
  ASSERT_TRUE(row && *row);
  EXPECT_EQ((*row)->value, "610");
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DynamodbServer);
INSTANTIATE_TEST_SUITE_P(DynamodbServer, DynamodbServer, ::testing::ValuesIn(DynamodbServers()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace longhaul::testing
