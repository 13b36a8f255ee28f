#include "storage/s3_body.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"

namespace longhaul {
namespace {

constexpr size_t kPoolPieceBytes = 64 << 10;
constexpr std::string_view kTrailerName = "x-amz-checksum-crc64nvme:";
constexpr size_t kTrailerValueBytes = 12;  // Base64 of 8 bytes.

class VerifyingReader : public ByteReader {
 public:
  VerifyingReader(CpuPool& pool, std::unique_ptr<HttpBody> body, uint64_t length_bytes,
                  std::optional<ExpectedDigest> expected)
      : pool_(pool), body_(std::move(body)), left_(length_bytes), expected_(std::move(expected)) {
    if (expected_) hasher_ = NewHasher(expected_->kind);
  }

  Async<size_t> Read(std::span<std::byte> out) override {
    LH_CHECK(!out.empty());
    if (ended_) co_return size_t{0};
    Result<size_t> count = size_t{0};
    if (!body_ended_) count = co_await body_->Read(out);
    if (!count) co_return count.error();
    body_ended_ = *count < out.size();
    if (*count > left_) co_return Corrupt("more bytes came than the server had announced");
    left_ -= *count;
    if (hasher_ && *count > 0) {
      co_await HashPiece(pool_, expected_->kind, *hasher_, out.first(*count));
    }
    if (*count > 0) co_return count;
    if (left_ > 0) {
      co_return Retryable("the body ended " + std::to_string(left_) + " bytes early");
    }
    ended_ = true;
    if (hasher_ && hasher_->Finish() != expected_->digest) {
      co_return Corrupt("what was read does not have the checksum that the server told");
    }
    co_return size_t{0};
  }

 private:
  CpuPool& pool_;
  std::unique_ptr<HttpBody> body_;
  uint64_t left_;
  std::optional<ExpectedDigest> expected_;
  std::unique_ptr<Hasher> hasher_;
  bool body_ended_ = false;  // It gave less than was asked for, as it does at its end alone.
  bool ended_ = false;
};

}  // namespace

Error WrongDigest() {
  Error wrong = InvalidInput("the body does not have the checksum that was given with it");
  wrong.code = "BadDigest";
  return wrong;
}

Async<void> ReadEnd(ByteSource& source) {
  std::byte beyond[1];
  Result<size_t> count = co_await source.Read(beyond);
  if (!count) co_return count.error();
  if (*count > 0) co_return InvalidInput("the source is longer than it said");
  co_return Ok();
}

asio::awaitable<void> HashPiece(CpuPool& pool, HashKind kind, Hasher& hasher,
                                std::span<const std::byte> bytes) {
  bool cheap =
      kind == HashKind::kCrc32 || kind == HashKind::kCrc32c || kind == HashKind::kCrc64Nvme;
  if (cheap || bytes.size() < kPoolPieceBytes) {
    hasher.Update(bytes);
  } else {
    co_await pool.Run([&hasher, bytes] { hasher.Update(bytes); });
  }
}

std::unique_ptr<ByteReader> MakeVerifyingReader(CpuPool& pool, std::unique_ptr<HttpBody> body,
                                                uint64_t length_bytes,
                                                std::optional<ExpectedDigest> expected) {
  return std::make_unique<VerifyingReader>(pool, std::move(body), length_bytes,
                                           std::move(expected));
}

HashingSource::HashingSource(CpuPool& pool, ByteSource& source, std::optional<HashKind> kind,
                             std::optional<ExpectedDigest> expected)
    : pool_(pool),
      source_(source),
      kind_(kind),
      expected_(std::move(expected)),
      left_(source.size_bytes()) {
  if (kind_) hasher_ = NewHasher(*kind_);
  if (expected_) checker_ = NewHasher(expected_->kind);
}

Async<size_t> HashingSource::Read(std::span<std::byte> out) {
  touched_ = true;
  if (ended_) co_return size_t{0};
  Result<size_t> count = size_t{0};
  if (left_ > 0) {
    count = co_await source_.Read(
        out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), left_))));
    if (!count) co_return count.error();
    if (*count == 0) {
      co_return InvalidInput("the source ended " + std::to_string(left_) + " bytes early");
    }
    left_ -= *count;
    if (hasher_) co_await HashPiece(pool_, *kind_, *hasher_, out.first(*count));
    if (checker_) co_await HashPiece(pool_, expected_->kind, *checker_, out.first(*count));
    if (left_ > 0) co_return count;
  }
  Result<void> right = co_await ReadEnd(source_);
  if (!right) co_return right.error();
  ended_ = true;
  if (hasher_) digest_ = hasher_->Finish();
  if (checker_ && checker_->Finish() != expected_->digest) co_return WrongDigest();
  co_return count;
}

uint64_t TrailerSource::EncodedSize(uint64_t size_bytes) {
  auto frame = [](uint64_t chunk) {
    char text[32];
    const int line =
        std::snprintf(text, sizeof text, "%llx\r\n", static_cast<unsigned long long>(chunk));
    return static_cast<uint64_t>(line) + 2;
  };
  uint64_t full = size_bytes / kChunkBytes;
  uint64_t last = size_bytes % kChunkBytes;
  uint64_t encoded = size_bytes + full * frame(kChunkBytes) + (last > 0 ? frame(last) : 0);
  return encoded + 3 + kTrailerName.size() + kTrailerValueBytes + 4;
}

Async<size_t> TrailerSource::Read(std::span<std::byte> out) {
  constexpr size_t kHeadRoom = 16;
  LH_CHECK(out.size() >= kChunkBytes + kHeadRoom + 2);
  if (ended_) co_return size_t{0};
  // Every chunk but the last is full, whatever pieces the source gives: the length is told ahead.
  size_t filled = 0;
  while (filled < kChunkBytes) {
    Result<size_t> count =
        co_await source_.Read(out.subspan(kHeadRoom + filled, kChunkBytes - filled));
    if (!count) co_return count.error();
    if (*count == 0) break;
    filled += *count;
  }
  auto* text = reinterpret_cast<char*>(out.data());
  if (filled == 0) {
    ended_ = true;
    std::string end =
        "0\r\n" + std::string(kTrailerName) + Base64Encode(source_.digest()) + "\r\n\r\n";
    std::memcpy(text, end.data(), end.size());
    co_return end.size();
  }
  char head[kHeadRoom + 1];
  auto head_size = static_cast<size_t>(std::snprintf(head, sizeof head, "%zx\r\n", filled));
  std::memcpy(text, head, head_size);
  std::memmove(text + head_size, text + kHeadRoom, filled);
  std::memcpy(text + head_size + filled, "\r\n", 2);
  co_return head_size + filled + 2;
}

}  // namespace longhaul
