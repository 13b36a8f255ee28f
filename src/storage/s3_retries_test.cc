// What the S3 client asks again, how often, and what it asks but once.

#include <gtest/gtest.h>

#include "tests/support/run.h"
#include "tests/support/s3_store_fixture.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::S3StoreTest;

// A server that is busy for a moment must not fail a transfer, nor be asked again at once.
TEST_F(S3StoreTest, WaitsAndRepeats) {
  http.answers = {ErrorAnswer(503, "SlowDown"), Broken(), {.headers = {{"ETag", "\"e\""}}}};
  Result<PutResult> put = world.Run(PutText(Open(), At("k"), "text"));
  ASSERT_TRUE(put) << put.error().Describe();
  EXPECT_EQ(put->etag, "e");
  ASSERT_EQ(http.seen.size(), 3u);
  EXPECT_EQ(http.seen[2].body, "text");
  EXPECT_GT(world.clock.SteadyNow().time_since_epoch(), 0s);
}

Async<void> PutMany(testing::FakeWorld& world, Store& store, int count) {
  TaskGroup group(world.io.get_executor());
  struct Task {
    static Async<void> Run(Store& store, PutRequest request) {
      Result<PutResult> put = co_await PutText(store, std::move(request), "text");
      if (!put) co_return put.error();
      co_return Ok();
    }
  };
  for (int i = 0; i < count; ++i) {
    PutRequest request;
    request.bucket = "bucket";
    request.key = "k" + std::to_string(i);
    group.Spawn(Task::Run(store, std::move(request)));
  }
  co_return co_await group.Join();
}

// Whoever is asked to slow down and goes on with as many requests at once is asked again.
TEST_F(S3StoreTest, SendsFewerAtATimeWhenAskedToSlowDown) {
  const Answer fine{.headers = {{"ETag", "\"e\""}}};
  http.takes = 100ms;
  http.answers = {fine};
  ASSERT_TRUE(world.Run(PutMany(world, Open(), 32)));
  EXPECT_EQ(http.under_way_most, 32);
  http.answers = {ErrorAnswer(503, "SlowDown"), fine};
  ASSERT_TRUE(world.Run(PutMany(world, *store, 32)));
  http.under_way_most = 0;
  ASSERT_TRUE(world.Run(PutMany(world, *store, 32)));
  EXPECT_GE(http.under_way_most, 16);
  EXPECT_LE(http.under_way_most, 20);
  EXPECT_EQ(world.metrics
                .counter("longhaul_requests_throttled_total", "",
                         {{"endpoint", "127.0.0.1:9000"}, {"bucket", "bucket"}})
                .value(),
            1);
}

