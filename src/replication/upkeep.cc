#include "replication/upkeep.h"

#include <algorithm>
#include <utility>

#include "replication/context/loops.h"
#include "replication/giants/apply_segment.h"
#include "replication/life/left_spool.h"
#include "replication/staging/left_staging.h"
#include "replication/staging/local_staging.h"
#include "replication/staging/staging.h"

namespace longhaul {

namespace {

constexpr std::chrono::minutes kGiantsInterval{1};
constexpr std::chrono::hours kStagingsInterval{1};

}  // namespace

Async<bool> NothingUnderWay(ReplicationContext& context, PausedTargets paused) {
  Result<QueueDepth> depth = co_await context.queue.Depth();
  if (!depth) co_return depth.error();
  if (depth->visible + depth->delayed + depth->in_flight > 0 || !depth->settled) co_return false;
  for (const auto& rule : context.rules) {
    Result<bool> empty = co_await LocalStagingIsEmpty(*rule);
    if (!empty) co_return empty.error();
    if (!*empty) co_return false;
    for (const auto& target : rule->targets) {
      const bool held = context.control->Holds(rule->rule->id, target->config->name);
      if (held && paused == PausedTargets::kLeftOut) continue;
      Result<std::vector<StagedArchive>> staged = co_await ListStaging(
          *target->staging_store, target->staging_bucket, target->staging_prefix);
      if (!staged) co_return staged.error();
      if (!staged->empty()) co_return false;
    }
  }
  co_return true;
}

asio::awaitable<void> Upkeep::Beat(Event& stop) {
  Clock& clock = context_.runtime.clock;
  const auto beat = context_.limits.process_lease / 3;
  // Beside the heartbeat: a sweep may wait for a store that is away, and whoever does not beat is
  // taken for dead.
  TaskGroup sweeping(context_.runtime.executor);
  bool swept_before = false;
  do {
    Result<void> beaten = co_await context_.uploads->Heartbeat();
    if (!beaten) context_.runtime.log.Warning("State cannot be written", {beaten.error()});
    context_.observer.OnReadiness("state",
                                  beaten ? std::nullopt : std::optional<Error>(beaten.error()));
    if (beaten && !std::exchange(swept_before, true)) {
      sweeping.Spawn(AsTask(Sweep(stop)));
      sweeping.Spawn(AsTask(LookAtStagings(stop)));
    }
  } while (!co_await stop.WaitFor(clock, beat));
  Result<void> joined = co_await sweeping.Join();
  static_cast<void>(joined);
}

Async<void> Upkeep::SweepGiants(std::chrono::nanoseconds idle) {
  for (const auto& rule : context_.rules) {
    for (const auto& target : rule->targets) {
      if (!target->giants) continue;
      auto uploads = co_await target->giants->All();
      if (!uploads) co_return uploads.error();
      Result<int> stray = co_await target->giants->ForgetStrayParts();
      if (!stray) co_return stray.error().In("rule " + rule->rule->id);
      if (uploads->empty()) continue;
      // In this order: no segment of what was there before can come any more. (Those of a target
      // that is paused come when it goes on.)
      std::chrono::nanoseconds idle_max = kArchiveAgeMax;
      if (packs_) {
        Result<bool> nothing = co_await NothingUnderWay(context_, PausedTargets::kCounted);
        if (!nothing) co_return nothing.error();
        if (*nothing) idle_max = idle;
      }
      Result<int> swept = co_await SweepGiantUploads(context_.runtime.clock, *target,
                                                     std::move(*uploads), idle_max);
      if (!swept) co_return swept.error().In("rule " + rule->rule->id);
    }
  }
  co_return Ok();
}

asio::awaitable<void> Upkeep::LookAtStagings(Event& stop) {
  std::vector<const Rule*> rules;
  for (const auto& rule : context_.rules) rules.push_back(rule->rule);
  for (bool first = true; first || !stop.is_set(); first = false) {
    Result<void> noted = co_await NoteStagings(context_.state, rules);
    if (!noted) {
      context_.runtime.log.Warning("it is not noted where archives may lie", {noted.error()});
    }
    if (packs_) {
      std::vector<std::string> ids;
      for (const Rule* rule : rules) ids.push_back(rule->id);
      noted = co_await NoteSpools(context_.state, std::move(ids));
      if (!noted) {
        context_.runtime.log.Warning("it is not noted of which rules hints may be kept",
                                     {noted.error()});
      }
      if (first) co_await TellOfLeftSpools(rules);
    }
    if (packs_ && !applies_ && first) co_await TellOfNewTargets();
    if (applies_ && first) {
      Result<std::vector<LeftStaging>> left =
          co_await FindLeftStagings(context_.state, rules, context_.stores, true);
      if (!left) {
        context_.runtime.log.Warning("archives of former rules are not looked for", {left.error()});
      }
      for (size_t i = 0; left && i < left->size(); ++i) {
        context_.runtime.log.Warning("archives wait that nobody carries",
                                     {{"what", Describe((*left)[i])}});
      }
    }
    // Again: somebody whose configuration lacks a rule may have forgotten its places.
    co_await stop.WaitFor(context_.runtime.clock, kStagingsInterval);
  }
}

asio::awaitable<void> Upkeep::TellOfLeftSpools(std::vector<const Rule*> rules) {
  Result<std::vector<LeftSpool>> left = co_await FindLeftSpools(context_.state, rules);
  if (!left) {
    context_.runtime.log.Warning("hints of former rules are not looked for", {left.error()});
    co_return;
  }
  for (const LeftSpool& one : *left) {
    context_.runtime.log.Warning("hints are kept that nobody sends", {{"what", Describe(one)}});
  }
}

// An archive goes when all targets have applied it that the process there knows. Where that one has
// a configuration of its own, it does not keep archives for a target of which only the source
// knows.
asio::awaitable<void> Upkeep::TellOfNewTargets() {
  for (const auto& rule : context_.rules) {
    Result<RuleTotals> totals = co_await ReadTotals(context_.state, rule->rule->id);
    if (!totals) continue;  // Nobody is kept from his work by that.
    const auto answers = [&](const auto& target) {
      return totals->targets[target->config->name].HasAnswered();
    };
    for (const auto& target : rule->targets) {
      if (target->staging_store == nullptr || answers(target)) continue;
      const bool joins = std::ranges::any_of(rule->targets, [&](const auto& other) {
        return other->staging_store == target->staging_store &&
               other->staging_bucket == target->staging_bucket &&
               other->staging_prefix == target->staging_prefix && answers(other);
      });
      if (!joins) continue;
      context_.runtime.log.Warning(
          "a new target shares a staging, and has not answered yet",
          {{"rule", rule->rule->id},
           {"target", target->config->name},
           {"remedy",
            "its side must have known it before the source did, else it gets nothing of what was "
            "sent meanwhile: then run `longhaul rules backfill`"}});
    }
  }
}

asio::awaitable<void> Upkeep::Sweep(Event& stop) {
  do {
    Result<int> swept = co_await context_.uploads->Sweep();
    if (!swept) context_.runtime.log.Warning("uploads not swept", {swept.error()});
    const SteadyTime now = context_.runtime.clock.SteadyNow();
    if (!applies_ || now < giants_swept_ + kGiantsInterval) continue;
    giants_swept_ = now;
    Result<void> giants_swept = co_await SweepGiants(kGiantsInterval);
    if (!giants_swept) {
      context_.runtime.log.Warning("uploads of giants not swept", {giants_swept.error()});
    }
  } while (!co_await stop.WaitFor(context_.runtime.clock, context_.limits.janitor_interval));
}

asio::awaitable<void> Upkeep::Publish(Event& stop) {
  bool failing = false;
  bool last = false;
  // At once, so that whoever looks sees that somebody runs the rules.
  for (std::chrono::seconds pause{0}; !last; pause = kStatusInterval) {
    last = co_await stop.WaitFor(context_.runtime.clock, pause);
    Result<void> published = co_await context_.meter->Publish(last);
    if (!published && !failing) {
      context_.runtime.log.Warning("status not published", {published.error()});
    }
    failing = !published;
  }
}

}  // namespace longhaul
