// TelemetryReporter: the figures of this process as lines of CloudWatch's Embedded Metric Format,
// one for each rule and target and one for the process, once a minute and at the end.
//
// Counts are those of this process since the line before, so that CloudWatch may sum over
// processes. What waits is what this process holds or sees in staging: of several processes the
// largest counts for staging, the sum for what they hold.

#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/runtime.h"
#include "cli/output.h"
#include "queue/queue.h"
#include "replication/life/outcome.h"
#include "rules/rule.h"
#include "rules/telemetry.h"
#include "state/state.h"

namespace longhaul {

class TelemetryReporter : public Observer {
 public:
  // Hears all before `next`. Borrows everything. `regions`: of stores, by name.
  TelemetryReporter(const Runtime& runtime, const Configuration& configuration, Telemetry telemetry,
                    std::map<std::string, std::string> regions, Output& output, Observer& next);

  // Until `stop`, and then a last time. `owner`: this process, as ReadNow names it.
  Async<void> Run(Queue& queue, State& state, std::string owner, Event& stop);

  void OnOutcome(const Outcome& outcome) override;
  void OnArchiveStaged(const ArchiveBytes& bytes) override;
  void OnRetry(std::string_view rule, std::string_view key, const Error& error) override;
  void OnFound(uint64_t objects, uint64_t size_bytes) override {
    next_.OnFound(objects, size_bytes);
  }
  void OnReadiness(std::string_view part, const std::optional<Error>& error) override {
    next_.OnReadiness(part, error);
  }
  void OnThreshold(const ThresholdEvent& event) override { next_.OnThreshold(event); }
  void OnStagingFreed(const StagingFreed& freed) override { next_.OnStagingFreed(freed); }

 private:
  struct TargetCounts {
    uint64_t processed = 0;
    uint64_t processed_bytes = 0;
    uint64_t failed = 0;
    // Of the histogram of lags, as of the line before.
    double lag_seconds = 0;
    uint64_t lag_count = 0;
  };

  Async<void> Report(Queue& queue, State& state, const std::string& owner);
  // 0 processes where State does not tell.
  Async<int64_t> ReportRule(State& state, const Rule& rule, const std::string& owner);
  void ReportProcess(const QueueDepth& depth, int64_t sources);
  void Write(const std::string& line);

  const Runtime& runtime_;
  const Configuration& configuration_;
  Telemetry telemetry_;
  std::map<std::string, std::string> regions_;
  Output& output_;
  Observer& next_;
  std::map<std::pair<std::string, std::string>, TargetCounts> targets_;  // By rule and target.
  ArchiveBytes carried_{.archives = 0};  // Since the line before, as the next two.
  uint64_t tries_failed_ = 0;
  SteadyTime reported_;
};

}  // namespace longhaul
