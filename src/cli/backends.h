// The Queue and the State that a configuration names.

#pragma once

#include <memory>

#include "base/runtime.h"
#include "queue/queue.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

struct Backends {
  std::unique_ptr<Queue> queue;
  std::unique_ptr<State> state;
};

// The error says which of them cannot be opened. The runtime must outlive them.
Async<Backends> OpenBackends(Runtime& runtime, const Configuration& configuration);

}  // namespace longhaul
