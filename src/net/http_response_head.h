// The head of an HTTP/1.x answer, and how its body is framed. (RFC 9112, 4 and 6.)

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "net/http_client.h"

namespace longhaul {

inline constexpr size_t kResponseHeadBytesMax = 64 << 10;

struct HttpResponseHead {
  int status = 0;
  HttpHeaders headers;
  bool keep_alive = false;  // The connection may be used again after the body.
  bool chunked = false;
  std::optional<uint64_t> content_length;  // Neither: the body ends with the connection.
};

// Where the first head of `bytes` ends, its empty line included; npos: not in here. Lines end in
// CRLF or, as a recipient may accept, in LF.
size_t FindResponseHeadEnd(std::string_view bytes);

// `bytes`: a head up to its end. kRetryable: it is none, has too many headers, or says two
// different things about the body.
Result<HttpResponseHead> ParseResponseHead(std::string_view bytes);

// Adds the header of one line without its end to `headers`; lines that are none are skipped.
// kRetryable: too many.
Result<void> AddHeaderLine(std::string_view line, HttpHeaders& headers);

}  // namespace longhaul
