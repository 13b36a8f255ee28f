// Which keys an archive carries, remembered at the source until the archive has been applied; and
// of which targets a process has taken and removed a receipt, for others that have not seen it.
//
// An archive can be damaged beyond its index; then nobody else knows what must be read anew. (A
// comparison of both sides does not find a change of metadata alone.) Rows live for 15 days.

#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "events/hint.h"
#include "state/state.h"

namespace longhaul {

inline constexpr std::chrono::hours kArchiveKeysKept{1};
// When an archive was begun.
SystemTime UlidTime(std::string_view ulid);

// Before the archive becomes visible. OK: durable.
Async<void> RememberArchiveKeys(State& state, SystemTime now, std::string archive,
                                HintMessage message);
// The bodies of messages for the Queue; none when the archive is not remembered.
Async<std::vector<std::string>> RecallArchiveKeys(State& state, std::string archive);
// Before receipts of these targets go. OK: durable.
Async<void> RememberTold(State& state, SystemTime now, std::string archive,
                         std::vector<std::string> targets);
Async<std::vector<std::string>> RecallTold(State& state, std::string archive);
// false: somebody has forgotten them, or nobody has ever remembered them.
Async<bool> AreArchiveKeysRemembered(State& state, std::string archive);
// The archive has been seen and is not there any more. Where it is uploaded to several stagings one
// of them may get it later than another has applied it: rows live for an hour from the archive's
// beginning on, and are gone at once when that has passed. Who has told of it is forgotten as well.
Async<void> ForgetArchiveKeys(State& state, SystemTime now, std::string archive);

}  // namespace longhaul
