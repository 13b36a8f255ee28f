#include "cost/accounts.h"

#include <set>

namespace longhaul {

namespace {

std::string GroupOf(const LedgerLine& line, AccountsBy by) {
  if (by == AccountsBy::kDay) return FormatRfc3339(line.hour).substr(0, 10);
  const LedgerPlace& place = line.place;
  if (place.rule.empty()) return "(shared)";
  if (by == AccountsBy::kRule) return place.rule;
  return place.rule + "/" + (place.target.empty() ? "(source)" : place.target);
}

}  // namespace

Async<Accounts> ReadAccounts(State& state, const Configuration& configuration, SystemTime since,
                             AccountsBy by, std::string rule) {
  Result<LedgerLines> lines = co_await ReadLedger(state, since);
  if (!lines) co_return lines.error();
  Accounts accounts{.damaged_rows = lines->damaged_rows};
  for (const LedgerLine& line : lines->lines) {
    if (!rule.empty() && line.place.rule != rule) continue;
    accounts.groups[GroupOf(line, by)].Add(line, configuration);
    accounts.all.Add(line, configuration);
  }
  co_return accounts;
}

std::vector<std::string> UnknownPrices(const Bill::Sum& a, const Bill::Sum& b, const Bill::Sum& c) {
  std::set<std::string> all = a.unknown;
  all.insert(b.unknown.begin(), b.unknown.end());
  all.insert(c.unknown.begin(), c.unknown.end());
  return {all.begin(), all.end()};
}

}  // namespace longhaul
