#include <memory>

#include "backup/vault_check.h"
#include "cli/backup_common.h"
#include "cli/command.h"

namespace longhaul {

namespace {

class BackupCatalogCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "backup catalog",
        .summary = "write the catalogs of a backup anew",
        .description =
            "With --rebuild, writes the catalogs of a vault that are missing, cannot be read, or "
            "do not say what their archives say. Every archive is opened for that, and those that "
            "lack a sound catalog are read as a whole. Archives are never changed.\n\n"
            "Where frames of an archive are damaged its catalog is written all the same, without "
            "the keys and ETags that these frames alone tell: what is sound can be restored, and "
            "the next comparison of the rule sends again what the source still has. Such archives "
            "are named, as are those that cannot be opened, and the exit code is 1. With --rule "
            "the "
            "catalogs are encrypted as the target says, else as the bucket does.",
        .examples = {{"What would be written",
                      "longhaul backup catalog --rebuild --rule app-logs --dry-run --config "
                      "longhaul.yaml"},
                     {"All catalogs of a bucket are lost",
                      "longhaul backup catalog --rebuild west:vault/ --bucket app-logs --config "
                      "longhaul.yaml"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    place_.Declare(flags, "ADDRESS", "{ADDRESS | --rule ID}",
                   "The vault: its address, or the rule whose backup it is.");
    flags.Switch({.name = "rebuild", .help = "Write catalogs from the archives."}, rebuild_);
    flags.Switch({.name = "all", .help = "Also those that are sound."}, options_.all);
    flags.Switch({.name = "dry-run",
                  .help = "Show what would be written, and write nothing.",
                  .letter = 'n'},
                 options_.dry_run);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    if (!rebuild_) co_return InvalidInput("say --rebuild to write catalogs anew");
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedVault> vault = co_await OpenVault(context, opener, place_, 0, 0);
    if (!vault) co_return vault.error();
    Output& output = context.output();
    options_.seal_keys = vault->seal_keys;
    options_.stop = &context.stop();
    if (vault->target != nullptr) {
      const Target& to = *vault->target;
      options_.request.sse = to.sse;
      options_.request.kms_key = to.kms_key;
      options_.request.bucket_key = to.bucket_key;
      options_.request.acl = to.acl;
      options_.request.bucket_owner = to.bucket_owner;
    }
    const bool dry_run = options_.dry_run;
    backup::RebuildTotals totals;
    Result<void> rebuilt = co_await backup::RebuildCatalogs(
        context.runtime(),
        {.store = vault->store,
         .vault = vault->place,
         .source_bucket = vault->bucket,
         .prefix = ""},
        options_,
        [&output, dry_run](const std::string& key, const Result<void>& result) {
          if (!result) {
            output.Problem(key, result.error());
            return;
          }
          output.Print(Message("catalog")
                           .With("key", key)
                           .With("dry_run", dry_run)
                           .Says((dry_run ? "would write " : "wrote ") + Printable(key)));
        },
        totals);
    if (!rebuilt) co_return rebuilt.error().In(vault->name());
    if (totals.archives == 0) {
      co_return NotFound("there is no archive of '" + vault->bucket + "' in " + vault->name());
    }
    std::string text = Counted(totals.archives, "archive") + ": " +
                       Counted(totals.sound, "catalog") + " sound, " + FormatCount(totals.written) +
                       (dry_run ? " to write" : " written");
    if (totals.damaged > 0) text += ", " + FormatCount(totals.damaged) + " archives damaged";
    if (totals.failed > 0) text += ", " + FormatCount(totals.failed) + " failed";
    output.Print(Message("summary")
                     .With("archives", totals.archives)
                     .With("sound", totals.sound)
                     .With("written", totals.written)
                     .With("damaged", totals.damaged)
                     .With("failed", totals.failed)
                     .With("dry_run", dry_run)
                     .Says(std::move(text)));
    co_return totals.damaged + totals.failed > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  BackupFlags place_;
  bool rebuild_ = false;
  StoreFlags store_flags_;
  backup::RebuildOptions options_;
};

}  // namespace

std::unique_ptr<Command> MakeBackupCatalogCommand() {
  return std::make_unique<BackupCatalogCommand>();
}

}  // namespace longhaul
