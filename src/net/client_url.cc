#include "net/client_url.h"

#include <algorithm>
#include <charconv>

namespace longhaul {

std::string_view Origin::bare_host() const {
  std::string_view bare = host;
  if (bare.starts_with('[') && bare.ends_with(']')) bare = bare.substr(1, bare.size() - 2);
  return bare;
}

Result<ClientUrl> ParseClientUrl(std::string_view text) {
  const auto bad = [text] { return InvalidInput("not a URL: " + std::string(text)); };
  std::string_view rest = text;
  ClientUrl url;
  url.origin.tls = rest.starts_with("https://");
  if (!url.origin.tls && !rest.starts_with("http://")) return bad();
  rest.remove_prefix(url.origin.tls ? 8 : 7);
  rest = rest.substr(0, rest.find('#'));
  const bool clean = std::ranges::none_of(
      rest, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
  url.authority = rest.substr(0, rest.find_first_of("/?"));
  url.target = rest.substr(url.authority.size());
  const uint16_t own_port = url.origin.tls ? 443 : 80;
  url.origin.port = own_port;
  std::string_view host = url.authority;
  const size_t colon = host.rfind(':');
  if (colon != host.npos && host.find(']', colon) == host.npos) {
    std::string_view port = host.substr(colon + 1);
    auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), url.origin.port);
    if (failed != std::errc() || end != port.data() + port.size()) return bad();
    host = host.substr(0, colon);
  }
  if (!clean || host.empty() || url.origin.port == 0 || host.find_first_of("@\\") != host.npos) {
    return bad();
  }
  url.origin.host = host;
  url.origin.name = (url.origin.tls ? "https://" : "http://") + url.origin.host + ":" +
                    std::to_string(url.origin.port);
  if (url.origin.port == own_port) url.authority = host;
  return url;
}

}  // namespace longhaul
