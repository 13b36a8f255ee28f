#include "rules/tracing.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/ascii.h"

namespace longhaul {

namespace {

constexpr size_t kHeadersMax = 20;
constexpr size_t kHeaderBytesMax = 8'000;

// "1%" or 0.01.
std::optional<double> Share(const YamlValue& value) {
  std::optional<std::string> text = value.Text();
  if (!text) return std::nullopt;
  std::string_view digits = *text;
  const bool percent = digits.ends_with('%');
  if (percent) digits.remove_suffix(1);
  double share = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), share);
  if (percent) share /= 100;
  if (error != std::errc() || end != digits.data() + digits.size() || !(share >= 0 && share <= 1)) {
    value.Fail("'" + text->substr(0, 80) + "' is no share", "write 0% to 100%, or 0 to 1");
    return std::nullopt;
  }
  return share;
}

bool IsUrl(std::string_view url) {
  const size_t scheme = url.starts_with("https://") ? 8 : url.starts_with("http://") ? 7 : 0;
  return scheme > 0 && url.size() > scheme && url.size() <= 2'000 && url[scheme] != '/' &&
         std::ranges::all_of(url, [](char c) {
           return c > ' ' && c < 127 && !std::string_view("?#@\"<>\\").contains(c);
         });
}

// RFC 9110, 5.6.2: a token.
bool IsHeaderName(std::string_view name) {
  return !name.empty() && name.size() <= 100 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

// Those that the request has anyway.
bool IsOwn(std::string name) {
  std::ranges::transform(name, name.begin(), [](char c) { return LowerAscii(c); });
  return name == "host" || name == "content-length" || name == "content-type" ||
         name == "transfer-encoding" || name == "connection";
}

void ReadHeaders(const YamlValue& value, Tracing& tracing) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  for (auto& [name, header] : fields->All()) {
    std::optional<std::string> text = header.Text();
    if (!text) continue;
    if (!IsHeaderName(name) || IsOwn(name)) {
      header.Fail("'" + name.substr(0, 80) + "' cannot be a header of these requests",
                  "write what the collector asks for, as x-api-key");
    } else if (text->size() > kHeaderBytesMax ||
               std::ranges::any_of(*text, [](char c) { return c < ' ' && c != '\t'; })) {
      header.Fail("cannot be the value of a header", "write it on one line");
    } else {
      tracing.headers.emplace_back(name, Secret(std::move(*text)));
    }
  }
  if (tracing.headers.size() > kHeadersMax) value.Fail("has more than 20 headers", "remove some");
}

}  // namespace

Tracing ReadTracing(YamlFields& top) {
  Tracing tracing;
  std::optional<YamlValue> value = top.Find("traces");
  std::optional<YamlFields> fields = value ? value->Fields() : std::nullopt;
  if (!fields) return tracing;
  if (auto otlp = fields->Require("otlp", "otlp: http://127.0.0.1:4318")) {
    if (std::optional<std::string> url = otlp->Text()) {
      while (url->ends_with('/')) url->pop_back();
      if (url->ends_with("/v1/traces")) {
        otlp->Fail("names the path of traces", "leave /v1/traces out: it is added");
      } else if (!IsUrl(*url)) {
        otlp->Fail("is no URL of a collector",
                   "write http:// or https:// and a host; keys belong into headers");
      } else {
        tracing.otlp = std::move(*url);
      }
    }
  }
  if (auto sample = fields->Find("sample")) tracing.sample = Share(*sample).value_or(0);
  if (auto headers = fields->Find("headers")) ReadHeaders(*headers, tracing);
  fields->Finish();
  return tracing;
}

}  // namespace longhaul
