#include "cli/check_report.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "cli/progress.h"
#include "cli/transfer_flags.h"
#include "cli/wildcard.h"

namespace longhaul {

namespace {

std::string Quoted(std::string_view text) {
  return text.empty() ? "nothing" : "'" + Printable(text) + "'";
}

class CheckObserver : public CompareObserver {
 public:
  CheckObserver(Output& output, Progress& progress, DifferenceReport& report, CheckTelling telling)
      : output_(output), progress_(progress), report_(report), telling_(telling) {}

  void OnDifference(const Difference& difference) override {
    std::string text = Printable(difference.name) + ": ";
    if (difference.aspect == "missing") {
      text += "missing at the target";
      List(NameLists::Sign::kMissingOnDst, difference.name);
    } else if (difference.aspect == "extra") {
      text += "only at the target";
      List(NameLists::Sign::kMissingOnSrc, difference.name);
    } else {
      text += std::string(difference.aspect) + ": " + Quoted(difference.source) +
              " at the source, " + Quoted(difference.target) + " at the target";
    }
    Message message("difference");
    message.With("key", difference.name)
        .With("aspect", difference.aspect)
        .With("source", difference.source)
        .With("target", difference.target);
    report_.Add(message);
    output_.Print(message.Says(text));
  }
  void OnPrefix(bool at_source, const ObjectTree::Node& node) override {
    PrintPrefix(output_, at_source ? "source" : "target", node, telling_.depth);
  }
  void OnNotComparable(std::string_view name) override {
    Message message("not_comparable");
    message.With("key", name);
    report_.Add(message);
    output_.Note(
        message.Says(Printable(name) + ": of equal size; --download would compare the bytes"));
  }
  void OnPair(std::string_view name, PairVerdict verdict) override {
    // As rclone has it, what nothing can tell apart is the same.
    List(verdict == PairVerdict::kDifferent ? NameLists::Sign::kDiffer : NameLists::Sign::kMatch,
         name);
    if (verdict != PairVerdict::kEqual || telling_.verbose < 1) return;
    name = Named(name);
    output_.Note(Message("equal").With("key", name).Says(Printable(name) + ": equal"));
  }
  void OnExcluded(std::string_view name, const ListedObject& object) override {
    if (telling_.verbose >= 2) TellExcluded(output_, name, *telling_.filter, object);
  }
  void OnFailed(std::string_view name, const Error& error) override {
    ++progress_.totals.objects_failed;
    List(NameLists::Sign::kError, name);
    report_.Add(Message("failed").With("key", name).With("reason", error.Describe()));
    output_.Problem(Printable(name), error);
  }
  void OnCompared(uint64_t size_bytes) override {
    ++progress_.totals.objects_done;
    progress_.totals.bytes_done += size_bytes;
  }

 private:
  void List(NameLists::Sign sign, std::string_view name) {
    if (telling_.lists != nullptr) telling_.lists->Add(sign, Named(name));
  }
  // Of two single objects the name below the prefixes is empty.
  [[nodiscard]] std::string_view Named(std::string_view name) const {
    if (!name.empty() || telling_.source == nullptr) return name;
    const std::string_view key = telling_.source->key;
    return key.substr(key.rfind('/') + 1);
  }

