// Whether a request goes by a proxy, and which: HTTPS_PROXY and NO_PROXY.
//
// Only https:// does, through a tunnel (CONNECT): the proxy sees host, port and how much, and the
// certificate is still that of the server. Plain http:// goes straight, as do all names and
// addresses of this machine. Internal to the HTTP client, but for the settings in http_client.h.
// Sources: RFC 9110, 9.3.6 CONNECT; RFC 7617; curl's and Go's reading of NO_PROXY.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "net/client_url.h"

namespace longhaul {

struct ClientProxy {
  Origin origin;         // Where it listens.
  Secret authorization;  // "Basic …"; empty: none.
};

// http://[USER:PASSWORD@]HOST[:PORT], or HOST:PORT; user and password percent-encoded.
// kInvalidInput: anything else. The message holds nothing of it: there may be a password inside.
Result<ClientProxy> ParseClientProxy(std::string_view text);

// By NO_PROXY: names and addresses with commas between them; "a.b" and ".a.b" are that host and all
// below it, "10.0.0.0/8" a network, ":PORT" behind either one port, "*" everything.
bool IsExemptFromProxy(const Origin& origin, std::string_view no_proxy);

// What opens a tunnel to `target`.
std::string ConnectRequestHead(const ClientProxy& proxy, const Origin& target);

}  // namespace longhaul
