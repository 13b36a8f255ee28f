// TransferReport: the files that a run over a tree writes about what it really did: --report in
// JSON lines, and rclone's lists of names (--combined with its signs, --differ, --match and so on).

#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cli/address.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "transfer/tree/filter.h"
#include "transfer/tree/sync_observer.h"

namespace longhaul {

// Paths; "-" is standard output. Empty: not wanted.
struct ReportFlags {
  std::string report;
  std::string combined;
  std::string differ;
  std::string missing_on_dst;
  std::string missing_on_src;
  std::string match;
  std::string error;

  void Declare(FlagSet& flags);
};

class TransferReport : public SyncObserver {
 public:
  // Borrows all of it. `dry_run`: what is told would be done.
  TransferReport(Output& output, Clock& clock, bool dry_run, const ObjectFilter* filter)
      : output_(output), clock_(clock), dry_run_(dry_run), filter_(filter) {}

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
  // The signs of rclone's --combined.
  enum class Sign : char {
    kMatch = '=',
    kDiffer = '*',
    kMissingOnDst = '+',
    kMissingOnSrc = '-',
    kError = '!'
  };
  struct File {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{nullptr, std::fclose};
    std::string path;
    bool to_output = false;
    bool failed = false;
    [[nodiscard]] bool wanted() const { return file != nullptr || to_output; }
  };

  Result<void> OpenOne(File& file, const std::string& path, std::string_view flag);
  void Write(File& file, std::string_view line);
  void Sort(Sign sign, std::string_view name);
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
  File report_;
  File combined_;
  std::vector<std::pair<Sign, File>> lists_;
  bool sorts_ = false;
};

}  // namespace longhaul
