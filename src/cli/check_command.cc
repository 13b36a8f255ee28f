#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/stores.h"
#include "transfer/compare_trees.h"

namespace longhaul {

namespace {

class CheckCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "check",
        .summary = "compare two buckets, prefixes or folders",
        .description =
            "Compares all that lies below SOURCE with all that lies below TARGET and names every "
            "difference: objects that are missing or only at the target, and of the others size, "
            "bytes, headers, user metadata and tags. Nothing is written anywhere.\n\n"
            "Bytes are equal when ETags are, or a checksum that both sides have; a local file is "
            "read and compared with the checksum or MD5 ETag of the other side. Where none of this "
            "tells (a multipart object beside one of other parts), the object is counted as not "
            "comparable; --download then reads both sides and compares. Two MD5 ETags that differ "
            "count as different bytes.\n\n"
            "Left out: the user metadata entry 'longhaul', which is the mark that longhaul puts on "
            "replicas, and of plain local folders all but size and bytes.",
        .examples = {{"Is the copy complete?",
                      "longhaul check --config longhaul.yaml east:logs west:logs-copy"},
                     {"Compare a folder with a bucket",
                      "longhaul check ./photos s3://my-bucket/photos"},
                     {"Names and sizes only, fast", "longhaul check --no-metadata s3://a s3://b"},
                     {"Every byte, also where ETags cannot be compared",
                      "longhaul check --download east:logs west:logs-copy"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kDifferences, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("SOURCE", "What should be there: a bucket, prefix or folder.", source_);
    flags.Argument("TARGET", "Where it should be.", target_);
    flags.Switch({.name = "download",
                  .help = "Read both sides where neither ETag nor checksum can be compared."},
                 options_.download);
    flags.Switch({.name = "no-metadata",
                  .help = "Compare no headers, user metadata and tags; saves two requests for each "
                          "object."},
                 no_metadata_);
    flags.Switch({.name = "storage-class", .help = "Compare storage classes too."},
                 options_.storage_class);
    flags.Switch({.name = "one-way", .help = "What is only at the target is no difference."},
                 options_.one_way);
    flags.List({.name = "include", .help = "Compare only names that match.", .value_name = "GLOB"},
               options_.filter.include);
    flags.List({.name = "exclude", .help = "Compare no names that match.", .value_name = "GLOB"},
               options_.filter.exclude);
    flags.Integer({.name = "checkers",
                   .help = "Objects that are looked at together. Default: 64.",
                   .value_name = "N"},
                  1, 4096, in_flight_);
    store_flags_.Declare(flags, true);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedAddress> source = opener.Open(source_, StoreEnd::kSource);
    if (!source) co_return source.error();
    Result<OpenedAddress> target = opener.Open(target_, StoreEnd::kTarget);
    if (!target) co_return target.error();
    for (OpenedAddress* end : {&*source, &*target}) {
      if (end->address.bucket.empty()) {
        co_return InvalidInput("'" + end->address.text + "' names no bucket");
      }
    }
    Result<void> scoped = co_await Scope(*source, *target);
    if (!scoped) co_return scoped.error();

    options_.metadata = !no_metadata_;
    options_.in_flight = static_cast<int>(in_flight_);
    options_.stop = &context.stop();
    Progress progress(context.output(), context.runtime().clock, "checked", 0);
    TaskGroup watch(context.runtime().executor);
    watch.Spawn(progress.Watch());
    Observer observer(context.output(), progress);
    CompareTotals totals;
    Result<void> done = co_await CompareTrees(
        context.runtime(),
        {.store = *source->store, .bucket = source->address.bucket, .prefix = source->address.key},
        {.store = *target->store, .bucket = target->address.bucket, .prefix = target->address.key},
        options_, observer, totals);
    progress.Finish();
    Result<void> watched = co_await watch.Join();
    if (!watched) co_return watched.error();
    if (!done) co_return done.error();
    Summarize(context.output(), totals, progress.seconds());
    if (totals.different > 0) co_return ExitCode::kDifferences;
    co_return totals.failed > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  // Both sides are folders, unless SOURCE is one object: then TARGET is one too.
  static Async<void> Scope(OpenedAddress& source, OpenedAddress& target) {
    if (!source.address.folder() && !target.address.folder()) {
      Result<ObjectInfo> one =
          co_await source.store->Head({.bucket = source.address.bucket, .key = source.address.key});
      // The prefixes are then the whole keys, and what follows them is empty.
      if (one) co_return Ok();
      if (one.error().kind != ErrorKind::kNotFound) co_return one.error();
    }
    if (!source.address.folder()) source.address.key += '/';
    if (!target.address.folder()) target.address.key += '/';
    co_return Ok();
  }

  class Observer : public CompareObserver {
   public:
    Observer(Output& output, Progress& progress) : output_(output), progress_(progress) {}

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
      output_.Print(Message("difference")
                        .With("key", difference.name)
                        .With("aspect", difference.aspect)
                        .With("source", difference.source)
                        .With("target", difference.target)
                        .Says(text));
    }
    void OnNotComparable(std::string_view name) override {
      output_.Note(
          Message("not_comparable")
              .With("key", name)
              .Says(Printable(name) + ": of equal size; --download would compare the bytes"));
    }
    void OnFailed(std::string_view name, const Error& error) override {
      ++progress_.totals.objects_failed;
      output_.Problem(Printable(name), error);
    }
    void OnCompared(uint64_t size_bytes) override {
      ++progress_.totals.objects_done;
      progress_.totals.bytes_done += size_bytes;
    }

   private:
    static std::string Quoted(std::string_view text) {
      return text.empty() ? "nothing" : "'" + Printable(text) + "'";
    }
    Output& output_;
    Progress& progress_;
  };

  static void Summarize(Output& output, const CompareTotals& totals, double seconds) {
    std::vector<std::pair<std::string, std::string>> rows = {
        {"equal", Counted(totals.equal, "object")}, {"different", FormatCount(totals.different)}};
    if (totals.not_comparable > 0) {
      rows.emplace_back("not comparable", FormatCount(totals.not_comparable));
    }
    if (totals.failed > 0) rows.emplace_back("failed", FormatCount(totals.failed));
    rows.emplace_back("time", FormatSeconds(seconds));
    output.Note(Message("summary")
                    .With("equal", totals.equal)
                    .With("different", totals.different)
                    .With("not_comparable", totals.not_comparable)
                    .With("failed", totals.failed)
                    .With("bytes", totals.bytes)
                    .With("seconds", seconds)
                    .Says(RenderTable(rows)));
  }

  std::string source_;
  std::string target_;
  CompareOptions options_;
  bool no_metadata_ = false;
  int64_t in_flight_ = 64;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCheckCommand() { return std::make_unique<CheckCommand>(); }

}  // namespace longhaul
