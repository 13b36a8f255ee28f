#include "cost/ledger.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>

#include "cost/bill.h"
#include "cost/ledger_aws.h"
#include "cost/ledger_meter.h"
#include "tests/support/fake_state.h"
#include "tests/support/run.h"
#include "tests/support/s3_store_fixture.h"
#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeFaults;
using testing::FakeState;
using testing::FakeStateBackend;

LedgerPlace PlaceOf(std::string rule) {
  return {.rule = std::move(rule),
          .target = "west",
          .part = "staging",
          .region = "eu-west-1",
          .peers = "us-east-1"};
}

struct LedgerLines {
  std::vector<LedgerLine> lines;
  uint64_t damaged_rows = 0;
};

class LedgerTest : public ::testing::Test {
 protected:
  Result<LedgerLines> Read(State& state, SystemTime since) {
    LedgerLines all;
    Result<uint64_t> damaged_rows = world.Run(
        ReadLedger(state, since, [&](const LedgerLine& line) { all.lines.push_back(line); }));
    if (!damaged_rows) return damaged_rows.error();
    all.damaged_rows = *damaged_rows;
    return all;
  }
  uint64_t Sum(const std::string& what) {
    FakeState state(world.runtime, backend);
    Result<LedgerLines> lines = Read(state, SystemTime{});
    EXPECT_TRUE(lines);
    EXPECT_EQ(lines->damaged_rows, 0u);
    uint64_t sum = 0;
    for (const LedgerLine& line : lines->lines) {
      if (auto found = line.counts.find(what); found != line.counts.end()) sum += found->second;
    }
    return sum;
  }

  testing::FakeWorld world;
  std::shared_ptr<FakeStateBackend> backend = std::make_shared<FakeStateBackend>();
};

TEST_F(LedgerTest, ProcessesAddUpByRuleAndHour) {
  FakeState state(world.runtime, backend);
  const std::string first_hour = LedgerHour(world.clock.Now());
  Ledger a(world.clock, world.random);
  Ledger b(world.clock, world.random);
  a.Add(a.PlaceOf(PlaceOf("one")), "put/STANDARD", 2);
  b.Add(b.PlaceOf(PlaceOf("one")), "put/STANDARD", 3);
  b.Add(b.PlaceOf(PlaceOf("two")), "sent", uint64_t{1} << 40);
  ASSERT_TRUE(world.Run(a.Publish(state)));
  ASSERT_TRUE(world.Run(b.Publish(state)));
  world.clock.Advance(1h);
  a.Add(a.PlaceOf(PlaceOf("one")), "put/STANDARD", 5);
  ASSERT_TRUE(world.Run(a.Publish(state)));
  EXPECT_EQ(Sum("put/STANDARD"), 10u);
  EXPECT_EQ(Sum("sent"), uint64_t{1} << 40);
  Result<LedgerLines> lines = Read(state, world.clock.Now());
  ASSERT_EQ(lines->lines.size(), 1u);
  EXPECT_EQ(lines->lines[0].place, PlaceOf("one"));
  EXPECT_EQ(LedgerHour(lines->lines[0].hour), LedgerHour(world.clock.Now()));
  EXPECT_NE(LedgerHour(world.clock.Now()), first_hour);
}

// A write of which nobody knows whether it happened is repeated: counted twice, it would bill what
// nobody has paid; counted never, it would claim savings that there are not.
TEST_F(LedgerTest, WhatIsPublishedUnderFaultsIsNeitherLongNorLost) {
  for (uint64_t seed = 1; seed <= (testing::kSanitized ? 20 : 200); ++seed) {
    backend = std::make_shared<FakeStateBackend>();
    FakeFaults faults(seed);
    faults.fails_before = 0.2;
    faults.fails_after = 0.3;
    FakeState state(world.runtime, backend, &faults);
    Ledger ledger(world.clock, world.random);
    uint64_t counted = 0;
    for (int i = 0; i < 30; ++i) {
      // Hours go over, and more places than one row holds come in.
      if (i % 7 == 6) world.clock.Advance(40min);
      for (int rule = 0; rule < 150; rule += 49) {
        ledger.Add(ledger.PlaceOf(PlaceOf(std::to_string(rule + i))), "put/STANDARD", 1);
        ++counted;
      }
      static_cast<void>(world.Run(ledger.Publish(state)));
      ASSERT_LE(Sum("put/STANDARD"), counted) << seed;
    }
    faults.fails_before = 0;
    faults.fails_after = 0;
    ASSERT_TRUE(world.Run(ledger.Publish(state))) << seed;
    ASSERT_EQ(Sum("put/STANDARD"), counted) << seed;
  }
}

