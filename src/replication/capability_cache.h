// What a store can do, probed once and remembered in State for a day.

#pragma once

#include <string>

#include "replication/context/context.h"

namespace longhaul {

// Tries what the store declares, below "<prefix>probe/" in the staging bucket alone, unless State
// remembers it. Errors: of the store, of State.
Async<Capabilities> ProbedCapabilities(ReplicationContext& context, Store& store,
                                       std::string bucket, std::string prefix);
// The same, whatever State remembers: for who wants to know how it is now.
Async<Capabilities> ProbeAnew(ReplicationContext& context, Store& store, std::string bucket,
                              std::string prefix);

std::string EncodeCapabilities(const Capabilities& capabilities);
// nullopt: written by another version; probe again.
std::optional<Capabilities> DecodeCapabilities(std::string_view text);

}  // namespace longhaul
