#include "cli/transfer_observer.h"

#include <algorithm>
#include <utility>

#include "transfer/tree/store_wide.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {

void FailureTally::Add(std::string_view what, const Error& error, bool quiet) {
  if (output_.json()) {
    output_.Problem(what, error);
    return;
  }
  if (quiet) return;
  Cause& cause = causes_[std::string(ToString(error.kind)) + " " + error.code + " " +
                         std::to_string(error.http_status)];
  if (cause.count++ < kShown || !output_.console().error_is_terminal()) {
    output_.Problem(what, error);
  } else if (cause.example.empty()) {
    cause.example = error.code.empty() ? std::string(ToString(error.kind)) : error.code;
  }
}

void FailureTally::Finish() {
  for (const auto& [key, cause] : causes_) {
    if (cause.example.empty()) continue;
    output_.Problem(Message().Says("… and " + FormatCount(cause.count - kShown) +
                                   " more: " + Printable(cause.example) +
                                   "; --report FILE or --json names each"));
  }
  causes_.clear();
}

TransferObserver::TransferObserver(Output& output, Progress& progress, Options options)
    : output_(output), progress_(progress), options_(options), failures_(output) {}

void TransferObserver::SetEnds(CommandAddress source, CommandAddress target) {
  source_ = std::move(source);
  target_ = std::move(target);
}

std::string TransferObserver::SourceOf(std::string_view name) const {
  return source_.WithKey(source_.key + std::string(name));
}
std::string TransferObserver::TargetOf(std::string_view name) const {
  return target_.WithKey(target_.key + std::string(name));
}

void TransferObserver::TellSkipped(const SyncStep& step, std::string_view rule) {
  Message message("skipped");
  message.With("source", SourceOf(step.name)).With("reason", step.decision.reason);
  if (!rule.empty()) message.With("rule", rule);
  output_.Note(message.Says("skipped " + Printable(SourceOf(step.name)) + ": " +
                            std::string(step.decision.reason) +
                            (rule.empty() ? "" : " by " + Printable(rule))));
}

void TransferObserver::OnExcluded(const SyncStep& step) {
  if (options_.verbose < 2) return;
  const ListedObject& object = step.source != nullptr ? *step.source : *step.target;
  TellSkipped(step, options_.filter != nullptr ? options_.filter->Explain(step.name, object).rule
                                               : std::string());
}

void TransferObserver::OnSkipped(const SyncStep& step) {
  ++progress_.totals.objects_skipped;
  if (options_.verbose >= 2) TellSkipped(step, "");
}

void TransferObserver::OnExtra(const SyncStep& step) {
  if (options_.verbose < 2) return;
  output_.Note(Message("extra")
                   .With("target", TargetOf(step.name))
                   .Says("only at the target: " + Printable(TargetOf(step.name))));
}

void TransferObserver::OnChosen(const SyncStep& step) {
  ++progress_.totals.objects_total;
  progress_.totals.bytes_total += step.source->size_bytes;
  if (!options_.dry_run) return;
  // Of a dry run the list is the result.
  output_.Print(Message(options_.move ? "would_move" : "would_copy")
                    .With("source", SourceOf(step.name))
                    .With("target", TargetOf(step.name))
                    .With("size", step.source->size_bytes)
                    .With("reason", step.decision.reason)
                    .Says((options_.move ? "would move " : "would copy ") +
                          Printable(SourceOf(step.name)) + " to " + Printable(TargetOf(step.name)) +
                          " (" + FormatBytes(step.source->size_bytes) + ", " +
                          std::string(step.decision.reason) + ")"));
}

void TransferObserver::OnListedAll() { progress_.totals.total_is_final = true; }

void TransferObserver::OnCopied(const SyncStep& step, const CopyOutcome& outcome) {
  ++progress_.totals.objects_done;
  if (options_.verbose == 0 && !output_.json()) return;
  Message message(options_.move ? "moved" : "copied");
  message.With("source", SourceOf(step.name)).With("target", TargetOf(step.name));
  const std::string& version = step.source->version_id;
  if (!version.empty()) message.With("version_id", version);
  output_.Note(message.With("size", outcome.size_bytes)
                   .With("verified", VerifiedBy(outcome.verified))
                   .With("reason", step.decision.reason)
                   .Says((options_.move ? "moved " : "copied ") + Printable(SourceOf(step.name)) +
                         (version.empty() ? "" : " version " + Printable(version)) + " to " +
                         Printable(TargetOf(step.name)) + " (" + FormatBytes(outcome.size_bytes) +
                         (options_.verbose >= 2 ? ", " + std::string(step.decision.reason) : "") +
                         ")"));
}

