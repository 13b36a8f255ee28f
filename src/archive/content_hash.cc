#include "archive/content_hash.h"

#include <openssl/evp.h>

#include "base/check.h"

namespace longhaul::archive {

struct ContentHash::Impl {
  EVP_MAC_CTX* context = nullptr;
  std::array<unsigned char, 32> key;
};

ContentHash::ContentHash(const std::array<unsigned char, 32>& key)
    : impl_(std::make_unique<Impl>()) {
  impl_->key = key;
  EVP_MAC* poly1305 = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);
  LH_CHECK(poly1305 != nullptr);
  impl_->context = EVP_MAC_CTX_new(poly1305);
  EVP_MAC_free(poly1305);
  LH_CHECK(impl_->context != nullptr);
}

ContentHash::~ContentHash() { EVP_MAC_CTX_free(impl_->context); }

ContentHash::Tag ContentHash::Of(std::span<const std::byte> bytes) {
  Tag tag{};
  size_t size = 0;
  LH_CHECK(EVP_MAC_init(impl_->context, impl_->key.data(), impl_->key.size(), nullptr) == 1);
  LH_CHECK(EVP_MAC_update(impl_->context, reinterpret_cast<const unsigned char*>(bytes.data()),
                          bytes.size()) == 1);
  LH_CHECK(EVP_MAC_final(impl_->context, reinterpret_cast<unsigned char*>(tag.data()), &size,
                         sizeof(tag)) == 1);
  return tag;
}

}  // namespace longhaul::archive
