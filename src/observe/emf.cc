#include "observe/emf.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

#include "base/json.h"

namespace longhaul {

namespace {

constexpr size_t kMetricsMax = 100;
constexpr size_t kDimensionsMax = 30;
constexpr size_t kValueBytesMax = 1'024;

std::string Number(double value) {
  if (std::trunc(value) == value && std::abs(value) < 1e15) {
    return std::to_string(static_cast<int64_t>(value));
  }
  std::array<char, 32> text;  // The shortest that reads the same: cents have many noughts.
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end};
}

}  // namespace

std::string EmfLine(SystemTime time, const std::string& name_space, const EmfDimensions& dimensions,
                    const std::vector<EmfMetric>& metrics) {
  std::string names;
  std::string fields;
  size_t count = 0;
  for (const auto& [name, value] : dimensions) {
    if (value.empty() || count == kDimensionsMax) continue;
    if (count++ > 0) names += ",";
    AppendJsonString(names, name);
    fields += ",";
    AppendJsonString(fields, name);
    fields += ":";
    AppendJsonString(fields, value.substr(0, kValueBytesMax));
  }
  std::string definitions;
  count = 0;
  for (const EmfMetric& metric : metrics) {
    if (!std::isfinite(metric.value) || count == kMetricsMax) continue;
    if (count++ > 0) definitions += ",";
    definitions += "{\"Name\":";
    AppendJsonString(definitions, metric.name);
    definitions += ",\"Unit\":";
    AppendJsonString(definitions, metric.unit);
    definitions += "}";
    fields += ",";
    AppendJsonString(fields, metric.name);
    fields += ":" + Number(metric.value);
  }
  if (count == 0) return "";
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  std::string line = "{\"_aws\":{\"Timestamp\":" + std::to_string(since.count()) +
                     ",\"CloudWatchMetrics\":[{\"Namespace\":";
  AppendJsonString(line, name_space);
  return line + ",\"Dimensions\":[[" + names + "]],\"Metrics\":[" + definitions + "]}]}" + fields +
         "}";
}

}  // namespace longhaul
