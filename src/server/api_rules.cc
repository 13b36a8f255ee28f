// Rules, what is parked and dead letters, by the API.

#include <algorithm>

#include "events/dead_letter.h"
#include "replication/life/parked.h"
#include "replication/life/spool.h"
#include "replication/rule_orders.h"
#include "server/api.h"
#include "server/api_json.h"

namespace longhaul {

namespace {

constexpr std::chrono::milliseconds kSnapshotAge{2'000};
constexpr size_t kFirstKeys = 3;
constexpr size_t kBodyBytesShown = 120;

double SettingSeconds(std::chrono::milliseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

boost::json::object SettingsOf(const Rule& rule) {
  const auto maybe = [](auto time) -> boost::json::value {
    return time ? boost::json::value(SettingSeconds(*time)) : boost::json::value(nullptr);
  };
  return {{"priority", rule.priority},
          {"transport", ToString(rule.transport)},
          {"compression", rule.tuner                    ? "auto"
                          : rule.compression_level == 0 ? "none"
                                                        : std::to_string(rule.compression_level)},
          {"deletes", rule.deletes},
          {"prefix", rule.source.prefix},
          {"suffix", rule.filter.suffix},
          {"batch_bytes", rule.batch.size_bytes},
          {"batch_count", rule.batch.count},
          {"linger_seconds", SettingSeconds(rule.batch.linger)},
          {"settle_seconds", SettingSeconds(rule.settle)},
          {"threshold_seconds", maybe(rule.threshold)},
          {"listing_seconds", maybe(rule.intake.listing)},
          {"webhook", rule.intake.webhook},
          {"watch", rule.intake.watch},
          {"sealed", !rule.seal_key.empty()}};
}

bool Mentions(const Rule& rule, const std::string& text) {
  if (rule.id.find(text) != std::string::npos) return true;
  if (rule.source.ToString().find(text) != std::string::npos) return true;
  return std::ranges::any_of(rule.targets, [&](const Target& target) {
    return target.to.ToString().find(text) != std::string::npos ||
           target.name.find(text) != std::string::npos;
  });
}

// The target that a body names; "" where it names none.
Result<std::string> TargetNamed(const Rule& rule, const std::optional<std::string>& name) {
  if (!name || name->empty()) return std::string();
  if (const Target* target = FindTarget(rule, *name)) return target->name;
  std::string names;
  for (const Target& target : rule.targets) names += (names.empty() ? "" : ", ") + target.name;
  return FieldError("target", "rule " + rule.id + " has none of that name; there is " + names);
}

}  // namespace

Result<const Rule*> Api::RequireRule(const std::string& id) const {
  if (const Rule* rule = context_.configuration.FindRule(id)) return rule;
  return NotFound("there is no rule '" + id + "'");
}

// One reading serves all who ask within `age_max`.
Async<void> Api::Refresh(std::chrono::milliseconds age_max) {
  const SystemTime now = context_.runtime.clock.Now();
  if (snapshot_.control && now - snapshot_.time < age_max && now >= snapshot_.time) co_return Ok();
  Result<RuleSights> sights = co_await ReadRuleSights(context_.state, snapshot_.sights);
  if (!sights) co_return sights.error();
  auto control = std::make_shared<RuleControl>(context_.state, context_.runtime.clock);
  Result<bool> read = co_await control->Refresh();
  if (!read) co_return read.error();
  snapshot_ = {.time = now,
               .sights = std::make_shared<RuleSights>(std::move(*sights)),
               .control = std::move(control)};
  co_return co_await parked_.Refresh(snapshot_.sights);
}

// Without what takes requests for each rule.
RuleReport Api::ReportOfAll(const Rule& rule) const {
  RuleReport report =
      MakeRuleReport(rule, *snapshot_.control, *snapshot_.sights, context_.runtime.clock.Now());
  report.parked_max = ParkedCounts::kCountMax;
  report.parked = parked_.Of(rule.id, "");
  for (TargetReport& told : report.targets) told.parked = parked_.Of(rule.id, told.target->name);
  return report;
}

// After Refresh, which looks at all rules at once.
Async<RuleReport> Api::Report(const Rule& rule) {
  RuleReport report = ReportOfAll(rule);
  // Hints are kept of what is held; to ask of all rules would take a request each.
  const bool held = report.pause || std::ranges::any_of(report.targets, [](const auto& told) {
                      return told.pause || told.now.open;
                    });
  if (held) {
    Result<bool> empty = co_await SpoolIsEmpty(context_.state, rule);
    if (!empty) co_return empty.error();
    report.hints_kept = !*empty;
  }
  co_return report;
}

Api::Json Api::CountsByHealth() {
  const SystemTime now = context_.runtime.clock.Now();
  std::map<RuleHealth, int64_t> counts;
  std::string reason;
  for (const Rule& rule : context_.configuration.rules) {
    ++counts[ReportOfAll(rule).Health(now, &reason)];
  }
  Json json;
  for (const RuleHealth health :
       {RuleHealth::kOk, RuleHealth::kWarn, RuleHealth::kBad, RuleHealth::kOff}) {
    json[ToString(health)] = counts[health];
  }
  return json;
}

Async<Api::Json> Api::ListRules(const ApiRequest& request) {
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  Result<std::string> after = query.Cursor();
  if (!after) co_return after.error();
  const std::optional<std::string> health = query.Text("health");
  if (health && *health != "ok" && *health != "warn" && *health != "bad" && *health != "off") {
    co_return FieldError("health", "is none of ok, warn, bad, off");
  }
  const std::optional<std::string> search = query.Text("search");
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  Result<void> fresh = co_await Refresh(kSnapshotAge);
  if (!fresh) co_return fresh.error();

  const SystemTime now = context_.runtime.clock.Now();
  std::vector<const Rule*> rules;
  for (const Rule& rule : context_.configuration.rules) rules.push_back(&rule);
  std::ranges::sort(rules, {}, [](const Rule* rule) { return std::string_view(rule->id); });
  boost::json::array list;
  int64_t total = 0;
  std::string last;
  bool more = false;
  for (const Rule* rule : rules) {
    if (search && !Mentions(*rule, *search)) continue;
    const bool on_page = rule->id > *after && std::cmp_less(list.size(), *limit);
    if (!health && !on_page) {
      ++total;
      more = more || rule->id > *after;
      continue;
    }
    std::string reason;
    if (health && ToString(ReportOfAll(*rule).Health(now, &reason)) != *health) continue;
    ++total;
    if (!on_page) {
      more = more || rule->id > *after;
      continue;
    }
    Result<RuleReport> report = co_await Report(*rule);
    if (!report) co_return report.error();
    last = rule->id;
    list.emplace_back(JsonOf(*report, now));
  }
  std::optional<std::string> next;
  if (more && !last.empty()) next = EncodeCursor({last});
  co_return Json{{"rules", std::move(list)},
                 {"total", total},
                 {"counts", CountsByHealth()},
                 {"next", JsonCursor(next)}};
}

Async<Api::Json> Api::GetRule(const ApiRequest& request) {
  Result<void> known = ApiQuery(request).Finish();
  if (!known) co_return known.error();
  Result<const Rule*> rule = RequireRule(request.arguments[0]);
  if (!rule) co_return rule.error();
  RuleControl control(context_.state, context_.runtime.clock);
  Result<bool> read = co_await control.Refresh();
  if (!read) co_return read.error();
  Result<RuleReport> report =
      co_await ReadRuleReport(context_.state, context_.runtime.clock, control, **rule);
  if (!report) co_return report.error();
  Json json = JsonOf(*report, context_.runtime.clock.Now());
  json["settings"] = SettingsOf(**rule);
  std::map<std::string, Member> members;
  AddMembers(members, report->running);
  boost::json::array list;
  for (const auto& [process, member] : members) list.emplace_back(JsonOf(member, process));
  json["members"] = std::move(list);
  co_return json;
}

Async<Api::Json> Api::PauseOrResume(const ApiRequest& request, bool pause) {
  Result<const Rule*> rule = RequireRule(request.arguments[0]);
  if (!rule) co_return rule.error();
  ApiBody body(request.body);
  Result<std::optional<std::string>> named = body.Text("target");
  if (!named) co_return named.error();
  Result<std::string> target = TargetNamed(**rule, *named);
  if (!target) co_return target.error();
  std::optional<SystemTime> until;
  if (pause) {
    Result<std::optional<SystemTime>> given = body.Time("until");
    if (!given) co_return given.error();
    Result<std::optional<int64_t>> length = body.Integer("for_seconds", 1, 31'536'000);
    if (!length) co_return length.error();
    if (*given && *length) co_return FieldError("until", "give it or for_seconds, not both");
    until = *given;
    if (*length) until = context_.runtime.clock.Now() + std::chrono::seconds(**length);
  }
  Result<void> known = body.Finish();
  if (!known) co_return known.error();
  Json json{{"rule", (*rule)->id}, {"target", JsonText(*target)}};
  if (pause) {
    Result<Pause> paused =
        co_await PauseRule(context_.state, context_.runtime.clock, **rule, *target, until);
    if (!paused) {
      if (paused.error().kind != ErrorKind::kInvalidInput) co_return paused.error();
      co_return FieldError("until", paused.error().message);
    }
    json["since"] = JsonTime(paused->since);
    json["until"] = JsonTime(paused->until);
    co_return json;
  }
  Result<Resumed> resumed =
      co_await ResumeRule(context_.state, context_.runtime.clock, **rule, *target);
  if (!resumed) co_return resumed.error();
  json["was_paused"] = resumed->was_paused;
  boost::json::array still;
  for (const std::string& what : resumed->paused_still) still.emplace_back(what);
  json["paused_still"] = std::move(still);
  co_return json;
}

Async<Api::Json> Api::Backfill(const ApiRequest& request) {
  Result<const Rule*> rule = RequireRule(request.arguments[0]);
  if (!rule) co_return rule.error();
  ApiBody body(request.body);
  Result<std::optional<std::string>> prefix = body.Text("prefix");
  if (!prefix) co_return prefix.error();
  Result<void> known = body.Finish();
  if (!known) co_return known.error();
  const std::string below = prefix->value_or("");
  Result<bool> waits = co_await BackfillRule(context_.state, context_.runtime.clock, **rule, below);
  if (!waits) {
    if (waits.error().code != kNotBelowRule) co_return waits.error();
    co_return FieldError("prefix", waits.error().message);
  }
  co_return Json{{"rule", (*rule)->id}, {"prefix", below}, {"paused", *waits}};
}

Async<Api::Json> Api::Retry(const ApiRequest& request) {
  Result<const Rule*> rule = RequireRule(request.arguments[0]);
  if (!rule) co_return rule.error();
  ApiBody body(request.body);
  Result<std::vector<std::string>> keys = body.Texts("keys", 1000, 1024);
  if (!keys) co_return keys.error();
  Result<std::optional<bool>> all = body.Boolean("all");
  if (!all) co_return all.error();
  Result<std::optional<std::string>> named = body.Text("target");
  if (!named) co_return named.error();
  Result<std::string> target = TargetNamed(**rule, *named);
  if (!target) co_return target.error();
  Result<void> known = body.Finish();
  if (!known) co_return known.error();
  if (all->value_or(false) == !keys->empty()) {
    co_return FieldError("keys", "give either keys or all: true");
  }
  if (std::ranges::any_of(*keys, &std::string::empty)) {
    co_return FieldError("keys", "holds an empty one");
  }
  Result<RetriedKeys> retried = co_await RetryParked(
      context_.state, context_.queue, context_.runtime.clock, **rule, std::move(*keys), *target);
  if (!retried) co_return retried.error();
  boost::json::array missing;
  for (const std::string& key : retried->missing) missing.emplace_back(key);
  co_return Json{{"rule", (*rule)->id},
                 {"keys", retried->asked},
                 {"forgotten", retried->forgotten},
                 {"missing", std::move(missing)}};
}

// In order of rules, and of the places of each: the source, then its targets; there keys, then
// archives. The cursor says where it goes on.
Async<Api::Json> Api::ListParked(const ApiRequest& request) {
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  const std::optional<std::string> rule_id = query.Text("rule");
  const std::optional<std::string> target_name = query.Text("target");
  std::vector<std::string> from{"", "", "", ""};  // Rule, place, "k" or "a", after.
  if (const std::optional<std::string> cursor = query.Text("cursor")) {
    Result<std::vector<std::string>> parts = DecodeCursor(*cursor, 4);
    if (!parts) co_return parts.error();
    from = std::move(*parts);
  }
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  if (target_name && !rule_id) co_return FieldError("target", "needs a rule");
  std::vector<const Rule*> rules;
  std::string only;
  if (rule_id) {
    Result<const Rule*> rule = RequireRule(*rule_id);
    if (!rule) co_return rule.error();
    Result<std::string> target = TargetNamed(**rule, target_name);
    if (!target) co_return target.error();
    only = *target;
    rules.push_back(*rule);
  } else {
    for (const Rule& rule : context_.configuration.rules) rules.push_back(&rule);
    std::ranges::sort(rules, {}, [](const Rule* rule) { return std::string_view(rule->id); });
  }
  boost::json::array list;
  std::optional<std::string> next;
  bool begun = from[0].empty();
  for (const Rule* rule : rules) {
    if (!begun && rule->id < from[0]) continue;
    for (const std::string& place : ParkedPlaces(*rule, only)) {
      for (const bool archives : {false, true}) {
        if (archives && place.empty()) continue;
        std::string after;
        if (!begun && rule->id == from[0]) {
          if (place != from[1] || archives != (from[2] == "a")) continue;
          after = from[3];
        }
        begun = true;
        const int64_t room = *limit - std::ssize(list);
        if (room == 0) {
          next = EncodeCursor({rule->id, place, archives ? "a" : "k", after});
          co_return Json{{"parked", std::move(list)}, {"next", JsonCursor(next)}};
        }
        Result<std::vector<ParkedKey>> parked =
            archives ? co_await ScanParkedArchives(context_.state, rule->id, place, after,
                                                   static_cast<int>(room))
                     : co_await ScanParked(context_.state, rule->id, place, after,
                                           static_cast<int>(room));
        if (!parked) co_return parked.error();
        for (const ParkedKey& one : *parked) list.emplace_back(JsonOf(rule->id, one));
        if (std::cmp_equal(parked->size(), room)) {
          const ParkedKey& end = parked->back();
          next = EncodeCursor(
              {rule->id, place, archives ? "a" : "k", archives ? end.archive : end.key});
          co_return Json{{"parked", std::move(list)}, {"next", JsonCursor(next)}};
        }
      }
    }
  }
  co_return Json{{"parked", std::move(list)}, {"next", JsonCursor(next)}};
}

Async<Api::Json> Api::ListDeadLetters(const ApiRequest& request) {
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  Result<std::vector<QueueMessage>> dead =
      co_await context_.queue.DeadLetters(static_cast<int>(*limit));
  if (!dead) co_return dead.error().In("queue");
  Result<QueueDepth> depth = co_await context_.queue.Depth();
  if (!depth) co_return depth.error().In("queue");
  boost::json::array list;
  for (QueueMessage& message : *dead) {
    const DeadLetter letter = ReadDeadLetter(std::move(message));
    Json json{{"lane", letter.message.lane},
              {"sent", FormatRfc3339(letter.message.sent)},
              {"received", letter.message.receive_count},
              {"bytes", letter.message.body.size()},
              {"reason", letter.reason}};
    boost::json::array first;
    if (letter.hints) {
      const HintMessage& hints = *letter.hints;
      json["rule"] = JsonText(hints.rule);
      json["target"] = JsonText(hints.target);
      json["source"] = hints.store + ":" + hints.bucket;
      json["origin"] = Describe(hints.origin);
      json["keys"] = hints.hints.size();
      for (size_t i = 0; i < std::min(kFirstKeys, hints.hints.size()); ++i) {
        first.emplace_back(hints.hints[i].key);
      }
      json["body"] = nullptr;
    } else {
      for (const char* name : {"rule", "target", "source", "origin", "keys"}) json[name] = nullptr;
      json["body"] = letter.message.body.substr(0, kBodyBytesShown);
    }
    json["first_keys"] = std::move(first);
    list.emplace_back(std::move(json));
  }
  const int64_t total = std::max<int64_t>(depth->dead, std::ssize(list));
  co_return Json{{"dead_letters", std::move(list)}, {"total", total}};
}

Async<Api::Json> Api::Redrive() {
  Result<int64_t> redriven = co_await context_.queue.Redrive();
  if (!redriven) co_return redriven.error().In("queue");
  co_return Json{{"redriven", *redriven}};
}

}  // namespace longhaul
