#include "replication/target/apply_trace.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "observe/tracer.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using testing::ReplicationWorld;

class NoBody : public HttpBody {
 public:
  Async<size_t> Read(std::span<std::byte>) override { co_return size_t{0}; }
  [[nodiscard]] const HttpHeaders& trailers() const override { return trailers_; }

 private:
  HttpHeaders trailers_;
};

// A collector that keeps what it is sent.
class Collector : public HttpClient {
 public:
  Async<HttpResponse> Send(HttpRequest request) override {
    const std::string_view body(reinterpret_cast<const char*>(request.body->data()),
                                request.body->size());
    const boost::json::value json = boost::json::parse(body);
    for (const boost::json::value& span :
         json.at("resourceSpans").at(0).at("scopeSpans").at(0).at("spans").as_array()) {
      spans[std::string(span.at("name").as_string())].push_back(span.as_object());
    }
    HttpResponse response;
    response.status = 200;
    response.body = std::make_unique<NoBody>();
    co_return response;
  }

  std::map<std::string, std::vector<boost::json::object>> spans;
};

// A try that failed must not look like one that took long; the one that worked has the same parent.
TEST(ApplyTraceTest, EachTryIsASpanBelowThePacking) {
  ReplicationWorld world;
  Collector collector;
  Tracer tracer(world.runtime, {.url = "http://c", .sample = 1}, &collector);
  world.MakeReplicator();
  world.context->tracer = &tracer;
  world.Put("key", "text");
  int refused = 0;
  world.target().decide = [&](testing::StoreOperation, std::string_view bucket,
                              std::string_view key) {
    if (bucket != "out" || key != "key" || refused == 3) return testing::Fault();
    ++refused;
    return testing::TroubledStore::Failing(ErrorKind::kRetryable);
  };
  EXPECT_FALSE(world.world.Run(world.replicator->RunOnce(world.stop)).store_error);
  Event over;
  over.Set();
  EXPECT_TRUE(world.world.Run(tracer.Run(over)));
  ASSERT_EQ(collector.spans["pack archive"].size(), 1u);
  const boost::json::object& pack = collector.spans["pack archive"].front();
  const std::vector<boost::json::object>& tries = collector.spans["apply archive"];
  ASSERT_GE(tries.size(), 2u);
  for (const boost::json::object& one : tries) {
    EXPECT_EQ(one.at("parentSpanId"), pack.at("spanId"));
    EXPECT_EQ(one.at("traceId"), pack.at("traceId"));
  }
  EXPECT_EQ(tries.front().at("status").at("code").as_int64(), 2);
  EXPECT_FALSE(tries.back().contains("status"));
}

// A target follows what the source has decided: it must not begin traces of its own.
TEST(ApplyTraceTest, WhatIsNotInTheSampleLeavesNoSpan) {
  ReplicationWorld world;
  Collector collector;
  Tracer tracer(world.runtime, {.url = "http://c", .sample = 0}, &collector);
  world.MakeReplicator();
  world.context->tracer = &tracer;
  world.Put("key", "text");
  EXPECT_FALSE(world.world.Run(world.replicator->RunOnce(world.stop)).store_error);
  Event over;
  over.Set();
  EXPECT_TRUE(world.world.Run(tracer.Run(over)));
  EXPECT_TRUE(collector.spans.empty());
}

}  // namespace
}  // namespace longhaul
