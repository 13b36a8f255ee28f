#include <memory>
#include <string>
#include <vector>

#include "cli/check_report.h"
#include "cli/check_root.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/listing_flags.h"
#include "cli/stores.h"
#include "cli/transfer_ends.h"
#include "cli/transfer_flags.h"
#include "transfer/tree/compare_trees.h"

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
            "Left out: the user metadata that only copies have (the mark 'longhaul' of replicas, "
            "'longhaul-version-id' and 'longhaul-version-time'), and of plain local folders all "
            "but size and bytes. Filters are asked of the object at SOURCE, or where there is "
            "none, of that at TARGET.\n\n"
            "It ends with a hash over all of each side, and with --depth of each prefix: equal "
            "hashes are equal trees. --root makes that of SOURCE alone, for two sites that cannot "
            "see each other: --save keeps the tree in a file, and --against names what differs "
            "from "
            "such a file. A hash says in its text whether it is 'full' or, with --no-metadata, of "
            "the 'listing' alone; docs/listings.md says how it is made.",
        .examples = {{"Is the copy complete?",
                      "longhaul check --config longhaul.yaml east:logs west:logs-copy"},
                     {"Compare a folder with a bucket",
                      "longhaul check ./photos s3://my-bucket/photos"},
                     {"Names, sizes and ETags only, fast",
                      "longhaul check --no-metadata s3://a s3://b"},
                     {"At one site: keep what is there",
                      "longhaul check --root --save east.tree east:logs"},
                     {"At the other: compare with that",
                      "longhaul check --root --against east.tree west:logs-copy"},
                     {"Every byte, also where ETags cannot be compared",
                      "longhaul check --download east:logs west:logs-copy"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kDifferences, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("SOURCE", "What should be there: a bucket, prefix or folder.", source_);
    flags.Argument("TARGET", "Where it should be; none with --root.", target_);
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
    flags.Integer({.name = "checkers",
                   .help = "Objects that are looked at together. Default: 64.",
                   .value_name = "N"},
                  1, 4096, in_flight_);
    flags.Text({.name = "report",
                .help = "Write each difference to this file, too, as lines of JSON.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               report_path_);
    flags.Section("HASHES");
    flags.Switch({.name = "root", .help = "Print the hash of SOURCE; there is no TARGET."}, root_);
    flags.Text({.name = "save",
                .help = "With --root: keep the tree in this file.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               root_options_.save);
    flags.Text({.name = "against",
                .help = "With --root: name what differs from the tree in this file.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               root_options_.against);
    flags.Integer({.name = "depth",
                   .help = "Levels of prefixes whose hashes are printed, too. Default: 0.",
                   .value_name = "N"},
                  0, 512, depth_);
    filters_.Declare(flags);
    listing_flags_.Declare(flags, true);
    store_flags_.Declare(flags, true);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    options_.filter = filters_.Make(context.runtime().clock.Now());
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedAddress> source = opener.Open(source_, StoreEnd::kSource);
    if (!source) co_return source.error();
    if (source->address.bucket.empty()) co_return InvalidInput("'" + source_ + "' names no bucket");
    DifferenceReport report;
    Result<void> opened = report.Open(report_path_);
    if (!opened) co_return opened.error();
    if (root_) co_return co_await RunRoot(context, opener, *source, report);
    if (!root_options_.save.empty() || !root_options_.against.empty()) {
      co_return InvalidInput("--save and --against go with --root");
    }
    if (!target_) co_return InvalidInput("TARGET is missing (or --root, for SOURCE alone)");
    Result<OpenedAddress> target = opener.Open(*target_, StoreEnd::kTarget);
    if (!target) co_return target.error();
    if (target->address.bucket.empty())
      co_return InvalidInput("'" + *target_ + "' names no bucket");
    for (const OpenedAddress* end : {&*source, &*target}) {
      if (!IsMissingFolder(*end) || (!end->address.folder() && !IsMissing(*end))) continue;
      co_return NotFound("there is no folder '" + end->address.text + "'");
    }
    Result<void> scoped = co_await Scope(*source, *target);
    if (!scoped) co_return scoped.error();

    for (StoreEnd end : {StoreEnd::kSource, StoreEnd::kTarget}) {
      Result<std::unique_ptr<Listing>> listing = co_await listing_flags_.Open(
          context, opener, end == StoreEnd::kSource ? *source : *target, end);
      if (!listing) co_return listing.error();
      (end == StoreEnd::kSource ? options_.source_listing : options_.target_listing) =
          std::move(*listing);
    }
    options_.metadata = !no_metadata_;
    options_.in_flight = static_cast<int>(in_flight_);
    options_.stop = &context.stop();
    options_.roots = true;
    co_return co_await CompareAndReport(
        context,
        {.store = *source->store, .bucket = source->address.bucket, .prefix = source->address.key},
        {.store = *target->store, .bucket = target->address.bucket, .prefix = target->address.key},
        std::move(options_), depth_, report, Message("summary"));
  }

 private:
  Async<ExitCode> RunRoot(RunContext& context, StoreOpener& opener, OpenedAddress source,
                          DifferenceReport& report) {
    if (target_) co_return InvalidInput("--root is of SOURCE alone: leave out TARGET");
    if (!source.address.folder()) source.address.key += '/';
    Result<std::unique_ptr<Listing>> listing =
        co_await listing_flags_.Open(context, opener, source, StoreEnd::kSource);
    if (!listing) co_return listing.error();
    root_options_.tree = {.mode = no_metadata_ ? TreeMode::kListing : TreeMode::kFull,
                          .download = options_.download,
                          .filter = options_.filter,
                          .in_flight = static_cast<int>(in_flight_),
                          .stop = &context.stop()};
    root_options_.depth = depth_;
    co_return co_await CheckRoot(context, opener, source, std::move(*listing), root_options_,
                                 report);
  }

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

  std::string source_;
  std::optional<std::string> target_;
  FilterFlags filters_;
  CompareOptions options_;
  bool no_metadata_ = false;
  int64_t in_flight_ = 64;
  bool root_ = false;
  RootCheckOptions root_options_;
  int64_t depth_ = 0;
  std::string report_path_;
  ListingFlags listing_flags_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCheckCommand() { return std::make_unique<CheckCommand>(); }

}  // namespace longhaul
