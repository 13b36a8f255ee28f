// Where a request of the HTTP client goes.
//
// Internal to the HTTP client.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul {

// What connections are kept for.
struct Origin {
  std::string name;  // "https://host:port"
  std::string host;  // As in the URL: an IPv6 address in brackets.
  uint16_t port = 0;
  bool tls = false;

  [[nodiscard]] std::string_view bare_host() const;  // Without brackets.
};

// Borrows the text that it was made of.
struct ClientUrl {
  Origin origin;
  std::string_view authority;  // What Host says: the scheme's own port is not named.
  std::string_view target;     // Path and query; may lack the first slash.
};

// kInvalidInput: not http:// or https://, a user name, a character that must have been encoded. The
// error says which, and nothing of the text, which may be a secret.
Result<ClientUrl> ParseClientUrl(std::string_view text);

}  // namespace longhaul
