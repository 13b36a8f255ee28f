#include <memory>
#include <optional>
#include <utility>

#include "backup/restore.h"
#include "cli/backup_ask_back.h"
#include "cli/backup_common.h"
#include "cli/command.h"
#include "cli/transfer_ends.h"
#include "cli/transfer_flags.h"
#include "cli/transfer_limits.h"
#include "cli/transfer_run.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {

namespace {

class BackupRestoreCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "backup restore",
        .summary = "bring objects back from a backup",
        .description =
            "Writes the objects whose keys begin with PREFIX, as the backup has them at a time, "
            "below TARGET: any bucket, prefix or local folder, with headers, user metadata, tags "
            "and storage class. What follows the last '/' of PREFIX in a key is the name below "
            "TARGET. A PREFIX that is the whole key of an object stands for that one alone, and "
            "for "
            "nothing else with --exact; '' is all.\n\n"
            "What is at TARGET already and the same in bytes, headers, metadata and tags is left "
            "as it is, so a restore that broke off goes on when it is begun again. Where anything "
            "is there that differs, nothing is restored and the number is told, unless "
            "--overwrite says to replace it. Nothing at TARGET is ever removed.\n\n"
            "Archives are read frame by frame, of each only what is asked for. Every frame is "
            "compared with its digest, and what is written with checksum or ETag. An object that "
            "cannot be restored is named; the others are, and the exit code is 1.\n\n"
            "Archives that lie in GLACIER or DEEP_ARCHIVE cannot be read: nothing is restored "
            "then, "
            "and it is told what asking for them costs. With --ask-back they are asked for, all at "
            "once.",
        .examples = {{"A prefix as it was, to a new bucket",
                      "longhaul backup restore --rule app-logs --at 2026-11-01T00:00:00Z "
                      "2026/10/ east:recovered/ --config longhaul.yaml"},
                     {"See first what would be done",
                      "longhaul backup restore --rule app-logs --dry-run '' east:app-logs --config "
                      "longhaul.yaml"},
                     {"From GLACIER, for five dollars at most",
                      "longhaul backup restore --rule app-logs --ask-back Bulk --wait --max-cost 5 "
                      "2026/10/ east:recovered/ --config longhaul.yaml"},
                     {"One object to a folder, by the vault's address",
                      "longhaul backup restore s3://vault/ 2026/11/a.log ./recovered/"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kLimit, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    place_.Declare(flags, "ADDRESS|PREFIX|TARGET", "{ADDRESS | --rule ID} PREFIX TARGET",
                   "The vault: its address, or the rule whose backup it is. PREFIX: what keys "
                   "begin with; '' is all. TARGET: where to, a bucket, prefix or folder.");
    at_.Declare(flags);
    flags.Switch({.name = "dry-run",
                  .help = "Show what would be restored, and write nothing.",
                  .letter = 'n'},
                 options_.dry_run);
    flags.Switch(
        {.name = "exact", .help = "PREFIX is the whole key of one object, and no other is meant."},
        exact_);
    flags.Switch({.name = "overwrite", .help = "Replace what is at TARGET and differs."},
                 overwrite_);
    ask_back_.Declare(flags);
    compressor_.Declare(flags);
    verbose_.Declare(flags);
    copies_.Declare(flags);
    limits_.Declare(flags);
    reports_.Declare(flags);
    state_.Declare(flags);
    store_flags_.Declare(flags, true);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    LimitedStores limited(context, limits_);
    Result<OpenedVault> vault = co_await OpenVault(context, opener, place_, 2, 2, &compressor_);
    if (!vault) co_return vault.error();
    const std::string prefix = vault->words[0];
    if (exact_ && prefix.empty())
      co_return InvalidInput("--exact goes with a key, and it is empty");
    Result<OpenedAddress> target = opener.Open(vault->words[1], StoreEnd::kTarget);
    if (!target) co_return target.error();
    if (target->address.bucket.empty()) {
      co_return InvalidInput("'" + target->address.text + "' names no bucket");
    }
    Result<void> encrypted = CheckTakesEncryption(context, *target);
    if (!encrypted) co_return encrypted.error();
    if (!target->address.folder()) target->address.key += '/';
    if (target->store == vault->store && target->address.bucket == vault->place.bucket &&
        target->address.key.starts_with(vault->place.prefix)) {
      co_return InvalidInput("'" + target->address.text + "' lies in the vault '" + vault->name() +
                             "'");
    }
    OpenedAddress written = *target;
    written.address.key += prefix.substr(backup::RestoreFolder(prefix).size());
    Result<void> free = CheckNotInUse(context, written, Use::kRestore);
    if (!free) co_return free.error();
    // As it is: what stands before it knows nothing of archive classes.
    Store& plain = *vault->store;
    OpenedAddress archives{.address = vault->address, .store = vault->store};
    limited.Wrap(archives);
    limited.Wrap(*target);
    vault->store = archives.store;
    if (vault->compressor) vault->compressor->archives = archives.store;
    Result<BackupReading> reading = co_await OpenBackupStore(context, *vault);
    if (!reading) co_return reading.error();
    backup::BackupStore& store = *reading->store;
    OpenedAddress source{.address = vault->address, .store = &store};
    // Keys are those of the source; the vault only says where from.
    source.address.key = backup::RestoreFolder(prefix);
    SetOptions(context);
    // Its archives know no headers, and servers put some in.
    if (vault->compressor) options_.descriptions = false;
    // A range of an object means to read its archive from the beginning.
    if (vault->compressor && !options_.copy.multipart_threshold_bytes) {
      options_.copy.multipart_threshold_bytes = 5ULL << 30;
    }
    const backup::RestoreWhat what{
        .prefix = prefix, .at = at_.From(context.runtime().clock.Now()), .one_key = exact_};
    Result<bool> readable = co_await AskBackFirst(context, ask_back_, store_flags_, *vault, plain,
                                                  store, what, options_.dry_run);
    if (!readable) co_return WithCatalogRemedy(readable.error());
    if (!*readable) co_return ExitCode::kUnreachable;

    VaultTroubles troubles(context.output());
    Result<uint64_t> differing = co_await CountDiffering(context, store, *target, what);
    if (!differing) co_return WithCatalogRemedy(differing.error());
    if (*differing > 0 && !overwrite_) {
      const Error refused =
          backup::WouldReplace(*differing, target->address.text,
                               "restore to another place, or replace them with --overwrite");
      if (!options_.dry_run) co_return refused;
      context.output().Problem("", refused);
    }
    if (!overwrite_) options_.copy.if_absent = true;

    TransferRun run(context,
                    {.verb = "restored", .verbose = verbose_.level, .dry_run = options_.dry_run});
    Result<void> opened = run.Open(reports_);
    if (!opened) co_return opened.error();
    backup::RestoreTally tally;
    run.Add(tally);
    if (!options_.dry_run) {
      RunFlags flags;
      flags.state = state_;
      Result<void> remembered =
          co_await run.Remember(flags, {.command = "backup restore",
                                        .source = vault->name() + " " + prefix,
                                        .target = target->address.text,
                                        .below = target->address.key});
      if (!remembered) co_return remembered.error();
    }
    run.Begin();
    auto open = [&](const TransferRun::Wanted&) {
      return OpenedListing(backup::OpenRestored(store, what, troubles.counted, troubles.told()));
    };
    // Of a folder that does not exist yet there is none.
    std::unique_ptr<Listing> there;
    if (!IsMissingFolder(*target)) {
      there = backup::OpenRestoreTarget(context.runtime(), what, TreeOf(*target));
    }
    Result<void> done =
        co_await run.Transfer(source, *target, open, true, options_, std::move(there));
    if (!done) done = WithCatalogRemedy(done.error());
    const uint64_t found = run.totals.source_objects;
    Result<ExitCode> code = co_await run.Conclude(done);
    troubles.Finish();
    if (!code || *code != ExitCode::kDone) co_return code;
    if (tally.appeared > 0) {
      context.output().Problem(Message("appeared")
                                   .With("objects", tally.appeared)
                                   .Says(Counted(tally.appeared, "object") +
                                         " appeared at the target meanwhile, and " +
                                         (tally.appeared == 1 ? "was" : "were") + " left alone"));
      co_return ExitCode::kSomeFailed;
    }
    if (found == 0 && (at_.at || !prefix.empty())) {
      co_return NotFound("the backup has nothing" +
                         (prefix.empty() ? std::string() : " of '" + prefix + "'") +
                         (at_.at ? " at that time" : ""));
    }
    if (*differing > 0 && !overwrite_) co_return ExitCode::kSomeFailed;
    co_return troubles.may_miss() ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  static TreeTarget TreeOf(const OpenedAddress& target) {
    return {.store = *target.store, .bucket = target.address.bucket, .prefix = target.address.key};
  }

  void SetOptions(RunContext& context) {
    options_.copy = copies_.Options();
    backup::SetRestoreOptions(options_);
    options_.in_flight = static_cast<int>(copies_.in_flight);
    limits_.Apply(options_, context.runtime().clock.SteadyNow());
  }

  // How many objects at the target differ from what would be written in their place.
  Async<uint64_t> CountDiffering(RunContext& context, backup::BackupStore& store,
                                 OpenedAddress target, backup::RestoreWhat what) {
    if (overwrite_ || IsMissingFolder(target)) co_return 0;
    SyncOptions options = options_;
    options.copy.stop = &context.stop();
    Result<uint64_t> differing = co_await backup::CountDiffering(
        context.runtime(), store, std::move(what), TreeOf(target), std::move(options));
    if (!differing) co_return At(target.address, differing.error());
    co_return differing;
  }

  BackupFlags place_;
  BackupTimeFlag at_;
  CompressorFlags compressor_;
  AskBackFlags ask_back_;
  bool exact_ = false;
  bool overwrite_ = false;
  VerboseFlag verbose_;
  CopyFlags copies_;
  LimitFlags limits_;
  ReportFlags reports_;
  StateFlag state_;
  StoreFlags store_flags_;
  SyncOptions options_;
};

}  // namespace

std::unique_ptr<Command> MakeBackupRestoreCommand() {
  return std::make_unique<BackupRestoreCommand>();
}

}  // namespace longhaul
