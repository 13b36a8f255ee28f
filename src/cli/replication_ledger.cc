#include "cli/replication_ledger.h"

#include "cli/replication_observer.h"
#include "cost/ledger_aws.h"

namespace longhaul {

namespace {

// What cannot be written at the end is lost; a State that is away must not hold the end up for
// long.
constexpr int kLastTries = 3;
constexpr std::chrono::seconds kLastPause{1};

}  // namespace

ReplicationLedger::ReplicationLedger(const Runtime& runtime, const Configuration& configuration,
                                     StoreRegions regions, bool sources, Observer& next)
    : runtime_(runtime),
      configuration_(configuration),
      regions_(std::move(regions)),
      next_(next),
      ledger_(std::make_shared<Ledger>(runtime.clock, runtime.random)) {
  std::vector<std::pair<std::string, std::string>> runs_in;
  for (const Rule& rule : configuration.rules) {
    if (rule.local_staging) {
      stagings_[{rule.id, ""}] = ledger_->PlaceOf(PlaceOfLocalStaging(rule, regions_));
    }
    for (const Target& target : rule.targets) {
      targets_[{rule.id, target.name}] = ledger_->PlaceOf(PlaceOfTarget(rule, target, regions_));
      stagings_[{rule.id, target.name}] = ledger_->PlaceOf(PlaceOfStaging(rule, target, regions_));
    }
    const LedgerPlace place = sources || rule.targets.empty()
                                  ? PlaceOfSource(rule, regions_)
                                  : PlaceOfTarget(rule, rule.targets.front(), regions_);
    runs_in.emplace_back(rule.id, place.region);
  }
  ledger_->RunsIn(std::move(runs_in));
}

std::shared_ptr<RequestMeter> ReplicationLedger::MeterOf(const std::string& store) {
  return std::make_shared<LedgerMeter>(ledger_, configuration_, store, regions_);
}

AwsRequestHook ReplicationLedger::aws_hook() {
  return AwsRequestHook([ledger = ledger_](std::string_view service, const std::string& region,
                                           std::string_view operation, std::string_view body,
                                           std::string_view answer, int times) {
    CountAwsRequest(*ledger, service, region, operation, body, answer, times);
  });
}

Async<void> ReplicationLedger::Publish(State& state) {
  ledger_->AddCpu(ProcessCpuSeconds());
  co_return co_await ledger_->Publish(state);
}

Async<void> ReplicationLedger::Run(State& state, Event& stop) {
  bool failing = false;
  while (!co_await stop.WaitFor(runtime_.clock, kLedgerInterval)) {
    Result<void> published = co_await Publish(state);
    if (!published && !failing) {
      runtime_.log.Failure("the ledger cannot be written; what is counted is kept in memory",
                           {published.error()});
    }
    failing = !published.has_value();
  }
  for (int tries = 0; tries < kLastTries; ++tries) {
    if (tries > 0) co_await runtime_.clock.Sleep(kLastPause);
    Result<void> published = co_await Publish(state);
    if (published) co_return Ok();
    if (tries + 1 == kLastTries) {
      runtime_.log.Failure("the ledger lacks the last minute", {published.error()});
    }
  }
  co_return Ok();
}

void ReplicationLedger::OnOutcome(const Outcome& outcome) {
  const auto target = targets_.find({outcome.rule, outcome.target});
  if (target != targets_.end() && outcome.state == OutcomeState::kApplied &&
      outcome.op != "delete") {
    const std::string route = outcome.route.empty() ? "archive" : outcome.route;
    ledger_->Add(target->second, route + "/objects", 1);
    if (outcome.op == "put") ledger_->Add(target->second, route + "/bytes", outcome.size_bytes);
  }
  next_.OnOutcome(outcome);
}

void ReplicationLedger::OnStagingFreed(const StagingFreed& freed) {
  if (const auto place = stagings_.find({freed.rule, freed.target}); place != stagings_.end()) {
    const auto kib = (freed.bytes + 1023) / 1024;
    const auto seconds = static_cast<uint64_t>((freed.kept.count() + 999) / 1000);
    ledger_->Add(place->second, "kib_seconds", kib * seconds);
  }
  next_.OnStagingFreed(freed);
}

}  // namespace longhaul
