#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "backup/drill.h"
#include "backup/drill_note.h"
#include "backup/prune_note.h"
#include "base/units.h"
#include "cli/backends.h"
#include "cli/backup_common.h"
#include "cli/command.h"
#include "cli/transfer_flags.h"

namespace longhaul {

namespace {

constexpr int kAtOnce = 8;

using backup::DrillNote;
using backup::DrillVerdict;

class BackupDrillCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "backup drill",
        .summary = "prove that a backup gives its objects back",
        .description =
            "Restores a random sample of what a backup has to a scratch place, reads it again "
            "there, compares it, and removes it: size and SHA-256 with those of a second reading "
            "of the archive, the digests with the ETag and the checksum that the archive gives, "
            "headers, user metadata and tags. With --rule, where the source still has an object as "
            "it was archived, its bytes are compared as well.\n\n"
            "Without --to the scratch place is a new folder of the temporary files, which keeps "
            "bytes alone. With it, all is written below ADDRESS/longhaul-drill-<ULID>/, so nothing "
            "that is there is touched; a drill that is killed leaves that folder.\n\n"
            "With a configuration, when and how it ended is noted for the rules whose backup it "
            "is: `replicate` shows when each was proven last as "
            "longhaul_last_proven_restore_timestamp_seconds. An object that differs makes the exit "
            "code 11; one that cannot be restored, lines of catalogs that cannot be read, or an "
            "object that could not be removed from the scratch place make it 1.",
        .examples = {{"Prove a hundredth of what the backup of a rule has now",
                      "longhaul backup drill --rule app-logs --config longhaul.yaml"},
                     {"Twenty objects as they were, to a bucket and back out",
                      "longhaul backup drill --rule app-logs --sample 20 --at 30d --to "
                      "west:scratch/ --config longhaul.yaml"},
                     {"A prefix of a vault by its address",
                      "longhaul backup drill s3://vault/ 2026/11/ --sample 0.1%"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kDifferences, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    place_.Declare(flags, "ADDRESS|PREFIX", "{ADDRESS | --rule ID} [PREFIX]",
                   "The vault: its address, or the rule whose backup it is. PREFIX: what keys "
                   "begin with; without it all are meant.");
    at_.Declare(flags);
    flags.Parsed({.name = "sample",
                  .help = "How much of it: a number of objects, or a share like 1% or 0.01%, one "
                          "object at least. Default: 1%, and no more than 100000 objects.",
                  .value_name = "N|P%",
                  .of_environment = false},
                 [this](std::string_view text) -> Result<void> {
                   Result<backup::DrillSample> sample = backup::ParseDrillSample(text);
                   if (!sample) return sample.error();
                   sample_ = *sample;
                   return Ok();
                 });
    flags.Text({.name = "to",
                .help = "The scratch place: a bucket, a prefix or a folder, outside the vault. "
                        "Default: a folder of the temporary files ($TMPDIR, else /tmp).",
                .value_name = "ADDRESS",
                .completes = Completes::kAddresses,
                .of_environment = false},
               to_);
    compressor_.Declare(flags);
    verbose_.Declare(flags);
    store_flags_.Declare(flags, true);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedVault> vault = co_await OpenVault(context, opener, place_, 0, 1, &compressor_);
    if (!vault) co_return vault.error();
    Result<Scratch> scratch = OpenScratch(context, opener, *vault);
    if (!scratch) co_return scratch.error();
    totals_ = {};
    sampled_.clear();
    VaultTroubles troubles(context.output());
    Result<void> done = co_await DrillAll(context, opener, *vault, *scratch, troubles);
    if (scratch->folder) RemoveFolder(context.output(), *scratch->folder);
    if (!done && done.error().kind == ErrorKind::kCancelled) co_return done.error();
    // A prefix or a time that has nothing is no failure of the backup.
    const bool nothing_asked =
        totals_.of == 0 && (!vault->words.empty() || at_.at) && !done &&
        (done.error().kind == ErrorKind::kNotFound || done.error().code == backup::kPrunedCode);
    Result<void> noted;
    if (!nothing_asked) noted = co_await Note(context, *vault, troubles, done);
    if (!done) co_return WithCatalogRemedy(done.error()).In(vault->name());
    PrintSummary(context.output(), *vault, troubles);
    troubles.Finish();
    if (totals_.differ > 0) co_return ExitCode::kDifferences;
    if (!noted) co_return noted.error();
    co_return totals_.failed + totals_.left > 0 || troubles.may_miss() ? ExitCode::kSomeFailed
                                                                       : ExitCode::kDone;
  }

 private:
  struct Scratch {
    OpenedAddress end;                  // Below which all is written.
    std::optional<std::string> folder;  // A local one, of this drill alone.
  };
  struct Totals {
    uint64_t of = 0;  // Objects of the backup.
    uint64_t objects = 0;
    uint64_t bytes = 0;
    uint64_t with_source = 0;
    uint64_t differ = 0;
    uint64_t failed = 0;
    uint64_t left = 0;
    std::string reason;  // Of the first that was not as it should be.
  };

  Result<Scratch> OpenScratch(RunContext& context, StoreOpener& opener, const OpenedVault& vault) {
    Runtime& runtime = context.runtime();
    const std::string own = "longhaul-drill-" + NewUlid(runtime.clock.Now(), runtime.random) + "/";
    std::string text = to_.value_or("");
    if (!to_) {
      std::error_code error;
      text = std::filesystem::temp_directory_path(error).string();
      if (error) return InvalidInput("there is no folder for temporary files: say --to");
    }
    if (!to_) text = "file:" + text;
    if (!text.ends_with('/')) text += '/';
    Result<OpenedAddress> opened = opener.Open(text, StoreEnd::kTarget);
    if (!opened) return opened.error();
    CommandAddress& address = opened->address;
    if (address.bucket.empty()) return InvalidInput("'" + text + "' names no bucket");
    if (opened->store == vault.store && address.bucket == vault.place.bucket &&
        (address.key + own).starts_with(vault.place.prefix)) {
      return InvalidInput("'" + text + "' lies in the vault '" + vault.name() + "'");
    }
    Scratch scratch{.end = *opened, .folder = {}};
    scratch.end.address.key += own;
    if (address.kind == CommandAddress::Kind::kLocal) {
      Result<void> made = MakeFolder(scratch);
      if (!made) return made.error();
    }
    return scratch;
  }

  // For the eyes of one user alone, from before the first byte is written.
  static Result<void> MakeFolder(Scratch& scratch) {
    const std::filesystem::path folder =
        std::filesystem::path(scratch.end.address.bucket) / scratch.end.address.key;
    std::error_code error;
    std::filesystem::create_directories(folder.parent_path().parent_path(), error);
    if (!error && ::mkdir(folder.c_str(), 0700) != 0) {
      error = std::error_code(errno, std::generic_category());
    }
    if (error) return InvalidInput("cannot make '" + folder.string() + "': " + error.message());
    scratch.folder = folder.string();
    return Ok();
  }
  void RemoveFolder(Output& output, const std::string& folder) {
    std::error_code error;
    std::filesystem::remove_all(folder, error);
    if (!error) return;
    ++totals_.left;
    output.Problem(folder, Retryable("it could not be removed: " + error.message()));
  }

  Async<void> DrillAll(RunContext& context, StoreOpener& opener, const OpenedVault& vault,
                       const Scratch& scratch, VaultTroubles& troubles) {
    Runtime& runtime = context.runtime();
    Result<BackupReading> reading = co_await OpenBackupStore(context, vault);
    if (!reading) co_return reading.error();
    const SystemTime at = at_.From(runtime.clock.Now());
    prefix_ = vault.words.empty() ? "" : vault.words[0];
    if (vault.rule != nullptr) {
      // Another rule may keep what it has in the same vault.
      const std::string& all = vault.rule->source.prefix;
      if (all.starts_with(prefix_)) prefix_ = all;
      if (!prefix_.starts_with(all)) co_return NotFound("the backup has nothing to drill");
    }
    std::unique_ptr<Listing> listing =
        reading->store->OpenAt(prefix_, at, troubles.counted, troubles.told());
    Result<backup::DrillChoice> choice =
        co_await backup::ChooseForDrill(*listing, sample_, runtime.random, context.stop());
    co_await listing->Close();
    if (!choice) co_return choice.error();
    totals_.of = choice->of;
    if (choice->objects.empty()) co_return NotFound("the backup has nothing to drill");
    if (const Configuration* configuration = context.configuration()) {
      for (const Rule& rule : configuration->rules) {
        const auto of_rule = [&rule](const ListedObject& object) {
          return object.key.starts_with(rule.source.prefix);
        };
        if (std::ranges::any_of(choice->objects, of_rule)) sampled_.insert(&rule);
      }
    }
    Store* source = nullptr;
    if (vault.rule != nullptr) {
      const Address& from = vault.rule->source;
      Result<OpenedAddress> opened =
          opener.Open(from.store + ":" + from.bucket + "/", StoreEnd::kSource);
      if (!opened) co_return opened.error();
      source = opened->store;
    }
    TaskGroup drills(runtime.executor);
    uint64_t number = 0;
    for (ListedObject& object : choice->objects) {
      co_await drills.WaitBelow(kAtOnce);
      if (context.stop().is_set()) break;
      drills.Spawn(DrillOne(
          context, {.backup = reading->store.get(),
                    .bucket = vault.bucket,
                    .object = std::move(object),
                    .scratch = scratch.end.store,
                    .scratch_bucket = scratch.end.address.bucket,
                    // Not its key: no folder and no server has to bear that.
                    .scratch_key = scratch.end.address.key + std::to_string(++number),
                    .source = source,
                    .knows_headers = !vault.compressor,
                    .multipart_threshold_bytes =
                        vault.compressor ? std::optional<uint64_t>(5ULL << 30) : std::nullopt,
                    .stop = &context.stop()}));
    }
    Result<void> joined = co_await drills.Join();
    if (!joined) co_return joined.error();
    if (context.stop().is_set()) co_return Cancelled("stopped on request");
    co_return Ok();
  }

  Async<void> DrillOne(RunContext& context, backup::DrillWork work) {
    const ListedObject object = work.object;
    const std::string version_id = backup::WithoutStamp(object.version_id);
    const DrillVerdict verdict = co_await backup::DrillObject(context.runtime(), std::move(work));
    Output& output = context.output();
    if (verdict.left_behind) {
      ++totals_.left;
      output.Problem(Printable(object.key), *verdict.left_behind);
    }
    if (verdict.failure && verdict.failure->kind == ErrorKind::kCancelled) co_return Ok();
    if (verdict.failure) {
      ++totals_.failed;
      Blame(object, verdict.failure->Describe());
      output.Problem(Message("failed")
                         .With("key", object.key)
                         .With("version_id", version_id)
                         .With("error", verdict.failure->Describe())
                         .Says(Printable(object.key) +
                               ": cannot be restored: " + verdict.failure->Describe()));
      co_return Ok();
    }
    ++totals_.objects;
    totals_.bytes += verdict.bytes;
    totals_.with_source += verdict.compared_with_source ? 1 : 0;
    if (!verdict.differences.empty()) {
      ++totals_.differ;
      Blame(object, verdict.differences.front());
      for (const std::string& what : verdict.differences) {
        output.Problem(Message("differs")
                           .With("key", object.key)
                           .With("version_id", version_id)
                           .With("what", what)
                           .Says(Printable(object.key) + ": " + what));
      }
      co_return Ok();
    }
    Message proven("proven");
    proven.With("key", object.key)
        .With("size", verdict.bytes)
        .With("version_id", version_id)
        .With("compared_with_source", verdict.compared_with_source);
    if (verbose_.level > 0) proven.Says("proven: " + Printable(object.key));
    output.Note(proven);
    co_return Ok();
  }

  void Blame(const ListedObject& object, const std::string& what) {
    if (totals_.reason.empty()) totals_.reason = Printable(object.key) + ": " + what;
  }

  // For each rule of the configuration whose backup this is.
  Async<void> Note(RunContext& context, const OpenedVault& vault, const VaultTroubles& troubles,
                   const Result<void>& done) {
    const Configuration* configuration = context.configuration();
    if (configuration == nullptr) co_return Ok();
    DrillNote note{.at = context.runtime().clock.Now(),
                   .outcome = DrillNote::Outcome::kProven,
                   .objects = totals_.objects,
                   .bytes = totals_.bytes,
                   .reason = totals_.reason};
    if (totals_.failed > 0 || totals_.objects == 0 || troubles.may_miss() || !done) {
      note.outcome = DrillNote::Outcome::kFailed;
      if (!done) note.reason = done.error().Describe();
      if (note.reason.empty()) note.reason = "parts of catalogs could not be read";
    }
    if (totals_.differ > 0) note.outcome = DrillNote::Outcome::kDiffers;
    std::unique_ptr<State> state;
    for (const Rule& rule : configuration->rules) {
      for (const Target& target : rule.targets) {
        if (!IsVaultOf(vault, rule, target)) continue;
        if (!state) {
          Result<std::unique_ptr<State>> opened = co_await OpenState(
              context.runtime(), configuration->state, TellingClock(context.troubles()));
          if (!opened) co_return opened.error().In("note the drill");
          state = std::move(*opened);
        }
        note.rule = rule.id;
        note.target = target.name;
        Result<void> written = co_await backup::WriteDrillNote(*state, note);
        if (!written) co_return written.error();
      }
    }
    co_return Ok();
  }

  bool IsVaultOf(const OpenedVault& vault, const Rule& rule, const Target& target) const {
    if (vault.rule != nullptr) return &rule == vault.rule && &target == vault.target;
    // Where nothing could be chosen, it has failed for all that it was to be of.
    const bool meant = totals_.of > 0 ? sampled_.contains(&rule)
                                      : rule.source.prefix.starts_with(prefix_) ||
                                            prefix_.starts_with(rule.source.prefix);
    return meant && !vault.compressor && target.backup && target.to.store == vault.address.store &&
           target.to.bucket == vault.place.bucket && target.to.prefix == vault.place.prefix &&
           rule.source.bucket == vault.bucket;
  }

  void PrintSummary(Output& output, const OpenedVault& vault, const VaultTroubles& troubles) {
    Message summary("summary");
    summary.With("vault", vault.name())
        .With("of", totals_.of)
        .With("objects", totals_.objects)
        .With("bytes", totals_.bytes)
        .With("compared_with_source", totals_.with_source)
        .With("differ", totals_.differ)
        .With("failed", totals_.failed)
        .With("left_behind", totals_.left);
    troubles.AddTo(summary);
    std::string text = "restored and compared " + Counted(totals_.objects, "object") + " of " +
                       FormatCount(totals_.of) + ", " + FormatBytes(totals_.bytes) + "; " +
                       FormatCount(totals_.with_source) + " of them with the source too: ";
    text += totals_.differ + totals_.failed == 0
                ? "all as it was"
                : FormatCount(totals_.differ) + " differ, " + FormatCount(totals_.failed) +
                      " could not be restored";
    output.Print(summary.Says(std::move(text)));
  }

  BackupFlags place_;
  BackupTimeFlag at_;
  CompressorFlags compressor_;
  backup::DrillSample sample_{.share = 0.01};
  std::optional<std::string> to_;
  VerboseFlag verbose_;
  StoreFlags store_flags_;
  Totals totals_;
  std::string prefix_;             // What was listed.
  std::set<const Rule*> sampled_;  // With a key in the sample.
};

}  // namespace

std::unique_ptr<Command> MakeBackupDrillCommand() { return std::make_unique<BackupDrillCommand>(); }

}  // namespace longhaul
