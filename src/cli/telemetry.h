// TelemetryReporter: the figures of this process as lines of CloudWatch's Embedded Metric Format,
// once a minute and at the end: of each rule and target, by S3's own names and dimensions; of each
// source, target bucket and function, by those of the cross-region compressor of AWS Samples, so
// that its dashboard and alarms find them; of the process.
//
// A figure that is not measured is not there.
//
// Counts are those of this process since the line before, so that CloudWatch may sum over
// processes. What waits is what this process holds or sees in staging: of several processes the
// largest counts for staging, the sum for what they hold.

#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "base/runtime.h"
#include "cli/output.h"
#include "cost/ledger_meter.h"
#include "cost/prices.h"
#include "queue/queue.h"
#include "replication/life/outcome.h"
#include "rules/rule.h"
#include "rules/telemetry.h"
#include "state/state.h"

namespace longhaul {

class TelemetryReporter : public Observer {
 public:
  struct Parts {
    const Runtime& runtime;
    const Configuration& configuration;
    Telemetry telemetry;
    StoreRegions regions;
    const Prices& prices;
    bool source = false;                  // Whether this process has the source role.
    std::function<double()> cpu_seconds;  // Of this process so far, as the ledger counts it.
    Output& output;
  };
  // Hears all before `next`. Borrows what is not copied.
  TelemetryReporter(Parts parts, Observer& next);

  // Until `stop`, and then a last time. `owner`: this process, as ReadNow names it.
  Async<void> Run(Queue& queue, State& state, std::string owner, Event& stop);

  void OnOutcome(const Outcome& outcome) override;
  void OnArchiveStaged(const ArchiveBytes& bytes) override;
  void OnArchiveApplied(const ArchiveApplied& applied) override;
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
    uint64_t puts = 0;  // Of those processed.
    uint64_t put_bytes = 0;
    uint64_t failed = 0;
    // Of the histogram of lags, as of the line before.
    double lag_seconds = 0;
    uint64_t lag_count = 0;
  };

  // Of a rule, or of all of them.
  struct Packed {
    uint64_t objects = 0;  // Bytes, as in ArchiveBytes.
    uint64_t plain = 0;
    uint64_t sent = 0;
    uint64_t archives = 0;
    uint64_t downloads_failed = 0;
    double uploads_failed = 0;
    void Add(const Packed& other);
  };
  struct Unpacked {  // At a target bucket.
    uint64_t archives = 0;
    uint64_t archive_bytes = 0;
    uint64_t object_bytes = 0;
    uint64_t archives_refused = 0;
    uint64_t objects_refused = 0;
  };
  struct Took {
    std::chrono::duration<double> time{0};
    uint64_t count = 0;
  };
  // What a source is known by: bucket, prefix, the region of all of the targets or nothing.
  using SourceKey = std::tuple<std::string, std::string, std::string>;

  Async<void> Report(Queue& queue, State& state, const std::string& owner);
  // 0 processes where State does not tell.
  Async<int64_t> ReportRule(State& state, const Rule& rule, const std::string& owner);
  void ReportProcess(const QueueDepth& depth, int64_t sources,
                     std::chrono::duration<double> passed);
  void ReportSources(std::chrono::duration<double> passed);
  void ReportTargets();
  void ReportTimes();
  // The price of a GiB from the rule's source to its targets, if these are in one region.
  [[nodiscard]] std::optional<double> TransferGibOf(const Rule& rule) const;
  // What was saved on transfer since the line before; nullopt: somewhere no price is known.
  [[nodiscard]] std::optional<double> SavedDollars() const;
  [[nodiscard]] std::optional<double> CpuSecondDollars() const;
  [[nodiscard]] std::string RegionOf(const std::string& store) const;
  [[nodiscard]] std::string TargetRegionOf(const Rule& rule) const;
  [[nodiscard]] const Rule* FindRule(const std::string& id) const;
  [[nodiscard]] std::string BucketOf(const std::string& rule, const std::string& target) const;
  void Write(const std::string& line);

  const Runtime& runtime_;
  const Configuration& configuration_;
  Telemetry telemetry_;
  StoreRegions regions_;
  const Prices& prices_;
  bool source_;
  std::function<double()> cpu_seconds_of_;
  Output& output_;
  Observer& next_;
  std::map<std::pair<std::string, std::string>, TargetCounts> targets_;  // By rule and target.
  // Since the line before, as all that follows.
  std::map<std::string, Packed> packed_;          // By rule.
  std::map<std::string, double> uploads_failed_;  // By rule: the counter, as of the line before.
  std::map<std::string, Unpacked> unpacked_;      // By bucket.
  Took packing_;
  Took applying_;
  uint64_t tries_failed_ = 0;
  double cpu_seconds_ = 0;  // As of the line before.
  SteadyTime reported_;
};

}  // namespace longhaul
