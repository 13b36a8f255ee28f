// The rows of a partition of State whose keys begin alike, page by page.

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "state/state.h"

namespace longhaul::migration {

// Calls `take` for each row whose key goes on after `prefix`, until it returns false. Errors are
// those of State and of `take`.
Async<void> ForEachRow(State& state, std::string partition, std::string prefix,
                       std::function<Result<bool>(const StateRow&)> take);

// All of them.
Async<std::vector<StateRow>> RowsBelow(State& state, std::string partition, std::string prefix);

// Removes all of them, a page at a time. Errors are those of State; some may be gone then.
Async<void> RemoveRowsBelow(State& state, std::string partition, std::string prefix);

}  // namespace longhaul::migration
