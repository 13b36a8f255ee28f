// Options that say how s3:// addresses are reached, where there is nothing that they count for.

#pragma once

#include <string_view>

#include "base/result.h"
#include "cli/flags.h"

namespace longhaul {

// Whether `option` is one of StoreFlags that counts for s3:// addresses alone, and no word given to
// `flags` is such an address, or none of the end that the option is of. False of commands whose
// addresses are not among their words.
bool IsUnusedStoreOption(const FlagSet& flags, std::string_view option);

// kInvalidInput: one of them stands on the command line. Whoever typed it means a place that the
// command would not go to. Those of the environment are for all commands, and refuse nothing.
Result<void> RefuseUnusedStoreOptions(const FlagSet& flags);

}  // namespace longhaul
