#include "cli/check_root.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "cli/progress.h"
#include "cli/transfer_flags.h"

namespace longhaul {

namespace {

// Hears of the objects of this site, and holds them against those of the file.
class RootSink : public TreeSink {
 public:
  RootSink(Output& output, Progress& progress, DifferenceReport& report,
           const RootCheckOptions& options)
      : output_(output),
        progress_(progress),
        report_(report),
        depth_(options.depth),
        one_way_(options.one_way),
        verbose_(options.verbose),
        filter_(options.tree.filter) {}

  // Borrowed; null: not wanted.
  TreeFileWriter* writer = nullptr;
  TreeFileReader* other = nullptr;
  uint64_t objects = 0;
  uint64_t bytes = 0;
  uint64_t failed = 0;
  uint64_t excluded = 0;
  uint64_t different = 0;
  uint64_t extra = 0;  // Only here, and no difference.

  Async<void> Take(std::vector<TreeEntry> entries) override {
    for (const TreeEntry& entry : entries) {
      ++objects;
      bytes += entry.size_bytes;
      ++progress_.totals.objects_done;
      progress_.totals.bytes_done += entry.size_bytes;
      if (other == nullptr) continue;
      Result<void> compared = co_await Compare(entry);
      if (!compared) co_return compared;
    }
    if (writer != nullptr) co_return co_await writer->Add(entries);
    co_return Ok();
  }
  void OnPrefix(const ObjectTree::Node& node) override {
    PrintPrefix(output_, "source", node, depth_);
  }
  void OnExcluded(std::string_view name, const ListedObject& object) override {
    ++excluded;
    if (verbose_ >= 2) TellExcluded(output_, name, filter_, object);
  }
  void OnFailed(std::string_view name, const Error& error) override {
    ++failed;
    ++progress_.totals.objects_failed;
    failed_names_.emplace_back(name);
    report_.Add(Message("failed").With("key", name).With("reason", error.Describe()));
    output_.Problem(Printable(name), error);
  }

  // What the file has behind the last object of this site.
  Async<void> Finish() {
    if (other == nullptr) co_return Ok();
    while (true) {
      Result<bool> any = co_await Fill();
      if (!any) co_return any.error();
      if (!*any) co_return Ok();
      Missing();
    }
  }

 private:
  // The file's next entry; false: there is none.
  Async<bool> Fill() {
    if (theirs_) co_return true;
    if (ended_) co_return false;
    Result<std::optional<TreeEntry>> next = co_await other->Next();
    if (!next) co_return next.error();
    theirs_ = std::move(*next);
    ended_ = !theirs_;
    co_return theirs_.has_value();
  }

  Async<void> Compare(TreeEntry entry) {
    while (true) {
      Result<bool> any = co_await Fill();
      if (!any) co_return any.error();
      if (!*any || theirs_->name > entry.name) {
        if (one_way_) {
          ++extra;
        } else {
          Differs(entry.name, "extra", "only here", "", "");
        }
        co_return Ok();
      }
      if (theirs_->name < entry.name) {
        Missing();
        continue;
      }
      if (theirs_->size_bytes != entry.size_bytes) {
        const std::string here = std::to_string(entry.size_bytes);
        const std::string there = std::to_string(theirs_->size_bytes);
        Differs(entry.name, "size", here + " bytes here, " + there + " in the file", there, here);
      } else if (theirs_->hash != entry.hash) {
        Differs(entry.name, "content",
                "of equal size, but bytes or what belongs to them are not the same", "", "");
      }
      theirs_.reset();
      co_return Ok();
    }
  }

  void Missing() {
    const std::string name = std::exchange(theirs_, std::nullopt)->name;
    // One that could not be looked at is none that is not there.
    if (std::ranges::find(failed_names_, name) != failed_names_.end()) return;
    Differs(name, "missing", "not here", "", "");
  }

  void Differs(const std::string& name, std::string_view aspect, const std::string& text,
               const std::string& there, const std::string& here) {
    ++different;
    Message message("difference");
    message.With("key", name).With("aspect", aspect).With("source", there).With("target", here);
    report_.Add(message);
    output_.Print(message.Says(Printable(name) + ": " + std::string(aspect) + ": " + text));
  }

