#include "state/postgres_state.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "base/log.h"

namespace longhaul {

using std::chrono::microseconds;

namespace {

constexpr std::chrono::seconds kPostgresSweepInterval{10};
constexpr int64_t kPostgresSweepRowsMax = 1000;
constexpr std::chrono::minutes kCompareInterval{5};
// Clocks that differ by less are taken for the same, so that times come back as they were written.
constexpr std::chrono::milliseconds kClockTolerance{500};
constexpr std::chrono::seconds kClockWarning{5};

// What state_write_one understands.
constexpr int64_t kAnything = -2;
constexpr int64_t kAbsent = -1;

int64_t CodeOf(const Expected& expected) {
  switch (expected.kind) {
    case Expected::Kind::kAnything:
      return kAnything;
    case Expected::Kind::kAbsent:
      return kAbsent;
    case Expected::Kind::kRevision:
      // No row has another one below zero.
      return std::max<int64_t>(expected.revision, 0);
  }
  return kAnything;
}

}  // namespace

Async<std::unique_ptr<State>> PostgresState::Open(
    Runtime runtime, std::shared_ptr<PostgresClient> client,
    std::function<void(std::chrono::seconds ahead)> on_clock_off) {
  Result<void> there = co_await CheckPostgresPart(*client, PostgresStatePart());
  if (!there) co_return there.error();
  std::unique_ptr<PostgresState> state(
      new PostgresState(runtime, std::move(client), std::move(on_clock_off)));
  Result<void> compared = co_await state->CompareClocks();
  if (!compared) co_return compared.error();
  co_return std::unique_ptr<State>(std::move(state));
}

Async<void> PostgresState::CompareClocks() {
  compared_ = runtime_.clock.SteadyNow();
  const SystemTime before = runtime_.clock.Now();
  Result<PostgresRows> rows =
      co_await client_->Run("SELECT state_now()", PostgresArguments(), PostgresRepeat::kSafe);
  if (!rows) co_return rows.error().In("state: compare clocks");
  const SystemTime after = runtime_.clock.Now();
  const microseconds ahead = SystemTime(microseconds(rows->Int(0, 0))) - before;
  // It was that time at some moment between the two.
  const microseconds middle = ahead - (after - before) / 2;
  const bool same = std::chrono::abs(middle) < kClockTolerance;
  const microseconds was = ahead_;
  ahead_ = same ? microseconds(0) : middle;
  if (std::chrono::abs(ahead_) >= kClockWarning && std::chrono::abs(was) < kClockWarning) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(ahead_);
    if (on_clock_off_) {
      on_clock_off_(seconds);
    } else {
      runtime_.log.Warning("this machine's clock is not that of the database",
                           {{"seconds_ahead", -seconds.count()}});
    }
  }
  co_return Ok();
}

std::optional<SystemTime> PostgresState::OurTime(const PostgresRows& rows, int row,
                                                 int column) const {
  if (rows.IsNull(row, column)) return std::nullopt;
  return SystemTime(microseconds(rows.Int(row, column)) - ahead_);
}

asio::awaitable<void> PostgresState::SweepIfDue() {
  const SteadyTime now = runtime_.clock.SteadyNow();
  if (now - compared_ >= kCompareInterval) {
    Result<void> compared = co_await CompareClocks();
    static_cast<void>(compared);  // As it was before, then.
  }
  if (!more_to_sweep_ && now - last_sweep_ < kPostgresSweepInterval) co_return;
  more_to_sweep_ = false;  // Calls side by side do not all sweep.
  last_sweep_ = now;
  Result<PostgresRows> swept = co_await client_->Run(
      "SELECT state_sweep($1)", PostgresArguments().Int(kPostgresSweepRowsMax));
  if (swept) more_to_sweep_ = swept->Int(0, 0) == kPostgresSweepRowsMax;
}

Async<std::optional<StateRow>> PostgresState::Get(std::string partition, std::string key) {
  std::vector<std::string> keys;
  keys.push_back(std::move(key));
  Result<std::vector<std::optional<StateRow>>> rows =
      co_await GetMany(std::move(partition), std::move(keys));
  if (!rows) co_return rows.error();
  co_return std::move(rows->front());
}

