#include "server/parked_counts.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace longhaul {

namespace {

// Another number whenever something was tried, carried or parked: none of them ever falls.
uint64_t SumOf(const RuleTotals& totals) {
  uint64_t sum = totals.archives + totals.failures + totals.parked;
  for (const auto& [name, target] : totals.targets) {
    sum += target.applied + target.equal + target.superseded + target.conflicts + target.parked;
  }
  return sum;
}

}  // namespace

Async<void> ParkedCounts::Refresh(std::shared_ptr<const RuleSights> sights) {
  while (counting_) co_await counted_.Wait();
  if (looked_ && clock_.SteadyNow() - *looked_ < kEvery) co_return Ok();
  counting_ = true;
  Result<void> counted = co_await CountMoved(std::move(sights));
  if (counted) looked_ = clock_.SteadyNow();
  counting_ = false;
  counted_.NotifyAll();
  co_return counted;
}

Async<void> ParkedCounts::CountMoved(std::shared_ptr<const RuleSights> sights) {
  for (const Rule& rule : configuration_.rules) {
    Counted& known = rules_[rule.id];
    const SteadyTime now = clock_.SteadyNow();
    const auto totals = sights->totals.find(rule.id);
    const uint64_t sum = totals == sights->totals.end() ? 0 : SumOf(totals->second);
    if (known.counted && sum != known.totals) known.moved = now;
    known.totals = sum;
    const bool moves = known.moved && *known.counted <= *known.moved + kMovesFor;
    if (known.counted && !moves) continue;
    Result<void> counted = co_await Count(rule);
    if (!counted) co_return counted.error();
  }
  co_return Ok();
}

Async<void> ParkedCounts::RefreshOldest(size_t rule_count) {
  std::vector<const Rule*> rules;
  for (const Rule& rule : configuration_.rules) {
    if (rules_[rule.id].counted) rules.push_back(&rule);
  }
  const size_t count = std::min(rule_count, rules.size());
  std::ranges::partial_sort(rules, rules.begin() + static_cast<ptrdiff_t>(count), {},
                            [&](const Rule* rule) { return *rules_[rule->id].counted; });
  for (const Rule* rule : std::span(rules).first(count)) {
    Result<void> counted = co_await Count(*rule);
    if (!counted) co_return counted.error();
  }
  co_return Ok();
}

Async<void> ParkedCounts::Count(const Rule& rule) {
  const SteadyTime now = clock_.SteadyNow();
  Result<std::map<std::string, uint64_t>> parked = co_await CountParked(state_, rule, kCountMax);
  if (!parked) co_return parked.error();
  Counted& known = rules_[rule.id];
  known.parked = std::move(*parked);
  known.counted = now;
  co_return Ok();
}

uint64_t ParkedCounts::Of(const std::string& rule, const std::string& target) const {
  const auto known = rules_.find(rule);
  if (known == rules_.end()) return 0;
  const auto parked = known->second.parked.find(target);
  return parked == known->second.parked.end() ? 0 : parked->second;
}

}  // namespace longhaul
