#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/listing_flags.h"
#include "cli/output.h"
#include "cli/s5cmd_lines.h"
#include "cli/stores.h"
#include "cli/transfer_ends.h"
#include "cli/transfer_flags.h"
#include "cli/wildcard.h"
#include "transfer/listing/listing.h"
#include "transfer/listing/page_check.h"
#include "transfer/tree/unlisted_folders.h"

namespace longhaul {

namespace {

class ListCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "ls",
        .summary = "list buckets and objects",
        .description =
            "Lists what lies below an address: objects with their time, size and name, and "
            "folders. Without --recursive only one level is listed and names are relative to "
            "the last '/' of the address; with it whole keys are printed, in byte order. An "
            "address without a bucket (s3://, NAME:) lists buckets. Whole keys are listed in "
            "parallel where the store's pages take time. Filters imply --recursive, and are of "
            "names behind the last '/' of the address.",
        .examples = {{"List the buckets", "longhaul ls s3://"},
                     {"List one level", "longhaul ls s3://my-bucket/2026/"},
                     {"List everything, with exact sizes",
                      "longhaul ls --recursive --bytes east:logs"},
                     {"What has been there for a year",
                      "longhaul ls --min-age 365d --exclude '*.keep' s3://my-bucket/logs/"},
                     {"Count and add up", "longhaul ls -r --summarize s3://my-bucket | tail -2"},
                     {"Keep a listing, for ls, du, check and sync later",
                      "longhaul ls -r --save-listing logs.zst east:logs > /dev/null"},
                     {"The bucket as it was", "longhaul ls --at 2026-03-01T00:00:00Z s3://b"},
                     {"Keys for a script", "longhaul ls -r --json s3://my-bucket | jq -r .key"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  [[nodiscard]] bool has_s5cmd_lines() const override { return true; }

  void Declare(FlagSet& flags) override {
    flags.Argument("ADDRESS", "A bucket, a prefix, a folder, or a store alone.", address_);
    flags.Switch({.name = "recursive", .help = "List all levels.", .letter = 'r', .alias = "R"},
                 recursive_);
    flags.Switch({.name = "bytes", .help = "Print sizes in bytes."}, bytes_);
    flags.Switch({.name = "versions",
                  .help = "List all versions and delete markers; implies --recursive.",
                  .alias = "all-versions"},
                 versions_);
    flags.Switch({.name = "summarize", .help = "Print number and size of all objects at the end."},
                 summarize_);
    flags.Text(
        {.name = "at",
         .help = "List the bucket as it was at this time, by its versions: 2h (ago), 2026-03-01 "
                 "or 2026-03-01T09:30:00Z; implies --recursive.",
         .value_name = "TIME",
         .alias = "rewind"},
        at_);
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
    Output& output = context.output();
    if (opened->address.bucket.empty()) co_return co_await ListBuckets(output, *opened->store);

    const CommandAddress& address = opened->address;
    if (versions_) {
      Result<void> has = CheckHasVersions(*opened);
      if (!has) co_return has.error();
    }
    listed_ = address;
    const bool from_file = listing_flags_.FromFile(StoreEnd::kSource);
    filter_ = filters_.Make(context.runtime().clock.Now());
    const bool whole = recursive_ || versions_ || at_ || from_file || !filter_.empty() ||
                       !listing_flags_.source.save.empty();
    Result<void> listed =
        whole ? co_await ListWhole(context, opener, *opened) : co_await ListLevel(context, *opened);
    if (!listed) co_return At(address, listed.error());
    if (!output.open()) co_return ExitCode::kDone;
    Message summary("summary");
    summary.With("objects", objects_).With("bytes", total_bytes_);
    if (summarize_) {
      summary.Says("\n" + Counted(objects_, "object") + ", " +
                   (bytes_ ? std::to_string(total_bytes_) : FormatBytes(total_bytes_)));
    }
    if (verbose_.level > 0) TellExcludedCount(output, excluded_);
    output.Print(summary);
    if (lines_ == 0 && missing_ == 0 && excluded_ == 0 && !address.key.empty()) {
      co_return WithWildcardRemedy(NotFound("there is nothing at '" + address.text + "'"), "ls",
                                   address);
    }
    co_return missing_ > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  // Of a page: a write for each line would cost more than the line.
  static constexpr size_t kTextBytes = 64 << 10;

  Async<void> ListLevel(RunContext& context, OpenedAddress opened) {
    Output& output = context.output();
    const CommandAddress& address = opened.address;
    ListRequest request{.bucket = address.bucket, .prefix = address.key, .delimiter = "/"};
    PageCheck check("list " + request.bucket + "/" + request.prefix, request.prefix,
                    opened.store->capabilities().sorted_listing, false);
    const size_t slash = address.key.rfind('/');
    const size_t cut = slash == std::string::npos ? 0 : slash + 1;
    do {
      Result<ListPage> page = co_await opened.store->List(request);
      if (!page) co_return page.error();
      Result<void> fine = check.Check(*page, request.token, "");
      if (!fine) co_return fine.error();
      for (const std::string& prefix : page->common_prefixes) {
        ++lines_;
        if (output.s5cmd()) {
          output.Raw(S5cmdFolder(address.WithKey(prefix)) + "\n");
          continue;
        }
        output.Print(Message("folder")
                         .With("prefix", prefix)
                         .Says(fmt::format("{:>20}  {:>12}  {}", "", "folder",
                                           Printable(prefix.substr(cut)))));
      }
      std::string text;
      for (const ListedObject& object : page->objects) Append(text, output, object, cut);
      output.Raw(text);
      request.token = page->next_token;
      if (!output.open()) co_return Ok();
      if (context.stop().is_set()) co_return Cancelled("stopped on request");
    } while (!request.token.empty());
    co_return Ok();
  }

  Async<void> ListWhole(RunContext& context, StoreOpener& opener, OpenedAddress opened) {
    Output& output = context.output();
    const CommandAddress& address = opened.address;
    const bool of_versions = versions_ || at_;
    if (of_versions &&
        (listing_flags_.FromFile(StoreEnd::kSource) || !listing_flags_.source.save.empty())) {
      co_return InvalidInput(
          "--versions and --at ask the store: they do not go with files of listings");
    }
    std::unique_ptr<Listing> listing;
    if (at_) {
      if (versions_) co_return InvalidInput("--at and --versions contradict each other");
      Result<TimeBound> bound = ParseTimeBound(*at_);
      if (!bound) co_return bound.error().In("--at");
      Result<void> kept = co_await CheckKeepsVersions(opened);
      if (!kept) co_return kept;
      listing = OpenListingAt(context.runtime(), *opened.store, address.bucket, address.key,
                              bound->From(context.runtime().clock.Now()),
                              {.listers_max = static_cast<int>(listing_flags_.listers)});
    } else if (versions_) {
      listing = OpenVersionListing(context.runtime(), *opened.store, address.bucket, address.key,
                                   {.listers_max = static_cast<int>(listing_flags_.listers)});
    } else {
      Result<std::unique_ptr<Listing>> made = co_await listing_flags_.Open(
          context, opener, opened, StoreEnd::kSource, {},
          [this, &output](const Error& error, const std::string&) {
            ++missing_;
            output.Problem("", error);
          },
          ListingFlags::Wrong::kGoesOn);
      if (!made) co_return made.error();
      listing = std::move(*made);
    }
    const size_t slash = address.key.rfind('/');
    const size_t cut = slash == std::string::npos ? 0 : slash + 1;
    std::optional<UnlistedFolders> unlisted;
    if (listing_flags_.source.save.empty()) {  // A listing that is kept is to be whole.
      unlisted.emplace(*opened.store, address.bucket, address.key.substr(0, cut), filter_);
    }
    Result<void> printed = co_await PrintAll(context, *listing, cut);
    co_await listing->Close();
    if (unlisted && output.open()) {
      unlisted->Look();
      for (const auto& [name, error] : unlisted->untold()) output.Problem("", error);
      missing_ += unlisted->untold().size();
    }
    co_return printed;
  }

  // `cut`: where names begin, for the filter.
  Async<void> PrintAll(RunContext& context, Listing& listing, size_t cut) {
    Output& output = context.output();
    std::string text;
    while (true) {
      ListedObject object;
      if (!listing.TakeReady(object)) {
        output.Raw(text);
        text.clear();
        if (!output.open()) co_return Ok();
        if (context.stop().is_set()) co_return Cancelled("stopped on request");
        Result<std::optional<ListedObject>> next = co_await listing.Next();
        if (!next) co_return next.error();
        if (!*next) co_return Ok();
        object = std::move(**next);
      }
      const std::string_view name = std::string_view(object.key).substr(cut);
      if (!filter_.Matches(name, object)) {
        ++excluded_;
        if (verbose_.level >= 2) TellExcluded(output, name, filter_, object);
        continue;
      }
      Append(text, output, object, 0);
      if (text.size() < kTextBytes) continue;
      output.Raw(text);
      text.clear();
    }
  }

  void Append(std::string& text, const Output& output, const ListedObject& object, size_t cut) {
    ++lines_;
    if (!object.is_delete_marker) {
      ++objects_;
      constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      total_bytes_ = std::min(kMost, total_bytes_ + std::min(kMost, object.size_bytes));
    }
    if (output.s5cmd()) {
      text += S5cmdObject(listed_.WithKey(object.key), object);
    } else if (output.json()) {
      text += Described(object).Json();
    } else {
      AppendLine(text, object, cut);
    }
    text += '\n';
  }

  void AppendLine(std::string& to, const ListedObject& object, size_t cut) const {
    std::string size = object.is_delete_marker ? "deleted"
                       : bytes_                ? std::to_string(object.size_bytes)
                                               : FormatBytes(object.size_bytes);
    to += TimeOf(object);  // 20 characters.
    to.append(size.size() < 12 ? 14 - size.size() : 2, ' ');
    to.append(size).append("  ").append(Printable(std::string_view(object.key).substr(cut)));
    if (versions_)
      to.append("  ").append(object.version_id).append(object.is_latest ? " (latest)" : "");
  }

  [[nodiscard]] Message Described(const ListedObject& object) const {
    Message message("object");
    message.With("key", object.key)
        .With("size", object.size_bytes)
        .With("last_modified", TimeOf(object))
        .With("etag", object.etag);
    if (!object.storage_class.empty()) message.With("storage_class", object.storage_class);
    if (versions_ || at_) {
      message.With("version_id", object.version_id)
          .With("is_latest", object.is_latest)
          .With("is_delete_marker", object.is_delete_marker);
    }
    return message;
  }

  static std::string TimeOf(const ListedObject& object) {
    return FormatRfc3339(std::chrono::floor<std::chrono::seconds>(object.last_modified));
  }

  static Async<ExitCode> ListBuckets(Output& output, Store& store) {
    Result<std::vector<BucketInfo>> buckets = co_await store.ListBuckets();
    if (!buckets) co_return buckets.error();
    for (const BucketInfo& bucket : *buckets) {
      std::string time =
          FormatRfc3339(std::chrono::time_point_cast<std::chrono::seconds>(bucket.created));
      output.Print(Message("bucket")
                       .With("bucket", bucket.name)
                       .With("created", time)
                       .Says(fmt::format("{:<20}  {}", time, Printable(bucket.name))));
    }
    output.Print(Message("summary").With("buckets", buckets->size()));
    co_return ExitCode::kDone;
  }

  std::string address_;
  CommandAddress listed_;  // The same, opened.
  bool recursive_ = false;
  bool bytes_ = false;
  bool versions_ = false;
  bool summarize_ = false;
  std::optional<std::string> at_;
  VerboseFlag verbose_;
  FilterFlags filters_;
  ObjectFilter filter_;
  ListingFlags listing_flags_;
  StoreFlags store_flags_;
  uint64_t objects_ = 0;
  uint64_t excluded_ = 0;
  uint64_t total_bytes_ = 0;
  uint64_t lines_ = 0;
  uint64_t missing_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakeListCommand() { return std::make_unique<ListCommand>(); }

}  // namespace longhaul
