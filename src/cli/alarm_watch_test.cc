#include "cli/alarm_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "backup/drill_note.h"
#include "cli/queue_intakes.h"
#include "cost/ledger.h"
#include "replication/life/parked.h"
#include "replication/life/rule_control.h"
#include "replication/life/rule_meter.h"
#include "replication/life/spool.h"
#include "tests/support/fake_queue.h"
#include "tests/support/fake_state.h"
#include "tests/support/run.h"
#include "tests/support/tls.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

struct Told {
  std::vector<std::string> names;  // "parked/main", "over parked/main".
  std::vector<std::string> texts;
};

class Listener : public AlarmChannel {
 public:
  explicit Listener(Told& told) : told_(told) {}
  [[nodiscard]] std::string_view name() const override { return "webhook"; }
  Async<void> Tell(AlarmMessage message) override {
    told_.names.push_back((message.over ? "over " : "") + message.name);
    told_.texts.push_back(message.text);
    co_return Ok();
  }

 private:
  Told& told_;
};

class AlarmWatchTest : public ::testing::Test {
 protected:
  AlarmWatchTest() {
    configuration.site = "east";
    Rule rule{.id = "main", .source = {.store = "a", .bucket = "data", .prefix = ""}};
    rule.targets.push_back({.name = "west", .to = {.store = "b", .bucket = "copy", .prefix = ""}});
    configuration.rules.push_back(std::move(rule));
    alarms.store_away = 10min;
  }

  // A process. What it knows by itself goes with it; State and the queue stay.
  struct Process {
    Process(AlarmWatchTest& test, std::string owner)
        : Process(test, std::move(owner), test.configuration) {}
    Process(AlarmWatchTest& test, std::string owner, const Configuration& configuration)
        : state(test.world.runtime, test.state_backend),
          queue(test.world.runtime, test.queue_backend, &test.queue_faults) {
      std::vector<std::unique_ptr<AlarmChannel>> channels;
      channels.push_back(std::make_unique<Listener>(test.told));
      watch = std::make_unique<AlarmWatch>(
          AlarmWatch::Parts{.runtime = test.world.runtime,
                            .configuration = configuration,
                            .queue = queue,
                            .state = state,
                            .prices = test.prices,
                            .owner = std::move(owner),
                            .cpu_seconds = [&test] { return test.cpu_seconds; },
                            .channels = std::move(channels)},
          test.alarms);
    }
    testing::FakeState state;
    testing::FakeQueue queue;
    std::unique_ptr<AlarmWatch> watch;
  };
  std::unique_ptr<Process> Start(std::string owner = "p1") {
    return std::make_unique<Process>(*this, std::move(owner));
  }
  void Look(Process& process) {
    Result<void> looked = world.Run(process.watch->Look(stop));
    ASSERT_TRUE(looked) << looked.error().Describe();
  }
  // By a process with the source role.
  void Publish(Process& process, RuleNow now) {
    now.source = true;
    ASSERT_TRUE(world.Run(process.state.Write(
        "status", {.key = "main/p1", .value = EncodeNow(now), .expires = std::nullopt})));
  }

  testing::FakeWorld world;
  std::shared_ptr<testing::FakeStateBackend> state_backend =
      std::make_shared<testing::FakeStateBackend>();
  std::shared_ptr<testing::FakeQueueBackend> queue_backend =
      std::make_shared<testing::FakeQueueBackend>(1);
  Configuration configuration;
  Alarms alarms;
  Prices prices;
  testing::FakeFaults queue_faults{1};
  double cpu_seconds = 0;
  Event stop;  // Never, where one look is asked for.
  Told told;
};

TEST_F(AlarmWatchTest, WhatIsParkedIsToldOnceAndOnceThatItIsOver) {
  auto process = Start();
  Look(*process);
  EXPECT_THAT(told.names, IsEmpty());
  ParkedKey parked{.key = "k", .target = "west", .archive = "A", .op = "put", .reason = "no"};
  ASSERT_TRUE(world.Run(WriteParked(process->state, "main", parked)));
  Look(*process);
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("parked/main"));
  process = Start("p2");  // Taken over.
  Look(*process);
  EXPECT_EQ(told.names.size(), 1U);
  Result<std::optional<ParkedKey>> row = world.Run(FindParked(process->state, "main", "west", "k"));
  ASSERT_TRUE(row && *row);
  ASSERT_TRUE(world.Run(ForgetParked(process->state, "main", **row)));
  Look(*process);
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("parked/main", "over parked/main"));
}

