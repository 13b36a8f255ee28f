#include "replication/life/left_spool.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "replication/life/spool.h"

namespace longhaul {

namespace {

constexpr char kSpoolsPartition[] = "spools";
constexpr int kSpoolsPageRows = 1000;

}  // namespace

Async<void> NoteSpools(State& state, std::vector<std::string> rules) {
  Result<std::vector<std::optional<StateRow>>> noted =
      co_await state.GetMany(kSpoolsPartition, rules);
  if (!noted) co_return noted.error().In("State");
  std::vector<StateWrite> writes;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (!(*noted)[i]) writes.push_back({.key = rules[i], .value = "1"});
  }
  if (writes.empty()) co_return Ok();
  Result<std::vector<Result<int64_t>>> written =
      co_await state.WriteMany(kSpoolsPartition, std::move(writes));
  if (!written) co_return written.error().In("State");
  for (const Result<int64_t>& row : *written) {
    if (!row) co_return row.error().In("State");
  }
  co_return Ok();
}

Async<std::vector<LeftSpool>> FindLeftSpools(State& state, const std::vector<const Rule*>& rules) {
  std::vector<LeftSpool> left;
  for (std::string after;;) {
    Result<std::vector<StateRow>> rows =
        co_await state.Scan(kSpoolsPartition, after, kSpoolsPageRows);
    if (!rows) co_return rows.error().In("State");
    for (const StateRow& row : *rows) {
      if (std::ranges::find(rules, row.key, &Rule::id) != rules.end()) continue;
      Result<KeptHints> kept = co_await CountKept(state, row.key);
      if (!kept) co_return kept.error();
      if (kept->hints == 0) continue;
      left.push_back({.rule = row.key, .hints = kept->hints, .more = kept->more});
    }
    if (rows->size() < kSpoolsPageRows) co_return left;
    after = std::move(rows->back().key);
  }
}

std::string Describe(const LeftSpool& left) {
  const bool one = left.hints == 1;
  return std::to_string(left.hints) + (one ? " hint" : " hints") + (left.more ? " or more" : "") +
         " of rule " + left.rule + (one ? " is" : " are") +
         " kept in State, and no enabled rule here has that id: give it to the rule, which sends "
         "them, or let `longhaul rules backfill` of the one in its place find what they told, but "
         "for changes of tags alone";
}

}  // namespace longhaul
