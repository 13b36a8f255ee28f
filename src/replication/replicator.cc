#include "replication/replicator.h"

#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <utility>

#include "archive/archive_file.h"
#include "replica/lease.h"
#include "replication/capability_cache.h"
#include "replication/reconcile.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kRetryFirst{1};
constexpr std::chrono::seconds kRetryLast{30};
constexpr std::chrono::milliseconds kOncePause{20};
constexpr int kRoundsMax = 4;

std::chrono::nanoseconds RetryDelay(int attempts) {
  return std::min<std::chrono::nanoseconds>(kRetryLast, kRetryFirst * (1 << std::min(attempts, 5)));
}

Async<void> AsTask(asio::awaitable<void> work) {
  co_await std::move(work);
  co_return Ok();
}

Async<void> RequireBucket(Store& store, const std::string& bucket, std::string_view what) {
  Result<void> found = co_await store.HeadBucket(bucket);
  if (found) co_return Ok();
  Error error =
      found.error().In(std::string(what) + " bucket " + bucket + " of " + store.description());
  if (error.kind == ErrorKind::kNotFound) error.code = "NoSuchBucket";
  co_return error;
}

}  // namespace

Result<std::unique_ptr<ReplicationContext>> MakeReplicationContext(
    Runtime& runtime, const Configuration& configuration, std::map<std::string, Store*> stores,
    Queue& queue, State& state, Observer& observer, ReplicationLimits limits) {
  std::string owner = NewUlid(runtime.clock.Now(), runtime.random);
  std::unique_ptr<ReplicationContext> context(new ReplicationContext{.runtime = runtime,
                                                                     .queue = queue,
                                                                     .state = state,
                                                                     .observer = observer,
                                                                     .site = configuration.site,
                                                                     .owner = owner,
                                                                     .limits = limits,
                                                                     .stores = std::move(stores),
                                                                     .rules = {},
                                                                     .uploads = nullptr});
  context->uploads =
      std::make_unique<UploadLedger>(runtime, state, owner, context->stores, limits.process_lease);
  auto find = [&](const std::string& name) -> Store* {
    auto found = context->stores.find(name);
    return found == context->stores.end() ? nullptr : found->second;
  };
  for (const Rule& rule : configuration.rules) {
    if (!rule.enabled) continue;
    auto made = std::make_unique<RuleContext>();
    made->rule = &rule;
    made->source = find(rule.source.store);
    for (const Target& config : rule.targets) {
      auto target = std::make_unique<TargetContext>();
      target->rule = &rule;
      target->config = &config;
      target->store = find(config.to.store);
      target->staging_store = find(config.staging.store);
      target->staging_bucket = config.staging.bucket;
      target->staging_prefix = StagingPrefix(rule, config);
      target->floors = std::make_unique<Floors>(state, runtime.clock, StatePartition(rule, config));
      if (target->store == nullptr || target->staging_store == nullptr) {
        return InvalidInput("rule " + rule.id + " names a store that is not there");
      }
      made->targets.push_back(std::move(target));
    }
    if (made->source == nullptr) {
      return InvalidInput("rule " + rule.id + " names a store that is not there");
    }
    context->rules.push_back(std::move(made));
  }
  return context;
}

Result<std::unique_ptr<Replicator>> Replicator::Make(ReplicationContext& context,
                                                     ReplicatorOptions options) {
  const int64_t total = context.runtime.memory.limit_bytes();
  const int threads = std::max(1, context.runtime.pool.threads());
  int level = 1;
  for (const auto& rule : context.rules) level = std::max(level, rule->rule->compression_level);

  // Of the target: the tail, two frames as they come and as they are, an object or a part of one.
  const auto frame = static_cast<int64_t>(context.limits.frame_bytes);
  const auto object = static_cast<int64_t>(context.limits.bundle_object_bytes_max);
  const int64_t apply_min =
      static_cast<int64_t>(StoreArchiveFile::kTailSizeBytes) + 4 * frame + 2 * object + (8 << 20);
  int64_t apply_bytes = 0;
  if (options.target) {
    apply_bytes = std::clamp(total / 3, apply_min, 3 * apply_min);
  }
  if (options.target && !options.source && apply_bytes > total) {
    return InvalidInput("applying needs " + std::to_string(apply_bytes) +
                        " bytes of memory, the budget is " + std::to_string(total) + " (--memory)");
  }
  PackMemory pack;
  int jobs = 1;
  if (options.source) {
    const int64_t available = total - apply_bytes;
    Result<PackMemory> planned = PlanPackMemory(context.limits, level, threads, available);
    if (!planned) {
      return InvalidInput(planned.error().message + "; with applying, which takes " +
                          std::to_string(apply_bytes) + ", the budget is " + std::to_string(total) +
                          " bytes");
    }
    pack = *planned;
    jobs = static_cast<int>(std::clamp<int64_t>(available / pack.total(), 1, 2));
  }
  return std::unique_ptr<Replicator>(
      new Replicator(context, options, pack, jobs, std::max<int64_t>(apply_bytes, 1)));
}

