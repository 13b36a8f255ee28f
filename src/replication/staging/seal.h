// The keys that seal a rule's archives, when its configuration has any.
//
// A key's id follows from its secret: the two ends cannot disagree about which secret an id means,
// and nobody has to invent names that are never used twice. It tells nothing of the secret that
// helps to guess one of 16 random bytes.

#pragma once

#include <vector>

#include "archive/entry.h"
#include "rules/rule.h"

namespace longhaul {

// The first one seals; archives of any of them are accepted. Empty: the rule has no key, and seals
// are not looked at.
std::vector<SealKey> SealKeys(const Rule& rule);

}  // namespace longhaul
