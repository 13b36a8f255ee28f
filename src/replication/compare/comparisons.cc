#include "replication/compare/comparisons.h"

#include <algorithm>
#include <utility>

#include "base/process.h"
#include "replica/lease.h"
#include "replication/compare/by_inventory.h"
#include "replication/compare/reconcile.h"
#include "replication/context/loops.h"
#include "transfer/listing/listing_source.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kRetryLast{30};
constexpr std::chrono::seconds kInventoryRetryLast{900};
constexpr int64_t kComparisonWaitingBytesMax = 8 << 20;  // As of a comparison that lists.
constexpr std::chrono::seconds kLookAgain{1};            // At the Queue, and at a lease.
constexpr std::chrono::seconds kLookSeldom{8};
constexpr std::chrono::milliseconds kLookOften{500};
// For a message of a thousand objects. What a process that has died held is there again before.
constexpr std::chrono::seconds kStuckMax{60};
constexpr std::chrono::minutes kCarriedMax{10};  // Where events come all the time.

constexpr char kComparedAt[] = "compared";  // When the last one began, of a target.
// The same, of one that found no deletes to hold back, and by the clock of which machine.
constexpr char kComparedHere[] = "compared-here";
// The clock of a store beside ours.
constexpr std::chrono::hours kClocksApartMax{1};

std::string ComparedAt(const RuleContext& rule, const TargetContext& target, SystemTime time) {
  return FormatRfc3339(time) + "\n" + WhatIsCompared(rule, target);
}
SystemTime KnownUntil(const RuleContext& rule, const TargetContext& target, std::string_view row) {
  const Result<SystemTime> time = ParseRfc3339(row.substr(0, row.find('\n')));
  if (!time || row != ComparedAt(rule, target, *time)) return SystemTime::min();
  return *time - kClocksApartMax;
}

std::string ComparedHere(const RuleContext& rule, const TargetContext& target, SystemTime time) {
  return ComparedAt(rule, target, time) + "\n" + ThisProcess().host;
}

// The listing will not become better by asking again.
bool IsForGood(const Error& error) {
  return error.kind == ErrorKind::kInvalidInput || error.kind == ErrorKind::kNotFound ||
         error.kind == ErrorKind::kCorrupt;
}

}  // namespace

// What a paused target lacks lies in its staging; comparing would have it packed again.
bool Comparisons::IsDue(const RuleContext& rule, const TargetContext& target) const {
  return target.target_found && target.compare_due &&
         !context_.control->Holds(rule.rule->id, target.config->name);
}

Async<void> Comparisons::CompareDue(RuleContext& rule, bool* guarded) {
  std::vector<size_t> due;
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    if (IsDue(rule, *rule.targets[i])) due.push_back(i);
  }
  if (due.empty()) co_return Ok();
  // Before it begins: whoever asks from now on asks for another comparison.
  for (size_t i : due) rule.targets[i]->compare_due = false;
  const bool by_inventory =
      rule.rule->intake.inventory.has_value() && !by_listing_.contains(rule.rule->id);
  Result<ReconcileResult> reconciled =
      by_inventory ? co_await CompareByInventory(rule, due) : co_await CompareAll(rule, due);
  if (!reconciled) {
    for (size_t i : due) rule.targets[i]->compare_due = true;
    co_return reconciled.error();
  }
  if (guarded != nullptr) *guarded = *guarded || reconciled->guarded;
  std::vector<Result<void>> failed;
  for (size_t i : due) {
    const TargetContext& target = *rule.targets[i];
    const auto problem = reconciled->failed.find(i);
    rule.targets[i]->compared = problem == reconciled->failed.end();
    if (rule.targets[i]->compared) continue;
    rule.targets[i]->compare_due = true;
    failed.emplace_back(
        problem->second.In("rule " + rule.rule->id + ": target " + target.config->name));
  }
  const bool some_due =
      std::ranges::any_of(rule.targets, [](const auto& target) { return target->compare_due; });
  if (!some_due) {
    by_listing_.erase(rule.rule->id);
  }
  co_return Together(failed);
}

