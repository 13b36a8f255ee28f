// Pruning: the archives of a vault that nobody can need any more go, with their catalogs.
//
// A vault promises every state of its bucket since a time, the *cutoff*. A reading is needed for
// that unless a newer state of its key is not younger than the cutoff: then that one is the state
// at the cutoff. A delete that is the state at the cutoff is needed for as long as another archive
// has the object from before, which would come back without it: it goes a run later. An archive
// goes when nothing in it is needed, and when it was begun before the cutoff itself. Before the
// first one goes the vault notes the cutoff (backup/prune_note.h): of earlier times it tells
// nothing from then on.
//
// Nothing goes on the word of a vault that is not whole: a line or a catalog that cannot be read,
// an archive without its catalog, or one of an archive that would go, or for whose sake another
// would go, which does not say what that archive says, ends the run before it has removed anything.
// Whatever part of what may go is gone, no state since the cutoff is another one: a run that breaks
// off has lost nothing. An archive goes before its catalog, so that leaves catalogs of archives
// that nobody needed; the next run removes them first.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "archive/entry.h"
#include "backup/catalog.h"
#include "transfer/tree/removals.h"

namespace longhaul::backup {

// For so long an archive may come late: a delete hides what it brings, and segments of an object
// wait for the others. Queues keep messages for less.
inline constexpr std::chrono::hours kLateMax{15 * 24};

struct PruneOptions {
  SystemTime cutoff{};
  // Only archives in folders that begin so go; others are read, and stay.
  std::string folder{};
  bool dry_run = false;
  RemovalGuard guard{};
  std::vector<SealKey> seal_keys{};  // As of ReaderOptions.
  std::string bucket_owner{};        // As of RemoveRequest.
  PutRequest note{};                 // How the note is written.
  Event* stop = nullptr;
};

struct PruneTotals {
  uint64_t archives = 0;  // That were there.
  uint64_t bytes = 0;     // Of these.
  uint64_t removed = 0;   // Or would be.
  uint64_t removed_bytes = 0;
  uint64_t catalogs = 0;  // Of archives that are gone: removed, or would be.
  uint64_t failed = 0;    // Could not be removed; each was told.
  uint64_t lost = 0;      // Archives that are gone, and were needed; each was told.
};

class PruneObserver {
 public:
  virtual ~PruneObserver() = default;
  // `key`: of an archive, or of a catalog that has none.
  virtual void OnRemoved(const std::string& /*key*/, uint64_t /*size_bytes*/) {}
  virtual void OnFailed(const std::string& /*key*/, const Error&) {}
  // The catalog of an archive that is not there, and holds what is needed. It stays.
  virtual void OnLost(const std::string& /*catalog_key*/) {}
};

// `source.prefix` is empty: a vault is pruned by all that it has of a bucket. Where the vault keeps
// versions, all versions of what goes are removed for good. Takes some 500 bytes of memory for each
// archive of the vault.
//
// Archives in GLACIER, DEEP_ARCHIVE and archive tiers of INTELLIGENT_TIERING stay, and nothing goes
// for their sake: they cannot be read.
//
// Errors, before anything was removed: those of the store and of OpenReadings; kCorrupt: see above;
// kPrecondition with code kDeleteGuardCode: more would go than the guard lets; without it: this
// machine's clock is more than an hour from the store's (of two that differ by less the one that is
// behind counts); those of NotePruned. Afterwards: the
// store is away, or kCancelled.
Async<void> PruneVault(Runtime runtime, CatalogSource source, PruneOptions options,
                       CatalogTroubles& troubles, std::function<void(const std::string& what)> told,
                       PruneObserver& observer, PruneTotals& totals);

}  // namespace longhaul::backup
