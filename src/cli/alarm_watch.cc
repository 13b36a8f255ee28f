#include "cli/alarm_watch.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/units.h"
#include "cli/output.h"
#include "replica/lease.h"
#include "replication/life/parked.h"
#include "replication/life/rule_meter.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kInterval{60};
// Of one look. One that takes longer may meet another one, and tell something twice.
constexpr std::chrono::seconds kLease{150};

}  // namespace

AlarmWatch::AlarmWatch(const Runtime& runtime, const Configuration& configuration, Alarms alarms,
                       Queue& queue, State& state, std::string owner, HttpClient* http)
    : runtime_(runtime),
      configuration_(configuration),
      alarms_(std::move(alarms)),
      queue_(queue),
      state_(state),
      owner_(std::move(owner)),
      book_(runtime, state,
            {.site = configuration.site,
             .url = alarms_.webhook,
             .slack = alarms_.shape == AlarmShape::kSlack},
            http) {}

void AlarmWatch::Away(const std::string& name, const std::string& text,
                      std::optional<SystemTime> since, Sights& seen) {
  const SystemTime now = runtime_.clock.Now();
  const SystemTime first = first_seen_.try_emplace(name, since.value_or(now)).first->second;
  seen[name] = {.text = text, .due = now - first >= *alarms_.store_away};
}

Async<void> AlarmWatch::LookAtRule(const Rule& rule, Sights& seen) {
  std::vector<std::string> places{""};
  for (const Target& target : rule.targets) places.push_back(target.name);
  for (const std::string& place : places) {
    if (!alarms_.parked) break;
    Result<std::vector<ParkedKey>> parked = co_await ScanParked(state_, rule.id, place, "", 1);
    if (!parked) co_return parked.error();
    if (parked->empty()) continue;
    seen["parked/" + rule.id] = {.text = "rule " + rule.id +
                                         " has parked objects: `longhaul rules parked` names them"};
  }
  Result<std::vector<RuleNow>> running = co_await ReadNow(state_, rule.id);
  if (!running) co_return running.error();
  std::optional<OldestKey> oldest;
  for (const RuleNow& process : *running) {
    oldest = Older(std::move(oldest), process.oldest);
    for (const auto& [part, reason] : process.troubles) {
      if (alarms_.store_away) {
        Away("away/" + rule.id + "/" + part, "rule " + rule.id + ": " + part + ": " + reason,
             std::nullopt, seen);
      }
    }
    for (const auto& [name, target] : process.targets) {
      oldest = Older(std::move(oldest), target.oldest);
      if (!alarms_.store_away || !target.open) continue;
      Away("away/" + rule.id + "/target " + name,
           "rule " + rule.id + ": target " + name + " is left alone: " + target.open->reason,
           target.open->since, seen);
    }
  }
  if (!alarms_.lag || !oldest) co_return Ok();
  const std::chrono::duration<double> age = runtime_.clock.Now() - oldest->heard;
  if (age < *alarms_.lag) co_return Ok();
  seen["lag/" + rule.id] = {.text = "rule " + rule.id + " is late: " +
                                    (oldest->key.empty() ? "a key" : Printable(oldest->key)) +
                                    " has waited for " + FormatSeconds(age.count())};
  co_return Ok();
}

Async<void> AlarmWatch::Look() {
  Sights seen;
  for (const Rule& rule : configuration_.rules) {
    if (!rule.enabled) continue;
    Result<void> looked = co_await LookAtRule(rule, seen);
    if (!looked) co_return looked.error();
  }
  if (alarms_.dead_letters) {
    Result<QueueDepth> depth = co_await queue_.Depth();
    if (!depth) co_return depth.error();
    if (depth->dead > 0) {
      seen["dead_letters"] = {
          .text =
              "messages were received too often, or nobody understands them: `longhaul rules "
              "dead-letters` shows them"};
    }
  }
  std::erase_if(first_seen_, [&](const auto& known) { return !seen.contains(known.first); });
  co_return co_await book_.Look(std::move(seen));
}

Async<void> AlarmWatch::Run(Event& stop) {
  Lease lease(state_, runtime_.clock, "alarms", owner_, kLease);
  while (!co_await stop.WaitFor(runtime_.clock, kInterval)) {
    Result<bool> ours = co_await lease.TryAcquire();
    Result<void> looked = ours ? Ok() : Result<void>(ours.error());
    if (ours && *ours) {
      looked = co_await Look();
      co_await lease.Release();
    }
    if (!looked) runtime_.log.Warning("alarms could not be looked at or told", {looked.error()});
  }
  co_return Ok();
}

}  // namespace longhaul
