#include "rules/telemetry.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace longhaul {

namespace {

constexpr size_t kNamespaceBytesMax = 255;  // CloudWatch API Reference, PutMetricData: Namespace.

void ReadFormat(const YamlValue& value, Telemetry& telemetry) {
  std::optional<std::string> format = value.Text();
  if (!format) return;
  telemetry.emf = *format == "emf";
  if (!telemetry.emf) {
    value.Fail("'" + format->substr(0, 80) + "' is no form of figures", "write emf, or remove it");
  }
}

bool IsNamespace(std::string_view text) {
  return !text.empty() && text.size() <= kNamespaceBytesMax && !text.starts_with("AWS/") &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view(".-_/#:").contains(c);
         });
}

}  // namespace

Telemetry ReadTelemetry(YamlFields& top) {
  Telemetry telemetry;
  std::optional<YamlValue> value = top.Find("metrics");
  if (!value) return telemetry;
  if (value->node().kind != YamlNode::Kind::kMap) {
    ReadFormat(*value, telemetry);
    return telemetry;
  }
  std::optional<YamlFields> fields = value->Fields();
  if (!fields) return telemetry;
  if (auto format = fields->Require("format", "format: emf")) ReadFormat(*format, telemetry);
  if (fields->Text("namespace", telemetry.name_space) && !IsNamespace(telemetry.name_space)) {
    fields->Find("namespace")
        ->Fail("is no namespace of CloudWatch",
               "use up to 255 of A-Z, a-z, 0-9 and .-_/#: and do not begin with AWS/");
  }
  fields->Finish();
  return telemetry;
}

}  // namespace longhaul
