#include "migration/row_scan.h"

#include <utility>

namespace longhaul::migration {

namespace {

constexpr int kRowsPerScan = 500;

}  // namespace

Async<void> ForEachRow(State& state, std::string partition, std::string prefix,
                       std::function<Result<bool>(const StateRow&)> take) {
  std::string after = prefix;
  while (true) {
    Result<std::vector<StateRow>> page = co_await state.Scan(partition, after, kRowsPerScan);
    if (!page) co_return page.error();
    if (page->empty()) co_return Ok();
    for (const StateRow& row : *page) {
      if (!row.key.starts_with(prefix)) co_return Ok();
      after = row.key;
      Result<bool> taken = take(row);
      if (!taken) co_return taken.error();
      if (!*taken) co_return Ok();
    }
  }
}

Async<std::vector<StateRow>> RowsBelow(State& state, std::string partition, std::string prefix) {
  std::vector<StateRow> rows;
  const auto take = [&rows](const StateRow& row) -> Result<bool> {
    rows.push_back(row);
    return true;
  };
  Result<void> read = co_await ForEachRow(state, std::move(partition), std::move(prefix), take);
  if (!read) co_return read.error();
  co_return rows;
}

Async<void> RemoveRowsBelow(State& state, std::string partition, std::string prefix) {
  for (bool more = true; more;) {
    Result<std::vector<StateRow>> page = co_await state.Scan(partition, prefix, kRowsPerScan);
    if (!page) co_return page.error();
    more = std::ssize(*page) == kRowsPerScan && page->back().key.starts_with(prefix);
    std::vector<StateWrite> removals;
    for (StateRow& row : *page) {
      if (row.key.starts_with(prefix)) removals.push_back({.key = std::move(row.key)});
    }
    if (removals.empty()) co_return Ok();
    Result<std::vector<Result<int64_t>>> removed =
        co_await state.WriteMany(partition, std::move(removals));
    if (!removed) co_return removed.error();
    for (const Result<int64_t>& row : *removed) {
      if (!row) co_return row.error();
    }
  }
  co_return Ok();
}

}  // namespace longhaul::migration
