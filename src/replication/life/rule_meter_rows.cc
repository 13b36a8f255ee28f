// The rows of RuleMeter as text.

#include <algorithm>
#include <boost/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "replication/life/rule_meter.h"

namespace longhaul {

namespace {

// Reads what is there; a field of another kind, or none, is 0.
class Row {
 public:
  explicit Row(const boost::json::value* value)
      : object_(value == nullptr ? nullptr : value->if_object()) {}

  [[nodiscard]] const boost::json::value* Field(const char* name) const {
    return object_ == nullptr ? nullptr : object_->if_contains(name);
  }
  [[nodiscard]] uint64_t Count(const char* name) const {
    const boost::json::value* field = Field(name);
    if (field == nullptr) return 0;
    if (field->is_uint64()) return field->get_uint64();
    return field->is_int64() && field->get_int64() > 0 ? static_cast<uint64_t>(field->get_int64())
                                                       : 0;
  }
  [[nodiscard]] double Number(const char* name) const {
    const boost::json::value* field = Field(name);
    if (field == nullptr) return 0;
    return field->is_double() ? field->get_double() : static_cast<double>(Count(name));
  }
  [[nodiscard]] bool Flag(const char* name) const {
    const boost::json::value* field = Field(name);
    return field != nullptr && field->is_bool() && field->get_bool();
  }
  [[nodiscard]] std::string Text(const char* name) const {
    const boost::json::value* field = Field(name);
    return field != nullptr && field->is_string() ? std::string(field->get_string()) : "";
  }
  [[nodiscard]] std::optional<SystemTime> Time(const char* name) const {
    Result<SystemTime> time = ParseRfc3339(Text(name));
    return time ? std::optional<SystemTime>(*time) : std::nullopt;
  }
  // By name.
  [[nodiscard]] const boost::json::object* Object(const char* name) const {
    const boost::json::value* field = Field(name);
    return field == nullptr ? nullptr : field->if_object();
  }

