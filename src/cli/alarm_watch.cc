#include "cli/alarm_watch.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "aws/aws_service.h"
#include "aws/aws_settings.h"
#include "backup/drill_note.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/units.h"
#include "cli/output.h"
#include "cli/queue_intakes.h"
#include "cli/savings.h"
#include "cost/accounts.h"
#include "queue/count_dead.h"
#include "replication/life/parked.h"
#include "replication/life/rule_meter.h"
#include "replication/life/spool.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kInterval{60};
// From when on another process looks where this one has died. Longer than two looks are apart.
constexpr std::chrono::seconds kLease{150};
constexpr std::chrono::seconds kMeasureInterval{10};
constexpr std::chrono::minutes kSpendingInterval{10};
// Of the memory budget, and of the threads that compute: with less than a tenth left everything
// waits for something.
constexpr double kAtLimit = 0.9;
constexpr char kCapacityPartition[] = "capacity";
constexpr std::chrono::seconds kCapacityLifetime{150};
constexpr int kProcessesMax = 1'000;

// The beginning of the calendar day or month, UTC.
SystemTime PeriodBegin(SystemTime now, bool monthly) {
  const auto day = std::chrono::floor<std::chrono::days>(now);
  if (!monthly) return SystemTime(day.time_since_epoch());
  const std::chrono::year_month_day date(day);
  const std::chrono::sys_days first = date.year() / date.month() / std::chrono::day(1);
  return SystemTime(first.time_since_epoch());
}

// Of all rules of a configuration: who has the same has the same configuration, wherever it lies.
std::string DigestOfRules(const Configuration& configuration) {
  std::set<std::string> ids;
  for (const Rule& rule : configuration.rules) ids.insert(rule.id);
  std::string text;
  for (const std::string& id : ids) text += id + "\n";
  return HexEncode(Sha256(text)).substr(0, 16);
}

// Behind these the names of alarms have a rule, but for that of the queue.
constexpr std::string_view kKindsOfRules[] = {"parked/", "lag/", "away/", "drill_failed/",
                                              "drill_old/"};
constexpr std::string_view kAwayQueue = "away/queue";

// Names, and beginnings of names, of all alarms of a rule.
void AddNamesOf(const Rule& rule, std::vector<std::string>& names) {
  for (const std::string_view kind : kKindsOfRules) {
    names.push_back(std::string(kind) + rule.id);
    names.push_back(std::string(kind) + rule.id + "/");
  }
}

// Whether the alarm `name` is of a rule that `configuration` does not have.
bool IsOfForeignRule(const Configuration& configuration, std::string_view name) {
  if (name == kAwayQueue) return false;
  for (const std::string_view kind : kKindsOfRules) {
    if (!name.starts_with(kind)) continue;
    name.remove_prefix(kind.size());
    const std::string_view id = name.substr(0, name.find('/'));
    return std::ranges::none_of(configuration.rules,
                                [id](const Rule& rule) { return rule.id == id; });
  }
  return false;
}

std::string Joined(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

// The rows of HasTargets.
constexpr char kTargetsSeen[] = "alarm-targets";
constexpr std::chrono::hours kTargetsNoted{1};
constexpr std::chrono::hours kTargetsKept{15 * 24};

}  // namespace

Result<std::vector<std::unique_ptr<AlarmChannel>>> MakeAlarmChannels(
    const Runtime& runtime, const Alarms& alarms, const EnvironmentReader& environment) {
  std::vector<std::unique_ptr<AlarmChannel>> channels;
  if (!alarms.webhook.empty()) {
    channels.push_back(MakeWebhookChannel(
        runtime, alarms.webhook, alarms.shape == AlarmShape::kSlack, WebOptionsOf(environment)));
  }
  if (alarms.mail) {
    SmtpServer server = alarms.mail->server;
    server.ca_file = environment("AWS_CA_BUNDLE").value_or("");
    channels.push_back(
        MakeMailChannel(runtime, std::move(server), alarms.mail->from, alarms.mail->to));
  }
  if (alarms.topic) {
    Result<AwsJsonOptions> options =
        FindAwsService(runtime, {.name = alarms.topic->arn, .region = alarms.topic->region}, "sns",
                       "", environment);
    if (!options) return options.error().In("alarms: sns");
    Result<std::unique_ptr<SnsClient>> client =
        SnsClient::Make(runtime, std::move(*options), *alarms.topic);
    if (!client) return client.error().In("alarms: sns");
    channels.push_back(MakeSnsChannel(std::move(*client)));
  }
  return channels;
}

