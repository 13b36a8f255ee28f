#include "archive/content_hash.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"

namespace longhaul::archive {

struct ContentHash::Impl {
  EVP_CIPHER_CTX* context = nullptr;
};

ContentHash::ContentHash(const std::array<unsigned char, 16>& key)
    : impl_(std::make_unique<Impl>(EVP_CIPHER_CTX_new())) {
  LH_CHECK(impl_->context != nullptr);
  LH_CHECK(EVP_EncryptInit_ex(impl_->context, EVP_aes_128_gcm(), nullptr, key.data(), nullptr) ==
           1);
}

ContentHash::~ContentHash() { EVP_CIPHER_CTX_free(impl_->context); }

ContentHash::Tag ContentHash::Of(std::span<const std::byte> bytes) {
  // One nonce for all would give the key away with the tags, but no tag leaves the process.
  static constexpr std::array<unsigned char, 12> kNonce{};
  constexpr size_t kBytesAtOnce = 1 << 30;
  Tag tag{};
  int none = 0;
  EVP_CIPHER_CTX* context = impl_->context;
  LH_CHECK(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, kNonce.data()) == 1);
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(bytes.size(), kBytesAtOnce))) {
    LH_CHECK(EVP_EncryptUpdate(context, nullptr, &none,
                               reinterpret_cast<const unsigned char*>(bytes.data()),
                               static_cast<int>(std::min(bytes.size(), kBytesAtOnce))) == 1);
  }
  unsigned char nothing;
  LH_CHECK(EVP_EncryptFinal_ex(context, &nothing, &none) == 1);
  LH_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, sizeof(tag), tag.data()) == 1);
  return tag;
}

}  // namespace longhaul::archive
