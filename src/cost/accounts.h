// Accounts: the ledger of all processes added up, by rule, target or day: what `savings` prints and
// the API answers.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

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
// Of the hour of `since` and all later ones. `rule`: that one alone; empty: all of them. Errors are
// those of State.
Async<Accounts> ReadAccounts(State& state, const Configuration& configuration, SystemTime since,
                             AccountsBy by, std::string rule);

// Prices that some of these needed and nobody knows.
std::vector<std::string> UnknownPrices(const Bill::Sum& a, const Bill::Sum& b, const Bill::Sum& c);

}  // namespace longhaul
