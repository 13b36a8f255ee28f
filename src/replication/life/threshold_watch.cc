#include "replication/life/threshold_watch.h"

#include <algorithm>
#include <utility>

namespace longhaul {

namespace {

// A late key that is seen nowhere for so long is parked, gone, or another process has it.
constexpr std::chrono::minutes kForgottenAfter{10};

Counter& CounterOf(Metrics& metrics, ThresholdEvent::Kind kind, const std::string& rule,
                   const std::string& target) {
  const bool missed = kind == ThresholdEvent::Kind::kMissed;
  return metrics.counter(
      missed ? "longhaul_threshold_missed_total" : "longhaul_threshold_reached_after_total",
      missed ? "Objects that were not at a target within the rule's threshold"
             : "Objects that arrived at a target after the rule's threshold",
      {{"rule", rule}, {"target", target}});
}

}  // namespace

void ThresholdWatch::Watch(std::map<std::string, WatchedRule> rules, AskLate ask) {
  rules_ = std::move(rules);
  ask_ = std::move(ask);
  // From 0 on: an alert sees no increase where a series begins at 1.
  for (const auto& [id, rule] : rules_) {
    for (const std::string& target : rule.targets) {
      CounterOf(runtime_.metrics, ThresholdEvent::Kind::kMissed, id, target);
      CounterOf(runtime_.metrics, ThresholdEvent::Kind::kReachedAfter, id, target);
    }
  }
}

void ThresholdWatch::OnStaged(const std::string& rule, const std::string& archive,
                              const std::vector<std::string>& targets,
                              const std::vector<LateKey>& keys) {
  if (!rules_.contains(rule) || keys.empty()) return;
  Archive staged{.rule = rule, .targets = targets, .keys = keys};
  std::ranges::sort(staged.keys, {}, &LateKey::heard);
  if (keys_held_ + keys.size() > kKeysMax) staged.keys.resize(1);  // The oldest stands for all.
  keys_held_ += staged.keys.size();
  if (!missed_.empty()) {
    for (const LateKey& key : staged.keys) {
      for (const std::string& target : targets) {
        const auto found = missed_.find({rule, target, key.key});
        if (found != missed_.end()) found->second.staged = true;
      }
    }
  }
  archives_.insert_or_assign(archive, std::move(staged));
}

void ThresholdWatch::OnReturned(const std::string& rule, const LateKey& key) {
  const auto watched = rules_.find(rule);
  const SystemTime now = runtime_.clock.Now();
  if (watched == rules_.end() || now - key.heard <= watched->second.threshold) return;
  MissAll(rule, watched->second, key, now);
}

void ThresholdWatch::MissAll(const std::string& rule, const WatchedRule& watched,
                             const LateKey& key, SystemTime now) {
  for (const std::string& target : watched.targets) {
    if (key.target.empty() || key.target == target) Miss(rule, target, key, false, now);
  }
}

void ThresholdWatch::OnReceipt(const std::string& archive, const std::string& target,
                               SystemTime written) {
  const auto found = archives_.find(archive);
  if (found == archives_.end() || std::erase(found->second.targets, target) == 0) return;
  const Archive& arrived = found->second;
  for (const LateKey& key : arrived.keys) {
    if (written - key.heard <= rules_[arrived.rule].threshold) break;
    Miss(arrived.rule, target, key, true, written);  // Unless that has been told.
    const Name name(arrived.rule, target, key.key);
    if (missed_.erase(name) > 0) {
      Tell(ThresholdEvent::Kind::kReachedAfter, name, key.heard, written);
    }
  }
  EndLines();
  if (arrived.targets.empty()) OnGone(archive);
}

void ThresholdWatch::OnGone(const std::string& archive) {
  const auto found = archives_.find(archive);
  if (found == archives_.end()) return;
  for (const LateKey& key : found->second.keys) {
    for (const std::string& target : found->second.targets) {
      const auto missed = missed_.find({found->second.rule, target, key.key});
      if (missed != missed_.end()) missed->second.staged = false;
    }
  }
  keys_held_ -= found->second.keys.size();
  archives_.erase(found);
}

void ThresholdWatch::Look() {
  if (rules_.empty()) return;
  const SystemTime now = runtime_.clock.Now();
  const SteadyTime steady_now = runtime_.clock.SteadyNow();
  for (const auto& [rule, watched] : rules_) {
    if (!ask_) break;
    for (const LateKey& key : ask_(rule, now - watched.threshold, kKeysMax)) {
      MissAll(rule, watched, key, now);
    }
  }
  for (auto& [ulid, archive] : archives_) {
    const SystemTime limit = now - rules_[archive.rule].threshold;
    for (; archive.told < archive.keys.size(); ++archive.told) {
      const LateKey& key = archive.keys[archive.told];
      if (key.heard >= limit) break;
      for (const std::string& target : archive.targets) {
        Miss(archive.rule, target, key, true, now);
      }
    }
  }
  std::erase_if(missed_, [&](const auto& entry) {
    return !entry.second.staged && entry.second.seen + kForgottenAfter < steady_now;
  });
  EndLines();
}

void ThresholdWatch::Miss(const std::string& rule, const std::string& target, const LateKey& key,
                          bool staged, SystemTime now) {
  Name name(rule, target, key.key);
  const auto found = missed_.find(name);
  if (found == missed_.end() && missed_.size() >= kKeysMax) return;
  Missed& missed = found == missed_.end() ? missed_[name] : found->second;
  missed.seen = runtime_.clock.SteadyNow();
  missed.staged = missed.staged || staged;
  if (found != missed_.end()) return;
  missed.heard = key.heard;
  Tell(ThresholdEvent::Kind::kMissed, name, key.heard, now);
}

void ThresholdWatch::Tell(ThresholdEvent::Kind kind, const Name& name, SystemTime heard,
                          SystemTime now) {
  const auto& [rule, target, key] = name;
  CounterOf(runtime_.metrics, kind, rule, target).Add();
  const bool missed = kind == ThresholdEvent::Kind::kMissed;
  const ThresholdEvent event{.kind = kind,
                             .time = now,
                             .rule = rule,
                             .target = target,
                             .key = key,
                             .heard = heard,
                             .threshold = rules_[rule].threshold};
  observer_.OnThreshold(event);
  if (++lines_ > kLinesMax) return;
  const std::chrono::duration<double> age = now - heard;
  runtime_.log.Warning(
      missed ? "an object is late" : "a late object has arrived",
      {{"rule", rule}, {"target", target}, {"key", key}, {"seconds", age.count()}});
}

void ThresholdWatch::EndLines() {
  const size_t lines = std::exchange(lines_, 0);
  if (lines <= kLinesMax) return;
  runtime_.log.Warning("more objects are late, or have arrived late",
                       {{"objects", lines - kLinesMax}});
}

}  // namespace longhaul
