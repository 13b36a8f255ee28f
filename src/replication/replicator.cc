#include "replication/replicator.h"

#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <utility>

#include "archive/archive_file.h"
#include "replica/lease.h"
#include "replication/apply_segment.h"
#include "replication/capability_cache.h"
#include "replication/carry.h"
#include "replication/local_staging.h"
#include "replication/reconcile.h"
#include "replication/spool.h"
#include "rules/priority.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kRetryFirst{1};
constexpr std::chrono::seconds kRetryLast{30};
constexpr std::chrono::milliseconds kOncePause{20};
constexpr std::chrono::milliseconds kReplicationPause{1'000};  // Stores take seconds; looks cost.
constexpr std::chrono::minutes kGiantsInterval{1};
constexpr int kRoundsMax = 4;
// Bytes that move are progress, until so many tries have failed since something was finished.
constexpr uint64_t kFailuresMax = 5;
// A process that died after a pause had ended may have left hints that nobody else looks for.
constexpr std::chrono::minutes kSpoolInterval{1};

std::chrono::nanoseconds RetryDelay(int attempts) {
  return std::min<std::chrono::nanoseconds>(kRetryLast, kRetryFirst * (1 << std::min(attempts, 5)));
}

// Whether anything goes forward, for RunOnce. One large object may take longer than the timeout, so
// bytes count as well; but not those of tries that fail time after time.
class ProgressWatch {
 public:
  ProgressWatch(Clock& clock, std::chrono::milliseconds timeout)
      : clock_(clock), timeout_(timeout), last_(clock.SteadyNow()) {}

  // All are sums since the process began. True: nothing has gone forward for the timeout at the
  // time `ahead` from now.
  bool RanOut(uint64_t finished, uint64_t failures, uint64_t bytes,
              std::chrono::nanoseconds ahead = {}) {
    if (finished != finished_) failures_ = failures;
    if (finished != finished_ || (bytes != bytes_ && failures < failures_ + kFailuresMax)) {
      last_ = clock_.SteadyNow();
    }
    finished_ = finished;
    bytes_ = bytes;
    return clock_.SteadyNow() + ahead > last_ + timeout_;
  }

 private:
  Clock& clock_;
  std::chrono::nanoseconds timeout_;
  SteadyTime last_;
  uint64_t finished_ = 0;
  uint64_t failures_ = 0;
  uint64_t bytes_ = 0;
};

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
  auto meter = std::make_unique<RuleMeter>(runtime, state, observer, owner);
  std::unique_ptr<ReplicationContext> context(new ReplicationContext{.runtime = runtime,
                                                                     .queue = queue,
                                                                     .state = state,
                                                                     .observer = *meter,
                                                                     .site = configuration.site,
                                                                     .owner = owner,
                                                                     .limits = limits,
                                                                     .stores = std::move(stores),
                                                                     .rules = {},
                                                                     .uploads = nullptr,
                                                                     .control = nullptr,
                                                                     .meter = nullptr});
  context->meter = std::move(meter);
  context->uploads =
      std::make_unique<UploadLedger>(runtime, state, owner, context->stores, limits.process_lease);
  context->control = std::make_unique<RuleControl>(state, runtime.clock);
  auto find = [&](const std::string& name) -> Store* {
    auto found = context->stores.find(name);
    return found == context->stores.end() ? nullptr : found->second;
  };
  std::map<std::string, std::shared_ptr<Applier::LockedKeys>> locked_keys;  // By partition.
  for (const Rule& rule : configuration.rules) {
    if (!rule.enabled) continue;
    auto made = std::make_unique<RuleContext>();
    made->rule = &rule;
    made->source = find(rule.source.store);
    made->parked = std::make_unique<ParkedPlace>(state, runtime.clock, rule.id, "");
    if (rule.local_staging) {
      made->local = std::make_unique<LocalStagingContext>();
      made->local->store = find(rule.local_staging->store);
      made->local->bucket = rule.local_staging->bucket;
      made->local->prefix = LocalStagingPrefix(rule);
      if (made->local->store == nullptr) {
        return InvalidInput("rule " + rule.id + " names a store that is not there");
      }
    }
    for (const Target& config : rule.targets) {
      auto target = std::make_unique<TargetContext>();
      target->rule = &rule;
      target->config = &config;
      target->store = find(config.to.store);
      target->staging_store = find(config.staging.store);
      target->staging_bucket = config.staging.bucket;
      target->staging_prefix = StagingPrefix(rule, config);
      target->rivals_above = RivalsAbove(configuration.rules, rule, config);
      std::shared_ptr<Applier::LockedKeys>& locked = locked_keys[ReplicaPartition(config)];
      if (!locked) locked = std::make_shared<Applier::LockedKeys>();
      target->locked_keys = locked;
      target->floors = std::make_unique<Floors>(state, runtime.clock, ReplicaPartition(config));
      target->parked = std::make_unique<ParkedPlace>(state, runtime.clock, rule.id, config.name);
      const bool taken_over = !config.take_over || find(config.take_over->from.store) != nullptr;
      if (target->store == nullptr || target->staging_store == nullptr || !taken_over) {
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
  // Where one of several targets hangs, another goes on: for two archives at a time, where the
  // memory is enough for that.
  size_t targets = 0;
  for (const auto& rule : context.rules) targets += rule->targets.size();
  const int64_t apply_jobs = targets > 1 && total / 3 >= 2 * apply_min ? 2 : 1;
  int64_t apply_job_bytes = 0;
  if (options.target) {
    apply_job_bytes = std::clamp(total / 3 / apply_jobs, apply_min, 3 * apply_min);
  }
  const int64_t apply_bytes = apply_jobs * apply_job_bytes;
  if (options.target && !options.source && apply_bytes > total) {
    return InvalidInput("applying needs " + std::to_string(apply_bytes) +
                        " bytes of memory, the budget is " + std::to_string(total) + " (--memory)");
  }
  PackMemory pack;
  int jobs = 1;
  if (options.source) {
    const int64_t available = total - apply_bytes;
    // Of several rules, one may hold all places but one (fair_slots.h).
    Result<PackMemory> planned = PlanPackMemory(context.limits, level, threads, available);
    int shares = 2;
    if (context.rules.size() > 1) {
      Result<PackMemory> third = PlanPackMemory(context.limits, level, threads, available / 3);
      Result<PackMemory> half = PlanPackMemory(context.limits, level, threads, available / 2);
      if (third && planned && third->slots == planned->slots) {
        planned = third;
        shares = 3;
      } else if (half) {
        planned = half;
      }
    }
    if (!planned) {
      return InvalidInput(planned.error().message + "; with applying, which takes " +
                          std::to_string(apply_bytes) + ", the budget is " + std::to_string(total) +
                          " bytes");
    }
    pack = *planned;
    jobs = static_cast<int>(std::clamp<int64_t>(available / pack.total(), 1, shares));
  }
  return std::unique_ptr<Replicator>(new Replicator(context, options, pack, jobs,
                                                    std::max<int64_t>(apply_job_bytes, 1),
                                                    std::max<int64_t>(apply_bytes, 1)));
}

Replicator::Replicator(ReplicationContext& context, ReplicatorOptions options,
                       PackMemory pack_memory, int pack_jobs, int64_t apply_job_bytes,
                       int64_t take_over_bytes)
    : context_(context),
      options_(options),
      source_(context, pack_memory, pack_jobs),
      target_(context, apply_job_bytes),
      take_over_(context, take_over_bytes),
      receipts_(context) {
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

Async<void> Replicator::FindSource(RuleContext& rule) {
  if (rule.source_found) co_return Ok();
  Result<void> found = co_await RequireBucket(*rule.source, rule.rule->source.bucket, "source");
  if (found && rule.local) found = co_await FindLocalStaging(rule);
  if (!found) co_return found.error().In("rule " + rule.rule->id);
  rule.source_found = true;
  co_return Ok();
}

Async<void> Replicator::FindLocalStaging(RuleContext& rule) {
  LocalStagingContext& local = *rule.local;
  Result<void> found = co_await RequireBucket(*local.store, local.bucket, "local staging");
  if (!found) co_return found.error();
  Result<bool> versioned = false;
  if (local.store->capabilities().versions) {
    versioned = co_await local.store->GetVersioning(local.bucket);
  }
  // Without knowing it, what is removed could leave a version behind, or a delete marker.
  if (!versioned) co_return versioned.error().In("local staging bucket " + local.bucket);
  local.versioned = *versioned;
  if (local.versioned || rule.rule->transport != Transport::kS3Replication) co_return Ok();
  context_.runtime.log.Warning(
      "the local staging keeps no versions; S3 replicates only buckets that do",
      {{"rule", rule.rule->id}, {"bucket", local.store->description() + "/" + local.bucket}});
  co_return Ok();
}

Async<void> Replicator::FindTarget(RuleContext& rule, TargetContext& target) {
  if (target.target_found) co_return Ok();
  if (!target.staging_found) {
    Result<void> found =
        co_await RequireBucket(*target.staging_store, target.staging_bucket, "staging");
    if (!found) co_return found.error().In("rule " + rule.rule->id);
    co_await WarnOfVersions(target);
    target.staging_found = true;
  }
  Result<void> found = co_await RequireBucket(*target.store, target.config->to.bucket, "target");
  if (found && (options_.target || MayCarryDirectly(*rule.rule))) {
    found = co_await PrepareTarget(rule, target);
  }
  if (!found) co_return found.error().In("rule " + rule.rule->id);
  target.target_found = true;
  co_return Ok();
}

// Archives are removed when they have been applied; a bucket with versions keeps them all the same.
asio::awaitable<void> Replicator::WarnOfVersions(const TargetContext& target) {
  if (!target.staging_store->capabilities().versions) co_return;
  const std::string bucket = target.staging_store->description() + "/" + target.staging_bucket;
  if (!versions_warned_.insert(bucket).second) co_return;
  Result<bool> versioned = co_await target.staging_store->GetVersioning(target.staging_bucket);
  if (!versioned || !*versioned) co_return;
  context_.runtime.log.Warning(
      target.rule->transport == Transport::kS3Replication
          ? "a staging bucket keeps versions, as replication needs it: what has been applied stays "
            "there and costs money unless a lifecycle rule expires noncurrent versions after a day"
          : "a staging bucket keeps versions: what has been applied stays there and costs money; "
            "switch versioning off, or add a lifecycle rule that expires noncurrent versions after "
            "a day",
      {{"bucket", bucket}});
}

namespace {

// Names all failures; the kind is that of the first one that waiting does not cure.
Result<void> Together(const std::vector<Result<void>>& results) {
  std::optional<Error> together;
  std::string messages;
  for (const Result<void>& result : results) {
    if (result) continue;
    if (!together || (together->Transient() && !result.error().Transient())) {
      together = result.error();
    }
    if (!messages.empty()) messages += "; ";
    messages += result.error().message;
  }
  if (!together) return Ok();
  together->message = std::move(messages);
  return *together;
}

Async<void> Keep(Async<void> task, Result<void>& result) {
  result = co_await std::move(task);
  co_return Ok();
}

}  // namespace

Async<void> Replicator::Prepare() {
  if (!context_.control->known()) {
    Result<bool> read = co_await context_.control->Refresh();
    if (!read) co_return read.error();
  }
  std::vector<Async<void>> tasks;
  for (const auto& rule : context_.rules) {
    if (options_.source) tasks.push_back(FindSource(*rule));
    for (const auto& target : rule->targets) tasks.push_back(FindTarget(*rule, *target));
  }
  std::vector<Result<void>> results(tasks.size());
  TaskGroup group(context_.runtime.executor);
  for (size_t i = 0; i < tasks.size(); ++i) group.Spawn(Keep(std::move(tasks[i]), results[i]));
  Result<void> joined = co_await group.Join();
  static_cast<void>(joined);
  co_return Together(results);
}

Async<void> Replicator::KeepFinding(std::string part, RuleContext& rule, TargetContext* target,
                                    Event& stop) {
  for (int attempt = 0; !stop.is_set(); ++attempt) {
    Result<void> found =
        target == nullptr ? co_await FindSource(rule) : co_await FindTarget(rule, *target);
    context_.observer.OnReadiness(part, found ? std::nullopt : std::optional<Error>(found.error()));
    if (found) {
      rule.compare_soon.Set();
      target_.Wake();
      co_return Ok();
    }
    context_.runtime.log.Warning("not ready, trying again", {found.error()});
    co_await stop.WaitFor(context_.runtime.clock, RetryDelay(attempt));
  }
  co_return Ok();
}

bool Replicator::AnyCopiesTo(const Target& target) const {
  const std::string bucket = ReplicaPartition(target);
  for (const auto& rule : context_.rules) {
    for (const Target& other : rule->rule->targets) {
      if (ReplicaPartition(other) == bucket && MayCopy(*rule->rule, other)) return true;
    }
  }
  return false;
}

Async<void> Replicator::PrepareTarget(RuleContext& rule, TargetContext& target) {
  ApplyPolicy policy{.bucket = target.config->to.bucket,
                     .site = context_.site,
                     .storage_class = target.config->storage_class,
                     .kms_key = target.config->kms_key,
                     .acl = target.config->acl,
                     .bucket_owner = target.config->bucket_owner,
                     .overwrite_conflicts = rule.rule->on_conflict == OnConflict::kOverwrite,
                     .deletes = rule.rule->deletes,
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
  if (AnyCopiesTo(*target.config)) {
    // Whether copies heed conditions is not probed, and few servers do: leases stand in, for all
    // that write there, or a copy would go over what a condition has let in meanwhile.
    policy.capabilities.create_if_absent = false;
    policy.capabilities.replace_if_match = false;
    policy.capabilities.complete_if_absent = false;
    policy.capabilities.complete_if_match = false;
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
                                             *target.floors, std::move(policy), target.locked_keys);
  target.giants = std::make_unique<GiantUploads>(context_.runtime, context_.state, *target.store,
                                                 *context_.uploads, target.config->to.bucket,
                                                 StatePartition(*rule.rule, *target.config));
  co_return Ok();
}

// What a paused target lacks lies in its staging; comparing would have it packed again.
bool Replicator::ComparableNow(const RuleContext& rule, const TargetContext& target) const {
  return target.target_found && target.compare_due &&
         !context_.control->Holds(rule.rule->id, target.config->name);
}

Async<void> Replicator::ReconcileDue(RuleContext& rule, OnceResult* result) {
  std::vector<size_t> due;
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    if (ComparableNow(rule, *rule.targets[i])) due.push_back(i);
  }
  if (due.empty()) co_return Ok();
  // Before it begins: whoever asks from now on asks for another comparison.
  for (size_t i : due) rule.targets[i]->compare_due = false;
  Result<ReconcileResult> reconciled = co_await Reconcile(context_, rule, due);
  if (!reconciled) {
    for (size_t i : due) rule.targets[i]->compare_due = true;
    co_return reconciled.error();
  }
  if (result != nullptr) result->deletes_guarded = result->deletes_guarded || reconciled->guarded;
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
  co_return Together(failed);
}

std::optional<BackfillRequest> Replicator::BackfillNow(const RuleContext& rule) const {
  const bool any = std::ranges::any_of(rule.targets, [&](const auto& target) {
    return target->target_found && !context_.control->Holds(rule.rule->id, target->config->name);
  });
  return any ? context_.control->BackfillOf(rule.rule->id) : std::nullopt;
}

Async<void> Replicator::Backfill(RuleContext& rule, const BackfillRequest& asked) {
  const std::string& id = rule.rule->id;
  Result<bool> read = co_await context_.control->Refresh();
  if (!read) co_return read.error();
  if (BackfillNow(rule) != asked) co_return Ok();
  std::vector<size_t> targets;
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    const TargetContext& target = *rule.targets[i];
    if (target.target_found && !context_.control->Holds(id, target.config->name)) {
      targets.push_back(i);
    }
  }
  context_.runtime.log.Info("comparing, as asked", {{"rule", id}, {"prefix", asked.prefix}});
  Result<ReconcileResult> compared = co_await Reconcile(context_, rule, targets, asked.prefix);
  if (!compared) co_return compared.error();
  if (!compared->failed.empty()) {
    const auto& [index, error] = *compared->failed.begin();
    co_return error.In("rule " + id + ": target " + rule.targets[index]->config->name);
  }
  context_.runtime.log.Info("compared, as asked", {{"rule", id},
                                                   {"prefix", asked.prefix},
                                                   {"source_keys", compared->source_keys},
                                                   {"writes", compared->writes}});
  Result<void> removed = co_await RemoveBackfill(context_.state, id, asked.revision);
  if (!removed) co_return removed.error();
  read = co_await context_.control->Refresh();
  if (!read) co_return read.error();
  co_return Ok();
}

asio::awaitable<OnceResult> Replicator::RunOnce(Event& stop) {
  OnceResult result;
  Clock& clock = context_.runtime.clock;
  Event life_ended;
  TaskGroup life(context_.runtime.executor);
  life.Spawn(AsTask(LifeLoop(life_ended)));
  life.Spawn(AsTask(MeterLoop(life_ended)));

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
    if (options_.source) co_await EmptySpools();
    life.Spawn(AsTask(ControlLoop(life_ended)));
    if (options_.source) life.Spawn(AsTask(SpoolLoop(life_ended)));
    Event source_stop;
    TaskGroup running(context_.runtime.executor);
    if (options_.source) running.Spawn(AsTask(source_.Run(source_stop)));
    // What was under way when a comparison was made may change the target after it: then compare
    // once more. (A source that never stands still ends this after a few rounds.)
    std::optional<Error> not_compared;
    for (int round = 0; round < kRoundsMax; ++round) {
      bool clean = true;
      if (options_.source) {
        Result<bool> nothing = co_await NothingUnderWay();
        clean = nothing && *nothing;
        Result<void> compared = co_await ReconcileUntil(stop, &result);
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
      Result<void> swept = co_await SweepGiants({});
      if (!swept) result.store_error = swept.error();
    }
  }
  result.stopped = stop.is_set();
  result.paused = WhatIsPaused();
  life_ended.Set();
  look_at_spools_.Set();
  Result<void> joined = co_await life.Join();
  static_cast<void>(joined);
  co_return result;
}

// Compares; what waiting can cure is tried again until nothing has gone forward for the timeout.
Async<void> Replicator::ReconcileUntil(Event& stop, OnceResult* result) {
  Clock& clock = context_.runtime.clock;
  for (const auto& rule : context_.rules) {
    for (const auto& target : rule->targets) target->compare_due = true;
  }
  ProgressWatch progress(clock, options_.timeout);
  for (int attempt = 0;; ++attempt) {
    std::vector<Result<void>> compared;
    for (const auto& rule : context_.rules) {
      compared.push_back(co_await ReconcileDue(*rule, result));
    }
    Result<void> done = Together(compared);
    const auto delay = RetryDelay(attempt);
    const bool ran_out =
        progress.RanOut(source_.keys_done(), source_.failures(), context_.bytes_moved, delay);
    if (done || !done.error().Transient() || stop.is_set() || ran_out) {
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
    Result<bool> empty = co_await LocalStagingIsEmpty(*rule);
    if (!empty) co_return empty.error();
    if (!*empty) co_return false;
    for (const auto& target : rule->targets) {
      if (context_.control->Holds(rule->rule->id, target->config->name)) continue;
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
  ProgressWatch progress(clock, options_.timeout);
  uint64_t finished = 0;  // By the target and the receipts; the source counts for itself.
  uint64_t failures = 0;
  const bool replicated = options_.source && std::ranges::any_of(context_.rules, [](auto& rule) {
                            return rule->local != nullptr;
                          });
  receipts_.WaitAtMost(options_.timeout / 2);  // Else a late store would let the time run out.
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
    if (pass.applied == 0) {
      co_await wake_.WaitFor(clock, before.on_the_way > 0 ? kReplicationPause : kOncePause);
    }
  }
  co_return result;
}

asio::awaitable<void> Replicator::LifeLoop(Event& stop) {
  Clock& clock = context_.runtime.clock;
  const auto beat = context_.limits.process_lease / 3;
  // Beside the heartbeat: a sweep may wait for a store that is away, and whoever does not beat is
  // taken for dead.
  TaskGroup sweeping(context_.runtime.executor);
  bool swept_before = false;
  do {
    Result<void> beaten = co_await context_.uploads->Heartbeat();
    if (!beaten) context_.runtime.log.Warning("State cannot be written", {beaten.error()});
    context_.observer.OnReadiness("state",
                                  beaten ? std::nullopt : std::optional<Error>(beaten.error()));
    if (beaten && !std::exchange(swept_before, true)) sweeping.Spawn(AsTask(SweepLoop(stop)));
  } while (!co_await stop.WaitFor(clock, beat));
  Result<void> joined = co_await sweeping.Join();
  static_cast<void>(joined);
}

// `idle`: how long an upload must have stood still when nothing is under way.
Async<void> Replicator::SweepGiants(std::chrono::nanoseconds idle) {
  for (const auto& rule : context_.rules) {
    for (const auto& target : rule->targets) {
      if (!target->giants) continue;
      auto uploads = co_await target->giants->All();
      if (!uploads) co_return uploads.error();
      Result<int> stray = co_await target->giants->ForgetStrayParts();
      if (!stray) co_return stray.error().In("rule " + rule->rule->id);
      if (uploads->empty()) continue;
      // In this order: no segment of what was there before can come any more.
      std::chrono::nanoseconds idle_max = kArchiveAgeMax;
      if (options_.source) {
        Result<bool> nothing = co_await NothingUnderWay();
        if (!nothing) co_return nothing.error();
        if (*nothing) idle_max = idle;
      }
      Result<int> swept =
          co_await SweepGiantUploads(context_, *target, std::move(*uploads), idle_max);
      if (!swept) co_return swept.error().In("rule " + rule->rule->id);
    }
  }
  co_return Ok();
}

asio::awaitable<void> Replicator::SweepLoop(Event& stop) {
  do {
    Result<int> swept = co_await context_.uploads->Sweep();
    if (!swept) context_.runtime.log.Warning("uploads not swept", {swept.error()});
    const SteadyTime now = context_.runtime.clock.SteadyNow();
    if (!options_.target || now < giants_swept_ + kGiantsInterval) continue;
    giants_swept_ = now;
    Result<void> giants_swept = co_await SweepGiants(kGiantsInterval);
    if (!giants_swept) {
      context_.runtime.log.Warning("uploads of giants not swept", {giants_swept.error()});
    }
  } while (!co_await stop.WaitFor(context_.runtime.clock, context_.limits.janitor_interval));
}

std::vector<std::string> Replicator::WhatIsPaused() const {
  std::vector<std::string> paused;
  auto add = [&](std::string what, const std::optional<Pause>& pause) {
    if (pause && pause->until) what += " until " + FormatRfc3339(*pause->until);
    if (pause) paused.push_back(std::move(what));
  };
  for (const auto& rule : context_.rules) {
    const std::optional<Pause> whole = context_.control->PauseOf(rule->rule->id);
    add("rule " + rule->rule->id, whole);
    for (const auto& target : rule->targets) {
      if (whole) continue;
      add("target " + target->config->name + " of rule " + rule->rule->id,
          context_.control->PauseOf(rule->rule->id, target->config->name));
    }
  }
  return paused;
}

void Replicator::FollowControl() {
  std::vector<std::string> paused = WhatIsPaused();
  for (const std::string& what : paused) {
    if (std::ranges::find(paused_, what) == paused_.end()) {
      context_.runtime.log.Info("paused", {{"what", what}});
    }
  }
  for (const std::string& what : paused_) {
    if (std::ranges::find(paused, what) == paused.end()) {
      context_.runtime.log.Info("not paused any more", {{"what", what}});
    }
  }
  paused_ = std::move(paused);
  look_at_spools_.Set();
  for (const auto& rule : context_.rules) rule->compare_soon.Set();
  target_.Wake();
  receipts_.Wake();
}

asio::awaitable<void> Replicator::ControlLoop(Event& stop) {
  bool failing = false;
  do {
    Result<bool> changed = co_await context_.control->Refresh();
    if (changed && *changed) FollowControl();
    if (!changed && !failing) {
      context_.runtime.log.Warning("nobody knows which rules are paused", {changed.error()});
    }
    failing = !changed;
  } while (!co_await stop.WaitFor(context_.runtime.clock, RuleControl::kInterval));
}

asio::awaitable<void> Replicator::MeterLoop(Event& stop) {
  bool failing = false;
  bool last = false;
  // At once, so that whoever looks sees that somebody runs the rules.
  for (std::chrono::seconds pause{0}; !last; pause = kStatusInterval) {
    last = co_await stop.WaitFor(context_.runtime.clock, pause);
    Result<void> published = co_await context_.meter->Publish(last);
    if (!published && !failing) {
      context_.runtime.log.Warning("status not published", {published.error()});
    }
    failing = !published;
  }
}

asio::awaitable<void> Replicator::EmptySpools() {
  Clock& clock = context_.runtime.clock;
  for (const auto& rule : context_.rules) {
    const std::string& id = rule->rule->id;
    if (context_.control->Holds(id)) continue;
    Result<bool> empty = co_await SpoolIsEmpty(context_.state, *rule->rule);
    if (empty && *empty) continue;
    Lease lease(context_.state, clock, "unspool/" + id, context_.owner,
                context_.limits.archive_lease);
    Result<bool> acquired = co_await lease.TryAcquire();
    if (!acquired || !*acquired) continue;
    // Without archives a paused target has its hints kept, not its staging.
    auto held = [this, &rule = *rule](const std::string& name) {
      for (const auto& target : rule.targets) {
        if (target->config->name == name && target->breaker.open()) return true;
      }
      return MayCarryDirectly(*rule.rule) && !name.empty() &&
             context_.control->Holds(rule.rule->id, name);
    };
    Result<uint64_t> sent =
        co_await Unspool(context_.state, context_.queue, *rule->rule, std::move(held));
    co_await lease.Release();
    if (!sent) {
      context_.runtime.log.Warning("hints that were kept wait on", {{"rule", id}, sent.error()});
    } else if (*sent > 0) {
      context_.runtime.log.Info("hints that were kept are taken up",
                                {{"rule", id}, {"keys", *sent}});
    }
  }
}

asio::awaitable<void> Replicator::SpoolLoop(Event& stop) {
  while (!stop.is_set()) {
    look_at_spools_.Reset();
    co_await EmptySpools();
    if (stop.is_set()) co_return;
    co_await look_at_spools_.WaitFor(context_.runtime.clock, kSpoolInterval);
  }
}

asio::awaitable<void> Replicator::ReconcileLoop(RuleContext& rule, Event& stop) {
  Clock& clock = context_.runtime.clock;
  int failures = 0;
  const std::string part = "listing of rule " + rule.rule->id;
  const std::optional<std::chrono::seconds> interval = rule.rule->intake.listing;
  SteadyTime next = clock.SteadyNow() + interval.value_or(std::chrono::seconds(0));
  while (!stop.is_set()) {
    rule.compare_soon.Reset();  // Who asks from now on asks for another comparison.
    if (interval && clock.SteadyNow() >= next) {
      next = clock.SteadyNow() + *interval;
      for (const auto& target : rule.targets) target->compare_due = true;
    }
    const bool any_target =
        std::any_of(rule.targets.begin(), rule.targets.end(),
                    [&](const auto& target) { return ComparableNow(rule, *target); });
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
      keeper.Spawn(KeepLease(clock, lease, compared, context_.limits.archive_lease));
      done = co_await ReconcileDue(rule, nullptr);
      if (done && asked) done = co_await Backfill(rule, *asked);
      compared.Set();
      Result<void> kept = co_await keeper.Join();
      static_cast<void>(kept);
      co_await lease.Release();
    } else {
      // At it, or killed at it: look again soon, not in an interval.
      co_await stop.WaitFor(clock, context_.limits.archive_lease);
      continue;
    }
    context_.observer.OnReadiness(part, done ? std::nullopt : std::optional<Error>(done.error()));
    if (!done) {
      context_.runtime.log.Warning("reconcile failed", {{"rule", rule.rule->id}, done.error()});
      co_await rule.compare_soon.WaitFor(clock, RetryDelay(failures++));
      continue;
    }
    failures = 0;
  }
}

void Replicator::CompareSoon(std::string_view rule_id) {
  for (const auto& rule : context_.rules) {
    if (rule->rule->id != rule_id) continue;
    for (const auto& target : rule->targets) target->compare_due = true;
    rule->compare_soon.Set();
  }
}

asio::awaitable<void> Replicator::RunContinuous(Event& stop) {
  Event life_ended;
  TaskGroup life(context_.runtime.executor);
  life.Spawn(AsTask(LifeLoop(life_ended)));
  life.Spawn(AsTask(MeterLoop(life_ended)));
  TaskGroup running(context_.runtime.executor);
  // Each store is looked for by itself; before that nobody knows what it can do, and what is for it
  // waits in the Queue and in staging.
  auto find = [&](RuleContext& rule, TargetContext* target) {
    std::string part = target == nullptr ? "source" : "target " + target->config->name;
    part += " of rule " + rule.rule->id;
    context_.observer.OnReadiness(part, Retryable("not looked at yet"));
    running.Spawn(KeepFinding(std::move(part), rule, target, stop));
  };
  source_.UseSpool([this] { look_at_spools_.Set(); });
  running.Spawn(AsTask(ControlLoop(stop)));
  if (options_.source) running.Spawn(AsTask(SpoolLoop(stop)));
  for (const auto& rule : context_.rules) {
    if (options_.source) find(*rule, nullptr);
    for (const auto& target : rule->targets) find(*rule, target.get());
  }
  if (options_.source) {
    running.Spawn(AsTask(source_.Run(stop)));
    running.Spawn(AsTask(receipts_.Run(stop)));
    for (const auto& rule : context_.rules) running.Spawn(AsTask(ReconcileLoop(*rule, stop)));
  }
  if (options_.target) {
    running.Spawn(AsTask(target_.Run(stop)));
    running.Spawn(AsTask(take_over_.Run(stop)));
  }
  co_await stop.Wait();
  for (const auto& rule : context_.rules) rule->compare_soon.Set();
  target_.Wake();
  receipts_.Wake();
  look_at_spools_.Set();
  Result<void> joined = co_await running.Join();
  static_cast<void>(joined);
  life_ended.Set();
  joined = co_await life.Join();
  static_cast<void>(joined);
}

}  // namespace longhaul
