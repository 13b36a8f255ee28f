#include "cost/accounts.h"

#include <set>
#include <string_view>
#include <utility>

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
  std::map<std::string_view, const Rule*> rules;
  for (const Rule& one : configuration.rules) rules.emplace(one.id, &one);
  Accounts accounts;
  const auto take = [&](const LedgerLine& line) {
    if (!rule.empty() && line.place.rule != rule) return;
    const auto found = rules.find(line.place.rule);
    accounts.groups[GroupOf(line, by)].Add(line, found == rules.end() ? nullptr : found->second);
  };
  Result<uint64_t> damaged_rows = co_await ReadLedger(state, since, take);
  if (!damaged_rows) co_return damaged_rows.error();
  accounts.damaged_rows = *damaged_rows;
  for (const auto& [name, account] : accounts.groups) accounts.all += account;
  co_return accounts;
}

Async<std::shared_ptr<const Accounts>> AccountsReader::Read(SystemTime since, AccountsBy by,
                                                            std::string rule) {
  const Question question{since, by, rule};
  std::shared_ptr<Answer> answer = asked_[question].lock();
  if (!answer) {
    std::erase_if(asked_, [](const auto& asked) { return asked.second.expired(); });
    answer = std::make_shared<Answer>();
    asked_[question] = answer;
  }
  const std::shared_ptr<Semaphore> turn = turn_;
  co_await turn->Acquire();
  const Permit permit(turn);
  // Somebody else has asked the same, and had his turn before.
  if (*answer) co_return **answer;
  Result<Accounts> accounts =
      co_await ReadAccounts(state_, configuration_, since, by, std::move(rule));
  asked_.erase(question);  // Who asks from now on wants what has come since.
  if (accounts) {
    answer->emplace(std::make_shared<const Accounts>(std::move(*accounts)));
  } else {
    answer->emplace(accounts.error());
  }
  co_return **answer;
}

std::vector<std::string> UnknownPrices(const Bill::Sum& a, const Bill::Sum& b, const Bill::Sum& c) {
  std::set<std::string> all = a.unknown;
  all.insert(b.unknown.begin(), b.unknown.end());
  all.insert(c.unknown.begin(), c.unknown.end());
  return {all.begin(), all.end()};
}

}  // namespace longhaul
