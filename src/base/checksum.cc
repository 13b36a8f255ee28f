#include "base/checksum.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"

namespace longhaul {

namespace {

template <class T>
std::string BigEndian(T value) {
  std::string bytes(sizeof(T), '\0');
  for (size_t i = sizeof(T); i-- > 0; value >>= 8) bytes[i] = static_cast<char>(value & 0xff);
  return bytes;
}

template <class T>
bool FromBigEndian(std::string_view bytes, T* value) {
  if (bytes.size() != sizeof(T)) return false;
  *value = 0;
  for (char c : bytes) *value = *value << 8 | static_cast<uint8_t>(c);
  return true;
}

template <class T, T (*kUpdate)(std::span<const std::byte>, T)>
class CrcHasher : public Hasher {
 public:
  void Update(std::span<const std::byte> bytes) override { crc_ = kUpdate(bytes, crc_); }
  std::string Finish() override { return BigEndian(crc_); }

 private:
  T crc_ = 0;
};

const EVP_MD* Algorithm(HashKind kind) {
#ifdef OPENSSL_IS_BORINGSSL
  static const std::array<const EVP_MD*, 3> algorithms = {EVP_md5(), EVP_sha1(), EVP_sha256()};
#else
  // Fetching costs more than hashing a small body, so it is done once for the whole process.
  static const std::array<const EVP_MD*, 3> algorithms = {EVP_MD_fetch(nullptr, "MD5", nullptr),
                                                          EVP_MD_fetch(nullptr, "SHA1", nullptr),
                                                          EVP_MD_fetch(nullptr, "SHA256", nullptr)};
#endif
  const EVP_MD* algorithm =
      algorithms[static_cast<size_t>(kind) - static_cast<size_t>(HashKind::kMd5)];
  LH_CHECK(algorithm != nullptr);  // OpenSSL without it (a FIPS provider without MD5, say).
  return algorithm;
}

class EvpHasher : public Hasher {
 public:
  explicit EvpHasher(HashKind kind) : context_(EVP_MD_CTX_new()) {
    LH_CHECK(context_ != nullptr);
    LH_CHECK(EVP_DigestInit_ex(context_, Algorithm(kind), nullptr) == 1);
  }
  ~EvpHasher() override { EVP_MD_CTX_free(context_); }
  EvpHasher(const EvpHasher&) = delete;
  EvpHasher& operator=(const EvpHasher&) = delete;

  void Restart(HashKind kind) {
    LH_CHECK(EVP_DigestInit_ex(context_, Algorithm(kind), nullptr) == 1);
  }
  void Update(std::span<const std::byte> bytes) override {
    LH_CHECK(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1);
  }
  std::string Finish() override {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    LH_CHECK(EVP_DigestFinal_ex(context_, digest.data(), &size) == 1);
    return {reinterpret_cast<const char*>(digest.data()), size};
  }

 private:
  EVP_MD_CTX* context_;
};

bool IsCrc(HashKind kind) { return kind < HashKind::kMd5; }

}  // namespace

std::unique_ptr<Hasher> NewHasher(HashKind kind) {
  switch (kind) {
    case HashKind::kCrc32:
      return std::make_unique<CrcHasher<uint32_t, Crc32>>();
    case HashKind::kCrc32c:
      return std::make_unique<CrcHasher<uint32_t, Crc32c>>();
    case HashKind::kCrc64Nvme:
      return std::make_unique<CrcHasher<uint64_t, Crc64Nvme>>();
    case HashKind::kMd5:
    case HashKind::kSha1:
    case HashKind::kSha256:
      break;
  }
  return std::make_unique<EvpHasher>(kind);
}

HashSet::HashSet(std::vector<HashKind> kinds) {
  for (HashKind kind : kinds) hashers_.emplace_back(kind, NewHasher(kind));
}

void HashSet::Update(std::span<const std::byte> bytes) {
  // Small enough that the second algorithm finds the bytes in the L1 or L2 cache.
  constexpr size_t kPieceBytes = 32 << 10;
  while (!bytes.empty()) {
    auto piece = bytes.first(std::min(kPieceBytes, bytes.size()));
    for (auto& [kind, hasher] : hashers_) hasher->Update(piece);
    bytes = bytes.subspan(piece.size());
  }
}

std::vector<std::pair<HashKind, std::string>> HashSet::Finish() {
  std::vector<std::pair<HashKind, std::string>> digests;
  for (auto& [kind, hasher] : hashers_) digests.emplace_back(kind, hasher->Finish());
  return digests;
}

std::string Digest(HashKind kind, std::span<const std::byte> bytes) {
  if (IsCrc(kind)) {
    auto hasher = NewHasher(kind);
    hasher->Update(bytes);
    return hasher->Finish();
  }
  thread_local EvpHasher hasher(kind);  // Kept: a context costs an allocation or two.
  hasher.Restart(kind);
  hasher.Update(bytes);
  return hasher.Finish();
}

std::string Digest(HashKind kind, std::string_view bytes) { return Digest(kind, AsBytes(bytes)); }

std::string HmacSha256(std::string_view key, std::string_view message) {
  constexpr size_t kBlockBytes = 64;
  std::string block(key.size() > kBlockBytes ? Sha256(key) : std::string(key));
  block.resize(kBlockBytes, '\0');
  thread_local EvpHasher hasher(HashKind::kSha256);
  for (char& c : block) c = static_cast<char>(c ^ 0x36);
  hasher.Restart(HashKind::kSha256);
  hasher.Update(AsBytes(block));
  hasher.Update(AsBytes(message));
  std::string inner = hasher.Finish();
  for (char& c : block) c = static_cast<char>(c ^ 0x36 ^ 0x5c);
  hasher.Restart(HashKind::kSha256);
  hasher.Update(AsBytes(block));
  hasher.Update(AsBytes(inner));
  return hasher.Finish();
}

Result<std::string> CombineDigests(HashKind kind, std::string_view first, std::string_view second,
                                   uint64_t second_size_bytes) {
  Error bad_length = InvalidInput("a CRC digest of the wrong length");
  if (kind == HashKind::kCrc64Nvme) {
    uint64_t a = 0;
    uint64_t b = 0;
    if (!FromBigEndian(first, &a) || !FromBigEndian(second, &b)) return bad_length;
    return BigEndian(CombineCrc64Nvme(a, b, second_size_bytes));
  }
  if (!IsCrc(kind)) return InvalidInput("only CRCs can be combined");
  uint32_t a = 0;
  uint32_t b = 0;
  if (!FromBigEndian(first, &a) || !FromBigEndian(second, &b)) return bad_length;
  return BigEndian(kind == HashKind::kCrc32 ? CombineCrc32(a, b, second_size_bytes)
                                            : CombineCrc32c(a, b, second_size_bytes));
}

}  // namespace longhaul
