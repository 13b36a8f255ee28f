#include <charconv>
#include <memory>
#include <set>

#include "backup/vault_check.h"
#include "cli/backup_common.h"
#include "cli/command.h"

namespace longhaul {

namespace {

constexpr size_t kKeysSaid = 10;

std::string_view KindText(backup::VaultProblem::Kind kind) {
  switch (kind) {
    case backup::VaultProblem::Kind::kArchive:
      return "archive";
    case backup::VaultProblem::Kind::kCatalog:
      return "catalog";
    case backup::VaultProblem::Kind::kOrphan:
      return "orphan";
    case backup::VaultProblem::Kind::kUnread:
      return "unread";
  }
  return "";
}

// What to do about problems of a kind; empty: nothing can be done.
std::string_view Remedy(backup::VaultProblem::Kind kind) {
  switch (kind) {
    case backup::VaultProblem::Kind::kArchive:
      return "damaged archives: what lies outside of their damaged frames can still be restored. "
             "Nothing sends the named objects again as long as the catalog says that the vault has "
             "them. Copy each such archive to a file (`longhaul archive extract` takes out what is "
             "sound), remove it and its catalog below longhaul-catalog/ from the vault, and have "
             "the rule compare (`longhaul replicate --once`, `longhaul rules backfill`): what the "
             "source still has is kept again. Older states that this archive alone has are then "
             "in your copy, and no more in the vault";
    case backup::VaultProblem::Kind::kCatalog:
      return "catalogs: `longhaul backup catalog --rebuild` writes those that are missing or wrong "
             "anew from their archives";
    case backup::VaultProblem::Kind::kOrphan:
      return "catalogs without an archive: put the archive back where it was. If it is lost, move "
             "its catalog out of the vault as well: commands that read the vault warn until then, "
             "and the next comparison keeps again what the source still has of the named objects";
    case backup::VaultProblem::Kind::kUnread:
      return "";
  }
  return "";
}

// "1%" is 0.01.
Result<double> ParsePercent(std::string_view text) {
  double percent = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (code != std::errc() || std::string_view(end, text.data() + text.size()) != "%" ||
      !(percent >= 0 && percent <= 100)) {
    return InvalidInput("'" + std::string(text) + "' is no share: write 1% or 0.5%");
  }
  return percent / 100;
}

class BackupVerifyCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "backup verify",
        .summary = "read a backup and look for damage",
        .description =
            "Opens every archive of a vault, reads its frames against the SHA-256 that its index "
            "gives, and compares each catalog with its archive. A damaged frame is named with its "
            "archive and the keys of the objects in it; catalogs that are missing, cannot be read "
            "or say something else than their archive are named, as are catalogs whose archive is "
            "not there. What is found ends nothing; at the end it says what to do about it, and "
            "the "
            "exit code is 11.\n\n"
            "With --sample only that part of the frames is read, chosen by chance, and of each "
            "archive one at least. By --rule the index of each archive must bear a seal of the "
            "rule's keys, if it has one. What cannot be judged (archives that have to be asked "
            "back from GLACIER first, or of a newer version) is named and counted as unread, and "
            "the exit code is 1.",
        .examples = {{"All of it", "longhaul backup verify --rule app-logs --config longhaul.yaml"},
                     {"A part of it every night",
                      "longhaul backup verify west:vault/ --sample 1% --json --config "
                      "longhaul.yaml"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kDifferences, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    place_.Declare(flags, "ADDRESS", "{ADDRESS | --rule ID}",
                   "The vault: its address, or the rule whose backup it is.");
    flags.Parsed({.name = "sample",
                  .help = "The part of the frames that is read, as 1%. Default: 100%.",
                  .value_name = "PERCENT"},
                 [this](std::string_view text) -> Result<void> {
                   Result<double> sample = ParsePercent(text);
                   if (!sample) return sample.error();
                   options_.sample = *sample;
                   return Ok();
                 });
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedVault> vault = co_await OpenVault(context, opener, place_, 0, 0);
    if (!vault) co_return vault.error();
    Output& output = context.output();
    options_.seal_keys = vault->seal_keys;
    options_.stop = &context.stop();
    backup::VaultCheckTotals totals;
    std::set<backup::VaultProblem::Kind> kinds;
    Result<void> checked = co_await backup::CheckVault(
        context.runtime(),
        {.store = vault->store,
         .vault = vault->place,
         .source_bucket = vault->bucket,
         .prefix = ""},
        options_,
        [&output, &kinds](const backup::VaultProblem& problem) {
          kinds.insert(problem.kind);
          Tell(output, problem);
        },
        totals);
    if (!checked) co_return checked.error().In(vault->name());
    if (totals.archives + totals.problems == 0) {
      co_return NotFound("there is no archive of '" + vault->bucket + "' in " + vault->name());
    }
    for (const backup::VaultProblem::Kind kind : kinds) {
      const std::string remedy(Remedy(kind));
      if (remedy.empty()) continue;
      output.Problem(Message("remedy")
                         .With("kind", KindText(kind))
                         .With("message", remedy)
                         .Says("What to do about " + remedy));
    }
    std::string text = Counted(totals.archives, "archive") + ", " + FormatCount(totals.frames) +
                       " of " + Counted(totals.frames_all, "frame") + " read, " +
                       FormatBytes(totals.bytes) + ": ";
    text += totals.problems == 0 ? "sound" : Counted(totals.problems, "problem");
    if (totals.unread > 0) text += ", and " + FormatCount(totals.unread) + " not read";
    output.Print(Message("summary")
                     .With("archives", totals.archives)
                     .With("frames", totals.frames)
                     .With("frames_all", totals.frames_all)
                     .With("bytes", totals.bytes)
                     .With("problems", totals.problems)
                     .With("unread", totals.unread)
                     .Says(std::move(text)));
    if (totals.problems > 0) co_return ExitCode::kDifferences;
    co_return totals.unread > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  static void Tell(Output& output, const backup::VaultProblem& problem) {
    Message message("problem");
    message.With("kind", KindText(problem.kind)).With("file", problem.file);
    std::string text = Printable(problem.file);
    if (problem.frame) {
      message.With("frame", *problem.frame);
      text += ", frame " + std::to_string(*problem.frame);
    }
    message.With("message", problem.what).With("keys", problem.keys);
    text += ": " + Printable(problem.what);
    for (size_t i = 0; i < problem.keys.size() && i < kKeysSaid; ++i) {
      text += "\n  " + Printable(problem.keys[i]);
    }
    if (problem.keys.size() > kKeysSaid) {
      text += "\n  and " + FormatCount(problem.keys.size() - kKeysSaid) +
              (problem.keys.size() == backup::kProblemKeysMax ? " more at least" : " more");
    }
    output.Problem(message.Says(std::move(text)));
  }

  BackupFlags place_;
  StoreFlags store_flags_;
  backup::VaultCheckOptions options_;
};

}  // namespace

std::unique_ptr<Command> MakeBackupVerifyCommand() {
  return std::make_unique<BackupVerifyCommand>();
}

}  // namespace longhaul
