#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/listing_flags.h"
#include "cli/output.h"
#include "cli/stores.h"
#include "cli/transfer_ends.h"
#include "cli/transfer_flags.h"
#include "cli/transfer_run.h"
#include "cli/wildcard.h"
#include "transfer/listing/listing.h"
#include "transfer/tree/remove_collected.h"
#include "transfer/tree/store_wide.h"

namespace longhaul {

namespace {

// Without a guard nobody has to wait for the end of the listing; more would only take memory and
// disk.
constexpr uint64_t kCollectedMax = 100'000;

class RemoveCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "rm",
        .summary = "remove objects and files",
        .description =
            "Removes objects; with --recursive all that lies below an address. A key that is "
            "not there is no mistake: S3 answers a delete of nothing as done. In a bucket that "
            "keeps versions an object gets a delete marker, unless --version-id names the "
            "version to remove for good, or --versions takes all of them.\n\n"
            "On a terminal --recursive asks first, unless --yes is given; elsewhere it does "
            "what it is told. With --max-delete or --max-delete-percent all is listed before "
            "anything goes, and nothing goes when there is more (exit 12), or when the listing "
            "fails; they are of one address. Folders on local disks stay, empty.\n\n"
            "With --listing each object is looked at before it is removed, and what is not as "
            "listed any more stays and is named (exit 1); what the listing has no ETag of is "
            "removed by its key. Where the listing names versions, as that of 'ls --versions "
            "--json', each of them goes for good.",
        .examples = {{"Remove an object", "longhaul rm s3://my-bucket/old.txt"},
                     {"See what would go", "longhaul rm -r --dry-run s3://my-bucket/tmp/"},
                     {"Remove logs below a prefix without asking",
                      "longhaul rm -r --yes --include '*.log' east:logs/2019/"},
                     {"Remove what is older than 90 days, but never more than half",
                      "longhaul rm -r --yes --min-age 90d --max-delete-percent 50 s3://b/tmp/"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kDeleteGuard, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }

  [[nodiscard]] bool has_s5cmd_lines() const override { return true; }

  void Declare(FlagSet& flags) override {
    flags.Arguments("ADDRESS", "Objects or files; with --recursive folders.", 1, addresses_);
    flags.Switch({.name = "recursive",
                  .help = "Remove all that lies below ADDRESS.",
                  .letter = 'r',
                  .alias = "R"},
                 recursive_);
    flags.Switch({.name = "dry-run",
                  .help = "Show what would be removed, and remove nothing.",
                  .letter = 'n',
                  .alias = "dryrun"},
                 dry_run_);
    flags.Switch({.name = "yes", .help = "Do not ask.", .letter = 'y', .alias = "force"}, yes_);
    flags.Integer({.name = "max-delete",
                   .help = "Remove nothing when more than N would go; exit 12.",
                   .value_name = "N"},
                  0, INT64_MAX, max_delete_);
    flags.Percent(
        {.name = "max-delete-percent",
         .help = "Remove nothing when more than this part of what lies below ADDRESS would "
                 "go; exit 12.",
         .value_name = "PERCENT"},
        max_delete_percent_);
    flags.Text({.name = "version-id",
                .help = "Remove this version of one object for good.",
                .value_name = "ID"},
               version_id_);
    flags.Switch({.name = "versions",
                  .help = "With --recursive: all versions and delete markers, for good.",
                  .alias = "all-versions"},
                 versions_);
    verbose_.Declare(flags);
    flags.Section("LISTINGS");
    listings_.Declare(flags, false);
    filters_.Declare(flags);
    reports_.Declare(flags, false);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    if (!version_id_.empty() && (recursive_ || addresses_.size() > 1)) {
      co_return InvalidInput("--version-id goes with one object");
    }
    if (!recursive_ && (max_delete_ || max_delete_percent_ >= 0)) {
      co_return InvalidInput("--max-delete and --max-delete-percent go with --recursive");
    }
    if (addresses_.size() > 1 && (max_delete_ || max_delete_percent_ >= 0)) {
      co_return InvalidInput(
          "--max-delete and --max-delete-percent count what lies below one ADDRESS: run it once "
          "for each");
    }
    const bool from_file = listings_.FromFile(StoreEnd::kSource);
    const bool in_file = from_file || !listings_.source.save.empty();
    if (!recursive_ && (versions_ || in_file)) {
      co_return InvalidInput("--versions and listings in files go with --recursive");
    }
    if (versions_ && in_file) {
      co_return InvalidInput("--versions asks the store: without a listing in a file");
    }
    Result<void> one_side = reports_.lists.RefuseOfBothSides(
        "rm", "has one: --report and --error tell what was done there");
    if (!one_side) co_return one_side.error();
    Result<void> one_listing = listings_.CheckOneAddress(addresses_.size());
    if (!one_listing) co_return one_listing.error();
    StoreOpener opener(context, store_flags_, true);
    for (const std::string& text : addresses_) {
      if (!versions_) break;
      Result<OpenedAddress> opened = opener.Open(text, StoreEnd::kTarget);
      Result<void> has = opened ? CheckHasVersions(*opened) : Result<void>(opened.error());
      if (!has) co_return has.error();
    }
    const ObjectFilter filter = filters_.Make(context.runtime().clock.Now());
    if (!recursive_ && !filter.empty()) co_return InvalidInput("filters go with --recursive");
    TransferRun run(
        context,
        {.verb = "removed", .verbose = verbose_.level, .dry_run = dry_run_, .filter = &filter});
    Result<void> done = run.Open(reports_);
    if (!done) co_return done.error();
    run.Begin();
    for (const std::string& text : addresses_) {
      Result<OpenedAddress> opened = opener.Open(text, StoreEnd::kTarget);
      if (opened && opened->address.bucket.empty()) {
        opened = InvalidInput("'" + text + "' names no bucket");
      }
      done = !opened      ? Result<void>(opened.error())
             : recursive_ ? co_await RemoveBelow(context, opener, *opened, filter, run)
                          : co_await RemoveOne(context, *opened, run);
      if (!done) break;
    }
    co_return co_await run.Conclude(
        done, recursive_ && !dry_run_ ? SummaryText::kRemoval : SummaryText::kNone);
  }

 private:
  Async<void> RemoveOne(RunContext& context, OpenedAddress opened, TransferRun& run) {
    const CommandAddress& address = opened.address;
    if (address.key.empty()) {
      co_return InvalidInput("'" + address.text +
                             "' is a bucket or folder: add --recursive to remove what is in it");
    }
    const ListedObject object{.key = address.key, .version_id = version_id_};
    const SyncStep step{.name = address.key, .target = &object};
    CommandAddress parent = address;
    parent.key.clear();
    run.SetEnds({.address = parent}, {.address = parent});
    Result<void> removed = co_await RemoveKey(opened);
    if (removed) {
      ++(dry_run_ ? run.totals.would_remove : run.totals.removed);
      run.observers.OnRemoved(step);
      co_return Ok();
    }
    if (addresses_.size() == 1 || IsStoreWide(removed.error())) {
      run.report().OnFailed(step, removed.error());
      co_return At(address, removed.error());  // This alone says it all.
    }
    ++run.totals.failed;
    run.observers.OnFailed(step, removed.error());
    co_return Ok();
  }

  Async<void> RemoveKey(OpenedAddress opened) {
    const CommandAddress& address = opened.address;
    // A delete of nothing is answered as done, and leaves a delete marker where versions are kept.
    if (LooksLikeWildcard(address) && version_id_.empty()) {
      Result<ObjectInfo> there =
          co_await opened.store->Head({.bucket = address.bucket, .key = address.key});
      if (!there && there.error().kind == ErrorKind::kNotFound) {
        co_return WithWildcardRemedy(there.error(), "rm --recursive", address);
      }
    }
    if (dry_run_) co_return Ok();
    co_return co_await opened.store->Remove(
        {.bucket = address.bucket, .key = address.key, .version_id = version_id_});
  }

  Async<void> RemoveBelow(RunContext& context, StoreOpener& opener, OpenedAddress opened,
                          const ObjectFilter& filter, TransferRun& run) {
    CommandAddress& address = opened.address;
    const CommandAddress typed = address;
    if (!address.folder()) address.key += '/';
    Console& console = context.console();
    if (!dry_run_ && !yes_ && console.input_is_terminal() && console.error_is_terminal()) {
      console.WriteError("Remove everything below " + Printable(address.WithKey(address.key)) +
                         "? [y/N] ");
      std::optional<std::string> answer = console.ReadLine();
      if (!answer || (*answer != "y" && *answer != "Y" && *answer != "yes")) {
        co_return Cancelled("nothing was removed");
      }
    }
    run.SetEnds(opened, opened);
    Result<std::unique_ptr<Listing>> listing = std::unique_ptr<Listing>();
    if (versions_) {
      listing = OpenVersionListing(context.runtime(), *opened.store, address.bucket, address.key);
    } else {
      listing = co_await listings_.Open(context, opener, opened, StoreEnd::kSource,
                                        {.each_version = true});
    }
    if (!listing) co_return listing.error();
    SyncRun inner(run.observers, run.totals, FailureWatch(1));
    uint64_t listed = 0;
    Result<void> done = co_await RemoveListed(context, opened, filter, **listing, inner, listed);
    co_await (*listing)->Close();
    if (done && listed == 0 && LooksLikeWildcard(typed)) {
      co_return WithWildcardRemedy(NotFound("there is nothing below '" + typed.text + "'"),
                                   "rm --recursive", typed);
    }
    if (done && listed == 0 && IsMissingFolder(opened)) {
      co_return NotFound("there is no folder '" + typed.text + "'");
    }
    // Keys of a listing are whole ones.
    if (done && listed == 0 && listings_.FromFile(StoreEnd::kSource)) run.TellNothingFound(typed);
    co_return done;
  }

  Async<void> RemoveListed(RunContext& context, OpenedAddress opened, const ObjectFilter& filter,
                           Listing& listing, SyncRun& run, uint64_t& listed) {
    const CommandAddress& address = opened.address;
    const bool guarded = max_delete_ || max_delete_percent_ >= 0;
    bool more = true;
    while (more) {
      Removals removals(context.runtime().pool);
      while (more && (guarded || removals.count() < kCollectedMax)) {
        if (context.stop().is_set()) co_return Cancelled("stopped on request");
        Result<std::optional<ListedObject>> object = co_await listing.Next();
        if (!object) co_return object.error();
        more = object->has_value();
        if (!more) break;
        ++listed;
        const SyncStep step{.name = std::string_view((*object)->key).substr(address.key.size()),
                            .target = &**object,
                            .decision = {SyncVerdict::kSkip, reason::kExcluded}};
        // A delete marker has no size. Without it what it hides, and a size keeps, would be back.
        const bool of_size = filter.size_bytes_min || filter.size_bytes_max;
        if (((*object)->is_delete_marker && of_size) || !filter.Matches(step.name, **object)) {
          ++run.totals.excluded;
          run.observer.OnExcluded(step);
          continue;
        }
        removals.Add({.key = (*object)->key,
                      .etag = (*object)->etag,
                      .version_id = (*object)->version_id,
                      .size_bytes = (*object)->size_bytes});
        if (removals.full()) {
          Result<void> spilled = co_await removals.Spill();
          if (!spilled) co_return spilled;
        }
      }
      if (guarded) {
        RemovalGuard guard;
        if (max_delete_) guard.count_max = static_cast<uint64_t>(*max_delete_);
        if (max_delete_percent_ >= 0) guard.percent_max = max_delete_percent_;
        // There is no source here whose emptiness could mean anything.
        Result<void> allowed = CheckRemovals(
            {.removals = removals.count(), .target_objects = listed, .source_objects = 1}, guard);
        if (!allowed) co_return allowed;
      }
      Result<void> removed = co_await RemoveCollected(
          context.runtime(),
          {.store = *opened.store, .bucket = address.bucket, .prefix = address.key}, removals,
          {.dry_run = dry_run_,
           .as_listed = !listings_.source.file.empty(),
           .by_key_without_etag = true,
           .compared = false,
           .copy = {.stop = &context.stop()}},
          run);
      if (!removed) co_return removed;
    }
    co_return Ok();
  }

  std::vector<std::string> addresses_;
  bool recursive_ = false;
  bool dry_run_ = false;
  bool yes_ = false;
  bool versions_ = false;
  VerboseFlag verbose_;
  ListingFlags listings_;
  FilterFlags filters_;
  ReportFlags reports_;
  std::optional<int64_t> max_delete_;
  double max_delete_percent_ = -1;
  std::string version_id_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeRemoveCommand() { return std::make_unique<RemoveCommand>(); }

}  // namespace longhaul
