// Checksums and hashes as S3 uses them, fed piece by piece.
//
// The CRCs fold with PCLMULQDQ where the processor has it and use tables (slicing-by-8) elsewhere;
// both give the same. MD5, SHA-1 and SHA-256 are OpenSSL's. Feed big data on the CPU pool.
//
// A digest is raw bytes, big-endian for CRCs: Base64Encode(digest) is the value of S3's
// x-amz-checksum-* headers and of Content-MD5, HexEncode(digest) that of an ETag.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace longhaul {

// The CRC of what `crc` stands for followed by `bytes`; 0 stands for nothing.
uint32_t Crc32(std::span<const std::byte> bytes, uint32_t crc = 0);   // zlib, RFC 1952
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t crc = 0);  // RFC 3720, B.4
uint64_t Crc64Nvme(std::span<const std::byte> bytes,
                   uint64_t crc = 0);  // NVM Command Set, 5.2.1.3.4

// The CRC of A followed by B, from the CRCs of A and B and the size of B. Logarithmic in the size.
uint32_t CombineCrc32(uint32_t first, uint32_t second, uint64_t second_size_bytes);
uint32_t CombineCrc32c(uint32_t first, uint32_t second, uint64_t second_size_bytes);
uint64_t CombineCrc64Nvme(uint64_t first, uint64_t second, uint64_t second_size_bytes);

enum class HashKind { kCrc32, kCrc32c, kCrc64Nvme, kMd5, kSha1, kSha256 };

// Computes one digest. Belongs to whoever feeds it; different ones may run on different threads.
class Hasher {
 public:
  virtual ~Hasher() = default;
  virtual void Update(std::span<const std::byte> bytes) = 0;
  // The raw digest of all that was fed. Once; then the hasher is spent.
  virtual std::string Finish() = 0;
};

std::unique_ptr<Hasher> NewHasher(HashKind kind);

// Several digests of the same bytes in one pass over memory.
class HashSet {
 public:
  explicit HashSet(std::vector<HashKind> kinds);
  void Update(std::span<const std::byte> bytes);
  // The raw digests, in the order of the kinds. Once.
  std::vector<std::pair<HashKind, std::string>> Finish();

 private:
  std::vector<std::pair<HashKind, std::unique_ptr<Hasher>>> hashers_;
};

// Digests of what lies in memory.
std::string Digest(HashKind kind, std::span<const std::byte> bytes);
std::string Digest(HashKind kind, std::string_view bytes);
inline std::string Md5(std::string_view bytes) { return Digest(HashKind::kMd5, bytes); }
inline std::string Sha1(std::string_view bytes) { return Digest(HashKind::kSha1, bytes); }
inline std::string Sha256(std::string_view bytes) { return Digest(HashKind::kSha256, bytes); }
// RFC 2104 with SHA-256; raw.
std::string HmacSha256(std::string_view key, std::string_view message);

// Like CombineCrc…, on raw digests: the full-object checksum of a multipart upload from its parts.
// kInvalidInput: `kind` is no CRC, or a digest has the wrong length.
Result<std::string> CombineDigests(HashKind kind, std::string_view first, std::string_view second,
                                   uint64_t second_size_bytes);

// The table versions, whatever the processor can do: tests compare.
uint32_t PortableCrc32(std::span<const std::byte> bytes, uint32_t crc = 0);
uint32_t PortableCrc32c(std::span<const std::byte> bytes, uint32_t crc = 0);
uint64_t PortableCrc64Nvme(std::span<const std::byte> bytes, uint64_t crc = 0);

}  // namespace longhaul
