// What `replicate` tells of what it does: the report file, the progress line, metrics, readiness,
// and the counts from which summary and exit code are made.

#pragma once

#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/metrics.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/savings.h"
#include "replication/life/outcome.h"
#include "rules/rule.h"
#include "server/failure_ring.h"
#include "server/notification_webhook.h"
#include "server/readiness.h"

namespace longhaul {

class ReplicationObserver : public Observer {
 public:
  struct Counts {
    uint64_t applied = 0;
    uint64_t equal = 0;
    uint64_t superseded = 0;
    uint64_t reread = 0;
    uint64_t parked = 0;
    uint64_t conflicts = 0;
    uint64_t applied_bytes = 0;
    ArchiveBytes carried;

    [[nodiscard]] Savings savings(double price_per_gib) const {
      return {
          .plain_bytes = carried.plain, .sent_bytes = carried.sent, .price_per_gib = price_per_gib};
    }
  };

  // Borrows everything. `name_each`: tells every key, not only the failed ones.
  // Of objects that are tried again, the first ten are named once each.
  ReplicationObserver(Clock& clock, Metrics& metrics, Output& output, Readiness& readiness,
                      bool name_each);
  ~ReplicationObserver() override;

  // Of what alerts ask for, begins each series at 0: Prometheus sees no increase where one begins
  // at
  // 1. By rules that are enabled.
  void Expect(const std::vector<Rule>& rules);

  // Writes `path` anew, a line for each outcome. kInvalidInput: it cannot be opened.
  Result<void> OpenReport(const std::string& path);
  // The last line of the report. kRetryable: the report could not be written in full.
  Result<void> CloseReport(double seconds, double price_per_gib);

  // For a run that ends: a key that fails in the same way once more, because the run compared
  // again, is neither told nor counted again. (The report has a line for each time.)
  void TellEachFailureOnce() { each_once_ = true; }
  // Hears of late objects, too.
  void set_webhook(NotificationWebhook* webhook) { webhook_ = webhook; }
  void set_progress(Progress* progress) { progress_ = progress; }
  [[nodiscard]] const Counts& counts() const { return counts_; }
  // The last of what failed.
  [[nodiscard]] const FailureRing& failures() const { return failures_; }

  void OnOutcome(const Outcome& outcome) override;
  void OnFound(uint64_t objects, uint64_t size_bytes) override;
  void OnArchiveStaged(const ArchiveBytes& bytes) override;
  void OnThreshold(const ThresholdEvent& event) override;
  void OnRetry(std::string_view rule, std::string_view key, const Error& error) override;
  void OnReadiness(std::string_view part, const std::optional<Error>& error) override;

 private:
  // Whether this run has failed at the key in this way before.
  bool FailedBefore(const Outcome& outcome);
  void WriteReport(const std::string& line);
  Counter& CounterOf(const std::string& rule, const std::string& target, OutcomeState state);

  Clock& clock_;
  Metrics& metrics_;
  Output& output_;
  Readiness& readiness_;
  bool name_each_;
  Progress* progress_ = nullptr;
  NotificationWebhook* webhook_ = nullptr;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> report_{nullptr, std::fclose};
  bool report_failed_ = false;
  std::set<std::string> retries_told_;  // Rule and key.
  bool each_once_ = false;
  std::unordered_set<size_t> failures_told_;  // Hashes of what failed, where and how.
  Counts counts_;
  FailureRing failures_;
};

// User and system time of this process so far.
double ProcessCpuSeconds();

}  // namespace longhaul
