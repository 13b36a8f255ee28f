#include "replication/find_stores.h"

#include <utility>

#include "replication/capability_cache.h"
#include "replication/context/loops.h"
#include "replication/giants/giant.h"
#include "replication/source/carry.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kRetryLast{30};

Async<void> RequireBucket(Store& store, const std::string& bucket, std::string_view what) {
  Result<void> found = co_await store.HeadBucket(bucket);
  if (found) co_return Ok();
  Error error =
      found.error().In(std::string(what) + " bucket " + bucket + " of " + store.description());
  if (error.kind == ErrorKind::kNotFound) error.code = "NoSuchBucket";
  co_return error;
}

Async<void> Keep(Async<void> task, Result<void>& result) {
  result = co_await std::move(task);
  co_return Ok();
}

}  // namespace

Async<void> StoreFinder::FindSource(RuleContext& rule) {
  if (rule.source_found) co_return Ok();
  Result<void> found = co_await RequireBucket(*rule.source, rule.rule->source.bucket, "source");
  if (found && rule.local) found = co_await FindLocalStaging(rule);
  if (!found) co_return found.error().In("rule " + rule.rule->id);
  if (packs_) {
    const bool filters = !rule.rule->filter.tags.empty();
    Result<std::optional<Error>> told = co_await TagsDenied(rule);
    // Until it is known: every object could be left out, and nothing would tell.
    if (!told && filters) co_return told.error().In("rule " + rule.rule->id);
    const std::optional<Error> denied = told ? *told : std::nullopt;
    if (denied && filters) {
      co_return denied->In("rule " + rule.rule->id +
                           " filters by tags, which say what it carries; it carries nothing");
    }
    if (denied) {
      context_.runtime.log.Warning("replicas are without tags, also those that had some",
                                   {{"rule", rule.rule->id}, *denied});
    }
  }
  rule.source_found = true;
  co_return Ok();
}

// Whoever may not read tags is told of objects that they have none (S3 API Reference, GetObject,
// x-amz-tagging-count): only the request for them is denied. One object stands for all, unless it
// may not be read at all; where there is none yet, a key that is not there tells the same.
Async<std::optional<Error>> StoreFinder::TagsDenied(const RuleContext& rule) {
  const auto& from = rule.rule->source;
  if (!rule.source->capabilities().tags) co_return std::nullopt;
  Result<ListPage> page =
      co_await rule.source->List({.bucket = from.bucket, .prefix = from.prefix, .count_max = 1});
  const bool none = page && page->objects.empty();
  if (!page && page.error().Transient()) co_return page.error();
  if (!page) co_return std::nullopt;  // Whoever lives by events alone may not list.
  if (none && rule.rule->filter.tags.empty()) co_return std::nullopt;
  std::string key = from.prefix + NewUlid(context_.runtime.clock.Now(), context_.runtime.random);
  if (!none) key = page->objects.front().key;
  Result<Tags> tags = co_await rule.source->GetTags(from.bucket, key, "");
  if (!tags && tags.error().Transient()) co_return tags.error();
  if (tags || tags.error().kind != ErrorKind::kDenied) co_return std::nullopt;
  if (!none) {
    Result<ObjectInfo> head = co_await rule.source->Head({.bucket = from.bucket, .key = key});
    if (!head && head.error().Transient()) co_return head.error();
    if (!head) co_return std::nullopt;  // It may not be read, or is gone.
  }
  co_return std::optional(
      tags.error().In("the tags of its source may not be read (s3:GetObjectTagging): " + key));
}

