// The fields of a rule that say which keys seal its archives.

#pragma once

#include "base/yaml.h"
#include "rules/rule.h"

namespace longhaul {

void ReadSeal(YamlFields& fields, Rule& rule);

}  // namespace longhaul
