#include "base/version.h"

#include <openssl/crypto.h>

namespace longhaul {

const std::string_view kVersion = LONGHAUL_VERSION;

std::string TlsLibrary() {
#ifdef OPENSSL_IS_BORINGSSL
  return "BoringSSL of gRPC " LONGHAUL_BORINGSSL_VERSION;
#else
  return OpenSSL_version(OPENSSL_VERSION);
#endif
}

}  // namespace longhaul
