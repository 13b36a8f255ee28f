// TransferReport: the files that a run over a tree writes about what it really did: --report in
// JSON lines, and rclone's lists of names (--combined with its signs, --differ, --match and so on).

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "cli/address.h"
#include "cli/flags.h"
#include "cli/name_lists.h"
#include "cli/output.h"
#include "transfer/tree/filter.h"
#include "transfer/tree/sync_observer.h"

namespace longhaul {

// Paths; "-" is standard output. Empty: not wanted.
struct ReportFlags {
  std::string report;
  NameListFlags lists;

  // `compares`: as of NameListFlags.
  void Declare(FlagSet& flags, bool compares = true);
};

class TransferReport : public SyncObserver {
 public:
  // Borrows all of it. `dry_run`: what is told would be done.
  TransferReport(Output& output, Clock& clock, bool dry_run, const ObjectFilter* filter)
      : output_(output), clock_(clock), dry_run_(dry_run), filter_(filter), lists_(output) {}

  // As of TransferObserver. `target_key`: of one object, which may have another name there.
  void SetEnds(CommandAddress source, CommandAddress target,
               std::optional<std::string> target_key = {}) {
    source_ = std::move(source);
    target_ = std::move(target);
    target_key_ = std::move(target_key);
  }

  // kInvalidInput: one of the files cannot be written.
  Result<void> Open(const ReportFlags& flags);

  void OnExcluded(const SyncStep& step) override;
  void OnSkipped(const SyncStep& step) override;
  void OnExtra(const SyncStep& step) override;
  void OnChosen(const SyncStep& step) override;
  void OnCopied(const SyncStep& step, const CopyOutcome& outcome) override;
  void OnRemoved(const SyncStep& step) override;
  void OnFailed(const SyncStep& step, const Error& error) override;

  // The last line of the report. kRetryable: not all could be written.
  Result<void> Close(const SyncTotals& totals, double seconds);

 private:
  void SortByDecision(const SyncStep& step);
  void Tell(std::string_view op, std::string_view state, const SyncStep& step,
            const CopyOutcome* outcome, const Error* error);

  Output& output_;
  Clock& clock_;
  CommandAddress source_;
  CommandAddress target_;
  std::optional<std::string> target_key_;
  bool dry_run_;
  const ObjectFilter* filter_;
  LinesFile report_;
  NameLists lists_;
};

}  // namespace longhaul