// A wrong seal key refuses every archive, and no key of them is known to be parked.
TEST_F(AlarmWatchTest, ArchivesThatAreRefusedAsAWholeAreTold) {
  auto process = Start();
  ParkedKey refused{.target = "west", .archive = "A", .op = "archive", .reason = "no such seal"};
  ASSERT_TRUE(world.Run(WriteParked(process->state, "main", refused)));
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("parked/main"));
}

TEST_F(AlarmWatchTest, DeadLettersAreToldOnceUntilTheyAreGone) {
  auto process = Start();
  queue_backend->rows[1] = {.body = "poison", .receive_count = 2};
  Look(*process);
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("dead_letters"));
  queue_backend->rows.clear();
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("dead_letters", "over dead_letters"));
}

// A right that was taken away, or a queue that somebody removed, must not silence what is wrong
// elsewhere; nor is what was wrong over because nobody can look.
TEST_F(AlarmWatchTest, AQueueThatCannotBeReadSilencesNothingAndEndsNothing) {
  auto process = Start();
  queue_backend->rows[1] = {.body = "poison", .receive_count = 2};
  Look(*process);
  queue_faults.fails_before = 1;
  ParkedKey parked{.key = "k", .target = "west", .archive = "A", .op = "put", .reason = "no"};
  ASSERT_TRUE(world.Run(WriteParked(process->state, "main", parked)));
  EXPECT_FALSE(world.Run(process->watch->Look(stop)));
  EXPECT_THAT(told.names, ElementsAre("dead_letters", "parked/main"));
  world.clock.Advance(11min);
  EXPECT_FALSE(world.Run(process->watch->Look(stop)));
  EXPECT_THAT(told.names, ElementsAre("dead_letters", "parked/main", "away/queue"));
  queue_faults.fails_before = 0;
  queue_backend->rows.clear();
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("dead_letters", "parked/main", "away/queue",
                                      "over away/queue", "over dead_letters"));
}

// A shape that somebody changed on the way makes each event one that nobody understands: they go to
// dead letters of which longhaul's own queue knows nothing.
TEST_F(AlarmWatchTest, EventsThatAreSetAsideAreToldUntilNoMoreAre) {
  auto process = Start();
  ASSERT_TRUE(
      world.Run(NoteSetAside(process->state, world.clock.Now(), "app-events", "no records")));
  Look(*process);
  world.clock.Advance(10min);
  Look(*process);
  ASSERT_THAT(told.names, ElementsAre("events_set_aside/app-events"));
  EXPECT_THAT(told.texts[0], HasSubstr("no records"));
  world.clock.Advance(6min);
  Look(*process);
  EXPECT_THAT(told.names,
              ElementsAre("events_set_aside/app-events", "over events_set_aside/app-events"));
}

TEST_F(AlarmWatchTest, LagIsToldFromItsThresholdOn) {
  alarms.lag = 15min;
  auto process = Start();
  RuleNow now{.process = "p1"};
  now.oldest = OldestKey{.heard = world.clock.Now(), .key = "late/key"};
  Publish(*process, now);
  world.clock.Advance(14min);
  Look(*process);
  EXPECT_THAT(told.names, IsEmpty());
  world.clock.Advance(2min);
  Look(*process);
  Look(*process);
  ASSERT_THAT(told.names, ElementsAre("lag/main"));
  EXPECT_THAT(told.texts[0], HasSubstr("late/key"));
  now.oldest.reset();
  Publish(*process, now);
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("lag/main", "over lag/main"));
}

// A target that is left alone has its keys kept in State, where no process holds them: they wait
// all the same, also those that came after it was left alone.
TEST_F(AlarmWatchTest, LagIsNotOverWhileHintsAreKept) {
  alarms.lag = 15min;
  alarms.store_away.reset();
  auto process = Start();
  RuleNow now{.process = "p1"};
  now.targets["west"].open = OpenTarget{.since = world.clock.Now(), .reason = "refused"};
  Publish(*process, now);
  Hint hint{.key = "kept/key", .time = world.clock.Now()};
  hint.heard = hint.time;
  ASSERT_TRUE(world.Run(
      SpoolHints(process->state, "main", "east", "data", {{.target = "west", .hint = hint}})));
  world.clock.Advance(14min);
  Look(*process);
  EXPECT_THAT(told.names, IsEmpty());
  world.clock.Advance(2min);
  Look(*process);
  ASSERT_THAT(told.names, ElementsAre("lag/main"));
  EXPECT_THAT(told.texts[0], HasSubstr("kept/key"));
  // What comes back to the Queue is in nobody's hands for a moment.
  state_backend->rows.erase({"spool/main", "west/kept/key"});
  Look(*process);
  EXPECT_EQ(told.names.size(), 1U);
  now.targets.clear();
  Publish(*process, now);
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("lag/main", "over lag/main"));
}

