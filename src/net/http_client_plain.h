// The HttpClient for http:// without a proxy: straight on sockets.
//
// libcurl costs some 20 µs of CPU per request (headers go through its printf byte by byte, the URL
// is taken apart and put together again) and copies each byte of a body once more; small objects
// are all requests (bench/RESULTS.md). TLS and proxies stay with libcurl.
//
// Internal to net/: MakeHttpClient chooses.

#pragma once

#include <memory>

#include "base/runtime.h"
#include "net/http_client.h"

namespace longhaul {

std::unique_ptr<HttpClient> MakePlainHttpClient(const Runtime& runtime,
                                                const HttpClientOptions& options);

}  // namespace longhaul
