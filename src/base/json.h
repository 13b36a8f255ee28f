// Json: bounded parsing and typed reading of JSON that comes from outside.
//
// Refused, although parsers often let it pass: doubled keys (each reader would see another value),
// numbers too large for a double, text that is not UTF-8, anything behind the value. Include
// <boost/json.hpp> in the .cc file that uses these.

#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace longhaul {

struct JsonLimits {
  size_t size_bytes_max = 1 << 20;
  size_t depth_max = 32;
};

// kInvalidInput: not JSON, or beyond the limits; says at which byte.
Result<boost::json::value> ParseJson(std::string_view text, JsonLimits limits = {});

// Compact, members in the order in which they were put in: the same value gives the same bytes.
// Numbers in it must be finite (CHECK). Strings must be UTF-8; what is not becomes U+FFFD.
std::string WriteJson(const boost::json::value& value);

// Appends `text` as a JSON string with quotes. Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string& out, std::string_view text);
bool IsUtf8(std::string_view text);
// The bytes of the UTF-8 sequence at text[at]; 0 when there is none (RFC 3629, 4).
size_t Utf8Length(std::string_view text, size_t at);

// A value with its path from the top, as in "$.Records[0].s3.bucket". Borrows the value. Every
// error is kInvalidInput and names the path.
class JsonView {
 public:
  explicit JsonView(const boost::json::value& value, std::string path = "$")
      : value_(&value), path_(std::move(path)) {}

  // A member of an object: it must be there / nullopt where it is absent or null.
  [[nodiscard]] Result<JsonView> Member(std::string_view name) const;
  [[nodiscard]] Result<std::optional<JsonView>> MemberIfThere(std::string_view name) const;
  [[nodiscard]] Result<std::vector<JsonView>> Items() const;
  [[nodiscard]] Result<std::string_view> Text() const;  // Lives as long as the value.
  [[nodiscard]] Result<int64_t> Integer(int64_t min, int64_t max) const;
  [[nodiscard]] Result<bool> Boolean() const;
  // Shorter for what is most common.
  [[nodiscard]] Result<std::string_view> Text(std::string_view name) const;
  [[nodiscard]] Result<int64_t> Integer(std::string_view name, int64_t min, int64_t max) const;

  [[nodiscard]] const boost::json::value& value() const { return *value_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] Error Wrong(std::string_view wanted) const;

  const boost::json::value* value_;
  std::string path_;
};

}  // namespace longhaul
