// Large objects: each in an archive of its own, or, beyond that, in segments.

#include <algorithm>
#include <set>
#include <utility>

#include "replication/giants/giant.h"
#include "replication/source/open_archive.h"
#include "replication/source/pack.h"
#include "replication/source/reading.h"
#include "storage/is_gone.h"

namespace longhaul {

namespace {

Error TooLong() { return Retryable("the body is longer than its headers say"); }

// Streams `body` into the archive as the content of `entry`. The writer's errors and those of the
// body alike: OpenArchive::NobodyTakesIt tells whose they are.
Async<void> PackBody(ReplicationContext& context, OpenArchive& archive, ByteReader& body,
                     const ArchiveEntry& entry) {
  Result<void> begun = co_await archive.writer().Begin(entry);
  if (!begun) co_return begun.error();
  while (true) {
    Result<std::span<std::byte>> buffer = co_await archive.writer().Buffer();
    if (!buffer) co_return buffer.error();
    std::byte end[1];
    const bool complete = buffer->empty();
    Result<size_t> count = co_await body.Read(complete ? std::span(end) : *buffer);
    if (!count) co_return count.error().In("read");
    if (complete) {
      if (*count != 0) co_return TooLong();
      break;
    }
    if (*count == 0) co_return Retryable("the body ended early");
    context.bytes_moved += *count;
    Result<void> committed = co_await archive.writer().Commit(*count);
    if (!committed) co_return committed.error();
  }
  co_return co_await archive.writer().End(entry);
}

// An archive of this one entry; `result` says how it went.
asio::awaitable<void> PackAlone(ReplicationContext& context, const RuleContext& rule,
                                const std::vector<size_t>& targets, PackMemory memory,
                                const ArchiveEntry& entry, ByteReader& body, SystemTime heard,
                                Hint hint, PackResult& result) {
  PackedKey& key = result.keys[0];
  OpenArchive archive(context, rule, targets, memory, ArchiveKind::kSingle, heard);
  Result<void> done = co_await archive.Open();
  if (!done) {
    archive.FailTargets(result, done.error());
    co_await archive.Abort();
    co_return;
  }
  done = co_await PackBody(context, archive, body, entry);
  if (!done) {
    // What the staging does not take is not the object's fault.
    const bool of_staging = archive.NobodyTakesIt();
    if (of_staging) {
      archive.FailTargets(result, done.error());
    } else {
      key.state = PackedKey::State::kFailed;
      key.error = done.error().In("pack");
    }
    co_await archive.Abort();
    co_return;
  }
  HintMessage keys = HintsOfArchive(*rule.rule);
  keys.hints.push_back(std::move(hint));
  co_await archive.Finish(result, std::move(keys));
}

void Fail(PackedKey& key, const Error& error, std::string_view what) {
  key.state = PackedKey::State::kFailed;
  key.error = error.In(what);
}

// Plans the transfer to those targets to which none is under way that covers it. The order matters:
// once the row is there a hint of the object is taken for done, so its segments must be in the
// Queue by then. `heard`: the time of the hint. `begun`: when the reading began, by the clock here:
// a hint may have its time from this one or from the source's.
Async<void> PlanTransfer(ReplicationContext& context, const RuleContext& rule,
                         const std::vector<size_t>& targets, const ArchiveEntry& entry,
                         const ObjectInfo& info, SystemTime heard, SystemTime begun) {
  const SystemTime now = context.runtime.clock.Now();
  Transfer transfer{.plan = NewUlid(now, context.runtime.random),
                    .fingerprint = FingerprintOfReading(entry, info.last_modified),
                    .heard_until = std::max(heard, std::min(entry.stamp, begun))};
  std::vector<size_t> left;
  for (size_t index : targets) {
    Transfers transfers(context.state, *rule.rule, *rule.targets[index]->config);
    Result<std::optional<Transfer>> known = co_await transfers.Find(entry.key);
    if (!known) co_return known.error();
    if (!*known || !(*known)->Covers(transfer.fingerprint, heard)) left.push_back(index);
  }
  if (left.empty()) co_return Ok();
  Result<uint64_t> part =
      co_await PartSizeOf(*rule.source, rule.rule->source.bucket, entry.key, info);
  if (!part) co_return part.error().In("look at the parts");

  HintMessage message = HintsOfArchive(*rule.rule);
  for (SegmentHint& segment : PlanSegments(context.limits, info.size_bytes, *part)) {
    segment.segment.plan = transfer.plan;
    segment.stamp = entry.stamp;
    segment.etag = entry.etag;
    segment.last_modified = info.last_modified;
    const uint64_t size = segment.size_bytes;
    message.hints.push_back(
        {.key = entry.key, .time = entry.stamp, .size_bytes = size, .segment = std::move(segment)});
  }
  std::vector<NewMessage> messages;
  // One archive serves all targets, unless some have it already.
  if (left.size() == rule.targets.size()) {
    messages = EncodeHints(message);
  } else {
    for (size_t index : left) {
      message.target = rule.targets[index]->config->name;
      for (NewMessage& encoded : EncodeHints(message)) messages.push_back(std::move(encoded));
    }
  }
  const size_t count = message.hints.size();
  Result<void> sent = co_await context.queue.Send(std::move(messages), {});
  if (!sent) co_return sent.error().In("send segments");
  for (size_t index : left) {
    Transfers transfers(context.state, *rule.rule, *rule.targets[index]->config);
    Result<void> begun = co_await transfers.Begin(entry.key, transfer, now);
    if (!begun) co_return begun.error();
  }
  context.runtime.log.Info("a giant travels in segments", {{"rule", rule.rule->id},
                                                           {"key", entry.key},
                                                           {"bytes", info.size_bytes},
                                                           {"segments", count},
                                                           {"transfer", transfer.plan}});
  co_return Ok();
}

Async<void> EndTransfers(ReplicationContext& context, const RuleContext& rule,
                         const std::vector<size_t>& targets, const std::string& key,
                         const Segment& segment) {
  for (size_t index : targets) {
    Transfers transfers(context.state, *rule.rule, *rule.targets[index]->config);
    Result<void> ended = co_await transfers.End(key, segment.plan);
    if (!ended) co_return ended.error();
  }
  co_return Ok();
}

// The object is not what it was when its transfer was planned: all that is left of it comes to
// this. Each of its segments may say so: a reading after that by which it was planned covers all of
// them.
Async<void> GiveUpTransfer(ReplicationContext& context, const RuleContext& rule,
                           const std::vector<size_t>& targets, const std::string& key,
                           const SegmentHint& planned) {
  Result<void> ended = co_await EndTransfers(context, rule, targets, key, planned.segment);
  if (!ended) co_return ended;
  HintMessage message = HintsOfArchive(*rule.rule);
  message.hints.push_back({.key = key, .time = planned.stamp + std::chrono::seconds(1)});
  Result<void> sent = co_await context.queue.Send(EncodeHints(message), {});
  if (!sent) co_return sent.error().In("send hint");
  co_return Ok();
}

asio::awaitable<void> PackSegment(ReplicationContext& context, const RuleContext& rule,
                                  const std::vector<size_t>& targets, const PackItem& item,
                                  PackMemory memory, PackResult& result) {
  PackedKey& key = result.keys[0];
  const SegmentHint& planned = *item.segment;
  const Segment& segment = planned.segment;
  SystemTime absent_at{};
  Result<ObjectStream> stream = co_await rule.source->Get(
      {.bucket = rule.rule->source.bucket,
       .key = item.key,
       .range = ByteRange{.offset_bytes = segment.offset_bytes, .size_bytes = planned.size_bytes},
       .if_match = planned.etag},
      &absent_at);
  key.size_bytes = planned.size_bytes;
  key.stamp = planned.stamp;
  bool changed = false;
  if (!stream) {
    const Error& error = stream.error();
    changed =
        error.kind == ErrorKind::kPrecondition || error.code == "InvalidRange" || IsGone(error);
    if (!changed) co_return Fail(key, error, "read");
  } else {
    changed = stream->info.etag != planned.etag ||
              stream->info.size_bytes != segment.object_size_bytes ||
              stream->info.last_modified != planned.last_modified;
  }
  if (changed) {
    Result<void> given_up = co_await GiveUpTransfer(context, rule, targets, item.key, planned);
    if (!given_up) co_return Fail(key, given_up.error(), "give up a transfer");
    key.state = PackedKey::State::kSkipped;
    co_return;
  }
  Reading reading;
  reading.entry = EntryOf(item.key, stream->info);
  Result<void> done =
      co_await CompleteReading(rule, targets, stream->info, item, context.site, reading);
  if (!done) co_return Fail(key, done.error(), "read");
  key.state = reading.state;
  key.wanted = std::move(reading.wanted);
  if (key.state == PackedKey::State::kSkipped || key.state == PackedKey::State::kSplit) {
    // Its tags are others by now, and some of the targets are not this rule's any more: what was
    // planned for them does not count when the tags come back.
    std::vector<size_t> left;
    for (size_t index : targets) {
      if (std::ranges::find(key.wanted, index) == key.wanted.end()) left.push_back(index);
    }
    done = co_await EndTransfers(context, rule, left, item.key, segment);
    if (!done) co_return Fail(key, done.error(), "end a transfer");
  }
  if (key.state != PackedKey::State::kStaged) co_return;
  ArchiveEntry& entry = reading.entry;
  entry.stamp = planned.stamp;
  entry.size_bytes = planned.size_bytes;
  entry.segment = segment;
  for (uint64_t left = planned.size_bytes; left > 0;) {
    const uint64_t part = std::min(left, planned.part_size_bytes);
    entry.part_sizes.push_back(part);
    left -= part;
  }
  Hint hint{
      .key = item.key, .time = planned.stamp, .size_bytes = planned.size_bytes, .segment = planned};
  co_await PackAlone(context, rule, targets, memory, entry, *stream->body,
                     item.not_before - rule.rule->settle, std::move(hint), result);
  if (result.archive.empty()) co_return;
  for (size_t index : targets) {
    Transfers transfers(context.state, *rule.rule, *rule.targets[index]->config);
    done = co_await transfers.Keep(item.key, segment.plan, context.runtime.clock.Now());
    if (!done) context.runtime.log.Warning("a transfer was not kept", {done.error()});
  }
}

}  // namespace

Async<void> ForgetTransfers(ReplicationContext& context, const RuleContext& rule,
                            const std::vector<size_t>& targets, const std::vector<size_t>& wanted,
                            const std::string& key) {
  for (size_t index : targets) {
    if (std::ranges::find(wanted, index) != wanted.end()) continue;
    Transfers transfers(context.state, *rule.rule, *rule.targets[index]->config);
    Result<std::optional<Transfer>> known = co_await transfers.Find(key);
    if (!known) co_return known.error();
    if (!*known) continue;
    Result<void> ended = co_await transfers.End(key, (*known)->plan);
    if (!ended) co_return ended.error();
  }
  co_return Ok();
}

asio::awaitable<PackResult> PackSingle(ReplicationContext& context, const RuleContext& rule,
                                       std::vector<size_t> targets, PackItem item,
                                       PackMemory memory) {
  PackResult result = EmptyPackResult(1, targets.size());
  if (item.segment) {
    co_await PackSegment(context, rule, targets, item, memory, result);
    co_return result;
  }
  PackedKey& key = result.keys[0];
  const std::string& bucket = rule.rule->source.bucket;
  const SystemTime begun = context.runtime.clock.Now();
  SystemTime absent_at{};
  Result<ObjectStream> stream =
      co_await rule.source->Get({.bucket = bucket, .key = item.key}, &absent_at);
  if (!stream) {
    // Gone, or unreadable: a bundle says that as well, and carries a delete.
    Reading reading = co_await ReadingOfError(rule, targets, item, stream.error(), absent_at);
    const bool carries =
        reading.state == PackedKey::State::kStaged || reading.state == PackedKey::State::kSplit;
    key.state = carries ? PackedKey::State::kUnread : reading.state;
    key.stamp = reading.entry.stamp;
    key.error = reading.error;
    co_return result;
  }
  const ObjectInfo info = stream->info;
  key.size_bytes = info.size_bytes;
  key.stamp = info.server_time;
  if (info.size_bytes <= context.limits.bundle_object_bytes_max) co_return result;  // kUnread

  Reading reading;
  reading.entry = EntryOf(item.key, info);
  Result<void> done = co_await CompleteReading(rule, targets, info, item, context.site, reading);
  key.state = reading.state;
  key.wanted = std::move(reading.wanted);
  if (!done) {
    Fail(key, done.error(), "read");
    co_return result;
  }
  const bool giant = info.size_bytes > context.limits.single_object_bytes_max;
  if (giant && (key.state == PackedKey::State::kSkipped || key.state == PackedKey::State::kSplit)) {
    done = co_await ForgetTransfers(context, rule, targets, key.wanted, item.key);
    if (!done) Fail(key, done.error(), "end a transfer");
  }
  if (key.state != PackedKey::State::kStaged) co_return result;

  if (giant) {
    stream->body.reset();  // Planning may take a while.
    done =
        co_await PlanTransfer(context, rule, targets, reading.entry, info, item.not_before, begun);
    if (!done) Fail(key, done.error(), "plan a transfer");
    co_return result;
  }
  Result<uint64_t> part = co_await PartSizeOf(*rule.source, bucket, item.key, info);
  if (part && *part > 0) {
    uint64_t left = info.size_bytes;
    for (; left > *part; left -= *part) reading.entry.part_sizes.push_back(*part);
    reading.entry.part_sizes.push_back(left);
  }
  key.unverified = reading.unverified;
  Hint hint{.key = item.key, .time = key.stamp, .size_bytes = key.size_bytes};
  co_await PackAlone(context, rule, targets, memory, reading.entry, *stream->body,
                     item.not_before - rule.rule->settle, std::move(hint), result);
  co_return result;
}

}  // namespace longhaul
