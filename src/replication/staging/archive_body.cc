#include "replication/staging/archive_body.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"

namespace longhaul {

namespace {

constexpr uint64_t kOwnPartBytes = 16 << 20;  // The mean part size from which ETags are kept.
constexpr uint64_t kPartsMax = 10'000;

// The content of one entry in order, the next frame being fetched while this one is consumed.
class EntrySource : public ByteSource {
 public:
  EntrySource(Runtime& runtime, ArchiveReader& reader, size_t entry, uint64_t& bytes_moved)
      : reader_(reader),
        bytes_moved_(bytes_moved),
        size_bytes_(reader.entries()[entry].size_bytes),
        pieces_(reader.Pieces(entry)),
        fetching_(runtime.executor) {}

  [[nodiscard]] uint64_t size_bytes() const override { return size_bytes_; }

  Async<size_t> Read(std::span<std::byte> out) override {
    if (left_.empty()) {
      if (piece_ == pieces_.size()) co_return 0;
      Result<void> next = co_await NextPiece();
      if (!next) {
        failure_ = next.error();
        co_return next.error();
      }
    }
    size_t count = std::min(out.size(), left_.size());
    std::memcpy(out.data(), left_.data(), count);
    left_ = left_.subspan(count);
    bytes_moved_ += count;
    co_return count;
  }

  // Why the archive did not give its bytes, if that was so.
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

  // Before it is destroyed.
  asio::awaitable<void> Close() {
    Result<void> joined = co_await fetching_.Join();
    static_cast<void>(joined);
  }

 private:
  Async<void> NextPiece() {
    if (piece_ == 0) fetching_.Spawn(Fetch(0));
    co_await fetching_.WaitBelow(1);
    if (!fetched_) co_return fetched_.error();
    frame_ = std::move(*fetched_);
    const ContentPiece& piece = pieces_[piece_];
    left_ = frame_.bytes().subspan(piece.offset_bytes, piece.size_bytes);
    if (++piece_ < pieces_.size()) fetching_.Spawn(Fetch(piece_));
    co_return Ok();
  }

  Async<void> Fetch(size_t piece) {
    fetched_ = co_await reader_.ReadFrame(pieces_[piece].frame);
    co_return Ok();
  }

  ArchiveReader& reader_;
  uint64_t& bytes_moved_;
  std::optional<Error> failure_;
  uint64_t size_bytes_;
  std::vector<ContentPiece> pieces_;
  size_t piece_ = 0;
  ArchiveFrame frame_;
  std::span<const std::byte> left_;
  Result<ArchiveFrame> fetched_;
  TaskGroup fetching_;
};

Async<void> FillPart(ByteSource& source, std::vector<std::byte>& part) {
  size_t filled = 0;
  while (filled < part.size()) {
    Result<size_t> count = co_await source.Read(std::span(part).subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) co_return Corrupt("the archive holds less of an object than it says");
    filled += *count;
  }
  co_return Ok();
}

// The next `size_bytes` of another source.
class PieceSource : public ByteSource {
 public:
  PieceSource(ByteSource& whole, uint64_t size_bytes) : whole_(whole), size_bytes_(size_bytes) {}
  [[nodiscard]] uint64_t size_bytes() const override { return size_bytes_; }
  Async<size_t> Read(std::span<std::byte> out) override {
    const uint64_t left = size_bytes_ - read_;
    if (left == 0) co_return 0;
    Result<size_t> count =
        co_await whole_.Read(out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), left))));
    if (!count) co_return count.error();
    if (*count == 0) co_return Corrupt("the archive holds less of an object than it says");
    read_ += *count;
    co_return count;
  }

 private:
  ByteSource& whole_;
  uint64_t size_bytes_;
  uint64_t read_ = 0;
};

struct PartUpload {
  std::vector<std::byte> bytes;
  Result<UploadedPart> uploaded;
};

Async<void> SendPart(Store& store, const MultipartUpload& upload, int number, PartUpload& part) {
  MemorySource body{std::span<const std::byte>(part.bytes)};
  part.uploaded = co_await store.UploadPart(upload, number, body);
  if (!part.uploaded) co_return part.uploaded.error();
  co_return Ok();
}

std::vector<uint64_t> EqualParts(uint64_t size, uint64_t part) {
  std::vector<uint64_t> sizes;
  for (; size > part; size -= part) sizes.push_back(part);
  sizes.push_back(size);
  return sizes;
}

// None of them 0.
bool AddUpTo(const std::vector<uint64_t>& sizes, uint64_t whole) {
  uint64_t left = whole;
  for (uint64_t size : sizes) {
    if (size == 0 || size > left) return false;
    left -= size;
  }
  return left == 0;
}

}  // namespace

Async<PutResult> MemoryBody::Write(Store& store, PutRequest request) {
  MemorySource source(bytes_);
  co_return co_await store.Put(std::move(request), source);
}

