// ContentHash finds equal objects within an archive.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace longhaul::archive {

// The tag of AES-128-GCM over what it only authenticates, under a secret key. GHASH is a universal
// hash: whoever does not know the key finds two contents of L bytes with one tag only by luck, at
// most (ceil(L/16) + 1) / 2^128 a pair (McGrew and Viega, "The Security and Performance of the
// Galois/Counter Mode (GCM) of Operation", lemma 2), whatever contents they choose. So equal tags
// of equal lengths may be taken for equal contents, at a small part of the price of SHA-256.
class ContentHash {
 public:
  using Tag = std::array<uint64_t, 2>;
  explicit ContentHash(const std::array<unsigned char, 16>& key);
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
