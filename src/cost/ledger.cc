#include "cost/ledger.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "base/json.h"

namespace longhaul {

namespace {

constexpr char kPartition[] = "ledger";
// A line takes up to 1 KiB, a row of State 256.
constexpr size_t kLinesOfRow = 100;
constexpr std::chrono::hours kKept{400 * 24};
constexpr int kTriesMax = 3;
constexpr std::chrono::hours kHourKept{1};
// What a request is worth against bytes when processor time is shared out.
constexpr uint64_t kRequestBytes = 64 << 10;

SystemTime HourOf(SystemTime time) { return std::chrono::floor<std::chrono::hours>(time); }

Result<std::vector<LedgerLine>> DecodeRow(const StateRow& row, SystemTime hour) {
  Result<boost::json::value> value = ParseJson(row.value);
  if (!value) return value.error();
  Result<std::vector<JsonView>> items = JsonView(*value).Items();
  if (!items) return items.error();
  std::vector<LedgerLine> lines;
  for (const JsonView& item : *items) {
    LedgerLine line{.hour = hour, .place = {}, .counts = {}};
    const std::pair<const char*, std::string*> kFields[] = {{"rule", &line.place.rule},
                                                            {"target", &line.place.target},
                                                            {"part", &line.place.part},
                                                            {"region", &line.place.region},
                                                            {"peers", &line.place.peers}};
    for (const auto& [name, text] : kFields) {
      Result<std::string_view> found = item.Text(name);
      if (!found) return found.error();
      *text = *found;
    }
    Result<JsonView> counts = item.Member("counts");
    if (!counts) return counts.error();
    const boost::json::object* object = counts->value().if_object();
    if (object == nullptr) return Corrupt("no counts");
    for (const auto& member : *object) {
      const boost::json::value& count = member.value();
      if (count.is_uint64()) {
        line.counts[std::string(member.key())] = count.get_uint64();
      } else if (count.is_int64() && count.get_int64() >= 0) {
        line.counts[std::string(member.key())] = static_cast<uint64_t>(count.get_int64());
      } else {
        return Corrupt("a count that is none");
      }
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

std::string LedgerHour(SystemTime time) { return FormatRfc3339(HourOf(time)).substr(0, 13); }

Ledger::Ledger(Clock& clock, Random& random)
    : clock_(clock), process_(NewUlid(clock.Now(), random)) {}

int Ledger::PlaceOf(const LedgerPlace& place) {
  const auto [found, added] = numbers_.try_emplace(place, static_cast<int>(places_.size()));
  if (added) places_.push_back(place);
  return found->second;
}

void Ledger::Add(int place, std::string_view what, uint64_t amount) {
  if (amount == 0) return;
  Hour& hour = hours_[HourOf(clock_.Now())];
  auto [row, added] = hour.row_of.try_emplace(place, hour.row_of.size() / kLinesOfRow);
  if (added) {
    if (row->second >= hour.rows.size()) hour.rows.emplace_back();
    hour.rows[row->second].places.push_back(place);
  }
  LedgerCounts& counts = hour.counts[place];
  auto count = counts.find(what);
  if (count == counts.end()) count = counts.emplace(std::string(what), 0).first;
  count->second += amount;
  ++hour.rows[row->second].changes;
  const std::string& rule = places_[static_cast<size_t>(place)].rule;
  if (rule.empty() || what == "cpu_us" || what == "kib_seconds") return;
  const bool bytes = what == "sent" || what == "received";
  if (bytes || what.find('/') != std::string_view::npos) {
    work_[rule] += bytes ? amount : kRequestBytes;
  }
}

void Ledger::RunsIn(std::vector<std::pair<std::string, std::string>> regions) {
  regions_ = std::move(regions);
}

void Ledger::AddCpu(double process_cpu_seconds) {
  const double added = process_cpu_seconds - std::exchange(cpu_seconds_, process_cpu_seconds);
  if (added <= 0 || regions_.empty()) return;
  const auto all = static_cast<uint64_t>(added * 1e6);
  uint64_t work = 0;
  for (const auto& [rule, region] : regions_) work += work_[rule];
  uint64_t shared = 0;
  for (const auto& [rule, region] : regions_) {
    if (work == 0) break;
    const auto part = static_cast<uint64_t>(
        static_cast<double>(all) * (static_cast<double>(work_[rule]) / static_cast<double>(work)));
    const uint64_t share = std::min(part, all - shared);
    Add(PlaceOf({.rule = rule, .target = "", .part = "process", .region = region, .peers = ""}),
        "cpu_us", share);
    shared += share;
  }
  Add(PlaceOf({.rule = "",
               .target = "",
               .part = "process",
               .region = regions_.front().second,
               .peers = ""}),
      "cpu_us", all - shared);
  work_.clear();
}

std::string Ledger::KeyOf(SystemTime hour, size_t row) const {
  return LedgerHour(hour) + "/" + process_ + "/" + std::to_string(row);
}

std::string Ledger::Encode(const Hour& hour, const Row& row) const {
  boost::json::array lines;
  for (const int number : row.places) {
    const LedgerPlace& place = places_[static_cast<size_t>(number)];
    boost::json::object counts;
    for (const auto& [what, count] : hour.counts.at(number)) counts[what] = count;
    lines.push_back(boost::json::object{{"rule", place.rule},
                                        {"target", place.target},
                                        {"part", place.part},
                                        {"region", place.region},
                                        {"peers", place.peers},
                                        {"counts", std::move(counts)}});
  }
  return WriteJson(lines);
}

Async<void> Ledger::PublishHour(State& state, SystemTime begin, Hour& hour) {
  for (int tries = 0; tries < kTriesMax; ++tries) {
    std::vector<StateWrite> writes;
    std::vector<std::pair<size_t, uint64_t>> written;  // Rows, and what of them is in `writes`.
    for (size_t i = 0; i < hour.rows.size(); ++i) {
      const Row& row = hour.rows[i];
      if (row.changes == row.written) continue;
      writes.push_back(
          {.key = KeyOf(begin, i),
           .value = Encode(hour, row),
           .expected = row.revision == 0 ? Expected::Absent() : Expected::Revision(row.revision),
           .expires = begin + kKept});
      written.emplace_back(i, row.changes);
    }
    if (writes.empty()) co_return Ok();
    bool refused = false;
    Result<std::vector<Result<int64_t>>> results =
        co_await state.WriteMany(kPartition, std::move(writes));
    if (!results) co_return results.error().In("ledger");
    for (size_t i = 0; i < written.size(); ++i) {
      const Result<int64_t>& result = (*results)[i];
      if (result) {
        Row& row = hour.rows[written[i].first];
        row.revision = *result;
        row.written = written[i].second;
        continue;
      }
      if (result.error().kind != ErrorKind::kPrecondition) co_return result.error().In("ledger");
      refused = true;
      // Nobody else writes it: a write that was thought to have failed has happened.
      Result<std::optional<StateRow>> found =
          co_await state.Get(kPartition, KeyOf(begin, written[i].first));
      if (!found) co_return found.error().In("ledger");
      // Looked up here: what is counted meanwhile may need more rows, which moves them all.
      hour.rows[written[i].first].revision = *found ? (*found)->revision : 0;
    }
    // What has been counted since, these writes among it, is for the next time.
    if (!refused) co_return Ok();
  }
  co_return Retryable("rows that only this process writes go on changing").In("ledger");
}

Async<void> Ledger::Publish(State& state) {
  const SystemTime now = HourOf(clock_.Now());
  for (auto hour = hours_.begin(); hour != hours_.end();) {
    Result<void> published = co_await PublishHour(state, hour->first, hour->second);
    if (!published) co_return published;
    // An hour later: a clock that is set back into it would begin it anew over what was published.
    const bool over =
        hour->first + kHourKept < now &&
        std::ranges::all_of(
            hour->second.rows, [](const Row& row) { return row.changes == row.written; });
    hour = over ? hours_.erase(hour) : std::next(hour);
  }
  co_return Ok();
}

Async<uint64_t> ReadLedger(State& state, SystemTime since,
                           std::function<void(const LedgerLine& line)> take) {
  uint64_t damaged_rows = 0;
  std::string after = LedgerHour(since);
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state.Scan(kPartition, after, kLedgerPageRows);
    if (!rows) co_return rows.error().In("ledger");
    for (const StateRow& row : *rows) {
      Result<SystemTime> hour = ParseRfc3339(row.key.substr(0, 13) + ":00:00Z");
      Result<std::vector<LedgerLine>> lines =
          hour ? DecodeRow(row, *hour) : Result<std::vector<LedgerLine>>(hour.error());
      if (!lines) {
        ++damaged_rows;
      } else {
        for (const LedgerLine& line : *lines) take(line);
      }
      co_await Yield();
    }
    if (rows->size() < static_cast<size_t>(kLedgerPageRows)) co_return damaged_rows;
    after = rows->back().key;
  }
}

}  // namespace longhaul
