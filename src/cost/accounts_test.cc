#include "cost/accounts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeState;
using testing::FakeStateBackend;

// Counts what is asked for, and how many ask at a time.
class CountingState : public FakeState {
 public:
  using FakeState::FakeState;
  Async<std::vector<StateRow>> Scan(std::string partition, std::string after,
                                    int count_max) override {
    page_rows_max = std::max(page_rows_max, count_max);
    under_way_max = std::max(under_way_max, ++under_way);
    ++scans;
    co_await Yield();
    if (fails) {
      --under_way;
      co_return Retryable("not now");
    }
    auto rows = co_await FakeState::Scan(std::move(partition), std::move(after), count_max);
    --under_way;
    co_return rows;
  }

  bool fails = false;
  int page_rows_max = 0;
  int scans = 0;
  int under_way = 0;
  int under_way_max = 0;
};

class AccountsTest : public ::testing::Test {
 protected:
  AccountsTest() {
    Rule rule{.id = "one", .source = {.store = "a", .bucket = "data", .prefix = ""}};
    rule.targets.push_back({.name = "west", .to = {.store = "b", .bucket = "copy", .prefix = ""}});
    configuration.rules.push_back(rule);
    for (int i = 0; i < kRows; ++i) {
      const std::string rule_id = i % 2 == 0 ? "one" : "two";
      std::string text;
      for (int line = 0; line < kLinesOfRow; ++line) {
        text += (line == 0 ? "[" : ",") + std::string(R"({"rule":")") + rule_id +
                R"(","target":"west","part":"target","region":"eu-west-1",)"
                R"("peers":"us-east-1","counts":{"put/STANDARD":2,"archive/objects":1}})";
      }
      StateWrite write{.key = LedgerHour(world.clock.Now()) + "/" + std::to_string(10'000 + i),
                       .value = text + "]"};
      EXPECT_TRUE(world.Run(state.Write("ledger", std::move(write))));
    }
  }
  // How often the others of the shard get their turn until it is told to end.
  static Async<void> Count(int& turns, const bool& done) {
    while (!done) {
      ++turns;
      co_await Yield();
    }
    co_return Ok();
  }
  Async<void> ReadOnce(std::optional<Result<Accounts>>& accounts, bool& done) {
    accounts = co_await ReadAccounts(state, configuration, SystemTime{}, AccountsBy::kRule, "");
    done = true;
    co_return Ok();
  }
  Async<void> Ask(AccountsReader& reader, AccountsBy by,
                  std::vector<std::shared_ptr<const Accounts>>& answers) {
    Result<std::shared_ptr<const Accounts>> read = co_await reader.Read(SystemTime{}, by, "");
    if (!read) co_return read.error();
    answers.push_back(*read);
    co_return Ok();
  }

  static constexpr int kRows = 1'000;
  static constexpr int kLinesOfRow = 5;
  static constexpr int kPages = kRows / kLedgerPageRows + 1;
  testing::FakeWorld world;
  std::shared_ptr<FakeStateBackend> backend = std::make_shared<FakeStateBackend>();
  CountingState state{world.runtime, backend};
  Configuration configuration;
};

// A month of many processes would take a GB at once, and silence a shard for seconds.
TEST_F(AccountsTest, ALongLedgerIsAddedUpPageByPageWhileOthersRun) {
  int turns = 0;
  bool done = false;
  std::optional<Result<Accounts>> accounts;
  TaskGroup group(world.runtime.executor);
  group.Spawn(ReadOnce(accounts, done));
  group.Spawn(Count(turns, done));
  ASSERT_TRUE(world.Run(group.Join()));
  ASSERT_TRUE(accounts && *accounts);
  EXPECT_LE(state.page_rows_max, kLedgerPageRows);
  EXPECT_EQ(state.scans, kPages);
  EXPECT_GE(turns, kRows);
  const Accounts& all = **accounts;
  EXPECT_EQ(all.all.objects, uint64_t{kRows} * kLinesOfRow);
  EXPECT_EQ(all.groups.at("one").objects, uint64_t{kRows} * kLinesOfRow / 2);
  // All of it is the sum of its groups, also of a rule that the configuration does not have.
  const Prices prices;
  const Bill::Sum sum = all.all.paid.Reckon(prices);
  EXPECT_EQ(sum.total, all.groups.at("one").paid.Reckon(prices).total +
                           all.groups.at("two").paid.Reckon(prices).total);
  EXPECT_EQ(sum.items.at("requests at the target"),
            Pico{*prices.Find("request/eu-west-1/put/STANDARD")} * 2 * kRows * kLinesOfRow);
}

TEST_F(AccountsTest, WhoAsksTheSameGetsTheSameAndOneReadsAtATime) {
  AccountsReader reader(state, configuration);
  std::vector<std::shared_ptr<const Accounts>> by_rule;
  std::vector<std::shared_ptr<const Accounts>> by_day;
  TaskGroup group(world.runtime.executor);
  for (int i = 0; i < 5; ++i) group.Spawn(Ask(reader, AccountsBy::kRule, by_rule));
  for (int i = 0; i < 3; ++i) group.Spawn(Ask(reader, AccountsBy::kDay, by_day));
  group.Spawn(Ask(reader, AccountsBy::kRule, by_rule));
  ASSERT_TRUE(world.Run(group.Join()));
  ASSERT_EQ(by_rule.size(), 6u);
  ASSERT_EQ(by_day.size(), 3u);
  EXPECT_EQ(std::ranges::count(by_rule, by_rule.front()), 6);
  EXPECT_EQ(std::ranges::count(by_day, by_day.front()), 3);
  EXPECT_TRUE(by_rule.front()->groups.contains("one"));
  EXPECT_FALSE(by_day.front()->groups.contains("one"));
  EXPECT_EQ(state.scans, 2 * kPages);
  EXPECT_EQ(state.under_way_max, 1);
  // What has come since is in the next answer.
  ASSERT_TRUE(world.Run(Ask(reader, AccountsBy::kRule, by_rule)));
  EXPECT_NE(by_rule.back(), by_rule.front());
  EXPECT_EQ(state.scans, 3 * kPages);
}

TEST_F(AccountsTest, AReadingThatFailsFailsForAllWhoWaitForItAndForNobodyElse) {
  AccountsReader reader(state, configuration);
  state.fails = true;
  std::vector<std::shared_ptr<const Accounts>> answers;
  EXPECT_FALSE(world.Run(Ask(reader, AccountsBy::kRule, answers)));
  state.fails = false;
  EXPECT_TRUE(world.Run(Ask(reader, AccountsBy::kRule, answers)));
  EXPECT_EQ(answers.size(), 1u);
}

}  // namespace
}  // namespace longhaul
