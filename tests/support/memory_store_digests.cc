#include "tests/support/memory_store_digests.h"

#include <openssl/evp.h>

#include <array>
#include <cstring>

#include "base/check.h"

namespace longhaul::testing {
namespace {

std::string Digest(const EVP_MD* algorithm, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  LH_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, algorithm, nullptr) == 1);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

// A reflected CRC by tables, eight bytes at a time: independent of the code under test. A sanitizer
// that looks at each byte would make it the slowest of all that is tested.
template <class Word, Word kPolynomial>
__attribute__((no_sanitize("address", "thread", "undefined"))) std::string Crc(
    std::string_view bytes) {
  // kTables[n][b]: what the byte b comes to when n bytes of zeros follow.
  struct Tables {
    Word words[8][256];
  };
  static const Tables kTables = [] {
    Tables made;
    auto& tables = made.words;
    for (size_t i = 0; i < 256; ++i) {
      Word word = static_cast<Word>(i);
      for (int bit = 0; bit < 8; ++bit) word = (word >> 1) ^ ((word & 1) != 0 ? kPolynomial : 0);
      tables[0][i] = word;
    }
    for (size_t n = 1; n < 8; ++n) {
      for (size_t i = 0; i < 256; ++i) {
        const Word before = tables[n - 1][i];
        tables[n][i] = (before >> 8) ^ tables[0][before & 0xff];
      }
    }
    return made;
  }();
  const auto& tables = kTables.words;
  const char* at = bytes.data();
  size_t left = bytes.size();
  Word crc = ~Word{0};
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t eight;
    std::memcpy(&eight, at, sizeof eight);  // The machine is little-endian.
    eight ^= crc;
    crc = 0;
    for (size_t n = 0; n < 8; ++n) crc ^= tables[7 - n][eight >> (8 * n) & 0xff];
  }
  for (; left > 0; --left, ++at) {
    crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<unsigned char>(*at)) & 0xff];
  }
  crc = ~crc;
  std::string digest;
  for (int shift = sizeof(Word) * 8 - 8; shift >= 0; shift -= 8) {
    digest += static_cast<char>(crc >> shift);
  }
  return digest;
}

}  // namespace

std::string Md5Digest(std::string_view bytes) { return Digest(EVP_md5(), bytes); }

std::string RawChecksum(ChecksumAlgorithm algorithm, std::string_view bytes) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return Crc<uint32_t, 0xedb88320>(bytes);
    case ChecksumAlgorithm::kCrc32c:
      return Crc<uint32_t, 0x82f63b78>(bytes);
    case ChecksumAlgorithm::kCrc64Nvme:
      return Crc<uint64_t, 0x9a6c9329ac4bc9b5>(bytes);
    case ChecksumAlgorithm::kSha1:
      return Digest(EVP_sha1(), bytes);
    case ChecksumAlgorithm::kSha256:
      return Digest(EVP_sha256(), bytes);
  }
  return "";
}

std::string Base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  return out;
}

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

}  // namespace longhaul::testing
