#include "replication/life/parked.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "base/json.h"
#include "replication/life/of_source.h"

namespace longhaul {

namespace {

constexpr int kParkedPageRows = 1000;
// Servers' messages are quoted; a row has its limit, and a person reads a line or two.
constexpr size_t kReasonBytesMax = 4096;

std::string KeyPartition(const std::string& rule, const std::string& target) {
  return target.empty() ? "parked/" + rule : "parked/" + rule + "/" + target;
}
std::string ArchivePartition(const std::string& rule, const std::string& target) {
  return "parked-archive/" + rule + "/" + target;
}

std::string Encode(const ParkedKey& parked) {
  boost::json::object row{{"reason", parked.reason.substr(0, kReasonBytesMax)},
                          {"when", FormatRfc3339(parked.when)}};
  if (parked.since != SystemTime{}) row["since"] = FormatRfc3339(parked.since);
  if (!parked.archive.empty()) row["archive"] = parked.archive;
  if (!parked.op.empty()) row["op"] = parked.op;
  if (!parked.store.empty()) row["store"] = parked.store;
  if (!parked.bucket.empty()) row["bucket"] = parked.bucket;
  if (!parked.plan.empty()) row["plan"] = parked.plan;
  if (!parked.carried.empty()) {
    row["carried"] = boost::json::array(parked.carried.begin(), parked.carried.end());
  }
  if (parked.retried) row["retried"] = FormatRfc3339(*parked.retried);
  return WriteJson(row);
}

// Rows of version 0.1 are the bare reason.
ParkedKey Decode(const StateRow& row, std::string target) {
  ParkedKey parked{.key = row.key, .target = std::move(target), .revision = row.revision};
  Result<boost::json::value> value = ParseJson(row.value);
  if (!value || !value->is_object()) {
    parked.reason = row.value;
    return parked;
  }
  JsonView view(*value);
  auto field = [&](std::string_view name) {
    Result<std::string_view> found = view.Text(name);
    return found ? std::string(*found) : std::string();
  };
  parked.reason = field("reason");
  parked.archive = field("archive");
  parked.op = field("op");
  parked.store = field("store");
  parked.bucket = field("bucket");
  parked.plan = field("plan");
  if (const boost::json::value* carried = value->get_object().if_contains("carried");
      carried != nullptr && carried->is_array()) {
    for (const boost::json::value& target : carried->get_array()) {
      if (target.is_string()) parked.carried.emplace(target.get_string());
    }
  }
  if (Result<SystemTime> when = ParseRfc3339(field("when"))) parked.when = *when;
  if (Result<SystemTime> since = ParseRfc3339(field("since"))) parked.since = *since;
  if (Result<SystemTime> retried = ParseRfc3339(field("retried"))) parked.retried = *retried;
  return parked;
}

Async<std::vector<ParkedKey>> Scan(State& state, std::string partition, const std::string& target,
                                   std::string after, int count_max) {
  Result<std::vector<StateRow>> rows =
      co_await state.Scan(std::move(partition), std::move(after), count_max);
  if (!rows) co_return rows.error().In("read what is parked");
  std::vector<ParkedKey> parked;
  parked.reserve(rows->size());
  for (const StateRow& row : *rows) parked.push_back(Decode(row, target));
  co_return parked;
}

// All keys of a partition, as far as there is room; true: there are more.
Async<bool> LoadKeys(State& state, std::string partition, std::set<std::string>& keys,
                     size_t keys_max) {
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state.Scan(partition, after, kParkedPageRows);
    if (!rows) co_return rows.error().In("read what is parked");
    if (rows->empty()) co_return false;
    after = rows->back().key;
    for (StateRow& row : *rows) keys.insert(std::move(row.key));
    if (keys.size() > keys_max) co_return true;
    if (rows->size() < kParkedPageRows) co_return false;
  }
}

// Page by page, and no row is decoded: there may be very many.
Async<uint64_t> CountRows(State& state, std::string partition, int count_max) {
  uint64_t count = 0;
  std::string after;
  while (true) {
    const int wanted = std::min(kParkedPageRows, count_max - static_cast<int>(count));
    if (wanted <= 0) co_return count;
    Result<std::vector<StateRow>> rows = co_await state.Scan(partition, std::move(after), wanted);
    if (!rows) co_return rows.error().In("read what is parked");
    count += rows->size();
    if (std::cmp_less(rows->size(), wanted)) co_return count;
    after = std::move(rows->back().key);
  }
}

}  // namespace