// Sent again, a conditional write would meet its own first success and report a lost race.
TEST_F(S3StoreTest, ConditionalWritesAreNotSentTwice) {
  PutRequest request = At("k");
  request.condition.if_absent = true;
  http.answers = {Broken(), {.headers = {{"ETag", "\"e\""}}}};
  Result<PutResult> put = world.Run(PutText(Open(), request, "text"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kRetryable);
  EXPECT_EQ(http.seen.size(), 1u);
  // What was refused before it was carried out may be.
  http.answers = {ErrorAnswer(503, "SlowDown"), {.headers = {{"ETag", "\"e\""}}}};
  EXPECT_TRUE(world.Run(PutText(*store, request, "text")));
  Error not_sent = Retryable("refused");
  not_sent.code = kNotSentCode;
  Answer refused = Broken();
  refused.error = not_sent;
  http.answers = {refused, {.headers = {{"ETag", "\"e\""}}}};
  EXPECT_TRUE(world.Run(PutText(*store, request, "text")));
}

// The first attempt may take effect after the second one was answered, on what came after that.
TEST_F(S3StoreTest, WhatIsAskedForAtMostOnceIsNotSentTwice) {
  PutRequest put = At("k");
  put.at_most_once = true;
  http.answers = {Broken(), {.headers = {{"ETag", "\"e\""}}}};
  EXPECT_FALSE(world.Run(PutText(Open(), put, "text")));
  http.answers = {Broken(), {.status = 204}};
  EXPECT_FALSE(world.Run(store->Remove({.bucket = put.bucket, .key = "k", .at_most_once = true})));
  http.answers = {Broken(), {.headers = {{"ETag", "\"e\""}}}};
  EXPECT_FALSE(world.Run(store->Copy({.source_bucket = put.bucket,
                                      .source_key = "k",
                                      .bucket = put.bucket,
                                      .key = "k",
                                      .at_most_once = true})));
  http.answers = {Broken(), {}};
  EXPECT_FALSE(world.Run(store->CreateMultipart(put)));
  ASSERT_EQ(http.seen.size(), 4u);
  // Nor by the HTTP client, where a kept connection turns out dead.
  for (const auto& seen : http.seen) EXPECT_TRUE(seen.request.once);
  http.answers = {{.status = 204}};
  EXPECT_TRUE(world.Run(store->Remove({.bucket = put.bucket, .key = "k"})));
  EXPECT_FALSE(http.seen.back().request.once);
}

TEST_F(S3StoreTest, GivesUpAtTheDeadlineAndSaysWhy) {
  options.operation_timeout = 30s;
  http.answers = {ErrorAnswer(500, "InternalError")};
  Result<PutResult> put = world.Run(PutText(Open(), At("k"), "text"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kRetryable);
  EXPECT_EQ(put.error().code, "InternalError");
  EXPECT_LE(http.seen.size(), static_cast<size_t>(options.attempts_max));
}

// A person who waits must hear why at the first failure, not after the last.
TEST_F(S3StoreTest, TellsOfTroubleAtOnceAndOfItsEnd) {
  std::vector<std::string> told;
  options.on_trouble = [&](const Error* failure) {
    told.push_back(failure == nullptr ? "fine" : failure->Describe());
  };
  http.answers = {Broken(), ErrorAnswer(500, "InternalError"), {}, {}};
  ASSERT_TRUE(world.Run(Open().HeadBucket("bucket")));
  ASSERT_TRUE(world.Run(store->HeadBucket("bucket")));
  EXPECT_EQ(told, (std::vector<std::string>{
                      "HEAD bucket: reset",
                      "HEAD bucket: HTTP status 500 (InternalError, HTTP 500)", "fine"}));
}

Async<void> SetLater(testing::FakeWorld& world, Event& event) {
  co_await world.clock.Sleep(1s);
  event.Set();
  co_return Ok();
}

Async<void> HeadBeside(testing::FakeWorld& world, Store& store, Event& stop) {
  TaskGroup group(world.io.get_executor());
  group.Spawn(SetLater(world, stop));
  Result<void> head = co_await store.HeadBucket("bucket");
  Result<void> joined = co_await group.Join();
  co_return joined ? head : joined;
}

// A process that is asked to stop must not sit out a long Retry-After; what it still does for
// cleaning up is tried once.
TEST_F(S3StoreTest, StopEndsTheWait) {
  Event stop;
  options.stop = &stop;
  Answer busy = ErrorAnswer(503, "SlowDown");
  busy.headers = {{"Retry-After", "60"}};
  http.answers = {busy};
  Result<void> head = world.Run(HeadBeside(world, Open(), stop));
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().kind, ErrorKind::kThrottled);
  EXPECT_EQ(world.clock.SteadyNow().time_since_epoch(), 1s);
  EXPECT_EQ(http.seen.size(), 1u);
  http.answers = {busy, {}};
  EXPECT_FALSE(world.Run(store->HeadBucket("bucket")));
  EXPECT_EQ(http.seen.size(), 2u);
  EXPECT_EQ(world.clock.SteadyNow().time_since_epoch(), 1s);
}

}  // namespace
}  // namespace longhaul
