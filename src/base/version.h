// The version of this build, "0.3.0", and whose TLS and hashes it has.

#pragma once

#include <string>
#include <string_view>

namespace longhaul {

extern const std::string_view kVersion;

// As in "OpenSSL 3.0.22 9 Jun 2026" (the one that it runs with) or "BoringSSL of gRPC 1.85.3".
std::string TlsLibrary();

}  // namespace longhaul