bool IsOfSource(const ParkedKey& parked, const Rule& rule) {
  return IsOfSource(parked.store, parked.bucket, rule);
}

bool ReadAnewBySource(const ParkedKey& parked) {
  return parked.archive.empty() && !parked.key.empty() && !parked.reason.starts_with("conflict: ");
}

SystemTime NextReading(const ParkedKey& parked) {
  const SystemTime tried = std::max(parked.when, parked.retried.value_or(parked.when));
  const SystemTime since = parked.since == SystemTime{} ? parked.when : parked.since;
  return tried + std::clamp<SystemTime::duration>(tried - since, kParkedRetry, kParkedRetryLast);
}

Async<void> WriteParked(State& state, const std::string& rule, ParkedKey parked) {
  const bool whole = parked.key.empty();
  std::string partition =
      whole ? ArchivePartition(rule, parked.target) : KeyPartition(rule, parked.target);
  StateWrite write{.key = whole ? parked.archive : parked.key, .value = Encode(parked)};
  if (parked.revision > 0) write.expected = Expected::Revision(parked.revision);
  Result<int64_t> written = co_await state.Write(std::move(partition), std::move(write));
  if (!written) co_return written.error().In("record what is parked");
  co_return Ok();
}

Async<void> ForgetParked(State& state, const std::string& rule, const ParkedKey& parked) {
  const bool whole = parked.key.empty();
  std::string partition =
      whole ? ArchivePartition(rule, parked.target) : KeyPartition(rule, parked.target);
  StateWrite removal{.key = whole ? parked.archive : parked.key,
                     .expected = Expected::Revision(parked.revision)};
  Result<int64_t> removed = co_await state.Write(std::move(partition), std::move(removal));
  if (!removed) co_return removed.error().In("forget what was parked");
  co_return Ok();
}

Async<std::vector<ParkedKey>> ScanParked(State& state, std::string rule, std::string target,
                                         std::string after, int count_max) {
  co_return co_await Scan(state, KeyPartition(rule, target), target, std::move(after), count_max);
}

Async<uint64_t> CountParkedKeys(State& state, std::string rule, std::string target, int count_max) {
  co_return co_await CountRows(state, KeyPartition(rule, target), count_max);
}

Async<uint64_t> CountParkedArchives(State& state, std::string rule, std::string target,
                                    int count_max) {
  co_return co_await CountRows(state, ArchivePartition(rule, target), count_max);
}

Async<std::optional<ParkedKey>> FindParked(State& state, std::string rule, std::string target,
                                           std::string key) {
  Result<std::optional<StateRow>> row = co_await state.Get(KeyPartition(rule, target), key);
  if (!row) co_return row.error().In("read what is parked");
  if (!*row) co_return std::optional<ParkedKey>();
  co_return std::optional<ParkedKey>(Decode(**row, target));
}

Async<std::vector<ParkedKey>> ScanParkedArchives(State& state, std::string rule, std::string target,
                                                 std::string after, int count_max) {
  Result<std::vector<ParkedKey>> parked =
      co_await Scan(state, ArchivePartition(rule, target), target, std::move(after), count_max);
  if (!parked) co_return parked.error();
  for (ParkedKey& archive : *parked) archive.archive = std::exchange(archive.key, "");
  co_return parked;
}

Async<void> ParkedPlace::Load() {
  const bool cheap = keys_.size() + archives_.size() < kParkedPageRows;
  if (loaded_ && !cheap && clock_.SteadyNow() < *loaded_ + kLoadedFor) co_return Ok();
  ++loading_;
  Result<void> read = co_await ReadRows();
  if (--loading_ == 0) {
    keys_meanwhile_.clear();
    archives_meanwhile_.clear();
  }
  co_return read;
}

// What was known stands until all is read: others settle keys meanwhile.
Async<void> ParkedPlace::ReadRows() {
  std::set<std::string> keys;
  std::set<std::string> archives;
  Result<bool> overflow = co_await LoadKeys(state_, KeyPartition(rule_, target_), keys, kKeysMax);
  if (!overflow) co_return overflow.error();
  if (!target_.empty()) {
    Result<bool> more =
        co_await LoadKeys(state_, ArchivePartition(rule_, target_), archives, kKeysMax);
    if (!more) co_return more.error();
  }
  keys.insert(keys_meanwhile_.begin(), keys_meanwhile_.end());
  archives.insert(archives_meanwhile_.begin(), archives_meanwhile_.end());
  keys_ = std::move(keys);
  archives_ = std::move(archives);
  overflow_ = *overflow;
  loaded_ = clock_.SteadyNow();
  co_return Ok();
}