AlarmWatch::AlarmWatch(Parts parts, Alarms alarms)
    : runtime_(parts.runtime),
      configuration_(parts.configuration),
      alarms_(std::move(alarms)),
      queue_(parts.queue),
      state_(parts.state),
      prices_(parts.prices),
      owner_(std::move(parts.owner)),
      cpu_seconds_(std::move(parts.cpu_seconds)),
      book_(parts.runtime, parts.state, parts.configuration.site, std::move(parts.channels),
            [this](std::string_view name) { return IsOfForeignRule(configuration_, name); }),
      control_(parts.state, parts.runtime.clock) {}

void AlarmWatch::Away(Part& part, const std::string& name, const std::string& text,
                      std::optional<SystemTime> since, Sights& seen) {
  const SystemTime now = runtime_.clock.Now();
  const SystemTime first = part.first_seen.try_emplace(name, since.value_or(now)).first->second;
  seen[name] = {.text = text, .due = now - first >= *alarms_.store_away};
}

Async<void> AlarmWatch::LookAtRule(const Rule& rule, Sights& seen,
                                   std::vector<std::string>& unknown) {
  std::vector<std::string> places{""};
  for (const Target& target : rule.targets) places.push_back(target.name);
  for (const std::string& place : places) {
    if (!alarms_.parked) break;
    Result<std::vector<ParkedKey>> parked = co_await ScanParked(state_, rule.id, place, "", 1);
    if (!parked) co_return parked.error();
    if (!parked->empty()) {
      seen["parked/" + rule.id] = {
          .text = "rule " + rule.id + " has parked objects: `longhaul rules parked` names them"};
      break;
    }
    if (place.empty()) continue;
    parked = co_await ScanParkedArchives(state_, rule.id, place, "", 1);
    if (!parked) co_return parked.error();
    if (parked->empty()) continue;
    seen["parked/" + rule.id] = {
        .text = "rule " + rule.id + " has archives that target " + place +
                " refuses as a whole: `longhaul rules parked` names them, and why"};
  }
  Result<std::vector<RuleNow>> running = co_await ReadNow(state_, rule.id);
  if (!running) co_return running.error();
  Result<bool> has_targets = co_await HasTargets(rule, *running);
  if (!has_targets) co_return has_targets.error();
  LookAtStores(rule, *running, *has_targets, seen, unknown);
  if (!alarms_.lag) co_return Ok();
  co_return co_await LookAtLag(rule, std::move(*running), seen, unknown);
}

Async<bool> AlarmWatch::HasTargets(const Rule& rule, const std::vector<RuleNow>& running) {
  const SteadyTime now = runtime_.clock.SteadyNow();
  const bool any = std::ranges::any_of(running, &RuleNow::target);
  const auto known = has_targets_.find(rule.id);
  const bool fresh = known != has_targets_.end() && now < known->second.second + kTargetsNoted;
  if (fresh && (known->second.first || !any)) co_return known->second.first;
  if (any) {
    StateWrite row{.key = rule.id, .value = "seen", .expires = runtime_.clock.Now() + kTargetsKept};
    Result<int64_t> written = co_await state_.Write(kTargetsSeen, std::move(row));
    if (!written) co_return written.error();
    has_targets_[rule.id] = {true, now};
    co_return true;
  }
  Result<std::optional<StateRow>> row = co_await state_.Get(kTargetsSeen, rule.id);
  if (!row) co_return row.error();
  has_targets_[rule.id] = {row->has_value(), now};
  co_return row->has_value();
}

