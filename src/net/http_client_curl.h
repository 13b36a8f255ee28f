// The HttpClient by libcurl: https://, and whatever goes through a proxy.
//
// Internal to net/: MakeHttpClient chooses.

#pragma once

#include <memory>

#include "base/runtime.h"
#include "net/http_client.h"

namespace longhaul {

std::unique_ptr<HttpClient> MakeCurlHttpClient(const Runtime& runtime,
                                               const HttpClientOptions& options);

}  // namespace longhaul