Async<void> StoreFinder::FindLocalStaging(RuleContext& rule) {
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

Async<void> StoreFinder::FindTarget(RuleContext& rule, TargetContext& target) {
  if (target.target_found) co_return Ok();
  if (!target.staging_found) {
    Result<void> found =
        co_await RequireBucket(*target.staging_store, target.staging_bucket, "staging");
    if (!found) co_return found.error().In("rule " + rule.rule->id);
    co_await WarnOfVersions(target);
    target.staging_found = true;
  }
  Result<void> found = co_await RequireBucket(*target.store, target.config->to.bucket, "target");
  if (found && (applies_ || MayCarryDirectly(*rule.rule))) {
    found = co_await PrepareTarget(rule, target);
  }
  if (!found) co_return found.error().In("rule " + rule.rule->id);
  target.target_found = true;
  co_return Ok();
}

// Archives are removed when they have been applied; a bucket with versions keeps them all the same.
asio::awaitable<void> StoreFinder::WarnOfVersions(const TargetContext& target) {
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

Async<void> StoreFinder::FindAll() {
  if (!context_.control->known()) {
    Result<bool> read = co_await context_.control->Refresh();
    if (!read) co_return read.error();
  }
  std::vector<Async<void>> tasks;
  for (const auto& rule : context_.rules) {
    if (packs_) tasks.push_back(FindSource(*rule));
    for (const auto& target : rule->targets) tasks.push_back(FindTarget(*rule, *target));
  }
  std::vector<Result<void>> results(tasks.size());
  TaskGroup group(context_.runtime.executor);
  for (size_t i = 0; i < tasks.size(); ++i) group.Spawn(Keep(std::move(tasks[i]), results[i]));
  Result<void> joined = co_await group.Join();
  static_cast<void>(joined);
  co_return Together(results);
}

Async<void> StoreFinder::KeepFinding(std::string part, RuleContext& rule, TargetContext* target,
                                     Event& stop) {
  for (int attempt = 0; !stop.is_set(); ++attempt) {
    Result<void> found =
        target == nullptr ? co_await FindSource(rule) : co_await FindTarget(rule, *target);
    context_.observer.OnReadiness(part, found ? std::nullopt : std::optional<Error>(found.error()));
    if (found) {
      on_found_(rule);
      co_return Ok();
    }
    context_.runtime.log.Warning("not ready, trying again", {found.error()});
    co_await stop.WaitFor(context_.runtime.clock, RetryDelay(attempt, kRetryLast));
  }
  co_return Ok();
}

bool StoreFinder::AnyCopiesTo(const Target& target) const {
  const std::string bucket = ReplicaPartition(target);
  for (const auto& rule : context_.rules) {
    for (const Target& other : rule->rule->targets) {
      if (ReplicaPartition(other) == bucket && MayCopy(*rule->rule, other)) return true;
    }
  }
  return false;
}

Async<void> StoreFinder::PrepareTarget(RuleContext& rule, TargetContext& target) {
  ApplyPolicy policy{.bucket = target.config->to.bucket,
                     .site = context_.site,
                     .sites_partition = StatePartition(*rule.rule, *target.config),
                     .storage_class = target.config->storage_class,
                     .sse = target.config->sse,
                     .kms_key = target.config->kms_key,
                     .bucket_key = target.config->bucket_key,
                     .acl = target.config->acl,
                     .bucket_owner = target.config->bucket_owner,
                     .object_lock = target.config->object_lock,
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
  // What is large is written in parts, with its condition at the end. Some servers heed conditions
  // of a PUT alone; and one key may be written by both ways at once, which a lease keeps apart only
  // where both take it.
  Capabilities& can = policy.capabilities;
  can.create_if_absent = can.create_if_absent && can.complete_if_absent;
  can.replace_if_match = can.replace_if_match && can.complete_if_match;
  const std::string& wanted = policy.storage_class;
  if (!can.storage_classes && !wanted.empty() && wanted != "STANDARD") {
    context_.runtime.log.Warning(
        "the store of a target keeps no storage classes: replicas are not of the one that is asked "
        "for",
        {{"rule", rule.rule->id},
         {"target", target.config->to.ToString()},
         {"storage_class", wanted}});
  }
  if (policy.capabilities.versions) {
    Result<bool> versioned = co_await target.store->GetVersioning(policy.bucket);
    if (versioned) {
      policy.versioned = *versioned;
    } else if (versioned.error().Transient()) {
      co_return versioned.error();
    }
  }
  auto applier = std::make_unique<Applier>(context_.runtime, *target.store, context_.state,
                                           *target.floors, std::move(policy), target.locked_keys);
  Result<void> remembered = co_await applier->RememberSite();
  if (!remembered) co_return remembered.error();
  target.applier = std::move(applier);
  target.giants = std::make_unique<SharedUploads>(
      context_.runtime, context_.state, *target.store, *context_.uploads, target.config->to.bucket,
      GiantRows(), StatePartition(*rule.rule, *target.config));
  co_return Ok();
}

}  // namespace longhaul