void AlarmWatch::LookAtStores(const Rule& rule, const std::vector<RuleNow>& running,
                              bool has_targets, Sights& seen, std::vector<std::string>& unknown) {
  const std::string all = "away/" + rule.id + "/";
  std::set<std::string> by_sources;
  std::set<std::string> by_targets;
  for (const RuleNow& process : running) {
    if (!alarms_.store_away) break;
    std::set<std::string>& names = process.target ? by_targets : by_sources;
    for (const auto& [part, reason] : process.troubles) {
      names.insert(all + part);
      Away(rules_, all + part, "rule " + rule.id + ": " + part + ": " + reason, std::nullopt, seen);
    }
    for (const auto& [name, target] : process.targets) {
      if (!target.open) continue;
      names.insert(all + "target " + name);
      Away(rules_, all + "target " + name,
           "rule " + rule.id + ": target " + name + " is left alone: " + target.open->reason,
           target.open->since, seen);
    }
  }
  rules_.of_sources.merge(by_sources);
  for (const std::string& name : by_targets) rules_.of_sources.erase(name);
  // Who has died says nothing any more, also not that a store is back.
  if (std::ranges::none_of(running, &RuleNow::source)) {
    unknown.push_back(all);
  } else if (has_targets && std::ranges::none_of(running, &RuleNow::target)) {
    // What sources alone told of they tell the end of as well.
    for (const Target& target : rule.targets) {
      std::string name = all + "target " + target.name;
      if (!rules_.of_sources.contains(name)) unknown.push_back(std::move(name));
    }
  }
}

Async<void> AlarmWatch::LookAtLag(const Rule& rule, std::vector<RuleNow> running, Sights& seen,
                                  std::vector<std::string>& unknown) {
  Result<SpoolSight> spool =
      co_await LookAtSpool(state_, rule, [this, &rule](const std::string& target) {
        return target.empty() ? control_.Holds(rule.id) : control_.Holds(rule.id, target);
      });
  if (!spool) co_return spool.error();
  std::optional<OldestKey> oldest;
  if (spool->heard) oldest = OldestKey{.heard = *spool->heard, .key = std::move(spool->key)};
  // What waits may be where no process holds it: in the spool, or in the Queue between two tries.
  bool waits_elsewhere = !spool->empty;
  bool packed = false;
  for (const RuleNow& process : running) {
    packed = packed || process.source;
    oldest = Older(std::move(oldest), process.oldest);
    for (const auto& [part, reason] : process.troubles) {
      waits_elsewhere = waits_elsewhere || part != "listing";
    }
    for (const auto& [name, target] : process.targets) {
      oldest = Older(std::move(oldest), target.oldest);
      waits_elsewhere = waits_elsewhere || target.open.has_value();
    }
  }
  const std::string name = "lag/" + rule.id;
  if (!packed || waits_elsewhere) unknown.push_back(name);
  if (!oldest) co_return Ok();
  const std::chrono::duration<double> age = runtime_.clock.Now() - oldest->heard;
  if (age < *alarms_.lag) co_return Ok();
  seen[name] = {.text = "rule " + rule.id +
                        " is late: " + (oldest->key.empty() ? "a key" : Printable(oldest->key)) +
                        " has waited for " + FormatSeconds(age.count())};
  co_return Ok();
}

Async<void> AlarmWatch::LookAtDrills(const Rule& rule, Sights& seen) {
  if (!alarms_.drill_failed && !alarms_.drill_age) co_return Ok();
  for (const Target& target : rule.targets) {
    if (!target.backup) continue;
    Result<std::optional<backup::DrillNote>> note =
        co_await backup::ReadDrillNote(state_, rule.id, target.name);
    if (!note) co_return note.error();
    const std::string place = rule.id + "/" + target.name;
    if (alarms_.drill_failed && *note && (*note)->outcome != backup::DrillNote::Outcome::kProven) {
      seen["drill_failed/" + place] = {.text = "the last restore drill of the backup " + place +
                                               " has not proven it: " + Printable((*note)->reason)};
    }
    if (!alarms_.drill_age) continue;
    const std::optional<SystemTime> proven = *note ? (*note)->proven : std::nullopt;
    const SystemTime now = runtime_.clock.Now();
    if (proven && now - *proven < *alarms_.drill_age) continue;
    seen["drill_old/" + place] = {
        .text = "the backup " + place + " was " +
                (proven ? "last proven by a restore drill on " + FormatRfc3339(*proven)
                        : std::string("never proven by a restore drill")) +
                ": `longhaul backup drill`"};
  }
  co_return Ok();
}

