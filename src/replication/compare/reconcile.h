// Reconcile compares source and targets by listing and sends hints for what differs.
//
// It finds what no event told. A backup is compared by what its catalogs say. Equal ETags are equal
// bytes; else the source ETag in the replica's mark decides. A source that was written after its
// replica may have other headers with the same bytes: the stamp in the mark decides. A key that
// only a target has is a hint, too, when the rule replicates deletes and the object is a replica;
// these hints stop at the rule's delete guard, and a listing that failed, is empty or out of order
// deletes nothing.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "replication/compare/compare_memory.h"
#include "replication/context/context.h"
#include "transfer/listing/listing.h"

namespace longhaul {

// Deletes at one target that the guard held back. Every key that only the target has counts; only
// replicas would go.
struct HeldDeletes {
  uint64_t keys = 0;
  uint64_t looked_at = 0;  // A few of them,
  uint64_t replicas = 0;   // and how many of those are replicas of this installation.
};

struct ReconcileResult {
  uint64_t source_keys = 0;
  uint64_t target_keys = 0;
  uint64_t hints = 0;                  // Keys to be carried.
  uint64_t delete_hints = 0;           // Keys that only a target has.
  bool guarded = false;                // The delete guard held them back.
  std::map<size_t, HeldDeletes> held;  // By target (index into rule.targets).
  uint64_t under_way = 0;  // Left out: archives in staging bring it, each target's counted.
  // What the targets lack or have too much, each target's counted.
  uint64_t writes = 0;
  uint64_t write_bytes = 0;
  // Targets (indexes into rule.targets) that could not be compared to their end, and why. What was
  // found before that has been sent; none of their keys is deleted.
  std::map<size_t, Error> failed;
};

// Compares a rule's source with some of its targets (indexes into rule.targets) in one pass over
// each, in bounded memory; with a `prefix` (of keys at the source) only what is below it. A target
// that fails does not keep the others from being compared. The hints are durable when it returns
// OK. `listing`: what the source holds, in place of asking it. It may be days old, so what it lacks
// is not taken for deleted; what it has and a target has not is read as it is now, as after an
// event: where it is gone by now, its replica goes. Errors: those of the source's listing and of
// the Queue; hints sent before stay. kInvalidInput: `listing` does not tell ETags.
// `known_until`, by target of the rule: whether what was written at the source before has the
// headers of its replica has been seen already, and is not looked at again, which takes a HEAD
// each. `memory`: for SortsToCompare(rule), of which `listing` has had the first where it is
// sorted.
Async<ReconcileResult> Reconcile(ReplicationContext& context, const RuleContext& rule,
                                 std::vector<size_t> targets, std::string prefix = "",
                                 std::unique_ptr<Listing> listing = nullptr,
                                 std::vector<SystemTime> known_until = {},
                                 CompareMemory memory = {});

}  // namespace longhaul
