#include "storage/store.h"

#include <algorithm>
#include <cstring>

namespace longhaul {

HashKind HashKindOf(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return HashKind::kCrc32;
    case ChecksumAlgorithm::kCrc32c:
      return HashKind::kCrc32c;
    case ChecksumAlgorithm::kCrc64Nvme:
      return HashKind::kCrc64Nvme;
    case ChecksumAlgorithm::kSha1:
      return HashKind::kSha1;
    case ChecksumAlgorithm::kSha256:
      return HashKind::kSha256;
  }
  return HashKind::kCrc64Nvme;
}

bool IsPlainMd5Etag(std::string_view etag) {
  return etag.size() == 32 && etag.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Async<size_t> MemorySource::Read(std::span<std::byte> out) {
  size_t count = std::min(out.size(), bytes_.size() - offset_);
  if (count > 0) std::memcpy(out.data(), bytes_.data() + offset_, count);
  offset_ += count;
  co_return count;
}

namespace {

// What is left of a stream.
class RestOfStream : public ByteSource {
 public:
  explicit RestOfStream(ObjectStream& stream) : stream_(stream) {}
  [[nodiscard]] uint64_t size_bytes() const override { return stream_.length_bytes; }
  Async<size_t> Read(std::span<std::byte> out) override { return stream_.body->Read(out); }

 private:
  ObjectStream& stream_;
};

}  // namespace

Async<UploadedPart> Store::CopyPart(const MultipartUpload& upload, int number,
                                    CopyPartRequest request) {
  Result<ObjectStream> stream = co_await Get({.bucket = std::move(request.source_bucket),
                                              .key = std::move(request.source_key),
                                              .version_id = std::move(request.source_version_id),
                                              .range = request.range,
                                              .if_match = std::move(request.source_if_match)});
  if (!stream) co_return stream.error();
  if (stream->length_bytes != request.range.size_bytes) {
    co_return InvalidInput("the range ends behind the object");
  }
  RestOfStream body(*stream);
  co_return co_await UploadPart(upload, number, body);
}

Async<std::string> ReadAll(ByteReader& reader, uint64_t size_bytes_max) {
  std::string text;
  size_t filled = 0;
  while (true) {
    if (filled == text.size()) {
      if (text.size() > size_bytes_max) {
        co_return InvalidInput("more than " + std::to_string(size_bytes_max) + " bytes");
      }
      text.resize(std::min<uint64_t>(std::max<size_t>(4096, text.size() * 2), size_bytes_max + 1));
    }
    Result<size_t> count = co_await reader.Read(
        std::as_writable_bytes(std::span(text.data() + filled, text.size() - filled)));
    if (!count) co_return count.error();
    if (*count == 0) break;
    filled += *count;
  }
  if (filled > size_bytes_max) {
    co_return InvalidInput("more than " + std::to_string(size_bytes_max) + " bytes");
  }
  text.resize(filled);
  co_return text;
}

Async<std::string> GetAll(Store& store, GetRequest request, uint64_t size_bytes_max) {
  Result<ObjectStream> stream = co_await store.Get(std::move(request));
  if (!stream) co_return stream.error();
  co_return co_await ReadAll(*stream->body, size_bytes_max);
}

Async<PutResult> PutText(Store& store, PutRequest request, std::string text) {
  MemorySource source{std::string_view(text)};
  co_return co_await store.Put(std::move(request), source);
}

}  // namespace longhaul
