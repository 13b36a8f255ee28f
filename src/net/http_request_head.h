// The head of an HTTP/1.1 request, parsed strictly, from bytes nobody trusts.
//
// Facts: RFC 9112, 2 to 7. Where the RFC lets a server be lenient (bare LF, folded lines, spaces
// before a colon) this parser refuses: leniency is how requests are smuggled.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_client.h"

namespace longhaul {

struct HttpHeadLimits {
  size_t head_bytes_max = 64 << 10;  // Request line and headers.
  size_t request_line_bytes_max = 16 << 10;
  size_t header_count_max = 200;
};

struct HttpRequestHead {
  std::string method;
  std::string target;  // As sent: "/bucket/a%2Fb?list-type=2".
  int minor_version = 1;
  HttpHeaders headers;

  // From the headers.
  std::optional<uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool expects_continue = false;

  [[nodiscard]] std::string_view path() const;
  [[nodiscard]] std::string_view query() const;
};

// Where the head in `bytes` ends (past its empty line); npos while it is not complete.
size_t FindHeadEnd(std::string_view bytes);

// Parses a complete head, its empty line included. kInvalidInput, with the status to answer in
// `http_status`: 400 malformed, 414 target too long, 431 too many headers, 501 transfer encoding
// not known, 505 not HTTP/1.x.
Result<HttpRequestHead> ParseRequestHead(std::string_view bytes, const HttpHeadLimits& limits);

// Parses header lines "Name: value\r\n" (trailers, or a head without its first line).
Result<HttpHeaders> ParseHeaderLines(std::string_view lines, size_t count_max);

}  // namespace longhaul
