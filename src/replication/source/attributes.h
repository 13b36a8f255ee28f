// Readings without bytes: of an object whose headers, metadata or tags alone have changed.

#pragma once

#include <vector>

#include "replication/source/pack.h"
#include "replication/source/reading.h"

namespace longhaul {

// Reads an object without its bytes. True: every one of `targets` held them when it was asked, or
// there is nothing to carry; `reading` is complete. False: it must be read as a whole, whatever the
// cause; the bytes may have changed, or a target could not be asked.
asio::awaitable<bool> ReadAttributes(ReplicationContext& context, const RuleContext& rule,
                                     const std::vector<size_t>& targets, const PackItem& item,
                                     Reading& reading);

}  // namespace longhaul
