// Which stores of a configuration an address of an object means.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rules/rule.h"

namespace longhaul {

// The names under which the configuration knows the store. `store`: one of its names; empty: the
// one that holds `bucket`, as s3:// says it. kInvalidInput: no such store, or several have the
// bucket.
Result<std::vector<std::string>> StoresOf(const Configuration& configuration,
                                          const std::string& store, const std::string& bucket);

}  // namespace longhaul
