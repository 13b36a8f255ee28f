// Spans as the OpenTelemetry Protocol has them in JSON, and the header by which a trace goes on in
// another process.
//
// Source: OTLP Specification 1.x, "JSON Protobuf Encoding" (ids in hexadecimal, 64-bit numbers as
// decimal strings, enums as numbers), opentelemetry/proto/trace/v1; W3C Trace Context, 3.2
// "Traceparent Header".

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"

namespace longhaul {

// Which span of which trace: what whoever goes on with it needs to know.
struct SpanContext {
  std::string trace_id;  // 32 of 0-9 and a-f, not all 0.
  std::string span_id;   // 16 of these, not all 0.

  bool operator==(const SpanContext&) const = default;
};

// "00-TRACE-SPAN-01": sampled.
std::string FormatTraceparent(const SpanContext& context);
// nullopt: none as the standard has it, or not sampled. Of versions to come the known part counts.
std::optional<SpanContext> ParseTraceparent(std::string_view text);

using SpanAttributes =
    std::vector<std::pair<std::string, std::variant<std::string, int64_t, double, bool>>>;

struct Span {
  enum class Kind { kInternal = 1, kServer = 2, kClient = 3, kProducer = 4, kConsumer = 5 };

  SpanContext context;
  std::string parent_id{};  // Empty: the first of its trace.
  std::string name;
  Kind kind = Kind::kInternal;
  SystemTime begin{};
  SystemTime end{};  // One before `begin` counts as `begin`: clocks are set.
  SpanAttributes attributes{};
  std::optional<std::string> error{};  // Set: it failed, and why.
};

// An ExportTraceServiceRequest. `resource`: what all of them come from.
std::string OtlpTraces(const SpanAttributes& resource, std::string_view version,
                       const std::vector<Span>& spans);

// How many spans an ExportTraceServiceResponse says were refused. 0: none, or no such answer.
uint64_t RejectedSpans(std::string_view answer);

}  // namespace longhaul
