#include "replication/pack.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "archive/writer.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "replication/archive_keys.h"
#include "replication/archive_upload.h"
#include "replication/seal.h"
#include "replication/staging.h"

namespace longhaul {

namespace {

// Indexes grow with the entries; this much beside the frames serves 100,000 entries.
constexpr int64_t kIndexBytes = 8 << 20;

ArchiveOptions OptionsFor(const ReplicationLimits& limits, int level, int slots) {
  return {.level = level,
          .frame_size_bytes = limits.frame_bytes,
          .slots_max = slots,
          .seal = std::nullopt};
}

// An object as it was found, or its absence.
struct Reading {
  PackedKey::State state = PackedKey::State::kStaged;
  ArchiveEntry entry;
  std::vector<std::byte> content;
  Error error;
};

// What an archive is packed with: an upload, a writer on it, and their memory.
class OpenArchive {
 public:
  OpenArchive(ReplicationContext& context, const RuleContext& rule,
              const std::vector<size_t>& targets, PackMemory memory, ArchiveKind kind)
      : context_(context),
        memory_budget_(memory.writer_bytes),
        runtime_(Runtime{context.runtime.executor, context.runtime.clock, context.runtime.random,
                         context.runtime.pool, memory_budget_, context.runtime.log,
                         context.runtime.metrics}) {
    manifest_.id = NewUlid(context.runtime.clock.Now(), context.runtime.random);
    manifest_.rule_id = rule.rule->id;
    manifest_.site = context.site;
    manifest_.source = rule.rule->source.ToString();
    manifest_.created = context.runtime.clock.Now();
    manifest_.writer = "longhaul " LONGHAUL_VERSION;
    manifest_.kind = kind;
    options_ = OptionsFor(context.limits, rule.rule->compression_level, memory.slots);
    std::vector<SealKey> seals = SealKeys(*rule.rule);
    if (!seals.empty()) options_.seal = std::move(seals.front());
    std::vector<ArchiveUpload::Destination> destinations;
    for (size_t index : targets) {
      const TargetContext& target = *rule.targets[index];
      // Targets that share a staging share the archive.
      ArchiveUpload::Destination destination{
          .store = target.staging_store,
          .bucket = target.staging_bucket,
          .key = ArchiveKey(target.staging_prefix, manifest_.id)};
      size_t same = 0;
      while (same < destinations.size() && (destinations[same].store != destination.store ||
                                            destinations[same].bucket != destination.bucket ||
                                            destinations[same].key != destination.key)) {
        ++same;
      }
      if (same == destinations.size()) destinations.push_back(std::move(destination));
      destination_of_target_.push_back(same);
    }
    upload_ = std::make_unique<ArchiveUpload>(runtime_, *context.uploads, std::move(destinations),
                                              context.limits.part_bytes, context.bytes_moved);
  }

