#include "replication/rule_report.h"

#include <algorithm>
#include <utility>

#include "base/units.h"
#include "replication/life/parked.h"
#include "replication/life/spool.h"

namespace longhaul {

namespace {

constexpr int kReportPageRows = 1000;

// Calls `take` for each row of a partition.
template <class Take>
Async<void> ForEachRow(State& state, std::string partition, Take take) {
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state.Scan(partition, after, kReportPageRows);
    if (!rows) co_return rows.error().In("State");
    for (const StateRow& row : *rows) take(row);
    if (rows->size() < kReportPageRows) co_return Ok();
    after = rows->back().key;
  }
}

std::string Some(uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

RuleHealth Worse(RuleHealth a, RuleHealth b) {
  // What is off does not make the rest so.
  if (a == RuleHealth::kOff) return b;
  if (b == RuleHealth::kOff) return a;
  return std::max(a, b);
}

void AddLevels(std::vector<KindLevel>& levels, const std::vector<KindLevel>& more) {
  for (const KindLevel& level : more) {
    const auto known = std::ranges::find(levels, level.kind, &KindLevel::kind);
    if (known == levels.end()) {
      levels.push_back(level);
    } else if (level.bytes > known->bytes) {
      *known = level;
    }
  }
}

}  // namespace

std::string_view ToString(RuleHealth health) {
  switch (health) {
    case RuleHealth::kOk:
      return "ok";
    case RuleHealth::kWarn:
      return "warn";
    case RuleHealth::kBad:
      return "bad";
    case RuleHealth::kOff:
      return "off";
  }
  return "bad";
}

RuleHealth RuleReport::HealthOf(const TargetReport& told, SystemTime now,
                                std::string* reason) const {
  reason->clear();
  if (!rule->enabled) {
    *reason = "the rule is disabled";
    return RuleHealth::kOff;
  }
  if (told.pause) {
    *reason = "paused";
    return RuleHealth::kOff;
  }
  if (told.now.open) {
    *reason = "left alone, as its store fails: " + told.now.open->reason;
    return RuleHealth::kBad;
  }
  if (const auto found = troubles.find("target " + told.target->name); found != troubles.end()) {
    *reason = found->second;
    return RuleHealth::kBad;
  }
  if (told.parked > 0) {
    *reason = std::to_string(told.parked) +
              (told.parked == 1 ? " key or archive parked" : " keys or archives parked");
    return RuleHealth::kWarn;
  }
  if (rule->threshold && told.now.oldest && now - told.now.oldest->heard > *rule->threshold) {
    *reason = "what waits is older than the threshold of " + FormatDuration(*rule->threshold);
    return RuleHealth::kWarn;
  }
  return RuleHealth::kOk;
}

RuleHealth RuleReport::Health(SystemTime now, std::string* reason) const {
  reason->clear();
  if (!rule->enabled) {
    *reason = "disabled";
    return RuleHealth::kOff;
  }
  if (pause) {
    *reason = "paused";
    return RuleHealth::kOff;
  }
  if (std::ranges::none_of(running, &RuleNow::source)) {
    *reason = "no process runs it as source";
    return RuleHealth::kBad;
  }
  if (std::ranges::none_of(running, &RuleNow::target)) {
    *reason = "no process runs it as target";
    return RuleHealth::kBad;
  }
  if (!troubles.empty()) {
    *reason = troubles.begin()->first + ": " + troubles.begin()->second;
    return RuleHealth::kBad;
  }
  RuleHealth health = RuleHealth::kOk;
  const auto add = [&](RuleHealth one, const std::string& why) {
    // The first of the worst.
    if (Worse(health, one) != health || reason->empty()) *reason = why;
    health = Worse(health, one);
  };
  for (const TargetReport& told : targets) {
    std::string why;
    const RuleHealth one = HealthOf(told, now, &why);
    if (one != RuleHealth::kOk && one != RuleHealth::kOff) {
      add(one, "target " + told.target->name + ": " + why);
    }
  }
  if (parked > 0) add(RuleHealth::kWarn, Some(parked, "key") + " parked at the source");
  if (deletes_held > 0) {
    add(RuleHealth::kWarn, "the delete guard holds deletes of " + Some(deletes_held, "key"));
  }
  return health;
}

std::optional<OldestKey> RuleReport::OldestOfAll() const {
  std::optional<OldestKey> all = oldest;
  for (const TargetReport& told : targets) all = Older(std::move(all), told.now.oldest);
  return all;
}

Async<RuleSights> ReadRuleSights(State& state, std::shared_ptr<const RuleSights> before) {
  RuleSights sights;
  const RuleSights nothing;
  const RuleSights& known = before ? *before : nothing;
  Result<void> read = co_await ForEachRow(state, "status", [&](const StateRow& row) {
    const size_t slash = row.key.find('/');
    if (slash == std::string::npos) return;
    const std::string rule = row.key.substr(0, slash);
    std::vector<RuleNow>& running = sights.running[rule];
    if (const auto found = known.running.find(rule); found != known.running.end()) {
      const auto same = std::ranges::find(found->second, row.revision, &RuleNow::revision);
      if (same != found->second.end()) return running.push_back(*same);
    }
    running.push_back(DecodeNow(row.value));
    running.back().process = row.key.substr(slash + 1);
    running.back().revision = row.revision;
  });
  if (!read) co_return read.error();
  read = co_await ForEachRow(state, "totals", [&](const StateRow& row) {
    const auto found = known.totals.find(row.key);
    const bool same = found != known.totals.end() && found->second.revision == row.revision;
    RuleTotals& totals = sights.totals[row.key];
    totals = same ? found->second : DecodeTotals(row.value);
    totals.revision = row.revision;
  });
  if (!read) co_return read.error();
  co_return sights;
}

RuleReport MakeRuleReport(const Rule& rule, const RuleControl& control, const RuleSights& sights,
                          SystemTime now) {
  RuleReport report{.rule = &rule, .pause = control.PauseOf(rule.id)};
  if (const auto found = sights.totals.find(rule.id); found != sights.totals.end()) {
    report.totals = found->second;
  }
  if (const auto found = sights.running.find(rule.id); found != sights.running.end()) {
    report.running = found->second;
  }
  for (const RuleNow& process : report.running) {
    report.deletes_held = std::max(report.deletes_held, process.deletes_held);
    report.troubles.insert(process.troubles.begin(), process.troubles.end());
    report.keys_pending += process.keys_pending;
    report.oldest = Older(std::move(report.oldest), process.oldest);
    AddLevels(report.levels, process.levels);
  }
  for (const Target& target : rule.targets) {
    TargetReport told{.target = &target, .pause = control.PauseOf(rule.id, target.name)};
    for (const RuleNow& process : report.running) {
      const auto found = process.targets.find(target.name);
      if (found == process.targets.end()) continue;
      told.now.objects_per_second += found->second.objects_per_second;
      told.now.bytes_per_second += found->second.bytes_per_second;
      // Each sees the same staging.
      told.now.archives_waiting =
          std::max(told.now.archives_waiting, found->second.archives_waiting);
      told.now.oldest = Older(std::move(told.now.oldest), found->second.oldest);
      if (!told.now.open) told.now.open = found->second.open;
    }
    if (const auto found = report.totals.targets.find(target.name);
        found != report.totals.targets.end()) {
      told.totals = found->second;
    }
    told.lag = told.totals.RecentLag(now);
    report.targets.push_back(std::move(told));
  }
  return report;
}

Async<std::map<std::string, uint64_t>> CountParked(State& state, const Rule& rule, int count_max) {
  std::map<std::string, uint64_t> counts;
  std::vector<std::string> places{""};
  for (const Target& target : rule.targets) places.push_back(target.name);
  for (const std::string& place : places) {
    Result<uint64_t> parked = co_await CountParkedKeys(state, rule.id, place, count_max);
    if (!parked) co_return parked.error();
    counts[place] = *parked;
    const int left = count_max - static_cast<int>(*parked);
    if (place.empty() || left <= 0) continue;
    Result<uint64_t> refused = co_await CountParkedArchives(state, rule.id, place, left);
    if (!refused) co_return refused.error();
    counts[place] += *refused;
  }
  co_return counts;
}

Async<RuleReport> ReadRuleReport(State& state, Clock& clock, const RuleControl& control,
                                 const Rule& rule) {
  RuleSights sights;
  Result<RuleTotals> totals = co_await ReadTotals(state, rule.id);
  if (!totals) co_return totals.error();
  sights.totals[rule.id] = std::move(*totals);
  Result<std::vector<RuleNow>> running = co_await ReadNow(state, rule.id);
  if (!running) co_return running.error();
  sights.running[rule.id] = std::move(*running);
  RuleReport report = MakeRuleReport(rule, control, sights, clock.Now());
  Result<std::map<std::string, uint64_t>> parked =
      co_await CountParked(state, rule, kParkedCountMax);
  if (!parked) co_return parked.error();
  report.parked = (*parked)[""];
  for (TargetReport& told : report.targets) told.parked = (*parked)[told.target->name];
  Result<bool> no_spool = co_await SpoolIsEmpty(state, rule);
  if (!no_spool) co_return no_spool.error();
  report.hints_kept = !*no_spool;
  co_return report;
}

void AddMembers(std::map<std::string, Member>& members, const std::vector<RuleNow>& running) {
  for (const RuleNow& process : running) {
    Member& member = members[process.process];
    member.now = process;
    member.keys_pending += process.keys_pending;
    ++member.rules;
  }
}

}  // namespace longhaul
