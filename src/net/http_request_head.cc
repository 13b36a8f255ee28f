#include "net/http_request_head.h"

#include <algorithm>
#include <charconv>

#include "base/ascii.h"

namespace longhaul {
namespace {

Error Malformed(std::string message, int status = 400) {
  Error error = InvalidInput("HTTP request: " + std::move(message));
  error.http_status = status;
  return error;
}

// RFC 9110, 5.6.2: what names are made of.
bool IsTokenCharacter(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, IsTokenCharacter);
}

bool SameIgnoringCase(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return LowerAscii(c); };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Whether a comma-separated list holds `word`.
bool ListHolds(std::string_view list, std::string_view word) {
  while (true) {
    size_t comma = list.find(',');
    if (SameIgnoringCase(Trim(list.substr(0, comma)), word)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

Result<void> ReadFraming(HttpRequestHead& head) {
  head.keep_alive = head.minor_version >= 1;
  for (const auto& [name, value] : head.headers.entries()) {
    if (SameIgnoringCase(name, "content-length")) {
      uint64_t length = 0;
      auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), length);
      if (failed != std::errc() || end != value.data() + value.size() || value.empty()) {
        return Malformed("Content-Length is not a number");
      }
      if (head.content_length) return Malformed("more than one Content-Length");
      head.content_length = length;
    } else if (SameIgnoringCase(name, "transfer-encoding")) {
      if (head.chunked || !SameIgnoringCase(value, "chunked")) {
        return Malformed("a Transfer-Encoding other than chunked", 501);
      }
      if (head.minor_version == 0) return Malformed("chunks in HTTP/1.0");
      head.chunked = true;
    } else if (SameIgnoringCase(name, "connection")) {
      if (ListHolds(value, "close")) {
        head.keep_alive = false;
      } else if (head.minor_version == 0 && ListHolds(value, "keep-alive")) {
        head.keep_alive = true;
      }
    } else if (SameIgnoringCase(name, "expect")) {
      // Another one may be refused or ignored (RFC 9110, 10.1.1); S3 ignores it.
      bool known = SameIgnoringCase(value, "100-continue");
      head.expects_continue = known && head.minor_version >= 1;
    }
  }
  if (head.chunked && head.content_length) {
    return Malformed("both Content-Length and Transfer-Encoding");
  }
  return Ok();
}

}  // namespace

std::string_view HttpRequestHead::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::string_view HttpRequestHead::query() const {
  size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

size_t FindHeadEnd(std::string_view bytes) {
  size_t end = bytes.find("\r\n\r\n");
  return end == std::string_view::npos ? end : end + 4;
}

Result<HttpHeaders> ParseHeaderLines(std::string_view lines, size_t count_max) {
  HttpHeaders headers;
  size_t count = 0;
  while (!lines.empty()) {
    size_t end = lines.find("\r\n");
    if (end == std::string_view::npos) return Malformed("a header line without an end");
    std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + 2);
    if (++count > count_max) return Malformed("too many headers", 431);
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) return Malformed("a header line without a colon");
    std::string_view name = line.substr(0, colon);
    std::string_view value = Trim(line.substr(colon + 1));
    if (!IsToken(name)) return Malformed("a header name with characters it must not have");
    bool clean = std::ranges::all_of(value, [](char c) {
      return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    });
    if (!clean) return Malformed("a control character in a header");
    headers.Add(std::string(name), std::string(value));
  }
  return headers;
}

Result<HttpRequestHead> ParseRequestHead(std::string_view bytes, const HttpHeadLimits& limits) {
  if (bytes.size() > limits.head_bytes_max) return Malformed("the head is too long", 431);
  if (FindHeadEnd(bytes) != bytes.size()) return Malformed("the head has no end");
  bytes.remove_suffix(2);
  size_t line_end = bytes.find("\r\n");
  std::string_view line = bytes.substr(0, line_end);
  if (line.size() > limits.request_line_bytes_max) return Malformed("the target is too long", 414);

  size_t first = line.find(' ');
  size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return Malformed("no request line");
  HttpRequestHead head;
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  std::string_view version = line.substr(last + 1);
  if (version == "HTTP/1.0") {
    head.minor_version = 0;
  } else if (version != "HTTP/1.1") {
    return Malformed("not HTTP/1.1", version.starts_with("HTTP/") ? 505 : 400);
  }
  if (!IsToken(head.method) || head.method.size() > 32) return Malformed("a strange method");
  bool clean = std::ranges::all_of(
      head.target, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
  if (head.target.empty() || !clean) return Malformed("a character that a target must not have");
  // Only the origin form and "*": this is no proxy. (RFC 9112, 3.2.)
  if (head.target.front() != '/' && head.target != "*") return Malformed("not a path");

  Result<HttpHeaders> headers =
      ParseHeaderLines(bytes.substr(line_end + 2), limits.header_count_max);
  if (!headers) return headers.error();
  head.headers = std::move(*headers);
  Result<void> framed = ReadFraming(head);
  if (!framed) return framed.error();
  return head;
}

}  // namespace longhaul
