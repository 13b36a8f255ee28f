#include "gateway/protocol/post_form.h"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "base/ascii.h"
#include "base/bytes.h"
#include "base/json.h"
#include "gateway/protocol/errors.h"

namespace longhaul {
namespace {

namespace json = boost::json;

constexpr size_t kFieldBytesMax = 20 << 10;
constexpr size_t kBoundarySizeMax = 70;  // RFC 2046, 5.1.1.
// What ends a field, or the head of the file, is seen where that may still be taken.
static_assert(kPostFieldsBytesMax >= kFieldBytesMax + kBoundarySizeMax + 4);
constexpr uint64_t kFileBytesMax = 5ULL << 30;

Error TooLong() {
  return GatewayError("MaxPostPreDataLengthExceededError",
                      "Your POST request fields preceding the upload file were too large.");
}
Error Malformed(std::string message) {
  return GatewayError("MalformedPOSTRequest",
                      "The body of your POST request is not well-formed multipart/form-data: " +
                          std::move(message));
}

// The value of `name` among the parameters behind the first ";"; quoted or not.
std::string Parameter(std::string_view header, std::string_view name) {
  size_t at = header.find(';');
  while (at != std::string_view::npos) {
    header.remove_prefix(at + 1);
    while (header.starts_with(' ') || header.starts_with('\t')) header.remove_prefix(1);
    size_t equals = header.find_first_of("=;");
    if (equals == std::string_view::npos || header[equals] == ';') {
      at = equals;
      continue;
    }
    bool wanted = LowerAscii(header.substr(0, equals)) == name;
    header.remove_prefix(equals + 1);
    std::string value;
    if (header.starts_with('"')) {
      size_t i = 1;
      for (; i < header.size() && header[i] != '"'; ++i) {
        if (header[i] == '\\' && i + 1 < header.size()) ++i;
        value += header[i];
      }
      header.remove_prefix(std::min(header.size(), i + 1));
    } else {
      value = header.substr(0, header.find(';'));
      while (value.ends_with(' ')) value.pop_back();
    }
    if (wanted) return value;
    at = header.find(';');
  }
  return "";
}

struct Part {
  std::string name;
  std::string filename;
};

Result<Part> ReadPartHead(std::string_view head) {
  while (!head.empty()) {
    size_t end = head.find("\r\n");
    std::string_view line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
    size_t colon = line.find(':');
    if (colon == std::string_view::npos ||
        LowerAscii(line.substr(0, colon)) != "content-disposition") {
      continue;
    }
    Part part{.name = LowerAscii(Parameter(line, "name")), .filename = Parameter(line, "filename")};
    if (part.name.empty()) break;
    return part;
  }
  return Malformed("a part without a name");
}

Error Against(std::string message) {
  return GatewayDenied("AccessDenied", "Invalid according to Policy: " + std::move(message));
}
Error BadPolicy(std::string message) {
  return GatewayError("InvalidPolicyDocument",
                      "The content of the form does not meet the conditions specified in the "
                      "policy document: " +
                          std::move(message));
}

// Numbers come as numbers or as texts.
std::optional<uint64_t> SizeOf(const json::value& value) {
  if (value.is_int64() && value.get_int64() >= 0) return static_cast<uint64_t>(value.get_int64());
  if (!value.is_string() || value.get_string().empty() || value.get_string().size() > 15) {
    return std::nullopt;
  }
  uint64_t size = 0;
  for (char c : value.get_string()) {
    if (c < '0' || c > '9') return std::nullopt;
    size = size * 10 + static_cast<uint64_t>(c - '0');
  }
  return size;
}

class PolicyCheck {
 public:
  PolicyCheck(const PostForm& form, std::string_view bucket) : form_(form), fields_(form.fields) {
    fields_["bucket"] = bucket;
  }

  Result<void> Condition(const json::value& condition) {
    if (condition.is_object()) {
      if (condition.get_object().size() != 1) return BadPolicy("a condition of one field");
      const auto& member = *condition.get_object().begin();
      if (!member.value().is_string()) return BadPolicy("a condition whose value is no text");
      return Compare("eq", member.key(), member.value().get_string());
    }
    if (!condition.is_array() || condition.get_array().size() != 3 ||
        !condition.get_array()[0].is_string()) {
      return BadPolicy("a condition that is none");
    }
    const json::array& list = condition.get_array();
    std::string how = LowerAscii(list[0].get_string());
    if (how == "content-length-range") return Length(list[1], list[2]);
    if (!list[1].is_string() || !list[2].is_string()) return BadPolicy("a condition of no texts");
    std::string_view name = list[1].get_string();
    if (!name.starts_with('$') || (how != "eq" && how != "starts-with")) {
      return BadPolicy("a condition that is neither eq nor starts-with of a $field");
    }
    return Compare(how, name.substr(1), list[2].get_string());
  }

  // S3 API Reference: each field must be in a condition, but for these.
  Result<void> NothingElse() const {
    for (const auto& [name, value] : fields_) {
      if (named_.contains(name) || name == "policy" || name == "x-amz-signature" ||
          name.starts_with("x-ignore-")) {
        continue;
      }
      return Against("Extra input fields: " + name);
    }
    return Ok();
  }

