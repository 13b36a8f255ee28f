#include "observe/otlp.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <cmath>

#include "base/json.h"

namespace longhaul {

namespace {

constexpr size_t kTextBytesMax = 1'024;
constexpr size_t kVersionAt = 0, kTraceAt = 3, kSpanAt = 36, kFlagsAt = 53, kLength = 55;
constexpr int kStatusError = 2;

bool IsHex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsId(std::string_view text) {
  return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

std::string Nanoseconds(SystemTime time) {
  const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch());
  return "\"" + std::to_string(std::max<int64_t>(0, since.count())) + "\"";
}

void AppendText(std::string& out, std::string_view text) {
  AppendJsonString(out, text.substr(0, kTextBytesMax));
}

struct AppendValue {
  std::string& out;
  void operator()(const std::string& value) const {
    out += "{\"stringValue\":";
    AppendText(out, value);
    out += '}';
  }
  void operator()(int64_t value) const {
    out += "{\"intValue\":\"" + std::to_string(value) + "\"}";
  }
  void operator()(double value) const {
    out += "{\"doubleValue\":" + std::to_string(std::isfinite(value) ? value : 0) + "}";
  }
  void operator()(bool value) const {
    out += value ? "{\"boolValue\":true}" : "{\"boolValue\":false}";
  }
};

void AppendAttributes(std::string& out, const SpanAttributes& attributes) {
  out += "\"attributes\":[";
  for (const auto& [name, value] : attributes) {
    if (!out.ends_with('[')) out += ',';
    out += "{\"key\":";
    AppendText(out, name);
    out += ",\"value\":";
    std::visit(AppendValue{out}, value);
    out += '}';
  }
  out += ']';
}

void AppendSpan(std::string& out, const Span& span) {
  out +=
      "{\"traceId\":\"" + span.context.trace_id + "\",\"spanId\":\"" + span.context.span_id + "\"";
  if (!span.parent_id.empty()) out += ",\"parentSpanId\":\"" + span.parent_id + "\"";
  out += ",\"name\":";
  AppendText(out, span.name);
  out += ",\"kind\":" + std::to_string(static_cast<int>(span.kind));
  out += ",\"startTimeUnixNano\":" + Nanoseconds(span.begin);
  out += ",\"endTimeUnixNano\":" + Nanoseconds(std::max(span.begin, span.end)) + ",";
  AppendAttributes(out, span.attributes);
  if (span.error) {
    out += ",\"status\":{\"code\":" + std::to_string(kStatusError) + ",\"message\":";
    AppendText(out, *span.error);
    out += '}';
  }
  out += '}';
}

}  // namespace

std::string FormatTraceparent(const SpanContext& context) {
  return "00-" + context.trace_id + "-" + context.span_id + "-01";
}

std::optional<SpanContext> ParseTraceparent(std::string_view text) {
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') {
    return std::nullopt;
  }
  const std::string_view version = text.substr(kVersionAt, 2);
  const std::string_view flags = text.substr(kFlagsAt, 2);
  if (!IsHex(version) || version == "ff" || !IsHex(flags)) return std::nullopt;
  if (version == "00" ? text.size() != kLength : text.size() > kLength && text[kLength] != '-') {
    return std::nullopt;
  }
  SpanContext context{.trace_id = std::string(text.substr(kTraceAt, 32)),
                      .span_id = std::string(text.substr(kSpanAt, 16))};
  if (!IsId(context.trace_id) || !IsId(context.span_id)) return std::nullopt;
  // The last bit says whether it is sampled.
  if (!std::string_view("13579bdf").contains(flags[1])) return std::nullopt;
  return context;
}

std::string OtlpTraces(const SpanAttributes& resource, std::string_view version,
                       const std::vector<Span>& spans) {
  std::string out = "{\"resourceSpans\":[{\"resource\":{";
  AppendAttributes(out, resource);
  out += "},\"scopeSpans\":[{\"scope\":{\"name\":\"longhaul\",\"version\":";
  AppendText(out, version);
  out += "},\"spans\":[";
  for (const Span& span : spans) {
    if (!out.ends_with('[')) out += ',';
    AppendSpan(out, span);
  }
  return out + "]}]}]}";
}

uint64_t RejectedSpans(std::string_view answer) {
  Result<boost::json::value> json = ParseJson(answer);
  if (!json || !json->is_object()) return 0;
  const boost::json::value* partial = json->as_object().if_contains("partialSuccess");
  if (partial == nullptr || !partial->is_object()) return 0;
  const boost::json::value* rejected = partial->as_object().if_contains("rejectedSpans");
  if (rejected == nullptr) return 0;
  if (rejected->is_int64())
    return static_cast<uint64_t>(std::max<int64_t>(0, rejected->as_int64()));
  if (!rejected->is_string()) return 0;
  const std::string_view text = rejected->as_string();
  uint64_t count = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && end == text.data() + text.size() ? count : 0;
}

}  // namespace longhaul
