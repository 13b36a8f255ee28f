#include "replication/source/reading.h"

#include <algorithm>
#include <utility>

#include "rules/priority.h"
#include "storage/is_gone.h"
#include "storage/restores_objects.h"

namespace longhaul {

namespace {

// Leaves the object to rules of higher priority where there are any.
void LeaveToRivals(const RuleContext& rule, const std::vector<size_t>& targets,
                   std::string_view key, const ObjectFacts& facts, Reading& reading) {
  reading.wanted = WantedTargets(rule, targets, key, facts);
  if (reading.wanted.size() != targets.size()) reading.state = PackedKey::State::kSplit;
}

asio::awaitable<void> AskBack(const RuleContext& rule, const PackItem& item, Reading& reading) {
  if (!rule.rule->restore) {
    reading.error.message += "; or give the rule restore: { tier: Standard, days: 1 }";
    co_return;
  }
  auto* archives = dynamic_cast<RestoresObjects*>(rule.source);
  if (archives == nullptr) co_return;
  const RestoreOptions& options = *rule.rule->restore;
  // Of an object that moves back S3 takes no days; the refusal to read it does not always tell the
  // class. (S3 User Guide, "Restoring an archived object".)
  Result<ObjectInfo> info =
      co_await rule.source->Head({.bucket = rule.rule->source.bucket, .key = item.key});
  const bool moves_back = info && info->storage_class == kTieringClass;
  Result<void> asked = co_await archives->Restore({.bucket = rule.rule->source.bucket,
                                                   .key = item.key,
                                                   .version_id = {},
                                                   .tier = options.tier,
                                                   .days = moves_back ? 0 : options.days});
  if (!asked) {
    reading.error = asked.error();
    co_return;
  }
  reading.error.message = "it lies in an archive class and has been asked back (" + options.tier +
                          "): it is carried when it is there";
}

bool IsRetention(const ObjectLock& lock) {
  return lock.mode.empty() ||
         ((lock.mode == "GOVERNANCE" || lock.mode == "COMPLIANCE") && lock.until != SystemTime{});
}

// Of the whole object: what an ETag of several parts tells, nobody who reads it in one can check.
bool TellsBytes(const ObjectInfo& info) {
  return (IsPlainMd5Etag(info.etag) && !info.etag_opaque) ||
         std::ranges::any_of(info.checksums, [](const Checksum& one) { return !one.composite; });
}

}  // namespace

std::vector<size_t> WantedTargets(const RuleContext& rule, const std::vector<size_t>& targets,
                                  std::string_view key, const ObjectFacts& facts) {
  std::vector<size_t> wanted;
  for (size_t i : targets) {
    if (CarrierAmong(rule.targets[i]->rivals_above, key, facts) == nullptr) wanted.push_back(i);
  }
  return wanted;
}

ArchiveEntry EntryOf(const std::string& key, const ObjectInfo& info) {
  ArchiveEntry entry{.op = EntryOp::kPut,
                     .key = key,
                     .version_id = info.version_id,
                     .stamp = info.server_time,
                     .size_bytes = info.size_bytes,
                     .etag = info.etag,
                     .headers = info.headers,
                     .metadata = info.metadata,
                     .storage_class = info.storage_class,
                     .lock = info.lock};
  for (const Checksum& checksum : info.checksums) {
    // One is enough: the cheapest to check.
    if (!checksum.composite &&
        (!entry.checksum || checksum.algorithm == ChecksumAlgorithm::kCrc64Nvme)) {
      entry.checksum = checksum;
    }
  }
  return entry;
}

// Reads what belongs to an object besides its headers and bytes, and says what becomes of it.
Async<void> CompleteReading(const RuleContext& rule, const std::vector<size_t>& targets,
                            const ObjectInfo& info, const PackItem& item, std::string_view site,
                            Reading& reading, TagCount tag_count) {
  const Rule& config = *rule.rule;
  reading.state = PackedKey::State::kStaged;
  reading.unverified = info.size_bytes > 0 && !TellsBytes(info);
  if (std::ranges::none_of(config.targets, &Target::object_lock)) reading.entry.lock.reset();
  if (const std::optional<ObjectLock>& lock = reading.entry.lock; lock && !IsRetention(*lock)) {
    co_return InvalidInput("the source tells a retention that is none, '" + lock->mode +
                           "' until " + FormatRfc3339(lock->until) +
                           ": a replica without it could be removed");
  }
  if (info.server_time < std::chrono::floor<std::chrono::seconds>(item.not_before)) {
    reading.state = PackedKey::State::kTooEarly;
    co_return Ok();
  }
  std::optional<Mark> mark = FindMark(info.metadata, config.source.bucket, item.key);
  if (mark && std::find(mark->sites_passed.begin(), mark->sites_passed.end(), site) !=
                  mark->sites_passed.end()) {
    reading.state = PackedKey::State::kSkipped;  // It came from here.
    co_return Ok();
  }
  ObjectFacts facts{.size_bytes = info.size_bytes,
                    .last_modified = info.last_modified,
                    .kms_encrypted = info.kms_encrypted};
  if (config.filter.Matches(facts) == Filter::Match::kNo) {
    reading.state = PackedKey::State::kSkipped;
    co_return Ok();
  }
  const bool untold = tag_count == TagCount::kUnknown && rule.source->capabilities().tags;
  if (info.tag_count > 0 || untold) {
    Result<Tags> tags =
        co_await rule.source->GetTags(config.source.bucket, item.key, info.version_id);
    const bool no_tags_there = !tags && tags.error().code == "NotImplemented";
    if (info.tag_count == 0 && no_tags_there) tags = Tags();  // A source without any.
    if (!tags && tags.error().kind == ErrorKind::kNotFound) {
      co_return Retryable("it went while it was read");
    }
    if (!tags) co_return tags.error().In("read tags");
    reading.entry.tags = std::move(*tags);
    if (info.version_id.empty()) {
      // The tags must be those of the bytes that were read.
      Result<ObjectInfo> again =
          co_await rule.source->Head({.bucket = config.source.bucket, .key = item.key});
      if (!again || again->etag != info.etag) co_return Retryable("it changed while it was read");
    }
  }
  facts.tags = &reading.entry.tags;
  if (config.filter.Matches(facts) == Filter::Match::kYes) {
    LeaveToRivals(rule, targets, item.key, facts, reading);
  } else {
    reading.state = PackedKey::State::kSkipped;
  }
  co_return Ok();
}

asio::awaitable<Reading> ReadingOfError(const RuleContext& rule, const std::vector<size_t>& targets,
                                        const PackItem& item, const Error& error,
                                        SystemTime absent_at) {
  Reading reading;
  if (!IsGone(error)) {
    reading.state = PackedKey::State::kFailed;
    reading.error = error.In("read");
    if (error.kind == ErrorKind::kNotFound && error.code.empty()) {
      reading.error.kind = ErrorKind::kRetryable;  // A bare 404 proves nothing.
    }
    if (error.code == kArchivedCode) co_await AskBack(rule, item, reading);
    co_return reading;
  }
  if (!rule.rule->deletes) {
    reading.state = PackedKey::State::kSkipped;
    co_return reading;
  }
  reading.state = PackedKey::State::kStaged;
  reading.entry = {.op = EntryOp::kDelete, .key = item.key, .stamp = absent_at};
  if (absent_at < std::chrono::floor<std::chrono::seconds>(item.not_before)) {
    reading.state = PackedKey::State::kTooEarly;
    co_return reading;
  }
  LeaveToRivals(rule, targets, item.key, kFactsOfDelete, reading);
  co_return reading;
}

}  // namespace longhaul
