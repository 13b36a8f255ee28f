// What the loops of the roles share: how long what has failed is left alone, and failures of
// several as one.

#pragma once

#include <chrono>
#include <vector>

#include "base/async.h"
#include "base/result.h"

namespace longhaul {

// 1, 2, 4 ... seconds after `failures` failures (0: the first), at most `last`.
std::chrono::milliseconds RetryDelay(int failures,
                                     std::chrono::seconds last = std::chrono::seconds(60));

// Names all failures; the kind is that of the first one that waiting does not cure.
Result<void> Together(const std::vector<Result<void>>& results);

// A loop as a task of a TaskGroup.
Async<void> AsTask(asio::awaitable<void> loop);

}  // namespace longhaul
