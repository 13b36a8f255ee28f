#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/stores.h"
#include "transfer/copy_object.h"
#include "transfer/copy_tree.h"
#include "transfer/local_folder.h"

namespace longhaul {

namespace {

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

class CopyCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "cp",
        .summary = "copy objects and files",
        .description =
            "Copies objects between any two stores, or local files and folders, with their "
            "headers, user metadata, tags and storage class.\n\n"
            "Without --recursive each SOURCE is one object or file; TARGET is its new name, or, "
            "with a '/' at the end, the folder it goes into. With --recursive all that lies below "
            "SOURCE goes below TARGET under the same names; both are folders, with or without a "
            "'/' at the end.\n\n"
            "Bytes are verified from the source's checksum (else its MD5 ETag) to a digest that "
            "the target's server checks. ETags stay the same for objects of one part, and for "
            "multipart objects whose parts are 16 MiB or more on average. Within one store the "
            "server copies by itself where it can.\n\n"
            "Local files get the metadata of an object as an extended attribute (user.longhaul), "
            "where the file system has those; the bytes are plain. Symbolic links to files are "
            "followed, those to folders are not.",
        .examples =
            {{"Upload a file", "longhaul cp report.pdf s3://my-bucket/2026/"},
             {"Download a folder", "longhaul cp --recursive s3://my-bucket/photos ./photos"},
             {"Copy a bucket between two servers of a configuration",
              "longhaul cp --recursive --config longhaul.yaml east:logs west:logs-copy"},
             {"Copy between two endpoints, logs only, and show what would be done",
              "longhaul cp -r --dry-run --include '*.log' --source-endpoint-url http://a:9000 "
              "--target-endpoint-url http://b:9000 s3://x/ s3://y/"},
             {"Copy only what is not there yet",
              "longhaul cp -r --no-clobber ./data/ s3://my-bucket/data/"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Arguments("SOURCE", "What to copy: an address or a path.", 1, sources_);
    flags.Argument("TARGET", "Where to: an address or a path.", target_);
    flags.Switch({.name = "recursive", .help = "Copy all that lies below SOURCE.", .letter = 'r'},
                 recursive_);
    flags.Switch(
        {.name = "dry-run", .help = "Show what would be copied, and copy nothing.", .letter = 'n'},
        dry_run_);
    flags.Switch({.name = "no-clobber",
                  .help = "Leave targets alone that exist. The target's server decides "
                          "(If-None-Match), so nothing is overwritten by a race either."},
                 no_clobber_);
    flags.List({.name = "include",
                .help = "Copy only names below SOURCE that match; '*' also matches '/'.",
                .value_name = "GLOB"},
               filter_.include);
    flags.List({.name = "exclude",
                .help = "Do not copy names below SOURCE that match; goes before --include.",
                .value_name = "GLOB"},
               filter_.exclude);
    flags.Text({.name = "storage-class",
                .help = "Storage class at the target. Default: that of the source.",
                .value_name = "CLASS"},
               storage_class_);
    flags.Text({.name = "kms-key",
                .help = "KMS key to encrypt with at the target. Default: the bucket's encryption.",
                .value_name = "KEY"},
               kms_key_);
    flags.Integer({.name = "transfers",
                   .help = "Objects in flight at once. Default: 64.",
                   .value_name = "N",
                   .alias = "numworkers"},
                  1, 4096, in_flight_);
    flags.Switch({.name = "verbose", .help = "Name each object that was copied.", .letter = 'v'},
                 verbose_);
    store_flags_.Declare(flags, true);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, false);
    Result<OpenedAddress> target = opener.Open(target_, StoreEnd::kTarget);
    if (!target) co_return target.error();
    if (target->address.bucket.empty()) {
      co_return InvalidInput("'" + target_ + "' names no bucket");
    }
    if (sources_.size() > 1 && !target->address.folder()) {
      co_return InvalidInput("several sources need a folder as TARGET: write '" + target_ + "/'");
    }
    Progress progress(context.output(), context.runtime().clock, "copied", 0);
    TaskGroup watch(context.runtime().executor);
    watch.Spawn(progress.Watch());
    ExitCode code = ExitCode::kDone;
    std::optional<Error> failure;
    for (const std::string& text : sources_) {
      Result<OpenedAddress> source = opener.Open(text, StoreEnd::kSource);
      Result<ExitCode> done = source ? co_await CopyOne(context, *source, *target, progress)
                                     : Result<ExitCode>(source.error());
      if (!done) {
        failure = done.error();
        break;
      }
      if (*done != ExitCode::kDone) code = *done;
    }
    progress.Finish();
    Result<void> watched = co_await watch.Join();
    if (!watched) co_return watched.error();
    if (failure && totals_.listed == 0) co_return *failure;
    if (failure) {
      context.output().Problem("", *failure);
      code = ExitCodeOf(*failure);
    }
    Summarize(context.output(), progress.seconds());
    co_return code;
  }

