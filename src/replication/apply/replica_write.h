// What the applier is told to write, of what was read at the source.

#pragma once

#include <string>

#include "archive/entry.h"
#include "replica/apply.h"
#include "rules/rule.h"

namespace longhaul {

// What a target should be given of an entry. Of a segment: of the whole object.
ReplicaWrite ReplicaWriteOf(const Rule& rule, const ArchiveEntry& entry, std::string target_key,
                            const std::string& site);

}  // namespace longhaul
