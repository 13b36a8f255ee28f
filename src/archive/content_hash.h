// ContentHash finds equal objects within an archive.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace longhaul::archive {

// A Poly1305 tag under a secret key. Poly1305 is a universal hash: whoever does not know the key
// finds two contents of L bytes with one tag only by luck, at most 8 * ceil(L/16) / 2^106 a pair
// (Bernstein, "The Poly1305-AES message-authentication code", theorem 3.3), whatever contents they
// choose. So equal tags of equal lengths may be taken for equal contents, at a small part of the
// price of SHA-256.
class ContentHash {
 public:
  using Tag = std::array<uint64_t, 2>;
  explicit ContentHash(const std::array<unsigned char, 32>& key);
  ~ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;
  // Not thread-safe.
  Tag Of(std::span<const std::byte> bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul::archive
