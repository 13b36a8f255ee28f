#include "events/hint.h"

#include <boost/json.hpp>

#include "base/bytes.h"

namespace longhaul {

namespace {

std::string_view OriginName(HintOrigin origin) {
  switch (origin) {
    case HintOrigin::kWebhook:
      return "webhook";
    case HintOrigin::kListing:
      return "listing";
    case HintOrigin::kWatch:
      return "watch";
    case HintOrigin::kReread:
      return "reread";
  }
  return "webhook";
}

std::optional<HintOrigin> OriginNamed(std::string_view name) {
  for (HintOrigin origin :
       {HintOrigin::kWebhook, HintOrigin::kListing, HintOrigin::kWatch, HintOrigin::kReread}) {
    if (name == OriginName(origin)) return origin;
  }
  return std::nullopt;
}

int64_t Micros(SystemTime time) { return time.time_since_epoch().count(); }

std::string Header(const HintMessage& message) {
  boost::json::object header{{"v", 1},
                             {"store", message.store},
                             {"bucket", message.bucket},
                             {"origin", OriginName(message.origin)}};
  if (!message.rule.empty()) header["rule"] = message.rule;
  if (!message.target.empty()) header["target"] = message.target;
  std::string text = boost::json::serialize(header);
  text.pop_back();  // The closing brace.
  return text + ",\"hints\":[";
}

}  // namespace

// {"v":1,"store":…,"bucket":…,"origin":…,"hints":[[key, microseconds, size or null, tries], …]},
// keys percent-encoded: they are bytes, JSON is text.
std::vector<std::string> EncodeHints(const HintMessage& message) {
  std::vector<std::string> bodies;
  const std::string header = Header(message);
  std::string body;
  size_t count = 0;
  for (const Hint& hint : message.hints) {
    boost::json::array item{PercentEncode(hint.key, Slash::kKeep), Micros(hint.time)};
    if (hint.size_bytes) {
      item.emplace_back(*hint.size_bytes);
    } else {
      item.emplace_back(nullptr);
    }
    item.emplace_back(hint.tries);
    std::string text = boost::json::serialize(item);
    if (count == kHintsPerMessageMax ||
        (count > 0 && body.size() + text.size() + 3 > kHintMessageBytesMax)) {
      bodies.push_back(body + "]}");
      count = 0;
    }
    if (count++ == 0) {
      body = header;
    } else {
      body += ',';
    }
    body += text;
  }
  if (count > 0) bodies.push_back(body + "]}");
  return bodies;
}

Result<HintMessage> DecodeHints(std::string_view body) {
  Error bad = InvalidInput("not a message of hints: '" + std::string(body.substr(0, 100)) + "'");
  if (body.size() > (256 << 10)) return bad;
  boost::json::parse_options options;
  options.max_depth = 4;
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(body, error, {}, options);
  if (error || !value.is_object()) return bad;
  const boost::json::object& object = value.as_object();
  auto text = [&](const char* name) -> std::string {
    const boost::json::value* found = object.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
  };
  const boost::json::value* version = object.if_contains("v");
  if (version == nullptr || !version->is_int64() || version->as_int64() != 1) return bad;
  HintMessage message{.store = text("store"),
                      .bucket = text("bucket"),
                      .rule = text("rule"),
                      .target = text("target")};
  std::optional<HintOrigin> origin = OriginNamed(text("origin"));
  const boost::json::value* hints = object.if_contains("hints");
  if (!origin || message.store.empty() || message.bucket.empty() || hints == nullptr ||
      !hints->is_array() || hints->as_array().size() > kHintsPerMessageMax) {
    return bad;
  }
  message.origin = *origin;
  for (const boost::json::value& item : hints->as_array()) {
    if (!item.is_array() || item.as_array().size() != 4) return bad;
    const boost::json::array& fields = item.as_array();
    if (!fields[0].is_string() || !fields[1].is_int64() || !fields[3].is_int64()) return bad;
    Result<std::string> key = PercentDecode(fields[0].as_string());
    if (!key || key->empty()) return bad;
    Hint hint{.key = std::move(*key),
              .time = SystemTime(std::chrono::microseconds(fields[1].as_int64())),
              .size_bytes = std::nullopt,
              .tries = static_cast<int>(fields[3].as_int64())};
    if (fields[2].is_int64() && fields[2].as_int64() >= 0) {
      hint.size_bytes = static_cast<uint64_t>(fields[2].as_int64());
    } else if (!fields[2].is_null()) {
      return bad;
    }
    message.hints.push_back(std::move(hint));
  }
  return message;
}

}  // namespace longhaul
