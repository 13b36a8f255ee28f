// TransferRun: what sync, cp, mv and apply do around the transfer of a tree: progress, messages,
// report files, limits, and the end with its summary and exit code.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/listing_flags.h"
#include "cli/progress.h"
#include "cli/run_context.h"
#include "cli/run_session.h"
#include "cli/stores.h"
#include "cli/transfer_flags.h"
#include "cli/transfer_observer.h"
#include "cli/transfer_report.h"
#include "transfer/listing/listing.h"
#include "transfer/listing/passed_over.h"
#include "transfer/tree/journal_observer.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {

// Tells several observers.
class SyncObservers : public SyncObserver {
 public:
  void Add(SyncObserver& observer) { observers_.push_back(&observer); }
  void OnExcluded(const SyncStep& step) override { Each(&SyncObserver::OnExcluded, step); }
  void OnSkipped(const SyncStep& step) override { Each(&SyncObserver::OnSkipped, step); }
  void OnExtra(const SyncStep& step) override { Each(&SyncObserver::OnExtra, step); }
  void OnLooking(const SyncStep& step) override { Each(&SyncObserver::OnLooking, step); }
  void OnChosen(const SyncStep& step) override { Each(&SyncObserver::OnChosen, step); }
  void OnListedAll() override { Each(&SyncObserver::OnListedAll); }
  void OnCopied(const SyncStep& step, const CopyOutcome& outcome) override {
    Each(&SyncObserver::OnCopied, step, outcome);
  }
  void OnRemoved(const SyncStep& step) override { Each(&SyncObserver::OnRemoved, step); }
  void OnEnded(const SyncStep& step) override { Each(&SyncObserver::OnEnded, step); }
  void OnFailed(const SyncStep& step, const Error& error) override {
    Each(&SyncObserver::OnFailed, step, error);
  }

 private:
  template <class... Arguments>
  void Each(void (SyncObserver::*what)(Arguments...), const auto&... with) {
    for (SyncObserver* observer : observers_) (observer->*what)(with...);
  }
  std::vector<SyncObserver*> observers_;
};

// What a TransferRun::OpenSource gives where nothing has to be waited for.
Async<std::unique_ptr<Listing>> OpenedListing(std::unique_ptr<Listing> listing);

// RunRecord::listing of --versions.
inline constexpr const char* kHistories = "all versions";

class TransferRun {
 public:
  // `filter` is borrowed. Ask Open and Begin before anything else.
  TransferRun(RunContext& context, TransferObserver::Options options);

  // kInvalidInput: a report cannot be written.
  Result<void> Open(const ReportFlags& flags) { return report_.Open(flags); }
  void Begin();
  void Add(SyncObserver& observer) { observers.Add(observer); }
  void SetEnds(const OpenedAddress& source, const OpenedAddress& target);
  void HoldUntilDurable(const OpenedAddress& target);
  // Of cp and mv of single objects, which say themselves what they have done: one that is copied to
  // `target_key`, named as at the source, to be told to `report` alone. Its views are of `source`.
  SyncStep StepOfOne(const CommandAddress& source, const CommandAddress& target,
                     const std::string& target_key);
  SyncObserver& report() { return report_; }
  // What a list of names failed at: it is counted, told, in the reports, and in the journal as what
  // is to be done again. `key`: empty where it is no name.
  void TellNotListed(const OpenedAddress& source, const std::string& key, const Error& error);

  // Keeps a journal and remembers uploads; without it nothing can be gone on with. Before Begin.
  // Errors as RunSession::Open.
  Async<void> Remember(const RunFlags& flags, RunSession::What what);
  // Null: nothing is remembered.
  [[nodiscard]] UploadRecords* uploads() { return session_ ? session_->uploads() : nullptr; }

  // When the run began, also one that goes on: what ages of filters count from, or what was in the
  // run would be out of it. `now`: of one that nobody can go on with.
  [[nodiscard]] SystemTime Began(SystemTime now) const;