Async<PutResult> ArchiveBody::Write(Store& store, PutRequest request) {
  const ArchiveEntry& entry = reader_.entries()[entry_];
  const Capabilities can = store.capabilities();
  const bool one_part = entry.etag.find('-') == std::string::npos;
  if (one_part && entry.size_bytes <= can.put_size_bytes_max) {
    request.checksum = entry.checksum;
    // No Content-MD5: not every ETag that looks like an MD5 is one (SSE-KMS), and the store finds
    // a digest of its own for what is sent.
    EntrySource source(runtime_, reader_, entry_, bytes_moved_);
    Result<PutResult> put = co_await store.Put(std::move(request), source);
    co_await source.Close();
    archive_failure_ = source.failure();
    co_return put;
  }
  std::vector<uint64_t> sizes = entry.part_sizes;
  // Whoever wrote the archive may have written any sizes into it.
  const bool keep = !sizes.empty() && sizes.size() <= kPartsMax &&
                    AddUpTo(sizes, entry.size_bytes) &&
                    entry.size_bytes / sizes.size() >= can.part_size_bytes_min &&
                    *std::max_element(sizes.begin(), sizes.end()) <= memory_bytes_;
  if (!keep) {
    const uint64_t part = std::min(memory_bytes_, std::max(kOwnPartBytes, can.part_size_bytes_min));
    sizes = EqualParts(entry.size_bytes, std::max(part, entry.size_bytes / kPartsMax + 1));
  }
  co_return co_await WriteParts(store, std::move(request), std::move(sizes));
}

Async<PutResult> ArchiveBody::WriteParts(Store& store, PutRequest request,
                                         std::vector<uint64_t> sizes) {
  const WriteCondition condition = request.condition;
  Result<MultipartUpload> upload = co_await ledger_.Create(store, std::move(request));
  if (!upload) co_return upload.error();
  PartSender sender(runtime_, reader_, entry_, memory_bytes_, bytes_moved_);
  Result<std::vector<UploadedPart>> parts = co_await sender.Send(store, *upload, 1, sizes);
  archive_failure_ = sender.archive_failure();
  if (!parts) {
    co_await ledger_.Abort(store, *upload);
    co_return parts.error();
  }
  CompleteRequest complete{
      .upload = *upload, .parts = std::move(*parts), .condition = condition, .checksum = {}};
  Result<PutResult> completed = co_await store.CompleteMultipart(std::move(complete));
  if (!completed) {
    co_await ledger_.Abort(store, *upload);
    co_return completed.error();
  }
  co_await ledger_.Forget(store, *upload);
  co_return completed;
}

Async<std::vector<UploadedPart>> PartSender::Send(Store& store, const MultipartUpload& upload,
                                                  int first, std::vector<uint64_t> sizes) {
  const uint64_t largest = *std::max_element(sizes.begin(), sizes.end());
  EntrySource source(runtime_, reader_, entry_, bytes_moved_);
  Result<std::vector<UploadedPart>> sent =
      largest <= memory_bytes_ ? co_await SendHeld(store, upload, first, sizes, source)
                               : co_await SendStreamed(store, upload, first, sizes, source);
  co_await source.Close();
  archive_failure_ = source.failure();
  co_return sent;
}

// As many parts under way as the memory holds, four at most.
Async<std::vector<UploadedPart>> PartSender::SendHeld(Store& store, const MultipartUpload& upload,
                                                      int first, const std::vector<uint64_t>& sizes,
                                                      ByteSource& source) {
  const uint64_t largest = *std::max_element(sizes.begin(), sizes.end());
  const int parallel = static_cast<int>(std::clamp<uint64_t>(memory_bytes_ / largest, 1, 4));
  std::vector<std::unique_ptr<PartUpload>> parts;
  TaskGroup sending(runtime_.executor);
  Result<void> filled;
  for (size_t i = 0; i < sizes.size() && filled && !sending.failed(); ++i) {
    co_await sending.WaitBelow(parallel);
    for (const std::unique_ptr<PartUpload>& sent : parts) {
      // Not `= {}`: that would keep the memory.
      if (sent->uploaded && sent->uploaded->number > 0) std::vector<std::byte>().swap(sent->bytes);
    }
    parts.push_back(std::make_unique<PartUpload>());
    parts.back()->bytes.resize(sizes[i]);
    filled = co_await FillPart(source, parts.back()->bytes);
    if (filled) {
      sending.Spawn(SendPart(store, upload, first + static_cast<int>(i), *parts.back()));
    }
  }
  Result<void> joined = co_await sending.Join();
  if (filled && !joined) filled = joined;
  if (!filled) co_return filled.error();
  std::vector<UploadedPart> uploaded;
  for (const std::unique_ptr<PartUpload>& part : parts) uploaded.push_back(*part->uploaded);
  co_return uploaded;
}

// Parts larger than the memory: as they come, one after the other.
Async<std::vector<UploadedPart>> PartSender::SendStreamed(Store& store,
                                                          const MultipartUpload& upload, int first,
                                                          const std::vector<uint64_t>& sizes,
                                                          ByteSource& source) {
  std::vector<UploadedPart> uploaded;
  for (uint64_t size : sizes) {
    PieceSource piece(source, size);
    Result<UploadedPart> part =
        co_await store.UploadPart(upload, first + static_cast<int>(uploaded.size()), piece);
    if (!part) co_return part.error();
    uploaded.push_back(std::move(*part));
  }
  co_return uploaded;
}

}  // namespace longhaul
