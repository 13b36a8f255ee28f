#include "replication/source/target_health.h"

#include <string>
#include <utility>

#include "replication/context/loops.h"
#include "replication/source/carry.h"
#include "replication/staging/local_staging.h"

namespace longhaul {

TargetHealth::TargetHealth(Runtime& runtime, Observer& observer, RuleContext& rule)
    : runtime_(runtime), observer_(observer), rule_(rule), troubles_(rule.targets.size()) {}

void TargetHealth::Start(Event& stop, TaskGroup& probes, std::function<void()> on_closed) {
  stop_ = &stop;
  probes_ = &probes;
  on_closed_ = std::move(on_closed);
}

namespace {

// As the observer knows it.
std::string PartOf(const Rule& rule, const Target& target) {
  return (CarriesDirectly(rule) ? "store of target " : "staging of target ") + target.name +
         " of rule " + rule.id;
}

}  // namespace

std::chrono::milliseconds TargetHealth::Failed(size_t index, Error error) {
  TargetContext& target = *rule_.targets[index];
  // What goes by a local staging is the store's to bring: no staging beyond it is left alone.
  const bool local = GoesByLocalStaging(rule_, rule_.targets.size());
  if (!local && target.breaker.Failed(error, runtime_.clock.Now())) TellOpen(index, true);
  Trouble& trouble = troubles_[index];
  const SteadyTime now = runtime_.clock.SteadyNow();
  if (trouble.failures == 0 || now - trouble.counted >= RetryDelay(trouble.failures - 1)) {
    ++trouble.failures;
    trouble.counted = now;
  }
  const std::string part = PartOf(*rule_.rule, *target.config);
  trouble.error = error.In(part);
  observer_.OnReadiness(part, trouble.error);
  return RetryDelay(trouble.failures - 1);
}

void TargetHealth::Succeeded(size_t index) {
  const bool closed = rule_.targets[index]->breaker.Succeeded();
  Clear(index);
  if (closed) TellOpen(index, false);
}

std::optional<Error> TargetHealth::error() const {
  for (const Trouble& trouble : troubles_) {
    if (trouble.error) return trouble.error;
  }
  return std::nullopt;
}

bool TargetHealth::sick() const {
  for (size_t i = 0; i < troubles_.size(); ++i) {
    if (troubles_[i].error && !rule_.targets[i]->breaker.open()) return true;
  }
  return false;
}

void TargetHealth::Clear(size_t index) {
  troubles_[index] = Trouble();
  observer_.OnReadiness(PartOf(*rule_.rule, *rule_.targets[index]->config), std::nullopt);
}

void TargetHealth::TellOpen(size_t index, bool open) {
  const std::string& rule = rule_.rule->id;
  const TargetContext& target = *rule_.targets[index];
  const std::string& name = target.config->name;
  runtime_.metrics
      .gauge("longhaul_target_open", "1: its store fails, and it is left alone but for probes",
             {{"rule", rule}, {"target", name}})
      .Set(open ? 1 : 0);
  if (!open) {
    runtime_.log.Info("a target is not left alone any more", {{"rule", rule}, {"target", name}});
    if (on_closed_) on_closed_();
    return;
  }
  runtime_.log.Warning("a target is left alone until a probe of its store succeeds",
                       {{"rule", rule}, {"target", name}, target.breaker.error()});
  if (probed_.insert(index).second) probes_->Spawn(ProbeLoop(index));
}

// Something is written to the staging, where that lies in the store that is asked after. A target
// bucket never sees a key that is not a replica, and is only looked at.
Async<void> TargetHealth::Probe(TargetContext& target) {
  const bool direct = CarriesDirectly(*rule_.rule);
  if (!direct || target.staging_store == target.store) {
    Result<void> written = co_await ProbeByWriting(*target.staging_store, target.staging_bucket,
                                                   ProbePrefix(*target.config) + "alive");
    if (!written || !direct) co_return written;
  }
  Result<void> there = co_await target.store->HeadBucket(target.config->to.bucket);
  if (!there) co_return there.error().In("probe");
  co_return Ok();
}

Async<void> TargetHealth::ProbeLoop(size_t index) {
  TargetContext& target = *rule_.targets[index];
  while (target.breaker.open()) {
    if (co_await stop_->WaitFor(runtime_.clock, target.breaker.ProbeDelay())) break;
    if (!target.breaker.open()) break;  // An archive that was under way has arrived.
    Result<void> probed = co_await Probe(target);
    if (!probed) {
      target.breaker.ProbeFailed(probed.error());
    } else if (target.breaker.open()) {
      target.breaker.ProbeSucceeded();
      Clear(index);
      TellOpen(index, false);
    }
  }
  probed_.erase(index);
  co_return Ok();
}

}  // namespace longhaul
