// Whether what lies in a rule's staging is the rule's own.
//
// Staging is known by its place and the rule's id alone, and neither says whose objects wait there:
// a rule may have been given another source since, and two installations may have chosen one id and
// one staging. To apply such an archive would put objects of one bucket among those of another.

#pragma once

#include "archive/entry.h"
#include "base/result.h"
#include "rules/rule.h"

namespace longhaul {

// OK: packed from a bucket of the name that `rule` reads, or it does not say from which.
// kInvalidInput: from another one, and what to do.
Result<void> CheckOrigin(const Rule& rule, const ArchiveManifest& manifest);

}  // namespace longhaul
