#include "server/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "base/json.h"

namespace longhaul {

namespace {

constexpr char kHistoryPartition[] = "history";
constexpr int64_t kQuarter = 15;         // Minutes.
constexpr int64_t kSixHours = 6 * 60;    // Minutes.
constexpr int64_t kSilent = 2;           // Minutes after which another process writes.
constexpr size_t kSeriesPerGroup = 128;  // 15 samples of 60 bytes each: half of what a row takes.
constexpr size_t kGroupsMax = 64;
constexpr size_t kRowBytesMax = 240 << 10;
constexpr int kPageRows = 200;
constexpr size_t kRisen = 4;  // From here on values are of what has risen since the last minute.
constexpr std::chrono::hours kMinutesKept{26};
constexpr int kQuartersBack = 4 * 26;  // Of which the minutes are kept.
constexpr int kQuartersAtOnce = 4;
constexpr std::chrono::hours kQuartersKept{31 * 24};
constexpr std::chrono::hours kByMinutes{25};

int64_t MinuteOf(SystemTime time) {
  return std::chrono::floor<std::chrono::minutes>(time.time_since_epoch()).count();
}

// FNV-1a: the same on every machine, and for good.
uint64_t Hash(std::string_view text) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

std::string Prefix(std::string_view tier, size_t groups, size_t group) {
  return fmt::format("{}/{}-{}/", tier, groups, group);
}
std::string KeyOf(std::string_view tier, size_t groups, size_t group, int64_t minute) {
  return Prefix(tier, groups, group) + fmt::format("{:010}", minute);
}

double Rounded(double value) { return std::round(value * 1000) / 1000; }

bool AllZero(const HistoryValues& values) {
  return std::ranges::all_of(values, [](double value) { return value == 0; });
}

std::string SeriesOf(const std::string& rule, const std::string& target) {
  return target.empty() ? rule : rule + "/" + target;
}

}  // namespace

History::History(Runtime runtime, State& state, const Configuration& configuration,
                 std::string process)
    : runtime_(runtime),
      state_(state),
      configuration_(configuration),
      process_(std::move(process)) {
  size_t series = 1;
  for (const Rule& rule : configuration.rules) series += 1 + rule.targets.size();
  while (groups_ * kSeriesPerGroup < series && groups_ < kGroupsMax) groups_ *= 2;
}

std::string History::Encode(const Row& row) {
  boost::json::array minutes(row.minutes.begin(), row.minutes.end());
  boost::json::object series;
  for (const auto& [name, samples] : row.series) {
    boost::json::array list;
    for (const auto& [minute, values] : samples) {
      boost::json::array sample{minute};
      for (const double value : values) {
        const double rounded = Rounded(value);
        if (rounded == std::floor(rounded) && std::abs(rounded) < 1e15) {
          sample.emplace_back(static_cast<int64_t>(rounded));
        } else {
          sample.emplace_back(rounded);
        }
      }
      list.emplace_back(std::move(sample));
    }
    series[name] = std::move(list);
  }
  return WriteJson(boost::json::object{
      {"writer", row.writer}, {"minutes", std::move(minutes)}, {"series", std::move(series)}});
}

History::Row History::Decode(const StateRow& state_row) {
  Row row{.revision = state_row.revision};
  Result<boost::json::value> value = ParseJson(state_row.value);
  const boost::json::object* object = value ? value->if_object() : nullptr;
  if (object == nullptr) return row;
  if (const auto* writer = object->if_contains("writer"); writer && writer->is_string()) {
    row.writer = writer->get_string();
  }
  const auto number = [](const boost::json::value& one) {
    boost::system::error_code failed;
    const auto result = one.to_number<double>(failed);
    return failed ? 0.0 : result;
  };
  if (const auto* minutes = object->if_contains("minutes"); minutes && minutes->is_array()) {
    for (const auto& minute : minutes->get_array()) {
      row.minutes.push_back(static_cast<int64_t>(number(minute)));
    }
  }
  const auto* series = object->if_contains("series");
  if (series == nullptr || !series->is_object()) return row;
  for (const auto& member : series->get_object()) {
    if (!member.value().is_array()) continue;
    for (const auto& sample : member.value().get_array()) {
      const auto* list = sample.if_array();
      if (list == nullptr || list->size() != 1 + HistoryValues().size()) continue;
      HistoryValues values{};
      for (size_t i = 0; i < values.size(); ++i) values[i] = number((*list)[i + 1]);
      row.series[std::string(member.key())][static_cast<int64_t>(number((*list)[0]))] = values;
    }
  }
  return row;
}

size_t History::GroupOf(std::string_view rule) const { return Hash(rule) % groups_; }

History::Values History::Look(const RuleSights& sights, const Totals& totals,
                              SystemTime now) const {
  const RuleControl nothing(state_, runtime_.clock);
  Values all;
  HistoryValues& together = all[""];
  for (const Rule& rule : configuration_.rules) {
    const RuleReport report = MakeRuleReport(rule, nothing, sights, now);
    const auto age = [&](const std::optional<OldestKey>& oldest) {
      if (!oldest) return 0.0;
      return std::max(0.0, std::chrono::duration<double>(now - oldest->heard).count());
    };
    const auto risen = [](uint64_t value, uint64_t before) {
      return value > before ? static_cast<double>(value - before) : 0.0;
    };
    HistoryValues values{};
    values[0] = age(report.OldestOfAll());
    values[1] = static_cast<double>(report.keys_pending);
    for (const TargetReport& told : report.targets) {
      HistoryValues target{};
      target[0] = age(told.now.oldest);
      target[1] = static_cast<double>(told.now.archives_waiting);
      target[2] = told.now.objects_per_second;
      target[3] = told.now.bytes_per_second;
      values[2] += target[2];
      values[3] += target[3];
      all[SeriesOf(rule.id, told.target->name)] = target;
    }
    const RuleTotals& told = totals.at(rule.id);
    const auto rise = [&](size_t group, HistoryValues& into) {
      const auto written = before_.find(group);
      if (written == before_.end()) return;
      const RuleTotals& before = written->second.at(rule.id);
      into[kRisen] += risen(told.plain_bytes, before.plain_bytes);
      into[kRisen + 1] += risen(told.sent_bytes, before.sent_bytes);
      into[kRisen + 2] += risen(told.failures, before.failures);
    };
    together[0] = std::max(together[0], values[0]);
    for (size_t i = 1; i < kRisen; ++i) together[i] += values[i];
    rise(GroupOf(""), together);
    rise(GroupOf(rule.id), values);
    all[rule.id] = values;
  }
  return all;
}

Async<void> History::FoldBefore(size_t group, int64_t quarter) {
  // Nobody may have been here for a while: one that is not there is looked for further back.
  for (int first = 1; first <= kQuartersBack; first += kQuartersAtOnce) {
    std::vector<std::string> keys;
    for (int back = first; back < first + kQuartersAtOnce; ++back) {
      keys.push_back(KeyOf("1m", groups_, group, quarter - back * kQuarter));
    }
    Result<std::vector<std::optional<StateRow>>> rows =
        co_await state_.GetMany(kHistoryPartition, std::move(keys));
    if (!rows) co_return rows.error();
    for (int i = 0; i < kQuartersAtOnce; ++i) {
      const std::optional<StateRow>& row = (*rows)[static_cast<size_t>(i)];
      if (row) co_return co_await Fold(group, quarter - (first + i) * kQuarter, *row);
    }
  }
  co_return Ok();
}

Async<void> History::Fold(size_t group, int64_t minute, const StateRow& quarter) {
  const Row samples = Decode(quarter);
  if (samples.minutes.empty()) co_return Ok();
  const std::string key = KeyOf("15m", groups_, group, minute / kSixHours * kSixHours);
  Result<std::optional<StateRow>> there = co_await state_.Get(kHistoryPartition, key);
  if (!there) co_return there.error();
  Row row = *there ? Decode(**there) : Row();
  if (std::ranges::count(row.minutes, minute) > 0) co_return Ok();
  row.minutes.push_back(minute);
  const auto count = static_cast<double>(samples.minutes.size());
  for (const auto& [name, by_minute] : samples.series) {
    HistoryValues sum{};
    for (const auto& [when, values] : by_minute) {
      for (size_t i = 0; i < sum.size(); ++i) {
        // Lag and what waits: the most. The rest is added up.
        sum[i] = i < 2 ? std::max(sum[i], values[i]) : sum[i] + values[i];
      }
    }
    sum[2] /= count;
    sum[3] /= count;
    row.series[name][minute] = sum;
  }
  std::string value = Encode(row);
  if (value.size() > kRowBytesMax) co_return InvalidInput("history: too many series in a row");
  StateWrite write{.key = key,
                   .value = std::move(value),
                   .expected = *there ? Expected::Revision(row.revision) : Expected::Absent(),
                   .expires = runtime_.clock.Now() + kQuartersKept};
  Result<int64_t> written = co_await state_.Write(kHistoryPartition, std::move(write));
  // Another process has folded it.
  if (!written && written.error().kind != ErrorKind::kPrecondition) co_return written.error();
  co_return Ok();
}

Async<void> History::WriteGroup(size_t group, int64_t minute, Values values) {
  const int64_t quarter = minute / kQuarter * kQuarter;
  const std::string key = KeyOf("1m", groups_, group, quarter);
  auto open = open_.find(group);
  if (open == open_.end() || open->second.first != quarter) {
    open_.erase(group);
    Result<std::optional<StateRow>> there = co_await state_.Get(kHistoryPartition, key);
    if (!there) co_return there.error();
    Row row = *there ? Decode(**there) : Row();
    if (*there && row.writer != process_ && !row.minutes.empty() &&
        row.minutes.back() > minute - kSilent) {
      co_return Ok();  // Somebody else is at it.
    }
    Result<void> folded = co_await FoldBefore(group, quarter);
    if (!folded) co_return folded.error();
    row.writer = process_;
    open = open_.insert_or_assign(group, std::pair(quarter, std::move(row))).first;
  }
  Row& row = open->second.second;
  if (!row.minutes.empty() && row.minutes.back() >= minute) co_return Ok();
  row.minutes.push_back(minute);
  for (const auto& [name, one] : values) {
    if (!AllZero(one)) row.series[name][minute] = one;
  }
  std::string value = Encode(row);
  if (value.size() > kRowBytesMax) {
    // Rules before their targets: those are more.
    std::erase_if(row.series, [](const auto& entry) { return entry.first.contains('/'); });
    value = Encode(row);
  }
  StateWrite write{
      .key = key,
      .value = std::move(value),
      .expected = row.revision == 0 ? Expected::Absent() : Expected::Revision(row.revision),
      .expires = runtime_.clock.Now() + kMinutesKept};
  Result<int64_t> written = co_await state_.Write(kHistoryPartition, std::move(write));
  if (!written) {
    open_.erase(group);  // It is read anew: another process has it, or nobody knows.
    if (written.error().kind == ErrorKind::kPrecondition) co_return Ok();
    co_return written.error();
  }
  open_.at(group).second.revision = *written;
  co_return Ok();
}

Async<void> History::Settle() {
  while (!doubts_.empty()) {
    const auto [group, doubt] = *doubts_.begin();
    Result<std::optional<StateRow>> row = co_await state_.Get(
        kHistoryPartition, KeyOf("1m", groups_, group, doubt.minute / kQuarter * kQuarter));
    if (!row) co_return row.error();
    // Whoever has written the minute: it is told.
    if (*row && std::ranges::count(Decode(**row).minutes, doubt.minute) > 0) {
      before_[group] = doubt.totals;
    }
    doubts_.erase(group);
  }
  co_return Ok();
}

Async<void> History::Sample() {
  const SystemTime now = runtime_.clock.Now();
  Result<void> settled = co_await Settle();
  if (!settled) co_return settled.error().In("history");
  Result<RuleSights> sights = co_await ReadRuleSights(state_);
  if (!sights) co_return sights.error();
  Totals totals;
  for (const Rule& rule : configuration_.rules) {
    const auto found = sights->totals.find(rule.id);
    if (found == sights->totals.end()) {
      totals[rule.id] = {};
      continue;
    }
    totals[rule.id] = {.plain_bytes = found->second.plain_bytes,
                       .sent_bytes = found->second.sent_bytes,
                       .failures = found->second.failures};
  }
  std::map<size_t, Values> groups;
  for (auto& [name, values] : Look(*sights, totals, now)) {
    groups[GroupOf(std::string_view(name).substr(0, name.find('/')))][name] = values;
  }
  Result<void> all;
  for (auto& [group, values] : groups) {
    before_.try_emplace(group, totals);  // The first look has nothing to compare with.
    Result<void> written = co_await WriteGroup(group, MinuteOf(now), std::move(values));
    if (written) {
      before_[group] = totals;
    } else {
      all = written.error().In("history");  // The next minute that is written has it all.
      doubts_[group] = {.minute = MinuteOf(now), .totals = totals};
    }
  }
  co_return all;
}

asio::awaitable<void> History::Run(Event& stop) {
  bool failing = false;
  while (!stop.is_set()) {
    const SystemTime now = runtime_.clock.Now();
    const auto next = std::chrono::floor<std::chrono::minutes>(now) + std::chrono::minutes(1);
    if (co_await stop.WaitFor(runtime_.clock, next - now)) break;
    Result<void> sampled = co_await Sample();
    if (!sampled && !failing) runtime_.log.Warning("no history is written", {sampled.error()});
    failing = !sampled;
  }
}

Async<HistoryLines> History::Read(std::string rule, std::string target, SystemTime from,
                                  SystemTime to) {
  HistoryLines lines;
  const bool by_minutes = from >= runtime_.clock.Now() - kByMinutes;
  lines.step_seconds = by_minutes ? 60 : 60 * static_cast<int>(kQuarter);
  const std::string_view tier = by_minutes ? "1m" : "15m";
  const int64_t row_minutes = by_minutes ? kQuarter : kSixHours;
  const std::string series = SeriesOf(rule, target);
  const int64_t first = MinuteOf(from);
  const int64_t last = MinuteOf(to);
  // The number of groups changes with the configuration: rows lie where they were put.
  for (size_t groups = 1; groups <= kGroupsMax; groups *= 2) {
    const size_t group = Hash(rule) % groups;
    const std::string prefix = Prefix(tier, groups, group);
    std::string after = KeyOf(tier, groups, group, first / row_minutes * row_minutes - 1);
    while (true) {
      Result<std::vector<StateRow>> rows =
          co_await state_.Scan(kHistoryPartition, after, kPageRows);
      if (!rows) co_return rows.error().In("history");
      bool more = std::ssize(*rows) == kPageRows;
      for (const StateRow& state_row : *rows) {
        if (!state_row.key.starts_with(prefix)) {
          more = false;
          break;
        }
        after = state_row.key;
        const Row row = Decode(state_row);
        const auto found = row.series.find(series);
        for (const int64_t minute : row.minutes) {
          if (minute < first || minute > last) continue;
          HistoryValues& values = lines.values[minute * 60];
          if (found == row.series.end()) continue;
          if (const auto one = found->second.find(minute); one != found->second.end()) {
            values = one->second;
          }
        }
      }
      if (!more) break;
    }
  }
  co_return lines;
}

}  // namespace longhaul
