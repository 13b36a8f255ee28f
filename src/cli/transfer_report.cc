#include "cli/transfer_report.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "cli/transfer_observer.h"

namespace longhaul {

namespace {

constexpr size_t kBufferBytes = 64 << 10;

// Whether the listings alone, or a look, found both sides to be the same.
bool Matches(const SyncStep& step) {
  const std::string_view why = step.decision.reason;
  if (why == reason::kSame || why == reason::kSameSize || why == reason::kSameBytes) return true;
  return why == reason::kExists && step.source != nullptr && step.target != nullptr &&
         step.source->size_bytes == step.target->size_bytes;
}

}  // namespace

void ReportFlags::Declare(FlagSet& flags) {
  flags.Section("REPORTS");
  auto file = [&flags](std::string_view name, std::string_view help, std::string& path) {
    flags.Text({.name = name, .help = help, .value_name = "FILE", .completes = Completes::kFiles},
               path);
  };
  file("report", "What was really done, object by object with the reason, as JSON lines.", report);
  file("combined",
       "Names with rclone's signs: '=' the same, '*' differs, '+' only at SOURCE, '-' only at "
       "TARGET, '!' failed; '-' as FILE is standard output.",
       combined);
  file("differ", "Names of what differs.", differ);
  file("missing-on-dst", "Names of what is not at TARGET.", missing_on_dst);
  file("missing-on-src", "Names of what is not at SOURCE.", missing_on_src);
  file("match", "Names of what is the same.", match);
  file("error", "Names of what failed.", error);
}

Result<void> TransferReport::OpenOne(File& file, const std::string& path, std::string_view flag) {
  file.path = path;
  if (path == "-") {
    file.to_output = true;
    return Ok();
  }
  file.file.reset(std::fopen(path.c_str(), "we"));
  if (file.file == nullptr) {
    return InvalidInput("--" + std::string(flag) + ": cannot write to " + path + ": " +
                        std::strerror(errno));
  }
  std::setvbuf(file.file.get(), nullptr, _IOFBF, kBufferBytes);
  return Ok();
}

Result<void> TransferReport::Open(const ReportFlags& flags) {
  if (!flags.report.empty()) {
    Result<void> opened = OpenOne(report_, flags.report, "report");
    if (!opened) return opened;
  }
  if (!flags.combined.empty()) {
    Result<void> opened = OpenOne(combined_, flags.combined, "combined");
    if (!opened) return opened;
  }
  struct List {
    Sign sign;
    const std::string& path;
    std::string_view flag;
  };
  for (const List& list :
       {List{Sign::kDiffer, flags.differ, "differ"},
        List{Sign::kMissingOnDst, flags.missing_on_dst, "missing-on-dst"},
        List{Sign::kMissingOnSrc, flags.missing_on_src, "missing-on-src"},
        List{Sign::kMatch, flags.match, "match"}, List{Sign::kError, flags.error, "error"}}) {
    if (list.path.empty()) continue;
    File file;
    Result<void> opened = OpenOne(file, list.path, list.flag);
    if (!opened) return opened;
    lists_.emplace_back(list.sign, std::move(file));
  }
  sorts_ = combined_.wanted() || !lists_.empty();
  return Ok();
}

void TransferReport::Write(File& file, std::string_view line) {
  if (file.to_output) {
    output_.Raw(std::string(line) + "\n");
    return;
  }
  if (file.failed) return;
  std::FILE* out = file.file.get();
  if (std::fwrite(line.data(), 1, line.size(), out) != line.size() ||
      std::fputc('\n', out) == EOF) {
    file.failed = true;
  }
}

void TransferReport::Sort(Sign sign, std::string_view name) {
  if (combined_.wanted()) {
    Write(combined_, std::string(1, static_cast<char>(sign)) + " " + std::string(name));
  }
  for (auto& [kind, file] : lists_) {
    if (kind == sign) Write(file, name);
  }
}

void TransferReport::SortByDecision(const SyncStep& step) {
  if (!sorts_) return;
  Sort(step.decision.reason == reason::kNew ? Sign::kMissingOnDst
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
  Write(report_, line.Json());
}

void TransferReport::OnExcluded(const SyncStep& step) {
  Tell("copy", "excluded", step, nullptr, nullptr);
}

void TransferReport::OnSkipped(const SyncStep& step) {
  if (step.decision.reason != reason::kFolderMarker) SortByDecision(step);
  Tell("copy", "skipped", step, nullptr, nullptr);
}

void TransferReport::OnExtra(const SyncStep& step) {
  if (sorts_) Sort(Sign::kMissingOnSrc, step.name);
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
  if (sorts_) Sort(Sign::kError, step.name);
  Tell(step.source != nullptr ? "copy" : "remove", "failed", step, nullptr, &error);
}

Result<void> TransferReport::Close(const SyncTotals& totals, double seconds) {
  if (report_.wanted()) {
    Write(report_, Message("summary")
                       .With("source", source_.WithKey(source_.key))
                       .With("target", target_.WithKey(target_.key))
                       .With("objects", totals.copied)
                       .With("bytes", totals.bytes)
                       .With("left_alone", totals.skipped)
                       .With("excluded", totals.excluded)
                       .With("extra", totals.extra)
                       .With("removed", totals.removed)
                       .With("failed", totals.failed)
                       .With("links", totals.links)
                       .With("seconds", seconds)
                       .Json());
  }
  std::string unwritten;
  auto close = [&unwritten](File& file) {
    if (file.file == nullptr) return;
    const bool written = std::fclose(file.file.release()) == 0 && !file.failed;
    if (!written) unwritten += (unwritten.empty() ? "" : ", ") + file.path;
  };
  close(report_);
  close(combined_);
  for (auto& [sign, file] : lists_) close(file);
  if (unwritten.empty()) return Ok();
  return Retryable("not all could be written to " + unwritten);
}

}  // namespace longhaul