  // The time of --at of the run that goes on; else `now`, counted from now.
  [[nodiscard]] SystemTime At(SystemTime now) const;

  // What is to be listed of the source.
  struct Wanted {
    ListingOptions options{};
    PassedOver passed_over{};  // Need not be asked for; empty: none. Transfer leaves them out.
    bool lines = true;         // Whether what makes no sense in a list is to be told.
  };
  // Opens a listing of the source. Of a run that goes on it is called twice.
  using OpenSource = std::function<Async<std::unique_ptr<Listing>>(Wanted)>;
  // One tree; with `compare` the listing of the target is read beside that of the source. Of a run
  // that goes on, first what was in flight or failed, then what is behind the last name done.
  // `target_listing`: in place of asking the target; only where nothing is remembered.
  Async<void> Transfer(OpenedAddress source, OpenedAddress target, OpenSource open, bool compare,
                       SyncOptions options, std::unique_ptr<Listing> target_listing = nullptr);

  // The same of whole histories (transfer/tree/mirror_versions.h), whose run is begun with
  // kHistories.
  Async<void> TransferVersions(OpenedAddress source, OpenedAddress target, ListingOptions listed,
                               SyncOptions options);

  // Says that the source has nothing, which a mistyped prefix looks like: what is done then is
  // nothing, and in a line that counts 0 objects nobody sees why. No failure: an empty bucket that
  // is mirrored every night is fine. `source`: as it was typed.
  void TellNothingFound(const CommandAddress& source);

  // The end, after which nothing may be asked of it. `done`: how it went. kPrecondition: another
  // process has taken the run over.
  Async<ExitCode> Conclude(Result<void> done, SummaryText text = SummaryText::kTransfer);

  Progress progress;
  SyncObservers observers;
  SyncTotals totals;
  int listers_max = ListingOptions().listers_max;  // Of each listing that Transfer opens.

 private:
  // Does again what was in flight or failed. `rest`: what is behind the last name done comes next.
  // `empty`: also where there is no such name.
  using CarryNames = std::function<Async<void>(const std::vector<std::string>& names)>;
  Async<void> Redo(CarryNames carry, bool rest, bool empty);
  Async<void> RedoVersions(OpenedAddress source, OpenedAddress target, ListingOptions listed,
                           SyncOptions options, const std::vector<std::string>& names);
  Async<void> CarryVersions(OpenedAddress source, OpenedAddress target, ListingOptions at_source,
                            ListingOptions at_target, PassedOver not_of_source,
                            PassedOver not_of_target, SyncOptions options);
  Async<void> RedoNames(OpenedAddress source, OpenedAddress target, const OpenSource& open,
                        SyncOptions options, std::vector<std::string> names, bool lines);
  static Async<std::unique_ptr<Listing>> OpenPart(const OpenSource& open, Wanted wanted);
  Async<void> Carry(OpenedAddress source, OpenedAddress target, Listing& listing, Listing* there,
                    SyncOptions options);

  RunContext& context_;
  std::unique_ptr<RunSession> session_;
  std::optional<JournalObserver> journal_;
  TransferObserver observer_;
  TransferReport report_;
  Event over_;
  TaskGroup watch_;
};

// How many names a source has shown, whatever was done with them. Names that filters leave out
// count, also those that are only at the target.
uint64_t FoundAtSource(const SyncTotals& totals);

// Of sync and cp of one tree: whether a journal is kept, of which list of names (RunSession::What),
// or why not. kNotFound and others: the listing in a file cannot be read.
Async<void> KnowSource(RunContext& context, StoreOpener& opener, OpenedAddress source,
                       ListingFlags& listings, AtFlag at, RunSession::What& what);

// What does not go with --versions: listings in files, a filter that would leave out some
// versions of a key. kInvalidInput.
Result<void> CheckWholeHistories(const ListingFlags& listings, const ObjectFilter& filter);

}  // namespace longhaul
