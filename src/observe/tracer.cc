#include "observe/tracer.h"

#include <algorithm>
#include <chrono>
#include <span>

#include "base/version.h"

namespace longhaul {

namespace {

constexpr std::chrono::milliseconds kPause{2'000};
constexpr std::chrono::milliseconds kPauseAway{10'000};
constexpr std::chrono::milliseconds kTimeout{5'000};
constexpr std::chrono::milliseconds kTimeoutLast{3'000};
constexpr size_t kCollectorAnswerBytesMax = 64 << 10;

// OTLP Specification, "OTLP/HTTP Response": these may be sent again, others must not.
bool MayBeRepeated(int status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

}  // namespace

Tracer::Tracer(const Runtime& runtime, TracerOptions options, HttpClient* http)
    : runtime_(runtime),
      options_(std::move(options)),
      own_http_(http == nullptr ? MakeHttpClient(runtime, options_.http) : nullptr),
      http_(http == nullptr ? *own_http_ : *http) {}

Tracer::~Tracer() = default;

std::string Tracer::NewId(int words) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string id;
  for (int i = 0; i < words; ++i) {
    const uint64_t word = runtime_.random.Next();
    for (int shift = 60; shift >= 0; shift -= 4) id += kDigits[(word >> shift) & 15];
  }
  // All 0 is no id.
  if (id.find_first_not_of('0') == std::string::npos) id.back() = '1';
  return id;
}

std::optional<SpanContext> Tracer::Begin() {
  if (runtime_.random.Unit() >= options_.sample) return std::nullopt;
  return SpanContext{.trace_id = NewId(2), .span_id = NewId(1)};
}

SpanContext Tracer::Another(const SpanContext& of) {
  return {.trace_id = of.trace_id, .span_id = NewId(1)};
}

void Tracer::Add(Span span) {
  if (waiting_.size() >= kWaitingMax) {
    waiting_.pop_front();  // The oldest: what happens now is looked for.
    CountDropped(1);
  }
  waiting_.push_back(std::move(span));
}

void Tracer::CountDropped(uint64_t spans) {
  if (spans == 0) return;
  runtime_.metrics
      .counter("longhaul_trace_spans_dropped_total",
               "Spans that the collector of `traces` did not take")
      .Add(static_cast<double>(spans));
}

Async<void> Tracer::Post(const std::vector<Span>& spans, bool last) {
  const std::string body = OtlpTraces(options_.resource, kVersion, spans);
  HttpRequest request{.method = "POST", .url = options_.url + "/v1/traces"};
  request.headers.Add("Content-Type", "application/json");
  for (const auto& [name, value] : options_.headers) request.headers.Add(name, value.Reveal());
  request.body = std::as_bytes(std::span(body));
  request.timeouts.connect = last ? kTimeoutLast : kTimeout;
  request.timeouts.total = last ? kTimeoutLast : kTimeout;
  Result<HttpResponse> response = co_await http_.Send(std::move(request));
  if (!response) co_return response.error();
  Result<std::string> answer = co_await ReadAll(*response->body, kCollectorAnswerBytesMax);
  if (response->status / 100 != 2) {
    const std::string what = "it answers " + std::to_string(response->status);
    co_return MayBeRepeated(response->status) ? Retryable(what) : InvalidInput(what);
  }
  const uint64_t rejected =
      answer ? std::min<uint64_t>(spans.size(), RejectedSpans(*answer)) : uint64_t{0};
  CountDropped(rejected);
  runtime_.metrics
      .counter("longhaul_trace_spans_sent_total", "Spans that the collector of `traces` took")
      .Add(static_cast<double>(spans.size() - rejected));
  co_return Ok();
}

Async<void> Tracer::Flush(bool last) {
  const SteadyTime end = runtime_.clock.SteadyNow() + kTimeoutLast;
  while (!waiting_.empty()) {
    if (last && runtime_.clock.SteadyNow() >= end) {
      CountDropped(waiting_.size());
      waiting_.clear();
      co_return Retryable("it takes too long");
    }
    std::vector<Span> spans;
    while (!waiting_.empty() && spans.size() < kPerPostMax) {
      spans.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    Result<void> posted = co_await Post(spans, last);
    if (posted) continue;
    if (!last && posted.error().kind == ErrorKind::kRetryable) {
      while (!spans.empty() && waiting_.size() < kWaitingMax) {
        waiting_.push_front(std::move(spans.back()));
        spans.pop_back();
      }
    }
    CountDropped(spans.size());
    if (last) {
      CountDropped(waiting_.size());
      waiting_.clear();
    }
    co_return posted.error();
  }
  co_return Ok();
}

Async<void> Tracer::Run(Event& stop) {
  while (true) {
    const bool last = stop.is_set();
    Result<void> flushed = co_await Flush(last);
    if (!flushed && !away_) {
      runtime_.log.Warning("the collector of `traces` does not take spans; replication goes on",
                           {flushed.error()});
    }
    away_ = !flushed;
    if (last) co_return Ok();
    co_await stop.WaitFor(runtime_.clock, away_ ? kPauseAway : kPause);
  }
}

}  // namespace longhaul
