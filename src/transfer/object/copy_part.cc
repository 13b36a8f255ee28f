#include "transfer/object/copy_part.h"

#include <memory>

#include "base/bytes.h"
#include "storage/part_rules.h"

namespace longhaul {

namespace {

// Most stores name the object themselves.
Error Named(const Error& error, std::string_view verb, const std::string& name) {
  return error.message.contains(name) ? error : error.In(std::string(verb) + " " + name);
}

GetRequest RangeRequest(const PinnedObject& source, ByteRange range) {
  return {.bucket = source.bucket,
          .key = source.key,
          .version_id = source.version_id,
          .range = range,
          .if_match = source.etag,
          .verify = false};
}

Async<void> ReadRange(Runtime runtime, PinnedObject source, ByteRange range, RelayOptions options,
                      std::span<std::byte> out) {
  const std::string name = NameOf(source.bucket, source.key);
  GetRequest request = RangeRequest(source, range);
  Result<ObjectStream> stream = co_await GetPinned(source.store, request);
  if (!stream) co_return Named(stream.error(), "read", name);
  RelaySource relay(runtime, source.store, request, std::move(*stream), std::move(options));
  Result<void> read = co_await ReadExactly(relay, out);
  if (!read) co_return Named(read.error(), "read", name);
  co_return Ok();
}

Async<UploadedPart> StreamRange(Runtime runtime, PinnedObject source, Store& target, PartCopy part,
                                RelayOptions options) {
  const std::string name = NameOf(source.bucket, source.key);
  GetRequest request = RangeRequest(source, part.range);
  Result<ObjectStream> stream = co_await GetPinned(source.store, request);
  if (!stream) co_return Named(stream.error(), "read", name);
  RelaySource relay(runtime, source.store, request, std::move(*stream), std::move(options));
  co_return co_await target.UploadPart(part.upload, part.number, relay);
}

}  // namespace

std::string NameOf(std::string_view bucket, std::string_view key) {
  return std::string(bucket) + (bucket.ends_with('/') ? "" : "/") + std::string(key);
}

Async<CopiedPart> CopyRangeToPart(Runtime runtime, PinnedObject source, Store& target,
                                  PartCopy part, RelayOptions options, Reservation memory) {
  static_cast<void>(memory);  // Held until the bytes are gone.
  std::unique_ptr<std::byte[]> buffer;
  std::span<std::byte> bytes;
  Result<UploadedPart> uploaded = UploadedPart();
  if (part.streamed) {
    uploaded = co_await StreamRange(runtime, std::move(source), target, part, std::move(options));
  } else {
    buffer = std::make_unique_for_overwrite<std::byte[]>(part.range.size_bytes);
    bytes = std::span(buffer.get(), part.range.size_bytes);
    Result<void> read =
        co_await ReadRange(runtime, std::move(source), part.range, std::move(options), bytes);
    if (!read) co_return read.error();
    MemorySource body{std::span<const std::byte>(bytes)};
    uploaded = co_await target.UploadPart(part.upload, part.number, body);
  }
  if (!uploaded) {
    co_return Named(uploaded.error(), "write", NameOf(part.upload.bucket, part.upload.key));
  }
  CopiedPart copied{.uploaded = std::move(*uploaded)};
  if (part.md5_if_opaque && !part.streamed && PartEtagsOpaque(target, part.upload)) {
    copied.md5 = co_await runtime.pool.Run(
        [bytes] { return Digest(HashKind::kMd5, std::span<const std::byte>(bytes)); });
  }
  if (!part.digest) co_return copied;
  // The store computed it to send it; once is enough.
  const std::optional<Checksum>& sent = copied.uploaded.checksum;
  if (sent && HashKindOf(sent->algorithm) == *part.digest) {
    Result<std::string> raw = Base64Decode(sent->value);
    if (raw) copied.digest = std::move(*raw);
  }
  if (copied.digest.empty() && !part.streamed) {
    copied.digest = co_await runtime.pool.Run(
        [bytes, kind = *part.digest] { return Digest(kind, std::span<const std::byte>(bytes)); });
  }
  co_return copied;
}

Async<std::vector<std::string>> DigestsOfRange(Runtime runtime, PinnedObject source,
                                               ByteRange range, std::vector<HashKind> kinds,
                                               RelayOptions options, Reservation memory) {
  static_cast<void>(memory);
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(range.size_bytes);
  std::span<std::byte> bytes(buffer.get(), range.size_bytes);
  Result<void> read =
      co_await ReadRange(runtime, std::move(source), range, std::move(options), bytes);
  if (!read) co_return read.error();
  std::vector<std::string> digests;
  for (HashKind kind : kinds) {
    digests.push_back(co_await runtime.pool.Run(
        [bytes, kind] { return Digest(kind, std::span<const std::byte>(bytes)); }));
  }
  co_return digests;
}

}  // namespace longhaul
