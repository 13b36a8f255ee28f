// An HttpClient whose connections are on shards: each request, its answer's body included, on one
// of them, where that is least busy.
//
// Internal to the HTTP client. Sockets and TLS are the shards' work; everything that a caller gave
// or gets stays on the caller's thread: sources are read there, bodies are read from there. Only
// whole pieces go between threads, without a copy: a shard reads straight into the memory that the
// caller waits for, and sends from where a source has written. One small request goes there once
// and comes back once.

#pragma once

#include <memory>

#include "net/http_client.h"

namespace longhaul {

// `options.shards` has some.
std::unique_ptr<HttpClient> MakeShardedHttpClient(const Runtime& runtime,
                                                  HttpClientOptions options);

}  // namespace longhaul