 private:
  const boost::json::object* object_;
};

void AddOldest(boost::json::object& row, const std::optional<OldestKey>& oldest) {
  if (!oldest) return;
  row["oldest"] = FormatRfc3339(oldest->heard);
  // A key is bytes; JSON is UTF-8 alone.
  if (!oldest->key.empty()) row["oldest_key"] = PercentEncode(oldest->key, Slash::kKeep);
}

std::optional<OldestKey> OldestOf(const Row& row) {
  std::optional<SystemTime> heard = row.Time("oldest");
  if (!heard) return std::nullopt;
  Result<std::string> key = PercentDecode(row.Text("oldest_key"));
  return OldestKey{.heard = *heard, .key = key ? *key : ""};
}

}  // namespace

std::string EncodeTotals(const RuleTotals& totals) {
  boost::json::object targets;
  for (const auto& [name, target] : totals.targets) {
    targets[name] = boost::json::object{
        {"applied", target.applied},     {"applied_bytes", target.applied_bytes},
        {"equal", target.equal},         {"superseded", target.superseded},
        {"conflicts", target.conflicts}, {"parked", target.parked},
        {"missed", target.missed},       {"reached_after", target.reached_after},
        {"answered", target.answered},   {"hour", target.hour},
        {"lag", target.lag.ToJson()},    {"lag_before", target.lag_before.ToJson()}};
  }
  boost::json::object row{
      {"archives", totals.archives},       {"object_bytes", totals.object_bytes},
      {"plain_bytes", totals.plain_bytes}, {"sent_bytes", totals.sent_bytes},
      {"failures", totals.failures},       {"parked", totals.parked},
      {"targets", std::move(targets)}};
  if (totals.since) row["since"] = FormatRfc3339(*totals.since);
  return WriteJson(row);
}

RuleTotals DecodeTotals(std::string_view text) {
  RuleTotals totals;
  Result<boost::json::value> value = ParseJson(text);
  if (!value) return totals;
  const Row row(&*value);
  totals.since = row.Time("since");
  totals.archives = row.Count("archives");
  totals.object_bytes = row.Count("object_bytes");
  totals.plain_bytes = row.Count("plain_bytes");
  totals.sent_bytes = row.Count("sent_bytes");
  totals.failures = row.Count("failures");
  totals.parked = row.Count("parked");
  const boost::json::object* targets = row.Object("targets");
  if (targets == nullptr) return totals;
  for (const auto& member : *targets) {
    const Row field(&member.value());
    TargetTotals& target = totals.targets[std::string(member.key())];
    target.applied = field.Count("applied");
    target.applied_bytes = field.Count("applied_bytes");
    target.equal = field.Count("equal");
    target.superseded = field.Count("superseded");
    target.conflicts = field.Count("conflicts");
    target.parked = field.Count("parked");
    target.missed = field.Count("missed");
    target.reached_after = field.Count("reached_after");
    target.answered = field.Flag("answered");
    target.hour = static_cast<int64_t>(field.Count("hour"));
    if (const boost::json::value* lag = field.Field("lag")) {
      target.lag = LagHistogram::FromJson(*lag);
    }
    if (const boost::json::value* lag = field.Field("lag_before")) {
      target.lag_before = LagHistogram::FromJson(*lag);
    }
  }
  return totals;
}

std::string EncodeNow(const RuleNow& now) {
  boost::json::object targets;
  for (const auto& [name, target] : now.targets) {
    boost::json::object row{{"objects_per_second", target.objects_per_second},
                            {"bytes_per_second", target.bytes_per_second},
                            {"archives_waiting", target.archives_waiting}};
    AddOldest(row, target.oldest);
    if (target.open) {
      row["open_since"] = FormatRfc3339(target.open->since);
      row["open_reason"] = PercentEncode(target.open->reason, Slash::kKeep);
    }
    targets[name] = std::move(row);
  }
  boost::json::object row{{"beat", FormatRfc3339(now.beat)},
                          {"started", FormatRfc3339(now.started)},
                          {"host", PercentEncode(now.host, Slash::kKeep)},
                          {"pid", now.pid},
                          {"version", now.version},
                          {"source", now.source},
                          {"target", now.target},
                          {"keys_pending", now.keys_pending},
                          {"bytes_pending", now.bytes_pending},
                          {"targets", std::move(targets)}};
  AddOldest(row, now.oldest);
  if (now.deletes_held > 0) row["deletes_held"] = now.deletes_held;
  boost::json::array levels;
  for (const KindLevel& level : now.levels) {
    levels.push_back(boost::json::object{{"kind", level.kind},
                                         {"level", level.level},
                                         {"why", PercentEncode(level.why, Slash::kKeep)},
                                         {"bytes", level.bytes}});
  }
  if (!levels.empty()) row["levels"] = std::move(levels);
  boost::json::object troubles;
  for (const auto& [part, reason] : now.troubles) {
    troubles[part] = PercentEncode(reason, Slash::kKeep);
  }
  if (!troubles.empty()) row["troubles"] = std::move(troubles);
  return WriteJson(row);
}

RuleNow DecodeNow(std::string_view text) {
  RuleNow now;
  Result<boost::json::value> value = ParseJson(text);
  if (!value) return now;
  const Row row(&*value);
  now.beat = row.Time("beat").value_or(SystemTime{});
  now.started = row.Time("started").value_or(SystemTime{});
  Result<std::string> host = PercentDecode(row.Text("host"));
  if (host) now.host = std::move(*host);
  now.pid = static_cast<int64_t>(row.Count("pid"));
  now.version = row.Text("version");
  now.source = row.Flag("source");
  now.target = row.Flag("target");
  now.keys_pending = row.Count("keys_pending");
  now.bytes_pending = row.Count("bytes_pending");
  now.oldest = OldestOf(row);
  now.deletes_held = row.Count("deletes_held");
  const boost::json::value* levels = row.Field("levels");
  if (levels != nullptr && levels->is_array()) {
    for (const boost::json::value& item : levels->as_array()) {
      const Row field(&item);
      Result<std::string> why = PercentDecode(field.Text("why"));
      now.levels.push_back({.kind = field.Text("kind"),
                            .level = static_cast<int>(std::min<uint64_t>(field.Count("level"), 22)),
                            .why = why ? *why : "",
                            .bytes = field.Count("bytes")});
    }
  }
  if (const boost::json::object* troubles = row.Object("troubles")) {
    for (const auto& member : *troubles) {
      if (!member.value().is_string()) continue;
      Result<std::string> reason = PercentDecode(member.value().as_string());
      if (reason) now.troubles[std::string(member.key())] = std::move(*reason);
    }
  }
  const boost::json::object* targets = row.Object("targets");
  if (targets == nullptr) return now;
  for (const auto& member : *targets) {
    const Row field(&member.value());
    TargetNow& target = now.targets[std::string(member.key())];
    target.objects_per_second = field.Number("objects_per_second");
    target.bytes_per_second = field.Number("bytes_per_second");
    target.archives_waiting = field.Count("archives_waiting");
    target.oldest = OldestOf(field);
    if (std::optional<SystemTime> since = field.Time("open_since")) {
      Result<std::string> reason = PercentDecode(field.Text("open_reason"));
      target.open = OpenTarget{.since = *since, .reason = reason ? *reason : ""};
    }
  }
  return now;
}

}  // namespace longhaul
