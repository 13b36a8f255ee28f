#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
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

// Names of a list that are not there. What one side alone lacks the comparison finds, and what both
// lack it would never hear of: that is told here, once.
class AbsentNames {
 public:
  // `filter`: what it leaves out is not looked for either.
  AbsentNames(Output& output, DifferenceReport& report, const ObjectFilter& filter)
      : output_(output), report_(report), filter_(filter) {}

  // `file`: the list that both ends are read from; empty: each has its own, or there is one end.
  MissingKey Of(StoreEnd end, std::string file, std::string prefix) {
    return [this, end, file = std::move(file), prefix = std::move(prefix)](const Error& error,
                                                                           const std::string& key) {
      const std::string_view name = std::string_view(key).substr(prefix.size());
      if (filter_.MatchesName(name)) Missing(end, file, name, error);
    };
  }
  [[nodiscard]] const ListGaps& gaps() const { return gaps_; }

  NameLists* lists = nullptr;  // Borrowed; null: none is wanted.

 private:
  void Missing(StoreEnd end, const std::string& file, std::string_view name, const Error& error) {
    const std::optional<size_t> line = LineOf(file, error.message);
    if (error.kind != ErrorKind::kNotFound || !line) {
      ++gaps_.failed;
      report_.Add(Message("failed").With("reason", error.Describe()));
      output_.Problem("", error);
      return;
    }
    std::vector<bool>& here = end == StoreEnd::kSource ? at_source_ : at_target_;
    const std::vector<bool>& there = end == StoreEnd::kSource ? at_target_ : at_source_;
    if (*line >= there.size() || !there[*line]) {
      if (here.size() <= *line) here.resize(*line + 1);
      here[*line] = true;
      return;
    }
    ++gaps_.nowhere;
    const Error nowhere = error.In("at neither side");
    report_.Add(Message("nowhere").With("line", *line).With("reason", nowhere.Describe()));
    if (lists != nullptr) lists->Add(NameLists::Sign::kError, name);
    output_.Problem("", nowhere);
  }

  // "FILE line N: ..." of an error about a line.
  static std::optional<size_t> LineOf(const std::string& file, std::string_view message) {
    const std::string before = file + " line ";
    if (file.empty() || !message.starts_with(before)) return std::nullopt;
    message.remove_prefix(before.size());
    size_t line = 0;
    const char* const last = message.data() + message.size();
    const auto [end, wrong] = std::from_chars(message.data(), last, line);
    if (wrong != std::errc() || end == last || *end != ':' || line > kLinesMax) return std::nullopt;
    return line;
  }

  static constexpr size_t kLinesMax = size_t{1} << 33;  // A bit of memory for each.

