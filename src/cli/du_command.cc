#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/listing_flags.h"
#include "cli/output.h"
#include "cli/stores.h"
#include "cli/transfer_ends.h"
#include "cli/transfer_flags.h"
#include "cli/wildcard.h"
#include "transfer/tree/unlisted_folders.h"

namespace longhaul {

namespace {

constexpr size_t kClassesMax = 64;  // More names than stores have; a hostile one may.

struct Count {
  uint64_t objects = 0;
  uint64_t bytes = 0;
  void Add(const ListedObject& object) {
    ++objects;
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    bytes = bytes > kMost - std::min(kMost, object.size_bytes) ? kMost : bytes + object.size_bytes;
  }
};

struct Usage {
  Count current;
  Count noncurrent;
  uint64_t delete_markers = 0;
  std::map<std::string, Count> classes;

  void Add(const ListedObject& object) {
    if (object.is_delete_marker) {
      ++delete_markers;
      return;
    }
    (object.is_latest ? current : noncurrent).Add(object);
    std::string name = object.storage_class.empty() ? "STANDARD" : object.storage_class;
    if (classes.size() >= kClassesMax && !classes.contains(name)) name = "(others)";
    classes[name].Add(object);
  }
};

class DiskUsageCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "du",
            .summary = "add up objects and sizes below prefixes",
            .description =
                "Counts objects and adds up their sizes below an address, for each prefix down to "
                "--depth levels of '/' and in all. With --versions also the versions that are not "
                "current, and delete markers: what a bucket is billed for. The summary names the "
                "storage classes. Filters are of names behind the last '/' of the address.",
            .examples = {{"The whole bucket", "longhaul du s3://my-bucket"},
                         {"Two levels of prefixes", "longhaul du --depth 2 s3://my-bucket/logs/"},
                         {"What old versions cost", "longhaul du --versions --depth 0 east:logs"},
                         {"What a rule for old logs would free",
                          "longhaul du --include '*.log' --min-age 90d s3://my-bucket"},
                         {"From yesterday's inventory, without asking the bucket",
                          "longhaul du --listing s3://inventories/my-bucket/daily/manifest.json "
                          "s3://my-bucket"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("ADDRESS", "A bucket, a prefix or a folder.", address_);
    flags.Integer({.name = "depth",
                   .help = "Levels of prefixes that get a line of their own. Default: 1.",
                   .value_name = "N",
                   .letter = 'd',
                   .alias = "max-depth"},
                  0, 512, depth_);
    flags.Switch({.name = "bytes", .help = "Print sizes in bytes."}, bytes_);
    flags.Switch({.name = "versions",
                  .help = "Count all versions and delete markers.",
                  .alias = "all-versions"},
                 versions_);
    verbose_.Declare(flags,
                     "Say how many objects the filters have left out; -vv names each, with the "
                     "rule that decided.");
    filters_.Declare(flags);
    listing_flags_.Declare(flags, false);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedAddress> opened = opener.Open(address_, StoreEnd::kSource);
    if (!opened) co_return opened.error();
    if (opened->address.bucket.empty()) {
      co_return InvalidInput("'" + address_ + "' names no bucket");
    }
    if (versions_ &&
        (listing_flags_.FromFile(StoreEnd::kSource) || !listing_flags_.source.save.empty())) {
      co_return InvalidInput("--versions asks the store: it does not go with files of listings");
    }
    if (versions_) {
      Result<void> has = CheckHasVersions(*opened);
      if (!has) co_return has.error();
    }
    Output& output = context.output();
    uint64_t missing = 0;
    auto on_missing = [&](const Error& error, const std::string&) {
      ++missing;
      output.Problem("", error);
    };
    // A file may name a key twice.
    const bool from_file = listing_flags_.FromFile(StoreEnd::kSource);
    const ListingOptions options{.listers_max = static_cast<int>(listing_flags_.listers),
                                 .ordered = depth_ > 0 || versions_ || from_file};
    const CommandAddress& address = opened->address;
    std::unique_ptr<Listing> listing;
    if (versions_) {
      listing = OpenVersionListing(context.runtime(), *opened->store, address.bucket, address.key,
                                   options);
    } else {
      Result<std::unique_ptr<Listing>> made =
          co_await listing_flags_.Open(context, opener, *opened, StoreEnd::kSource, options,
                                       on_missing, ListingFlags::Wrong::kGoesOn);
      if (!made) co_return made.error();
      listing = std::move(*made);
    }
    filter_ = filters_.Make(context.runtime().clock.Now());
    std::optional<UnlistedFolders> unlisted;
    if (listing_flags_.source.save.empty()) {  // A listing that is kept is to be whole.
      unlisted.emplace(*opened->store, address.bucket,
                       address.key.empty() || address.folder() ? address.key : address.key + '/',
                       filter_);
    }
    Result<void> read = co_await Read(context, address, *listing);
    co_await listing->Close();
    if (!read) co_return At(address, read.error());
    if (!output.open()) co_return ExitCode::kDone;
    if (unlisted) {
      unlisted->Look();
      for (const auto& [name, error] : unlisted->untold()) output.Problem("", error);
      missing += unlisted->untold().size();
    }
    while (!open_.empty()) PrintLast(output);
    if (verbose_.level > 0) TellExcludedCount(output, excluded_);
    Summarize(output);
    if (total_.current.objects + total_.noncurrent.objects + total_.delete_markers == 0 &&
        missing == 0 && excluded_ == 0 && !address.key.empty()) {
      co_return WithWildcardRemedy(NotFound("there is nothing at '" + address.text + "'"), "du",
                                   address);
    }
    co_return missing > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  struct Open {
    std::string prefix;
    Usage usage;
  };

  Async<void> Read(RunContext& context, const CommandAddress& address, Listing& listing) {
    const size_t slash = address.key.rfind('/');
    const size_t cut = slash == std::string::npos ? 0 : slash + 1;
    while (true) {
      ListedObject object;
      if (!listing.TakeReady(object)) {
        if (context.stop().is_set()) co_return Cancelled("stopped on request");
        Result<std::optional<ListedObject>> next = co_await listing.Next();
        if (!next) co_return next.error();
        if (!*next) co_return Ok();
        object = std::move(**next);
      }
      const std::string_view name = std::string_view(object.key).substr(cut);
      if (!filter_.Matches(name, object)) {
        ++excluded_;
        if (verbose_.level >= 2) TellExcluded(context.output(), name, filter_, object);
        continue;
      }
      total_.Add(object);
      if (depth_ > 0) Count(context.output(), object, cut);
      if (!context.output().open()) co_return Ok();
    }
  }

  // Keys come in order, so those of a prefix follow each other, and one that is left is complete.
  void Count(Output& output, const ListedObject& object, size_t cut) {
    while (!open_.empty() && !object.key.starts_with(open_.back().prefix)) PrintLast(output);
    size_t from = open_.empty() ? cut : open_.back().prefix.size();
    while (open_.size() < static_cast<size_t>(depth_)) {
      size_t slash = object.key.find('/', from);
      if (slash == std::string::npos) break;
      open_.push_back({.prefix = object.key.substr(0, slash + 1), .usage = {}});
      from = slash + 1;
    }
    for (Open& one : open_) one.usage.Add(object);
  }

  void PrintLast(Output& output) {
    const Open& last = open_.back();
    Message message = Described("prefix", last.usage);
    message.With("prefix", last.prefix);
    output.Print(message.Says(Line(last.usage, Printable(last.prefix))));
    open_.pop_back();
  }

  [[nodiscard]] std::string Size(uint64_t bytes) const {
    return bytes_ ? std::to_string(bytes) : FormatBytes(bytes);
  }

  static std::string Right(const std::string& text, size_t width) {
    return (text.size() < width ? std::string(width - text.size(), ' ') : std::string()) + text;
  }

  [[nodiscard]] std::string Line(const Usage& usage, const std::string& name) const {
    std::string line = Right(Size(usage.current.bytes), 12) + "  " +
                       Right(Counted(usage.current.objects, "object"), 18);
    if (versions_) {
      line += "  " + Right(Size(usage.noncurrent.bytes), 12) + " in " +
              Counted(usage.noncurrent.objects, "old version") + ", " +
              Counted(usage.delete_markers, "delete marker");
    }
    return line + "  " + name;
  }

  [[nodiscard]] Message Described(std::string_view event, const Usage& usage) const {
    Message message(event);
    message.With("objects", usage.current.objects).With("bytes", usage.current.bytes);
    if (versions_) {
      message.With("noncurrent_objects", usage.noncurrent.objects)
          .With("noncurrent_bytes", usage.noncurrent.bytes)
          .With("delete_markers", usage.delete_markers);
    }
    return message;
  }

  void Summarize(Output& output) const {
    const bool one_class = total_.classes.size() == 1 && total_.classes.contains("STANDARD");
    for (const auto& [name, count] : total_.classes) {
      Message message("storage_class");
      message.With("storage_class", name).With("objects", count.objects).With("bytes", count.bytes);
      if (!one_class) {
        message.Says(Right(Size(count.bytes), 12) + "  " +
                     Right(Counted(count.objects, "object"), 18) + "  of class " + Printable(name));
      }
      output.Print(message);
    }
    output.Print(Described("summary", total_).Says(Line(total_, "in all")));
  }

  std::string address_;
  int64_t depth_ = 1;
  bool bytes_ = false;
  bool versions_ = false;
  VerboseFlag verbose_;
  FilterFlags filters_;
  ObjectFilter filter_;
  ListingFlags listing_flags_;
  StoreFlags store_flags_;
  uint64_t excluded_ = 0;
  Usage total_;
  std::vector<Open> open_;  // The prefixes that the last key is in, the outermost first.
};

}  // namespace

std::unique_ptr<Command> MakeDiskUsageCommand() { return std::make_unique<DiskUsageCommand>(); }

}  // namespace longhaul
