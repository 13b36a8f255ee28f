#include "replication/source/pack.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "base/md5_lanes.h"
#include "replication/source/attributes.h"
#include "replication/source/choose_route.h"
#include "replication/source/open_archive.h"
#include "replication/source/reading.h"

namespace longhaul {

namespace {

// Indexes grow with the entries; this much beside the frames serves 100,000 entries.
constexpr int64_t kIndexBytes = 8 << 20;

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

Async<void> ReadSmall(ReplicationContext& context, const RuleContext& rule,
                      const std::vector<size_t>& targets, const PackItem& item, Slot& slot) {
  Reading& reading = slot.reading;
  if (item.attributes && co_await ReadAttributes(context, rule, targets, item, reading)) {
    slot.memory.ShrinkTo(0);
    slot.done.Set();
    co_return Ok();
  }
  SystemTime absent_at{};
  Result<ObjectStream> stream =
      co_await rule.source->Get({.bucket = rule.rule->source.bucket, .key = item.key}, &absent_at);
  if (!stream) {
    reading = co_await ReadingOfError(rule, targets, item, stream.error(), absent_at);
    slot.done.Set();
    co_return Ok();
  }
  const ObjectInfo& info = stream->info;
  reading.entry = EntryOf(item.key, info);
  if (info.size_bytes > context.limits.bundle_object_bytes_max) {
    reading.state = PackedKey::State::kLarge;
  } else if (!item.size_bytes && ContentDecides(context.limits, *rule.rule, info.size_bytes)) {
    reading.state = PackedKey::State::kUnread;  // Now that its size is known, it may go elsewhere.
  } else if (static_cast<int64_t>(info.size_bytes) > slot.memory.size_bytes()) {
    reading.state = PackedKey::State::kUnread;  // Larger than the hint said.
  } else {
    slot.memory.ShrinkTo(static_cast<int64_t>(info.size_bytes));
    reading.content.resize(info.size_bytes);
    Result<void> read = co_await ReadBody(context, *stream->body, reading.content);
    if (read) read = co_await CompleteReading(rule, targets, info, item, context.site, reading);
    if (!read) {
      reading.state = PackedKey::State::kFailed;
      reading.error = read.error().In("read");
    }
  }
  slot.done.Set();
  co_return Ok();
}

// Whose MD5s are taken together: this many objects, until they come to this many bytes.
constexpr size_t kMd5sAtOnce = 16;
constexpr size_t kMd5BytesAtOnce = 128 << 10;

bool MayFollowFromBytes(const ArchiveEntry& entry) {
  return entry.op == EntryOp::kPut && entry.size_bytes < kDerivedSizeBytes &&
         IsPlainMd5Etag(entry.etag);
}

// Says of what the slots from the first on hold whether their ETags follow from their bytes, and
// returns of how many: small ones after it that are being read as well are waited for. (They have
// their memory, so that nothing they wait for waits for the first.) `items` are theirs.
asio::awaitable<size_t> NoteDerivedEtags(std::span<const std::unique_ptr<Slot>> slots,
                                         std::span<const PackItem> items) {
  std::vector<Reading*> readings;
  std::vector<std::span<const std::byte>> bodies;
  size_t bytes = 0;
  size_t looked_at = 0;
  for (; looked_at < std::min(slots.size(), kMd5sAtOnce) && bytes < kMd5BytesAtOnce; ++looked_at) {
    const bool small = items[looked_at].size_bytes.value_or(UINT64_MAX) < kDerivedSizeBytes;
    if (looked_at > 0 && !small) break;
    co_await slots[looked_at]->done.Wait();
    Reading& reading = slots[looked_at]->reading;
    if (reading.state != PackedKey::State::kStaged || !MayFollowFromBytes(reading.entry)) continue;
    readings.push_back(&reading);
    bodies.emplace_back(reading.content);
    bytes += reading.content.size();
  }
  const std::vector<std::string> md5s = Md5OfEach(bodies);
  for (size_t i = 0; i < readings.size(); ++i) {
    readings[i]->entry.etag_is_md5 = HexEncode(md5s[i]) == readings[i]->entry.etag;
  }
  co_return looked_at;
}

// Starts the reading of `items` in order, as far as the window and `slots` allow. Borrows all.
Async<void> ReadAhead(ReplicationContext& context, const RuleContext& rule,
                      const std::vector<size_t>& targets, const std::vector<PackItem>& items,
                      std::vector<std::unique_ptr<Slot>>& slots, MemoryBudget& window,
                      WaitList& progress, const bool& full, size_t& started) {
  TaskGroup reads(context.runtime.executor);
  for (size_t i = 0; i < items.size() && !full; ++i) {
    Result<Reservation> memory =
        co_await window.Reserve(static_cast<int64_t>(WindowBytes(context.limits, items[i])));
    if (!memory) co_return memory.error();  // Cannot be: the window holds the largest object.
    co_await reads.WaitBelow(rule.reads_max);
    slots[i] = std::make_unique<Slot>();
    slots[i]->memory = std::move(*memory);
    started = i + 1;
    progress.NotifyAll();
    reads.Spawn(ReadSmall(context, rule, targets, items[i], *slots[i]));
  }
  Result<void> joined = co_await reads.Join();
  progress.NotifyAll();
  co_return joined;
}

// When the oldest of the events was heard of.
SystemTime OldestOf(const Rule& rule, const std::vector<PackItem>& items) {
  SystemTime oldest = SystemTime::max();
  for (const PackItem& item : items) oldest = std::min(oldest, item.not_before);
  return oldest - rule.settle;
}

// Nothing has been read: all of it goes back.
void FailUnread(PackResult& result) {
  for (PackedKey& key : result.keys) key.state = PackedKey::State::kStaged;
}

}  // namespace

namespace {

// How a job's memory is divided where there is no more than it takes at least.
PackMemory LeastPackMemory(const ReplicationLimits& limits, int level, int level_max) {
  ArchiveOptions options = ArchiveOptionsFor(limits, level, 1);
  options.level_max = level_max;
  return {.slots = 1,
          .writer_bytes = ArchiveWriter::MemoryNeeded(options) + kIndexBytes,
          .upload_buffers = ArchiveUpload::kBuffersMin,
          .upload_bytes = ArchiveUpload::kBuffersMin * static_cast<int64_t>(limits.part_bytes),
          .window_bytes = static_cast<int64_t>(limits.bundle_object_bytes_max) + 1024,
          .level_max = level_max};
}

}  // namespace

int64_t PackMemoryMin(const ReplicationLimits& limits, int level, int level_max) {
  return LeastPackMemory(limits, level, level_max).total();
}

Result<PackMemory> PlanPackMemory(const ReplicationLimits& limits, int level, int threads,
                                  int64_t available_bytes, int level_max) {
  PackMemory memory = LeastPackMemory(limits, level, level_max);
  if (memory.total() > available_bytes) {
    return InvalidInput("packing needs " + std::to_string(memory.total()) + " bytes of memory");
  }
  const int64_t slot = memory.writer_bytes - kIndexBytes;
  const int64_t largest = memory.window_bytes;
  const auto part = static_cast<int64_t>(limits.part_bytes);
  while (memory.slots < threads + 1 && memory.total() + slot <= available_bytes) {
    ++memory.slots;
    memory.writer_bytes += slot;
  }
  // A window of two frames keeps the next one coming while one is cut.
  memory.window_bytes =
      std::min(available_bytes - memory.writer_bytes - memory.upload_bytes,
               std::max(largest, 2 * static_cast<int64_t>(limits.frame_bytes)) + largest);
  // What is left keeps more parts on their way, but not at the price of a second job.
  const int64_t share =
      available_bytes / 2 >= memory.total() ? available_bytes / 2 : available_bytes;
  while (memory.upload_buffers < ArchiveUpload::kBuffersMax && memory.total() + part <= share) {
    ++memory.upload_buffers;
    memory.upload_bytes += part;
  }
  return memory;
}

asio::awaitable<PackResult> PackBundle(ReplicationContext& context, const RuleContext& rule,
                                       std::vector<size_t> targets, std::vector<PackItem> items,
                                       PackMemory memory) {
  PackResult result = EmptyPackResult(items.size(), targets.size());
  OpenArchive archive(context, rule, targets, memory, ArchiveKind::kBundle,
                      OldestOf(*rule.rule, items));
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
  reading.Spawn(ReadAhead(context, rule, targets, items, slots, window, progress, full, started));

  const auto batch_bytes = static_cast<uint64_t>(rule.rule->batch.size_bytes);
  uint64_t packed = 0;
  size_t known = 0;  // Of the slots before it is known whether their ETags follow from their bytes.
  Result<void> written;
  for (size_t i = 0; i < items.size(); ++i) {
    while (started <= i && reading.running() > 0) co_await progress.Wait();
    if (started <= i) break;  // The archive was full before this one was read.
    if (i == known) {
      known += co_await NoteDerivedEtags(std::span(slots).subspan(i, started - i),
                                         std::span(items).subspan(i));
    }
    Reading& taken = slots[i]->reading;
    PackedKey& key = result.keys[i];
    key.state = taken.state;
    const bool attributes = taken.entry.op == EntryOp::kAttributes;
    key.size_bytes = attributes ? 0 : taken.entry.size_bytes;
    key.stamp = taken.entry.stamp;
    key.deleted = taken.entry.op == EntryOp::kDelete;
    key.unverified = taken.unverified && !attributes;
    key.wanted = std::move(taken.wanted);
    key.error = std::move(taken.error);
    if (taken.state == PackedKey::State::kStaged && written) {
      Result<void> added =
          key.deleted  ? co_await archive.writer().AddDelete(std::move(taken.entry))
          : attributes ? co_await archive.writer().AddAttributes(std::move(taken.entry))
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

  HintMessage keys = HintsOfArchive(*rule.rule);
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

}  // namespace longhaul