Replicator::Replicator(ReplicationContext& context, ReplicatorOptions options,
                       PackMemory pack_memory, int pack_jobs, int64_t apply_bytes)
    : context_(context),
      options_(options),
      source_(context, pack_memory, pack_jobs),
      target_(context, apply_bytes),
      receipts_(context) {
  source_.OnStaged([this] {
    target_.Wake();
    receipts_.Wake();
    wake_.Set();
  });
}

Async<void> Replicator::Prepare() {
  for (const auto& rule : context_.rules) {
    if (options_.source) {
      Result<void> found =
          co_await RequireBucket(*rule->source, rule->rule->source.bucket, "source");
      if (!found) co_return found.error().In("rule " + rule->rule->id);
    }
    for (const auto& target : rule->targets) {
      if (target->applier) continue;
      Result<void> found =
          co_await RequireBucket(*target->staging_store, target->staging_bucket, "staging");
      if (found) {
        found = co_await RequireBucket(*target->store, target->config->to.bucket, "target");
      }
      if (found && options_.target) found = co_await PrepareTarget(*rule, *target);
      if (!found) co_return found.error().In("rule " + rule->rule->id);
    }
  }
  co_return Ok();
}

Async<void> Replicator::PrepareTarget(RuleContext& rule, TargetContext& target) {
  ApplyPolicy policy{.bucket = target.config->to.bucket,
                     .site = context_.site,
                     .storage_class = target.config->storage_class,
                     .kms_key = target.config->kms_key,
                     .overwrite_conflicts = rule.rule->on_conflict == OnConflict::kOverwrite,
                     .owner = context_.owner};
  if (target.staging_store == target.store) {
    Result<Capabilities> probed = co_await ProbedCapabilities(
        context_, *target.store, target.staging_bucket, target.config->staging.prefix);
    if (!probed) co_return probed.error().In("probe " + target.store->description());
    policy.capabilities = *probed;
    target.store->UseProbed(*probed);
  } else {
    // Nothing may be tried in a bucket of replicas: leases stand in for what is not known to work.
    policy.capabilities = target.store->capabilities();
    policy.capabilities.create_if_absent = false;
    policy.capabilities.replace_if_match = false;
    policy.capabilities.complete_if_absent = false;
    policy.capabilities.complete_if_match = false;
    policy.capabilities.delete_if_match = false;
  }
  if (policy.capabilities.versions) {
    Result<bool> versioned = co_await target.store->GetVersioning(policy.bucket);
    if (versioned) {
      policy.versioned = *versioned;
    } else if (versioned.error().Transient()) {
      co_return versioned.error();
    }
  }
  target.applier = std::make_unique<Applier>(context_.runtime, *target.store, context_.state,
                                             *target.floors, std::move(policy));
  co_return Ok();
}

Async<void> Replicator::ReconcileAll(OnceResult* result) {
  for (const auto& rule : context_.rules) {
    Result<ReconcileResult> reconciled = co_await Reconcile(context_, *rule);
    if (!reconciled) co_return reconciled.error();
    result->deletes_guarded = result->deletes_guarded || reconciled->guarded;
  }
  co_return Ok();
}

