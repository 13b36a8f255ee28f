// Bodies between a Store and HTTP: verified on the way down, described on the way up.
//
// Internal to the S3 store.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/checksum.h"
#include "base/cpu_pool.h"
#include "net/http_client.h"
#include "storage/store.h"

namespace longhaul {

// What a whole object should hash to; raw digest.
struct ExpectedDigest {
  HashKind kind = HashKind::kCrc64Nvme;
  std::string digest;
};

// kInvalidInput, code BadDigest: what servers say of a body that is not what its checksum tells.
Error WrongDigest();

// The Read after the last byte: there a source says what was wrong with its bytes (a checksum, a
// signature, a connection that broke). kInvalidInput: it is longer than it said.
Async<void> ReadEnd(ByteSource& source);

// Feeds `hasher`. CRCs run where they are (0.13 CPU s/GiB); MD5 and SHA (2 to 4) go to the pool
// when there is enough to be worth the way there.
asio::awaitable<void> HashPiece(CpuPool& pool, HashKind kind, Hasher& hasher,
                                std::span<const std::byte> bytes);

// Reads exactly `length_bytes`, and compares what was read with `expected` at the end.
std::unique_ptr<ByteReader> MakeVerifyingReader(CpuPool& pool, std::unique_ptr<HttpBody> body,
                                                uint64_t length_bytes,
                                                std::optional<ExpectedDigest> expected);

// A ByteSource as an HTTP body that computes a digest of what passes, or checks it, or both.
//
// The last piece is kept back until the source has been read to its end, where it says whether all
// was right: of what was not, the server gets too little, and stores nothing.
class HashingSource : public HttpBodySource {
 public:
  // `kind`: nullopt computes nothing. `expected`: what the whole must hash to; where it does not,
  // the last piece is kept back and Read says kInvalidInput with the code BadDigest.
  HashingSource(CpuPool& pool, ByteSource& source, std::optional<HashKind> kind,
                std::optional<ExpectedDigest> expected = std::nullopt);
  Async<size_t> Read(std::span<std::byte> out) override;
  // Raw, when all has been read; empty without a kind.
  [[nodiscard]] const std::string& digest() const { return digest_; }
  // Whether any byte was taken: then the source cannot be sent again.
  [[nodiscard]] bool touched() const { return touched_; }

 private:
  CpuPool& pool_;
  ByteSource& source_;
  std::optional<HashKind> kind_;
  std::unique_ptr<Hasher> hasher_;
  std::optional<ExpectedDigest> expected_;
  std::unique_ptr<Hasher> checker_;
  uint64_t left_;
  bool touched_ = false;
  bool ended_ = false;
  std::string digest_;
};

// A ByteSource in the aws-chunked form with a CRC64NVME trailer, not signed by chunk. (S3 API
// Reference, "Signature calculations: trailing headers", STREAMING-UNSIGNED-PAYLOAD-TRAILER.)
class TrailerSource : public HttpBodySource {
 public:
  TrailerSource(CpuPool& pool, ByteSource& source) : source_(pool, source, HashKind::kCrc64Nvme) {}
  // Of the encoded form.
  static uint64_t EncodedSize(uint64_t size_bytes);
  // `out` must hold kChunkBytes and their frame; the client's buffers do.
  Async<size_t> Read(std::span<std::byte> out) override;
  [[nodiscard]] bool touched() const { return source_.touched(); }
  [[nodiscard]] const std::string& digest() const { return source_.digest(); }

 private:
  static constexpr size_t kChunkBytes = (256 << 10) - 64;
  HashingSource source_;
  bool ended_ = false;
};

}  // namespace longhaul
