// The rules of a process with the stores that they need, and what has been found there.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "replica/apply.h"
#include "replica/floor.h"
#include "replication/life/parked.h"
#include "replication/life/target_breaker.h"
#include "rules/rule.h"
#include "storage/store.h"
#include "transfer/uploads/shared_uploads.h"

namespace longhaul {

// What another system had left for a target when it was listed last (take_over.h).
struct ArchivesToTakeOver {
  SystemTime at{};
  std::set<std::string> names{};
};

// A target of a rule with the stores it needs.
struct TargetContext {
  const Rule* rule = nullptr;
  const Target* config = nullptr;
  Store* store = nullptr;
  int writes_max = 1;  // Objects of one archive that are written side by side.
  Store* staging_store = nullptr;
  std::string staging_bucket;
  std::string staging_prefix;  // With the rule id and a trailing "/".
  // What has been found there (Replicator); until then its work waits in the Queue or in staging.
  bool staging_found = false;
  bool target_found = false;
  TargetBreaker breaker;    // Of its staging, as the source role finds it.
  bool compare_due = true;  // Not compared with its source yet, or without success.
  bool compared = false;    // Once, with success, since this process began.
  // Enabled rules that carry a key instead of this one where their filter matches it.
  std::vector<const Rule*> rivals_above;
  std::shared_ptr<Applier::LockedKeys> locked_keys;  // Of all targets in this bucket.
  std::unique_ptr<Floors> floors;
  // Null until the target has been found fit.
  std::unique_ptr<Applier> applier;
  std::unique_ptr<SharedUploads> giants;
  std::unique_ptr<ParkedPlace> parked;
  std::optional<ArchivesToTakeOver> to_take_over;  // nullopt: not listed yet.
  // Objects that the source itself has settled here; and of each that was denied since, how many
  // there were when the batch of its first denial began (carry.h). Bounded.
  uint64_t carried = 0;
  std::map<std::string, uint64_t> carried_at_denial;
  // The store did not copy what it was asked to, objects (with `transport: auto` alone) or parts of
  // larger ones; until then it is not asked.
  SteadyTime no_copies_until{};
  SteadyTime no_part_copies_until{};
  std::string state_id{};  // Of its floors, once it is known (shared_state.h).
};

// A rule's staging on the source's side, which the store replicates to those of the targets
// (local_staging.h).
struct LocalStagingContext {
  Store* store = nullptr;
  std::string bucket;
  std::string prefix;      // With the rule id and a trailing "/".
  bool versioned = false;  // Known when RuleContext::source_found.
};

struct RuleContext {
  const Rule* rule = nullptr;
  Store* source = nullptr;
  int reads_max = 1;                           // Objects of one batch that are read side by side.
  std::unique_ptr<LocalStagingContext> local;  // Null: it has none.
  std::vector<std::unique_ptr<TargetContext>> targets;
  bool source_found = false;            // With its local staging, if any.
  Event compare_soon;                   // Ends the wait between two comparisons.
  std::unique_ptr<ParkedPlace> parked;  // At the source.
};

}  // namespace longhaul