Async<void> AlarmWatch::LookAtSpending(Sights& seen) {
  if (!alarms_.spending) co_return Ok();
  const SystemTime now = runtime_.clock.Now();
  const SystemTime begin = PeriodBegin(now, alarms_.spending->monthly);
  const bool fresh = past_.spending_looked && *past_.spending_looked >= begin &&
                     now - *past_.spending_looked < kSpendingInterval;
  if (!fresh) {
    Result<Accounts> accounts =
        co_await ReadAccounts(state_, configuration_, begin, AccountsBy::kRule, "");
    if (!accounts) co_return accounts.error().In("read what was spent");
    past_.spending_looked = now;
    past_.spending_seen.clear();
    const Bill::Sum sum = accounts->all.paid.Reckon(prices_);
    const std::string period = alarms_.spending->monthly ? "month" : "day";
    const std::string unknown =
        sum.unknown.empty() ? "" : "; nobody knows the prices " + Joined(sum.unknown);
    if (sum.total > alarms_.spending->pico_dollars) {
      past_.spending_seen["spending/" + period] = {
          .text = "replication has cost " + std::string(unknown.empty() ? "" : "at least ") +
                  FormatSum(sum.total) + " since " + FormatRfc3339(begin) + ", more than the " +
                  FormatSum(alarms_.spending->pico_dollars) + " a " + period +
                  " of the configuration" + unknown + ": `longhaul savings` tells for what"};
    }
    // With them it may be over the limit, or not.
    if (!sum.unknown.empty()) {
      past_.spending_seen["spending_prices"] = {
          .text = "what replication costs cannot be held to its limit: it is " +
                  FormatSum(sum.total) + " this " + period + " without what has no price: " +
                  Joined(sum.unknown) + "; set them under `prices:`"};
    }
  }
  for (const auto& [name, sight] : past_.spending_seen) seen[name] = sight;
  co_return Ok();
}

void AlarmWatch::Measure() {
  const SteadyTime now = runtime_.clock.SteadyNow();
  const double cpu = cpu_seconds_();
  if (measured_ && now > *measured_) {
    const double wall = std::chrono::duration<double>(now - *measured_).count();
    const int threads = std::max(runtime_.pool.threads(), 1);
    ++measures_;
    if (cpu - cpu_before_ >= kAtLimit * wall * threads) ++without_cpu_;
    if (static_cast<double>(runtime_.memory.reserved_bytes()) >=
        kAtLimit * static_cast<double>(runtime_.memory.limit_bytes())) {
      ++without_memory_;
    }
  }
  measured_ = now;
  cpu_before_ = cpu;
}

Async<void> AlarmWatch::NoteCapacity() {
  const int measures = std::exchange(measures_, 0);
  const bool memory = std::exchange(without_memory_, 0) * 2 > measures;
  const bool cpu = std::exchange(without_cpu_, 0) * 2 > measures;
  if (!memory && !cpu) co_return Ok();
  const std::string what = memory && cpu ? "memory and processor" : memory ? "memory" : "processor";
  Result<int64_t> written = co_await state_.Write(
      kCapacityPartition,
      {.key = owner_, .value = what, .expires = runtime_.clock.Now() + kCapacityLifetime});
  if (!written) co_return written.error().In("note what has run out");
  co_return Ok();
}

