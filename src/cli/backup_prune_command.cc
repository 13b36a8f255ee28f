#include <algorithm>
#include <memory>
#include <optional>

#include "backup/prune.h"
#include "base/units.h"
#include "cli/backup_common.h"
#include "cli/command.h"
#include "replication/staging/seal.h"

namespace longhaul {

namespace {

// What all rules say together that keep archives of the bucket in this vault: archives of one may
// be needed for the objects of another.
struct Sharing {
  std::chrono::milliseconds keep{0};
  std::vector<SealKey> seal_keys;
};

Result<Sharing> SharingOf(const Configuration& configuration, const OpenedVault& vault,
                          std::optional<std::chrono::milliseconds> keep) {
  Sharing sharing;
  bool all_sealed = true;
  for (const Rule& rule : configuration.rules) {
    if (rule.source.bucket != vault.bucket) continue;
    for (const Target& target : rule.targets) {
      if (!target.backup || target.to != vault.target->to) continue;
      if (!keep && !target.backup->keep) {
        return InvalidInput("rule '" + rule.id + "' keeps its archives in " + vault.name() +
                            " for ever: say backup: { keep: 35d } there, or --keep 35d here");
      }
      if (!keep)
        sharing.keep = std::max<std::chrono::milliseconds>(sharing.keep, *target.backup->keep);
      const std::vector<SealKey> keys = SealKeys(rule);
      all_sealed = all_sealed && !keys.empty();
      sharing.seal_keys.insert(sharing.seal_keys.end(), keys.begin(), keys.end());
    }
  }
  if (keep) sharing.keep = *keep;
  if (!all_sealed) sharing.seal_keys.clear();
  return sharing;
}

class BackupPruneCommand : public Command, private backup::PruneObserver {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "backup prune",
        .summary = "remove archives of a backup that are no longer needed",
        .description =
            "Removes the archives in which nothing is needed for any state of the bucket since "
            "`keep` ago: of every object what it was then and all that came after stays, as does "
            "a delete while an older state of its object lies in another archive (that goes a run "
            "later). `keep` is that of the rule's backup, or --keep; without either nothing is "
            "removed. Where several rules keep archives of one bucket in one vault, the longest "
            "`keep` counts. By --rule only the archives of that rule go.\n\n"
            "First all catalogs are read, and those that count are compared with their archives; "
            "a vault that is not whole ends the run before anything is removed. More than 1,000 "
            "archives and more than a quarter of the vault are removed only if --max-delete or "
            "--max-delete-percent allows it (exit 12). A run that breaks off has lost nothing. "
            "Before the first removal it is noted in the vault since when every state can be told: "
            "`backup restore --at` refuses an earlier time from then on. In "
            "a bucket that keeps versions all versions of an archive go for good; what Object Lock "
            "holds is named and stays, and the exit code is 1. Run it once a day, from cron or as "
            "a job of your cluster.",
        .examples = {{"What would go",
                      "longhaul backup prune --rule app-logs --dry-run --config "
                      "longhaul.yaml"},
                     {"Every night",
                      "longhaul backup prune --rule app-logs --json --config "
                      "longhaul.yaml"},
                     {"A vault by its address, for the first time in years",
                      "longhaul backup prune west:vault/ --bucket app-logs --keep 90d "
                      "--max-delete-percent 100 --config longhaul.yaml"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kDeleteGuard, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    place_.Declare(flags, "ADDRESS", "{ADDRESS | --rule ID}",
                   "The vault: its address, or the rule whose backup it is.");
    flags.Parsed({.name = "keep",
                  .help = "How long every state of the bucket can still be restored, as 35d. "
                          "Default: `keep` of the rule's backup.",
                  .value_name = "TIME"},
                 [this](std::string_view text) -> Result<void> {
                   Result<std::chrono::milliseconds> keep = ParseDuration(text);
                   if (!keep) return keep.error();
                   if (*keep < std::chrono::seconds(1)) return InvalidInput("give 1s or more");
                   keep_ = *keep;
                   return Ok();
                 });
    flags.Switch({.name = "dry-run",
                  .help = "Show what would be removed, and remove nothing.",
                  .letter = 'n'},
                 dry_run_);
    flags.Integer({.name = "max-delete",
                   .help = "Remove nothing when more than N archives would go; exit 12.",
                   .value_name = "N"},
                  0, INT64_MAX, max_delete_);
    flags.Percent({.name = "max-delete-percent",
                   .help = "Remove nothing when more than this part of the vault's archives would "
                           "go; exit 12.",
                   .value_name = "PERCENT"},
                  max_delete_percent_);
    verbose_.Declare(flags);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedVault> vault = co_await OpenVault(context, opener, place_, 0, 0);
    if (!vault) co_return vault.error();
    backup::PruneOptions options;
    options.folder = vault->bucket + "/";
    if (vault->rule == nullptr) {
      if (!keep_) {
        co_return InvalidInput(
            "say by --keep how long every state must stay, as --keep 35d, or "
            "name the --rule whose backup says it");
      }
      options.cutoff = context.runtime().clock.Now() - *keep_;
    } else {
      Result<Sharing> sharing = SharingOf(*context.configuration(), *vault, keep_);
      if (!sharing) co_return sharing.error();
      options.cutoff = context.runtime().clock.Now() - sharing->keep;
      options.seal_keys = std::move(sharing->seal_keys);
      const Target& to = *vault->target;
      options.bucket_owner = to.bucket_owner;
      options.note.sse = to.sse;
      options.note.kms_key = to.kms_key;
      options.note.bucket_key = to.bucket_key;
      options.note.acl = to.acl;
      options.note.bucket_owner = to.bucket_owner;
      // Not those of rules whose prefix goes on from this one's.
      options.folder += vault->rule->source.prefix;
      if (!options.folder.ends_with('/')) options.folder += '/';
      options.folder += "year=";
    }
    options.dry_run = dry_run_;
    options.stop = &context.stop();
    if (max_delete_) options.guard.count_max = static_cast<uint64_t>(*max_delete_);
    if (max_delete_percent_ >= 0) options.guard.percent_max = max_delete_percent_;
    output_ = &context.output();
    output_->Note(
        Message("pruning")
            .With("vault", vault->name())
            .With("bucket", vault->bucket)
            .With("since", FormatRfc3339(options.cutoff))
            .Says("keeping every state of " + vault->bucket + " since " +
                  FormatRfc3339(std::chrono::floor<std::chrono::seconds>(options.cutoff))));
    VaultTroubles troubles(*output_);
    backup::PruneTotals totals;
    Result<void> pruned = co_await backup::PruneVault(context.runtime(),
                                                      {.store = vault->store,
                                                       .vault = vault->place,
                                                       .source_bucket = vault->bucket,
                                                       .prefix = ""},
                                                      std::move(options), troubles.counted,
                                                      troubles.told(), *this, totals);
    Print(totals);
    if (!pruned) co_return WithCatalogRemedy(pruned.error()).In(vault->name());
    co_return totals.failed + totals.lost > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  void OnRemoved(const std::string& key, uint64_t size_bytes) override {
    Message message("removed");
    message.With("key", key).With("size", size_bytes).With("dry_run", dry_run_);
    if (dry_run_ || verbose_.level > 0) {
      message.Says((dry_run_ ? "would remove " : "removed ") + Printable(key));
    }
    output_->Print(message);
  }
  void OnFailed(const std::string& key, const Error& error) override {
    output_->Problem(key, error);
  }
  void OnLost(const std::string& catalog_key) override {
    output_->Problem(Message("lost")
                         .With("key", catalog_key)
                         .Says(Printable(catalog_key) +
                               ": its archive is not there, and was needed; the catalog stays"));
  }

  void Print(const backup::PruneTotals& totals) {
    std::string text = dry_run_ ? "would remove " : "removed ";
    text += Counted(totals.removed, "archive") + " of " + FormatCount(totals.archives) + ", " +
            FormatBytes(totals.removed_bytes) + " of " + FormatBytes(totals.bytes);
    if (totals.catalogs > 0) {
      text += "; and " + Counted(totals.catalogs, "catalog") + " of archives that are gone";
    }
    if (totals.failed > 0) text += "; " + FormatCount(totals.failed) + " failed";
    if (totals.lost > 0) text += "; " + FormatCount(totals.lost) + " lost";
    output_->Print(Message("summary")
                       .With("archives", totals.archives)
                       .With("bytes", totals.bytes)
                       .With("removed", totals.removed)
                       .With("removed_bytes", totals.removed_bytes)
                       .With("catalogs", totals.catalogs)
                       .With("failed", totals.failed)
                       .With("lost", totals.lost)
                       .With("dry_run", dry_run_)
                       .Says(std::move(text)));
  }

  BackupFlags place_;
  std::optional<std::chrono::milliseconds> keep_;
  bool dry_run_ = false;
  std::optional<int64_t> max_delete_;
  double max_delete_percent_ = -1;
  VerboseFlag verbose_;
  StoreFlags store_flags_;
  Output* output_ = nullptr;
};

}  // namespace

std::unique_ptr<Command> MakeBackupPruneCommand() { return std::make_unique<BackupPruneCommand>(); }

}  // namespace longhaul
