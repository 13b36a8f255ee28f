#include "replication/life/rule_control.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/bytes.h"
#include "base/json.h"

namespace longhaul {

namespace {

constexpr char kRulesPartition[] = "rules";
constexpr int kRulesPageRows = 1000;
constexpr int kRulesMergeTries = 10;
// A retry that nobody has heard is forgotten: whoever asked has gone by then.
constexpr std::chrono::hours kRequestLifetime{24};

std::string PauseKey(const std::string& rule, const std::string& target) {
  return target.empty() ? rule + "/pause" : rule + "/pause/" + target;
}

std::optional<SystemTime> TimeOf(const JsonView& row, std::string_view name) {
  Result<std::string_view> text = row.Text(name);
  if (!text) return std::nullopt;
  Result<SystemTime> time = ParseRfc3339(*text);
  return time ? std::optional<SystemTime>(*time) : std::nullopt;
}

// nullopt: it cannot be read.
std::optional<BackfillRequest> RequestIn(const StateRow& row) {
  Result<boost::json::value> value = ParseJson(row.value);
  if (!value) return std::nullopt;
  BackfillRequest request{.revision = row.revision};
  request.asked = TimeOf(JsonView(*value), "asked").value_or(SystemTime{});
  if (Result<std::string_view> prefix = JsonView(*value).Text("prefix")) {
    Result<std::string> decoded = PercentDecode(*prefix);
    if (!decoded) return std::nullopt;
    request.prefix = std::move(*decoded);
  }
  Result<std::string_view> bucket = JsonView(*value).Text("listing_bucket");
  Result<std::string_view> key = JsonView(*value).Text("listing_key");
  if (bucket && key) {
    Result<std::string> decoded = PercentDecode(*key);
    if (!decoded) return std::nullopt;
    request.listing = {.bucket = std::string(*bucket), .key = std::move(*decoded)};
  }
  return request;
}

Async<void> Write(State& state, StateWrite write) {
  Result<int64_t> written = co_await state.Write(kRulesPartition, std::move(write));
  if (!written) co_return written.error().In("State");
  co_return Ok();
}

}  // namespace

Async<void> WritePause(State& state, std::string rule, std::string target, Pause pause) {
  boost::json::object row{{"since", FormatRfc3339(pause.since)}};
  if (pause.until) row["until"] = FormatRfc3339(*pause.until);
  StateWrite write{.key = PauseKey(rule, target), .value = WriteJson(row), .expires = pause.until};
  co_return co_await Write(state, std::move(write));
}

Async<void> RemovePause(State& state, std::string rule, std::string target) {
  StateWrite removal{.key = PauseKey(rule, target)};
  co_return co_await Write(state, std::move(removal));
}

Async<void> AskForRetry(State& state, std::string rule, SystemTime now) {
  boost::json::object row{{"asked", FormatRfc3339(now)}};
  StateWrite write{
      .key = rule + "/retry", .value = WriteJson(row), .expires = now + kRequestLifetime};
  co_return co_await Write(state, std::move(write));
}

Async<void> AskForBackfill(State& state, std::string rule, BackfillRequest request) {
  const std::string key = rule + "/backfill";
  Result<void> asked;
  for (int tries = 0; tries < kRulesMergeTries; ++tries) {
    Result<std::optional<StateRow>> row = co_await state.Get(kRulesPartition, key);
    if (!row) co_return row.error().In("State");
    Expected expected = Expected::Absent();
    if (*row) {
      expected = Expected::Revision((*row)->revision);
      if (std::optional<BackfillRequest> before = RequestIn(**row)) {
        const auto both = std::ranges::mismatch(request.prefix, before->prefix);
        request.prefix.erase(both.in1, request.prefix.end());
        if (request.listing != before->listing) request.listing.reset();
      }
    }
    // A prefix is bytes; JSON is UTF-8 alone.
    const std::string prefix = PercentEncode(request.prefix, Slash::kKeep);
    boost::json::object text{{"asked", FormatRfc3339(request.asked)}, {"prefix", prefix}};
    if (request.listing) {
      text["listing_bucket"] = request.listing->bucket;
      text["listing_key"] = PercentEncode(request.listing->key, Slash::kKeep);
    }
    // It stays until it is done: the rule may be paused, or a target away, for longer than a day.
    StateWrite write{.key = key, .value = WriteJson(text), .expected = expected};
    asked = co_await Write(state, std::move(write));
    if (asked || asked.error().kind != ErrorKind::kPrecondition) break;
  }
  co_return asked;
}

Async<void> RemoveBackfill(State& state, std::string rule, int64_t revision) {
  StateWrite removal{.key = rule + "/backfill", .expected = Expected::Revision(revision)};
  Result<void> removed = co_await Write(state, std::move(removal));
  if (!removed && removed.error().kind != ErrorKind::kPrecondition) co_return removed.error();
  co_return Ok();
}

Async<bool> RuleControl::Refresh() {
  Rows rows;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> page =
        co_await state_.Scan(kRulesPartition, after, kRulesPageRows);
    if (!page) co_return page.error().In("read what is asked of the rules");
    for (const StateRow& row : *page) {
      const size_t slash = row.key.find('/');
      if (slash == std::string::npos) continue;
      const std::string rule = row.key.substr(0, slash);
      const std::string what = row.key.substr(slash + 1);
      Result<boost::json::value> value = ParseJson(row.value);
      if (what == "retry") {
        rows.retries[rule] = row.revision;
      } else if (what == "backfill") {
        if (auto request = RequestIn(row)) rows.backfills[rule] = std::move(*request);
      } else if (what == "pause" || what.starts_with("pause/")) {
        // A row that cannot be read pauses all the same: somebody wanted it.
        Pause pause;
        if (value) {
          pause.since = TimeOf(JsonView(*value), "since").value_or(SystemTime{});
          pause.until = TimeOf(JsonView(*value), "until");
        }
        rows.pauses[{rule, what == "pause" ? "" : what.substr(6)}] = pause;
      }
    }
    if (page->size() < kRulesPageRows) break;
    after = page->back().key;
  }
  const bool changed = !known_ || !(rows == rows_);
  rows_ = std::move(rows);
  known_ = true;
  co_return changed;
}

std::optional<Pause> RuleControl::Running(const std::string& rule,
                                          const std::string& target) const {
  const auto found = rows_.pauses.find({rule, target});
  if (found == rows_.pauses.end()) return std::nullopt;
  if (found->second.until && *found->second.until <= clock_.Now()) return std::nullopt;
  return found->second;
}

std::optional<Pause> RuleControl::PauseOf(const std::string& rule) const {
  return Running(rule, "");
}

std::optional<Pause> RuleControl::OwnPauseOf(const std::string& rule,
                                             const std::string& target) const {
  return Running(rule, target);
}

std::optional<Pause> RuleControl::PauseOf(const std::string& rule,
                                          const std::string& target) const {
  std::optional<Pause> pause = Running(rule, target);
  return pause ? pause : Running(rule, "");
}

int64_t RuleControl::RetryRevision(const std::string& rule) const {
  const auto found = rows_.retries.find(rule);
  return found == rows_.retries.end() ? 0 : found->second;
}

std::optional<BackfillRequest> RuleControl::BackfillOf(const std::string& rule) const {
  const auto found = rows_.backfills.find(rule);
  if (found == rows_.backfills.end()) return std::nullopt;
  return found->second;
}

}  // namespace longhaul