  Output& output_;
  DifferenceReport& report_;
  const ObjectFilter& filter_;
  std::vector<bool> at_source_;  // By number of the line: it is missing there.
  std::vector<bool> at_target_;
  ListGaps gaps_;
};

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
            "Where nothing is found below either address the exit code is 3, since a mistyped "
            "prefix looks like that; of empty buckets and folders, and where filters leave out "
            "all, it is told and the exit code is 0. A name of --files-from that neither side has "
            "is told and counts as different.\n\n"
            "It ends with a hash over all of each side, and with --depth of each prefix: equal "
            "hashes are equal trees. Files of a local folder are hashed with --download alone, "
            "which reads them; --no-metadata then makes hashes that a bucket has, too. --root "
            "makes that of SOURCE alone, for two sites that cannot "
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
    flags.Switch(
        {.name = "storage-class", .help = "Compare storage classes too.", .of_environment = false},
        options_.storage_class);
    flags.Switch({.name = "one-way",
                  .help = "What is only at the target is no difference; with --root --against, "
                          "what is only at SOURCE and not in the file."},
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
    lists_.Declare(flags);
    verbose_.Declare(flags,
                     "Name each object that is equal; -vv also those that the filters leave out, "
                     "with the rule that decided.");
    flags.Section("HASHES");
    flags.Switch({.name = "root",
                  .help = "Print the hash of SOURCE; there is no TARGET.",
                  .of_environment = false},
                 root_);
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
    const ObjectFilter filter = options_.filter;
    AbsentNames absent(context.output(), report, filter);
    if (root_) co_return co_await RunRoot(context, opener, *source, report, absent);
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
    NameLists lists(context.output());
    opened = lists.Open(lists_);
    if (!opened) co_return opened.error();
    absent.lists = &lists;
    const CommandAddress typed_source = source->address;
    const CommandAddress typed_target = target->address;
    Result<void> scoped = co_await Scope(*source, *target);
    if (!scoped) co_return scoped.error();

    for (StoreEnd end : {StoreEnd::kSource, StoreEnd::kTarget}) {
      const OpenedAddress& opened_end = end == StoreEnd::kSource ? *source : *target;
      // Of one object nothing that its key begins, as "k" does "k.old".
      ListingOptions options;
      if (!opened_end.address.folder()) options.up_to = opened_end.address.key;
      // A name that goes on without being looked at at one end would be one that this end lacks.
      Result<std::unique_ptr<Listing>> listing = co_await listing_flags_.Open(
          context, opener, opened_end, end, std::move(options),
          absent.Of(end, listing_flags_.files_from + listing_flags_.files_from_raw,
                    opened_end.address.key),
          ListingFlags::Wrong::kEnds);
      if (!listing) co_return listing.error();
      (end == StoreEnd::kSource ? options_.source_listing : options_.target_listing) =
          std::move(*listing);
    }
    options_.metadata = !no_metadata_;
    // A listing that is kept is to be whole.
    options_.leave_out_unreadable =
        (listing_flags_.source.save + listing_flags_.target.save).empty();
    options_.in_flight = static_cast<int>(in_flight_);
    options_.stop = &context.stop();
    options_.roots = true;
    co_return co_await CompareAndReport(
        context,
        {.store = *source->store, .bucket = source->address.bucket, .prefix = source->address.key},
        {.store = *target->store, .bucket = target->address.bucket, .prefix = target->address.key},
        std::move(options_),
        {.depth = depth_,
         .verbose = verbose_.level,
         .filter = &filter,
         .lists = &lists,
         .gaps = &absent.gaps(),
         .source = &typed_source,
         .target = &typed_target},
        report, Message("summary"));
  }

 private:
  Async<ExitCode> RunRoot(RunContext& context, StoreOpener& opener, OpenedAddress source,
                          DifferenceReport& report, AbsentNames& absent) {
    if (target_) co_return InvalidInput("--root is of SOURCE alone: leave out TARGET");
    Result<void> one_side = lists_.RefuseOfBothSides(
        "--root", "has one: --report tells what differs from the tree of --against");
    if (!one_side) co_return one_side.error();
    if (options_.storage_class ||
        !(listing_flags_.target.file + listing_flags_.target.save).empty()) {
      co_return InvalidInput(
          "--storage-class, --target-listing and --save-target-listing are of two sides: they go "
          "without --root");
    }
    if (options_.one_way && root_options_.against.empty()) {
      co_return InvalidInput("--one-way goes with TARGET, or with --root --against");
    }
    root_options_.one_way = options_.one_way;
    if (!lists_.error.empty()) co_return InvalidInput("--error goes without --root: see --report");
    if (IsMissingFolder(source) && (source.address.folder() || IsMissing(source))) {
      co_return NotFound("there is no folder '" + source.address.text + "'");
    }
    root_options_.typed = source.address;
    root_options_.verbose = verbose_.level;
    root_options_.gaps = &absent.gaps();
    if (!source.address.folder()) source.address.key += '/';
    Result<std::unique_ptr<Listing>> listing = co_await listing_flags_.Open(
        context, opener, source, StoreEnd::kSource, {},
        absent.Of(StoreEnd::kSource, "", source.address.key), ListingFlags::Wrong::kEnds);
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

  // Both sides are folders, unless SOURCE is one object: then TARGET is one too. `sync` takes the
  // same words for folders, so that they may not mean one object beside a folder of its name.
  static Async<void> Scope(OpenedAddress& source, OpenedAddress& target) {
    if (!source.address.folder() && !target.address.folder()) {
      Result<ObjectInfo> one =
          co_await source.store->Head({.bucket = source.address.bucket, .key = source.address.key});
      if (one) {
        for (const OpenedAddress* end : {&source, &target}) {
          Result<ListPage> below = co_await end->store->List(
              {.bucket = end->address.bucket, .prefix = end->address.key + "/", .count_max = 1});
          if (!below && below.error().Transient()) co_return below.error();
          if (!below || below->objects.empty()) continue;
          co_return InvalidInput("'" + end->address.text + "' is a folder, and '" +
                                 source.address.text + "' is an object, too: write '/' behind " +
                                 "both for what is below them");
        }
        // The prefixes are then the whole keys, and what follows them is empty.
        co_return Ok();
      }
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
  NameListFlags lists_;
  VerboseFlag verbose_;
  ListingFlags listing_flags_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCheckCommand() { return std::make_unique<CheckCommand>(); }

}  // namespace longhaul