// Who pauses a rule wants its keys to wait.
TEST_F(AlarmWatchTest, WhatIsPausedIsNotLate) {
  alarms.lag = 15min;
  auto process = Start();
  Publish(*process, {.process = "p1"});
  ASSERT_TRUE(world.Run(
      WritePause(process->state, "main", "west", Pause{.since = world.clock.Now(), .until = {}})));
  Hint hint{.key = "k", .time = world.clock.Now()};
  hint.heard = hint.time;
  ASSERT_TRUE(world.Run(
      SpoolHints(process->state, "main", "east", "data", {{.target = "west", .hint = hint}})));
  world.clock.Advance(1h);
  Look(*process);
  EXPECT_THAT(told.names, IsEmpty());
  ASSERT_TRUE(world.Run(RemovePause(process->state, "main", "west")));
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("lag/main"));
}

// A source process that has died with all that waited tells nothing; neither has anything arrived.
TEST_F(AlarmWatchTest, NothingIsOverWhileNobodyPacks) {
  alarms.lag = 15min;
  auto process = Start();
  RuleNow now{.process = "p1"};
  now.oldest = OldestKey{.heard = world.clock.Now() - 20min, .key = "k"};
  now.troubles["source"] = "refused";
  Publish(*process, now);
  Look(*process);
  world.clock.Advance(11min);
  Look(*process);
  EXPECT_THAT(told.names, UnorderedElementsAre("lag/main", "away/main/source"));
  state_backend->rows.erase({"status", "main/p1"});
  Look(*process);
  EXPECT_EQ(told.names.size(), 2U) << told.names.back();
  Publish(*process, {.process = "p1"});
  Look(*process);
  EXPECT_THAT(told.names, UnorderedElementsAre("lag/main", "away/main/source", "over lag/main",
                                               "over away/main/source"));
}

// A store that fails for a moment is no alarm, or each restart of it would be one; and the process
// that takes over does not know since when it has failed, and must not say that it is back.
TEST_F(AlarmWatchTest, AStoreIsAwayWhenItHasBeenSoForLong) {
  auto process = Start();
  RuleNow now{.process = "p1"};
  now.troubles["source"] = "refused";
  Publish(*process, now);
  Look(*process);
  world.clock.Advance(9min);
  Look(*process);
  EXPECT_THAT(told.names, IsEmpty());
  world.clock.Advance(2min);
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("away/main/source"));
  process = Start("p2");
  Look(*process);
  world.clock.Advance(1min);
  Look(*process);
  EXPECT_EQ(told.names.size(), 1U);
  now.troubles.clear();
  Publish(*process, now);
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("away/main/source", "over away/main/source"));
}

// What kept a target process from its work, nobody else can say that it is over.
TEST_F(AlarmWatchTest, ATargetIsNotBackBecauseItsProcessHasDied) {
  auto process = Start();
  Publish(*process, {.process = "p1"});
  RuleNow target{.process = "t1", .target = true};
  const auto publish_target = [&] {
    ASSERT_TRUE(world.Run(process->state.Write(
        "status", {.key = "main/t1", .value = EncodeNow(target), .expires = std::nullopt})));
  };
  target.troubles["target west"] = "refused";
  publish_target();
  Look(*process);
  world.clock.Advance(11min);
  Look(*process);
  ASSERT_THAT(told.names, ElementsAre("away/main/target west"));
  state_backend->rows.erase({"status", "main/t1"});
  Look(*process);
  Look(*process);
  EXPECT_EQ(told.names.size(), 1U) << told.names.back();
  process = Start("p2");  // Knows nothing of who told.
  Look(*process);
  EXPECT_EQ(told.names.size(), 1U) << told.names.back();
  target.troubles.clear();
  publish_target();
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("away/main/target west", "over away/main/target west"));
}

