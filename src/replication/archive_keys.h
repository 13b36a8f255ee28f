// Which keys an archive carries, remembered at the source until the archive has been applied.
//
// An archive can be damaged beyond its index; then nobody else knows what must be read anew. (A
// comparison of both sides does not find a change of metadata alone.) Rows live for 15 days.

#pragma once

#include <string>
#include <vector>

#include "events/hint.h"
#include "state/state.h"

namespace longhaul {

// Before the archive becomes visible. OK: durable.
Async<void> RememberArchiveKeys(State& state, SystemTime now, std::string archive,
                                HintMessage message);
// The bodies of messages for the Queue; none when the archive is not remembered.
Async<std::vector<std::string>> RecallArchiveKeys(State& state, std::string archive);
Async<void> ForgetArchiveKeys(State& state, std::string archive);

}  // namespace longhaul