Async<void> Comparisons::CompareAlone(RuleContext& rule, Event& stop, bool* guarded,
                                      const Hopeless& hopeless) {
  const bool due =
      std::ranges::any_of(rule.targets, [&](const auto& target) { return IsDue(rule, *target); });
  if (!due) co_return Ok();
  Clock& clock = context_.runtime.clock;
  Lease lease(context_.state, clock, "reconcile/" + rule.rule->id, context_.owner,
              context_.limits.archive_lease);
  bool others = false;
  bool alone = true;
  const SteadyTime last = clock.SteadyNow() + kCarriedMax;
  while (!stop.is_set()) {
    Result<bool> acquired = co_await lease.TryAcquire();
    if (!acquired) co_return acquired.error();
    if (*acquired) break;
    // A comparison that takes so long is not waited for: to find the same again is harmless.
    if (clock.SteadyNow() >= last) {
      alone = false;
      break;
    }
    if (!std::exchange(others, true)) {
      context_.runtime.log.Info("another process compares, or has died at it: waiting",
                                {{"rule", rule.rule->id}});
    }
    co_await stop.WaitFor(clock, kLookAgain);
  }
  Event compared;
  TaskGroup keeper(context_.runtime.executor);
  if (!stop.is_set() && alone) {
    keeper.Spawn(KeepLease(clock, lease, compared, context_.limits.archive_lease / 3));
  }
  if (others && alone) co_await UntilCarried(stop, hopeless);
  bool by_others = false;
  if (others && alone && !stop.is_set()) {
    Result<bool> known = co_await IsComparedByOthers(rule);
    by_others = known && *known;
  }
  Result<void> done;
  if (!stop.is_set() && !by_others) done = co_await CompareDue(rule, guarded);
  compared.Set();
  Result<void> kept = co_await keeper.Join();
  static_cast<void>(kept);
  if (alone) co_await lease.Release();
  co_return done;
}

Async<bool> Comparisons::IsComparedByOthers(RuleContext& rule) {
  if (rule.rule->intake.inventory) co_return false;
  std::vector<TargetContext*> due;
  for (const auto& target : rule.targets) {
    if (IsDue(rule, *target)) due.push_back(target.get());
  }
  for (const TargetContext* target : due) {
    Result<std::optional<StateRow>> row =
        co_await context_.state.Get(StatePartition(*rule.rule, *target->config), kComparedHere);
    if (!row) co_return row.error();
    if (!*row) co_return false;
    const std::string& text = (*row)->value;
    const Result<SystemTime> time = ParseRfc3339(text.substr(0, text.find('\n')));
    if (!time || text != ComparedHere(rule, *target, *time)) co_return false;
    if (*time < began_) co_return false;
  }
  for (TargetContext* target : due) {
    target->compare_due = false;
    target->compared = true;
  }
  co_return true;
}

asio::awaitable<void> Comparisons::UntilCarried(Event& stop, const Hopeless& hopeless) {
  // One looks for all rules: what a look costs grows with their number.
  if (const std::shared_ptr<Event> looking = looking_) {
    co_await looking->Wait();
    co_return;
  }
  const std::shared_ptr<Event> looked = looking_ = std::make_shared<Event>();
  co_await LookUntilCarried(stop, hopeless);
  looking_.reset();
  looked->Set();
}

