// Applying an archive: every reading in it is put to its key at one target.

#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "archive/reader.h"
#include "replication/context/context.h"

namespace longhaul {

struct ArchiveApplication {
  // Entries that failed: those that waiting may cure; those that the target refused (kDenied, or
  // kCorrupt: not as it was sent), which may be the store's fault or the object's; and those that
  // nothing cures.
  std::set<size_t> pending;
  Error pending_error;  // Of that which is to be tried again first: see BusyFor.
  std::map<size_t, Error> refused;
  std::map<size_t, Error> parked;
  std::vector<std::string> reread;  // Source keys.
  // Entries in conflict, and why; and keys that were parked at the target and are settled now.
  std::map<size_t, std::string> conflicting;
  std::vector<std::string> unparked;
  uint64_t entries = 0;
  uint64_t settled = 0;  // Ended in an outcome, whichever.
  uint64_t applied = 0;
  SystemTime stamp_oldest{};
  bool transfer_over = false;  // Of a segment: its object is settled here, or to be read anew.
};

// Why the rule, as it is configured here, does not let a reading in; nullopt: it does.
std::optional<std::string> RefusalByRule(const Rule& rule, const std::string& key, SystemTime stamp,
                                         SystemTime now);

// As reports and rows of what is parked name it: "put", "delete", "attributes".
std::string OpName(EntryOp op);

// Applies the entries of an open archive at `target`; `only`: these alone, when not empty. Tells
// the observer of each that is settled. Memory comes from `runtime.memory`, which is the job's own.
// An error is that of the archive (kCorrupt: it is damaged) or of the staging's store; what was
// applied before it stays, and doing it again is harmless.
Async<ArchiveApplication> ApplyArchive(ReplicationContext& context, Runtime& runtime,
                                       const RuleContext& rule, TargetContext& target,
                                       ArchiveReader& reader, std::set<size_t> only);

}  // namespace longhaul
