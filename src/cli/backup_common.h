// What the commands of a backup have in common: which vault, and what is told of it.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/vault_store.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "cli/stores.h"
#include "cli/transfer_flags.h"
#include "replication/take_over/compressor_backup.h"
#include "rules/rule.h"

namespace longhaul {

class Command;

// Where a vault is: an address, or the backup of a rule.
struct BackupFlags {
  std::string rule;
  std::string target;
  std::string bucket;
  std::vector<std::string> arguments;  // All that stand without a flag.
  std::string names;                   // Theirs, with '|' between.

  // `words`: what the arguments are called together. `synopsis`: how they stand in the help, of
  // which --rule takes the place of the first.
  void Declare(FlagSet& flags, std::string_view words, std::string_view synopsis,
               std::string_view help);
};

// The bucket as it was.
struct BackupTimeFlag {
  std::optional<TimeBound> at;
  void Declare(FlagSet& flags);
  // Everything that the vault has, without the flag.
  [[nodiscard]] SystemTime From(SystemTime now) const {
    return at ? at->From(now) : SystemTime::max();
  }
};

// Backups that the cross-region compressor has kept, in place of a vault.
struct CompressorFlags {
  std::string catalog;
  bool opaque_etags = false;
  void Declare(FlagSet& flags);
};

struct OpenedVault {
  Store* store = nullptr;  // Owned by the StoreOpener.
  CommandAddress address;
  backup::VaultPlace place;
  std::string bucket;              // Of the source.
  std::vector<std::string> words;  // The arguments behind the address.
  std::vector<SealKey> seal_keys;  // Of the rule; empty: seals are not looked at.
  const Rule* rule = nullptr;      // Null where an address was given.
  const Target* target = nullptr;
  std::optional<CompressorBackupPlace> compressor{};  // Set: `place` has its archives.
  // "west:vault/": for messages.
  [[nodiscard]] std::string name() const { return address.WithKey(place.prefix); }
};

// `count_min`, `count_max`: of the words. kInvalidInput: neither an address nor a rule, a rule
// without a backup, several source buckets and none named. kNotFound: there is no backup, or none
// of the bucket that is named.
// `compressor`: of commands that can read its backups too.
Async<OpenedVault> OpenVault(RunContext& context, StoreOpener& opener, const BackupFlags& flags,
                             size_t count_min, size_t count_max,
                             const CompressorFlags* compressor = nullptr);

// What was skipped in a vault: told as it comes, counted at the end.
struct VaultTroubles {
  explicit VaultTroubles(Output& to) : output(to) {}
  Output& output;
  backup::CatalogTroubles counted{};

  [[nodiscard]] std::function<void(const std::string& what)> told();
  // Whether objects may be missing for it: lines that could not be read, archives that are gone.
  [[nodiscard]] bool may_miss() const { return counted.lines + counted.orphans > 0; }
  // Adds the numbers to a summary.
  void AddTo(Message& summary) const;
  // The sentence for people; nothing where nothing was skipped.
  void Finish() const;
};

// A part of the memory, and a VaultStore that keeps to it.
struct VaultReading {
  Reservation memory;
  std::unique_ptr<backup::VaultStore> store;
};
Async<VaultReading> OpenVaultStore(RunContext& context, const OpenedVault& vault);
// The same of whatever the vault is: also of the compressor's backups.
struct BackupReading {
  Reservation memory;
  std::unique_ptr<backup::BackupStore> store;
};
Async<BackupReading> OpenBackupStore(RunContext& context, const OpenedVault& vault);

// When a vault's version is from, to the second.
std::string StampText(const ListedObject& object);
// A catalog that is missing: with what to do about it.
Error WithCatalogRemedy(const Error& error);

std::unique_ptr<Command> MakeBackupAthenaCommand();
std::unique_ptr<Command> MakeBackupDrillCommand();
std::unique_ptr<Command> MakeBackupListCommand();
std::unique_ptr<Command> MakeBackupVersionsCommand();
std::unique_ptr<Command> MakeBackupRestoreCommand();
std::unique_ptr<Command> MakeBackupVerifyCommand();
std::unique_ptr<Command> MakeBackupPruneCommand();
std::unique_ptr<Command> MakeBackupCatalogCommand();

}  // namespace longhaul
