#include "replication/source/attributes.h"

#include <utility>

namespace longhaul {

namespace {

// By the mark of the replica, as a comparison decides it. The target looks again when it applies.
asio::awaitable<bool> HoldsBytes(const RuleContext& rule, const TargetContext& target,
                                 const ArchiveEntry& entry) {
  const Target& config = *target.config;
  // An archive in a vault stands for itself.
  if (config.backup) co_return false;
  // One that is away must not hold up what goes to others.
  if (!target.target_found) co_return false;
  if (entry.size_bytes > target.store->capabilities().copy_size_bytes_max) co_return false;
  std::optional<std::string> key = TargetKey(*rule.rule, config, entry.key);
  if (!key) co_return false;
  Result<ObjectInfo> info = co_await target.store->Head({.bucket = config.to.bucket, .key = *key});
  if (!info || info->size_bytes != entry.size_bytes) co_return false;
  std::optional<Mark> mark = FindMark(info->metadata, config.to.bucket, *key);
  if (!mark && target.floors) {
    Result<std::optional<Floor>> floor = co_await target.floors->Get(*key);
    const KeptMark* kept = floor && *floor ? (*floor)->FindMarkOf(*info) : nullptr;
    if (kept != nullptr && !kept->target_etag.empty()) mark = kept->mark;
  }
  co_return mark && mark->source_etag == entry.etag;
}

}  // namespace

asio::awaitable<bool> ReadAttributes(ReplicationContext& context, const RuleContext& rule,
                                     const std::vector<size_t>& targets, const PackItem& item,
                                     Reading& reading) {
  const uint64_t size_bytes_min = context.limits.attributes_alone_bytes_min;
  if (item.size_bytes && *item.size_bytes < size_bytes_min) co_return false;
  Result<ObjectInfo> info =
      co_await rule.source->Head({.bucket = rule.rule->source.bucket, .key = item.key});
  if (!info || info->size_bytes < size_bytes_min || info->etag.empty()) co_return false;
  // A giant has transfers to keep or to give up.
  if (info->size_bytes > context.limits.single_object_bytes_max) co_return false;
  Reading found;
  found.entry = EntryOf(item.key, *info);
  found.entry.op = EntryOp::kAttributes;
  // Not every server says with a HEAD how many tags there are (a GET would, but not of an object in
  // an archive class), and none would be taken from all targets: they are asked for, always.
  Result<void> completed =
      co_await CompleteReading(rule, targets, *info, item, context.site, found, TagCount::kUnknown);
  if (!completed) co_return false;
  if (found.state == PackedKey::State::kStaged) {
    for (size_t target : targets) {
      if (!(co_await HoldsBytes(rule, *rule.targets[target], found.entry))) co_return false;
    }
  }
  reading = std::move(found);
  co_return true;
}

}  // namespace longhaul