Async<std::vector<std::optional<StateRow>>> PostgresState::GetMany(std::string partition,
                                                                   std::vector<std::string> keys) {
  std::vector<std::optional<StateRow>> found(keys.size());
  if (keys.empty()) co_return found;
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  PostgresArguments arguments;
  arguments.Bytes(partition).Bytes(std::span<const std::string_view>(views));
  Result<PostgresRows> rows =
      co_await client_->Run("SELECT place, value, revision, expires_us FROM state_get($1, $2)",
                            arguments, PostgresRepeat::kSafe);
  if (!rows) co_return rows.error().In("state: get");
  for (int row = 0; row < rows->size(); ++row) {
    const auto place = static_cast<size_t>(rows->Int(row, 0) - 1);
    if (place >= keys.size()) continue;
    found[place] = StateRow{.key = keys[place],
                            .value = rows->Bytes(row, 1),
                            .revision = rows->Int(row, 2),
                            .expires = OurTime(*rows, row, 3)};
  }
  co_return found;
}

Async<int64_t> PostgresState::Write(std::string partition, StateWrite write) {
  std::vector<StateWrite> writes;
  writes.push_back(std::move(write));
  Result<std::vector<Result<int64_t>>> results =
      co_await WriteMany(std::move(partition), std::move(writes));
  if (!results) co_return results.error();
  co_return std::move(results->front());
}

Async<std::vector<Result<int64_t>>> PostgresState::WriteMany(std::string partition,
                                                             std::vector<StateWrite> writes) {
  std::vector<Result<int64_t>> results;
  std::vector<size_t> order;
  for (size_t i = 0; i < writes.size(); ++i) {
    Result<void> checked = CheckStateWrite(writes[i]);
    results.push_back(checked ? Result<int64_t>(0) : Result<int64_t>(checked.error()));
    if (checked) order.push_back(i);
  }
  if (order.empty()) co_return results;
  // Writes of one key stay in their order.
  std::ranges::sort(order, {},
                    [&](size_t i) { return std::pair(std::string_view(writes[i].key), i); });
  std::vector<std::string_view> keys;
  std::vector<std::optional<std::string_view>> values;
  std::vector<int64_t> expected;
  std::vector<std::optional<int64_t>> expires;
  for (size_t i : order) {
    const StateWrite& write = writes[i];
    keys.push_back(write.key);
    values.push_back(write.value ? std::optional<std::string_view>(*write.value) : std::nullopt);
    expected.push_back(CodeOf(write.expected));
    expires.push_back(write.expires
                          ? std::optional((write.expires->time_since_epoch() + ahead_).count())
                          : std::nullopt);
  }
  PostgresArguments arguments;
  arguments.Bytes(partition)
      .Bytes(std::span<const std::string_view>(keys))
      .Bytes(std::span<const std::optional<std::string_view>>(values))
      .Ints(std::span<const int64_t>(expected))
      .Ints(std::span<const std::optional<int64_t>>(expires));
  Result<PostgresRows> rows =
      co_await client_->Run("SELECT written FROM state_write($1, $2, $3, $4, $5)", arguments);
  if (!rows) co_return rows.error().In("state: write");
  for (size_t at = 0; at < order.size(); ++at) {
    const auto row = static_cast<int>(at);
    if (row >= rows->size()) co_return Retryable("state: write: the answer was cut");
    results[order[at]] = rows->IsNull(row, 0) ? Result<int64_t>(UnexpectedState(writes[order[at]]))
                                              : Result<int64_t>(rows->Int(row, 0));
  }
  co_await SweepIfDue();
  co_return results;
}

Async<int64_t> PostgresState::Add(std::string partition, std::string key, int64_t amount) {
  Result<void> checked = CheckStateWrite({.key = key, .value = ""});
  if (!checked) co_return checked.error();
  Result<PostgresRows> rows =
      co_await client_->Run("SELECT total, old FROM state_add($1, $2, $3)",
                            PostgresArguments().Bytes(partition).Bytes(key).Int(amount));
  if (!rows) co_return rows.error().In("state: add");
  if (!rows->IsNull(0, 0)) co_return rows->Int(0, 0);
  Result<int64_t> sum = AddToStateNumber(rows->Bytes(0, 1), amount);
  if (!sum) co_return sum.error().In("state: add");
  co_return Corrupt("state: add: the database cannot add to " + rows->Bytes(0, 1));
}

Async<std::vector<StateRow>> PostgresState::Scan(std::string partition, std::string after,
                                                 int count_max) {
  Result<PostgresRows> rows = co_await client_->Run(
      "SELECT key, value, revision, expires_us FROM state_scan($1, $2, $3)",
      PostgresArguments().Bytes(partition).Bytes(after).Int(count_max), PostgresRepeat::kSafe);
  if (!rows) co_return rows.error().In("state: scan");
  std::vector<StateRow> found;
  for (int row = 0; row < rows->size(); ++row) {
    found.push_back({.key = rows->Bytes(row, 0),
                     .value = rows->Bytes(row, 1),
                     .revision = rows->Int(row, 2),
                     .expires = OurTime(*rows, row, 3)});
  }
  co_return found;
}

}  // namespace longhaul
