#include "events/hint.h"

#include <boost/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/random.h"

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

boost::json::array SegmentToJson(const SegmentHint& hint) {
  const Segment& segment = hint.segment;
  return {segment.plan,
          segment.number,
          segment.count,
          segment.offset_bytes,
          segment.object_size_bytes,
          segment.first_part,
          hint.size_bytes,
          hint.part_size_bytes,
          Micros(hint.stamp),
          PercentEncode(hint.etag, Slash::kKeep),
          Micros(hint.last_modified)};
}

std::optional<SegmentHint> SegmentFromJson(const boost::json::value& value) {
  if (!value.is_array() || value.as_array().size() != 11) return std::nullopt;
  const boost::json::array& fields = value.as_array();
  bool good = fields[0].is_string() && fields[9].is_string() && fields[8].is_int64() &&
              fields[10].is_int64();
  auto number = [&](size_t index, uint64_t max) -> uint64_t {
    boost::system::error_code error;
    const auto n = fields[index].is_number() ? fields[index].to_number<uint64_t>(error) : max + 1;
    good = good && !error && n <= max;
    return n;
  };
  constexpr uint64_t kSizeMax = 1ULL << 50;  // Beyond every store's largest object.
  SegmentHint hint;
  hint.segment.number = static_cast<uint32_t>(number(1, kSegmentsMax));
  hint.segment.count = static_cast<uint32_t>(number(2, kSegmentsMax));
  hint.segment.offset_bytes = number(3, kSizeMax);
  hint.segment.object_size_bytes = number(4, kSizeMax);
  hint.segment.first_part = static_cast<uint32_t>(number(5, kSegmentsMax));
  hint.size_bytes = number(6, kContentSizeBytesMax);
  hint.part_size_bytes = number(7, kContentSizeBytesMax);
  if (!good) return std::nullopt;
  hint.segment.plan = fields[0].as_string();
  hint.stamp = SystemTime(std::chrono::microseconds(fields[8].as_int64()));
  hint.last_modified = SystemTime(std::chrono::microseconds(fields[10].as_int64()));
  Result<std::string> etag = PercentDecode(fields[9].as_string());
  if (!etag || !IsUlid(hint.segment.plan) || hint.segment.number >= hint.segment.count ||
      hint.segment.first_part == 0 || hint.part_size_bytes == 0 || hint.size_bytes == 0 ||
      hint.segment.offset_bytes + hint.size_bytes > hint.segment.object_size_bytes) {
    return std::nullopt;
  }
  hint.etag = std::move(*etag);
  return hint;
}

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

// A rule's id has no "/" in it.
std::string FreshLane(const std::string& rule) { return rule; }
std::string BacklogLane(const std::string& rule) { return rule + "/backlog"; }
std::string SegmentLane(const std::string& rule) { return rule + "/segments"; }

// {"v":1,"store":…,"bucket":…,"origin":…,"hints":[[key, microseconds, size or null, tries,
// segment or null, microseconds heard or null, attributes], …]}, keys percent-encoded: they are
// bytes, JSON is text. The last three may be missing. A segment is [plan, number, count, offset,
// object size, first part, size, part size, stamp, ETag, last modified]
std::vector<NewMessage> EncodeHints(const HintMessage& message) {
  std::vector<NewMessage> messages;
  const bool listed = message.origin == HintOrigin::kListing;
  auto put = [&](std::string body, bool segment) {
    messages.push_back({.body = std::move(body),
                        .lane = segment  ? SegmentLane(message.rule)
                                : listed ? BacklogLane(message.rule)
                                         : FreshLane(message.rule)});
  };
  const std::string header = Header(message);
  std::string body;
  size_t count = 0;
  bool segment_before = false;
  for (const Hint& hint : message.hints) {
    boost::json::array item{PercentEncode(hint.key, Slash::kKeep), Micros(hint.time)};
    if (hint.size_bytes) {
      item.emplace_back(*hint.size_bytes);
    } else {
      item.emplace_back(nullptr);
    }
    item.emplace_back(hint.tries);
    if (hint.segment) {
      item.emplace_back(SegmentToJson(*hint.segment));
    } else if (hint.heard || hint.attributes) {
      item.emplace_back(nullptr);
    }
    if (hint.heard) {
      item.emplace_back(Micros(*hint.heard));
    } else if (hint.attributes) {
      item.emplace_back(nullptr);
    }
    if (hint.attributes) item.emplace_back(true);
    std::string text = boost::json::serialize(item);
    const bool after_segment = std::exchange(segment_before, hint.segment.has_value());
    const bool alone = hint.segment || after_segment;
    if (count == kHintsPerMessageMax || (count > 0 && alone) ||
        (count > 0 && body.size() + text.size() + 3 > kHintMessageBytesMax)) {
      put(body + "]}", after_segment);
      count = 0;
    }
    if (count++ == 0) {
      body = header;
    } else {
      body += ',';
    }
    body += text;
  }
  if (count > 0) put(body + "]}", segment_before);
  return messages;
}

Result<HintMessage> DecodeHints(std::string_view body) {
  Error bad = InvalidInput("not a message of hints: '" + std::string(body.substr(0, 100)) + "'");
  if (body.size() > (256 << 10)) return bad;
  boost::json::parse_options options;
  options.max_depth = 5;
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
    if (!item.is_array()) return bad;
    const boost::json::array& fields = item.as_array();
    if (fields.size() < 4 || fields.size() > 7) return bad;
    if (!fields[0].is_string() || !fields[1].is_int64() || !fields[3].is_int64()) return bad;
    Result<std::string> key = PercentDecode(fields[0].as_string());
    if (!key || key->empty()) return bad;
    Hint hint{.key = std::move(*key),
              .time = SystemTime(std::chrono::microseconds(fields[1].as_int64())),
              .size_bytes = std::nullopt,
              .tries = static_cast<int>(fields[3].as_int64())};
    if (fields[2].is_int64() && fields[2].as_int64() >= 0) {
      hint.size_bytes = static_cast<uint64_t>(fields[2].as_int64());
    } else if (!fields[2].is_null() && !fields[2].is_uint64() && !fields[2].is_double()) {
      return bad;  // (A number too large for a size is none: the other hints are worth more.)
    }
    if (fields.size() >= 5 && !fields[4].is_null()) {
      hint.segment = SegmentFromJson(fields[4]);
      if (!hint.segment) return bad;
    }
    if (fields.size() == 7) {
      if (!fields[6].is_bool()) return bad;
      hint.attributes = fields[6].as_bool();
    }
    if (fields.size() >= 6 && !fields[5].is_null()) {
      if (!fields[5].is_int64()) return bad;
      hint.heard = SystemTime(std::chrono::microseconds(fields[5].as_int64()));
    }
    message.hints.push_back(std::move(hint));
  }
  return message;
}

}  // namespace longhaul
