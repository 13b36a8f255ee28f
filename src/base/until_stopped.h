// UntilStopped: waits for something that may hang, but not for long once the process is to end.

#pragma once

#include <chrono>

#include "base/runtime.h"

namespace longhaul {

// Runs `task` beside the caller and waits for it; from when `stop` is set for `grace` at most. What
// `task` returned; kCancelled: it was given up and goes on by itself, so it must own what it uses
// besides the runtime.
Async<void> UntilStopped(const Runtime& runtime, const Event& stop, std::chrono::nanoseconds grace,
                         Async<void> task);

}  // namespace longhaul
