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
  // Without the text: it may hold a password or a token, and errors are logged.
  const auto bad = [](std::string_view why) { return InvalidInput("no URL: " + std::string(why)); };
  std::string_view rest = text;
  ClientUrl url;
  url.origin.tls = rest.starts_with("https://");
  if (!url.origin.tls && !rest.starts_with("http://")) {
    return bad("it begins with neither http:// nor https://");
  }
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
    if (failed != std::errc() || end != port.data() + port.size()) url.origin.port = 0;
    host = host.substr(0, colon);
  }
  if (!clean) return bad("there is a blank, a line end or a control character in it");
  if (url.authority.contains('@')) return bad("a name or a password stands before the host");
  if (host.empty() || host.contains('\\')) return bad("its host is none");
  if (url.origin.port == 0) return bad("its port is none");
  url.origin.host = host;
  url.origin.name = (url.origin.tls ? "https://" : "http://") + url.origin.host + ":" +
                    std::to_string(url.origin.port);
  if (url.origin.port == own_port) url.authority = host;
  return url;
}

}  // namespace longhaul
