// Applying an archive: every reading in it is put to its key at one target.

#pragma once

#include <set>
#include <string>
#include <vector>

#include "archive/reader.h"
#include "replication/context.h"

namespace longhaul {

struct ArchiveApplication {
  // Entries that failed with an error that waiting may cure, and those it will not.
  std::set<size_t> pending;
  std::set<size_t> parked;
  Error pending_error;              // The first of them.
  std::vector<std::string> reread;  // Source keys.
  uint64_t entries = 0;
  uint64_t applied = 0;
  uint64_t conflicts = 0;
  SystemTime stamp_oldest{};
};

// Applies the entries of an open archive at `target`; `only`: these alone, when not empty. Tells
// the observer of each. Memory comes from `runtime.memory`, which is the job's own. An error is
// that of the archive (kCorrupt, or the staging's store); what was applied before it stays, and
// doing it again is harmless.
Async<ArchiveApplication> ApplyArchive(ReplicationContext& context, Runtime& runtime,
                                       const RuleContext& rule, TargetContext& target,
                                       ArchiveReader& reader, std::set<size_t> only);

}  // namespace longhaul