asio::awaitable<OnceResult> Replicator::RunOnce(Event& stop) {
  OnceResult result;
  Clock& clock = context_.runtime.clock;
  Event life_ended;
  TaskGroup life(context_.runtime.executor);
  life.Spawn(AsTask(LifeLoop(life_ended)));

  const SteadyTime deadline = clock.SteadyNow() + options_.timeout;
  for (int attempt = 0; !stop.is_set(); ++attempt) {
    Result<void> ready = co_await Prepare();
    if (ready) {
      result.store_error.reset();
      break;
    }
    result.store_error = ready.error();
    const auto delay = RetryDelay(attempt);
    if (!ready.error().Transient() || clock.SteadyNow() + delay > deadline) break;
    context_.runtime.log.Warning("not ready, trying again", {ready.error()});
    co_await stop.WaitFor(clock, delay);
  }
  if (!result.store_error && !stop.is_set()) {
    Event source_stop;
    TaskGroup running(context_.runtime.executor);
    if (options_.source) running.Spawn(AsTask(source_.Run(source_stop)));
    // What was under way when a comparison was made may change the target after it: then compare
    // once more. (A source that never stands still ends this after a few rounds.)
    for (int round = 0; round < kRoundsMax; ++round) {
      bool clean = true;
      if (options_.source) {
        Result<bool> nothing = co_await NothingUnderWay();
        clean = nothing && *nothing;
        Result<void> compared = co_await ReconcileUntil(stop, &result);
        if (!compared) {
          result.store_error = compared.error();
          break;
        }
      }
      result = co_await WaitUntilDone(stop, std::move(result));
      if (clean || result.store_error || stop.is_set() || !options_.target) break;
    }
    source_stop.Set();
    Result<void> joined = co_await running.Join();
    static_cast<void>(joined);
  }
  result.stopped = stop.is_set();
  life_ended.Set();
  Result<void> joined = co_await life.Join();
  static_cast<void>(joined);
  co_return result;
}

// Compares; what waiting can cure is tried again until the timeout.
Async<void> Replicator::ReconcileUntil(Event& stop, OnceResult* result) {
  Clock& clock = context_.runtime.clock;
  const SteadyTime deadline = clock.SteadyNow() + options_.timeout;
  for (int attempt = 0;; ++attempt) {
    Result<void> done = co_await ReconcileAll(result);
    const auto delay = RetryDelay(attempt);
    if (done || !done.error().Transient() || stop.is_set() ||
        clock.SteadyNow() + delay > deadline) {
      co_return done;
    }
    context_.runtime.log.Warning("comparison failed, trying again", {done.error()});
    co_await stop.WaitFor(clock, delay);
  }
}

Async<bool> Replicator::NothingUnderWay() {
  Result<QueueDepth> depth = co_await context_.queue.Depth();
  if (!depth) co_return depth.error();
  if (depth->visible + depth->delayed + depth->in_flight > 0) co_return false;
  for (const auto& rule : context_.rules) {
    for (const auto& target : rule->targets) {
      Result<std::vector<StagedArchive>> staged = co_await ListStaging(
          *target->staging_store, target->staging_bucket, target->staging_prefix);
      if (!staged) co_return staged.error();
      if (!staged->empty()) co_return false;
    }
  }
  co_return true;
}

asio::awaitable<OnceResult> Replicator::WaitUntilDone(Event& stop, OnceResult result) {
  Clock& clock = context_.runtime.clock;
  SteadyTime deadline = clock.SteadyNow() + options_.timeout;
  uint64_t done_before = 0;
  while (!stop.is_set()) {
    wake_.Reset();
    // In this order: what the source finishes after the pass has looked is seen by the next round.
    bool source_done = true;
    if (options_.source) {
      Result<QueueDepth> depth = co_await context_.queue.Depth();
      source_done = source_.idle() && depth && depth->visible == 0 && depth->delayed == 0 &&
                    depth->in_flight == 0;
      if (!depth) result.store_error = depth.error();
    }
    TargetPass pass;
    if (options_.target) pass = co_await target_.RunPass();
    ReceiptPass receipts;
    if (options_.source) receipts = co_await receipts_.RunPass();
    result.parked_archives = pass.parked;
    result.corrupt_archives = std::max(result.corrupt_archives, pass.corrupt);

    const bool target_done = !options_.target || (pass.applied == 0 && pass.waiting == 0);
    const bool receipts_done =
        !options_.source || !options_.target || (receipts.read == 0 && pass.corrupt == 0);
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
    if (source_.keys_done() != done_before || pass.applied > 0 || receipts.read > 0) {
      done_before = source_.keys_done();
      deadline = clock.SteadyNow() + options_.timeout;
    }
    if (clock.SteadyNow() > deadline) {
      result.store_error = trouble
                               ? *trouble
                               : Retryable("nothing went forward for " +
                                           std::to_string(options_.timeout.count() / 1000) + " s");
      co_return result;
    }
    if (hopeless && pass.applied == 0 && source_.idle()) {
      result.store_error = trouble;
      co_return result;
    }
    if (pass.applied == 0) co_await wake_.WaitFor(clock, kOncePause);
  }
  co_return result;
}