// Where each side has a State of its own no target process is ever seen here; and whoever looks
// next has not seen who told of it.
TEST_F(AlarmWatchTest, WhatASourceTellsOfATargetIsOverWhenItDoesNot) {
  for (const bool by_the_next : {false, true}) {
    told.names.clear();
    auto process = Start();
    RuleNow now{.process = "p1"};
    now.targets["west"].open = OpenTarget{.since = world.clock.Now() - 11min, .reason = "denied"};
    Publish(*process, now);
    Look(*process);
    if (by_the_next) process = Start();
    now.targets.clear();
    Publish(*process, now);
    Look(*process);
    EXPECT_THAT(told.names, ElementsAre("away/main/target west", "over away/main/target west"))
        << by_the_next;
  }
}

// A target that is left alone tells since when, whoever looks.
TEST_F(AlarmWatchTest, ATargetThatIsLeftAloneIsAwaySinceItIs) {
  auto process = Start();
  RuleNow now{.process = "p1"};
  now.targets["west"].open = OpenTarget{.since = world.clock.Now() - 11min, .reason = "denied"};
  Publish(*process, now);
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("away/main/target west"));
}

// Two processes run with one State; each has its own look every minute.
TEST_F(AlarmWatchTest, TwoProcessesTellItOnce) {
  auto one = Start("p1");
  auto two = Start("p2");
  ASSERT_TRUE(world.Run(
      WriteParked(one->state, "main",
                  {.key = "k", .target = "west", .archive = "A", .op = "put", .reason = "no"})));
  TaskGroup group(world.runtime.executor);
  group.Spawn(one->watch->Run(stop));
  group.Spawn(two->watch->Run(stop));
  world.Run(world.clock.Sleep(10min));
  stop.Set();
  ASSERT_TRUE(world.Run(group.Join()));
  EXPECT_THAT(told.names, ElementsAre("parked/main"));
}