// A clock that is set back into an hour that has been written goes on with what that hour had.
TEST_F(LedgerTest, AClockThatIsSetBackOverwritesNothing) {
  FakeState state(world.runtime, backend);
  Ledger ledger(world.clock, world.random);
  const int place = ledger.PlaceOf(PlaceOf("one"));
  ledger.Add(place, "sent", 1'000);
  for (const auto step : {60min, -60min, 60min, 120min}) {
    world.clock.Advance(step);
    ASSERT_TRUE(world.Run(ledger.Publish(state)));
    ledger.Add(place, "sent", 1);
    ASSERT_TRUE(world.Run(ledger.Publish(state)));
  }
  EXPECT_EQ(Sum("sent"), 1'004u);
}

// A write that comes late, after the next one has been made, must not take that one back.
TEST_F(LedgerTest, ALateWriteOverwritesNothing) {
  FakeState state(world.runtime, backend);
  Ledger ledger(world.clock, world.random);
  const int place = ledger.PlaceOf(PlaceOf("one"));
  ledger.Add(place, "sent", 1);
  ASSERT_TRUE(world.Run(ledger.Publish(state)));
  ASSERT_EQ(backend->rows.size(), 1u);
  const StateRow first = backend->rows.begin()->second;

  // What the second write sends is kept on its way and repeated after the third.
  class Late : public FakeState {
   public:
    using FakeState::FakeState;
    Async<std::vector<Result<int64_t>>> WriteMany(std::string partition,
                                                  std::vector<StateWrite> writes) override {
      if (keep) {
        kept = writes;
        keep = false;
        co_return Retryable("no answer");
      }
      co_return co_await FakeState::WriteMany(std::move(partition), std::move(writes));
    }
    bool keep = true;
    std::vector<StateWrite> kept;
  };
  Late late(world.runtime, backend);
  ledger.Add(place, "sent", 10);
  EXPECT_FALSE(world.Run(ledger.Publish(late)));
  ledger.Add(place, "sent", 100);
  ASSERT_TRUE(world.Run(ledger.Publish(late)));
  EXPECT_EQ(Sum("sent"), 111u);
  ASSERT_TRUE(world.Run(late.WriteMany("ledger", late.kept)));
  EXPECT_EQ(Sum("sent"), 111u);
}

// What is counted while a row is read may need more rows: none may be written to where it was
// before.
TEST_F(LedgerTest, RowsMayMoveWhileOneIsRead) {
  class Growing : public FakeState {
   public:
    Growing(testing::FakeWorld& world, std::shared_ptr<FakeStateBackend> rows, Ledger& ledger)
        : FakeState(world.runtime, std::move(rows)), ledger_(ledger) {}
    Async<std::vector<Result<int64_t>>> WriteMany(std::string partition,
                                                  std::vector<StateWrite> writes) override {
      Result<std::vector<Result<int64_t>>> written =
          co_await FakeState::WriteMany(std::move(partition), std::move(writes));
      if (std::exchange(loses_answer, false)) co_return Retryable("no answer");
      co_return written;
    }
    Async<std::optional<StateRow>> Get(std::string partition, std::string key) override {
      ++reads;
      for (int i = 0; i < 1'000; ++i) {
        ledger_.Add(ledger_.PlaceOf(PlaceOf("new" + std::to_string(i))), "sent", 1);
      }
      co_return co_await FakeState::Get(std::move(partition), std::move(key));
    }
    bool loses_answer = true;
    int reads = 0;

   private:
    Ledger& ledger_;
  };
  Ledger ledger(world.clock, world.random);
  Growing state(world, backend, ledger);
  const int place = ledger.PlaceOf(PlaceOf("one"));
  ledger.Add(place, "sent", 1);
  EXPECT_FALSE(world.Run(ledger.Publish(state)));
  ledger.Add(place, "sent", 10);
  ASSERT_TRUE(world.Run(ledger.Publish(state)));
  EXPECT_EQ(state.reads, 1);
  EXPECT_EQ(Sum("sent"), 1'011u);
}

// A state behind a bill: to write the ledger is counted in the ledger.
TEST_F(LedgerTest, WritingItDoesNotKeepItFromEnding) {
  class Billed : public FakeState {
   public:
    Billed(testing::FakeWorld& world, std::shared_ptr<FakeStateBackend> rows, Ledger& ledger)
        : FakeState(world.runtime, std::move(rows)), ledger_(ledger) {}
    Async<std::vector<Result<int64_t>>> WriteMany(std::string partition,
                                                  std::vector<StateWrite> writes) override {
      Result<std::vector<Result<int64_t>>> written =
          co_await FakeState::WriteMany(std::move(partition), std::move(writes));
      ledger_.Add(ledger_.PlaceOf(PlaceOf("")), "state_write", 1);
      co_return written;
    }

   private:
    Ledger& ledger_;
  };
  Ledger ledger(world.clock, world.random);
  Billed state(world, backend, ledger);
  ledger.Add(ledger.PlaceOf(PlaceOf("")), "state_write", 1);
  for (uint64_t published = 1; published <= 3; ++published) {
    Result<void> done = world.Run(ledger.Publish(state));
    ASSERT_TRUE(done) << done.error().Describe();
    EXPECT_EQ(Sum("state_write"), published);
  }
}

// kill -9: what was counted since the last write is lost, and nothing is there twice.
TEST_F(LedgerTest, AKillLosesWhatWasNotPublishedAndNothingElse) {
  FakeState state(world.runtime, backend);
  uint64_t published = 0;
  uint64_t counted = 0;
  for (int process = 0; process < 50; ++process) {
    Ledger ledger(world.clock, world.random);
    const int place = ledger.PlaceOf(PlaceOf("one"));
    for (int i = 0; i < 5; ++i) {
      ledger.Add(place, "sent", 7);
      counted += 7;
      if (i == 3) {
        ASSERT_TRUE(world.Run(ledger.Publish(state)));
        published += 28;
      }
    }
  }
  EXPECT_EQ(Sum("sent"), published);
  EXPECT_LE(published, counted);
}

// Processes come, are killed at any moment, in the middle of a write too, and others take their
// place. Each takes a minute with it at most, and nothing is on the bill that was not used.
TEST_F(LedgerTest, OfProcessesKilledAtRandomEachIsShortByAMinuteAtMost) {
  struct Process {
    std::unique_ptr<Ledger> ledger;
    int phase = 0;
    std::string name;
  };
  FakeState state(world.runtime, backend);
  FakeFaults dying(1);
  dying.fails_after = 1;  // Written, and nobody hears of it any more.
  FakeState last_write(world.runtime, backend, &dying);
  std::vector<Process> running(5);
  std::map<std::string, std::deque<uint64_t>> counted;  // By process, each second.
  int kills = 0;
  for (int second = 0; second < 3'000; ++second) {
    for (Process& process : running) {
      if (!process.ledger) {
        process = {.ledger = std::make_unique<Ledger>(world.clock, world.random),
                   .phase = static_cast<int>(world.random.Below(30)),
                   .name = std::to_string(counted.size())};
      }
      const uint64_t amount = world.random.Below(50);
      process.ledger->Add(process.ledger->PlaceOf(PlaceOf(process.name)), "put/STANDARD", amount);
      counted[process.name].push_back(amount);
      if (second % 30 == process.phase) ASSERT_TRUE(world.Run(process.ledger->Publish(state)));
      if (world.random.Below(150) != 0) continue;
      if (world.random.Below(2) == 0) {
        static_cast<void>(world.Run(process.ledger->Publish(last_write)));
      }
      process.ledger.reset();
      ++kills;
    }
    world.clock.Advance(1s);
  }
  ASSERT_GT(kills, 50);
  Result<LedgerLines> lines = Read(state, SystemTime{});
  ASSERT_TRUE(lines);
  std::map<std::string, uint64_t> written;
  for (const LedgerLine& line : lines->lines) {
    written[line.place.rule] += line.counts.at("put/STANDARD");
  }
  for (const auto& [name, amounts] : counted) {
    uint64_t all = 0;
    uint64_t last_minute = 0;
    for (size_t i = 0; i < amounts.size(); ++i) {
      all += amounts[i];
      if (i + 60 >= amounts.size()) last_minute += amounts[i];
    }
    EXPECT_LE(written[name], all) << name;
    EXPECT_GE(written[name], all - last_minute) << name;
  }
}

TEST_F(LedgerTest, WhatIsNoRowIsLeftOutAndCounted) {
  FakeState state(world.runtime, backend);
  const std::string hour = LedgerHour(world.clock.Now());
  for (const char* text :
       {"", "{", "[1]", "[{\"rule\":1}]",
        R"([{"rule":"a","target":"","part":"other","region":"","peers":"","counts":{"sent":-1}}])",
        R"([{"rule":"a","target":"","part":"other","region":"","peers":"","counts":[]}])"}) {
    static int number = 0;
    StateWrite write{.key = hour + "/x/" + std::to_string(number++),
                     .value = text,
                     .expected = {},
                     .expires = {}};
    ASSERT_TRUE(world.Run(state.Write("ledger", write)));
  }
  Ledger ledger(world.clock, world.random);
  ledger.Add(ledger.PlaceOf(PlaceOf("one")), "sent", 3);
  ASSERT_TRUE(world.Run(ledger.Publish(state)));
  Result<LedgerLines> lines = Read(state, SystemTime{});
  ASSERT_TRUE(lines);
  EXPECT_EQ(lines->damaged_rows, 6u);
  ASSERT_EQ(lines->lines.size(), 1u);
}

TEST_F(LedgerTest, ProcessorTimeIsSharedByWorkAndNoneOfItLost) {
  FakeState state(world.runtime, backend);
  Ledger ledger(world.clock, world.random);
  ledger.RunsIn({{"one", "us-east-1"}, {"two", "eu-west-1"}});
  ledger.Add(ledger.PlaceOf(PlaceOf("one")), "sent", 3 << 20);
  ledger.Add(ledger.PlaceOf(PlaceOf("two")), "sent", 1 << 20);
  ledger.AddCpu(4);
  ledger.AddCpu(5);  // Nobody's work.
  ASSERT_TRUE(world.Run(ledger.Publish(state)));
  EXPECT_EQ(Sum("cpu_us"), 5'000'000u);
  Result<LedgerLines> lines = Read(state, SystemTime{});
  std::map<std::string, uint64_t> by_rule;
  for (const LedgerLine& line : lines->lines) {
    if (line.counts.contains("cpu_us")) by_rule[line.place.rule] = line.counts.at("cpu_us");
  }
  EXPECT_EQ(by_rule["one"], 3'000'000u);
  EXPECT_EQ(by_rule["two"], 1'000'000u);
  EXPECT_EQ(by_rule[""], 1'000'000u);
}

TEST_F(LedgerTest, ServicesOfAwsAreCountedInTheUnitsOfTheirBills) {
  FakeState state(world.runtime, backend);
  Ledger ledger(world.clock, world.random);
  CountAwsRequest(ledger, "sqs", "us-east-1", "SendMessageBatch", std::string(65 << 10, 'x'), "{}",
                  1);
  CountAwsRequest(ledger, "sqs", "us-east-1", "ReceiveMessage", "{}", "", 2);
  CountAwsRequest(ledger, "dynamodb", "us-east-1", "GetItem", "{}", "", 1);
  CountAwsRequest(ledger, "dynamodb", "us-east-1", "BatchGetItem", R"({"p":{},"p":{}})",
                  std::string(9 << 10, 'x'), 1);
  CountAwsRequest(ledger, "dynamodb", "us-east-1", "PutItem", std::string(1500, 'x'), "{}", 1);
  CountAwsRequest(ledger, "dynamodb", "us-east-1", "DescribeTable", "{}", "{}", 1);
  CountAwsRequest(ledger, "sts", "us-east-1", "AssumeRole", "{}", "{}", 1);
  ASSERT_TRUE(world.Run(ledger.Publish(state)));
  EXPECT_EQ(Sum("queue_request"), 4u);
  EXPECT_EQ(Sum("state_read"), 1u + 2u + 3u);
  EXPECT_EQ(Sum("state_write"), 2u);
}

Configuration ConfigurationOfOneRule() {
  Configuration configuration;
  Rule rule;
  rule.id = "logs";
  rule.source = {.store = "east", .bucket = "data", .prefix = "logs/"};
  rule.threshold = 15min;
  Target target;
  target.name = "west";
  target.to = {.store = "west", .bucket = "copy", .prefix = ""};
  target.staging = {.store = "west", .bucket = "staging", .prefix = ""};
  target.storage_class = "STANDARD_IA";
  rule.targets.push_back(target);
  configuration.rules.push_back(rule);
  return configuration;
}

const StoreRegions kRegions{{"east", "us-east-1"}, {"west", "eu-west-1"}};

TEST_F(LedgerTest, RequestsFindTheirRuleByBucketAndKey) {
  Configuration configuration = ConfigurationOfOneRule();
  Rule other = configuration.rules[0];
  other.id = "all";
  other.source.prefix = "";
  configuration.rules.push_back(other);
  auto ledger = std::make_shared<Ledger>(world.clock, world.random);
  LedgerMeter east(ledger, configuration, "east", kRegions);
  LedgerMeter west(ledger, configuration, "west", kRegions);
  const Rule& rule = configuration.rules[0];
  const Target& target = rule.targets[0];
  const auto source = ledger->PlaceOf(PlaceOfSource(rule, kRegions));
  EXPECT_EQ(east.PlaceOf("data", "logs/1", RequestKind::kGet), source);
  EXPECT_EQ(east.PlaceOf("data", "logs/", RequestKind::kList), source);
  EXPECT_EQ(east.PlaceOf("data", "log", RequestKind::kGet),
            ledger->PlaceOf(PlaceOfSource(other, kRegions)));
  EXPECT_EQ(west.PlaceOf("staging", "logs/X.tar.zst", RequestKind::kPut),
            ledger->PlaceOf(PlaceOfStaging(rule, target, kRegions)));
  // Both rules write there.
  LedgerPlace shared = PlaceOfTarget(rule, target, kRegions);
  shared.rule = shared.target = "";
  EXPECT_EQ(west.PlaceOf("copy", "logs/1", RequestKind::kPut), ledger->PlaceOf(shared));
  EXPECT_EQ(west.PlaceOf("elsewhere", "logs/1", RequestKind::kPut),
            ledger->PlaceOf(
                {.rule = "", .target = "", .part = "other", .region = "eu-west-1", .peers = ""}));
}

// Replicas of a target without a class have that of their objects, by S3's own replication as well:
// a PUT of GLACIER_IR must not be held against one of STANDARD.
TEST_F(LedgerTest, NativeReplicationIsReckonedInTheClassOfTheObjects) {
  const Prices prices;
  Configuration configuration;
  Rule rule{.id = "one", .source = {.store = "a", .bucket = "data", .prefix = ""}};
  rule.targets.push_back({.name = "west", .to = {.store = "b", .bucket = "copy", .prefix = ""}});
  configuration.rules.push_back(rule);
  LedgerLine line{.place = PlaceOf("one"),
                  .counts = {{"put/GLACIER_IR", 1000},
                             {"put/STANDARD", 500},
                             {"archive/objects", 1200},
                             {"archive/bytes", 1200}}};
  line.place.part = "target";
  const auto requests = [&](const Bill& bill) { return bill.Reckon(prices).items.at("requests"); };
  Account account;
  account.Add(line, configuration.FindRule(line.place.rule));
  const int64_t put = *prices.Find("request/eu-west-1/put/STANDARD");
  const int64_t cold_put = *prices.Find("request/eu-west-1/put/GLACIER_IR");
  ASSERT_GT(cold_put, put);
  EXPECT_EQ(requests(account.native), 800 * cold_put + 400 * put);
  EXPECT_EQ(requests(account.copy) - requests(account.native),
            800 * *prices.Find("request/us-east-1/get/GLACIER_IR") +
                400 * *prices.Find("request/us-east-1/get/STANDARD"));
  // With a class of its own it is that one's.
  configuration.rules[0].targets[0].storage_class = "STANDARD_IA";
  Account named;
  named.Add(line, configuration.FindRule(line.place.rule));
  EXPECT_EQ(requests(named.native), 1200 * *prices.Find("request/eu-west-1/put/STANDARD_IA"));
}

TEST_F(LedgerTest, ABillIsExactAndNamesWhatItDoesNotKnow) {
  const Configuration configuration = ConfigurationOfOneRule();
  const Target& target = configuration.rules[0].targets[0];
  Account account;
  account.Add({.hour = {},
               .place = PlaceOfStaging(configuration.rules[0], target, kRegions),
               .counts = {{"put/STANDARD", 3}, {"sent", 512 << 20}, {"kib_seconds", 1 << 20}}},
              &configuration.rules[0]);
  account.Add({.hour = {},
               .place = PlaceOfTarget(configuration.rules[0], target, kRegions),
               .counts = {{"put/STANDARD_IA", 1000},
                          {"archive/objects", 1000},
                          {"archive/bytes", uint64_t{2} << 30},
                          {"plain/objects", 1},
                          {"plain/bytes", uint64_t{1} << 30}}},
              &configuration.rules[0]);
  Prices prices(PriceList{{"transfer/us-east-1/eu-west-1", 20'000'000'000},
                          {"request/eu-west-1/put/STANDARD", 5'000'000},
                          {"request/eu-west-1/put/STANDARD_IA", 10'000'000},
                          {"request/us-east-1/get/STANDARD", 400'000},
                          {"storage/eu-west-1/STANDARD", 23'000'000'000},
                          {"rtc_gib/us-east-1", 15'000'000'000}});
  const Bill::Sum paid = account.paid.Reckon(prices);
  EXPECT_TRUE(paid.unknown.empty());
  EXPECT_EQ(paid.items.at("transfer"), 10'000'000'000 + 20'000'000'000);
  EXPECT_EQ(paid.items.at("requests at the staging"), 15'000'000);
  EXPECT_EQ(paid.items.at("requests at the target"), 10'000'000'000);
  EXPECT_EQ(paid.items.at("storage of archives"), 8752);  // $0.023 through 730 hours, rounded.
  // 1,001 objects of 3 GiB in all.
  EXPECT_EQ(account.native.Reckon(prices).total,
            3 * 20'000'000'000 + 1001 * 10'000'000LL + 3 * 15'000'000'000);
  EXPECT_EQ(account.copy.Reckon(prices).total,
            3 * 20'000'000'000 + 1001 * (10'000'000LL + 400'000));
  ASSERT_TRUE(BreakEvenBytes(account, prices));

  LedgerPlace moon = PlaceOfStaging(configuration.rules[0], target, kRegions);
  moon.region = "moon-1";
  account.Add({.hour = {}, .place = moon, .counts = {{"sent", 1}, {"put/STANDARD", 1}}},
              &configuration.rules[0]);
  const Bill::Sum less = account.paid.Reckon(prices);
  EXPECT_EQ(less.total, paid.total);
  EXPECT_EQ(less.unknown,
            (std::set<std::string>{"request/moon-1/put/STANDARD", "transfer/us-east-1/moon-1"}));
  EXPECT_FALSE(BreakEvenBytes(account, prices));
}

// A server that counts what reaches it and fails every few requests, in each of the ways there are.
class CountingHttp : public HttpClient {
 public:
  explicit CountingHttp(Random& random) : random_(random) {}
  Async<HttpResponse> Send(HttpRequest request) override {
    uint64_t body_bytes = request.body ? request.body->size() : 0;
    if (request.source != nullptr) {
      std::vector<std::byte> buffer(64 << 10);
      while (true) {
        Result<size_t> count = co_await request.source->Read(buffer);
        if (!count) co_return count.error();
        if (*count == 0) break;
        body_bytes += *count;
      }
    }
    const uint64_t roll = random_.Below(20);
    if (roll == 0) {  // Never left.
      Error error = Retryable("refused");
      error.code = kNotSentCode;
      co_return error;
    }
    const bool twice = roll == 1;  // A kept connection was dead.
    if (request.times_sent != nullptr) *request.times_sent += twice ? 2 : 1;
    const uint64_t times = twice ? 2 : 1;
    const std::string kind = request.method == "PUT"                              ? "put"
                             : request.method == "DELETE"                         ? "delete"
                             : request.url.find("list-type") != std::string::npos ? "list"
                                                                                  : "get";
    requests[kind] += times;
    sent += body_bytes * (request.source == nullptr ? times : 1);
    if (roll == 2) co_return Retryable("reset");
    HttpResponse response;
    std::string text;
    if (roll == 3) {
      response.status = 503;
      text = "<Error><Code>SlowDown</Code></Error>";
    } else if (roll == 4) {
      response.status = 500;
      text = "<Error><Code>InternalError</Code></Error>";
    } else if (kind == "list") {
      text = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    } else if (kind == "get") {
      text = std::string(random_.Below(3000), 'x');
      response.headers = {{"ETag", "\"e-1\""}, {"Content-Length", std::to_string(text.size())}};
    } else {
      response.headers = {{"ETag", "\"e-1\""}};
    }
    if (response.status == 0) response.status = 200;
    received += text.size();
    response.body = std::make_unique<testing::AnswerBody>(std::move(text), false);
    co_return response;
  }

  std::map<std::string, uint64_t> requests;
  uint64_t sent = 0;
  uint64_t received = 0;

 private:
  Random& random_;
};

// Without it: a retry or a failure that is billed and not counted would be claimed as saved.
TEST_F(LedgerTest, TheBillIsThatOfEveryRequestThatTheServerSaw) {
  const Configuration configuration = ConfigurationOfOneRule();
  auto ledger = std::make_shared<Ledger>(world.clock, world.random);
  CountingHttp http(world.random);
  S3StoreOptions options;
  options.endpoint = "http://127.0.0.1:9000";
  options.meter = std::make_shared<LedgerMeter>(ledger, configuration, "east", kRegions);
  Result<std::unique_ptr<Store>> store = MakeS3Store(world.runtime, options, &http);
  ASSERT_TRUE(store);
  FakeState state(world.runtime, backend);
  for (int i = 0; i < (testing::kSanitized ? 20'000 : 100'000); ++i) {
    const std::string key = "logs/" + std::to_string(i);
    switch (i % 4) {
      case 0: {
        GetRequest get;
        get.bucket = "data";
        get.key = key;
        static_cast<void>(world.Run(GetAll(**store, std::move(get), 1 << 20)));
        break;
      }
      case 1: {
        PutRequest put;
        put.bucket = "data";
        put.key = key;
        const std::string text(i % 100 == 1 ? 300'000 : static_cast<size_t>(i) % 2000, 'y');
        static_cast<void>(world.Run(PutText(**store, std::move(put), text)));
        break;
      }
      case 2:
        static_cast<void>(world.Run((*store)->List({.bucket = "data", .prefix = key})));
        break;
      default:
        static_cast<void>(world.Run((*store)->Remove({.bucket = "data", .key = key})));
        break;
    }
    if (i % 5'000 == 0) ASSERT_TRUE(world.Run(ledger->Publish(state)));
  }
  ASSERT_TRUE(world.Run(ledger->Publish(state)));
  for (const auto& [kind, count] : http.requests) EXPECT_EQ(Sum(kind + "/STANDARD"), count) << kind;
  EXPECT_EQ(http.requests.size(), 4u);
  EXPECT_EQ(Sum("sent"), http.sent);
  EXPECT_EQ(Sum("received"), http.received);

  const Prices prices;
  int64_t pico = 0;
  for (const auto& [kind, count] : http.requests) {
    pico += *prices.Find("request/us-east-1/" + kind + "/STANDARD") * static_cast<int64_t>(count);
  }
  Account account;
  Result<LedgerLines> lines = Read(state, SystemTime{});
  for (const LedgerLine& line : lines->lines)
    account.Add(line, configuration.FindRule(line.place.rule));
  EXPECT_EQ(account.paid.Reckon(prices).total, pico);
  EXPECT_GT(pico, 0);
}

}  // namespace
}  // namespace longhaul