 private:
  CopyOptions Options(RunContext& context, Progress& progress) const {
    return {.storage_class = storage_class_,
            .kms_key = kms_key_,
            .if_absent = no_clobber_,
            .stop = &context.stop(),
            .on_bytes = [&progress](uint64_t bytes) { progress.totals.bytes_done += bytes; }};
  }

  Async<ExitCode> CopyOne(RunContext& context, OpenedAddress source, OpenedAddress target,
                          Progress& progress) {
    if (source.address.bucket.empty()) {
      co_return InvalidInput("'" + source.address.text + "' names no bucket");
    }
    if (recursive_) co_return co_await CopyBelow(context, source, target, progress);
    const std::string& key = source.address.key;
    if (source.address.key.empty() ||
        (source.address.kind == CommandAddress::Kind::kLocal && source.address.folder())) {
      co_return InvalidInput("'" + source.address.text +
                             "' is a folder: add --recursive to copy what is in it");
    }
    std::string target_key = target.address.key;
    if (target.address.folder()) {
      std::string_view name = key;
      if (name.ends_with('/')) name.remove_suffix(1);
      size_t slash = name.rfind('/');
      target_key += slash == std::string_view::npos ? key : key.substr(slash + 1);
    }
    std::string from = source.address.WithKey(key);
    std::string to = target.address.WithKey(target_key);
    if (source.store == target.store && source.address.bucket == target.address.bucket &&
        key == target_key) {
      co_return InvalidInput("'" + from + "' and '" + to + "' are the same");
    }
    ++totals_.listed;
    if (dry_run_) {
      Result<ObjectInfo> info =
          co_await source.store->Head({.bucket = source.address.bucket, .key = key});
      if (!info) co_return info.error().In(from);
      Tell(context.output(), "would_copy", "would copy", from, to, info->size_bytes, "");
      co_return ExitCode::kDone;
    }
    progress.totals.objects_total = totals_.listed;
    Result<CopyOutcome> outcome = co_await CopyObject(
        context.runtime(), {.store = *source.store, .bucket = source.address.bucket, .key = key},
        {.store = *target.store, .bucket = target.address.bucket, .key = target_key},
        Options(context, progress));
    if (!outcome) {
      if (no_clobber_ && outcome.error().kind == ErrorKind::kPrecondition) {
        ++totals_.existing;
        context.output().Note(Message("skipped")
                                  .With("target", to)
                                  .With("reason", "exists")
                                  .Says("left alone, it exists: " + Printable(to)));
        co_return ExitCode::kDone;
      }
      ++totals_.failed;
      if (sources_.size() == 1) {
        totals_.listed = 0;  // The error alone says it all.
        co_return outcome.error().In(from);
      }
      context.output().Problem(from, outcome.error());
      co_return ExitCode::kSomeFailed;
    }
    ++totals_.copied;
    totals_.bytes += outcome->size_bytes;
    if (outcome->verified == Verified::kNot && !IsLocalEtag(outcome->source_etag)) {
      ++totals_.not_verified;
    }
    ++progress.totals.objects_done;
    Tell(context.output(), "copied", "copied", from, to, outcome->size_bytes,
         VerifiedBy(outcome->verified));
    co_return ExitCode::kDone;
  }

  static void Tell(Output& output, std::string_view event, std::string_view verb,
                   const std::string& from, const std::string& to, uint64_t size_bytes,
                   std::string_view verified) {
    Message message(event);
    message.With("source", from).With("target", to).With("size", size_bytes);
    if (!verified.empty()) message.With("verified", verified);
    output.Note(message.Says(std::string(verb) + " " + Printable(from) + " to " + Printable(to) +
                             " (" + FormatBytes(size_bytes) + ")"));
  }

  // Speaks while a tree is copied.
  class Observer : public TreeObserver {
   public:
    Observer(RunContext& context, Progress& progress, const CommandAddress& source,
             const CommandAddress& target, bool dry_run, bool verbose)
        : context_(context),
          progress_(progress),
          source_(source),
          target_(target),
          dry_run_(dry_run),
          verbose_(verbose) {}