  Async<void> Open() {
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

  // Finishes and says, for each target, whether the archive is durable there.
  asio::awaitable<void> Finish(PackResult& result, HintMessage keys) {
    Result<ArchiveSummary> summary = co_await writer_->Finish();
    if (summary) {
      Result<void> remembered = co_await RememberArchiveKeys(
          context_.state, context_.runtime.clock.Now(), manifest_.id, std::move(keys));
      if (!remembered) summary = remembered.error();
    }
    if (!summary) {
      co_await Abort();
      FailTargets(result, summary.error().In("write archive"));
      co_return;
    }
    std::vector<Result<void>> uploaded = co_await upload_->Finish();
    for (const PackedKey& key : result.keys) {
      if (key.state == PackedKey::State::kStaged) result.bytes.objects += key.size_bytes;
    }
    for (size_t i = 0; i < result.targets.size(); ++i) {
      result.targets[i] = uploaded[destination_of_target_[i]];
      if (result.targets[i]) result.bytes.plain += result.bytes.objects;
    }
    result.archive = manifest_.id;
    result.bytes.sent = upload_->sent_bytes();
    const bool any = std::ranges::any_of(result.targets, [](const auto& t) { return bool(t); });
    if (any) context_.observer.OnArchiveStaged(result.bytes);
  }

  asio::awaitable<void> Abort() {
    if (writer_) co_await writer_->Abort();
    co_await upload_->Abort();
  }

  // No staging takes it any more: what the writer says then is said of them, not of an object.
  [[nodiscard]] bool NobodyTakesIt() const {
    const std::vector<Result<void>> results = upload_->results();
    return std::none_of(results.begin(), results.end(),
                        [](const Result<void>& result) { return result.has_value(); });
  }
  // The archive came to nothing: each target's own failure, else `error`.
  void FailTargets(PackResult& result, const Error& error) const {
    const std::vector<Result<void>> results = upload_->results();
    for (size_t i = 0; i < result.targets.size(); ++i) {
      const Result<void>& own = results[destination_of_target_[i]];
      result.targets[i] = own ? Result<void>(error) : own;
    }
  }

  [[nodiscard]] ArchiveWriter& writer() { return *writer_; }

 private:
  ReplicationContext& context_;
  MemoryBudget memory_budget_;
  Runtime runtime_;
  ArchiveOptions options_;
  ArchiveManifest manifest_;
  std::vector<size_t> destination_of_target_;
  std::unique_ptr<ArchiveUpload> upload_;
  std::unique_ptr<ArchiveWriter> writer_;
};

ArchiveEntry EntryOf(const std::string& key, const ObjectInfo& info) {
  ArchiveEntry entry{.op = EntryOp::kPut,
                     .key = key,
                     .version_id = info.version_id,
                     .stamp = info.server_time,
                     .size_bytes = info.size_bytes,
                     .etag = info.etag,
                     .headers = info.headers,
                     .metadata = info.metadata,
                     .storage_class = info.storage_class};
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
Async<void> CompleteReading(const RuleContext& rule, const ObjectInfo& info, const PackItem& item,
                            std::string_view site, Reading& reading) {
  const Rule& config = *rule.rule;
  reading.state = PackedKey::State::kStaged;
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
  if (!config.filter.MatchesSize(info.size_bytes)) {
    reading.state = PackedKey::State::kSkipped;
    co_return Ok();
  }
  if (info.tag_count > 0) {
    Result<Tags> tags =
        co_await rule.source->GetTags(config.source.bucket, item.key, info.version_id);
    if (!tags) co_return tags.error().In("read tags");
    reading.entry.tags = std::move(*tags);
    if (info.version_id.empty()) {
      // The tags must be those of the bytes that were read.
      Result<ObjectInfo> again =
          co_await rule.source->Head({.bucket = config.source.bucket, .key = item.key});
      if (!again || again->etag != info.etag) co_return Retryable("it changed while it was read");
    }
  }
  if (!config.filter.MatchesTags(reading.entry.tags)) {
    reading.state = PackedKey::State::kSkipped;
  }
  co_return Ok();
}

// What a failed Get says: an absence, or a failure.
Reading ReadingOfError(const RuleContext& rule, const PackItem& item, const Error& error,
                       SystemTime absent_at) {
  Reading reading;
  const bool absent = error.kind == ErrorKind::kNotFound &&
                      (error.code == "NoSuchKey" || error.code == "DeleteMarker");
  if (!absent) {
    reading.state = PackedKey::State::kFailed;
    reading.error = error.In("read");
    if (error.kind == ErrorKind::kNotFound && error.code.empty()) {
      reading.error.kind = ErrorKind::kRetryable;  // A bare 404 proves nothing.
    }
    return reading;
  }
  if (!rule.rule->deletes) {
    reading.state = PackedKey::State::kSkipped;
    return reading;
  }
  reading.state = PackedKey::State::kStaged;
  reading.entry = {.op = EntryOp::kDelete, .key = item.key, .stamp = absent_at};
  if (absent_at < std::chrono::floor<std::chrono::seconds>(item.not_before)) {
    reading.state = PackedKey::State::kTooEarly;
  }
  return reading;
}

Async<void> ReadBody(ReplicationContext& context, ByteReader& body,
                     std::vector<std::byte>& content) {
  size_t filled = 0;
  while (filled < content.size()) {
    Result<size_t> count = co_await body.Read(std::span(content).subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) co_return Retryable("the body ended early");
    filled += *count;
    context.bytes_moved += *count;
  }
  std::byte end[1];
  Result<size_t> count = co_await body.Read(end);  // Where length and checksum are confirmed.
  if (!count) co_return count.error();
  if (*count != 0) co_return Retryable("the body is longer than its headers say");
  co_return Ok();
}

// One object of a bundle on its way into memory.
struct Slot {
  Reservation memory;
  Reading reading;
  Event done;
};

uint64_t WindowBytes(const ReplicationLimits& limits, const PackItem& item) {
  return std::min<uint64_t>(item.size_bytes.value_or(limits.bundle_object_bytes_max),
                            limits.bundle_object_bytes_max) +
         1024;
}

Async<void> ReadSmall(ReplicationContext& context, const RuleContext& rule, const PackItem& item,
                      Slot& slot) {
  Reading& reading = slot.reading;
  SystemTime absent_at{};
  Result<ObjectStream> stream =
      co_await rule.source->Get({.bucket = rule.rule->source.bucket, .key = item.key}, &absent_at);
  if (!stream) {
    reading = ReadingOfError(rule, item, stream.error(), absent_at);
    slot.done.Set();
    co_return Ok();
  }
  const ObjectInfo& info = stream->info;
  reading.entry = EntryOf(item.key, info);
  if (info.size_bytes > context.limits.bundle_object_bytes_max) {
    reading.state = PackedKey::State::kLarge;
  } else if (static_cast<int64_t>(info.size_bytes) > slot.memory.size_bytes()) {
    reading.state = PackedKey::State::kUnread;  // Larger than the hint said.
  } else {
    slot.memory.ShrinkTo(static_cast<int64_t>(info.size_bytes));
    reading.content.resize(info.size_bytes);
    Result<void> read = co_await ReadBody(context, *stream->body, reading.content);
    if (read) read = co_await CompleteReading(rule, info, item, context.site, reading);
    if (!read) {
      reading.state = PackedKey::State::kFailed;
      reading.error = read.error().In("read");
    } else if (info.size_bytes < kDerivedSizeBytes && IsPlainMd5Etag(info.etag)) {
      reading.entry.etag_is_md5 =
          HexEncode(Digest(HashKind::kMd5, std::span<const std::byte>(reading.content))) ==
          info.etag;
    }
  }
  slot.done.Set();
  co_return Ok();
}

// Starts the reading of `items` in order, as far as the window and `slots` allow. Borrows all.
Async<void> ReadAhead(ReplicationContext& context, const RuleContext& rule,
                      const std::vector<PackItem>& items, std::vector<std::unique_ptr<Slot>>& slots,
                      MemoryBudget& window, WaitList& progress, const bool& full, size_t& started) {
  TaskGroup reads(context.runtime.executor);
  for (size_t i = 0; i < items.size() && !full; ++i) {
    Result<Reservation> memory =
        co_await window.Reserve(static_cast<int64_t>(WindowBytes(context.limits, items[i])));
    if (!memory) co_return memory.error();  // Cannot be: the window holds the largest object.
    co_await reads.WaitBelow(context.limits.reads_max);
    slots[i] = std::make_unique<Slot>();
    slots[i]->memory = std::move(*memory);
    started = i + 1;
    progress.NotifyAll();
    reads.Spawn(ReadSmall(context, rule, items[i], *slots[i]));
  }
  Result<void> joined = co_await reads.Join();
  progress.NotifyAll();
  co_return joined;
}

PackResult EmptyResult(size_t keys, size_t targets) {
  PackResult result;
  result.keys.resize(keys);
  result.targets.resize(targets);
  return result;
}

HintMessage MessageFor(const Rule& rule) {
  return {.store = rule.source.store,
          .bucket = rule.source.bucket,
          .rule = rule.id,
          .origin = HintOrigin::kReread};
}

// Nothing has been read: all of it goes back.
void FailUnread(PackResult& result) {
  for (PackedKey& key : result.keys) key.state = PackedKey::State::kStaged;
}

}  // namespace

Result<PackMemory> PlanPackMemory(const ReplicationLimits& limits, int level, int threads,
                                  int64_t available_bytes) {
  const int64_t slot = ArchiveWriter::MemoryNeeded(OptionsFor(limits, level, 1));
  const int64_t largest = static_cast<int64_t>(limits.bundle_object_bytes_max) + 1024;
  PackMemory memory{.slots = 1,
                    .writer_bytes = slot + kIndexBytes,
                    .upload_bytes = ArchiveUpload::MemoryNeeded(limits.part_bytes),
                    .window_bytes = largest};
  if (memory.total() > available_bytes) {
    return InvalidInput("packing needs " + std::to_string(memory.total()) + " bytes of memory, " +
                        std::to_string(available_bytes) + " are there for it (--memory)");
  }
  while (memory.slots < threads + 1 && memory.total() + slot <= available_bytes) {
    ++memory.slots;
    memory.writer_bytes += slot;
  }
  // A window of two frames keeps the next one coming while one is cut.
  memory.window_bytes =
      std::min(available_bytes - memory.writer_bytes - memory.upload_bytes,
               std::max(largest, 2 * static_cast<int64_t>(limits.frame_bytes)) + largest);
  return memory;
}

asio::awaitable<PackResult> PackBundle(ReplicationContext& context, const RuleContext& rule,
                                       std::vector<size_t> targets, std::vector<PackItem> items,
                                       PackMemory memory) {
  PackResult result = EmptyResult(items.size(), targets.size());
  OpenArchive archive(context, rule, targets, memory, ArchiveKind::kBundle);
  Result<void> opened = co_await archive.Open();
  if (!opened) {
    archive.FailTargets(result, opened.error());
    co_await archive.Abort();
    FailUnread(result);
    co_return result;
  }

  MemoryBudget window(memory.window_bytes);
  std::vector<std::unique_ptr<Slot>> slots(items.size());
  WaitList progress;
  bool full = false;
  size_t started = 0;
  TaskGroup reading(context.runtime.executor);
  reading.Spawn(ReadAhead(context, rule, items, slots, window, progress, full, started));

  const auto batch_bytes = static_cast<uint64_t>(rule.rule->batch.size_bytes);
  uint64_t packed = 0;
  Result<void> written;
  for (size_t i = 0; i < items.size(); ++i) {
    while (started <= i && reading.running() > 0) co_await progress.Wait();
    if (started <= i) break;  // The archive was full before this one was read.
    Slot& slot = *slots[i];
    co_await slot.done.Wait();
    Reading& taken = slot.reading;
    PackedKey& key = result.keys[i];
    key.state = taken.state;
    key.size_bytes = taken.entry.size_bytes;
    key.stamp = taken.entry.stamp;
    key.deleted = taken.entry.op == EntryOp::kDelete;
    key.error = std::move(taken.error);
    if (taken.state == PackedKey::State::kStaged && written) {
      Result<void> added =
          key.deleted ? co_await archive.writer().AddDelete(std::move(taken.entry))
                      : co_await archive.writer().Add(std::move(taken.entry), taken.content);
      if (added) {
        ++packed;
      } else if (added.error().kind == ErrorKind::kInvalidInput && !archive.NobodyTakesIt()) {
        // Full, of names of metadata for example: it goes into an archive of its own.
        key.alone = packed > 0;
        key.state = key.alone ? PackedKey::State::kUnread : PackedKey::State::kFailed;
        key.error = added.error().In("pack");
      } else {
        written = added.error().In("pack");
        full = true;
      }
    }
    slots[i].reset();
    if (archive.writer().full() || archive.writer().raw_bytes() >= batch_bytes) full = true;
  }
  Result<void> read = co_await reading.Join();
  if (!read && written) written = read;

  HintMessage keys = MessageFor(*rule.rule);
  for (size_t i = 0; i < items.size(); ++i) {
    if (result.keys[i].state == PackedKey::State::kStaged) {
      keys.hints.push_back({.key = items[i].key, .time = result.keys[i].stamp});
    }
  }
  if (packed == 0 || !written) {
    co_await archive.Abort();
    if (!written) archive.FailTargets(result, written.error());
    co_return result;
  }
  co_await archive.Finish(result, std::move(keys));
  co_return result;
}

asio::awaitable<PackResult> PackSingle(ReplicationContext& context, const RuleContext& rule,
                                       std::vector<size_t> targets, PackItem item,
                                       PackMemory memory) {
  PackResult result = EmptyResult(1, targets.size());
  PackedKey& key = result.keys[0];
  const std::string& bucket = rule.rule->source.bucket;
  SystemTime absent_at{};
  Result<ObjectStream> stream =
      co_await rule.source->Get({.bucket = bucket, .key = item.key}, &absent_at);
  if (!stream) {
    // Gone, or unreadable: a bundle says that as well, and carries a delete.
    Reading reading = ReadingOfError(rule, item, stream.error(), absent_at);
    key.state =
        reading.state == PackedKey::State::kStaged ? PackedKey::State::kUnread : reading.state;
    key.error = reading.error;
    co_return result;
  }
  const ObjectInfo info = stream->info;
  key.size_bytes = info.size_bytes;
  key.stamp = info.server_time;
  if (info.size_bytes <= context.limits.bundle_object_bytes_max) co_return result;  // kUnread
  if (info.size_bytes > context.limits.single_object_bytes_max) {
    key.state = PackedKey::State::kFailed;
    key.error = InvalidInput("objects over 5 GiB are not carried by this version");
    key.error.code = "ObjectTooLarge";
    co_return result;
  }

  Reading reading;
  reading.entry = EntryOf(item.key, info);
  Result<void> done = co_await CompleteReading(rule, info, item, context.site, reading);
  key.state = reading.state;
  if (!done || key.state != PackedKey::State::kStaged) {
    if (!done) {
      key.state = PackedKey::State::kFailed;
      key.error = done.error().In("read");
    }
    co_return result;
  }
  if (size_t dash = info.etag.find('-'); dash != std::string::npos) {
    // Equal parts, all but the last, are what every client makes: one look tells their size.
    Result<ObjectInfo> first = co_await rule.source->Head(
        {.bucket = bucket, .key = item.key, .version_id = info.version_id, .part_number = 1});
    if (first && first->etag == info.etag && first->part_count > 1) {
      uint64_t left = info.size_bytes;
      const auto count = static_cast<uint64_t>(first->part_count);
      const uint64_t part = first->size_bytes;
      if (part > 0 && part * count >= left && part * (count - 1) < left) {
        for (; left > part; left -= part) reading.entry.part_sizes.push_back(part);
        reading.entry.part_sizes.push_back(left);
      }
    }
  }

  OpenArchive archive(context, rule, targets, memory, ArchiveKind::kSingle);
  done = co_await archive.Open();
  if (!done) {
    archive.FailTargets(result, done.error());
    co_await archive.Abort();
    co_return result;
  }
  done = co_await archive.writer().Begin(reading.entry);
  while (done) {
    Result<std::span<std::byte>> buffer = co_await archive.writer().Buffer();
    if (!buffer) {
      done = buffer.error();
      break;
    }
    std::byte end[1];
    const bool complete = buffer->empty();
    Result<size_t> count = co_await stream->body->Read(complete ? std::span(end) : *buffer);
    if (!count) {
      done = count.error().In("read");
    } else if (complete) {
      if (*count != 0) done = Retryable("the body is longer than its headers say");
      break;
    } else if (*count == 0) {
      done = Retryable("the body ended early");
    } else {
      context.bytes_moved += *count;
      done = co_await archive.writer().Commit(*count);
    }
  }
  if (done) done = co_await archive.writer().End(reading.entry);
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
    co_return result;
  }
  HintMessage keys = MessageFor(*rule.rule);
  keys.hints.push_back({.key = item.key, .time = key.stamp, .size_bytes = key.size_bytes});
  co_await archive.Finish(result, std::move(keys));
  co_return result;
}

}  // namespace longhaul