asio::awaitable<void> Replicator::LifeLoop(Event& stop) {
  Clock& clock = context_.runtime.clock;
  const auto beat = context_.limits.process_lease / 3;
  SteadyTime next_sweep = clock.SteadyNow();
  do {
    Result<void> beaten = co_await context_.uploads->Heartbeat();
    if (!beaten) context_.runtime.log.Warning("State cannot be written", {beaten.error()});
    context_.observer.OnReadiness("state",
                                  beaten ? std::nullopt : std::optional<Error>(beaten.error()));
    if (beaten && clock.SteadyNow() >= next_sweep) {
      next_sweep = clock.SteadyNow() + context_.limits.janitor_interval;
      Result<int> swept = co_await context_.uploads->Sweep();
      if (!swept) context_.runtime.log.Warning("uploads not swept", {swept.error()});
    }
  } while (!co_await stop.WaitFor(clock, beat));
}

asio::awaitable<void> Replicator::ReconcileLoop(RuleContext& rule, Event& stop) {
  Clock& clock = context_.runtime.clock;
  int failures = 0;
  while (!stop.is_set()) {
    rule.compare_soon.Reset();  // Who asks from now on asks for another comparison.
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
      keeper.Spawn(KeepLease(clock, lease, compared, context_.limits.archive_lease));
      Result<ReconcileResult> reconciled = co_await Reconcile(context_, rule);
      if (!reconciled) done = reconciled.error();
      compared.Set();
      Result<void> kept = co_await keeper.Join();
      static_cast<void>(kept);
      co_await lease.Release();
    } else {
      // At it, or killed at it: look again soon, not in an interval.
      co_await stop.WaitFor(clock, context_.limits.archive_lease);
      continue;
    }
    context_.observer.OnReadiness("listing of rule " + rule.rule->id,
                                  done ? std::nullopt : std::optional<Error>(done.error()));
    if (!done) {
      context_.runtime.log.Warning("reconcile failed", {{"rule", rule.rule->id}, done.error()});
      co_await stop.WaitFor(clock, RetryDelay(failures++));
      continue;
    }
    failures = 0;
    // Until it is time again, somebody asks for it, or all stops.
    if (stop.is_set()) co_return;
    if (rule.rule->intake.listing) {
      co_await rule.compare_soon.WaitFor(clock, *rule.rule->intake.listing);
    } else {
      co_await rule.compare_soon.Wait();
    }
  }
}

void Replicator::CompareSoon(std::string_view rule_id) {
  for (const auto& rule : context_.rules) {
    if (rule->rule->id == rule_id) rule->compare_soon.Set();
  }
}

asio::awaitable<void> Replicator::RunContinuous(Event& stop) {
  Clock& clock = context_.runtime.clock;
  Event life_ended;
  TaskGroup life(context_.runtime.executor);
  life.Spawn(AsTask(LifeLoop(life_ended)));
  TaskGroup running(context_.runtime.executor);
  // Hints may be taken, and what is in staging applied, while one of several stores is away: what
  // cannot be done waits in the Queue and in staging. Before the first Prepare nobody knows what
  // the stores can do.
  context_.observer.OnReadiness("stores", Retryable("not looked at yet"));
  for (int attempt = 0; !stop.is_set(); ++attempt) {
    Result<void> ready = co_await Prepare();
    context_.observer.OnReadiness("stores",
                                  ready ? std::nullopt : std::optional<Error>(ready.error()));
    if (ready) break;
    context_.runtime.log.Warning("not ready, trying again", {ready.error()});
    co_await stop.WaitFor(clock, RetryDelay(attempt));
  }
  if (options_.source) {
    running.Spawn(AsTask(source_.Run(stop)));
    running.Spawn(AsTask(receipts_.Run(stop)));
    for (const auto& rule : context_.rules) running.Spawn(AsTask(ReconcileLoop(*rule, stop)));
  }
  if (options_.target) running.Spawn(AsTask(target_.Run(stop)));
  co_await stop.Wait();
  for (const auto& rule : context_.rules) rule->compare_soon.Set();
  target_.Wake();
  receipts_.Wake();
  Result<void> joined = co_await running.Join();
  static_cast<void>(joined);
  life_ended.Set();
  joined = co_await life.Join();
  static_cast<void>(joined);
}

}  // namespace longhaul
