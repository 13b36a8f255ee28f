#include "cli/check_report.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "cli/progress.h"

namespace longhaul {

namespace {

std::string Quoted(std::string_view text) {
  return text.empty() ? "nothing" : "'" + Printable(text) + "'";
}

class Observer : public CompareObserver {
 public:
  Observer(Output& output, Progress& progress, DifferenceReport& report, int64_t depth)
      : output_(output), progress_(progress), report_(report), depth_(depth) {}

  void OnDifference(const Difference& difference) override {
    std::string text = Printable(difference.name) + ": ";
    if (difference.aspect == "missing") {
      text += "missing at the target";
    } else if (difference.aspect == "extra") {
      text += "only at the target";
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
    PrintPrefix(output_, at_source ? "source" : "target", node, depth_);
  }
  void OnNotComparable(std::string_view name) override {
    Message message("not_comparable");
    message.With("key", name);
    report_.Add(message);
    output_.Note(
        message.Says(Printable(name) + ": of equal size; --download would compare the bytes"));
  }
  void OnFailed(std::string_view name, const Error& error) override {
    ++progress_.totals.objects_failed;
    report_.Add(Message("failed").With("key", name).With("reason", error.Describe()));
    output_.Problem(Printable(name), error);
  }
  void OnCompared(uint64_t size_bytes) override {
    ++progress_.totals.objects_done;
    progress_.totals.bytes_done += size_bytes;
  }

 private:
  Output& output_;
  Progress& progress_;
  DifferenceReport& report_;
  int64_t depth_;
};

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
  }
  output.Note(summary.With("equal", totals.equal)
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
                                 CompareOptions options, int64_t depth, DifferenceReport& report,
                                 Message summary) {
  Progress progress(context.output(), context.runtime().clock, "checked", 0);
  TaskGroup watch(context.runtime().executor);
  watch.Spawn(progress.Watch());
  Observer observer(context.output(), progress, report, depth);
  CompareTotals totals;
  Result<void> done = co_await CompareTrees(context.runtime(), source, target, std::move(options),
                                            observer, totals);
  progress.Finish();
  Result<void> watched = co_await watch.Join();
  if (!watched) co_return watched.error();
  Result<void> closed = report.Close();
  if (!done) co_return done.error();
  if (!closed) co_return closed.error();
  Summarize(context.output(), std::move(summary), totals, progress.seconds());
  if (totals.different > 0) co_return ExitCode::kDifferences;
  co_return totals.failed > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
}

}  // namespace longhaul
