#include "observe/alarm_book.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <functional>
#include <vector>

#include "base/bytes.h"
#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

class NoBody : public HttpBody {
 public:
  Async<size_t> Read(std::span<std::byte>) override { co_return size_t{0}; }
  [[nodiscard]] const HttpHeaders& trailers() const override { return trailers_; }

 private:
  HttpHeaders trailers_;
};

class Receiver : public HttpClient {
 public:
  Async<HttpResponse> Send(HttpRequest request) override {
    bodies.emplace_back(AsText(*request.body));
    HttpResponse response;
    response.status = status;
    response.body = std::make_unique<NoBody>();
    co_return response;
  }
  int status = 200;
  std::vector<std::string> bodies;
};

// A channel that fails or notes what it was told.
class Second : public AlarmChannel {
 public:
  Second(const bool& fails, std::vector<std::string>& told) : fails_(fails), told_(told) {}
  [[nodiscard]] std::string_view name() const override { return "email"; }
  Async<void> Tell(AlarmMessage message) override {
    if (fails_) co_return Retryable("no");
    told_.push_back((message.over ? "over " : "") + message.name);
    co_return Ok();
  }

 private:
  const bool& fails_;
  std::vector<std::string>& told_;
};

// A channel that answers each message after a minute, and does what it is told to.
class Slow : public AlarmChannel {
 public:
  Slow(Clock& clock, std::string name, std::function<Result<void>(const std::string&)> answer)
      : clock_(clock), name_(std::move(name)), answer_(std::move(answer)) {}
  [[nodiscard]] std::string_view name() const override { return name_; }
  Async<void> Tell(AlarmMessage message) override {
    co_await clock_.Sleep(std::chrono::minutes(1));
    co_return answer_(message.name);
  }

 private:
  Clock& clock_;
  std::string name_;
  std::function<Result<void>(const std::string&)> answer_;
};

class AlarmBookTest : public ::testing::Test {
 protected:
  // By a process that has just started.
  Result<void> Look(std::map<std::string, AlarmSight> seen, bool slack = false) {
    testing::FakeState state(world.runtime, backend);
    std::vector<std::unique_ptr<AlarmChannel>> channels;
    channels.push_back(MakeWebhookChannel(world.runtime, Secret("https://hooks.example/secret"),
                                          slack, {}, &receiver));
    if (second) channels.push_back(std::make_unique<Second>(second_fails, second_told));
    AlarmBook book(world.runtime, state, "east", std::move(channels));
    return world.Run(book.Look(std::move(seen), stop));
  }
  std::string Last(const char* field) {
    boost::json::object parsed = boost::json::parse(receiver.bodies.back()).as_object();
    return std::string(parsed[field].as_string());
  }

  testing::FakeWorld world;
  std::shared_ptr<testing::FakeStateBackend> backend =
      std::make_shared<testing::FakeStateBackend>();
  Receiver receiver;
  Event stop;
  bool second = false;  // Whether there is a channel besides the webhook.
  bool second_fails = false;
  std::vector<std::string> second_told;
};

// An alarm that comes each minute is one that nobody reads; after a restart as well.
TEST_F(AlarmBookTest, TellsOnceThatItBeginsAndOnceThatItIsOver) {
  ASSERT_TRUE(Look({{"parked/main", {.text = "3 are parked"}}}));
  ASSERT_EQ(receiver.bodies.size(), 1U);
  EXPECT_EQ(Last("alarm"), "parked/main");
  EXPECT_EQ(Last("state"), "alarm");
  EXPECT_EQ(Last("text"), "3 are parked");
  EXPECT_EQ(Last("site"), "east");
  ASSERT_TRUE(Look({{"parked/main", {.text = "4 are parked"}}}));
  EXPECT_EQ(receiver.bodies.size(), 1U);
  ASSERT_TRUE(Look({}));
  ASSERT_EQ(receiver.bodies.size(), 2U);
  EXPECT_EQ(Last("state"), "over");
  EXPECT_EQ(Last("text"), "3 are parked");
  ASSERT_TRUE(Look({}));
  EXPECT_EQ(receiver.bodies.size(), 2U);
  ASSERT_TRUE(Look({{"parked/main", {.text = "again"}}}));
  EXPECT_EQ(receiver.bodies.size(), 3U);
}

