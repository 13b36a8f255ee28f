// Shell completion, made from the command table: commands, options, their values, and addresses of
// the configuration (`longhaul completion addresses` prints these for the scripts).

#pragma once

#include <string>
#include <vector>

#include "rules/rule.h"

namespace longhaul {

enum class Shell { kBash, kZsh, kFish };
std::string RenderCompletion(Shell shell);

// "NAME:" for each store, and sources, targets and staging of the rules; sorted, each once.
std::vector<std::string> KnownAddresses(const Configuration& configuration);

}  // namespace longhaul
