// ApiRequest: what a request of the API asks for: which operation, of what, with which parameters.
// Bytes from anyone: bounded, and refused rather than guessed at.

#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul {

// A path of the API: an operation of openapi.yaml.
struct ApiRoute {
  std::string_view method;
  std::string_view path;       // "/v1/rules/{rule}/pause"
  std::string_view operation;  // operationId
  int status = 200;            // Of its good answer.
};
std::span<const ApiRoute> ApiRoutes();

inline constexpr size_t kApiBodyBytesMax = 256 << 10;

struct ApiRequest {
  const ApiRoute* route = nullptr;
  std::vector<std::string> arguments;        // What stands in the place of {…}, decoded.
  std::map<std::string, std::string> query;  // Decoded.
  boost::json::object body;
};

// What path and query mean, without a body. kNotFound: no such path. kInvalidInput with http_status
// 405: not by this method; `allowed` says by which. kInvalidInput: %XX that makes no sense, a
// parameter twice, too many.
Result<ApiRequest> ParseApiTarget(std::string_view method, std::string_view path,
                                  std::string_view query, std::string* allowed);
// An object; nothing at all is an empty one. kInvalidInput otherwise.
Result<void> ParseApiBody(std::string_view body, ApiRequest& request);

// An error that names the member or the parameter that is wrong (Error::code "field:NAME").
Error FieldError(std::string_view field, std::string message);

// Reads parameters or members: what is asked for is known, and Finish refuses the rest.
class ApiQuery {
 public:
  explicit ApiQuery(const ApiRequest& request) : request_(request) {}

  std::optional<std::string> Text(std::string_view name);
  Result<int64_t> Integer(std::string_view name, int64_t fallback, int64_t min, int64_t max);
  Result<std::optional<SystemTime>> Time(std::string_view name);
  // `limit`, 1 to 500.
  Result<int64_t> Limit() { return Integer("limit", 100, 1, 500); }
  // `cursor` of lists that are paged by a text: what came last; empty: there is none yet.
  Result<std::string> Cursor();
  // `cursor` of lists that are paged by number: how many come before.
  Result<size_t> Skip();
  // kInvalidInput: somebody gave one that there is not.
  Result<void> Finish();

 private:
  const ApiRequest& request_;
  std::set<std::string, std::less<>> known_;
};

class ApiBody {
 public:
  explicit ApiBody(const boost::json::object& body) : body_(body) {}

  Result<std::optional<std::string>> Text(std::string_view name, size_t size_bytes_max = 2048);
  Result<std::optional<int64_t>> Integer(std::string_view name, int64_t min, int64_t max);
  Result<std::optional<double>> Number(std::string_view name);
  Result<std::optional<bool>> Boolean(std::string_view name);
  Result<std::optional<SystemTime>> Time(std::string_view name);
  Result<std::vector<std::string>> Texts(std::string_view name, size_t count_max,
                                         size_t size_bytes_max);
  Result<const boost::json::object*> Object(std::string_view name);  // nullptr: not there.
  Result<void> Finish() const;

 private:
  const boost::json::value* Find(std::string_view name);

  const boost::json::object& body_;
  std::set<std::string, std::less<>> known_;
};

// Cursors: what a page ended with, as text that clients hand back. kInvalidInput: no such cursor.
std::string EncodeCursor(const std::vector<std::string>& parts);
Result<std::vector<std::string>> DecodeCursor(std::string_view cursor, size_t parts);

}  // namespace longhaul
