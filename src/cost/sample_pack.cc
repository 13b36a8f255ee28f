#include "cost/sample_pack.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "archive/writer.h"
#include "base/random.h"

namespace longhaul {

namespace {

// Read side by side: what a memory of 64 MiB holds, beside the archive.
constexpr size_t kGroupObjects = 32;
constexpr uint64_t kGroupBytes = 16 << 20;

class CountingSink : public ArchiveSink {
 public:
  Async<void> Write(std::span<const std::byte> bytes) override {
    count += bytes.size();
    co_return Ok();
  }
  uint64_t count = 0;
};

struct Read {
  std::optional<Error> error;
  ObjectInfo info;
  std::vector<std::byte> content;
};

Async<void> ReadOne(Store& store, const std::string& bucket, const ListedObject& object,
                    Read& read) {
  const uint64_t size = SampleBytesOf(object.size_bytes);
  GetRequest request;
  request.bucket = bucket;
  request.key = object.key;
  if (size < object.size_bytes) {
    request.range = ByteRange{.offset_bytes = (object.size_bytes - size) / 2, .size_bytes = size};
  }
  Result<ObjectStream> stream = co_await store.Get(std::move(request));
  if (!stream) {
    read.error = stream.error();
    co_return Ok();
  }
  if (stream->length_bytes > kSampleObjectBytesMax) {
    read.error = Retryable("the object has changed");
    co_return Ok();
  }
  read.info = std::move(stream->info);
  read.content.resize(stream->length_bytes);
  size_t filled = 0;
  while (filled < read.content.size()) {
    Result<size_t> count = co_await stream->body->Read(std::span(read.content).subspan(filled));
    if (!count || *count == 0) {
      read.error = count ? Retryable("the body ended early") : count.error();
      co_return Ok();
    }
    filled += *count;
  }
  co_return Ok();
}

ArchiveEntry EntryOf(const std::string& key, const Read& read) {
  ArchiveEntry entry;
  entry.key = key;
  entry.version_id = read.info.version_id;
  entry.stamp = read.info.server_time;
  entry.size_bytes = read.content.size();
  entry.etag = read.info.etag;
  entry.headers = read.info.headers;
  entry.metadata = read.info.metadata;
  entry.storage_class = read.info.storage_class;
  return entry;
}

Async<void> AddAll(Runtime& runtime, Store& store, const std::string& bucket,
                   const std::vector<ListedObject>& objects, ArchiveWriter& writer,
                   SamplePack& pack) {
  for (size_t begin = 0; begin < objects.size();) {
    size_t end = begin;
    uint64_t bytes = 0;
    while (end < objects.size() && end - begin < kGroupObjects &&
           (end == begin || bytes + SampleBytesOf(objects[end].size_bytes) <= kGroupBytes)) {
      bytes += SampleBytesOf(objects[end++].size_bytes);
    }
    Result<Reservation> memory = co_await runtime.memory.Reserve(static_cast<int64_t>(bytes));
    if (!memory) co_return memory.error();
    std::vector<Read> reads(end - begin);
    TaskGroup group(runtime.executor);
    for (size_t i = begin; i < end; ++i) {
      group.Spawn(ReadOne(store, bucket, objects[i], reads[i - begin]));
    }
    Result<void> joined = co_await group.Join();
    if (!joined) co_return joined;
    for (size_t i = begin; i < end; ++i) {
      const Read& read = reads[i - begin];
      if (read.error) {
        ++pack.failed;
        if (!pack.failure) pack.failure = read.error;
        continue;
      }
      Result<void> added = co_await writer.Add(EntryOf(objects[i].key, read), read.content);
      if (!added) co_return added;
      ++pack.objects;
      pack.bytes += read.content.size();
    }
    begin = end;
  }
  co_return Ok();
}

}  // namespace

uint64_t SampleBytesOf(uint64_t object_bytes) {
  return object_bytes <= kSampleObjectBytesMax ? object_bytes : kSamplePieceBytes;
}

Async<SamplePack> PackSample(Runtime& runtime, Store& store, std::string bucket,
                             std::vector<ListedObject> objects, int level,
                             std::function<double()> cpu_seconds) {
  SamplePack pack;
  const double before = cpu_seconds();
  // What an archive of nothing takes is no object's: a real one holds thousands.
  uint64_t empty_bytes = 0;
  for (const bool empty : {true, false}) {
    ArchiveManifest manifest;
    manifest.id = NewUlid(runtime.clock.Now(), runtime.random);
    manifest.rule_id = "estimate";
    manifest.created = runtime.clock.Now();
    CountingSink sink;
    Result<std::unique_ptr<ArchiveWriter>> writer =
        co_await ArchiveWriter::Open(runtime, std::move(manifest), {.level = level}, sink);
    if (!writer) co_return writer.error();
    Result<void> added = Ok();
    if (!empty) added = co_await AddAll(runtime, store, bucket, objects, **writer, pack);
    Result<ArchiveSummary> finished =
        added ? co_await (*writer)->Finish() : Result<ArchiveSummary>(added.error());
    if (!finished) {
      co_await (*writer)->Abort();
      co_return finished.error();
    }
    (empty ? empty_bytes : pack.packed_bytes) = sink.count;
  }
  pack.packed_bytes -= std::min(pack.packed_bytes, empty_bytes);
  pack.cpu_us = static_cast<uint64_t>(std::max(0.0, cpu_seconds() - before) * 1e6);
  co_return pack;
}

}  // namespace longhaul
