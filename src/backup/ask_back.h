// Archives of a backup that a lifecycle rule has moved to GLACIER or DEEP_ARCHIVE: which of them a
// restore needs, and asking for all of them at once.
//
// What lies there cannot be read before somebody has asked for it (RestoreObject) and minutes to
// days have gone by; then it can, for as many days as were asked for. Asking costs.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backup/backup_store.h"
#include "backup/restore.h"
#include "storage/restores_objects.h"

namespace longhaul::backup {

struct AwayArchive {
  std::string key;
  std::string storage_class;  // "GLACIER", "DEEP_ARCHIVE" or "INTELLIGENT_TIERING".
  uint64_t size_bytes = 0;
  bool asked = false;  // It has been asked for, and is not there yet.
};

// Where a backup's archives lie.
struct ArchivesPlace {
  Store* store = nullptr;  // Borrowed.
  std::string bucket;
  std::string prefix;
};

// Those in which bytes of the restore lie and that cannot be read now, in order of keys: each is
// tried, as listings and classes do not tell what has been restored. Empty where the store is not
// S3. Errors: those of the listings; kDenied: one may not be read at all.
Async<std::vector<AwayArchive>> FindAway(Runtime runtime, BackupStore& vault, RestoreWhat what,
                                         ArchivesPlace place);

// Asks for all that have not been asked for, and sets `asked`. Every one is tried; the first error
// names its archive. What has been asked for comes all the same.
Async<void> AskBack(Runtime runtime, ArchivesPlace place, std::vector<AwayArchive>& archives,
                    std::string tier, int days);

// Leaves those that are not there yet.
Async<void> DropReadable(Runtime runtime, ArchivesPlace place, std::vector<AwayArchive>& archives);

}  // namespace longhaul::backup