asio::awaitable<void> Comparisons::LookUntilCarried(Event& stop, const Hopeless& hopeless) {
  Clock& clock = context_.runtime.clock;
  std::chrono::nanoseconds pause = kLookAgain;
  const SteadyTime began = clock.SteadyNow();
  SteadyTime less_at = began;
  std::optional<int64_t> least;
  int64_t most = 0;
  while (!stop.is_set() && (!hopeless || !hopeless())) {
    Result<QueueDepth> depth = co_await context_.queue.Depth();
    if (!depth) co_return;  // Whoever compares sends to it, and says what is wrong.
    const int64_t waiting = depth->visible + depth->delayed + depth->in_flight;
    if (waiting == 0) co_return;
    const SteadyTime now = clock.SteadyNow();
    if (!least || waiting < *least) {
      least = waiting;
      less_at = now;
    }
    if (now - less_at >= kStuckMax || now - began >= kCarriedMax) co_return;
    co_await stop.WaitFor(clock, pause);
    pause = std::min<std::chrono::nanoseconds>(2 * pause, kLookSeldom);
    // Not long after its end, as it has gone so far.
    most = std::max(most, waiting);
    if (most > waiting) {
      const std::chrono::nanoseconds left = (now - began) / (most - waiting) * waiting;
      pause = std::clamp<std::chrono::nanoseconds>(left / 4, kLookOften, kLookSeldom);
    }
  }
}

Async<ReconcileResult> Comparisons::CompareAll(RuleContext& rule,
                                               const std::vector<size_t>& targets) {
  const SystemTime began = context_.runtime.clock.Now();
  std::vector<SystemTime> known_until(rule.targets.size(), SystemTime::min());
  for (size_t i : targets) {
    const TargetContext& target = *rule.targets[i];
    Result<std::optional<StateRow>> row =
        co_await context_.state.Get(StatePartition(*rule.rule, *target.config), kComparedAt);
    if (!row) co_return row.error();
    if (*row) known_until[i] = KnownUntil(rule, target, (*row)->value);
  }
  Result<CompareMemory> memory =
      co_await CompareMemory::Take(context_, memory_, SortsToCompare(*rule.rule));
  if (!memory) co_return memory.error();
  Result<ReconcileResult> compared = co_await Reconcile(context_, rule, targets, "", nullptr,
                                                        std::move(known_until), std::move(*memory));
  if (!compared) co_return compared;
  for (size_t i : targets) {
    if (compared->failed.contains(i)) continue;
    const TargetContext& target = *rule.targets[i];
    const std::string partition = StatePartition(*rule.rule, *target.config);
    Result<int64_t> written = co_await context_.state.Write(
        partition, {.key = kComparedAt, .value = ComparedAt(rule, target, began)});
    if (written && !compared->guarded) {
      written = co_await context_.state.Write(
          partition, {.key = kComparedHere, .value = ComparedHere(rule, target, began)});
    }
    if (!written) co_return written.error();
  }
  co_return compared;
}

Async<ReconcileResult> Comparisons::CompareByInventory(RuleContext& rule,
                                                       std::vector<size_t> targets) {
  ByInventory inventory(context_, rule);
  Result<std::vector<size_t>> left = co_await inventory.Choose(std::move(targets));
  if (!left) co_return left.error();
  if (left->empty()) co_return ReconcileResult{};
  Result<CompareMemory> memory =
      co_await CompareMemory::Take(context_, memory_, SortsToCompare(*rule.rule));
  if (!memory) co_return memory.error();
  Result<std::unique_ptr<Listing>> listing = co_await inventory.Open(memory->Next());
  if (!listing) co_return listing.error();
  Result<ReconcileResult> compared =
      co_await Reconcile(context_, rule, *left, "", std::move(*listing), {}, std::move(*memory));
  if (!compared) co_return inventory.Explained(compared.error());
  std::erase_if(*left, [&](size_t i) { return compared->failed.contains(i); });
  Result<void> remembered = co_await inventory.Remember(*left);
  if (!remembered) co_return remembered.error();
  co_return compared;
}

std::vector<size_t> Comparisons::LeftOf(const RuleContext& rule,
                                        const BackfillRequest& asked) const {
  const std::string& id = rule.rule->id;
  const auto known = backfilled_.find(id);
  const bool begun = known != backfilled_.end() && known->second.revision == asked.revision;
  std::vector<size_t> left;
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    if (context_.control->Holds(id, rule.targets[i]->config->name)) continue;
    if (!begun || !known->second.targets.contains(i)) left.push_back(i);
  }
  return left;
}

