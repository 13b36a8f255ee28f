#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/listing_flags.h"
#include "cli/plan_writer.h"
#include "cli/retry_failed.h"
#include "cli/run_session.h"
#include "cli/stores.h"
#include "cli/transfer_ends.h"
#include "cli/transfer_flags.h"
#include "cli/transfer_limits.h"
#include "cli/transfer_run.h"
#include "transfer/listing/listing.h"
#include "transfer/tree/may_remove_at.h"
#include "transfer/tree/named_objects.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {

namespace {

class SyncCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "sync",
        .summary = "make a bucket, prefix or folder like another",
        .description =
            "Copies what lies below SOURCE and not, or not the same, below TARGET, between any two "
            "stores or local folders. Both are folders, with or without a '/' at the end.\n\n"
            "Two objects are the same when their sizes are and the one at SOURCE is not newer. "
            "That takes the two listings and no request for single objects. --size-only, "
            "--update, --ignore-existing and --immutable change it.\n\n"
            "With --delete, what is only at TARGET is removed, after all copies, and only when "
            "both listings have ended well and no copy has failed. Nothing is removed when SOURCE "
            "has no object, or when more than 1,000 objects and a quarter of TARGET would go; "
            "--max-delete and --max-delete-percent set other limits. What the filters leave out is "
            "not removed either. Of local folders, links to files are followed and links to "
            "folders are not: they are counted, and with --delete what lies behind one at SOURCE "
            "is not removed at TARGET but named, and the exit code is 1. The same goes with --at "
            "for an object of which SOURCE has only younger versions, none of which is the one at "
            "TARGET: what it was at that time may have expired, and be nowhere else.\n\n"
            "A SOURCE under which there is nothing is told on standard error. It is no failure: "
            "the exit code is 0, so that an empty bucket may be mirrored every night.\n\n"
            "With --target-listing TARGET is not asked what it has; what would be replaced or "
            "removed there is looked at first, and stays and is named where it is not what the "
            "listing says.\n\n"
            "With --versions whole histories are copied: the versions of a key one after the "
            "other, oldest first, and delete markers as deletes. A version that fails holds up "
            "those behind it, and the next run goes on there. Nothing is removed for good.\n\n"
            "Headers, user metadata, tags and storage class are carried; bytes are verified from "
            "the source's checksum (else its MD5 ETag) to a digest that the target's server "
            "checks.",
        .examples = {{"Mirror a folder to a bucket, and see first what would be done",
                      "longhaul sync --delete --dry-run ./photos s3://my-bucket/photos"},
                     {"Between two servers, with two sets of keys",
                      "longhaul sync --source-endpoint-url http://a:9000 --source-profile a "
                      "--target-endpoint-url http://b:9000 --target-profile b s3://x s3://y"},
                     {"A bucket with its history, to a bucket that keeps versions",
                      "longhaul sync --versions east:ledger west:ledger"},
                     {"All but temporary files, of the last week",
                      "longhaul sync --exclude '*.tmp' --max-age 7d s3://my-bucket ./copy"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kLimit, ExitCode::kDeleteGuard,
                       ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  [[nodiscard]] bool has_s5cmd_lines() const override { return true; }

  void Declare(FlagSet& flags) override {
    flags.Argument("SOURCE", "What should be there: a bucket, prefix or folder.", source_);
    flags.Argument("TARGET", "Where it should be.", target_);
    flags.Switch({.name = "dry-run",
                  .help = "Show what would be done, and change nothing.",
                  .letter = 'n',
                  .alias = "dryrun"},
                 options_.dry_run);
    verbose_.Declare(flags);
    flags.Text({.name = "plan",
                .help = "Change nothing, and write what would be done to FILE, for `longhaul "
                        "apply FILE`.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               plan_);
    at_.Declare(flags);
    versions_.Declare(flags);
    compare_.Declare(flags);
    flags.Section("LISTINGS");
    listings_.Declare(flags, true);
    filters_.Declare(flags);
    flags.Section("REMOVALS");
    flags.Switch({.name = "delete",
                  .help = "Remove what is only at TARGET, after all copies.",
                  .alias = "delete-after remove"},
                 options_.remove);
    flags.Integer({.name = "max-delete",
                   .help = "Remove nothing when more than N would go; exit 12.",
                   .value_name = "N"},
                  0, INT64_MAX, max_delete_);
    flags.Percent({.name = "max-delete-percent",
                   .help = "Remove nothing when more than this part of TARGET would go; exit 12.",
                   .value_name = "PERCENT"},
                  max_delete_percent_);
    flags.Switch(
        {.name = "delete-excluded", .help = "With --delete: also what the filters leave out."},
        options_.remove_excluded);
    flags.Switch({.name = "ignore-errors", .help = "With --delete: also when copies have failed."},
                 options_.remove_despite_failures);
    flags.Text({.name = "backup-dir",
                .help = "Where what is replaced or removed at TARGET is copied first: a place of "
                        "the same store.",
                .value_name = "ADDRESS",
                .completes = Completes::kAddresses},
               backup_);
    copies_.Declare(flags);
    limits_.Declare(flags);
    reports_.Declare(flags);
    run_flags_.Declare(flags);
    store_flags_.Declare(flags, true);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    // A report of an earlier run stands for it.
    std::error_code ignored;
    if (std::filesystem::is_regular_file(run_flags_.retry_failed, ignored)) {
      retry_failed_ = std::exchange(run_flags_.retry_failed, "");
    } else if (run_flags_.retry_failed.find_first_of("/.") != std::string::npos) {
      co_return InvalidInput("cannot read the report '" + run_flags_.retry_failed +
                             "' (--retry-failed): there is no such file");
    }
    Result<void> sound = CheckFlags();
    if (!sound) co_return sound.error();
    StoreOpener opener(context, store_flags_, true);
    LimitedStores limited(context, limits_);
    Result<OpenedAddress> source = opener.Open(source_, StoreEnd::kSource);
    if (!source) co_return source.error();
    Result<OpenedAddress> target = opener.Open(target_, StoreEnd::kTarget);
    if (!target) co_return target.error();
    sound = CheckTakesEncryption(context, *target);
    if (!sound) co_return sound.error();
    sound = CheckTakesClass(context, *target);
    if (!sound) co_return sound.error();
    const CommandAddress typed = source->address;
    sound = PrepareEnds(*source, *target);
    if (!sound) co_return sound.error();
    TruePlaces places;
    // It may write what proves it: of a plan, `apply` looks.
    if (!options_.dry_run && plan_.empty()) {
      Result<TruePlaces> found =
          co_await FindTruePlaces(context.runtime(), *source, *target, options_.remove);
      if (!found) co_return found.error();
      places = std::move(*found);
    }
    const OpenedAddress true_source = places.Of(*source);
    const OpenedAddress true_target = places.Of(*target);
    sound = CheckNotIntoItself(true_source, true_target);
    if (!sound) co_return sound.error();
    if (options_.remove && LiesIn(true_source, true_target)) {
      co_return InvalidInput("'" + source_ + "' lies in '" + target_ +
                             "': --delete would remove it");
    }
    SetOptions(context);
    options_.lands_in_source = LandsIn(true_source, true_target);
    if (at_.at) {
      sound = co_await CheckKeepsVersions(*source);
      if (!sound) co_return sound.error();
    }
    if (options_.remove) options_.is_hidden = BehindLinks(*source);
    if (!backup_.empty()) {
      Result<BackupEnd> backup = OpenBackup(opener, limited, backup_, *source, *target, places);
      if (!backup) co_return backup.error();
      options_.backup.emplace(backup->tree);
      backup_place_ = backup->place;
    }
    limited.Wrap(*source);
    limited.Wrap(*target);
    if (versions_.versions) co_return co_await MirrorVersions(context, typed, *source, *target);
    // Else what there is to do does not come of a listing of SOURCE from its beginning.
    const bool listed = (listings_.files_from + listings_.files_from_raw).empty() &&
                        (retry_failed_ + run_flags_.retry_failed + run_flags_.resume).empty();
    std::optional<std::vector<ListedObject>> failed;  // Out of a report.
    TransferRun run(
        context,
        {.verbose = verbose_.level, .dry_run = options_.dry_run, .filter = &options_.filter});
    // Named there, and not at the source.
    const auto tell_missing = [&](const Error& error, const std::string& key) {
      run.TellNotListed(*source, key, error);
    };
    if (!retry_failed_.empty()) {
      Result<std::vector<ListedObject>> objects =
          co_await ReadFailedCopies(context.runtime(), retry_failed_, source->address);
      if (!objects) co_return objects.error();
      failed = std::move(*objects);
    }
    RunSession::What what{.command = "sync",
                          .source = source_,
                          .target = target_,
                          .below = target->address.key,
                          .source_place = LastingPlace(*source),
                          .target_place = LastingPlace(*target)};
    Result<void> known = co_await Know(context, opener, *source, failed.has_value(), what);
    if (!known) co_return known.error();
    std::unique_ptr<Listing> there;
    if (TargetListed()) {
      Result<std::unique_ptr<Listing>> listing =
          co_await listings_.Open(context, opener, *target, StoreEnd::kTarget);
      if (!listing) co_return listing.error();
      there = std::move(*listing);
    }

    Result<void> opened = run.Open(reports_);
    if (!opened) co_return opened.error();
    std::optional<PlanWriter> plan;
    if (!plan_.empty()) {
      Result<PlanWriter> writer = PlanWriter::Create(plan_, HeadOfPlan(context, *source, *target));
      if (!writer) co_return writer.error();
      plan.emplace(std::move(*writer));
      run.Add(*plan);
    }
    const SystemTime at_begin = what.at;
    Result<void> remembered = co_await run.Remember(run_flags_, std::move(what));
    if (!remembered) co_return remembered.error();
    // A listing that is kept is to be whole.
    options_.leave_out_unreadable =
        !listings_.FromFile(StoreEnd::kSource) && listings_.source.save.empty();
    options_.filter = filters_.Make(run.Began(context.runtime().clock.Now()));
    std::optional<SystemTime> at;
    if (at_.at) at = run.At(at_begin);
    if (at && options_.remove) {
      options_.may_remove = [from = *source, time = *at](const std::string& name,
                                                         ListedObject there) {
        return MayRemoveAt(*from.store, from.address.bucket, from.address.key + name, time,
                           std::move(there));
      };
    }
    run.listers_max = static_cast<int>(listings_.listers);
    run.Begin();
    auto open = [&](TransferRun::Wanted wanted) {
      if (failed)
        return OpenedListing(OpenFailed(context.runtime(), *source, *failed, tell_missing));
      if (listings_.FromFile(StoreEnd::kSource) || !listings_.source.save.empty()) {
        const auto missing = [&, lines = wanted.lines](const Error& error, const std::string& key) {
          if (lines || !key.empty()) run.TellNotListed(*source, key, error);
        };
        return listings_.Open(
            context, opener, *source, StoreEnd::kSource, std::move(wanted.options), missing,
            ListingFlags::Wrong::kGoesOnUnlessNone, std::move(wanted.passed_over));
      }
      if (at) {
        return OpenedListing(OpenListingAt(context.runtime(), *source->store,
                                           source->address.bucket, source->address.key, *at,
                                           std::move(wanted.options)));
      }
      return OpenedListing(OpenListing(context.runtime(), *source->store, source->address.bucket,
                                       source->address.key, std::move(wanted.options)));
    };
    if (failed) {  // What has been written there since is to be seen.
      options_.failed_before = true;
      std::vector<std::string> names;
      for (const ListedObject& object : *failed) {
        names.push_back(object.key.substr(source->address.key.size()));
      }
      there = OpenNamedObjects(context.runtime(), *target->store, target->address.bucket,
                               target->address.key, std::move(names));
    }
    Result<void> done =
        co_await run.Transfer(*source, *target, open, true, options_, std::move(there));
    if (done && listed && FoundAtSource(run.totals) == 0) run.TellNothingFound(typed);
    if (plan && done) {
      // As of a sync itself: what has failed does not keep the others, only what is removed.
      if (run.totals.failed > 0) TellPlanLacks(context.output(), run.totals);
      done = plan->Finish(run.totals.failed, run.totals.removals_withheld);
    } else if (plan && done.error().kind == ErrorKind::kCancelled) {
      context.output().Problem(
          Message("plan_cut")
              .With("plan", plan_)
              .Says("the plan in " + Printable(plan_) + " is not complete: apply refuses it"));
    }
    co_return co_await run.Conclude(done);
  }

 private:
  void TellPlanLacks(Output& output, const SyncTotals& totals) const {
    output.Problem(Message("plan_lacks")
                       .With("plan", plan_)
                       .With("failed", totals.failed)
                       .Says("the plan in " + Printable(plan_) + " has nothing of what failed (" +
                             Counted(totals.failed, "object") + ")" +
                             (totals.removals_withheld ? ", and removes nothing" : "") +
                             ": apply does the "
                             "rest"));
  }

  // Whether the target's listing comes out of a file, or is kept in one.
  [[nodiscard]] bool TargetListed() const {
    return !(listings_.target.file + listings_.target.save).empty();
  }

  // Whether a journal is kept, of which list of names, or why not.
  Async<void> Know(RunContext& context, StoreOpener& opener, OpenedAddress source, bool of_report,
                   RunSession::What& what) {
    if (at_.at) what.at = at_.at->From(context.runtime().clock.Now());
    if (options_.dry_run) co_return Ok();
    if (of_report) {
      what.no_journal = "no journal is kept of what a report says";
    } else if (TargetListed()) {
      // What was copied behind the journal's last write would not be as that says.
      what.no_journal = "no journal is kept with the target's listing in a file";
    } else {
      co_return co_await KnowSource(context, opener, std::move(source), listings_, at_, what);
    }
    co_return Ok();
  }

  Async<ExitCode> MirrorVersions(RunContext& context, CommandAddress typed, OpenedAddress source,
                                 OpenedAddress target) {
    TransferRun run(
        context,
        {.verbose = verbose_.level, .dry_run = options_.dry_run, .filter = &options_.filter});
    Result<void> opened = run.Open(reports_);
    if (!opened) co_return opened.error();
    Result<void> remembered =
        co_await run.Remember(run_flags_, {.command = "sync",
                                           .source = source_,
                                           .target = target_,
                                           .below = target.address.key,
                                           .source_place = LastingPlace(source),
                                           .target_place = LastingPlace(target),
                                           .listing = kHistories,
                                           .journal = !options_.dry_run});
    if (!remembered) co_return remembered.error();
    run.Begin();
    Result<void> done = co_await run.TransferVersions(
        source, target, {.listers_max = static_cast<int>(listings_.listers)}, options_);
    if (done && FoundAtSource(run.totals) == 0) run.TellNothingFound(typed);
    co_return co_await run.Conclude(done);
  }

  Result<void> CheckVersionsFlags() const {
    const CompareRules& rules = compare_.rules;
    if (rules.size_only || rules.checksum || rules.ignore_times || rules.ignore_existing ||
        rules.update || rules.immutable || rules.window.count() > 0) {
      return InvalidInput("--versions compares histories: without flags of COMPARISON");
    }
    if (options_.remove || !backup_.empty()) {
      return InvalidInput(
          "--versions removes and replaces nothing: without --delete and "
          "--backup-dir");
    }
    if (at_.at || !plan_.empty()) return InvalidInput("--versions goes without --at and --plan");
    if (!retry_failed_.empty()) {
      return InvalidInput("--versions goes on with a run, and not with what a report says");
    }
    return CheckWholeHistories(listings_, filters_.Make({}));
  }

  Result<void> CheckFlags() const {
    if (versions_.versions) {
      Result<void> sound = CheckVersionsFlags();
      if (!sound) return sound;
    }
    if (!options_.remove && (max_delete_ || max_delete_percent_ >= 0 || options_.remove_excluded ||
                             options_.remove_despite_failures)) {
      return InvalidInput(
          "--max-delete, --max-delete-percent, --delete-excluded and --ignore-errors go with "
          "--delete");
    }
    if (compare_.download && !compare_.rules.checksum) {
      return InvalidInput("--download goes with --checksum");
    }
    const bool given = listings_.FromFile(StoreEnd::kSource) || !listings_.source.save.empty();
    // The journal would take what is only told, or what another source has not, for done.
    if (!(run_flags_.resume + run_flags_.retry_failed).empty() &&
        (options_.dry_run || !plan_.empty() || !retry_failed_.empty())) {
      return InvalidInput(
          "--resume and --retry-failed RUN go on with a run as it was begun: without --dry-run, "
          "--plan and reports");
    }
    if (options_.remove && listings_.FromFile(StoreEnd::kSource)) {
      return InvalidInput("--delete with a listing in a file would remove what that does not name");
    }
    if (int{at_.at.has_value()} + int{given} + int{!retry_failed_.empty()} > 1) {
      return InvalidInput("one of --at, --retry-failed and a listing in a file is enough");
    }
    if (TargetListed() && !(listings_.files_from + listings_.files_from_raw).empty()) {
      return InvalidInput("the target's listing in a file goes without --files-from");
    }
    if (TargetListed() && !(retry_failed_ + run_flags_.retry_failed + run_flags_.resume).empty()) {
      return InvalidInput(
          "the target's listing in a file goes without --resume and --retry-failed");
    }
    if (at_.at && (compare_.rules.checksum || compare_.rules.update)) {
      return InvalidInput("--at compares by size and ETag: without --checksum and --update");
    }
    if (at_.at && !plan_.empty()) {
      return InvalidInput("--plan is of what is there now: without --at");
    }
    if (!(retry_failed_ + run_flags_.retry_failed).empty() && options_.remove) {
      return InvalidInput("--retry-failed removes nothing: run sync --delete for that");
    }
    return Ok();
  }

  void SetOptions(RunContext& context) {
    const Clock& clock = context.runtime().clock;
    options_.copy = copies_.Options();
    options_.compare = compare_.rules;
    options_.compare.past = at_.at.has_value();
    options_.download = compare_.download;
    options_.filter = filters_.Make(clock.Now());
    options_.in_flight = static_cast<int>(copies_.in_flight);
    options_.target_listed_before = !listings_.target.file.empty();
    if (max_delete_) options_.guard.count_max = static_cast<uint64_t>(*max_delete_);
    if (max_delete_percent_ >= 0) options_.guard.percent_max = max_delete_percent_;
    if (!plan_.empty()) options_.dry_run = true;
    limits_.Apply(options_, clock.SteadyNow());
  }

  PlanHead HeadOfPlan(RunContext& context, const OpenedAddress& source,
                      const OpenedAddress& target) const {
    PlanHead head{.source = source_,
                  .target = target_,
                  .backup = backup_,
                  .arguments = store_flags_.Arguments(),
                  .made = FormatRfc3339(context.runtime().clock.Now()),
                  .source_place = LastingPlace(source),
                  .target_place = LastingPlace(target),
                  .backup_place = backup_place_};
    std::ranges::move(copies_.Arguments(), std::back_inserter(head.arguments));
    return head;
  }

  std::string source_;
  std::string target_;
  std::string plan_;
  RunFlags run_flags_;
  std::string retry_failed_;  // A report.
  std::string backup_;
  std::string backup_place_;
  VerboseFlag verbose_;
  CompareFlags compare_;
  FilterFlags filters_;
  CopyFlags copies_;
  AtFlag at_;
  VersionsFlag versions_;
  ListingFlags listings_;
  LimitFlags limits_;
  ReportFlags reports_;
  SyncOptions options_;
  std::optional<int64_t> max_delete_;
  double max_delete_percent_ = -1;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeSyncCommand() { return std::make_unique<SyncCommand>(); }

}  // namespace longhaul
