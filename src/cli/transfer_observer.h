// TransferObserver: tells a person or a program what a tree's transfer does: progress, the objects
// by name with -v, the reasons with -vv, failures, and the summary.
//
// On a terminal the first failures of each cause are shown and the others counted; elsewhere, and
// with --json, each is named.

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/address.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "transfer/tree/filter.h"
#include "transfer/tree/sync_observer.h"

namespace longhaul {

// Failures by cause: what a terminal shows of many.
class FailureTally {
 public:
  explicit FailureTally(Output& output) : output_(output) {}
  // `what`: the object's address. `quiet`: told elsewhere; a program still hears of it.
  void Add(std::string_view what, const Error& error, bool quiet = false);
  // What was counted and not shown.
  void Finish();

 private:
  static constexpr uint64_t kShown = 5;
  Output& output_;
  struct Cause {
    uint64_t count = 0;
    std::string example;
  };
  std::map<std::string, Cause> causes_;
};

class TransferObserver : public SyncObserver {
 public:
  struct Options {
    std::string verb = "copied";  // What the progress line counts.
    int verbose = 0;
    bool dry_run = false;
    bool move = false;
    const ObjectFilter* filter = nullptr;  // For -vv: which rule left a name out.
  };
  TransferObserver(Output& output, Progress& progress, Options options);

  // Where what comes next is from and goes to: addresses with their prefixes as `key`.
  void SetEnds(CommandAddress source, CommandAddress target);

  void OnExcluded(const SyncStep& step) override;
  void OnSkipped(const SyncStep& step) override;
  void OnExtra(const SyncStep& step) override;
  void OnChosen(const SyncStep& step) override;
  void OnListedAll() override;
  void OnCopied(const SyncStep& step, const CopyOutcome& outcome) override;
  void OnRemoved(const SyncStep& step) override;
  void OnFailed(const SyncStep& step, const Error& error) override;

  // After the run.
  void Finish() { failures_.Finish(); }

 private:
  [[nodiscard]] std::string SourceOf(std::string_view name) const;
  [[nodiscard]] std::string TargetOf(std::string_view name) const;
  void TellSkipped(const SyncStep& step, std::string_view rule);

  Output& output_;
  Progress& progress_;
  CommandAddress source_;
  CommandAddress target_;
  Options options_;
  FailureTally failures_;
};

// "checksum", "etag", "store", "not".
std::string_view VerifiedBy(Verified verified);

// The error of a whole run, with what to do about it.
Error WithRemedy(const Error& error);

// The end of a run that SyncTrees has made: tells why it ended early, sums up, and says with what
// code to end. An error: it ended before there was anything to sum up.
enum class SummaryText { kNone, kTransfer, kRemoval };  // What a person gets.
Result<ExitCode> ConcludeTransfer(Output& output, const SyncTotals& totals,
                                  const Result<void>& done, double seconds, SummaryText text);

}  // namespace longhaul
