// What the roles of one process share: the seams, the stores, the rules with their targets.

#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "queue/queue.h"
#include "replica/apply.h"
#include "replica/floor.h"
#include "replication/content_kinds.h"
#include "replication/giant_uploads.h"
#include "replication/outcome.h"
#include "replication/parked.h"
#include "replication/rule_control.h"
#include "replication/rule_meter.h"
#include "replication/target_breaker.h"
#include "replication/uploads.h"
#include "rules/rule.h"
#include "state/state.h"
#include "storage/store.h"

namespace longhaul {

// Tuned numbers, in one place. The simulation makes the sizes small.
struct ReplicationLimits {
  // Objects up to this size travel in bundles, larger ones alone (docs/design.md).
  uint64_t bundle_object_bytes_max = 8 << 20;
  uint64_t single_object_bytes_max = 5ULL << 30;
  // Beyond it an object is a giant and travels in segments: of at least so much, and with parts of
  // at least so much where the source's own cannot be kept. Either is more where an upload would
  // have more than 10,000 parts (S3's limit).
  uint64_t segment_bytes_min = 512 << 20;
  uint64_t giant_part_bytes_min = 16 << 20;
  // From this size on, what may be a change of metadata or tags alone is asked for without its
  // bytes: a HEAD of the source and one of each target. Below, sending the bytes is cheaper.
  uint64_t attributes_alone_bytes_min = 64 << 10;
  // What `transport: auto` may carry without archives, and how much of it tells whether it shrinks
  // (choose_route.h).
  uint64_t carried_object_bytes_min = 1 << 20;
  uint64_t sample_bytes = 128 << 10;
  uint64_t frame_bytes = 8 << 20;
  // Parts of an archive's upload: 10,000 of them hold every archive that fits the 5 GiB.
  uint64_t part_bytes = 8 << 20;
  // How many objects of one batch or archive are read, or written, side by side, where the store
  // has no `requests` of its own (RuleContext, TargetContext): hides 64 round trips behind one; S3
  // answers in some 20 to 80 ms, so 1,000 to 3,000 objects a second. A process works on a few
  // batches at a time; the requests that it has under way are bounded by the store.
  int reads_max = 64;
  int writes_max = 64;
  // How long a message stays hidden; extended every third of it while it is worked on. What a
  // killed process held comes back after this.
  std::chrono::milliseconds visibility{30'000};
  std::chrono::milliseconds archive_lease{15'000};
  std::chrono::milliseconds process_lease{15'000};
  std::chrono::milliseconds staging_poll{1'000};
  std::chrono::milliseconds janitor_interval{5'000};
  int64_t hints_pending_max = 100'000;
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
  std::unique_ptr<GiantUploads> giants;
  std::unique_ptr<ParkedPlace> parked;
  // Names of archives that another system has left for it (take_over.h).
  std::set<std::string> archives_to_take_over;
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

// Borrows everything; whoever builds it keeps the parts until the roles have stopped.
struct ReplicationContext {
  Runtime& runtime;
  Queue& queue;
  State& state;
  Observer& observer;
  std::string site;
  std::string owner;  // A ULID: this process.
  ReplicationLimits limits;
  std::map<std::string, Store*> stores;  // By their names in the configuration.
  std::vector<std::unique_ptr<RuleContext>> rules;
  // What the requests of the stores take beside their objects, where there are more than usual: not
  // there for batches and archives.
  int64_t request_bytes = 0;
  std::unique_ptr<UploadLedger> uploads;
  std::unique_ptr<RuleControl> control;
  std::unique_ptr<RuleMeter> meter;  // `observer` is this one; it tells the one outside.
  // Of objects and archives, read and written: whoever waits for progress looks here.
  uint64_t bytes_moved = 0;
  ContentKinds kinds{};          // As far as this process has learnt.
  std::set<std::string> probes;  // Of stores, that this process has under way: rows in State.
};

}  // namespace longhaul
