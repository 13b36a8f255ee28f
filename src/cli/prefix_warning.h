// Warnings of prefixes that do not end in '/'. To a store a prefix is the beginning of keys and no
// folder: below 'data/2024' lies 'data/2024-old/x' as well, and 'copy' before 'x' is 'copyx'.
// People who come from folders mean another thing. What is done stays the same; they are told.

#pragma once

#include <string>

#include "cli/output.h"
#include "storage/store.h"

namespace longhaul {

// Says once which names a prefix takes that do not lie in the folder that it looks like. Asks for
// one small page, and for nothing where the prefix is empty or ends in '/'. Says nothing where the
// store does not answer: whoever lists next tells that better. `address`: of the prefix, as people
// read it.
Async<void> WarnOfOtherNames(Output& output, Store& store, std::string bucket, std::string prefix,
                             std::string address);

// Says that names will stand right behind a prefix of a target.
void WarnOfGluedNames(Output& output, const std::string& prefix, const std::string& address);

}  // namespace longhaul
