// Carrying without archives: the source writes to the targets itself, by the transports `plain` and
// `copy`, and by `auto` what does not shrink.
//
// What an archive's entry goes through at the target, such an object goes through here: the same
// stamps, marks, floors and conditions (replica/apply.h). With `plain` and `copy` all of the rule's
// writes and deletes are made by the source's process, so their rows of State are in one place;
// with `auto` whoever applies the archives must have the same State (shared_state.h).

#pragma once

#include <vector>

#include "replication/context/context.h"
#include "replication/source/pack.h"

namespace longhaul {

// Whether the source writes everything to the targets itself; whether it may do so.
bool CarriesDirectly(const Rule& rule);
bool MayCarryDirectly(const Rule& rule);

// Whether this rule may have the target's store copy an object from the source. Copies heed no
// conditions, so everything that is written to the target's bucket goes by leases then.
bool MayCopy(const Rule& rule, const Target& target);

// Brings `items` (no key twice) to the `targets` (indexes into rule.targets, all with an applier),
// each to all of them: kStaged where that is done, kFailed with the first error where not; doing it
// again is harmless. `alone`: the one item may be large. PackResult::archive names the batch, for
// its lag; it is no archive.
asio::awaitable<PackResult> CarryDirectly(ReplicationContext& context, const RuleContext& rule,
                                          std::vector<size_t> targets, std::vector<PackItem> items,
                                          bool alone, int64_t memory_bytes);

}  // namespace longhaul