// `backlog`: messages that wait. Nobody at his limit, or no more that waits than when it began: the
// end of it.
Async<void> AlarmWatch::LookAtCapacity(int64_t backlog, Sights& seen) {
  Result<std::vector<StateRow>> rows = co_await state_.Scan(kCapacityPartition, "", kProcessesMax);
  if (!rows) co_return rows.error();
  const SystemTime now = runtime_.clock.Now();
  if (rows->empty()) {
    past_.at_limit_since.reset();
    co_return Ok();
  }
  if (!past_.at_limit_since) {
    past_.at_limit_since = now;
    past_.backlog_then = backlog;
  }
  const bool long_enough = now - *past_.at_limit_since >= *alarms_.at_capacity;
  if (long_enough && backlog <= past_.backlog_then) {
    past_.at_limit_since = now;
    past_.backlog_then = backlog;
    co_return Ok();
  }
  seen["at_capacity"] = {.text = "more comes than can be carried: " + std::to_string(backlog) +
                                 " messages wait, " + std::to_string(past_.backlog_then) +
                                 " did on " + FormatRfc3339(*past_.at_limit_since) + ", and " +
                                 std::to_string(rows->size()) +
                                 " of the processes are at their limit (" + rows->front().value +
                                 "): start more of them, or give them more",
                         .due = long_enough};
  co_return Ok();
}

Async<void> AlarmWatch::LookAtRules(Sights& seen, std::vector<std::string>& unknown) {
  Result<bool> read = co_await control_.Refresh();
  Result<void> all = read ? Ok() : Result<void>(read.error());
  for (const Rule& rule : configuration_.rules) {
    if (!rule.enabled) continue;
    if (all) all = co_await LookAtRule(rule, seen, unknown);
    if (all) all = co_await LookAtDrills(rule, seen);
    if (all) continue;
    // It would be the same with all others, and each would be waited for.
    AddNamesOf(rule, unknown);
  }
  co_return all;
}

Async<void> AlarmWatch::LookAtQueue(Sights& seen) {
  Result<QueueDepth> depth = QueueDepth{};
  if (alarms_.at_capacity) {
    depth = co_await queue_.Depth();
  } else {
    Result<int64_t> dead = co_await CountDead(queue_);
    depth = dead ? Result<QueueDepth>(QueueDepth{.dead = *dead}) : Result<QueueDepth>(dead.error());
  }
  if (!depth) {
    if (alarms_.store_away) {
      Away(common_, std::string(kAwayQueue), "the queue: " + depth.error().Describe(), std::nullopt,
           seen);
    }
    co_return depth.error().In("queue");
  }
  if (alarms_.dead_letters && depth->dead > 0) {
    seen["dead_letters"] = {
        .text =
            "messages were received too often, or nobody understands them: `longhaul rules "
            "dead-letters` shows them"};
  }
  if (!alarms_.at_capacity) co_return Ok();
  co_return co_await LookAtCapacity(depth->visible + depth->delayed + depth->in_flight, seen);
}

Async<void> AlarmWatch::LookAtEvents(Sights& seen) {
  Result<std::map<std::string, std::string>> set_aside = co_await ReadSetAside(state_);
  if (!set_aside) co_return set_aside.error();
  for (const auto& [queue, reason] : *set_aside) {
    seen["events_set_aside/" + queue] = {
        .text = "events of the queue " + queue +
                " go to its own dead letters, and nobody replicates what they tell of: " +
                Printable(reason)};
  }
  co_return Ok();
}

Async<void> AlarmWatch::LookAtCommon(Sights& seen, std::vector<std::string>& unknown) {
  Result<void> all = Ok();
  if (alarms_.dead_letters || alarms_.at_capacity) {
    all = co_await LookAtQueue(seen);
    if (!all) unknown.insert(unknown.end(), {"dead_letters", "at_capacity"});
  }
  Result<void> looked;
  if (alarms_.dead_letters) looked = co_await LookAtEvents(seen);
  if (!looked) unknown.emplace_back("events_set_aside/");
  if (all) all = looked;
  looked = co_await LookAtSpending(seen);
  if (!looked) unknown.insert(unknown.end(), {"spending/", "spending_prices"});
  co_return all ? looked : all;
}

