// Priority: which of several rules carries a key to a target.
//
// Two rules are rivals at a target when both would write the same key of the same bucket there: one
// source bucket, overlapping prefixes, and the same way from key to key. As with S3's own
// replication the rule with the highest priority among those whose filter matches the object
// carries it, alone; rules that go to different buckets, or to different keys, never meet.
//
// A delete is decided by key alone: of an object that is gone nobody knows whether its tags or its
// size matched, so only rivals that need to know neither stand above. When it was written, and
// under which key, is of no account: like S3's delete marker a delete is of now, and under none.

#pragma once

#include <string_view>
#include <vector>

#include "rules/rule.h"

namespace longhaul {

// Whether both targets give the keys that both sources have the same name in the same bucket; a
// backup never does.
// Stores are compared by name: rivals are to name one bucket in one way.
bool AreRivals(const Rule& one, const Target& target_of_one, const Rule& other,
               const Target& target_of_other);

// The enabled rivals of `rule` at `target` that have a higher priority. Borrows `rules`.
std::vector<const Rule*> RivalsAbove(const std::vector<Rule>& rules, const Rule& rule,
                                     const Target& target);

// Whether every object that matches `inner`, of the same source bucket, matches `outer` as well.
bool Covers(const Rule& outer, const Rule& inner);

// What is known of a delete, to CarrierAmong.
inline constexpr ObjectFacts kFactsOfDelete{.last_modified = SystemTime::max(),
                                            .kms_encrypted = false};

// The one among `rivals` that is known to carry `key`; nullptr: none.
const Rule* CarrierAmong(const std::vector<const Rule*>& rivals, std::string_view key,
                         const ObjectFacts& facts);

}  // namespace longhaul
