// Making what the roles of one process share out of a configuration.

#pragma once

#include <map>
#include <memory>
#include <string>

#include "replication/context/context.h"

namespace longhaul {

// The context for the enabled rules of a configuration. `stores`: by their names there. All that is
// handed in is borrowed, the configuration too.
// kInvalidInput: a rule names a store that is not among them.
Result<std::unique_ptr<ReplicationContext>> MakeReplicationContext(
    Runtime& runtime, const Configuration& configuration, std::map<std::string, Store*> stores,
    Queue& queue, State& state, Observer& observer, ReplicationLimits limits);

}  // namespace longhaul