void TransferObserver::OnRemoved(const SyncStep& step) {
  if (options_.verbose == 0 && !options_.dry_run && !output_.json()) return;
  Message message(options_.dry_run ? "would_remove" : "removed");
  message.With("target", TargetOf(step.name));
  const std::string& version = step.target->version_id;
  if (!version.empty()) message.With("version_id", version);
  message.With("size", step.target->size_bytes)
      .Says((options_.dry_run ? "would remove " : "removed ") + Printable(TargetOf(step.name)) +
            (version.empty() ? "" : " version " + Printable(version)));
  if (options_.dry_run) {
    output_.Print(message);
  } else {
    output_.Note(message);
  }
}

void TransferObserver::OnFailed(const SyncStep& step, const Error& error) {
  ++progress_.totals.objects_failed;
  failures_.Add(step.source != nullptr ? SourceOf(step.name) : TargetOf(step.name), error,
                step.store_wide);
}

std::string_view VerifiedBy(Verified verified) {
  switch (verified) {
    case Verified::kChecksum:
      return "checksum";
    case Verified::kEtag:
      return "etag";
    case Verified::kByStore:
      return "store";
    case Verified::kNot:
      return "not";
  }
  return "not";
}

Error WithRemedy(const Error& error) {
  const std::string remedy = RemedyFor(error);
  if (remedy.empty()) return error;
  Error told = error;
  while (told.message.ends_with('.')) told.message.pop_back();
  told.message += "; " + remedy;
  return told;
}

namespace {

void Summarize(Output& output, const SyncTotals& totals, double seconds, SummaryText text) {
  std::vector<std::pair<std::string, std::string>> rows = {
      {"copied", Counted(totals.copied, "object") + ", " + FormatBytes(totals.bytes)},
      {"time", FormatSeconds(seconds) + ", " +
                   FormatBytes(static_cast<uint64_t>(static_cast<double>(totals.bytes) /
                                                     std::max(seconds, 1e-3))) +
                   "/s"}};
  auto row = [&rows](const char* name, uint64_t count) {
    if (count > 0) rows.emplace_back(name, FormatCount(count));
  };
  row("left alone", totals.skipped);
  row("excluded", totals.excluded);
  row("removed", totals.removed);
  row("would remove", totals.would_remove);
  row("only at the target",
      totals.extra - std::min(totals.extra, totals.removed + totals.would_remove));
  row("links not followed", totals.links);
  row("no checksum at the source", totals.not_verified);
  row("folders not read", totals.unlisted);
  row("failed", totals.failed);
  Message message("summary");
  message.With("objects", totals.copied)
      .With("bytes", totals.bytes)
      .With("left_alone", totals.skipped)
      .With("excluded", totals.excluded)
      .With("extra", totals.extra)
      .With("removed", totals.removed)
      .With("failed", totals.failed)
      .With("unlisted", totals.unlisted)
      .With("not_verified", totals.not_verified)
      .With("links", totals.links)
      .With("would_remove", totals.would_remove)
      .With("seconds", seconds);
  if (text == SummaryText::kTransfer) message.Says(RenderTable(rows));
  if (text == SummaryText::kRemoval) message.Says("removed " + Counted(totals.removed, "object"));
  output.Note(message);
}

}  // namespace

Result<ExitCode> ConcludeTransfer(Output& output, const SyncTotals& totals,
                                  const Result<void>& done, double seconds, SummaryText text) {
  ExitCode code = totals.failed > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  if (!done) {
    // A store that refuses as a whole is one message and nothing else.
    if (totals.copied + totals.skipped + totals.removed + totals.would_remove == 0 &&
        done.error().code != kLimitCode) {
      return WithRemedy(done.error());
    }
    if (done.error().kind != ErrorKind::kCancelled || done.error().code == kLimitCode) {
      output.Problem("", WithRemedy(done.error()));
    }
    code = ExitCodeOf(done.error());
  }
  if (totals.removals_withheld) {
    output.Problem(
        Message("removals_withheld")
            .With("extra", totals.extra)
            .With("unlisted", totals.unlisted)
            .Says(totals.unlisted > 0
                      ? "nothing was removed, because not all folders of the source could be read; "
                        "--exclude 'FOLDER/*' leaves one out at both sides"
                      : "nothing was removed, because something has failed; --ignore-errors "
                        "removes all the same"));
  }
  Summarize(output, totals, seconds, text);
  return code;
}

}  // namespace longhaul
