#include "net/client_proxy.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <optional>

#include "base/ascii.h"
#include "base/bytes.h"

namespace longhaul {
namespace {

namespace ip = boost::asio::ip;

std::optional<ip::address> AddressOf(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  boost::system::error_code bad;
  const ip::address address = ip::make_address(std::string(text), bad);
  if (bad) return std::nullopt;
  return address;
}

bool IsInNetwork(const ip::address& address, const std::string& network) {
  boost::system::error_code bad;
  if (address.is_v4()) {
    const ip::network_v4 known = ip::make_network_v4(network, bad);
    return !bad &&
           ip::network_v4(address.to_v4(), known.prefix_length()).network() == known.network();
  }
  const ip::network_v6 known = ip::make_network_v6(network, bad);
  return !bad &&
         ip::network_v6(address.to_v6(), known.prefix_length()).network() == known.network();
}

// "host:443", "[::1]:443" and "host" as its two halves; an address of IPv6 needs brackets for that.
std::pair<std::string_view, std::string_view> SplitPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos || text.find(']', colon) != text.npos) return {text, ""};
  if (text.find(':') != colon && !text.starts_with('[')) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace

Result<ClientProxy> ParseClientProxy(std::string_view text) {
  const Error bad = InvalidInput(
      "HTTPS_PROXY is no proxy: write http://[USER:PASSWORD@]HOST:PORT; TLS to a proxy and SOCKS "
      "are not known");
  if (const size_t scheme = text.find("://"); scheme == text.npos) {
    // As curl takes it.
  } else if (text.substr(0, scheme) == "http") {
    text.remove_prefix(scheme + 3);
  } else {
    return bad;
  }
  while (text.ends_with('/')) text.remove_suffix(1);
  ClientProxy proxy;
  if (const size_t at = text.rfind('@'); at != text.npos) {
    Result<std::string> user = PercentDecode(text.substr(0, at));
    if (!user || user->find_first_of("\r\n") != user->npos) return bad;
    proxy.authorization = Secret("Basic " + Base64Encode(*user));
    text.remove_prefix(at + 1);
  }
  if (text.find_first_of("/?#@") != text.npos) return bad;
  Result<ClientUrl> url = ParseClientUrl("http://" + std::string(text));
  if (!url) return bad;
  proxy.origin = url->origin;
  return proxy;
}

bool IsExemptFromProxy(const Origin& origin, std::string_view no_proxy) {
  std::string host = LowerAscii(origin.bare_host());
  if (host.ends_with('.')) host.pop_back();
  const std::optional<ip::address> address = AddressOf(host);
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  if (address && address->is_loopback()) return true;
  while (!no_proxy.empty()) {
    const size_t comma = std::min(no_proxy.find_first_of(", \t"), no_proxy.size());
    const std::string one = LowerAscii(no_proxy.substr(0, comma));
    no_proxy.remove_prefix(std::min(comma + 1, no_proxy.size()));
    if (one.empty()) continue;
    if (one == "*") return true;
    auto [name, port] = SplitPort(one);
    if (!port.empty() && port != std::to_string(origin.port)) continue;
    if (address) {
      const std::optional<ip::address> other = AddressOf(name);
      if (other ? *other == *address : IsInNetwork(*address, std::string(name))) return true;
      continue;
    }
    while (name.starts_with('*') || name.starts_with('.')) name.remove_prefix(1);
    if (name.empty()) continue;
    if (host == name) return true;
    if (host.size() > name.size() && host.ends_with(name) &&
        host[host.size() - name.size() - 1] == '.') {
      return true;
    }
  }
  return false;
}

std::string ConnectRequestHead(const ClientProxy& proxy, const Origin& target) {
  const std::string place = target.host + ":" + std::to_string(target.port);
  std::string head = "CONNECT " + place + " HTTP/1.1\r\nHost: " + place + "\r\n";
  if (!proxy.authorization.empty()) {
    head += "Proxy-Authorization: " + proxy.authorization.Reveal() + "\r\n";
  }
  return head + "\r\n";
}

}  // namespace longhaul
