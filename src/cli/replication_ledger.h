// ReplicationLedger: the ledger of a process that replicates: it counts what the stores send, what
// becomes of objects and how long archives lie in staging, and publishes it until it is stopped.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "cli/aws_request_hook.h"
#include "cost/ledger.h"
#include "cost/ledger_meter.h"
#include "replication/life/outcome.h"

namespace longhaul {

class ReplicationLedger : public Observer {
 public:
  // Hears all before `next`. Borrows everything. `sources`: whether this process has the source
  // role, and so runs where the sources are.
  ReplicationLedger(const Runtime& runtime, const Configuration& configuration,
                    StoreRegions regions, bool sources, Observer& next);

  // Of a store of the configuration.
  std::shared_ptr<RequestMeter> MeterOf(const std::string& store);
  AwsRequestHook aws_hook();

  // Until `stop`, and then a last time.
  Async<void> Run(State& state, Event& stop);

  void OnOutcome(const Outcome& outcome) override;
  void OnStagingFreed(const StagingFreed& freed) override;
  void OnFound(uint64_t objects, uint64_t size_bytes) override {
    next_.OnFound(objects, size_bytes);
  }
  void OnRetry(std::string_view rule, std::string_view key, const Error& error) override {
    next_.OnRetry(rule, key, error);
  }
  void OnReadiness(std::string_view part, const std::optional<Error>& error) override {
    next_.OnReadiness(part, error);
  }
  void OnArchiveStaged(const ArchiveBytes& bytes) override { next_.OnArchiveStaged(bytes); }
  void OnArchiveApplied(const ArchiveApplied& applied) override { next_.OnArchiveApplied(applied); }
  void OnThreshold(const ThresholdEvent& event) override { next_.OnThreshold(event); }

 private:
  Async<void> Publish(State& state);

  const Runtime& runtime_;
  const Configuration& configuration_;
  StoreRegions regions_;
  Observer& next_;
  std::shared_ptr<Ledger> ledger_;  // shared with meters, which streams may keep.
  std::map<std::pair<std::string, std::string>, int> targets_;   // By rule and target.
  std::map<std::pair<std::string, std::string>, int> stagings_;  // The same; "": the local one.
};

}  // namespace longhaul
