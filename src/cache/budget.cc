#include "cache/budget.h"

#include <map>
#include <utility>

namespace longhaul::cache {

namespace {

// Rows of one removal; what is looked through to find the oldest is bounded by it.
constexpr size_t kBudgetRowsMax = 10'000;
constexpr int kRoundsMax = 4;
// A limit that was read counts for so long.
constexpr std::chrono::seconds kLimitAge{5};

}  // namespace

Budget::Budget(Runtime runtime, State& state, Place place, CountedBytes& bytes, Remover& remover,
               std::function<Async<void>()> write_uses)
    : runtime_(runtime),
      state_(state),
      place_(std::move(place)),
      bytes_(bytes),
      remover_(remover),
      write_uses_(std::move(write_uses)),
      one_at_a_time_(std::make_shared<Semaphore>(1)) {}

Async<void> Budget::Open() {
  Result<uint64_t> limit = co_await BudgetOf(state_, place_);
  if (!limit) co_return limit.error();
  limit_bytes_ = *limit;
  read_ = runtime_.clock.SteadyNow();
  co_return Ok();
}

Async<void> Budget::Refresh() {
  if (runtime_.clock.SteadyNow() - read_ < kLimitAge) co_return Ok();
  co_return co_await Open();
}

Async<bool> Budget::Take(int64_t bytes, SystemTime spare_since) {
  if (bytes <= 0 || limit_bytes_ == 0) {
    Result<int64_t> taken = co_await bytes_.Take(bytes);
    if (!taken) co_return taken.error();
    co_return true;
  }
  const auto limit = static_cast<int64_t>(limit_bytes_);
  if (bytes > limit) co_return false;
  co_await one_at_a_time_->Acquire();
  Permit permit(one_at_a_time_);
  Result<int64_t> now = co_await bytes_.Take(bytes);
  if (!now) co_return now.error();
  for (int round = 0; *now > limit && round < kRoundsMax; ++round) {
    Result<int64_t> freed = co_await MakeRoom(*now - limit, spare_since);
    if (!freed) co_return freed.error();
    now = co_await bytes_.Now();
    if (!now) co_return now.error();
    if (*freed == 0) break;
  }
  if (*now <= limit) co_return true;
  Result<void> given = co_await bytes_.Give(bytes);
  if (!given) co_return given.error();
  co_return false;
}

Async<int64_t> Budget::MakeRoom(int64_t bytes, SystemTime spare_since) {
  if (write_uses_) {
    Result<void> written = co_await write_uses_();
    if (!written) co_return written.error();
  }
  Result<std::vector<EntryRow>> oldest = co_await Oldest(bytes, spare_since);
  if (!oldest) co_return oldest.error();
  Result<RemovalCounts> removed = co_await remover_.Remove(std::move(*oldest));
  if (!removed) co_return removed.error();
  co_return removed->removed + removed->foreign;
}

Async<std::vector<EntryRow>> Budget::Oldest(int64_t bytes, SystemTime spare_since) {
  const SystemTime now = runtime_.clock.Now();
  std::multimap<SystemTime, EntryRow> oldest;
  int64_t sum = 0;
  EntryPages pages(state_, place_, "");
  while (true) {
    Result<std::vector<EntryRow>> page = co_await pages.Next();
    if (!page) co_return page.error();
    if (page->empty()) break;
    for (EntryRow& row : *page) {
      const Entry& entry = row.entry;
      if (entry.claimed_now() || entry.pinned || entry.counted_bytes == 0) continue;
      if (entry.used >= spare_since) continue;
      const auto counted = static_cast<int64_t>(entry.counted_bytes);
      const SystemTime when = entry.until <= now ? SystemTime{} : entry.used;
      oldest.emplace(when, std::move(row));
      sum += counted;
      // Without the youngest of them it is still enough.
      while (oldest.size() > kBudgetRowsMax ||
             sum - static_cast<int64_t>(std::prev(oldest.end())->second.entry.counted_bytes) >=
                 bytes) {
        sum -= static_cast<int64_t>(std::prev(oldest.end())->second.entry.counted_bytes);
        oldest.erase(std::prev(oldest.end()));
      }
    }
  }
  std::vector<EntryRow> rows;
  rows.reserve(oldest.size());
  for (auto& [when, row] : oldest) rows.push_back(std::move(row));
  co_return rows;
}

}  // namespace longhaul::cache
