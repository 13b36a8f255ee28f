#include "replication/follow_rules.h"

#include <algorithm>
#include <utility>

#include "replica/lease.h"
#include "replication/life/spool.h"
#include "replication/source/carry.h"

namespace longhaul {

namespace {

// A process that died after a pause had ended may have left hints that nobody else looks for.
constexpr std::chrono::minutes kSpoolInterval{1};

}  // namespace

std::vector<std::string> RuleFollower::WhatIsPaused() const {
  std::vector<std::string> paused;
  auto add = [&](std::string what, const std::optional<Pause>& pause) {
    if (pause && pause->until) what += " until " + FormatRfc3339(*pause->until);
    if (pause) paused.push_back(std::move(what));
  };
  for (const auto& rule : context_.rules) {
    const std::optional<Pause> whole = context_.control->PauseOf(rule->rule->id);
    add("rule " + rule->rule->id, whole);
    for (const auto& target : rule->targets) {
      if (whole) continue;
      add("target " + target->config->name + " of rule " + rule->rule->id,
          context_.control->PauseOf(rule->rule->id, target->config->name));
    }
  }
  return paused;
}

void RuleFollower::TellChanges() {
  std::vector<std::string> paused = WhatIsPaused();
  for (const std::string& what : paused) {
    if (std::ranges::find(paused_, what) == paused_.end()) {
      context_.runtime.log.Info("paused", {{"what", what}});
    }
  }
  for (const std::string& what : paused_) {
    if (std::ranges::find(paused, what) == paused.end()) {
      context_.runtime.log.Info("not paused any more", {{"what", what}});
    }
  }
  paused_ = std::move(paused);
  look_at_spools_.Set();
  on_change_();
}

asio::awaitable<void> RuleFollower::Follow(Event& stop) {
  bool failing = false;
  do {
    Result<bool> changed = co_await context_.control->Refresh();
    if (changed && *changed) TellChanges();
    if (!changed && !failing) {
      context_.runtime.log.Warning("nobody knows which rules are paused", {changed.error()});
    }
    failing = !changed;
  } while (!co_await stop.WaitFor(context_.runtime.clock, RuleControl::kInterval));
}

asio::awaitable<void> RuleFollower::EmptySpools() {
  Clock& clock = context_.runtime.clock;
  for (const auto& rule : context_.rules) {
    const std::string& id = rule->rule->id;
    if (context_.control->Holds(id)) continue;
    Result<bool> empty = co_await SpoolIsEmpty(context_.state, *rule->rule);
    if (empty && *empty) continue;
    Lease lease(context_.state, clock, "unspool/" + id, context_.owner,
                context_.limits.archive_lease);
    Result<bool> acquired = co_await lease.TryAcquire();
    if (!acquired || !*acquired) continue;
    // Without archives a paused target has its hints kept, not its staging.
    auto held = [this, &rule = *rule](const std::string& name) {
      for (const auto& target : rule.targets) {
        if (target->config->name == name && target->breaker.open()) return true;
      }
      return MayCarryDirectly(*rule.rule) && !name.empty() &&
             context_.control->Holds(rule.rule->id, name);
    };
    Result<Unspooled> taken_up =
        co_await Unspool(context_.state, context_.queue, *rule->rule, std::move(held));
    co_await lease.Release();
    if (!taken_up) {
      context_.runtime.log.Warning("hints that were kept wait on",
                                   {{"rule", id}, taken_up.error()});
      continue;
    }
    if (taken_up->sent > 0) {
      context_.runtime.log.Info("hints that were kept are taken up",
                                {{"rule", id}, {"keys", taken_up->sent}});
    }
    if (taken_up->forgotten > 0) {
      context_.runtime.log.Warning(
          "hints of another source are forgotten: the rule reads this one now",
          {{"rule", id}, {"keys", taken_up->forgotten}, {"source", rule->rule->source.ToString()}});
    }
  }
}

asio::awaitable<void> RuleFollower::KeepSpoolsEmpty(Event& stop) {
  while (!stop.is_set()) {
    look_at_spools_.Reset();
    co_await EmptySpools();
    if (stop.is_set()) co_return;
    co_await look_at_spools_.WaitFor(context_.runtime.clock, kSpoolInterval);
  }
}

}  // namespace longhaul