  Output& output_;
  Progress& progress_;
  DifferenceReport& report_;
  int64_t depth_;
  bool one_way_;
  int verbose_;
  ObjectFilter filter_;
  std::optional<TreeEntry> theirs_;
  bool ended_ = false;
  std::vector<std::string> failed_names_;
};

}  // namespace

Async<ExitCode> CheckRoot(RunContext& context, StoreOpener& opener, OpenedAddress source,
                          std::unique_ptr<Listing> listing, RootCheckOptions options,
                          DifferenceReport& report) {
  Output& output = context.output();
  const CommandAddress& address = source.address;
  const TreeMode mode = options.tree.mode;
  Progress progress(output, context.runtime().clock, "hashed", 0);
  RootSink sink(output, progress, report, options);
  std::optional<TreeFileWriter> writer;
  if (!options.save.empty()) {
    writer.emplace(context.runtime(), options.save, mode, address.text);
    sink.writer = &*writer;
  }
  std::unique_ptr<TreeFileReader> other;
  if (!options.against.empty()) {
    const bool plain = !options.against.contains('/') && !options.against.contains(':');
    Result<OpenedAddress> file =
        opener.Open(plain ? "file:" + options.against : options.against, StoreEnd::kSource);
    if (!file) co_return file.error();
    Result<std::unique_ptr<TextLines>> lines =
        co_await TextLines::Open(context.runtime(), {.store = file->store,
                                                     .bucket = file->address.bucket,
                                                     .key = file->address.key,
                                                     .name = options.against});
    if (!lines) co_return lines.error();
    Result<std::unique_ptr<TreeFileReader>> opened =
        co_await TreeFileReader::Open(std::move(*lines), mode);
    if (!opened) co_return opened.error();
    other = std::move(*opened);
    sink.other = other.get();
  }
  TaskGroup watch(context.runtime().executor);
  watch.Spawn(progress.Watch());
  Result<std::string> root = co_await ComputeRoot(
      context.runtime(), {.store = *source.store, .bucket = address.bucket, .prefix = address.key},
      std::move(listing), std::move(options.tree), sink);
  Result<void> finished = root ? co_await sink.Finish() : Result<void>(root.error());
  const ListGaps gaps = options.gaps != nullptr ? *options.gaps : ListGaps();
  const uint64_t failed = sink.failed + gaps.failed + gaps.nowhere;
  if (root && failed > 0) root->clear();  // Also of names of a list.
  if (finished && sink.objects + sink.failed + sink.different + gaps.nowhere + gaps.failed == 0) {
    finished = TellNothingChecked(output, options.typed, nullptr, sink.excluded > 0);
  }
  if (finished && writer && !root->empty()) finished = co_await writer->Finish(*root);
  progress.Finish();
  Result<void> watched = co_await watch.Join();
  if (!watched) co_return watched.error();
  Result<void> closed = report.Close();
  if (!root) co_return At(address, root.error());
  if (!finished) co_return finished.error();
  if (!closed) co_return closed.error();
  Message summary("summary");
  summary.With("objects", sink.objects)
      .With("bytes", sink.bytes)
      .With("failed", failed)
      .With("root", *root);
  std::string text = root->empty() ? "no hash: " + Counted(failed, "object") + " failed" : *root;
  if (other != nullptr) {
    summary.With("different", sink.different).With("other_root", other->root());
    if (sink.extra > 0) summary.With("extra", sink.extra);
    if (!root->empty()) {
      text += "\n";
      if (sink.different > 0) {
        text += Counted(sink.different, "difference");
      } else if (sink.extra > 0) {
        text += "all of " + options.against +
                " is here and the same; only here: " + Counted(sink.extra, "object");
      } else {
        text += "the same as in " + options.against;
      }
    }
  }
  output.Print(summary.Says(text));
  if (sink.different > 0) co_return ExitCode::kDifferences;
  co_return failed > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
}

}  // namespace longhaul
