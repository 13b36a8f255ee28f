#include "tests/support/memory_store_digests.h"

#include <openssl/evp.h>

#include <array>

#include "base/check.h"

namespace longhaul::testing {
namespace {

std::string Digest(const EVP_MD* algorithm, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  LH_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, algorithm, nullptr) == 1);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

// A reflected CRC by table, one byte at a time: slow, and independent of the code under test. A
// sanitizer that looks at each byte would make it the slowest of all that is tested.
template <class Word, Word kPolynomial>
__attribute__((no_sanitize("address", "thread", "undefined"))) std::string Crc(
    std::string_view bytes) {
  static const std::array<Word, 256> kTable = [] {
    std::array<Word, 256> table;
    for (int i = 0; i < 256; ++i) {
      Word word = static_cast<Word>(i);
      for (int bit = 0; bit < 8; ++bit) word = (word >> 1) ^ ((word & 1) != 0 ? kPolynomial : 0);
      table[static_cast<size_t>(i)] = word;
    }
    return table;
  }();
  const Word* const table = kTable.data();
  Word crc = ~Word{0};
  for (char c : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xff];
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
