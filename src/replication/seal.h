// The key that seals a rule's archives, when its configuration has one.

#pragma once

#include <vector>

#include "archive/entry.h"
#include "rules/rule.h"

namespace longhaul {

// One key, whose id follows from its secret; empty when the rule has none.
std::vector<SealKey> SealKeys(const Rule& rule);

}  // namespace longhaul
