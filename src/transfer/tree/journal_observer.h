// JournalObserver: writes what SyncTrees does into the journal of its run.
//
// A name is done in the journal when its copy has been answered by the target, and not before:
// whoever takes the run over does not look at it again.

#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "transfer/runs/run_journal.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {

class JournalObserver : public SyncObserver {
 public:
  // `journal` is borrowed. `histories`: names stand for all their versions, which are told one by
  // one; one that is there tells nothing of those behind it.
  explicit JournalObserver(RunJournal& journal, bool histories = false)
      : journal_(journal), histories_(histories) {}

  // For names that are done again: called with each that anything is told of, also that it has been
  // begun. The end of their listing is not that of the run.
  void set_on_told(std::function<void(std::string_view)> on_told) { on_told_ = std::move(on_told); }

  void OnExcluded(const SyncStep& step) override;
  void OnSkipped(const SyncStep& step) override;
  void OnLooking(const SyncStep& step) override;
  void OnChosen(const SyncStep& step) override;
  void OnListedAll() override;
  void OnCopied(const SyncStep& step, const CopyOutcome& outcome) override;
  void OnRemoved(const SyncStep& step) override;
  void OnEnded(const SyncStep& step) override;
  void OnFailed(const SyncStep& step, const Error& error) override;
  // What a list names, and the source does not show.
  void OnNotThere(std::string_view name, const Error& error);

 private:
  void Started(const SyncStep& step);
  void Told(std::string_view name) {
    if (on_told_) on_told_(name);
  }

  RunJournal& journal_;
  bool histories_;
  std::function<void(std::string_view)> on_told_;
};

}  // namespace longhaul
