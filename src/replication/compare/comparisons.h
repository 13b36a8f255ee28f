// Comparisons: when the source and targets of a rule are compared, and by which process.
//
// Each target is compared at the start, as often as the rule's listing says, and when somebody asks
// for it; what is paused or has not been found is compared later. One process compares a rule at a
// time, under a lease. What it has found is not at the target yet when the next one begins, so that
// one would find all of it again, and have it carried twice: it waits for it first. Where that was
// begun after this process, by the clock of this machine, it has nothing left to find.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "replication/compare/reconcile.h"
#include "replication/context/context.h"

namespace longhaul {

class Comparisons {
 public:
  explicit Comparisons(ReplicationContext& context)
      : context_(context),
        began_(context.runtime.clock.Now()),
        memory_(std::make_shared<MemoryBudget>(CompareBytes(context))) {}

  // Compares a rule's source with the targets that are due now, if any. `guarded`, where given,
  // becomes true when the delete guard held something back. The error names every target that
  // could not be compared; those stay due.
  Async<void> CompareDue(RuleContext& rule, bool* guarded);
  using Hopeless = std::function<bool()>;  // Whether nothing goes forward here.
  // The same, when no other process compares the rule, and what one has found is carried. Not at
  // all after `stop`. One that has not ended after ten minutes is not waited for any longer.
  Async<void> CompareAlone(RuleContext& rule, Event& stop, bool* guarded, const Hopeless& hopeless);
  // Waits for what is in the Queue or in somebody's hands, as long as it becomes less, and not for
  // longer than ten minutes.
  asio::awaitable<void> UntilCarried(Event& stop, const Hopeless& hopeless = nullptr);
  // Compares a rule whenever it is due, until `stop` is set (and RuleContext::compare_soon after
  // it). Failures are told to the observer and tried again for ever.
  asio::awaitable<void> Run(RuleContext& rule, Event& stop);
  // Asks Run for a comparison before the interval has passed.
  void Soon(std::string_view rule_id);
  // The same, and not by an inventory: what is looked for may have been written after it.
  void SoonByListing(std::string_view rule_id);

 private:
  asio::awaitable<void> LookUntilCarried(Event& stop, const Hopeless& hopeless);
  // Whether another process of this machine has compared all that is due since this one began, and
  // the delete guard held nothing back; then it is due no more.
  Async<bool> IsComparedByOthers(RuleContext& rule);
  [[nodiscard]] bool IsDue(const RuleContext& rule, const TargetContext& target) const;
  // Targets that are not paused and that this process has not compared yet as `asked`.
  [[nodiscard]] std::vector<size_t> LeftOf(const RuleContext& rule,
                                           const BackfillRequest& asked) const;
  // Those of them that have been found.
  [[nodiscard]] std::vector<size_t> NowOf(const RuleContext& rule,
                                          const BackfillRequest& asked) const;
  // What somebody asks for and can be compared now, at least at one target.
  [[nodiscard]] std::optional<BackfillRequest> BackfillNow(const RuleContext& rule) const;
  // Fulfils it, unless another process has; whoever calls holds the lease of comparisons. It stays
  // until each target that is not paused has been found and compared.
  Async<void> Backfill(RuleContext& rule, const BackfillRequest& asked);
  // As Reconcile, of all that the source has; what is written there from now on is looked at by the
  // next one.
  Async<ReconcileResult> CompareAll(RuleContext& rule, const std::vector<size_t>& targets);
  // By the newest inventory, with those that have not been compared with it. As Reconcile; and the
  // errors of ByInventory.
  Async<ReconcileResult> CompareByInventory(RuleContext& rule, std::vector<size_t> targets);
  // As Reconcile; and the errors of OpenListingFile.
  Async<ReconcileResult> Compare(RuleContext& rule, std::vector<size_t> targets,
                                 const BackfillRequest& asked);

  // What has been compared of a request that waits for other targets.
  struct Backfilled {
    int64_t revision = 0;
    std::set<size_t> targets;
  };

  ReplicationContext& context_;
  const SystemTime began_;
  std::shared_ptr<MemoryBudget> memory_;          // shared with the comparisons that are at work.
  std::map<std::string, Backfilled> backfilled_;  // By rule.
  std::set<std::string> by_listing_;              // Rules, until none of their targets is due.
  std::shared_ptr<Event> looking_;  // Set when whoever looks at the Queue for all has seen enough.
};

}  // namespace longhaul
