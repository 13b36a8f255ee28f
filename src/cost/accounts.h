// Accounts: the ledger of all processes added up, by rule, target or day: what `savings` prints and
// the API answers.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/async.h"
#include "cost/bill.h"
#include "cost/ledger.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

enum class AccountsBy { kRule, kTarget, kDay };

struct Accounts {
  std::map<std::string, Account> groups;  // "app-logs", "app-logs/west", "2026-11-24", "(shared)".
  Account all;
  uint64_t damaged_rows = 0;  // That made no sense and were left out.
};
// Of the hour of `since` and all later ones. `rule`: that one alone; empty: all of them. Holds the
// sums and a page of rows, and lets others of the shard run meanwhile. Errors are those of State.
Async<Accounts> ReadAccounts(State& state, const Configuration& configuration, SystemTime since,
                             AccountsBy by, std::string rule);

// Reads them for many who ask, one reading at a time: who asks what is being read, or waits to be,
// gets what that finds. Belongs to one shard. Borrowed: State and the configuration.
class AccountsReader {
 public:
  AccountsReader(State& state, const Configuration& configuration)
      : state_(state), configuration_(configuration) {}

  // As ReadAccounts.
  Async<std::shared_ptr<const Accounts>> Read(SystemTime since, AccountsBy by, std::string rule);

 private:
  using Question = std::tuple<SystemTime, AccountsBy, std::string>;
  using Answer = std::optional<Result<std::shared_ptr<const Accounts>>>;
  State& state_;
  const Configuration& configuration_;
  std::shared_ptr<Semaphore> turn_ = std::make_shared<Semaphore>(1);
  // weak: whoever waits for the answer holds it.
  std::map<Question, std::weak_ptr<Answer>> asked_;
};

// Prices that some of these needed and nobody knows.
std::vector<std::string> UnknownPrices(const Bill::Sum& a, const Bill::Sum& b, const Bill::Sum& c);

}  // namespace longhaul
