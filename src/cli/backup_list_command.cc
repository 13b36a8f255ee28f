#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

#include "cli/backup_common.h"
#include "cli/command.h"

namespace longhaul {

namespace {

std::vector<ExitCode> ListingExitCodes() {
  return {ExitCode::kSomeFailed,  ExitCode::kNotFound,    ExitCode::kDenied,
          ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated};
}

// One line for each object of a listing, and what there is to say at the end.
class VaultListCommand : public Command {
 public:
  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedVault> vault =
        co_await OpenVault(context, opener, place_, words_min_, 1, &compressor_);
    if (!vault) co_return vault.error();
    VaultTroubles troubles(context.output());
    std::optional<BackupReading> reading;
    if (vault->compressor) {
      Result<BackupReading> opened = co_await OpenBackupStore(context, *vault);
      if (!opened) co_return opened.error();
      reading = std::move(*opened);
    }
    std::unique_ptr<Listing> listing =
        OpenOne(context, *vault, reading ? reading->store.get() : nullptr, troubles);
    Result<void> printed = co_await Print(context, *listing);
    co_await listing->Close();
    if (!printed) co_return WithCatalogRemedy(printed.error()).In(vault->name());
    Message summary("summary");
    summary.With("objects", objects_).With("bytes", bytes_);
    troubles.AddTo(summary);
    context.output().Print(summary.Says(Counted(objects_, "object") + ", " + FormatBytes(bytes_)));
    troubles.Finish();
    const std::string of = vault->words.empty() ? "" : vault->words[0];
    if (lines_ == 0 && (!of.empty() || of_a_time())) {
      co_return NotFound("the backup has nothing" +
                         (of.empty() ? std::string() : " of '" + of + "'") +
                         (of_a_time() ? " at that time" : ""));
    }
    co_return troubles.may_miss() ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 protected:
  explicit VaultListCommand(size_t words_min) : words_min_(words_min) {}
  // `store`: of the compressor's backups; null: a vault's, of which catalogs alone are read.
  virtual std::unique_ptr<Listing> OpenOne(RunContext& context, const OpenedVault& vault,
                                           backup::BackupStore* store, VaultTroubles& troubles) = 0;
  virtual bool Shows(const ListedObject& object) = 0;
  [[nodiscard]] virtual bool of_a_time() const { return false; }
  virtual std::string TextOf(const ListedObject& object) = 0;

  static backup::CatalogSource SourceOf(const OpenedVault& vault) {
    return {.store = vault.store,
            .vault = vault.place,
            .source_bucket = vault.bucket,
            .prefix = vault.words.empty() ? "" : vault.words[0],
            .seal_keys = vault.seal_keys};
  }

  static std::string SizeText(const ListedObject& object) {
    return object.is_delete_marker ? "deleted" : FormatBytes(object.size_bytes);
  }

  BackupFlags place_;
  CompressorFlags compressor_;
  StoreFlags store_flags_;

 private:
  Async<void> Print(RunContext& context, Listing& listing) {
    Output& output = context.output();
    while (output.open()) {
      ListedObject object;
      if (!listing.TakeReady(object)) {
        if (context.stop().is_set()) co_return Cancelled("stopped on request");
        Result<std::optional<ListedObject>> next = co_await listing.Next();
        if (!next) co_return next.error();
        if (!*next) break;
        object = std::move(**next);
      }
      if (!Shows(object)) continue;
      ++lines_;
      if (!object.is_delete_marker) {
        ++objects_;
        bytes_ += object.size_bytes;
      }
      output.Print(Message("object")
                       .With("key", object.key)
                       .With("size", object.size_bytes)
                       .With("stamp", FormatRfc3339(object.last_modified))
                       .With("etag", object.etag)
                       .With("version_id", object.version_id)
                       .With("is_latest", object.is_latest)
                       .With("is_delete_marker", object.is_delete_marker)
                       .Says(TextOf(object)));
    }
    co_return Ok();
  }

  size_t words_min_;
  uint64_t lines_ = 0;
  uint64_t objects_ = 0;
  uint64_t bytes_ = 0;
};

class BackupListCommand : public VaultListCommand {
 public:
  BackupListCommand() : VaultListCommand(0) {}

