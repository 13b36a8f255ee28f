// What a request of the API asks for: path, query, body and cursor, from anyone.
//
// The first line is "METHOD TARGET", the rest is the body.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/api_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  const std::string_view body = text.substr(std::min(end + 1, text.size()));
  const size_t space = std::min(line.find(' '), line.size());
  const std::string_view method = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  const size_t question = std::min(line.find('?'), line.size());
  const std::string_view query = line.substr(std::min(question + 1, line.size()));
  std::string allowed;
  Result<ApiRequest> request = ParseApiTarget(method, line.substr(0, question), query, &allowed);
  if (!request) return 0;
  if (request->route == nullptr) std::abort();
  if (request->route->method != method && method != "HEAD") std::abort();  // A change by a GET.
  ApiQuery parameters(*request);
  if (const std::optional<std::string> cursor = parameters.Text("cursor")) {
    Result<std::vector<std::string>> parts = DecodeCursor(*cursor, 2);
    // It means one page alone.
    if (parts && *DecodeCursor(EncodeCursor(*parts), 2) != *parts) std::abort();
  }
  (void)parameters.Limit();
  (void)parameters.Skip();
  (void)parameters.Time("from");
  (void)parameters.Finish();
  if (!ParseApiBody(std::string(body), *request)) return 0;
  ApiBody members(request->body);
  (void)members.Text("target");
  (void)members.Integer("for_seconds", 1, 1000);
  (void)members.Boolean("all");
  (void)members.Number("ttl");
  (void)members.Time("until");
  (void)members.Texts("keys", 10, 100);
  (void)members.Object("options");
  (void)members.Finish();
  return 0;
}
