#include "server/api_json.h"

#include <algorithm>

namespace longhaul {

namespace {

constexpr double kDollarsPerGib = 0.02;  // As `rules status` reckons by default.

double LagSeconds(std::chrono::milliseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

double Age(const std::optional<OldestKey>& oldest, SystemTime now) {
  if (!oldest) return 0;
  return std::max(0.0, std::chrono::duration<double>(now - oldest->heard).count());
}

boost::json::value KeyOf(const std::optional<OldestKey>& oldest) {
  return oldest ? JsonText(oldest->key) : nullptr;
}

std::string_view StateOf(const Rule& rule, const std::optional<Pause>& pause) {
  return !rule.enabled ? "disabled" : pause ? "paused" : "active";
}

void AddPause(boost::json::object& json, const std::optional<Pause>& pause) {
  json["paused_since"] = pause ? JsonTime(pause->since) : nullptr;
  json["paused_until"] = pause ? JsonTime(pause->until) : nullptr;
}

void AddLag(boost::json::object& json, const LagHistogram& lag) {
  const bool some = lag.count() > 0;
  const auto value = [&](std::chrono::milliseconds time) -> boost::json::value {
    return some ? boost::json::value(LagSeconds(time)) : boost::json::value(nullptr);
  };
  json["lag_p50_seconds"] = value(lag.Quantile(0.5));
  json["lag_p99_seconds"] = value(lag.Quantile(0.99));
  json["lag_max_seconds"] = value(lag.max());
}

boost::json::object JsonOf(const RuleReport& report, const TargetReport& told, SystemTime now) {
  const TargetNow& seen = told.now;
  const TargetTotals& totals = told.totals;
  std::string reason;
  const RuleHealth health = report.HealthOf(told, now, &reason);
  boost::json::object json{{"name", told.target->name},
                           {"address", told.target->to.ToString()},
                           {"state", StateOf(*report.rule, told.pause)}};
  AddPause(json, told.pause);
  json["health"] = ToString(health);
  json["reason"] = JsonText(reason);
  json["archives_waiting"] = seen.archives_waiting;
  json["objects_per_second"] = seen.objects_per_second;
  json["bytes_per_second"] = seen.bytes_per_second;
  json["applied"] = totals.applied;
  json["applied_bytes"] = totals.applied_bytes;
  json["equal"] = totals.equal;
  json["superseded"] = totals.superseded;
  json["conflicts"] = totals.conflicts;
  json["parked"] = told.parked;
  json["parked_more"] = told.parked >= report.parked_max;
  json["lag_seconds"] = Age(seen.oldest, now);
  AddLag(json, told.lag);
  json["lag_objects"] = told.lag.count();
  json["oldest_pending_key"] = KeyOf(seen.oldest);
  json["open_since"] = seen.open ? JsonTime(seen.open->since) : nullptr;
  json["open_reason"] = seen.open ? JsonText(seen.open->reason) : nullptr;
  json["missed_threshold"] = totals.missed;
  json["reached_after_threshold"] = totals.reached_after;
  json["backup"] = told.target->backup.has_value();
  return json;
}

}  // namespace

boost::json::value JsonTime(SystemTime time) {
  if (time == SystemTime()) return nullptr;
  return boost::json::value(FormatRfc3339(time));
}

boost::json::value JsonTime(const std::optional<SystemTime>& time) {
  return time ? JsonTime(*time) : nullptr;
}

boost::json::value JsonText(const std::string& text) {
  return text.empty() ? boost::json::value(nullptr) : boost::json::value(text);
}

boost::json::value JsonCursor(const std::optional<std::string>& cursor) {
  return cursor ? boost::json::value(*cursor) : boost::json::value(nullptr);
}

boost::json::object JsonOf(const RuleReport& report, SystemTime now) {
  const Rule& rule = *report.rule;
  const RuleTotals& totals = report.totals;
  std::string reason;
  const RuleHealth health = report.Health(now, &reason);
  boost::json::object json{{"id", rule.id}, {"state", StateOf(rule, report.pause)}};
  AddPause(json, report.pause);
  json["health"] = ToString(health);
  json["reason"] = JsonText(reason);
  json["source"] = rule.source.ToString();
  json["processes"] = report.running.size();
  json["sources"] = std::ranges::count(report.running, true, &RuleNow::source);
  json["keys_pending"] = report.keys_pending;
  json["oldest_pending_key"] = KeyOf(report.OldestOfAll());
  json["hints_kept"] = report.hints_kept;
  json["lag_seconds"] = Age(report.OldestOfAll(), now);
  LagHistogram lag;
  double objects = 0;
  double bytes = 0;
  uint64_t parked = report.parked;
  bool parked_more = report.parked >= report.parked_max;
  boost::json::array targets;
  for (const TargetReport& told : report.targets) {
    lag.Merge(told.lag);
    objects += told.now.objects_per_second;
    bytes += told.now.bytes_per_second;
    parked += told.parked;
    parked_more = parked_more || told.parked >= report.parked_max;
    targets.emplace_back(JsonOf(report, told, now));
  }
  AddLag(json, lag);
  json["objects_per_second"] = objects;
  json["bytes_per_second"] = bytes;
  json["since"] = JsonTime(totals.since);
  json["archives"] = totals.archives;
  json["object_bytes"] = totals.object_bytes;
  json["plain_bytes"] = totals.plain_bytes;
  json["sent_bytes"] = totals.sent_bytes;
  const int64_t saved =
      static_cast<int64_t>(totals.plain_bytes) - static_cast<int64_t>(totals.sent_bytes);
  json["saved_bytes"] = saved;
  json["ratio"] = totals.sent_bytes == 0
                      ? boost::json::value(nullptr)
                      : boost::json::value(static_cast<double>(totals.plain_bytes) /
                                           static_cast<double>(totals.sent_bytes));
  json["saved_money"] = static_cast<double>(saved) / (1 << 30) * kDollarsPerGib;
  json["failures"] = totals.failures;
  json["parked"] = parked;
  json["parked_more"] = parked_more;
  json["deletes_held"] = report.deletes_held;
  boost::json::array levels;
  for (const KindLevel& level : report.levels) {
    levels.emplace_back(boost::json::object{{"kind", level.kind},
                                            {"level", level.level},
                                            {"why", level.why},
                                            {"packed_bytes", level.bytes}});
  }
  json["levels"] = std::move(levels);
  boost::json::object troubles;
  for (const auto& [part, why] : report.troubles) troubles[part] = why;
  json["troubles"] = std::move(troubles);
  json["targets"] = std::move(targets);
  return json;
}

boost::json::object JsonOf(const Member& member, const std::string& process) {
  boost::json::array roles;
  if (member.now.source) roles.emplace_back("source");
  if (member.now.target) roles.emplace_back("target");
  return {{"process", process},
          {"host", member.now.host},
          {"pid", member.now.pid},
          {"version", member.now.version},
          {"roles", std::move(roles)},
          {"started", FormatRfc3339(member.now.started)},
          {"seen", FormatRfc3339(member.now.beat)},
          {"keys_pending", member.keys_pending},
          {"rules", member.rules}};
}

boost::json::object JsonOf(const std::string& rule, const ParkedKey& parked) {
  return {{"rule", rule},
          {"target", JsonText(parked.target)},
          {"key", JsonText(parked.key)},
          {"archive", JsonText(parked.archive)},
          {"op", parked.op},
          {"reason", parked.reason},
          {"when", JsonTime(parked.when)},
          {"since", JsonTime(parked.since)},
          {"retried", JsonTime(parked.retried)}};
}

boost::json::object JsonOf(const SeenFailure& failure) {
  return {{"time", FormatRfc3339(failure.time)},
          {"rule", failure.rule},
          {"target", JsonText(failure.target)},
          {"key", failure.key},
          {"op", JsonText(failure.op)},
          {"state", failure.state},
          {"reason", failure.reason}};
}

boost::json::object JsonOf(const AuditEntry& entry) {
  return {
      {"number", entry.number},
      {"time", FormatRfc3339(entry.time)},
      {"who", entry.who},
      {"role", entry.role},
      {"peer", entry.peer},
      {"action", entry.action},
      {"subject", entry.subject},
      {"detail", entry.detail},
      {"status", entry.status ? boost::json::value(*entry.status) : boost::json::value(nullptr)}};
}

}  // namespace longhaul