  [[nodiscard]] CommandHelp help() const override {
    return {.name = "backup ls",
            .summary = "list a bucket as a backup has it at a time",
            .description =
                "Lists the objects that a backup gives back: keys in byte order, with the time at "
                "which the source had them like this and the size. Say where the vault is by its "
                "address (the `to` of the target) or by --rule, and behind it what keys begin "
                "with, if not all are wanted. Only catalogs are read, and archives of the last ten "
                "minutes that have none yet.\n\n"
                "Lines and files of the vault that are no part of it are skipped, named and "
                "counted; when objects may be missing for that, the exit code is 1.",
            .examples = {{"What the backup of a rule has now",
                          "longhaul backup ls --rule app-logs --config longhaul.yaml"},
                         {"A prefix as it was",
                          "longhaul backup ls west:vault/ 2026/11/ --at "
                          "2026-11-01T00:00:00Z --config longhaul.yaml"},
                         {"Keys for a script", "longhaul backup ls s3://vault/ --json | jq .key"},
                         {"What AWS's cross-region compressor has kept",
                          "longhaul backup ls s3://acme-vault/ --bucket acme-in "
                          "--compressor-catalog s3://haul-111122223333-us-east-2-catalog/"}},
            .exit_codes = ListingExitCodes()};
  }

  void Declare(FlagSet& flags) override {
    place_.Declare(flags, "ADDRESS|PREFIX", "{ADDRESS | --rule ID} [PREFIX]",
                   "The vault: its address, or the rule whose backup it is. PREFIX: what keys "
                   "begin with; without it all are meant.");
    at_.Declare(flags);
    compressor_.Declare(flags);
    store_flags_.Declare(flags, false);
  }

 protected:
  std::unique_ptr<Listing> OpenOne(RunContext& context, const OpenedVault& vault,
                                   backup::BackupStore* store, VaultTroubles& troubles) override {
    const SystemTime at = at_.From(context.runtime().clock.Now());
    if (store != nullptr) {
      return store->OpenAt(SourceOf(vault).prefix, at, troubles.counted, troubles.told());
    }
    return backup::OpenVaultListing(context.runtime(), SourceOf(vault), at, troubles.counted,
                                    troubles.told());
  }
  bool Shows(const ListedObject& /*object*/) override { return true; }
  [[nodiscard]] bool of_a_time() const override { return at_.at.has_value(); }
  std::string TextOf(const ListedObject& object) override {
    return fmt::format("{}  {:>12}  {}", StampText(object), SizeText(object),
                       Printable(object.key));
  }

 private:
  BackupTimeFlag at_;
};

class BackupVersionsCommand : public VaultListCommand {
 public:
  BackupVersionsCommand() : VaultListCommand(1) {}

  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "backup versions",
        .summary = "list what a backup has of one object",
        .description =
            "Lists all states of a key that can be restored, the newest first: the time from "
            "which it was like this, its size or that it was deleted, and the archive and entry "
            "where it lies. `backup restore --at` with that time gives it back, unless it is from "
            "before the time since when the vault was pruned: then others of that time may be "
            "gone.",
        .examples = {{"All states of an object",
                      "longhaul backup versions --rule app-logs 2026/11/a.log --config "
                      "longhaul.yaml"},
                     {"The same by the vault's address",
                      "longhaul backup versions west:vault/ 2026/11/a.log --config "
                      "longhaul.yaml"}},
        .exit_codes = ListingExitCodes()};
  }

  void Declare(FlagSet& flags) override {
    place_.Declare(flags, "ADDRESS|KEY", "{ADDRESS | --rule ID} KEY",
                   "The vault: its address, or the rule whose backup it is. KEY: the whole key of "
                   "the object.");
    compressor_.Declare(flags);
    store_flags_.Declare(flags, false);
  }

 protected:
  std::unique_ptr<Listing> OpenOne(RunContext& context, const OpenedVault& vault,
                                   backup::BackupStore* store, VaultTroubles& troubles) override {
    key_ = vault.words[0];
    if (store != nullptr) return store->OpenVersions(key_, troubles.counted, troubles.told());
    return backup::OpenVaultHistory(context.runtime(), SourceOf(vault), troubles.counted,
                                    troubles.told());
  }
  bool Shows(const ListedObject& object) override { return object.key == key_; }
  std::string TextOf(const ListedObject& object) override {
    return fmt::format("{}  {:>12}  {}{}", FormatRfc3339(object.last_modified), SizeText(object),
                       object.version_id, object.is_latest ? " (latest)" : "");
  }

 private:
  std::string key_;
};

}  // namespace

std::unique_ptr<Command> MakeBackupListCommand() { return std::make_unique<BackupListCommand>(); }
std::unique_ptr<Command> MakeBackupVersionsCommand() {
  return std::make_unique<BackupVersionsCommand>();
}

}  // namespace longhaul
