// Replicator: the roles of one process, put together and run, once or for ever.

#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "replication/context.h"
#include "replication/receipts.h"
#include "replication/source_role.h"
#include "replication/take_over.h"
#include "replication/target_role.h"

namespace longhaul {

struct ReplicatorOptions {
  bool source = true;
  bool target = true;
  std::chrono::milliseconds timeout{300'000};  // Of RunOnce: how long nothing may go forward.
};

// How a run of RunOnce ended.
struct OnceResult {
  // Set: a store as a whole failed for longer than the timeout, or cannot be used at all.
  std::optional<Error> store_error;
  int parked_archives = 0;
  int corrupt_archives = 0;
  bool deletes_guarded = false;
  // What is paused, and was left as it is: "rule a", "target west of rule b".
  std::vector<std::string> paused;
  bool stopped = false;  // By the stop event, before all was done.
};

// The context for some rules of a configuration. `stores`: by their names there.
// kInvalidInput: a rule names a store that is not among them.
Result<std::unique_ptr<ReplicationContext>> MakeReplicationContext(
    Runtime& runtime, const Configuration& configuration, std::map<std::string, Store*> stores,
    Queue& queue, State& state, Observer& observer, ReplicationLimits limits);

class Replicator {
 public:
  // kInvalidInput: the memory budget is too small; the message says what is needed.
  static Result<std::unique_ptr<Replicator>> Make(ReplicationContext& context,
                                                  ReplicatorOptions options);

  // Brings every target up to date with what its source holds now. With the source role alone:
  // until all is durable in staging; with the target role alone: until staging holds nothing more
  // to apply.
  asio::awaitable<OnceResult> RunOnce(Event& stop);
  // Works until `stop` is set. Failing stores are retried for ever and told to the observer; what
  // does not need them goes on meanwhile, also when they are away at the start.
  asio::awaitable<void> RunContinuous(Event& stop);
  // Asks for a comparison of a rule's source and targets before its interval has passed.
  void CompareSoon(std::string_view rule_id);

 private:
  Replicator(ReplicationContext& context, ReplicatorOptions options, PackMemory pack_memory,
             int pack_jobs, int64_t apply_job_bytes, int64_t take_over_bytes);

  // Finds what a rule needs: buckets are there, capabilities probed, appliers made; what has been
  // found stays so. Errors are of a store as a whole.
  Async<void> FindSource(RuleContext& rule);
  Async<void> FindLocalStaging(RuleContext& rule);
  Async<void> FindTarget(RuleContext& rule, TargetContext& target);
  Async<void> PrepareTarget(RuleContext& rule, TargetContext& target);
  // Whether any rule may have the store copy objects into that bucket.
  [[nodiscard]] bool AnyCopiesTo(const Target& target) const;
  asio::awaitable<void> WarnOfVersions(const TargetContext& target);
  // All of it, side by side; the error names everything that failed.
  Async<void> Prepare();
  // The same for ever, each by itself: whatever has been found is put to work.
  Async<void> KeepFinding(std::string part, RuleContext& rule, TargetContext* target, Event& stop);
  [[nodiscard]] bool ComparableNow(const RuleContext& rule, const TargetContext& target) const;
  // Compares what is due; the error names every target that could not be compared.
  Async<void> ReconcileDue(RuleContext& rule, OnceResult* result);
  // What somebody asks for and can be compared now, at least at one target.
  [[nodiscard]] std::optional<BackfillRequest> BackfillNow(const RuleContext& rule) const;
  // Fulfils it, unless another process has; whoever calls holds the lease of comparisons.
  Async<void> Backfill(RuleContext& rule, const BackfillRequest& asked);
  Async<void> ReconcileUntil(Event& stop, OnceResult* result);
  // Whether neither Queue nor staging held anything just now.
  Async<bool> NothingUnderWay();
  asio::awaitable<void> ReconcileLoop(RuleContext& rule, Event& stop);
  asio::awaitable<void> LifeLoop(Event& stop);
  // Follows what people ask of the rules (RuleControl).
  asio::awaitable<void> ControlLoop(Event& stop);
  void FollowControl();
  // Publishes what this process measures.
  asio::awaitable<void> MeterLoop(Event& stop);
  // Hints of rules that are not paused any more go back to the Queue.
  asio::awaitable<void> SpoolLoop(Event& stop);
  asio::awaitable<void> EmptySpools();
  [[nodiscard]] std::vector<std::string> WhatIsPaused() const;
  asio::awaitable<void> SweepLoop(Event& stop);
  Async<void> SweepGiants(std::chrono::nanoseconds idle);
  // The loop of RunOnce after everything has been started.
  asio::awaitable<OnceResult> WaitUntilDone(Event& stop, OnceResult result);

  ReplicationContext& context_;
  ReplicatorOptions options_;
  SourceRole source_;
  TargetRole target_;
  TakeOverRole take_over_;
  ReceiptReader receipts_;
  Event wake_;
  std::set<std::string> versions_warned_;  // Buckets.
  std::vector<std::string> paused_;        // As it was told last.
  Event look_at_spools_;
  SteadyTime giants_swept_{};
};

}  // namespace longhaul
