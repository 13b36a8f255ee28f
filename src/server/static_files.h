// StaticFiles: the dashboard as it is embedded in the binary, and how it is served.
//
//   GET /            index.html
//   GET /assets/*    what it needs
//
// No token is asked for: there are no data in these files. Each is kept gzipped, and unpacked for
// the rare client that takes none. Files whose name holds a hash of their bytes may be kept for
// ever; the rest is asked for again by ETag.

#pragma once

#include <span>
#include <string>
#include <string_view>

#include "net/http_server.h"

namespace longhaul {

// All of it lives as long as the program.
struct StaticFile {
  std::string_view path;          // "/", "/assets/index-1a2b3c4d.js": as it is asked for, exactly.
  std::string_view content_type;  // "text/html; charset=utf-8"
  std::string_view etag;          // With its quotes: "\"1a2b3c4d\"".
  std::string_view gzip;          // The bytes, gzipped.
  size_t size_bytes = 0;          // Unpacked.
  bool immutable = false;         // Its name changes with its bytes.
};

// What this build embeds; empty where the dashboard was not built. The order does not matter.
std::span<const StaticFile> EmbeddedFiles();

class StaticFiles {
 public:
  explicit StaticFiles(std::span<const StaticFile> files) : files_(files) {}

  // nullptr: there is none. "/index.html" is "/".
  [[nodiscard]] const StaticFile* Find(std::string_view path) const;
  // Whether paths like this belong to the dashboard, there or not.
  [[nodiscard]] static bool Owns(std::string_view path);
  // Answers a GET or HEAD of such a path. `headers_in`: of the request.
  asio::awaitable<void> Serve(const HttpServerRequest& request, HttpServerResponse& response) const;

 private:
  std::span<const StaticFile> files_;
};

// What every answer to a browser carries: no other host, no inline code, no frames, no sniffing.
void SetSecurityHeaders(HttpHeaders& headers);

}  // namespace longhaul