std::vector<size_t> Comparisons::NowOf(const RuleContext& rule,
                                       const BackfillRequest& asked) const {
  std::vector<size_t> now = LeftOf(rule, asked);
  std::erase_if(now, [&](size_t i) { return !rule.targets[i]->target_found; });
  return now;
}

std::optional<BackfillRequest> Comparisons::BackfillNow(const RuleContext& rule) const {
  std::optional<BackfillRequest> asked = context_.control->BackfillOf(rule.rule->id);
  if (asked && NowOf(rule, *asked).empty()) asked.reset();
  return asked;
}

Async<void> Comparisons::Backfill(RuleContext& rule, const BackfillRequest& asked) {
  const std::string& id = rule.rule->id;
  Result<bool> read = co_await context_.control->Refresh();
  if (!read) co_return read.error();
  if (BackfillNow(rule) != asked) co_return Ok();
  const std::vector<size_t> targets = NowOf(rule, asked);
  context_.runtime.log.Info("comparing, as asked", {{"rule", id}, {"prefix", asked.prefix}});
  Result<ReconcileResult> compared = co_await Compare(rule, targets, asked);
  if (!compared && asked.listing && IsForGood(compared.error())) {
    context_.runtime.log.Failure("not compared, as asked: ask again with another listing",
                                 {{"rule", id}, {"prefix", asked.prefix}, compared.error()});
    Result<void> removed = co_await RemoveBackfill(context_.state, id, asked.revision);
    if (!removed) co_return removed.error();
    co_return Ok();
  }
  if (!compared) co_return compared.error();
  Backfilled& done = backfilled_[id];
  if (std::exchange(done.revision, asked.revision) != asked.revision) done.targets.clear();
  for (size_t i : targets) {
    if (!compared->failed.contains(i)) done.targets.insert(i);
  }
  if (!compared->failed.empty()) {
    const auto& [index, error] = *compared->failed.begin();
    co_return error.In("rule " + id + ": target " + rule.targets[index]->config->name);
  }
  context_.runtime.log.Info("compared, as asked", {{"rule", id},
                                                   {"prefix", asked.prefix},
                                                   {"source_keys", compared->source_keys},
                                                   {"writes", compared->writes}});
  if (!LeftOf(rule, asked).empty()) co_return Ok();
  backfilled_.erase(id);
  Result<void> removed = co_await RemoveBackfill(context_.state, id, asked.revision);
  if (!removed) co_return removed.error();
  read = co_await context_.control->Refresh();
  if (!read) co_return read.error();
  co_return Ok();
}

Async<ReconcileResult> Comparisons::Compare(RuleContext& rule, std::vector<size_t> targets,
                                            const BackfillRequest& asked) {
  // A listing that is given holds memory from when it is opened, and staging is looked into after
  // that, in the first part: so it has another one.
  const size_t sorts = SortsToCompare(*rule.rule) + (asked.listing ? 2 : 0);
  Result<CompareMemory> memory = co_await CompareMemory::Take(context_, memory_, sorts);
  if (!memory) co_return memory.error();
  if (asked.listing) memory->SkipFirst();
  if (!asked.listing) {
    co_return co_await Reconcile(context_, rule, targets, asked.prefix, nullptr, {},
                                 std::move(*memory));
  }
  const std::string& below =
      asked.prefix.starts_with(rule.rule->source.prefix) ? asked.prefix : rule.rule->source.prefix;
  Result<std::unique_ptr<Listing>> listing = co_await OpenListingFile(
      memory->Next(),
      {.store = rule.source,
       .bucket = asked.listing->bucket,
       .key = asked.listing->key,
       .name = rule.rule->source.store + ":" + asked.listing->bucket + "/" + asked.listing->key},
      ListingFileKind::kAny, *rule.source, rule.rule->source.bucket, below,
      {.waiting_bytes_max = kComparisonWaitingBytesMax},
      // Gone since: no event of it is missed by not comparing it.
      [](const Error&, const std::string&) {});
  if (!listing) co_return listing.error();
  co_return co_await Reconcile(context_, rule, targets, asked.prefix, std::move(*listing), {},
                               std::move(*memory));
}

