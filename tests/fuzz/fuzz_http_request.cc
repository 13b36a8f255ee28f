// The head of an HTTP request and what the gateway reads out of it: bytes from anyone.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "gateway/protocol/sigv4.h"
#include "net/http_request_head.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  size_t end = FindHeadEnd(bytes);
  if (end == std::string_view::npos) return 0;
  Result<HttpRequestHead> head = ParseRequestHead(bytes.substr(0, end), {});
  if (!head) return 0;
  if (head->chunked && head->content_length) std::abort();  // Could be read in two ways.
  if (head->target.find_first_of(" \r\n") != std::string::npos) std::abort();
  Result<QueryParameters> query = ParseQuery(head->query());
  if (!query) return 0;
  static const GatewayKeys kKeys{"AKIAIOSFODNN7EXAMPLE", Secret("secret")};
  Result<SignedRequest> verified = VerifySigV4(
      *head, *query, std::span(&kKeys, 1), std::chrono::sys_days(std::chrono::year(2013) / 5 / 24));
  if (verified) std::abort();  // Nobody guesses a signature.
  return 0;
}
