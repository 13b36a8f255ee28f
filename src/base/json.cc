#include "base/json.h"

#include <algorithm>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>

#include "base/check.h"

namespace longhaul {

namespace json = boost::json;

namespace {

constexpr char kHex[] = "0123456789abcdef";

// Builds a value as json::parser does, and counts members, so that doubled keys can be noticed: the
// object that comes out is smaller than what went in.
struct Builder {
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);

  json::value_stack stack;
  size_t member_count = 0;
  std::string number_text;  // Of a number whose text comes in parts.

  bool on_document_begin(json::error_code&) {
    stack.reset();
    return true;
  }
  bool on_document_end(json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t count, json::error_code&) {
    stack.push_array(count);
    return true;
  }
  bool on_object_begin(json::error_code&) { return true; }
  bool on_object_end(std::size_t count, json::error_code&) {
    member_count += count;
    stack.push_object(count);
    return true;
  }
  bool on_string_part(json::string_view text, std::size_t, json::error_code&) {
    stack.push_chars(text);
    return true;
  }
  bool on_string(json::string_view text, std::size_t, json::error_code&) {
    stack.push_string(text);
    return true;
  }
  bool on_key_part(json::string_view text, std::size_t, json::error_code&) {
    stack.push_chars(text);
    return true;
  }
  bool on_key(json::string_view text, std::size_t, json::error_code&) {
    stack.push_key(text);
    return true;
  }
  bool on_number_part(json::string_view text, json::error_code&) {
    number_text.append(text.data(), text.size());
    return true;
  }
  bool on_int64(std::int64_t number, json::string_view, json::error_code&) {
    number_text.clear();
    stack.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, json::string_view, json::error_code&) {
    number_text.clear();
    stack.push_uint64(number);
    return true;
  }
  bool on_double(double number, json::string_view text, json::error_code& error) {
    // Boost 1.81 rounds the last bit wrongly where there are many digits.
    number_text.append(text.data(), text.size());
    const char* end = number_text.data() + number_text.size();
    double exact = 0;
    auto read = std::from_chars(number_text.data(), end, exact);
    if (read.ec == std::errc() && read.ptr == end) number = exact;
    number_text.clear();
    if (!std::isfinite(number)) {
      error = json::make_error_code(json::error::exponent_overflow);
      return false;
    }
    stack.push_double(number);
    return true;
  }
  bool on_bool(bool boolean, json::error_code&) {
    stack.push_bool(boolean);
    return true;
  }
  bool on_null(json::error_code&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

// The members of all objects in `value`.
size_t CountMembers(const json::value& value) {
  size_t count = 0;
  if (const json::object* object = value.if_object()) {
    count = object->size();
    for (const auto& member : *object) count += CountMembers(member.value());
  } else if (const json::array* array = value.if_array()) {
    for (const json::value& item : *array) count += CountMembers(item);
  }
  return count;
}

void Write(const json::value& value, std::string& out) {
  switch (value.kind()) {
    case json::kind::string:
      AppendJsonString(out, std::string_view(value.get_string().data(), value.get_string().size()));
      return;
    case json::kind::object: {
      char separator = '{';
      for (const auto& member : value.get_object()) {
        out += separator;
        separator = ',';
        AppendJsonString(out, std::string_view(member.key().data(), member.key().size()));
        out += ':';
        Write(member.value(), out);
      }
      out += separator == '{' ? "{}" : "}";
      return;
    }
    case json::kind::array: {
      char separator = '[';
      for (const json::value& item : value.get_array()) {
        out += separator;
        separator = ',';
        Write(item, out);
      }
      out += separator == '[' ? "[]" : "]";
      return;
    }
    case json::kind::double_:
      LH_CHECK(std::isfinite(value.get_double()));
      break;
    default:
      break;
  }
  out += json::serialize(value);
}

}  // namespace

Result<json::value> ParseJson(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.size_bytes_max) {
    return InvalidInput("JSON of " + std::to_string(text.size()) + " bytes, where at most " +
                        std::to_string(limits.size_bytes_max) + " are read");
  }
  json::parse_options options;
  options.max_depth = limits.depth_max;
  try {
    json::basic_parser<Builder> parser(options);
    json::error_code error;
    size_t read = parser.write_some(false, text.data(), text.size(), error);
    if (!error && read < text.size()) error = json::make_error_code(json::error::extra_data);
    if (error) {
      return InvalidInput("not JSON at byte " + std::to_string(read) + ": " + error.message());
    }
    Builder& builder = parser.handler();
    json::value value = builder.stack.release();
    if (CountMembers(value) != builder.member_count) {
      return InvalidInput("JSON with the same name twice in one object");
    }
    return value;
  } catch (const std::exception& exception) {  // Out of memory, or a length that cannot be.
    return InvalidInput(std::string("not JSON: ") + exception.what());
  }
}

std::string WriteJson(const json::value& value) {
  std::string out;
  Write(value, out);
  return out;
}

// The bytes of the UTF-8 sequence at text[at]; 0 when there is none (RFC 3629, 4).
size_t Utf8Length(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0U; };
  auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned first = byte(at);
  const unsigned second = byte(at + 1);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(at + 1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!follows(at + 1) || !follows(at + 2)) return 0;
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!follows(at + 1) || !follows(at + 2) || !follows(at + 3)) return 0;
    if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
    return 4;
  }
  return 0;
}

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = Utf8Length(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  for (size_t i = 0; i < text.size();) {
    const size_t length = Utf8Length(text, i);
    const auto c = static_cast<uint8_t>(text[i]);
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += text.substr(i, length);
    }
    i += std::max<size_t>(length, 1);
  }
  out += '"';
}