 private:
  Result<void> Compare(std::string_view how, std::string_view field, std::string_view wanted) {
    std::string name = LowerAscii(field);
    named_.insert(name);
    auto found = fields_.find(name);
    std::string_view value = found == fields_.end() ? std::string_view() : found->second;
    bool holds =
        how == "eq" ? found != fields_.end() && value == wanted : value.starts_with(wanted);
    if (holds) return Ok();
    return Against("Policy Condition failed: [\"" + std::string(how) + "\", \"$" + name + "\", \"" +
                   std::string(wanted) + "\"]");
  }
  Result<void> Length(const json::value& min, const json::value& max) const {
    std::optional<uint64_t> least = SizeOf(min);
    std::optional<uint64_t> most = SizeOf(max);
    if (!least || !most || *least > *most || *most > kFileBytesMax) {
      return BadPolicy("a content-length-range that is none");
    }
    if (!form_.file) return Ok();
    if (form_.file->size() < *least) {
      return GatewayError("EntityTooSmall", "the file is smaller than the policy allows");
    }
    if (form_.file->size() > *most) {
      return GatewayError("EntityTooLarge", "the file is larger than the policy allows");
    }
    return Ok();
  }

  const PostForm& form_;
  std::map<std::string, std::string> fields_;
  std::set<std::string> named_;
};

}  // namespace

Result<PostForm> ParsePostFields(std::string_view content_type, std::string_view body, bool more) {
  std::string boundary = Parameter(content_type, "boundary");
  if (boundary.empty() || boundary.size() > kBoundarySizeMax) return Malformed("no boundary");
  PostForm form;
  form.delimiter = "\r\n--" + boundary;
  const std::string& delimiter = form.delimiter;
  const char* const whole = body.data();
  if (body.starts_with("\r\n")) body.remove_prefix(2);
  if (!body.starts_with(std::string_view(delimiter).substr(2))) return Malformed("no first part");
  size_t at = delimiter.size() - 2;
  while (true) {
    std::string_view rest = body.substr(at);
    if (rest.starts_with("--")) break;
    while (rest.starts_with(' ') || rest.starts_with('\t')) rest.remove_prefix(1);
    if (!rest.starts_with("\r\n")) return Malformed("no line break behind a boundary");
    // The line break before the first header also ends a head without any.
    size_t head_end = rest.find("\r\n\r\n");
    size_t begin = static_cast<size_t>(rest.data() - body.data());
    if (begin > kFieldBytesMax ||
        (head_end == std::string_view::npos ? more : begin + head_end > kFieldBytesMax)) {
      return TooLong();
    }
    if (head_end == std::string_view::npos) return Malformed("a part without an end of its head");
    Result<Part> part = ReadPartHead(rest.substr(0, head_end));
    if (!part) return part.error();
    begin += head_end + 4;
    if (part->name == "file") {
      form.file_begin = begin + static_cast<size_t>(body.data() - whole);
      form.filename = std::move(part->filename);
      return form;
    }
    size_t end = body.find(delimiter, begin);
    if (end == std::string_view::npos ? more : end > kFieldBytesMax) return TooLong();
    if (end == std::string_view::npos) return Malformed("a part without an end");
    std::string value(body.substr(begin, end - begin));
    if (!form.fields.emplace(part->name, std::move(value)).second) {
      return GatewayError("InvalidArgument", "the form has the field " + part->name + " twice");
    }
    at = end + delimiter.size();
  }
  return GatewayError("InvalidArgument", "POST requires exactly one file upload per request.");
}

Result<void> FindPostFile(PostForm& form, std::string_view body) {
  size_t end = body.find(form.delimiter, form.file_begin);
  if (end == std::string_view::npos) return Malformed("a part without an end");
  form.file = body.substr(form.file_begin, end - form.file_begin);
  return Ok();
}

Result<void> CheckPostPolicy(const PostForm& form, const std::string& bucket, SystemTime now) {
  Result<std::string> text = Base64Decode(form.Get("policy"));
  if (!text) return BadPolicy("it is not base64");
  Result<json::value> policy = ParseJson(*text, {.size_bytes_max = kFieldBytesMax, .depth_max = 8});
  if (!policy || !policy->is_object()) return BadPolicy("it is not a JSON object");
  const json::object& object = policy->get_object();
  const json::value* expiration = object.if_contains("expiration");
  const json::value* conditions = object.if_contains("conditions");
  if (expiration == nullptr || !expiration->is_string()) return BadPolicy("it has no expiration");
  if (conditions == nullptr || !conditions->is_array()) return BadPolicy("it has no conditions");
  Result<SystemTime> until = ParseRfc3339(expiration->get_string());
  if (!until) return BadPolicy("its expiration is not a time");
  if (*until <= now) return Against("Policy expired.");
  PolicyCheck check(form, bucket);
  for (const json::value& condition : conditions->get_array()) {
    Result<void> holds = check.Condition(condition);
    if (!holds) return holds;
  }
  return check.NothingElse();
}

}  // namespace longhaul
