#include "server/notification_webhook.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/bytes.h"
#include "events/hint.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::ReplicationWorld;

class NoBody : public HttpBody {
 public:
  Async<size_t> Read(std::span<std::byte>) override { co_return size_t{0}; }
  [[nodiscard]] const HttpHeaders& trailers() const override { return trailers_; }

 private:
  HttpHeaders trailers_;
};

// What is at the other end: answers as it is told to, and by 200 after that.
class Receiver : public HttpClient {
 public:
  static constexpr int kSilence = 0;  // No answer, as long as the sender waits for one.

  explicit Receiver(Clock& clock) : clock_(clock) {}

  Async<HttpResponse> Send(HttpRequest request) override {
    std::string body(reinterpret_cast<const char*>(request.body->data()), request.body->size());
    posts.push_back({.time = clock_.SteadyNow(), .body = std::move(body)});
    url = request.url;
    int status = NumbersOf(posts.back().body) > events_max ? 413 : always;
    if (!answers.empty()) {
      status = answers.front();
      answers.pop_front();
    }
    if (status == kSilence) {
      Event never;
      // Without an end it would wait for ever, as a client does.
      co_await never.WaitFor(clock_, request.timeouts.total.count() > 0
                                         ? std::chrono::nanoseconds(request.timeouts.total)
                                         : std::chrono::hours(10'000));
      co_return Retryable("no answer");
    }
    HttpResponse response;
    response.status = status;
    response.body = std::make_unique<NoBody>();
    co_return response;
  }

  struct Post {
    SteadyTime time;
    std::string body;
  };
  std::deque<int> answers;
  int always = 200;
  size_t events_max = 1'000;  // That it takes at a time.
  std::vector<Post> posts;
  std::string url;

 private:
  static size_t NumbersOf(const std::string& body) {
    size_t count = 0;
    for (size_t at = 0; (at = body.find("\"n\":", at)) != body.npos; ++at) ++count;
    return count;
  }

  Clock& clock_;
};

// The numbers of the events in a body.
std::vector<int64_t> NumbersIn(const std::string& body) {
  std::vector<int64_t> numbers;
  const boost::json::value parsed = boost::json::parse(body);
  EXPECT_EQ(parsed.at("site").as_string(), "here \"and\" there");
  for (const boost::json::value& event : parsed.at("events").as_array()) {
    numbers.push_back(event.at("n").to_number<int64_t>());
  }
  return numbers;
}
std::vector<int64_t> Range(int64_t begin, int64_t end) {
  std::vector<int64_t> numbers;
  for (int64_t n = begin; n < end; ++n) numbers.push_back(n);
  return numbers;
}

class NotificationWebhookTest : public ::testing::Test {
 protected:
  void Add(int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) webhook.Add("{\"n\":" + std::to_string(n) + "}");
  }
  void Start() { world.world.Start(Run()); }
  void Stop() {
    stop.Set();
    world.world.Drive([this] { return ended; });
  }
  [[nodiscard]] double dropped() {
    return world.world.metrics.counter("longhaul_notifications_dropped_total", "").value();
  }

  ReplicationWorld world;
  Receiver receiver{world.world.clock};
  NotificationWebhook webhook{world.runtime,
                              Secret("http://ops.example/hook?token=t"),
                              "here \"and\" there",
                              {},
                              &receiver};
  Event stop;
  bool ended = false;

 private:
  asio::awaitable<void> Run() {
    co_await webhook.Run(stop);
    ended = true;
  }
};

// A post for each event would be a burst of thousands where a target was away for an hour.
TEST_F(NotificationWebhookTest, ManyEventsGoInOnePostInOrder) {
  Add(0, 2'500);
  Start();
  world.RunFor(5s);
  EXPECT_EQ(receiver.url, "http://ops.example/hook?token=t");
  ASSERT_EQ(receiver.posts.size(), 3U);
  EXPECT_EQ(NumbersIn(receiver.posts[0].body), Range(0, 1'000));
  EXPECT_EQ(NumbersIn(receiver.posts[1].body), Range(1'000, 2'000));
  EXPECT_EQ(NumbersIn(receiver.posts[2].body), Range(2'000, 2'500));
  // One that comes alone does not wait for company.
  Add(2'500, 2'501);
  world.RunFor(100ms);
  ASSERT_EQ(receiver.posts.size(), 4U);
  EXPECT_EQ(NumbersIn(receiver.posts[3].body), Range(2'500, 2'501));
  Stop();
  EXPECT_EQ(receiver.posts.size(), 4U);
}

// An alarm that is lost because the receiver was just being deployed is no alarm; one that is
// repeated without pause keeps it from coming back.
TEST_F(NotificationWebhookTest, WhatIsRefusedIsRepeatedWithGrowingPauses) {
  receiver.answers = {503, 503, 404, 503, 503, 503, 503, 503, 503};
  Add(0, 3);
  Start();
  world.RunFor(100ms);
  Add(3, 5);
  world.RunFor(10min);
  ASSERT_EQ(receiver.posts.size(), 10U);
  EXPECT_EQ(NumbersIn(receiver.posts[0].body), Range(0, 3));
  std::chrono::nanoseconds pause = 500ms;
  for (size_t i = 1; i < receiver.posts.size(); ++i) {
    EXPECT_EQ(NumbersIn(receiver.posts[i].body), Range(0, 5));
    EXPECT_EQ(receiver.posts[i].time - receiver.posts[i - 1].time, pause) << i;
    pause = std::min<std::chrono::nanoseconds>(2 * pause, 30s);
  }
  // After a success the next failure begins with the short pause.
  receiver.answers = {503};
  Add(5, 6);
  world.RunFor(10s);
  ASSERT_EQ(receiver.posts.size(), 12U);
  EXPECT_EQ(receiver.posts[11].time - receiver.posts[10].time, 500ms);
  EXPECT_EQ(dropped(), 0);
  Stop();
}

// A receiver takes so many bytes and no more. What it refuses once it refuses for ever, and what
// comes behind must not wait for that.
TEST_F(NotificationWebhookTest, WhatIsTooMuchGoesInParts) {
  receiver.events_max = 10;
  Add(0, 25);
  Start();
  world.RunFor(5s);
  std::vector<int64_t> taken;
  for (const Receiver::Post& post : receiver.posts) {
    const std::vector<int64_t> numbers = NumbersIn(post.body);
    if (numbers.size() <= 10) taken.insert(taken.end(), numbers.begin(), numbers.end());
  }
  EXPECT_EQ(taken, Range(0, 25));
  EXPECT_EQ(dropped(), 0);
  // One that is refused alone goes, and is counted; the others come after it.
  receiver.posts.clear();
  receiver.answers = {422, 422};
  Add(25, 27);
  world.RunFor(5s);
  ASSERT_EQ(receiver.posts.size(), 3U);
  EXPECT_EQ(NumbersIn(receiver.posts[0].body), Range(25, 27));
  EXPECT_EQ(NumbersIn(receiver.posts[1].body), Range(25, 26));
  EXPECT_EQ(NumbersIn(receiver.posts[2].body), Range(26, 27));
  EXPECT_EQ(dropped(), 1);
  Stop();
}

// A receiver that is away for days must not eat the memory that replication needs; what is lost for
// it is counted, and is the oldest.
TEST_F(NotificationWebhookTest, BeyondTenThousandTheOldestAreDroppedAndCounted) {
  Add(0, 10'005);
  EXPECT_EQ(dropped(), 5);
  // What was under way when it failed has a place only where no newer ones have taken it.
  receiver.answers = {Receiver::kSilence};
  Start();
  world.RunFor(1s);
  ASSERT_EQ(receiver.posts.size(), 1U);
  EXPECT_EQ(NumbersIn(receiver.posts[0].body), Range(5, 1'005));
  Add(10'005, 10'605);
  EXPECT_EQ(dropped(), 5);
  world.RunFor(2min);
  EXPECT_EQ(dropped(), 605);
  ASSERT_EQ(receiver.posts.size(), 11U);
  for (int64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(NumbersIn(receiver.posts[static_cast<size_t>(i) + 1].body),
              Range(605 + i * 1'000, 1'605 + i * 1'000));
  }
  Stop();
}

// Whoever takes the notifications is no part of replication: one that never answers costs nothing
// but its notifications.
TEST_F(NotificationWebhookTest, AReceiverThatHangsHoldsNothingUp) {
  receiver.always = Receiver::kSilence;
  Start();
  world.configuration.rules[0].intake.listing.reset();
  world.Start();
  world.RunFor(10s);
  for (int i = 0; i < 20; ++i) {
    const std::string key = "k" + std::to_string(i);
    Add(i * 1'000, (i + 1) * 1'000);
    world.Put(key, "text");
    HintMessage message{
        .store = "east", .bucket = "in", .hints = {{.key = key, .time = world.world.clock.Now()}}};
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
    world.RunFor(10s);
    EXPECT_TRUE(world.Replicas().contains(key)) << key;
  }
  world.Stop();
  // It was given up each time, and tried again.
  EXPECT_GE(receiver.posts.size(), 3U);
  EXPECT_LE(receiver.posts.size(), 10U);
  // The process can end, too, and waits neither for the answer nor for that to a last try.
  const SteadyTime before = world.world.clock.SteadyNow();
  Stop();
  EXPECT_LE(world.world.clock.SteadyNow() - before, 4s);
  world.RunFor(2min);  // What was given up ends by itself.
}

// What happened in the last second before a stop is told, once; a receiver that refuses it does not
// keep the process.
TEST_F(NotificationWebhookTest, WhatWaitsAtTheEndIsSentOnceMore) {
  Start();
  world.RunFor(1s);
  Add(0, 2);
  Stop();
  ASSERT_EQ(receiver.posts.size(), 1U);
  EXPECT_EQ(NumbersIn(receiver.posts[0].body), Range(0, 2));

  ended = false;
  stop.Reset();
  receiver.always = 503;
  Add(2, 4);
  Start();
  world.RunFor(10s);
  const size_t posts = receiver.posts.size();
  Stop();
  EXPECT_EQ(receiver.posts.size(), posts + 1);
}

}  // namespace
}  // namespace longhaul