Error JsonView::Wrong(std::string_view wanted) const {
  return InvalidInput(path_ + " is not " + std::string(wanted));
}

Result<JsonView> JsonView::Member(std::string_view name) const {
  Result<std::optional<JsonView>> member = MemberIfThere(name);
  if (!member) return member.error();
  if (!*member) return InvalidInput(path_ + "." + std::string(name) + " is missing");
  return **member;
}

Result<std::optional<JsonView>> JsonView::MemberIfThere(std::string_view name) const {
  const json::object* object = value_->if_object();
  if (object == nullptr) return Wrong("an object");
  const json::value* member = object->if_contains({name.data(), name.size()});
  if (member == nullptr || member->is_null()) return std::optional<JsonView>();
  return std::optional<JsonView>(JsonView(*member, path_ + "." + std::string(name)));
}

Result<std::vector<JsonView>> JsonView::Items() const {
  const json::array* array = value_->if_array();
  if (array == nullptr) return Wrong("a list");
  std::vector<JsonView> items;
  items.reserve(array->size());
  for (size_t i = 0; i < array->size(); ++i) {
    items.emplace_back((*array)[i], path_ + "[" + std::to_string(i) + "]");
  }
  return items;
}

Result<std::string_view> JsonView::Text() const {
  const json::string* text = value_->if_string();
  if (text == nullptr) return Wrong("a text");
  return std::string_view(text->data(), text->size());
}

Result<int64_t> JsonView::Integer(int64_t min, int64_t max) const {
  const std::string wanted =
      "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  const int64_t* number = value_->if_int64();  // Beyond int64 it is a uint64 or a double.
  if (number == nullptr || *number < min || *number > max) return Wrong(wanted);
  return *number;
}

Result<bool> JsonView::Boolean() const {
  const bool* boolean = value_->if_bool();
  if (boolean == nullptr) return Wrong("true or false");
  return *boolean;
}

Result<std::string_view> JsonView::Text(std::string_view name) const {
  Result<JsonView> member = Member(name);
  if (!member) return member.error();
  return member->Text();
}

Result<int64_t> JsonView::Integer(std::string_view name, int64_t min, int64_t max) const {
  Result<JsonView> member = Member(name);
  if (!member) return member.error();
  return member->Integer(min, max);
}

}  // namespace longhaul