// A store that hundreds of rules share goes away: what was told must not be told again each minute.
TEST_F(AlarmBookTest, ThousandsOfAlarmsAreToldOnceEach) {
  std::map<std::string, AlarmSight> seen;
  for (int i = 0; i < 2'100; ++i) seen["away/" + std::to_string(10'000 + i)] = {.text = "away"};
  ASSERT_TRUE(Look(seen));
  EXPECT_EQ(receiver.bodies.size(), 2'100U);
  ASSERT_TRUE(Look(seen));
  EXPECT_EQ(receiver.bodies.size(), 2'100U);
  ASSERT_TRUE(Look({}));
  EXPECT_EQ(receiver.bodies.size(), 4'200U);
}

// A process that has just started does not know for how long a store has been away: it must say
// neither that it is, nor that it is back.
TEST_F(AlarmBookTest, WhatIsNotDueBeginsNothingAndEndsNothing) {
  ASSERT_TRUE(Look({{"away/main", {.text = "away", .due = false}}}));
  EXPECT_TRUE(receiver.bodies.empty());
  ASSERT_TRUE(Look({{"away/main", {.text = "away"}}}));
  EXPECT_EQ(receiver.bodies.size(), 1U);
  ASSERT_TRUE(Look({{"away/main", {.text = "away", .due = false}}}));
  EXPECT_EQ(receiver.bodies.size(), 1U);
}

// A message that nobody has taken has told nobody.
TEST_F(AlarmBookTest, WhatWasNotTakenIsToldAgain) {
  receiver.status = 500;
  EXPECT_FALSE(Look({{"parked/main", {.text = "parked"}}}));
  receiver.status = 200;
  ASSERT_TRUE(Look({{"parked/main", {.text = "parked"}}}));
  EXPECT_EQ(receiver.bodies.size(), 2U);
  receiver.status = 500;
  EXPECT_FALSE(Look({}));
  receiver.status = 200;
  ASSERT_TRUE(Look({}));
  EXPECT_EQ(receiver.bodies.size(), 4U);
  EXPECT_EQ(Last("state"), "over");
}

// A mail server that is away must neither keep the webhook from its messages nor have them sent
// again; and what it has missed it is told when it is back.
TEST_F(AlarmBookTest, AChannelThatFailsIsToldLaterAndAlone) {
  second = second_fails = true;
  EXPECT_FALSE(Look({{"parked/main", {.text = "parked"}}}));
  EXPECT_FALSE(Look({{"parked/main", {.text = "parked"}}}));
  EXPECT_EQ(receiver.bodies.size(), 1U);
  second_fails = false;
  ASSERT_TRUE(Look({{"parked/main", {.text = "parked"}}}));
  ASSERT_TRUE(Look({}));
  ASSERT_TRUE(Look({}));
  EXPECT_EQ(receiver.bodies.size(), 2U);
  EXPECT_EQ(second_told, (std::vector<std::string>{"parked/main", "over parked/main"}));
}

// With each alarm and each channel that nobody answers a look would last minutes longer, and what
// the others are told would be old.
TEST_F(AlarmBookTest, AChannelThatHangsHoldsNothingUp) {
  testing::FakeState state(world.runtime, backend);
  int tries = 0;
  auto hangs = [&](const std::string&) -> Result<void> {
    ++tries;
    return Retryable("no answer");
  };
  std::vector<std::unique_ptr<AlarmChannel>> channels;
  channels.push_back(std::make_unique<Slow>(world.clock, "email", hangs));
  channels.push_back(std::make_unique<Slow>(world.clock, "sns", hangs));
  channels.push_back(std::make_unique<Second>(second_fails, second_told));
  AlarmBook book(world.runtime, state, "east", std::move(channels));
  const SystemTime begin = world.clock.Now();
  EXPECT_FALSE(world.Run(book.Look({{"a", {.text = "a"}}, {"b", {.text = "b"}}}, stop)));
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(world.clock.Now() - begin, std::chrono::minutes(1));
  EXPECT_EQ(second_told, (std::vector<std::string>{"a", "b"}));
}

// What nobody will ever take must not keep what comes behind it.
TEST_F(AlarmBookTest, AMessageThatIsRefusedHoldsNoOtherUp) {
  receiver.status = 400;
  EXPECT_FALSE(Look({{"a", {.text = "a"}}, {"b", {.text = "b"}}}));
  EXPECT_EQ(receiver.bodies.size(), 2U);
}

// A server that takes a message and never answers must not keep a process that is told to end, and
// what nobody is known to have taken is told by the next one.
TEST_F(AlarmBookTest, AMessageWithoutAnAnswerIsGivenUpAfterTheStop) {
  testing::FakeState state(world.runtime, backend);
  auto look = [&](std::function<Result<void>(const std::string&)> answer) {
    std::vector<std::unique_ptr<AlarmChannel>> channels;
    channels.push_back(std::make_unique<Slow>(world.clock, "sns", std::move(answer)));
    auto book = std::make_unique<AlarmBook>(world.runtime, state, "east", std::move(channels));
    return world.Run(book->Look({{"a", {.text = "a"}}}, stop));
  };
  const SteadyTime begin = world.clock.SteadyNow();
  std::unique_ptr<Clock::Timer> signal =
      world.clock.StartTimer(std::chrono::seconds(10), [this] { stop.Set(); });
  int answers = 0;
  Result<void> looked = look([&](const std::string&) -> Result<void> {
    ++answers;
    return Ok();
  });
  ASSERT_FALSE(looked);
  EXPECT_EQ(looked.error().kind, ErrorKind::kCancelled);
  EXPECT_LT(world.clock.SteadyNow() - begin, std::chrono::seconds(14));
  // The book and its channel are gone, the answer comes all the same.
  world.Run(world.clock.Sleep(std::chrono::minutes(2)));
  EXPECT_EQ(answers, 1);
  stop.Reset();
  std::vector<std::string> told;
  EXPECT_TRUE(look([&](const std::string& name) -> Result<void> {
    told.push_back(name);
    return Ok();
  }));
  EXPECT_EQ(told, (std::vector<std::string>{"a"}));
}

// Whoever stops a process waits for the message that is on its way, and for no further one.
TEST_F(AlarmBookTest, AfterTheStopNothingMoreIsTold) {
  testing::FakeState state(world.runtime, backend);
  std::vector<std::string> told;
  std::vector<std::unique_ptr<AlarmChannel>> channels;
  channels.push_back(
      std::make_unique<Slow>(world.clock, "sns", [&](const std::string& name) -> Result<void> {
        told.push_back(name);
        stop.Set();
        return Ok();
      }));
  AlarmBook book(world.runtime, state, "east", std::move(channels));
  EXPECT_TRUE(world.Run(book.Look({{"a", {.text = "a"}}, {"b", {.text = "b"}}}, stop)));
  EXPECT_EQ(told, (std::vector<std::string>{"a"}));
  stop.Reset();
  EXPECT_TRUE(world.Run(book.Look({{"a", {.text = "a"}}, {"b", {.text = "b"}}}, stop)));
  EXPECT_EQ(told, (std::vector<std::string>{"a", "b"}));
}

// The URL of a webhook is the key to it, and errors are logged.
TEST_F(AlarmBookTest, AUrlThatCannotBeCalledIsNotTold) {
  std::unique_ptr<AlarmChannel> channel =
      MakeWebhookChannel(world.runtime, Secret("https://h.test/HUSH\n"), false, {});
  Result<void> told = world.Run(channel->Tell({.site = "east", .name = "a", .text = "a"}));
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().Describe().find("HUSH"), std::string::npos) << told.error().Describe();
}

// Who may write to a source, or answers for a store, must not post links and calls in the name of
// whoever is told.
TEST_F(AlarmBookTest, NothingInATextSteersSlack) {
  ASSERT_TRUE(
      Look({{"lag/main", {.text = "<!channel> <https://evil.example|sign in> & go"}}}, true));
  EXPECT_EQ(Last("text"),
            "longhaul east: &lt;!channel&gt; &lt;https://evil.example|sign in&gt; &amp; go");
}

TEST_F(AlarmBookTest, SlackReadsText) {
  ASSERT_TRUE(Look({{"parked/main", {.text = "a \"key\" is parked"}}}, true));
  EXPECT_EQ(receiver.bodies.back(), R"({"text":"longhaul east: a \"key\" is parked"})");
  ASSERT_TRUE(Look({}, true));
  EXPECT_EQ(Last("text"), "longhaul east: over: a \"key\" is parked");
}

}  // namespace
}  // namespace longhaul
