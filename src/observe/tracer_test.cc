#include "observe/tracer.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

class AnswerBody : public HttpBody {
 public:
  Async<size_t> Read(std::span<std::byte>) override { co_return size_t{0}; }
  [[nodiscard]] const HttpHeaders& trailers() const override { return trailers_; }

 private:
  HttpHeaders trailers_;
};

// A collector that answers as it is told to.
class Collector : public HttpClient {
 public:
  static constexpr int kAway = 0;

  Async<HttpResponse> Send(HttpRequest request) override {
    ++requests;
    url = request.url;
    headers = request.headers;
    timeout = request.timeouts.total;
    if (clock != nullptr) co_await clock->Sleep(takes);
    if (status == kAway) co_return Retryable("connection refused");
    const std::string_view body(reinterpret_cast<const char*>(request.body->data()),
                                request.body->size());
    const boost::json::value json = boost::json::parse(body);
    const auto& spans =
        json.at("resourceSpans").at(0).at("scopeSpans").at(0).at("spans").as_array();
    for (const boost::json::value& span : spans) {
      if (status == 200) names.emplace_back(span.at("name").as_string());
    }
    HttpResponse response;
    response.status = status;
    response.body = std::make_unique<AnswerBody>();
    co_return response;
  }

  int status = 200;
  Clock* clock = nullptr;  // Set: an answer takes so long.
  std::chrono::milliseconds takes{};
  int requests = 0;
  std::string url;
  HttpHeaders headers;
  std::chrono::milliseconds timeout{};
  std::vector<std::string> names;
};

class TracerTest : public ::testing::Test {
 protected:
  void Add(size_t count, const std::string& name) {
    for (size_t i = 0; i < count; ++i) {
      tracer.Add({.context = *tracer.Begin(), .name = name + std::to_string(i)});
    }
  }
  void Start() { world.Start(Run()); }
  void Pass(std::chrono::seconds time) { world.Run(Wait(time)); }
  void Stop() {
    stop.Set();
    world.Drive([this] { return ended; });
  }
  double dropped() {
    return world.metrics.counter("longhaul_trace_spans_dropped_total", "").value();
  }

  testing::FakeWorld world;
  Collector collector;
  Tracer tracer{world.runtime,
                {.url = "http://c:4318", .sample = 1, .headers = {{"x-api-key", Secret("abc")}}},
                &collector};
  Event stop;
  bool ended = false;

 private:
  asio::awaitable<void> Run() {
    static_cast<void>(co_await tracer.Run(stop));
    ended = true;
  }
  asio::awaitable<void> Wait(std::chrono::seconds time) {
    Event never;
    co_await never.WaitFor(world.clock, time);
  }
};

// A request for each span would cost more than what is traced.
TEST_F(TracerTest, SendsMany) {
  Add(Tracer::kPerPostMax + 1, "s");
  Start();
  Pass(1s);
  EXPECT_EQ(collector.requests, 2);
  EXPECT_EQ(collector.names.size(), Tracer::kPerPostMax + 1);
  EXPECT_EQ(collector.url, "http://c:4318/v1/traces");
  EXPECT_EQ(collector.headers.Get("Content-Type"), "application/json");
  EXPECT_EQ(collector.headers.Get("x-api-key"), "abc");
  Pass(60s);
  EXPECT_EQ(collector.requests, 2) << "nothing is sent of nothing";
  Add(1, "last");
  Stop();
  EXPECT_EQ(collector.names.back(), "last0");
  EXPECT_EQ(dropped(), 0);
}

// A collector that is away for hours must not fill the memory, nor hold the end up.
TEST_F(TracerTest, DropsTheOldestWhileTheCollectorIsAway) {
  collector.status = Collector::kAway;
  Add(10, "old");
  Start();
  Pass(60s);
  EXPECT_EQ(dropped(), 0);
  EXPECT_LT(collector.requests, 10);
  Add(Tracer::kWaitingMax, "new");
  EXPECT_EQ(dropped(), 10);
  collector.status = 503;
  Pass(60s);
  EXPECT_EQ(dropped(), 10);
  collector.status = 200;
  Pass(60s);
  ASSERT_EQ(collector.names.size(), Tracer::kWaitingMax);
  EXPECT_EQ(collector.names.front(), "new0") << "in order, also after a try that failed";
  EXPECT_EQ(collector.names.back(), "new" + std::to_string(Tracer::kWaitingMax - 1));
  collector.status = Collector::kAway;
  Add(7, "end");
  const int before = collector.requests;
  Stop();
  EXPECT_EQ(collector.requests, before + 1) << "tried once at the end";
  EXPECT_LE(collector.timeout, 3s);
  EXPECT_EQ(dropped(), 17);
}

// Each answer comes in time, and all of them together would hold the end of a process up for longer
// than it is given.
TEST_F(TracerTest, ASlowCollectorDoesNotHoldUpTheEnd) {
  collector.clock = &world.clock;
  collector.takes = 2s;
  Add(Tracer::kPerPostMax * 4, "s");
  stop.Set();
  const SteadyTime begun = world.clock.SteadyNow();
  Start();
  world.Drive([this] { return ended; });
  EXPECT_LE(world.clock.SteadyNow() - begun, 4s);
  EXPECT_EQ(collector.requests, 2);
  EXPECT_EQ(dropped(), static_cast<double>(Tracer::kPerPostMax * 2));
}

// What a collector refuses for good would be sent again for ever.
TEST_F(TracerTest, WhatIsRefusedIsNotRepeated) {
  collector.status = 400;
  Add(3, "s");
  Start();
  Pass(60s);
  EXPECT_EQ(collector.requests, 1);
  EXPECT_EQ(dropped(), 3);
  Stop();
}

TEST_F(TracerTest, SamplesByShare) {
  Tracer some(world.runtime, {.url = "http://c", .sample = 0.1}, &collector);
  Tracer none(world.runtime, {.url = "http://c", .sample = 0}, &collector);
  int taken = 0;
  for (int i = 0; i < 1000; ++i) {
    taken += some.Begin() ? 1 : 0;
    EXPECT_FALSE(none.Begin());
  }
  EXPECT_GT(taken, 50);
  EXPECT_LT(taken, 200);
  const SpanContext first = *tracer.Begin();
  const SpanContext second = tracer.Another(first);
  EXPECT_EQ(first.trace_id, second.trace_id);
  EXPECT_NE(first.span_id, second.span_id);
  EXPECT_NE(tracer.Begin()->trace_id, first.trace_id);
  EXPECT_EQ(Tracer::Follow(FormatTraceparent(second)), second);
}

}  // namespace
}  // namespace longhaul
