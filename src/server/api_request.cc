#include "server/api_request.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/bytes.h"
#include "base/json.h"

namespace longhaul {

namespace {

constexpr size_t kParametersMax = 16;
constexpr size_t kParameterBytesMax = 8192;
constexpr size_t kArgumentBytesMax = 1024;

constexpr std::array kRoutes{
    ApiRoute{"GET", "/v1/version", "getVersion"},
    ApiRoute{"GET", "/v1/openapi.yaml", "getOpenApi"},
    ApiRoute{"GET", "/v1/health", "getHealth"},
    ApiRoute{"GET", "/v1/members", "listMembers"},
    ApiRoute{"GET", "/v1/failures", "listFailures"},
    ApiRoute{"GET", "/v1/audit", "listAudit"},
    ApiRoute{"GET", "/v1/stream", "getStream"},
    ApiRoute{"GET", "/v1/rules", "listRules"},
    ApiRoute{"GET", "/v1/rules/{rule}", "getRule"},
    ApiRoute{"POST", "/v1/rules/{rule}/pause", "pauseRule"},
    ApiRoute{"POST", "/v1/rules/{rule}/resume", "resumeRule"},
    ApiRoute{"POST", "/v1/rules/{rule}/backfill", "backfillRule", 202},
    ApiRoute{"POST", "/v1/rules/{rule}/retry", "retryParked", 202},
    ApiRoute{"GET", "/v1/parked", "listParked"},
    ApiRoute{"GET", "/v1/dead-letters", "listDeadLetters"},
    ApiRoute{"POST", "/v1/dead-letters/redrive", "redriveDeadLetters"},
    ApiRoute{"GET", "/v1/explain", "explainObject"},
    ApiRoute{"GET", "/v1/savings", "getSavings"},
    ApiRoute{"GET", "/v1/history", "getHistory"},
    ApiRoute{"GET", "/v1/migrations", "listMigrations"},
    ApiRoute{"GET", "/v1/migrations/runs", "listMigrationRuns"},
    ApiRoute{"POST", "/v1/migrations/runs", "createMigrationRun", 201},
    ApiRoute{"GET", "/v1/migrations/runs/{run}", "getMigrationRun"},
    ApiRoute{"POST", "/v1/migrations/runs/{run}/start", "startMigrationRun"},
    ApiRoute{"POST", "/v1/migrations/runs/{run}/stop", "stopMigrationRun"},
    ApiRoute{"POST", "/v1/migrations/runs/{run}/retry", "retryMigrationRun", 202},
    ApiRoute{"GET", "/v1/migrations/runs/{run}/objects", "listMigrationObjects"},
    ApiRoute{"GET", "/v1/cache/runs", "listCacheRuns"},
    ApiRoute{"POST", "/v1/cache/runs", "createCacheRun", 202},
    ApiRoute{"GET", "/v1/cache/runs/{number}", "getCacheRun"},
    ApiRoute{"POST", "/v1/cache/runs/{number}/stop", "stopCacheRun", 202},
    ApiRoute{"GET", "/v1/backups", "listBackups"},
    ApiRoute{"GET", "/v1/backups/{rule}/{target}/objects", "listBackupObjects"},
    ApiRoute{"GET", "/v1/backups/{rule}/{target}/versions", "listBackupVersions"},
    ApiRoute{"POST", "/v1/backups/{rule}/{target}/restore", "restoreBackup", 202},
    ApiRoute{"GET", "/v1/backups/runs", "listRestores"},
    ApiRoute{"GET", "/v1/backups/runs/{run}", "getRestore"},
    ApiRoute{"GET", "/v1/backups/runs/{run}/failures", "listRestoreFailures"},
    ApiRoute{"POST", "/v1/backups/runs/{run}/stop", "stopRestore", 202},
};

std::string_view NextSegment(std::string_view& path) {
  const size_t end = std::min(path.find('/'), path.size());
  std::string_view segment = path.substr(0, end);
  path.remove_prefix(std::min(end + 1, path.size()));
  return segment;
}

// Whether the path fits; what stands for {…} as it was sent.
bool Fits(std::string_view pattern, std::string_view path, std::vector<std::string_view>* found) {
  found->clear();
  if (std::ranges::count(pattern, '/') != std::ranges::count(path, '/')) return false;
  while (!pattern.empty() || !path.empty()) {
    const std::string_view wanted = NextSegment(pattern);
    const std::string_view segment = NextSegment(path);
    if (wanted.starts_with('{')) {
      if (segment.empty()) return false;
      found->push_back(segment);
    } else if (wanted != segment) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::span<const ApiRoute> ApiRoutes() { return kRoutes; }

Error FieldError(std::string_view field, std::string message) {
  Error error = InvalidInput(std::string(field) + ": " + std::move(message));
  error.code = "field:" + std::string(field);
  return error;
}

Result<ApiRequest> ParseApiTarget(std::string_view method, std::string_view path,
                                  std::string_view query, std::string* allowed) {
  allowed->clear();
  ApiRequest request;
  std::vector<std::string_view> found;
  const bool is_head = method == "HEAD";
  for (const ApiRoute& route : kRoutes) {
    if (!Fits(route.path, path, &found)) continue;
    *allowed += (allowed->empty() ? "" : ", ") + std::string(route.method);
    if (route.method != (is_head ? "GET" : method)) continue;
    request.route = &route;
    for (std::string_view one : found) {
      Result<std::string> argument = PercentDecode(one);
      if (!argument) return argument.error();
      if (argument->size() > kArgumentBytesMax) return InvalidInput("the path is too long");
      request.arguments.push_back(std::move(*argument));
    }
  }
  if (allowed->empty()) return NotFound("no such path; GET /v1/openapi.yaml names those there are");
  if (request.route == nullptr) {
    Error error = InvalidInput("not by " + std::string(method.substr(0, 20)) + ": " + *allowed);
    error.http_status = 405;
    return error;
  }
  for (size_t count = 0; !query.empty(); ++count) {
    if (count == kParametersMax) return InvalidInput("too many parameters");
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    Result<std::string> name = FormDecode(pair.substr(0, equals));
    Result<std::string> value = FormDecode(pair.substr(std::min(equals + 1, pair.size())));
    if (!name) return name.error();
    if (!value) return value.error();
    if (name->size() > 64 || value->size() > kParameterBytesMax) {
      return InvalidInput("a parameter is too long");
    }
    const std::string shown = *name;
    if (!request.query.emplace(std::move(*name), std::move(*value)).second) {
      return FieldError(shown, "is given twice");
    }
  }
  return request;
}

Result<void> ParseApiBody(std::string_view body, ApiRequest& request) {
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) return Ok();
  Result<boost::json::value> value =
      ParseJson(body, {.size_bytes_max = kApiBodyBytesMax, .depth_max = 8});
  if (!value) return value.error().In("the body");
  if (!value->is_object()) return InvalidInput("the body: is no JSON object");
  request.body = std::move(value->get_object());
  return Ok();
}

std::optional<std::string> ApiQuery::Text(std::string_view name) {
  known_.emplace(name);
  const auto found = request_.query.find(std::string(name));
  if (found == request_.query.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

Result<int64_t> ApiQuery::Integer(std::string_view name, int64_t fallback, int64_t min,
                                  int64_t max) {
  const std::optional<std::string> text = Text(name);
  if (!text) return fallback;
  int64_t number = 0;
  auto [end, bad] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (bad != std::errc() || end != text->data() + text->size() || number < min || number > max) {
    return FieldError(name,
                      "is no number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return number;
}

Result<std::optional<SystemTime>> ApiQuery::Time(std::string_view name) {
  const std::optional<std::string> text = Text(name);
  if (!text) return std::optional<SystemTime>();
  Result<SystemTime> time = ParseRfc3339(*text);
  if (!time) return FieldError(name, "is no time; write it like 2030-01-31T06:00:00Z");
  return std::optional<SystemTime>(*time);
}

Result<void> ApiQuery::Finish() {
  for (const auto& [name, value] : request_.query) {
    if (!known_.contains(name)) return FieldError(name, "is no parameter of this path");
  }
  return Ok();
}

const boost::json::value* ApiBody::Find(std::string_view name) {
  known_.emplace(name);
  const boost::json::value* value = body_.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<std::optional<std::string>> ApiBody::Text(std::string_view name, size_t size_bytes_max) {
  const boost::json::value* value = Find(name);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return FieldError(name, "is no text");
  if (value->get_string().size() > size_bytes_max) return FieldError(name, "is too long");
  return std::optional<std::string>(std::string(value->get_string()));
}

Result<std::optional<int64_t>> ApiBody::Integer(std::string_view name, int64_t min, int64_t max) {
  const boost::json::value* value = Find(name);
  if (value == nullptr) return std::optional<int64_t>();
  if (!value->is_int64() || value->get_int64() < min || value->get_int64() > max) {
    return FieldError(
        name, "is no whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return std::optional<int64_t>(value->get_int64());
}

Result<std::optional<double>> ApiBody::Number(std::string_view name) {
  const boost::json::value* value = Find(name);
  if (value == nullptr) return std::optional<double>();
  if (!value->is_number()) return FieldError(name, "is no number");
  return std::optional<double>(value->to_number<double>());
}

Result<std::optional<bool>> ApiBody::Boolean(std::string_view name) {
  const boost::json::value* value = Find(name);
  if (value == nullptr) return std::optional<bool>();
  if (!value->is_bool()) return FieldError(name, "is neither true nor false");
  return std::optional<bool>(value->get_bool());
}

Result<std::optional<SystemTime>> ApiBody::Time(std::string_view name) {
  Result<std::optional<std::string>> text = Text(name, 64);
  if (!text) return text.error();
  if (!*text) return std::optional<SystemTime>();
  Result<SystemTime> time = ParseRfc3339(**text);
  if (!time) return FieldError(name, "is no time; write it like 2030-01-31T06:00:00Z");
  return std::optional<SystemTime>(*time);
}

Result<std::vector<std::string>> ApiBody::Texts(std::string_view name, size_t count_max,
                                                size_t size_bytes_max) {
  std::vector<std::string> texts;
  const boost::json::value* value = Find(name);
  if (value == nullptr) return texts;
  if (!value->is_array()) return FieldError(name, "is no list");
  if (value->get_array().size() > count_max) {
    return FieldError(name, "has more than " + std::to_string(count_max) + " items");
  }
  for (const boost::json::value& item : value->get_array()) {
    if (!item.is_string() || item.get_string().size() > size_bytes_max) {
      return FieldError(name, "holds something that is no text, or too long");
    }
    texts.emplace_back(item.get_string());
  }
  return texts;
}

Result<const boost::json::object*> ApiBody::Object(std::string_view name) {
  const boost::json::value* value = Find(name);
  if (value != nullptr && !value->is_object()) return FieldError(name, "is no object");
  return value == nullptr ? nullptr : &value->get_object();
}

Result<void> ApiBody::Finish() const {
  for (const auto& member : body_) {
    const std::string name(member.key());
    if (!known_.contains(name)) return FieldError(name, "is no member of this request");
  }
  return Ok();
}

Result<std::string> ApiQuery::Cursor() {
  const std::optional<std::string> cursor = Text("cursor");
  if (!cursor) return std::string();
  Result<std::vector<std::string>> parts = DecodeCursor(*cursor, 1);
  if (!parts) return parts.error();
  return std::move(parts->front());
}

Result<size_t> ApiQuery::Skip() {
  const std::optional<std::string> cursor = Text("cursor");
  if (!cursor) return 0;
  Result<std::vector<std::string>> parts = DecodeCursor(*cursor, 1);
  if (!parts) return parts.error();
  size_t number = 0;
  const std::string& text = parts->front();
  auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (bad != std::errc() || end != text.data() + text.size()) {
    return FieldError("cursor", "is not of this list");
  }
  return number;
}

std::string EncodeCursor(const std::vector<std::string>& parts) {
  std::string text;
  // Hex, so that keys of any bytes fit; an empty part is "x".
  for (const std::string& part : parts) text += (text.empty() ? "" : ".") + HexEncode(part) + "x";
  return text;
}

Result<std::vector<std::string>> DecodeCursor(std::string_view cursor, size_t parts) {
  std::vector<std::string> decoded;
  const Error bad = FieldError("cursor", "is not of this list");
  while (!cursor.empty()) {
    const size_t end = std::min(cursor.find('.'), cursor.size());
    std::string_view part = cursor.substr(0, end);
    cursor.remove_prefix(std::min(end + 1, cursor.size()));
    if (!part.ends_with('x')) return bad;
    part.remove_suffix(1);
    Result<std::string> bytes = HexDecode(part);
    if (!bytes) return bad;
    decoded.push_back(std::move(*bytes));
  }
  if (decoded.size() != parts) return bad;
  return decoded;
}

}  // namespace longhaul
