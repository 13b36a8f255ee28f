// Replicator: the roles of one process, put together and run, once or for ever.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/compare/comparisons.h"
#include "replication/context/context.h"
#include "replication/find_stores.h"
#include "replication/follow_rules.h"
#include "replication/memory_plan.h"
#include "replication/rule_overlap.h"
#include "replication/source/receipts.h"
#include "replication/source/retry_parked.h"
#include "replication/source/source_role.h"
#include "replication/take_over/take_over.h"
#include "replication/target/target_role.h"
#include "replication/tuning.h"
#include "replication/upkeep.h"

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
  void CompareSoon(std::string_view rule_id) { comparisons_.Soon(rule_id); }

 private:
  Replicator(ReplicationContext& context, ReplicatorOptions options, const MemoryPlan& memory);

  // Compares all rules; what waiting can cure is tried again until nothing has gone forward for the
  // timeout.
  Async<void> CompareUntil(Event& stop, bool* deletes_guarded);
  // The loop of RunOnce after everything has been started.
  asio::awaitable<OnceResult> WaitUntilDone(Event& stop, OnceResult result);
  // For `pause`, or until there is something in staging or the source has come to its end.
  asio::awaitable<void> WaitToLook(Event& stop, std::chrono::milliseconds pause);

  ReplicationContext& context_;
  ReplicatorOptions options_;
  SourceRole source_;
  TargetRole target_;
  TakeOverRole take_over_;
  ReceiptReader receipts_;
  StoreFinder finder_;
  Comparisons comparisons_;
  RuleFollower follower_;
  RuleOverlap overlap_;
  ParkedRetries parked_retries_;
  Upkeep upkeep_;
  Tuning tuning_;
  Event wake_;
};

}  // namespace longhaul
