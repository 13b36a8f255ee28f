#include "net/http_response_head.h"

#include <algorithm>
#include <charconv>

namespace longhaul {
namespace {

constexpr size_t kHeaderCountMax = 256;

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

bool SameWord(std::string_view a, std::string_view lower) {
  return std::ranges::equal(a, lower, [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + 32) : x) == y;
  });
}

// Takes the next line, without its end, from `rest`.
std::string_view TakeLine(std::string_view& rest) {
  size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// "HTTP/1.1 200 OK"
bool ParseStatusLine(std::string_view line, HttpResponseHead& head) {
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') return false;
  auto [end, failed] = std::from_chars(line.data() + 9, line.data() + 12, head.status);
  head.keep_alive = line[7] != '0';
  return failed == std::errc() && end == line.data() + 12 && head.status >= 100 &&
         (line.size() == 12 || line[12] == ' ');
}

Result<void> TakeLength(std::string_view value, HttpResponseHead& head) {
  uint64_t length = 0;
  auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), length);
  bool valid = failed == std::errc() && end == value.data() + value.size() && !value.empty();
  if (!valid || (head.content_length && *head.content_length != length)) {
    return Retryable("the answer has a Content-Length that makes no sense");
  }
  head.content_length = length;
  return Ok();
}

void TakeConnection(std::string_view list, HttpResponseHead& head) {
  while (!list.empty()) {
    size_t comma = std::min(list.find(','), list.size());
    std::string_view word = Trim(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (SameWord(word, "close")) head.keep_alive = false;
    if (SameWord(word, "keep-alive")) head.keep_alive = true;
  }
}

}  // namespace

size_t FindResponseHeadEnd(std::string_view bytes) {
  for (size_t at = bytes.find('\n'); at != bytes.npos; at = bytes.find('\n', at + 1)) {
    std::string_view next = bytes.substr(at + 1, 2);
    if (next.starts_with('\n')) return at + 2;
    if (next == "\r\n") return at + 3;
  }
  return bytes.npos;
}

Result<void> AddHeaderLine(std::string_view line, HttpHeaders& headers) {
  size_t colon = line.find(':');
  if (colon == line.npos) return Ok();
  if (headers.entries().size() >= kHeaderCountMax) {
    return Retryable("the head of the answer is too large");
  }
  headers.Add(std::string(line.substr(0, colon)), std::string(Trim(line.substr(colon + 1))));
  return Ok();
}

Result<HttpResponseHead> ParseResponseHead(std::string_view bytes) {
  HttpResponseHead head;
  if (!ParseStatusLine(TakeLine(bytes), head)) return Retryable("the answer is not HTTP");
  head.headers.reserve(16);  // S3 sends some ten.
  for (std::string_view line = TakeLine(bytes); !line.empty(); line = TakeLine(bytes)) {
    Result<void> added = AddHeaderLine(line, head.headers);
    if (!added) return added.error();
  }
  Result<void> framed;
  for (const auto& [name, value] : head.headers.entries()) {
    if (SameWord(name, "content-length")) {
      framed = TakeLength(value, head);
    } else if (SameWord(name, "transfer-encoding")) {
      if (!SameWord(value, "chunked")) framed = Retryable("the answer is encoded as " + value);
      head.chunked = true;
    } else if (SameWord(name, "connection")) {
      TakeConnection(value, head);
    }
    if (!framed) return framed.error();
  }
  if (head.chunked) head.content_length.reset();  // RFC 9112, 6.3: chunked prevails.
  return head;
}

}  // namespace longhaul
