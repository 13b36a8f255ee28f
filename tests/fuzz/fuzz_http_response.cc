// The head of an HTTP answer: bytes from whatever listens at the other end.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "net/http_response_head.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t end = FindResponseHeadEnd(bytes);
  if (end == std::string_view::npos) return 0;
  if (end > size) std::abort();
  Result<HttpResponseHead> head = ParseResponseHead(bytes.substr(0, end));
  if (!head) return 0;
  if (head->status < 100 || head->status > 999) std::abort();
  if (head->chunked && head->content_length) std::abort();  // Could be read in two ways.
  for (const auto& [name, value] : head->headers.entries()) {
    if (name.find('\n') != std::string::npos || value.find('\n') != std::string::npos) std::abort();
  }
  return 0;
}
