#include "cli/transfer_report.h"

#include "cli/transfer_observer.h"

namespace longhaul {

namespace {

using Sign = NameLists::Sign;

// Whether the listings alone, or a look, found both sides to be the same.
bool Matches(const SyncStep& step) {
  const std::string_view why = step.decision.reason;
  if (why == reason::kSame || why == reason::kSameSize || why == reason::kSameBytes) return true;
  return why == reason::kExists && step.source != nullptr && step.target != nullptr &&
         step.source->size_bytes == step.target->size_bytes;
}

}  // namespace

void ReportFlags::Declare(FlagSet& flags, bool compares) {
  flags.Section("REPORTS");
  flags.Text({.name = "report",
              .help = "What was really done, object by object with the reason, as JSON lines.",
              .value_name = "FILE",
              .completes = Completes::kFiles},
             report);
  lists.Declare(flags, compares);
}

Result<void> TransferReport::Open(const ReportFlags& flags) {
  if (!flags.report.empty()) {
    Result<void> opened = report_.Open(flags.report, "report");
    if (!opened) return opened;
  }
  return lists_.Open(flags.lists);
}

void TransferReport::SortByDecision(const SyncStep& step) {
  if (!lists_.wanted()) return;
  lists_.Add(step.decision.reason == reason::kNew ? Sign::kMissingOnDst
             : Matches(step)                      ? Sign::kMatch
                                                  : Sign::kDiffer,
             step.name);
}

void TransferReport::Tell(std::string_view op, std::string_view state, const SyncStep& step,
                          const CopyOutcome* outcome, const Error* error) {
  if (!report_.wanted()) return;
  const ListedObject& object = step.source != nullptr ? *step.source : *step.target;
  Message line;
  line.With("ts", FormatRfc3339(clock_.Now()))
      .With("op", op)
      .With("state", state)
      .With("name", step.name);
  if (step.source != nullptr) {
    line.With("source", source_.WithKey(source_.key + std::string(step.name)));
  }
  line.With("target",
            target_.WithKey(target_key_ ? *target_key_ : target_.key + std::string(step.name)))
      .With("size", outcome != nullptr ? outcome->size_bytes : object.size_bytes)
      .With("etag", outcome != nullptr ? outcome->source_etag : object.etag);
  if (object.last_modified != SystemTime{}) {
    line.With("last_modified", FormatRfc3339(object.last_modified));
  }
  if (!object.version_id.empty()) line.With("version_id", object.version_id);
  if (!step.decision.reason.empty()) line.With("reason", step.decision.reason);
  if (state == "excluded" && filter_ != nullptr) {
    line.With("rule", filter_->Explain(step.name, object).rule);
  }
  if (outcome != nullptr) {
    line.With("target_etag", outcome->put.etag).With("verified", VerifiedBy(outcome->verified));
    if (!outcome->put.version_id.empty()) line.With("target_version_id", outcome->put.version_id);
  }
  if (error != nullptr) {
    line.With("kind", ToString(error->kind)).With("error", error->message);
    if (!error->code.empty()) line.With("code", error->code);
    if (error->http_status != 0) line.With("http_status", error->http_status);
    if (!error->request_id.empty()) line.With("request_id", error->request_id);
  }
  report_.Write(output_, line.Json());
}

void TransferReport::OnExcluded(const SyncStep& step) {
  Tell("copy", "excluded", step, nullptr, nullptr);
}

void TransferReport::OnSkipped(const SyncStep& step) {
  if (step.decision.reason != reason::kFolderMarker) SortByDecision(step);
  Tell("copy", "skipped", step, nullptr, nullptr);
}

void TransferReport::OnExtra(const SyncStep& step) {
  lists_.Add(Sign::kMissingOnSrc, step.name);
  Tell("none", "extra", step, nullptr, nullptr);
}

void TransferReport::OnChosen(const SyncStep& step) {
  if (!dry_run_) return;
  SortByDecision(step);
  Tell("copy", "would_copy", step, nullptr, nullptr);
}

void TransferReport::OnCopied(const SyncStep& step, const CopyOutcome& outcome) {
  SortByDecision(step);
  Tell("copy", "copied", step, &outcome, nullptr);
}

void TransferReport::OnRemoved(const SyncStep& step) {
  Tell("remove", dry_run_ ? "would_remove" : "removed", step, nullptr, nullptr);
}

void TransferReport::OnFailed(const SyncStep& step, const Error& error) {
  lists_.Add(Sign::kError, step.name);
  Tell(step.source != nullptr ? "copy" : "remove", "failed", step, nullptr, &error);
}

Result<void> TransferReport::Close(const SyncTotals& totals, double seconds) {
  if (report_.wanted()) {
    report_.Write(output_, Message("summary")
                               .With("source", source_.WithKey(source_.key))
                               .With("target", target_.WithKey(target_.key))
                               .With("objects", totals.copied)
                               .With("bytes", totals.bytes)
                               .With("left_alone", totals.skipped)
                               .With("excluded", totals.excluded)
                               .With("extra", totals.extra)
                               .With("removed", totals.removed)
                               .With("failed", totals.failed)
                               .With("unlisted", totals.unlisted)
                               .With("links", totals.links)
                               .With("would_remove", totals.would_remove)
                               .With("seconds", seconds)
                               .Json());
  }
  std::string unwritten = report_.Close() ? std::string() : report_.path();
  const std::string lists = lists_.Close();
  if (!lists.empty()) unwritten += (unwritten.empty() ? "" : ", ") + lists;
  if (unwritten.empty()) return Ok();
  return Retryable("not all could be written to " + unwritten);
}

}  // namespace longhaul