asio::awaitable<void> Comparisons::Run(RuleContext& rule, Event& stop) {
  Clock& clock = context_.runtime.clock;
  int failures = 0;
  bool others = false;  // Have compared it while it was due here.
  const std::string part = "listing of rule " + rule.rule->id;
  const std::optional<std::chrono::seconds> interval = rule.rule->intake.listing;
  SteadyTime next = clock.SteadyNow() + interval.value_or(std::chrono::seconds(0));
  while (!stop.is_set()) {
    rule.compare_soon.Reset();  // Who asks from now on asks for another comparison.
    if (interval && clock.SteadyNow() >= next) {
      next = clock.SteadyNow() + *interval;
      for (const auto& target : rule.targets) target->compare_due = true;
    }
    const bool any_target = std::any_of(rule.targets.begin(), rule.targets.end(),
                                        [&](const auto& target) { return IsDue(rule, *target); });
    const std::optional<BackfillRequest> asked = BackfillNow(rule);
    if (!rule.source_found || (!any_target && !asked)) {
      // Until it is time again, something has been found, somebody asks for it, or all stops.
      if (interval) {
        co_await rule.compare_soon.WaitFor(
            clock, std::max<std::chrono::nanoseconds>(next - clock.SteadyNow(),
                                                      std::chrono::milliseconds(1)));
      } else {
        co_await rule.compare_soon.Wait();
      }
      continue;
    }
    // One process at a time: a second listing would cost and find the same.
    // (Short: when its holder is killed, the next one must not wait for long.)
    Lease lease(context_.state, clock, "reconcile/" + rule.rule->id, context_.owner,
                context_.limits.archive_lease);
    Result<bool> acquired = co_await lease.TryAcquire();
    Result<void> done;
    if (!acquired) {
      done = acquired.error();
    } else if (*acquired) {
      Event compared;
      TaskGroup keeper(context_.runtime.executor);
      keeper.Spawn(KeepLease(clock, lease, compared, context_.limits.archive_lease / 3));
      if (std::exchange(others, false)) co_await UntilCarried(stop);
      done = co_await CompareDue(rule, nullptr);
      if (done && asked) done = co_await Backfill(rule, *asked);
      compared.Set();
      Result<void> kept = co_await keeper.Join();
      static_cast<void>(kept);
      co_await lease.Release();
    } else {
      // At it, or killed at it: look again soon, not in an interval.
      others = true;
      co_await stop.WaitFor(clock, context_.limits.archive_lease);
      continue;
    }
    context_.observer.OnReadiness(part, done ? std::nullopt : std::optional<Error>(done.error()));
    if (!done) {
      context_.runtime.log.Warning("reconcile failed", {{"rule", rule.rule->id}, done.error()});
      // What is wrong with an inventory is cured by the next one, and it may be large to read.
      const bool for_good = rule.rule->intake.inventory && IsForGood(done.error());
      co_await rule.compare_soon.WaitFor(
          clock, RetryDelay(failures++, for_good ? kInventoryRetryLast : kRetryLast));
      continue;
    }
    failures = 0;
  }
}

void Comparisons::SoonByListing(std::string_view rule_id) {
  by_listing_.emplace(rule_id);
  Soon(rule_id);
}

void Comparisons::Soon(std::string_view rule_id) {
  for (const auto& rule : context_.rules) {
    if (rule->rule->id != rule_id) continue;
    for (const auto& target : rule->targets) target->compare_due = true;
    rule->compare_soon.Set();
  }
}

}  // namespace longhaul
