#include "replication/replicator.h"

#include <algorithm>
#include <utility>

#include "replication/context/loops.h"
#include "replication/life/progress_watch.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kRetryLast{30};
// Between two looks at the stagings, each of which is a request that is billed: grows while nothing
// comes. While the source works there is nothing to be seen but what it tells of, and what other
// processes do.
constexpr std::chrono::milliseconds kLookPause{20};
constexpr std::chrono::milliseconds kLookPauseMax{1'000};  // Stores take seconds to replicate.
constexpr std::chrono::milliseconds kSourceWorksPause{10'000};
constexpr int kRoundsMax = 4;

// For a person, where nothing has failed and nothing goes forward.
std::string WhatIsWaited(bool source_done, const TargetPass& pass, const ReceiptPass& receipts) {
  std::string text;
  auto add = [&](const std::string& what) { text += (text.empty() ? "" : ", ") + what; };
  if (!source_done) add("hints are being worked on or wait in the queue");
  if (pass.waiting > 0) add(std::to_string(pass.waiting) + " archives wait in staging");
  if (receipts.on_the_way > 0) {
    add(std::to_string(receipts.on_the_way) + " archives have not been replicated by the store");
  }
  return text.empty() ? "receipts wait for the source" : text;
}

}  // namespace

Result<std::unique_ptr<Replicator>> Replicator::Make(ReplicationContext& context,
                                                     ReplicatorOptions options) {
  Result<MemoryPlan> memory = PlanMemory(context, options.source, options.target);
  if (!memory) return memory.error();
  return std::unique_ptr<Replicator>(new Replicator(context, options, *memory));
}

Replicator::Replicator(ReplicationContext& context, ReplicatorOptions options,
                       const MemoryPlan& memory)
    : context_(context),
      options_(options),
      source_(context, memory.pack, memory.pack_jobs),
      target_(context, memory.apply_job_bytes),
      take_over_(context, memory.take_over_bytes),
      receipts_(context),
      finder_(context, options.source, options.target,
              [this](RuleContext& rule) {
                rule.compare_soon.Set();
                target_.Wake();
              }),
      comparisons_(context),
      follower_(context,
                [this] {
                  for (const auto& rule : context_.rules) rule->compare_soon.Set();
                  target_.Wake();
                  receipts_.Wake();
                }),
      overlap_(context, [this](const std::string& rule) { comparisons_.SoonByListing(rule); }),
      parked_retries_(context),
      upkeep_(context, options.source, options.target),
      tuning_(context, [this](const std::string& rule) {
        const RuleMeter::SourceSight sight = source_.SightOf(rule);
        return TunerSight{
            .oldest = sight.oldest ? std::optional(sight.oldest->heard) : std::nullopt,
            .oldest_fresh = sight.oldest_fresh};
      }) {
  tuning_.LimitLevel(memory.pack.level_max);
  std::vector<std::string> rules;
  for (const auto& rule : context.rules) rules.push_back(rule->rule->id);
  context.meter->Runs(std::move(rules), options.source, options.target,
                      [this](const std::string& rule) { return source_.SightOf(rule); });
  std::map<std::string, ThresholdWatch::WatchedRule> watched;
  for (const auto& rule : context.rules) {
    if (!rule->rule->threshold || !options.source) continue;
    ThresholdWatch::WatchedRule& watch = watched[rule->rule->id];
    watch.threshold = *rule->rule->threshold;
    for (const auto& target : rule->targets) watch.targets.push_back(target->config->name);
  }
  context.meter->thresholds().Watch(std::move(watched),
                                    [this](const std::string& rule, SystemTime before, size_t max) {
                                      return source_.LateKeys(rule, before, max);
                                    });
  source_.OnStaged([this] {
    target_.Wake();
    receipts_.Wake();
    wake_.Set();
  });
}

asio::awaitable<OnceResult> Replicator::RunOnce(Event& stop) {
  OnceResult result;
  Clock& clock = context_.runtime.clock;
  Event life_ended;
  TaskGroup life(context_.runtime.executor);
  life.Spawn(AsTask(upkeep_.Beat(life_ended)));
  life.Spawn(AsTask(upkeep_.Publish(life_ended)));
  if (options_.source) life.Spawn(AsTask(tuning_.Run(life_ended)));
  if (options_.source) life.Spawn(AsTask(overlap_.Watch(false, life_ended)));

  const SteadyTime deadline = clock.SteadyNow() + options_.timeout;
  for (int attempt = 0; !stop.is_set(); ++attempt) {
    Result<void> ready = co_await finder_.FindAll();
    if (ready) {
      result.store_error.reset();
      break;
    }
    result.store_error = ready.error();
    const auto delay = RetryDelay(attempt, kRetryLast);
    if (!ready.error().Transient() || clock.SteadyNow() + delay > deadline) break;
    context_.runtime.log.Warning("not ready, trying again", {ready.error()});
    co_await stop.WaitFor(clock, delay);
  }
  if (!result.store_error && !stop.is_set()) {
    if (options_.source) co_await follower_.EmptySpools();
    life.Spawn(AsTask(follower_.Follow(life_ended)));
    if (options_.source) life.Spawn(AsTask(follower_.KeepSpoolsEmpty(life_ended)));
    Event source_stop;
    TaskGroup running(context_.runtime.executor);
    if (options_.source) running.Spawn(AsTask(source_.Run(source_stop)));
    // What was under way when a comparison was made may change the target after it: then compare
    // once more. (A source that never stands still ends this after a few rounds.)
    std::optional<Error> not_compared;
    for (int round = 0; round < kRoundsMax; ++round) {
      bool clean = true;
      if (options_.source) {
        Result<bool> nothing = co_await NothingUnderWay(context_, PausedTargets::kLeftOut);
        clean = nothing && *nothing;
        Result<void> compared = co_await CompareUntil(stop, &result.deletes_guarded);
        // What could be compared is carried all the same.
        if (!compared) not_compared = compared.error();
      }
      result = co_await WaitUntilDone(stop, std::move(result));
      if (!result.store_error) result.store_error = not_compared;
      if (clean || result.store_error || stop.is_set() || !options_.target) break;
    }
    source_stop.Set();
    Result<void> joined = co_await running.Join();
    static_cast<void>(joined);
    if (options_.target && !result.store_error && !stop.is_set()) {
      Result<void> swept = co_await upkeep_.SweepGiants({});
      if (!swept) result.store_error = swept.error();
    }
  }
  result.stopped = stop.is_set();
  result.paused = follower_.WhatIsPaused();
  life_ended.Set();
  follower_.LookAtSpools();
  Result<void> joined = co_await life.Join();
  static_cast<void>(joined);
  co_return result;
}

// Compares; what waiting can cure is tried again until nothing has gone forward for the timeout.
Async<void> Replicator::CompareUntil(Event& stop, bool* deletes_guarded) {
  Clock& clock = context_.runtime.clock;
  for (const auto& rule : context_.rules) {
    for (const auto& target : rule->targets) target->compare_due = true;
  }
  // Of an earlier run, or of others that have compared already: else it would be found again.
  const Comparisons::Hopeless hopeless = [this] { return source_.store_error().has_value(); };
  co_await comparisons_.UntilCarried(stop, hopeless);
  ProgressWatch progress(clock, options_.timeout);
  for (int attempt = 0;; ++attempt) {
    std::vector<Result<void>> compared;
    for (const auto& rule : context_.rules) {
      compared.push_back(
          co_await comparisons_.CompareAlone(*rule, stop, deletes_guarded, hopeless));
    }
    Result<void> done = Together(compared);
    const auto delay = RetryDelay(attempt, kRetryLast);
    const bool ran_out =
        progress.RanOut(source_.keys_done(), source_.failures(), context_.bytes_moved, delay);
    if (done || !done.error().Transient() || stop.is_set() || ran_out) {
      co_return done;
    }
    context_.runtime.log.Warning("comparison failed, trying again", {done.error()});
    co_await stop.WaitFor(clock, delay);
  }
}

asio::awaitable<OnceResult> Replicator::WaitUntilDone(Event& stop, OnceResult result) {
  Clock& clock = context_.runtime.clock;
  ProgressWatch progress(clock, options_.timeout);
  uint64_t finished = 0;  // By the target and the receipts; the source counts for itself.
  uint64_t failures = 0;
  const bool replicated = options_.source && std::ranges::any_of(context_.rules, [](auto& rule) {
                            return rule->local != nullptr;
                          });
  receipts_.WaitAtMost(options_.timeout / 2);  // Else a late store would let the time run out.
  std::chrono::milliseconds pause = kLookPause;
  while (!stop.is_set()) {
    wake_.Reset();
    // In this order: what the source finishes after the pass has looked is seen by the next round.
    bool source_done = true;
    if (options_.source) {
      Result<QueueDepth> depth = co_await context_.queue.Depth();
      source_done = source_.idle() && depth && depth->visible == 0 && depth->delayed == 0 &&
                    depth->in_flight == 0 && depth->settled;
      if (!depth) result.store_error = depth.error();
    }
    // What a store has not replicated to a staging may come there behind the back of the pass.
    ReceiptPass before;
    if (replicated) before = co_await receipts_.RunPass();
    TargetPass pass;
    if (options_.target) pass = co_await target_.RunPass(stop);
    // After all that the source holds: see TakeOverRole::Run.
    if (options_.target && source_done && pass.applied == 0 && pass.waiting == 0) {
      const TakeOverPass taken = co_await take_over_.RunPass(stop);
      pass.applied += taken.removed;
      pass.waiting += taken.waiting;
      pass.failed += taken.failed;
      pass.parked += taken.parked;
      if (!pass.store_error) pass.store_error = taken.store_error;
    }
    ReceiptPass receipts;
    if (options_.source) receipts = co_await receipts_.RunPass();
    receipts.read += before.read;
    if (!receipts.store_error) receipts.store_error = before.store_error;
    result.parked_archives = pass.parked;
    result.corrupt_archives = std::max(result.corrupt_archives, pass.corrupt);

    const bool target_done = !options_.target || (pass.applied == 0 && pass.waiting == 0);
    const bool receipts_done =
        !options_.source ||
        ((!options_.target || (receipts.read == 0 && pass.corrupt == 0)) && before.on_the_way == 0);
    std::optional<Error> trouble = pass.store_error;
    if (!trouble) trouble = receipts.store_error;
    // A failure that waiting does not cure: a wrong key, a bucket that is not there. (What the
    // source is refused for a single object is parked after a few tries.)
    const bool hopeless =
        trouble && (trouble->kind == ErrorKind::kDenied || trouble->kind == ErrorKind::kNotFound ||
                    trouble->kind == ErrorKind::kInvalidInput);
    if (!trouble && !source_done) trouble = source_.store_error();
    if (source_done && target_done && receipts_done && !trouble) {
      result.store_error.reset();
      co_return result;
    }
    finished += static_cast<uint64_t>(pass.applied + receipts.read);
    failures += static_cast<uint64_t>(pass.failed);
    if (progress.RanOut(finished + source_.keys_done(), failures + source_.failures(),
                        context_.bytes_moved)) {
      result.store_error = trouble ? *trouble
                                   : Retryable("nothing went forward for " +
                                               std::to_string(options_.timeout.count() / 1000) +
                                               " s; " + WhatIsWaited(source_done, pass, before));
      co_return result;
    }
    if (hopeless && pass.applied == 0 && source_.idle()) {
      result.store_error = trouble;
      co_return result;
    }
    if (pass.applied > 0 || receipts.read > 0) {
      pause = kLookPause;
    } else if (options_.source && !source_.idle() && pass.waiting == 0 && before.on_the_way == 0) {
      co_await WaitToLook(stop, std::min(kSourceWorksPause, options_.timeout));
    } else {
      co_await WaitToLook(stop, before.on_the_way > 0 ? kLookPauseMax : pause);
      pause = std::min(2 * pause, kLookPauseMax);
    }
  }
  co_return result;
}

asio::awaitable<void> Replicator::WaitToLook(Event& stop, std::chrono::milliseconds pause) {
  Clock& clock = context_.runtime.clock;
  bool worked = !source_.idle();
  const SteadyTime until = clock.SteadyNow() + pause;
  while (clock.SteadyNow() < until && !stop.is_set() && !wake_.is_set()) {
    co_await wake_.WaitFor(clock, std::min(kLookPause, pause));
    const bool works = !source_.idle();
    if (worked && !works) co_return;
    worked = works;
  }
}

asio::awaitable<void> Replicator::RunContinuous(Event& stop) {
  Event life_ended;
  TaskGroup life(context_.runtime.executor);
  life.Spawn(AsTask(upkeep_.Beat(life_ended)));
  life.Spawn(AsTask(upkeep_.Publish(life_ended)));
  if (options_.source) life.Spawn(AsTask(tuning_.Run(life_ended)));
  if (options_.source) life.Spawn(AsTask(overlap_.Watch(true, life_ended)));
  TaskGroup running(context_.runtime.executor);
  // Each store is looked for by itself; before that nobody knows what it can do, and what is for it
  // waits in the Queue and in staging.
  auto find = [&](RuleContext& rule, TargetContext* target) {
    std::string part = target == nullptr ? "source" : "target " + target->config->name;
    part += " of rule " + rule.rule->id;
    context_.observer.OnReadiness(part, Retryable("not looked at yet"));
    running.Spawn(finder_.KeepFinding(std::move(part), rule, target, stop));
  };
  source_.UseSpool([this] { follower_.LookAtSpools(); });
  running.Spawn(AsTask(follower_.Follow(stop)));
  if (options_.source) running.Spawn(AsTask(follower_.KeepSpoolsEmpty(stop)));
  if (options_.source) running.Spawn(AsTask(parked_retries_.Run(stop)));
  for (const auto& rule : context_.rules) {
    if (options_.source) find(*rule, nullptr);
    for (const auto& target : rule->targets) find(*rule, target.get());
  }
  if (options_.source) {
    running.Spawn(AsTask(source_.Run(stop)));
    running.Spawn(AsTask(receipts_.Run(stop)));
    for (const auto& rule : context_.rules) running.Spawn(AsTask(comparisons_.Run(*rule, stop)));
  }
  if (options_.target) {
    running.Spawn(AsTask(target_.Run(stop)));
    running.Spawn(AsTask(take_over_.Run(stop)));
  }
  co_await stop.Wait();
  for (const auto& rule : context_.rules) rule->compare_soon.Set();
  target_.Wake();
  receipts_.Wake();
  follower_.LookAtSpools();
  Result<void> joined = co_await running.Join();
  static_cast<void>(joined);
  life_ended.Set();
  joined = co_await life.Join();
  static_cast<void>(joined);
}

}  // namespace longhaul
