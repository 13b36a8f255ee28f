#include "replication/life/rule_meter.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/process.h"
#include "base/version.h"

namespace longhaul {

namespace {

constexpr char kStatusPartition[] = "status";
constexpr char kTotalsPartition[] = "totals";
constexpr int kMeterPageRows = 1000;
constexpr size_t kTroubleBytesMax = 500;
constexpr std::chrono::seconds kRateWindow{60};
// Of archives under way, each 16 bytes: what comes above it (a target is away or paused for long)
// counts with the oldest of its archive.
constexpr size_t kHeardMax = 1'000'000;
constexpr int kMeterMergeTries = 5;
// Archives of which a receipt came early, or that another process has packed: the newest ones.
constexpr size_t kEarlyMax = 10'000;

int64_t HourOf(SystemTime time) {
  return std::chrono::duration_cast<std::chrono::hours>(time.time_since_epoch()).count();
}

}  // namespace

std::optional<OldestKey> Older(std::optional<OldestKey> a, std::optional<OldestKey> b) {
  if (!a) return b;
  if (!b) return a;
  return b->heard < a->heard ? b : a;
}

void TargetTotals::Add(const TargetTotals& other) {
  applied += other.applied;
  applied_bytes += other.applied_bytes;
  equal += other.equal;
  superseded += other.superseded;
  conflicts += other.conflicts;
  parked += other.parked;
  missed += other.missed;
  reached_after += other.reached_after;
  answered = answered || other.answered;
  // The histograms of `other` move to where they belong by the newer hour of the two.
  TargetTotals theirs = other;
  for (TargetTotals* totals : {this, &theirs}) {
    const int64_t newest = std::max(hour, other.hour);
    if (totals->hour == newest) continue;
    const bool just_before = totals->hour == newest - 1;
    totals->lag_before = just_before ? totals->lag : LagHistogram();
    totals->lag = LagHistogram();
  }
  hour = std::max(hour, other.hour);
  lag.Merge(theirs.lag);
  lag_before.Merge(theirs.lag_before);
}

LagHistogram TargetTotals::RecentLag(SystemTime now) const {
  LagHistogram recent;
  const int64_t age = HourOf(now) - hour;
  if (age <= 1) recent.Merge(lag);
  if (age <= 0) recent.Merge(lag_before);
  return recent;
}

void RuleTotals::Add(const RuleTotals& other) {
  if (other.since && (!since || *other.since < *since)) since = other.since;
  archives += other.archives;
  object_bytes += other.object_bytes;
  plain_bytes += other.plain_bytes;
  sent_bytes += other.sent_bytes;
  failures += other.failures;
  parked += other.parked;
  for (const auto& [name, target] : other.targets) targets[name].Add(target);
}

Async<RuleTotals> ReadTotals(State& state, std::string rule) {
  Result<std::optional<StateRow>> row = co_await state.Get(kTotalsPartition, rule);
  if (!row) co_return row.error().In("read the totals of rule " + rule);
  co_return *row ? DecodeTotals((*row)->value) : RuleTotals();
}

Async<std::vector<RuleNow>> ReadNow(State& state, std::string rule) {
  std::vector<RuleNow> all;
  const std::string prefix = rule + "/";
  std::string after = prefix;
  while (true) {
    Result<std::vector<StateRow>> rows =
        co_await state.Scan(kStatusPartition, after, kMeterPageRows);
    if (!rows) co_return rows.error().In("read the status of rule " + rule);
    for (const StateRow& row : *rows) {
      if (!row.key.starts_with(prefix)) co_return all;
      RuleNow now = DecodeNow(row.value);
      now.process = row.key.substr(prefix.size());
      all.push_back(std::move(now));
    }
    if (rows->size() < kMeterPageRows) co_return all;
    after = rows->back().key;
  }
}

void RuleMeter::Runs(std::vector<std::string> rules, bool source, bool target, AskSource ask) {
  source_ = source;
  target_ = target;
  ask_ = std::move(ask);
  started_ = runtime_.clock.Now();
  for (const std::string& rule : rules) rules_[rule];
}

void RuleMeter::OnStaged(const std::string& rule, const std::string& archive,
                         const std::vector<std::string>& targets, const ArchiveBytes& bytes,
                         const std::vector<LateKey>& heard) {
  thresholds_.OnStaged(rule, archive, targets, heard);
  Sight& sight = rules_[rule];
  sight.worked = true;
  sight.unpublished.archives += bytes.archives;
  sight.unpublished.object_bytes += bytes.objects;
  sight.unpublished.plain_bytes += bytes.plain;
  sight.unpublished.sent_bytes += bytes.sent;
  if (heard.empty()) return;
  UnderWay under_way{.rule = rule,
                     .staged = bytes.archives > 0,
                     .targets = targets,
                     .oldest = {.heard = heard.front().heard, .key = heard.front().key}};
  std::map<SystemTime, uint32_t> times;
  for (const LateKey& key : heard) {
    if (key.heard < under_way.oldest.heard) {
      under_way.oldest = {.heard = key.heard, .key = key.key};
    }
    ++times[key.heard];
  }
  if (heard_count_ + times.size() > kHeardMax) {
    times = {{under_way.oldest.heard, static_cast<uint32_t>(heard.size())}};
  }
  under_way.heard.assign(times.begin(), times.end());
  heard_count_ += under_way.heard.size();
  under_way_.insert_or_assign(archive, std::move(under_way));
  const auto early = early_.extract(archive);
  if (early.empty()) return;
  for (const auto& [target, written] : early.mapped()) OnReceipt(archive, target, written);
}

void RuleMeter::Received(UnderWay& archive, const std::string& target, SystemTime when) {
  Sight& sight = rules_[archive.rule];
  sight.worked = true;
  TargetTotals lags{.hour = HourOf(runtime_.clock.Now())};
  for (const auto& [heard, count] : archive.heard) {
    lags.lag.Add(std::chrono::duration_cast<std::chrono::milliseconds>(when - heard), count);
  }
  sight.unpublished.targets[target].Add(lags);
}

void RuleMeter::OnReceipt(const std::string& archive, const std::string& target,
                          SystemTime written) {
  thresholds_.OnReceipt(archive, target, written);
  const auto found = under_way_.find(archive);
  if (found == under_way_.end()) {
    NoteEarly(archive, target, written);
    return;
  }
  if (std::erase(found->second.targets, target) == 0) return;
  Received(found->second, target, written);
  if (found->second.targets.empty()) OnArchiveDropped(archive);
}

void RuleMeter::OnAnswer(const std::string& rule, const std::string& target) {
  Sight& sight = rules_[rule];
  if (!sight.answering.insert(target).second) return;
  sight.worked = true;
  sight.unpublished.targets[target].answered = true;
}

void RuleMeter::NoteEarly(const std::string& archive, const std::string& target,
                          SystemTime written) {
  early_[archive][target] = written;
  if (early_.size() > kEarlyMax) early_.erase(early_.begin());  // Begun first, by its ULID.
}

void RuleMeter::OnArchiveGone(const std::string& archive) {
  const auto found = under_way_.find(archive);
  if (found == under_way_.end()) return;
  // Who has never answered may be known to nobody at that side: what was not applied has no lag.
  for (const std::string& target : found->second.targets) {
    if (!rules_[found->second.rule].answering.contains(target)) continue;
    thresholds_.OnReceipt(archive, target, runtime_.clock.Now());
    Received(found->second, target, runtime_.clock.Now());
  }
  OnArchiveDropped(archive);
}

std::vector<std::string> RuleMeter::ArchivesWaiting() const {
  std::vector<std::string> archives;
  for (const auto& [archive, under_way] : under_way_) {
    if (under_way.staged) archives.push_back(archive);
  }
  return archives;
}

void RuleMeter::OnArchiveDropped(const std::string& archive) {
  thresholds_.OnGone(archive);
  const auto found = under_way_.find(archive);
  if (found == under_way_.end()) return;
  heard_count_ -= found->second.heard.size();
  under_way_.erase(found);
}

void RuleMeter::OnStagingSeen(const std::string& rule, const std::string& target, uint64_t waiting,
                              std::optional<SystemTime> oldest) {
  TargetSight& sight = rules_[rule].targets[target];
  sight.staging_waiting = waiting;
  sight.staging_oldest = oldest;
}

void RuleMeter::OnOutcome(const Outcome& outcome) {
  Sight& sight = rules_[outcome.rule];
  sight.worked = true;
  if (outcome.target.empty()) {
    if (outcome.state == OutcomeState::kParked) ++sight.unpublished.parked;
  } else {
    TargetTotals& totals = sight.unpublished.targets[outcome.target];
    switch (outcome.state) {
      case OutcomeState::kApplied: {
        ++totals.applied;
        totals.applied_bytes += outcome.size_bytes;
        TargetSight& target = sight.targets[outcome.target];
        if (target.samples.empty()) {
          target.samples.push_back({.time = runtime_.clock.SteadyNow(), .objects = 0, .bytes = 0});
        }
        ++target.applied;
        target.applied_bytes += outcome.size_bytes;
        break;
      }
      case OutcomeState::kEqual:
        ++totals.equal;
        break;
      case OutcomeState::kSuperseded:
        ++totals.superseded;
        break;
      case OutcomeState::kConflict:
        ++totals.conflicts;
        break;
      case OutcomeState::kParked:
        ++totals.parked;
        break;
      case OutcomeState::kReread:
        break;
    }
  }
  observer_.OnOutcome(outcome);
}

void RuleMeter::OnRetry(std::string_view rule, std::string_view key, const Error& error) {
  Sight& sight = rules_[std::string(rule)];
  sight.worked = true;
  ++sight.unpublished.failures;
  observer_.OnRetry(rule, key, error);
}

void RuleMeter::OnFound(uint64_t objects, uint64_t size_bytes) {
  observer_.OnFound(objects, size_bytes);
}
void RuleMeter::OnReadiness(std::string_view part, const std::optional<Error>& error) {
  constexpr std::string_view kOfRule = " of rule ";
  const size_t end = part.rfind(kOfRule);
  const auto rule =
      end == part.npos ? rules_.end() : rules_.find(std::string(part.substr(end + kOfRule.size())));
  if (rule != rules_.end()) {
    auto& troubles = rule->second.troubles;
    const std::string what(part.substr(0, end));
    const bool had = troubles.contains(what);
    if (error) {
      troubles[what] = error->Describe().substr(0, kTroubleBytesMax);
    } else {
      troubles.erase(what);
    }
    if (had != error.has_value()) rule->second.changed = true;
  }
  observer_.OnReadiness(part, error);
}

uint64_t RuleMeter::Sight::MostDeletesHeld() const {
  uint64_t most = 0;
  for (const auto& [target, keys] : deletes_held) most = std::max(most, keys);
  return most;
}

void RuleMeter::OnDeletesHeld(const std::string& rule, const std::string& target, uint64_t keys) {
  Sight& sight = rules_[rule];
  const uint64_t before = sight.MostDeletesHeld();
  if (keys > 0) {
    sight.deletes_held[target] = keys;
  } else {
    sight.deletes_held.erase(target);
  }
  const uint64_t most = sight.MostDeletesHeld();
  if (most != before) sight.changed = true;
  runtime_.metrics
      .gauge("longhaul_deletes_held", "Keys that the delete guard held back at the last comparison",
             {{"rule", rule}})
      .Set(static_cast<double>(most));
}

void RuleMeter::OnArchiveStaged(const ArchiveBytes& bytes) { observer_.OnArchiveStaged(bytes); }
void RuleMeter::OnArchiveApplied(const ArchiveApplied& applied) {
  observer_.OnArchiveApplied(applied);
}

void RuleMeter::OnStagingFreed(const StagingFreed& freed) { observer_.OnStagingFreed(freed); }

void RuleMeter::OnThreshold(const ThresholdEvent& event) {
  Sight& sight = rules_[event.rule];
  sight.worked = true;
  TargetTotals& totals = sight.unpublished.targets[event.target];
  ++(event.kind == ThresholdEvent::Kind::kMissed ? totals.missed : totals.reached_after);
  observer_.OnThreshold(event);
}

RuleNow RuleMeter::Look(const std::string& rule, Sight& sight) {
  const ProcessName here = ThisProcess();
  RuleNow now{.process = process_,
              .host = here.host.substr(0, here.host.find('/')),
              .pid = here.pid,
              .version = std::string(kVersion),
              .beat = runtime_.clock.Now(),
              .started = started_,
              .source = source_,
              .target = target_};
  now.troubles = sight.troubles;
  now.deletes_held = sight.MostDeletesHeld();
  if (source_ && ask_) {
    SourceSight source = ask_(rule);
    now.keys_pending = source.keys_pending;
    now.bytes_pending = source.bytes_pending;
    now.oldest = std::move(source.oldest);
    now.levels = std::move(source.levels);
    for (auto& [target, open] : source.open) now.targets[target].open = std::move(open);
  }
  const SteadyTime time = runtime_.clock.SteadyNow();
  for (auto& [name, target] : sight.targets) {
    TargetNow& seen = now.targets[name];
    target.samples.push_back(
        {.time = time, .objects = target.applied, .bytes = target.applied_bytes});
    // One that is as old as the window, or older, stays: the rate is that since then.
    while (target.samples.size() > 2 && target.samples[1].time + kRateWindow <= time) {
      target.samples.pop_front();
    }
    const Sample& first = target.samples.front();
    const double seconds = std::chrono::duration<double>(time - first.time).count();
    // Not over a moment: a few objects at once are no rate.
    if (seconds >= std::chrono::duration<double>(kStatusInterval).count() / 2) {
      seen.objects_per_second = static_cast<double>(target.applied - first.objects) / seconds;
      seen.bytes_per_second = static_cast<double>(target.applied_bytes - first.bytes) / seconds;
    }
    seen.archives_waiting = target.staging_waiting;
    if (target.staging_oldest) seen.oldest = OldestKey{.heard = *target.staging_oldest};
  }
  if (source_) {
    std::map<std::string, uint64_t> waiting;
    for (const auto& [archive, under_way] : under_way_) {
      if (under_way.rule != rule) continue;
      for (const std::string& target : under_way.targets) {
        ++waiting[target];
        now.targets[target].oldest = Older(now.targets[target].oldest, under_way.oldest);
      }
    }
    for (const auto& [target, count] : waiting) {
      uint64_t& seen = now.targets[target].archives_waiting;
      seen = std::max(seen, count);
    }
  }
  return now;
}

// As this process sees it.
void RuleMeter::Show(const std::string& rule, const RuleNow& now, Sight& sight) {
  Metrics& metrics = runtime_.metrics;
  std::optional<OldestKey> oldest = now.oldest;
  for (const auto& [name, target] : now.targets) {
    oldest = Older(std::move(oldest), target.oldest);
    sight.shown.insert(name);
  }
  for (const std::string& name : sight.shown) {
    const auto seen = now.targets.find(name);
    const uint64_t waiting = seen == now.targets.end() ? 0 : seen->second.archives_waiting;
    metrics
        .gauge("longhaul_archives_waiting", "Archives in staging that a target has not applied",
               {{"rule", rule}, {"target", name}})
        .Set(static_cast<double>(waiting));
  }
  const std::chrono::duration<double> age =
      oldest ? std::max(now.beat - oldest->heard, SystemTime::duration(0))
             : SystemTime::duration(0);
  metrics
      .gauge("longhaul_oldest_pending_seconds",
             "Age of what has waited longest, to be packed or to be applied; 0: nothing waits",
             {{"rule", rule}})
      .Set(age.count());
  if (!source_) return;
  metrics
      .gauge("longhaul_pending_keys", "Keys that were received and are not packed",
             {{"rule", rule}})
      .Set(static_cast<double>(now.keys_pending));
  metrics.gauge("longhaul_pending_bytes", "Bytes of these, as their events told", {{"rule", rule}})
      .Set(static_cast<double>(now.bytes_pending));
}

Async<void> RuleMeter::PublishTotals(std::string rule, Sight& sight) {
  for (int i = 0; i < kMeterMergeTries; ++i) {
    Result<std::optional<StateRow>> row = co_await state_.Get(kTotalsPartition, rule);
    if (!row) co_return row.error();
    RuleTotals totals;
    StateWrite write{.key = rule, .expected = Expected::Absent()};
    if (*row) {
      totals = DecodeTotals((*row)->value);
      write.expected = Expected::Revision((*row)->revision);
    }
    // Taken before the write: what happens meanwhile is for the next time. A write that may have
    // been made counts as made: to lose a few is better than to count them twice.
    RuleTotals taken = std::exchange(sight.unpublished, {});
    totals.Add(taken);
    if (!totals.since) totals.since = started_;
    write.value = EncodeTotals(totals);
    Result<int64_t> written = co_await state_.Write(kTotalsPartition, std::move(write));
    if (written) co_return Ok();
    if (written.error().kind != ErrorKind::kPrecondition) co_return written.error();
    taken.Add(sight.unpublished);
    sight.unpublished = std::move(taken);
  }
  sight.worked = true;  // Another time.
  co_return Ok();
}

Async<void> RuleMeter::Publish(bool last) {
  thresholds_.Look();
  const SteadyTime time = runtime_.clock.SteadyNow();
  const SystemTime expires = runtime_.clock.Now() + kStatusLifetime;
  const bool beat = !beaten_ || time >= *beaten_ + kStatusBeat;
  std::vector<StateWrite> writes;
  std::vector<std::string> worked;
  for (auto& [rule, sight] : rules_) {
    if (std::exchange(sight.worked, false)) worked.push_back(rule);
    StateWrite write{.key = rule + "/" + process_};
    if (!last) {
      RuleNow now = Look(rule, sight);
      Show(rule, now, sight);
      const bool waits =
          std::exchange(sight.changed, false) || now.keys_pending > 0 || now.oldest.has_value();
      if (!beat && !waits && (worked.empty() || worked.back() != rule)) continue;
      write.value = EncodeNow(now);
      write.expires = expires;
    }
    writes.push_back(std::move(write));
  }
  if (beat) beaten_ = time;
  Result<void> failed;
  if (!writes.empty()) {
    Result<std::vector<Result<int64_t>>> written =
        co_await state_.WriteMany(kStatusPartition, std::move(writes));
    if (!written) failed = written.error();
  }
  for (const std::string& rule : worked) {
    Result<void> published = co_await PublishTotals(rule, rules_[rule]);
    if (!published) failed = published.error();
  }
  if (!failed) co_return failed.error().In("publish status");
  co_return Ok();
}

}  // namespace longhaul
