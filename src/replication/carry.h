// Carrying without archives: the source writes to the targets itself, by the transports `plain` and
// `copy`.
//
// What an archive's entry goes through at the target, such an object goes through here: the same
// stamps, marks, floors and conditions (replica/apply.h). All of the rule's writes and deletes are
// made by the source's process, so their rows of State are in one place.

#pragma once

#include <vector>

#include "replication/context.h"
#include "replication/pack.h"

namespace longhaul {

// Whether the source writes to the targets itself.
bool CarriesDirectly(const Rule& rule);

// Brings `items` (no key twice) to the `targets` (indexes into rule.targets, all with an applier),
// each to all of them: kStaged where that is done, kFailed with the first error where not; doing it
// again is harmless. `alone`: the one item may be large. PackResult::archive names the batch, for
// its lag; it is no archive.
asio::awaitable<PackResult> CarryDirectly(ReplicationContext& context, const RuleContext& rule,
                                          std::vector<size_t> targets, std::vector<PackItem> items,
                                          bool alone, int64_t memory_bytes);

}  // namespace longhaul
