#include "replication/make_context.h"

#include <algorithm>
#include <utility>

#include "replication/staging/local_staging.h"
#include "replication/staging/staging.h"
#include "rules/priority.h"

namespace longhaul {

namespace {

// What a request takes beside its object: an answer that waits to be read (net/http_client.h). That
// of the requests that a store has by default is in what a process takes anyway.
constexpr int64_t kRequestBytes = 320 << 10;
constexpr int kRequestsWithoutMemory = 64;

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
  // Of the objects that have something to do with a store as many are worked on as requests may be
  // under way there.
  auto requests = [&](const std::string& name, int otherwise) {
    auto settings = configuration.stores.find(name);
    if (settings == configuration.stores.end()) return otherwise;
    return settings->second.requests.value_or(otherwise);
  };
  for (const auto& [name, settings] : configuration.stores) {
    context->request_bytes +=
        kRequestBytes * std::max(settings.requests.value_or(0) - kRequestsWithoutMemory, 0);
  }
  std::map<std::string, std::shared_ptr<Applier::LockedKeys>> locked_keys;  // By partition.
  for (const Rule& rule : configuration.rules) {
    if (!rule.enabled) continue;
    auto made = std::make_unique<RuleContext>();
    made->rule = &rule;
    made->source = find(rule.source.store);
    made->reads_max = requests(rule.source.store, limits.reads_max);
    made->parked = std::make_unique<ParkedPlace>(state, runtime.clock, rule, "");
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
      target->writes_max = requests(config.to.store, limits.writes_max);
      target->staging_store = find(config.staging.store);
      target->staging_bucket = config.staging.bucket;
      target->staging_prefix = StagingPrefix(rule, config);
      target->rivals_above = RivalsAbove(configuration.rules, rule, config);
      std::shared_ptr<Applier::LockedKeys>& locked = locked_keys[ReplicaPartition(config)];
      if (!locked) locked = std::make_shared<Applier::LockedKeys>();
      target->locked_keys = locked;
      target->floors = std::make_unique<Floors>(state, runtime.clock, ReplicaPartition(config));
      target->parked = std::make_unique<ParkedPlace>(state, runtime.clock, rule, config.name);
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

}  // namespace longhaul
