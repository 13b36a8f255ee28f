// Whether what lies in a rule's staging is the rule's own.
//
// Staging is known by its place and the rule's id alone, and neither says whose objects wait there:
// a rule may have been given another source since, and two installations may have chosen one id and
// one staging. To apply such an archive would put objects of one bucket among those of another.

#pragma once

#include <string_view>

#include "archive/entry.h"
#include "base/result.h"
#include "rules/rule.h"

namespace longhaul {

// OK: packed by the installation `site` from the bucket that `rule` reads. What a manifest does not
// say is not held against it. kInvalidInput: by another one, or from another bucket, and what to
// do.
Result<void> CheckOrigin(const Rule& rule, std::string_view site, const ArchiveManifest& manifest);

}  // namespace longhaul
