#include "transfer/tree/journal_observer.h"

namespace longhaul {

void JournalObserver::OnExcluded(const SyncStep& step) {
  journal_.Skipped(step.name);
  Told(step.name);
}

void JournalObserver::OnSkipped(const SyncStep& step) {
  ++journal_.counts().skipped;
  if (histories_) return;
  journal_.Skipped(step.name);
  Told(step.name);
}

// Until it is known to be the same it may have to be copied.
void JournalObserver::OnLooking(const SyncStep& step) { Started(step); }

void JournalObserver::OnChosen(const SyncStep& step) { Started(step); }

void JournalObserver::Started(const SyncStep& step) {
  journal_.Started(step.name);
  Told(step.name);
}

void JournalObserver::OnListedAll() {
  if (on_told_) return;  // Of the names that are done again, not of the run.
  journal_.ListedAll();
}

void JournalObserver::OnCopied(const SyncStep& step, const CopyOutcome& outcome) {
  ++journal_.counts().copied;
  journal_.counts().bytes += outcome.size_bytes;
  if (histories_) return;
  journal_.Done(step.name);
  Told(step.name);
}

void JournalObserver::OnRemoved(const SyncStep&) { ++journal_.counts().removed; }

void JournalObserver::OnEnded(const SyncStep& step) {
  journal_.Done(step.name);
  Told(step.name);
}

void JournalObserver::OnNotThere(std::string_view name, const Error& error) {
  ++journal_.counts().failed;
  journal_.NotThere(name, error.Describe());
  Told(name);
}

void JournalObserver::OnFailed(const SyncStep& step, const Error& error) {
  // What is only at the target is found by every comparison.
  if (step.source != nullptr) {
    ++journal_.counts().failed;
    journal_.Failed(step.name, error.Describe());
    Told(step.name);
  }
}

}  // namespace longhaul
