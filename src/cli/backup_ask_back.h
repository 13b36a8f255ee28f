// --ask-back of `backup restore`: archives that lie in GLACIER or DEEP_ARCHIVE are asked for before
// anything is restored, all at once, and what that costs is said before.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "backup/restore.h"
#include "cli/backup_common.h"
#include "cli/stores.h"

namespace longhaul {

struct AskBackFlags {
  std::optional<std::string> tier;
  int64_t days = 7;
  bool wait = false;
  std::optional<int64_t> cost_max;  // Pico-dollars.

  void Declare(FlagSet& flags);
};

// Whether the restore can begin. `archives`: the vault's store itself. OK: true when all that it
// needs can be read (or nothing is to be done, with `dry_run`); false: it was asked for and is not
// there yet, which has been told. kPrecondition: archives are away and nobody said to ask for them;
// the message has the prices. kInvalidInput: it would cost more than --max-cost, or nobody knows
// how much. kCancelled: stopped while it waited. Else as backup::FindAway and AskBack.
Async<bool> AskBackFirst(RunContext& context, const AskBackFlags& flags,
                         const StoreFlags& store_flags, const OpenedVault& vault, Store& archives,
                         backup::BackupStore& store, backup::RestoreWhat what, bool dry_run);

}  // namespace longhaul