// What one process knows from earlier looks (what was spent, how much waited) another does not, or
// knows otherwise: with both of them looking in turn an alarm would begin and end each minute. And
// whoever takes over when one stops must not end it either.
TEST_F(AlarmWatchTest, TwoProcessesDoNotContradictEachOther) {
  alarms.spending = SpendingLimit{.pico_dollars = 1'000'000'000'000, .monthly = false};
  alarms.at_capacity = 15min;
  alarms.dead_letters = false;
  prices = Prices({{"request/us-east-1/put/STANDARD", 1'000'000'000}});
  auto one = Start("p1");
  auto two = Start("p2");
  Event stop_one;
  TaskGroup group(world.runtime.executor);
  group.Spawn(one->watch->Run(stop_one));
  // They look at other moments, and at other ones at the ledger.
  world.Run(world.clock.Sleep(185s));
  group.Spawn(two->watch->Run(stop));
  auto pass = [&](int minutes) {  // At the limit, while more and more waits.
    for (int i = 0; i < minutes * 6; ++i) {
      world.Run(world.clock.Sleep(10s));
      cpu_seconds += 9.9;
      queue_backend->rows[queue_backend->next_id++] = {.body = "m"};
    }
  };
  pass(5);
  EXPECT_THAT(told.names, IsEmpty());
  Ledger ledger(world.clock, world.random);
  const int place =
      ledger.PlaceOf({.rule = "main", .target = "west", .part = "target", .region = "us-east-1"});
  ledger.Add(place, "put/STANDARD", 10'000'000);
  ASSERT_TRUE(world.Run(ledger.Publish(one->state)));
  pass(30);
  EXPECT_THAT(told.names, UnorderedElementsAre("spending/day", "at_capacity"));
  stop_one.Set();
  pass(30);
  EXPECT_EQ(told.names.size(), 2U) << told.names.back();
  stop.Set();
  ASSERT_TRUE(world.Run(group.Join()));
}

// Two configurations, each with processes of its own, may share one State: neither may end what
// the other one has told of its rules.
TEST_F(AlarmWatchTest, AlarmsOfRulesOfOthersAreLeftAlone) {
  auto process = Start();
  const std::string since = FormatRfc3339(world.clock.Now());
  for (const std::string name : {"parked/other", "lag/other", "away/other/source",
                                 "drill_failed/other/t", "drill_old/other/t", "parked/main"}) {
    ASSERT_TRUE(world.Run(process->state.Write(
        "alarms", {.key = name, .value = since + " told", .expires = std::nullopt})));
  }
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("over parked/main"));
}

// And the one that starts first must not silence the other for as long as it lives. What they have
// in common is told once.
TEST_F(AlarmWatchTest, EachConfigurationLooksAtItsOwnRules) {
  Configuration second = configuration;
  second.rules[0].id = "second";
  auto one = Start("p1");
  Event stop_one;
  TaskGroup group(world.runtime.executor);
  group.Spawn(one->watch->Run(stop_one));
  world.Run(world.clock.Sleep(90s));
  auto two = std::make_unique<Process>(*this, "p2", second);
  group.Spawn(two->watch->Run(stop));
  for (const char* rule : {"main", "second"}) {
    ASSERT_TRUE(world.Run(
        WriteParked(one->state, rule,
                    {.key = "k", .target = "west", .archive = "A", .op = "put", .reason = "no"})));
  }
  queue_backend->rows[1] = {.body = "poison", .receive_count = 2};
  world.Run(world.clock.Sleep(10min));
  EXPECT_THAT(told.names, UnorderedElementsAre("parked/main", "parked/second", "dead_letters"));
  stop_one.Set();  // The other one takes over what is common, and that alone.
  world.Run(world.clock.Sleep(10min));
  EXPECT_EQ(told.names.size(), 3U) << told.names.back();
  queue_backend->rows.clear();
  world.Run(world.clock.Sleep(10min));
  ASSERT_EQ(told.names.size(), 4U);
  EXPECT_EQ(told.names.back(), "over dead_letters");
  stop.Set();
  ASSERT_TRUE(world.Run(group.Join()));
}

// One that has lost its lease for a while knows what was so before, and must not end what another
// one has told since.
TEST_F(AlarmWatchTest, WhoLooksAgainForgetsWhatWas) {
  alarms.spending = SpendingLimit{.pico_dollars = 1'000'000'000'000, .monthly = false};
  prices = Prices({{"request/us-east-1/put/STANDARD", 1'000'000'000}});
  auto process = Start("p1");
  TaskGroup group(world.runtime.executor);
  group.Spawn(process->watch->Run(stop));
  world.Run(world.clock.Sleep(90s));
  const SystemTime now = world.clock.Now();
  ASSERT_TRUE(world.Run(
      process->state.Write("lease", {.key = "alarms", .value = "p2", .expires = now + 100s})));
  Ledger ledger(world.clock, world.random);
  const int place =
      ledger.PlaceOf({.rule = "main", .target = "west", .part = "target", .region = "us-east-1"});
  ledger.Add(place, "put/STANDARD", 10'000'000);
  ASSERT_TRUE(world.Run(ledger.Publish(process->state)));
  ASSERT_TRUE(world.Run(process->state.Write(
      "alarms", {.key = "spending/day", .value = FormatRfc3339(now) + " much"})));
  world.Run(world.clock.Sleep(5min));
  EXPECT_THAT(told.names, IsEmpty());
  stop.Set();
  ASSERT_TRUE(world.Run(group.Join()));
}

// One that has died tells nothing more; one that may still live is not doubled.
TEST_F(AlarmWatchTest, AnotherProcessTakesOverWhenTheLeaseHasRunOut) {
  auto process = Start("p2");
  Lease dead(process->state, world.clock, "alarms", "p1", 150s);
  Result<bool> held = world.Run(dead.TryAcquire());
  ASSERT_TRUE(held && *held);
  queue_backend->rows[1] = {.body = "poison", .receive_count = 2};
  TaskGroup group(world.runtime.executor);
  group.Spawn(process->watch->Run(stop));
  world.Run(world.clock.Sleep(140s));
  EXPECT_THAT(told.names, IsEmpty());
  world.Run(world.clock.Sleep(60s));
  EXPECT_THAT(told.names, ElementsAre("dead_letters"));
  stop.Set();
  ASSERT_TRUE(world.Run(group.Join()));
  // It was given back: nobody waits for one that was stopped.
  held = world.Run(dead.TryAcquire());
  EXPECT_TRUE(held && *held);
}

// A profile that this machine does not have concerns SNS alone.
TEST_F(AlarmWatchTest, ProfilesConcernSnsAlone) {
  const EnvironmentReader environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "AWS_PROFILE") return "nobody";
    if (name == "AWS_CONFIG_FILE" || name == "AWS_SHARED_CREDENTIALS_FILE") return "/nonexistent";
    return std::nullopt;
  };
  alarms.webhook = Secret("https://hooks.example/x");
  alarms.mail = MailAlarms{.server = {.host = "mail.example"}, .from = "a@b", .to = {"c@d"}};
  auto made = MakeAlarmChannels(world.runtime, alarms, environment);
  ASSERT_TRUE(made) << made.error().Describe();
  EXPECT_EQ(made->size(), 2U);
  alarms.topic = SnsTopic{.arn = "arn:aws:sns:eu-west-1:1:alarms", .region = "eu-west-1"};
  EXPECT_FALSE(MakeAlarmChannels(world.runtime, alarms, environment));
}

// What has no price is not free: nobody may think that the limit is kept.
struct TlsReceiver {
  static asio::awaitable<void> Run(asio::ip::tcp::acceptor& acceptor, asio::ssl::context& tls,
                                   std::string& head) {
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    asio::ip::tcp::socket socket = co_await acceptor.async_accept(token);
    if (error) co_return;
    asio::ssl::stream<asio::ip::tcp::socket> stream(std::move(socket), tls);
    co_await stream.async_handshake(asio::ssl::stream_base::server, token);
    if (error) co_return;
    co_await asio::async_read_until(stream, asio::dynamic_buffer(head), "\r\n\r\n", token);
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    if (!error) co_await asio::async_write(stream, asio::buffer(answer), token);
  }
};

// Where a company vouches for its own servers, or breaks TLS open, nobody would ever be told.
TEST(AlarmChannelsTest, TheWebhookTrustsWhomTheEnvironmentDoes) {
  testing::RealWorld world;
  testing::TlsServer identity("IP:127.0.0.1");
  asio::ip::tcp::acceptor acceptor(world.io, {asio::ip::address_v4::loopback(), 0});
  std::string head;
  world.Start(TlsReceiver::Run(acceptor, identity.context(), head));
  Alarms alarms;
  alarms.webhook =
      Secret("https://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()) + "/alarm");
  auto channels = MakeAlarmChannels(world.runtime, alarms,
                                    [&](const std::string& name) -> std::optional<std::string> {
                                      if (name == "AWS_CA_BUNDLE") return identity.trust_file();
                                      return std::nullopt;
                                    });
  ASSERT_TRUE(channels) << channels.error().Describe();
  ASSERT_EQ(channels->size(), 1U);
  Result<void> told = world.Run(channels->front()->Tell({.site = "s", .name = "a", .text = "a"}));
  EXPECT_TRUE(told) << told.error().Describe();
  EXPECT_THAT(head, HasSubstr("POST /alarm"));
}

TEST_F(AlarmWatchTest, SpendingIsOfTheDayAndAnUnknownPriceIsNamed) {
  alarms.spending = SpendingLimit{.pico_dollars = 1'000'000'000'000, .monthly = false};
  prices = Prices({{"request/us-east-1/put/STANDARD", 1'000'000'000}});
  auto process = Start();
  Ledger ledger(world.clock, world.random);
  const int place =
      ledger.PlaceOf({.rule = "main", .target = "west", .part = "target", .region = "us-east-1"});
  ledger.Add(place, "put/STANDARD", 10);
  ASSERT_TRUE(world.Run(ledger.Publish(process->state)));
  Look(*process);
  EXPECT_THAT(told.names, IsEmpty()) << told.texts.front();
  ledger.Add(place, "put/STANDARD", 10'000'000);
  ASSERT_TRUE(world.Run(ledger.Publish(process->state)));
  world.clock.Advance(11min);
  Look(*process);
  Look(*process);
  ASSERT_THAT(told.names, ElementsAre("spending/day"));
  EXPECT_THAT(told.texts[0], HasSubstr("more than the $1.0000 a day"));
  const int nowhere =
      ledger.PlaceOf({.rule = "main", .target = "west", .part = "target", .region = "moon-1"});
  ledger.Add(nowhere, "put/STANDARD", 10);
  ASSERT_TRUE(world.Run(ledger.Publish(process->state)));
  world.clock.Advance(11min);
  Look(*process);
  ASSERT_THAT(told.names, ElementsAre("spending/day", "spending_prices"));
  EXPECT_THAT(told.texts[1], HasSubstr("moon-1"));
  world.clock.Advance(24h);
  Look(*process);
  EXPECT_THAT(told.names, ElementsAre("spending/day", "spending_prices", "over spending/day",
                                      "over spending_prices"));
}

// A limit that large sums never reach would keep its silence for good.
TEST_F(AlarmWatchTest, SpendingIsHeldToALargeLimit) {
  alarms.spending = SpendingLimit{.pico_dollars = 20'000'000'000'000'000, .monthly = true};
  prices = Prices({{"transfer/us-east-1/eu-west-1", 20'000'000'000}});
  auto process = Start();
  Ledger ledger(world.clock, world.random);
  const int place = ledger.PlaceOf({.rule = "main",
                                    .target = "west",
                                    .part = "staging",
                                    .region = "eu-west-1",
                                    .peers = "us-east-1"});
  ledger.Add(place, "sent", uint64_t{900} << 40);
  ASSERT_TRUE(world.Run(ledger.Publish(process->state)));
  Look(*process);
  EXPECT_THAT(told.names, IsEmpty()) << told.texts.front();
  ledger.Add(place, "sent", uint64_t{124} << 40);
  ASSERT_TRUE(world.Run(ledger.Publish(process->state)));
  world.clock.Advance(11min);
  Look(*process);
  ASSERT_THAT(told.names, ElementsAre("spending/month"));
  EXPECT_THAT(told.texts[0], HasSubstr("has cost $20,971.52 since"));
}

// Full use is what one pays for; it is too little only where more and more waits.
TEST_F(AlarmWatchTest, AtCapacityIsABacklogThatGrowsWhileNothingIsLeft) {
  alarms.at_capacity = 15min;
  alarms.dead_letters = false;
  auto process = Start();
  auto minute = [&](double cpu, int messages) {
    for (int i = 0; i < 6; ++i) {
      world.clock.Advance(10s);
      cpu_seconds += cpu * 10;
      process->watch->Measure();
    }
    for (int i = 0; i < messages; ++i) {
      queue_backend->rows[queue_backend->next_id++] = {.body = "m"};
    }
    ASSERT_TRUE(world.Run(process->watch->NoteCapacity()));
    Look(*process);
  };
  process->watch->Measure();
  for (int i = 0; i < 20; ++i) minute(0.99, 0);  // Busy, and nothing waits for longer.
  for (int i = 0; i < 20; ++i) minute(0.3, 1);   // More waits, and it is not for want of anything.
  for (int i = 0; i < 4; ++i) minute(0.3, 0);
  EXPECT_THAT(told.names, IsEmpty());
  for (int i = 0; i < 17; ++i) minute(0.99, 1);
  ASSERT_THAT(told.names, ElementsAre("at_capacity"));
  EXPECT_THAT(told.texts[0], HasSubstr("processor"));
  for (int i = 0; i < 4; ++i) minute(0.1, 0);
  EXPECT_THAT(told.names, ElementsAre("at_capacity", "over at_capacity"));
}

TEST_F(AlarmWatchTest, ADrillThatFailedOrIsTooLongAgo) {
  alarms.drill_age = 24h * 7;
  configuration.rules[0].targets[0].backup = BackupOptions{};
  auto process = Start();
  Look(*process);
  ASSERT_THAT(told.names, ElementsAre("drill_old/main/west"));
  EXPECT_THAT(told.texts[0], HasSubstr("never"));
  backup::DrillNote note{.rule = "main",
                         .target = "west",
                         .at = world.clock.Now(),
                         .outcome = backup::DrillNote::Outcome::kProven};
  ASSERT_TRUE(world.Run(backup::WriteDrillNote(process->state, note)));
  Look(*process);
  EXPECT_EQ(told.names.back(), "over drill_old/main/west");
  world.clock.Advance(1h);
  note.at = world.clock.Now();
  note.outcome = backup::DrillNote::Outcome::kDiffers;
  note.reason = "k differs";
  ASSERT_TRUE(world.Run(backup::WriteDrillNote(process->state, note)));
  Look(*process);
  EXPECT_EQ(told.names.back(), "drill_failed/main/west");
  EXPECT_THAT(told.texts.back(), HasSubstr("k differs"));
}

}  // namespace
}  // namespace longhaul
