// Applying an archive of the cross-region compressor to one target of a rule.

#pragma once

#include <map>
#include <set>
#include <string>

#include "replication/context/context.h"
#include "replication/take_over/compressor_archive.h"

namespace longhaul {

struct CompressorApplication {
  // Those whose keys the source must read anew, and why: what it has decides.
  std::map<size_t, std::string> reread;
  // Entries that failed: those that waiting may cure; those that the target refused, which may be
  // the store's fault or the object's; and those that nothing cures.
  std::map<size_t, Error> pending;
  std::map<size_t, Error> refused;
  std::map<size_t, Error> parked;
  std::map<size_t, std::string> conflicting;  // Kept as they were at the target; settled.
  uint64_t settled = 0;
};

// Puts the entries to their keys, except those in `settled`, and adds to it what is settled.
// `name`: of the archive, for reports. Memory comes from `runtime.memory`, which is the job's own.
// An error is that of the archive or of its store; what was applied before it stays.
Async<CompressorApplication> ApplyCompressorArchive(ReplicationContext& context, Runtime& runtime,
                                                    const RuleContext& rule, TargetContext& target,
                                                    CompressorArchivePlace place,
                                                    const CompressorContents& contents,
                                                    std::string name, std::set<size_t>& settled);

}  // namespace longhaul
