// Tracer: takes spans and sends them to a collector, by OTLP over HTTP, in JSON.
//
// Nobody waits for it: a span is put into a queue of bounded length, and what a collector that is
// away would make too long is dropped and counted. Belongs to one shard. Where traces are off there
// is no Tracer.

#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "base/secret.h"
#include "net/http_client.h"
#include "observe/otlp.h"

namespace longhaul {

struct TracerOptions {
  std::string url;  // Of the collector; "/v1/traces" follows.
  double sample = 0;
  std::vector<std::pair<std::string, Secret>> headers{};
  SpanAttributes resource{};
  HttpClientOptions http{};  // Of a client of its own.
};

class Tracer {
 public:
  static constexpr size_t kWaitingMax = 4'096;
  static constexpr size_t kPerPostMax = 512;

  // Borrows the runtime, and `http` where it is given.
  Tracer(const Runtime& runtime, TracerOptions options, HttpClient* http = nullptr);
  ~Tracer();

  // The first span of a new trace; nullopt: this one is not in the sample.
  std::optional<SpanContext> Begin();
  // Another span of the same trace.
  SpanContext Another(const SpanContext& of);
  // What `traceparent` says; nullopt: it is not traced.
  static std::optional<SpanContext> Follow(std::string_view traceparent) {
    return ParseTraceparent(traceparent);
  }
  void Add(Span span);

  // Sends until `stop` is set, and then what waits, once: a collector that is away holds the end up
  // for a few seconds at most.
  Async<void> Run(Event& stop);

 private:
  std::string NewId(int words);
  Async<void> Post(const std::vector<Span>& spans, bool last);
  // All that waits, as far as the collector takes it.
  Async<void> Flush(bool last);
  void CountDropped(uint64_t spans);

  const Runtime& runtime_;
  TracerOptions options_;
  std::unique_ptr<HttpClient> own_http_;
  HttpClient& http_;
  std::deque<Span> waiting_;
  bool away_ = false;
};

}  // namespace longhaul