Async<void> ParkedPlace::Park(ParkedKey parked) {
  parked.target = target_;
  parked.store = store_;
  parked.bucket = bucket_;
  parked.when = clock_.Now();
  parked.since = parked.when;
  if (MayHold(parked.key)) {
    Result<std::optional<ParkedKey>> before =
        co_await FindParked(state_, rule_, target_, parked.key);
    if (before && *before && (*before)->since != SystemTime{}) parked.since = (*before)->since;
  }
  if (parked.key.empty()) {
    archives_.insert(parked.archive);
    if (loading_ > 0) archives_meanwhile_.insert(parked.archive);
  } else {
    keys_.insert(parked.key);
    if (loading_ > 0) keys_meanwhile_.insert(parked.key);
  }
  co_return co_await WriteParked(state_, rule_, std::move(parked));
}

Async<void> ParkedPlace::Settled(std::string key, SystemTime begun) {
  if (!MayHold(key)) co_return Ok();
  Result<std::optional<ParkedKey>> row = co_await FindParked(state_, rule_, target_, key);
  if (!row) co_return row.error();
  if (*row && (*row)->when > begun) co_return Ok();
  co_return co_await Forget(std::move(*row), std::move(key));
}

Async<void> ParkedPlace::SettledFor(std::string key, SystemTime begun,
                                    std::vector<std::string> targets, std::vector<std::string> all,
                                    std::string plan) {
  if (!MayHold(key)) co_return Ok();
  Result<std::optional<ParkedKey>> row = co_await FindParked(state_, rule_, target_, key);
  if (!row) co_return row.error();
  if (!*row) co_return co_await Forget(std::nullopt, std::move(key));
  ParkedKey& parked = **row;
  const bool of_plan = !plan.empty() && parked.plan == plan;
  if (parked.when > begun && !of_plan) co_return Ok();
  parked.carried.insert(targets.begin(), targets.end());
  const bool whole = std::ranges::all_of(
      all, [&parked](const std::string& target) { return parked.carried.contains(target); });
  if (whole) co_return co_await Forget(std::move(*row), std::move(key));
  Result<void> noted = co_await WriteParked(state_, rule_, std::move(parked));
  // It has been parked anew, or another target has got it: it is carried once more at most.
  if (!noted && noted.error().kind != ErrorKind::kPrecondition) co_return noted.error();
  co_return Ok();
}

Async<void> ParkedPlace::SettledBy(std::string key, std::string archive, SystemTime begun) {
  if (!MayHold(key)) co_return Ok();
  Result<std::optional<ParkedKey>> row = co_await FindParked(state_, rule_, target_, key);
  if (!row) co_return row.error();
  if (*row && (*row)->archive != archive && (*row)->when > begun) co_return Ok();
  co_return co_await Forget(std::move(*row), std::move(key));
}

Async<void> ParkedPlace::SettledWith(std::string archive, std::vector<std::string> keys) {
  for (std::string& key : keys) {
    if (!MayHold(key)) continue;
    Result<std::optional<ParkedKey>> row = co_await FindParked(state_, rule_, target_, key);
    if (!row) co_return row.error();
    if (!*row || (*row)->archive != archive) continue;
    Result<void> forgotten = co_await Forget(std::move(*row), std::move(key));
    if (!forgotten) co_return forgotten.error();
  }
  co_return Ok();
}

Async<void> ParkedPlace::Forget(std::optional<ParkedKey> row, std::string key) {
  Result<void> forgotten;
  if (row) forgotten = co_await ForgetParked(state_, rule_, *row);
  // It has been parked anew since it was looked at.
  if (!forgotten && forgotten.error().kind == ErrorKind::kPrecondition) co_return Ok();
  if (!forgotten) co_return forgotten.error();
  keys_.erase(key);
  co_return Ok();
}

Async<void> ParkedPlace::ArchiveSettled(std::string archive) {
  if (!archives_.contains(archive)) co_return Ok();
  StateWrite removal{.key = archive};
  Result<int64_t> removed =
      co_await state_.Write(ArchivePartition(rule_, target_), std::move(removal));
  if (!removed) co_return removed.error().In("forget what was parked");
  archives_.erase(archive);
  co_return Ok();
}

}  // namespace longhaul