    void OnListed(const ListedObject& object) override {
      ++progress_.totals.objects_total;
      progress_.totals.bytes_total += object.size_bytes;
    }
    void OnListedAll() override { progress_.totals.total_is_final = true; }
    void OnCopied(const ListedObject& object, std::string_view target_key,
                  const CopyOutcome& outcome) override {
      ++progress_.totals.objects_done;
      if (!dry_run_ && !verbose_ && !context_.output().json()) return;
      Tell(context_.output(), dry_run_ ? "would_copy" : "copied",
           dry_run_ ? "would copy" : "copied", source_.WithKey(object.key),
           target_.WithKey(target_key), outcome.size_bytes,
           dry_run_ ? "" : VerifiedBy(outcome.verified));
    }
    void OnFailed(const ListedObject& object, std::string_view, const Error& error) override {
      if (error.kind == ErrorKind::kCancelled) return;
      ++progress_.totals.objects_failed;
      context_.output().Problem(source_.WithKey(object.key), error);
    }

   private:
    RunContext& context_;
    Progress& progress_;
    const CommandAddress& source_;
    const CommandAddress& target_;
    bool dry_run_;
    bool verbose_;
  };

  Async<ExitCode> CopyBelow(RunContext& context, OpenedAddress source, OpenedAddress target,
                            Progress& progress) {
    for (CommandAddress* address : {&source.address, &target.address}) {
      if (!address->folder()) address->key += '/';
    }
    if (source.store == target.store && source.address.bucket == target.address.bucket &&
        target.address.key.starts_with(source.address.key)) {
      co_return InvalidInput("'" + target.address.text + "' lies in '" + source.address.text +
                             "': the copy would copy itself");
    }
    uint64_t listed_before = totals_.listed;
    Observer observer(context, progress, source.address, target.address, dry_run_, verbose_);
    TreeTotals totals;
    Result<void> done = co_await CopyTree(
        context.runtime(),
        {.store = *source.store, .bucket = source.address.bucket, .prefix = source.address.key},
        {.store = *target.store, .bucket = target.address.bucket, .prefix = target.address.key},
        {.copy = Options(context, progress),
         .filter = filter_,
         .in_flight = static_cast<int>(in_flight_),
         .dry_run = dry_run_},
        observer, totals);
    totals_.listed += totals.listed;
    totals_.copied += totals.copied;
    totals_.existing += totals.existing;
    totals_.failed += totals.failed;
    totals_.bytes += totals.bytes;
    totals_.not_verified += totals.not_verified;
    if (!done) co_return done.error();
    if (totals_.listed == listed_before && !source.address.key.empty() && filter_.include.empty() &&
        filter_.exclude.empty()) {
      co_return NotFound("there is nothing below '" + source.address.text + "'");
    }
    co_return totals.failed > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

  void Summarize(Output& output, double seconds) const {
    std::vector<std::pair<std::string, std::string>> rows = {
        {"copied", Counted(totals_.copied, "object") + ", " + FormatBytes(totals_.bytes)},
        {"time", FormatSeconds(seconds) + ", " +
                     FormatBytes(static_cast<uint64_t>(static_cast<double>(totals_.bytes) /
                                                       std::max(seconds, 1e-3))) +
                     "/s"}};
    if (totals_.existing > 0) rows.emplace_back("left alone", FormatCount(totals_.existing));
    if (totals_.not_verified > 0) {
      rows.emplace_back("no checksum at the source", FormatCount(totals_.not_verified));
    }
    if (totals_.failed > 0) rows.emplace_back("failed", FormatCount(totals_.failed));
    Message message("summary");
    message.With("objects", totals_.copied)
        .With("bytes", totals_.bytes)
        .With("left_alone", totals_.existing)
        .With("failed", totals_.failed)
        .With("not_verified", totals_.not_verified)
        .With("seconds", seconds);
    if (recursive_ && !dry_run_) message.Says(RenderTable(rows));
    output.Note(message);
  }

  std::vector<std::string> sources_;
  std::string target_;
  bool recursive_ = false;
  bool dry_run_ = false;
  bool no_clobber_ = false;
  bool verbose_ = false;
  NameFilter filter_;
  std::string storage_class_;
  std::string kms_key_;
  int64_t in_flight_ = 64;
  StoreFlags store_flags_;
  TreeTotals totals_;
};

}  // namespace

std::unique_ptr<Command> MakeCopyCommand() { return std::make_unique<CopyCommand>(); }

}  // namespace longhaul
