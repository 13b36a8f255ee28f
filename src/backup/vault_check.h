// Whether what a vault holds is sound: frames against their digests, catalogs against archives; and
// catalogs made anew from archives.
//
// Both look at what is there when they begin. What comes meanwhile is not missed by anyone, and
// what is pruned meanwhile is not either.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "archive/reader.h"
#include "backup/catalog.h"

namespace longhaul::backup {

struct VaultProblem {
  enum class Kind {
    kArchive,  // It is damaged, in `frame` or as a whole.
    kCatalog,  // It is missing, cannot be read, or says something else than its archive.
    kOrphan,   // A catalog whose archive is not there.
    kUnread,   // Nothing is known of it: in a class that nothing is read from at once, of a newer
               // version, without the seal that is asked for.
  };
  Kind kind = Kind::kArchive;
  std::string file;             // The key in the vault of the archive or the catalog.
  std::optional<size_t> frame;  // None: as a whole.
  std::string what;
  std::vector<std::string> keys;  // Of the objects that are concerned, kProblemKeysMax at most.
};
inline constexpr size_t kProblemKeysMax = 1000;

struct VaultCheckTotals {
  uint64_t archives = 0;
  uint64_t frames = 0;  // That were read.
  uint64_t frames_all = 0;
  uint64_t bytes = 0;     // Of these frames, as they are stored.
  uint64_t problems = 0;  // Each was told, as was each of the next.
  uint64_t unread = 0;
};

struct VaultCheckOptions {
  // The part of the frames that is read, by chance; of each archive one at least.
  double sample = 1;
  std::vector<SealKey> seal_keys{};  // As of ReaderOptions.
  Event* stop = nullptr;
};

// Opens every archive of the source bucket, reads frames, and sees whether its catalog has all its
// states of objects. `source.prefix` is empty. A problem does not end the search. Errors: those of
// the surroundings; kCancelled.
Async<void> CheckVault(Runtime runtime, CatalogSource source, VaultCheckOptions options,
                       std::function<void(const VaultProblem& problem)> told,
                       VaultCheckTotals& totals);

struct RebuildTotals {
  uint64_t archives = 0;
  uint64_t sound = 0;    // Catalogs that were right as they were.
  uint64_t written = 0;  // Or would be.
  uint64_t damaged = 0;  // Archives with frames that cannot be read; each was told.
  uint64_t failed = 0;   // Archives that cannot be opened.
};

struct RebuildOptions {
  bool all = false;  // Also catalogs that say what their archive says.
  bool dry_run = false;
  PutRequest request{};  // How they are written: encryption and what else belongs to a target.
  std::vector<SealKey> seal_keys{};
  Event* stop = nullptr;
};

// Told of each catalog that was written, or would be, or cannot be. kCorrupt with code
// kDamagedArchive: the archive has frames that cannot be read, and it was written from the others,
// or stays where it says more than they do.
using RebuildTold = std::function<void(const std::string& catalog_key, const Result<void>& result)>;
inline constexpr std::string_view kDamagedArchive = "DamagedArchive";

// Writes the catalogs that are missing, cannot be read, or do not say what their archive says. Such
// an archive is read as a whole. Where frames are damaged, the ETags are left out that they alone
// tell, and keys that the catalog does not tell either: what is sound can be restored, and a
// comparison sends the others again. Errors: those of the surroundings; kCancelled.
Async<void> RebuildCatalogs(Runtime runtime, CatalogSource source, RebuildOptions options,
                            RebuildTold told, RebuildTotals& totals);

}  // namespace longhaul::backup
