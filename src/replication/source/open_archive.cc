#include "replication/source/open_archive.h"

#include <algorithm>
#include <utility>

#include "base/version.h"
#include "replication/staging/archive_keys.h"
#include "replication/staging/local_staging.h"
#include "replication/staging/seal.h"
#include "replication/staging/shared_state.h"
#include "replication/staging/staging.h"

namespace longhaul {

ArchiveOptions ArchiveOptionsFor(const ReplicationLimits& limits, int level, int slots) {
  return {.level = level,
          .frame_size_bytes = limits.frame_bytes,
          .slots_max = slots,
          .seal = std::nullopt};
}

PackResult EmptyPackResult(size_t keys, size_t targets) {
  PackResult result;
  result.keys.resize(keys);
  result.targets.resize(targets);
  return result;
}

HintMessage HintsOfArchive(const Rule& rule) {
  return {.store = rule.source.store,
          .bucket = rule.source.bucket,
          .rule = rule.id,
          .origin = HintOrigin::kReread};
}

OpenArchive::OpenArchive(ReplicationContext& context, const RuleContext& rule,
                         const std::vector<size_t>& targets, PackMemory memory, ArchiveKind kind,
                         SystemTime heard)
    : context_(context),
      rule_(rule),
      memory_budget_(memory.writer_bytes),
      runtime_(Runtime{context.runtime.executor, context.runtime.clock, context.runtime.random,
                       context.runtime.pool, memory_budget_, context.runtime.log,
                       context.runtime.metrics}),
      trace_(context, *rule.rule, heard) {
  manifest_.id = NewUlid(context.runtime.clock.Now(), context.runtime.random);
  manifest_.rule_id = rule.rule->id;
  manifest_.site = context.site;
  manifest_.source = rule.rule->source.ToString();
  manifest_.created = context.runtime.clock.Now();
  manifest_.writer = "longhaul " + std::string(kVersion);
  manifest_.kind = kind;
  manifest_.traceparent = trace_.traceparent();
  if (targets.size() < rule.targets.size()) {
    // Another rule may carry these keys to the others: in a staging that they share this is none of
    // theirs.
    for (size_t index : targets) manifest_.targets.push_back(rule.targets[index]->config->name);
  }
  options_ = ArchiveOptionsFor(context.limits, rule.rule->compression_level, memory.slots);
  if (RuleTuner* tuner = context.tuner ? context.tuner->Of(rule.rule->id) : nullptr) {
    options_.levels = tuner;
    options_.level_max = tuner->level_max();
  }
  std::vector<SealKey> seals = SealKeys(*rule.rule);
  if (!seals.empty()) options_.seal = std::move(seals.front());
  std::vector<ArchiveUpload::Destination> destinations;
  const bool by_local_staging = GoesByLocalStaging(rule, targets.size());
  if (by_local_staging) copies_ = StagingsOf(rule);
  for (size_t index : targets) {
    const TargetContext& target = *rule.targets[index];
    // Targets that share a staging share the archive.
    ArchiveUpload::Destination destination{.store = target.staging_store,
                                           .bucket = target.staging_bucket,
                                           .key = ArchiveKey(target.staging_prefix, manifest_.id)};
    if (by_local_staging) {
      destination = {.store = rule.local->store,
                     .bucket = rule.local->bucket,
                     .key = ArchiveKey(rule.local->prefix, manifest_.id)};
    }
    size_t same = 0;
    while (same < destinations.size() && (destinations[same].store != destination.store ||
                                          destinations[same].bucket != destination.bucket ||
                                          destinations[same].key != destination.key)) {
      ++same;
    }
    if (same == destinations.size()) {
      trace_.Destination(destination.bucket, destination.key);
      destinations.push_back(std::move(destination));
    }
    destination_of_target_.push_back(same);
  }
  upload_ = std::make_unique<ArchiveUpload>(runtime_, *context.uploads, std::move(destinations),
                                            context.limits.part_bytes, memory.upload_buffers,
                                            context.bytes_moved);
}

Async<void> OpenArchive::Open() {
  Result<void> named = co_await NameStates(context_.runtime, context_.state, rule_, manifest_);
  if (!named) co_return named.error();
  Result<std::unique_ptr<ArchiveWriter>> writer =
      co_await ArchiveWriter::Open(runtime_, manifest_, options_, *upload_);
  if (!writer) {
    // Not the fault of the objects that were to go into it: they stay where they are.
    Error error = writer.error().In("open archive");
    error.kind = ErrorKind::kRetryable;
    co_return error;
  }
  writer_ = std::move(*writer);
  co_return Ok();
}

asio::awaitable<void> OpenArchive::Finish(PackResult& result, HintMessage keys) {
  Result<ArchiveSummary> summary = co_await writer_->Finish();
  if (summary) {
    Result<void> remembered = co_await RememberArchiveKeys(
        context_.state, context_.runtime.clock.Now(), manifest_.id, std::move(keys));
    if (!remembered) summary = remembered.error();
  }
  if (trace_.on()) Trace(result, summary);
  if (!summary) {
    co_await Abort();
    FailTargets(result, summary.error().In("write archive"));
    co_return;
  }
  std::vector<Result<void>> uploaded = co_await upload_->Finish();
  trace_.Uploaded(uploaded);
  CountFailed(uploaded);
  for (const PackedKey& key : result.keys) {
    if (key.state == PackedKey::State::kStaged) result.bytes.objects += key.size_bytes;
  }
  for (size_t i = 0; i < result.targets.size(); ++i) {
    result.targets[i] = uploaded[destination_of_target_[i]];
    if (result.targets[i]) result.bytes.plain += result.bytes.objects;
  }
  result.archive = manifest_.id;
  result.bytes.sent = upload_->sent_bytes() * copies_;
  result.bytes.rule = rule_.rule->id;
  result.bytes.took = std::chrono::duration_cast<std::chrono::milliseconds>(
      context_.runtime.clock.Now() - manifest_.created);
  const bool any = std::ranges::any_of(result.targets, [](const auto& t) { return bool(t); });
  if (any) context_.observer.OnArchiveStaged(result.bytes);
}

void OpenArchive::Trace(const PackResult& result, const Result<ArchiveSummary>& summary) {
  uint64_t objects = 0;
  uint64_t bytes = 0;
  for (const PackedKey& key : result.keys) {
    if (key.state != PackedKey::State::kStaged) continue;
    ++objects;
    bytes += key.size_bytes;
  }
  int level = options_.level;
  if (RuleTuner* tuner = context_.tuner ? context_.tuner->Of(rule_.rule->id) : nullptr) {
    const std::vector<KindLevel> levels = tuner->Levels(1);
    if (!levels.empty()) level = levels.front().level;
  }
  trace_.Packed(manifest_.id, summary, {.objects = objects, .bytes = bytes, .level = level});
}

asio::awaitable<void> OpenArchive::Abort() {
  if (writer_) co_await writer_->Abort();
  co_await upload_->Abort();
}

bool OpenArchive::NobodyTakesIt() const {
  const std::vector<Result<void>> results = upload_->results();
  return std::none_of(results.begin(), results.end(),
                      [](const Result<void>& result) { return result.has_value(); });
}
void OpenArchive::CountFailed(const std::vector<Result<void>>& uploads) const {
  const auto failed =
      std::ranges::count_if(uploads, [](const Result<void>& upload) { return !upload; });
  if (failed == 0) return;
  context_.runtime.metrics
      .counter("longhaul_staging_uploads_failed_total",
               "Uploads of archives to a staging that failed; what they carry is packed again",
               {{"rule", rule_.rule->id}})
      .Add(static_cast<double>(failed));
}
void OpenArchive::FailTargets(PackResult& result, const Error& error) const {
  const std::vector<Result<void>> results = upload_->results();
  CountFailed(results);
  for (size_t i = 0; i < result.targets.size(); ++i) {
    const Result<void>& own = results[destination_of_target_[i]];
    result.targets[i] = own ? Result<void>(error) : own;
  }
}

}  // namespace longhaul