  Output& output_;
  Progress& progress_;
  DifferenceReport& report_;
  CheckTelling telling_;
};

// Why there is no hash; empty: nothing keeps it.
std::string WhyNoHash(const CompareTotals& totals) {
  if (totals.failed > 0) return Counted(totals.failed, "object") + " failed";
  if (totals.local) {
    return "files of a local folder have no checksums: --download reads them for their MD5";
  }
  return "";
}

void Summarize(Output& output, Message summary, const CompareTotals& totals, double seconds) {
  std::vector<std::pair<std::string, std::string>> rows = {
      {"equal", Counted(totals.equal, "object")}, {"different", FormatCount(totals.different)}};
  if (totals.not_comparable > 0) {
    rows.emplace_back("not comparable", FormatCount(totals.not_comparable));
  }
  if (totals.failed > 0) rows.emplace_back("failed", FormatCount(totals.failed));
  rows.emplace_back("time", FormatSeconds(seconds));
  if (!totals.source_root.empty()) {
    rows.emplace_back("hash of the source", totals.source_root);
    rows.emplace_back("hash of the target", totals.target_root);
    const bool equal = totals.different + totals.not_comparable == 0;
    if (totals.local && equal && totals.source_root != totals.target_root) {
      rows.emplace_back("hashes differ",
                        "by headers, metadata and tags, which are not compared with a local "
                        "folder: --no-metadata leaves them out");
    }
  } else if (const std::string why = WhyNoHash(totals); !why.empty()) {
    rows.emplace_back("no hash", why);
    summary.With("no_hash", why);
  }
  output.Print(summary.With("equal", totals.equal)
                   .With("different", totals.different)
                   .With("not_comparable", totals.not_comparable)
                   .With("failed", totals.failed)
                   .With("bytes", totals.bytes)
                   .With("seconds", seconds)
                   .With("source_root", totals.source_root)
                   .With("target_root", totals.target_root)
                   .Says(RenderTable(rows)));
}

}  // namespace

Result<void> TellNothingChecked(Output& output, const CommandAddress& source,
                                const CommandAddress* target, bool excluded) {
  const std::string places =
      "'" + source.text + "'" + (target != nullptr ? " nor '" + target->text + "'" : std::string());
  std::string text = "nothing was checked: the filters leave out all that is there";
  if (!excluded) {
    text = "nothing was checked: there is nothing below " + places;
    if (!source.key.empty()) {
      return target != nullptr ? WithWildcardRemedy(NotFound(text), "check", source, " TARGET")
                               : WithWildcardRemedy(NotFound(text), "check --root", source);
    }
    if (target != nullptr && !target->key.empty()) return NotFound(text);
  }
  output.Problem(Message("nothing_checked").Says(Printable(text)));
  return Ok();
}

Result<void> DifferenceReport::Open(const std::string& path) {
  path_ = path;
  if (path.empty()) return Ok();
  file_.reset(std::fopen(path.c_str(), "w"));
  if (file_ != nullptr) return Ok();
  return InvalidInput("--report: cannot write to " + path + ": " + std::strerror(errno));
}

void DifferenceReport::Add(const Message& message) {
  if (file_ == nullptr) return;
  const std::string line = message.Json() + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size()) failed_ = true;
}

Result<void> DifferenceReport::Close() {
  if (file_ == nullptr) return Ok();
  if (std::fclose(file_.release()) != 0) failed_ = true;
  if (failed_) return Retryable("--report: not all of it could be written to " + path_);
  return Ok();
}

void PrintPrefix(Output& output, std::string_view end, const ObjectTree::Node& node,
                 int64_t depth) {
  const auto level = std::ranges::count(node.name, '/');
  if (level == 0 || level > depth) return;
  output.Print(Message("prefix")
                   .With("side", end)
                   .With("prefix", node.name)
                   .With("root", node.hash)
                   .With("objects", node.objects)
                   .With("bytes", node.bytes)
                   .Says(node.hash + "  " + std::string(end) + "  " + Printable(node.name)));
}

Async<ExitCode> CompareAndReport(RunContext& context, TreeSource source, TreeTarget target,
                                 CompareOptions options, CheckTelling telling,
                                 DifferenceReport& report, Message summary) {
  Progress progress(context.output(), context.runtime().clock, "checked", 0);
  TaskGroup watch(context.runtime().executor);
  watch.Spawn(progress.Watch());
  CheckObserver observer(context.output(), progress, report, telling);
  CompareTotals totals;
  const bool one_way = options.one_way;
  Result<void> done = co_await CompareTrees(context.runtime(), source, target, std::move(options),
                                            observer, totals);
  progress.Finish();
  Result<void> watched = co_await watch.Join();
  if (!watched) co_return watched.error();
  Result<void> closed = report.Close();
  const std::string unwritten = telling.lists != nullptr ? telling.lists->Close() : std::string();
  if (!done) co_return done.error();
  if (!closed) co_return closed.error();
  if (!unwritten.empty()) co_return Retryable("not all could be written to " + unwritten);
  const uint64_t found = totals.source_objects + (one_way ? 0 : totals.target_objects);
  const bool looked = totals.compared + totals.different + totals.failed > 0;
  if (telling.gaps != nullptr) {
    totals.different += telling.gaps->nowhere;
    totals.failed += telling.gaps->failed;
    if (telling.gaps->failed > 0) {  // A hash of less than was asked for proves nothing.
      totals.source_root.clear();
      totals.target_root.clear();
    }
  }
  if (telling.source != nullptr && !looked && totals.different + totals.failed == 0) {
    // Of two sides one alone may be mistyped.
    const bool no_source = totals.source_objects == 0 && !telling.source->key.empty();
    const bool no_target = !one_way && telling.target != nullptr && totals.target_objects == 0 &&
                           !telling.target->key.empty();
    const bool one_empty = found > 0 && (no_source || no_target);
    Result<void> told = TellNothingChecked(
        context.output(), one_empty && !no_source ? *telling.target : *telling.source,
        one_way || one_empty ? nullptr : telling.target, found > 0 && !one_empty);
    if (!told) co_return told.error();
  }
  Summarize(context.output(), std::move(summary), totals, progress.seconds());
  if (totals.different > 0) co_return ExitCode::kDifferences;
  co_return totals.failed > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
}

}  // namespace longhaul