Async<void> AlarmWatch::Look(const Event& stop) { co_return co_await Look(stop, true, true); }

Async<void> AlarmWatch::Look(const Event& stop, bool rules, bool common) {
  Sights seen;
  std::vector<std::string> unknown;
  Result<void> all = Ok();
  if (rules) {
    all = co_await LookAtRules(seen, unknown);
  } else {
    for (const Rule& rule : configuration_.rules) AddNamesOf(rule, unknown);
  }
  if (common) {
    Result<void> looked = co_await LookAtCommon(seen, unknown);
    if (all) all = looked;
  } else {
    unknown.insert(unknown.end(), {"dead_letters", "at_capacity", std::string(kAwayQueue),
                                   "events_set_aside/", "spending/", "spending_prices"});
  }
  for (Part* part : {&rules_, &common_}) {
    std::erase_if(part->first_seen, [&](const auto& known) {
      return !seen.contains(known.first) && !IsAmong(unknown, known.first);
    });
    std::erase_if(part->of_sources, [&](const std::string& name) {
      return !seen.contains(name) && !IsAmong(unknown, name);
    });
  }
  Result<void> told = co_await book_.Look(std::move(seen), stop, std::move(unknown));
  if (!told && !all) runtime_.log.Warning("not everything was looked at for alarms", {all.error()});
  co_return told ? all : told;
}

Async<bool> AlarmWatch::Hold(Lease& lease, Part& part) {
  part.fresh = false;
  if (part.ours) {
    Result<void> extended = co_await lease.Extend();
    if (extended) co_return true;
    if (extended.error().kind != ErrorKind::kPrecondition) co_return extended.error();
  }
  part = {.fresh = true};
  Result<bool> taken = co_await lease.TryAcquire();
  if (taken) part.ours = *taken;
  co_return taken;
}

Async<void> AlarmWatch::LookBy(Lease& rules, Lease& common, const Event& stop) {
  Result<bool> ours = co_await Hold(rules, rules_);
  Result<bool> common_ours = co_await Hold(common, common_);
  if (common_.fresh) past_ = {};
  Result<void> looked = Ok();
  if (!ours) looked = ours.error();
  if (!common_ours) looked = common_ours.error();
  const bool look_at_rules = ours && *ours;
  const bool look_at_common = common_ours && *common_ours;
  if (!look_at_rules && !look_at_common) co_return looked;
  Event done;
  TaskGroup keeper(runtime_.executor);
  if (look_at_rules) keeper.Spawn(KeepLease(runtime_.clock, rules, done, kLease / 3));
  if (look_at_common) keeper.Spawn(KeepLease(runtime_.clock, common, done, kLease / 3));
  Result<void> told = co_await Look(stop, look_at_rules, look_at_common);
  done.Set();
  Result<void> kept = co_await keeper.Join();
  static_cast<void>(kept);
  co_return told ? looked : told;
}

Async<void> AlarmWatch::Run(Event& stop) {
  Lease rules(state_, runtime_.clock, "alarms/" + DigestOfRules(configuration_), owner_, kLease);
  Lease common(state_, runtime_.clock, "alarms", owner_, kLease);
  SteadyTime next = runtime_.clock.SteadyNow() + kInterval;
  while (
      !co_await stop.WaitFor(runtime_.clock, alarms_.at_capacity ? kMeasureInterval : kInterval)) {
    if (alarms_.at_capacity) Measure();
    if (runtime_.clock.SteadyNow() < next) continue;
    next = runtime_.clock.SteadyNow() + kInterval;
    Result<void> looked = alarms_.at_capacity ? co_await NoteCapacity() : Ok();
    Result<void> told = co_await LookBy(rules, common, stop);
    if (!told) looked = told;
    if (!looked && looked.error().kind == ErrorKind::kCancelled) continue;  // Is logged.
    if (!looked) runtime_.log.Warning("alarms could not be looked at or told", {looked.error()});
  }
  if (rules_.ours) co_await rules.Release();
  if (common_.ours) co_await common.Release();
  co_return Ok();
}

}  // namespace longhaul
