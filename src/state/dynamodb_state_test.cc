// What becomes of a write whose answer is lost, and of what DynamoDB leaves undone; all else that a
// State does is tested on real servers (tests/conformance).

#include "state/dynamodb_state.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "state/dynamodb_table.h"
#include "tests/support/fake_dynamodb.h"
#include "tests/support/run.h"
#include "tests/support/s3_store_fixture.h"

namespace longhaul::testing {
namespace {

using Fault = FakeDynamodb::Fault;
using Items = boost::json::array;
using namespace std::chrono_literals;

// As DynamoDB tells them.
boost::json::object Item(const std::string& partition, const std::string& key) {
  return {{"p", {{"B", Base64Encode(partition)}}},
          {"k", {{"B", Base64Encode(key)}}},
          {"value", {{"B", ""}}},
          {"revision", {{"N", "1"}}}};
}
boost::json::object Sign(const std::string& partition, const std::string& key) {
  boost::json::object sign = Item(partition, key);
  sign["long"] = {{"BOOL", true}};
  return sign;
}

// What has a clock of its own, and takes no signature that is more than five minutes off.
class StrictHttp : public HttpClient {
 public:
  StrictHttp(FakeDynamodb& inner, Clock& clock) : inner_(inner), clock_(clock) {}
  [[nodiscard]] SystemTime Now() const { return clock_.Now() + ahead; }
  Async<HttpResponse> Send(HttpRequest request) override {
    inner_.headers = {{"Date", FormatHttpDate(Now())}};
    std::string date(request.headers.Get("X-Amz-Date"));  // 20260301T090000Z
    for (const size_t at : {4, 7}) date.insert(at, "-");
    for (const size_t at : {13, 16}) date.insert(at, ":");
    Result<SystemTime> signed_at = ParseRfc3339(date);
    if (signed_at && std::chrono::abs(*signed_at - Now()) <= 5min) {
      co_return co_await inner_.Send(std::move(request));
    }
    HttpResponse refused;
    refused.status = 403;
    refused.headers = inner_.headers;
    refused.body =
        std::make_unique<AnswerBody>(R"({"__type":"x#InvalidSignatureException"})", false);
    co_return refused;
  }
  std::chrono::seconds ahead{0};

 private:
  FakeDynamodb& inner_;
  Clock& clock_;
};

class DynamodbStateTest : public ::testing::Test {
 protected:
  DynamodbStateTest() { state_ = Open(); }

  std::shared_ptr<DynamodbClient> Client(HttpClient* http = nullptr) {
    auto service =
        AwsJsonClient::Make(world_.runtime,
                            {.service = "dynamodb",
                             .target = "DynamoDB_20120810",
                             .endpoint = "http://127.0.0.1:8000",
                             .region = "us-east-1",
                             .credentials = MakeStaticCredentials({.access_key_id = "K",
                                                                   .secret_access_key = Secret("S"),
                                                                   .session_token = {},
                                                                   .expires = {}})},
                            http == nullptr ? &http_ : http);
    EXPECT_TRUE(service) << service.error().Describe();
    return std::make_shared<DynamodbClient>(std::move(*service), "table");
  }
  std::unique_ptr<State> Open() {
    auto opened = world_.Run(DynamodbState::Open(world_.runtime, Client()));
    EXPECT_TRUE(opened) << opened.error().Describe();
    http_.operations.clear();
    http_.requests.clear();
    return std::move(*opened);
  }
  Result<int64_t> Write(StateWrite write) {
    return world_.Run(state_->Write("p", std::move(write)));
  }
  std::string ValueOf(const std::string& key) {
    auto row = world_.Run(state_->Get("p", key));
    EXPECT_TRUE(row) << row.error().Describe();
    return row && *row ? (*row)->value : "(absent)";
  }
  int64_t Count(const std::string& operation) {
    return std::ranges::count(http_.operations, operation);
  }
  // What somebody who opens it is told.
  Error WhyNot() {
    auto opened = world_.Run(DynamodbState::Open(world_.runtime, Client()));
    EXPECT_FALSE(opened);
    return opened ? Error() : opened.error();
  }
  double Counted(const std::string& name, const std::string& operation) {
    return world_.metrics.counter(name, "", {{"service", "dynamodb"}, {"operation", operation}})
        .value();
  }
  // Somebody else's write, before the next request.
  void SomebodyWrites(const std::string& value) {
    auto& item = http_.items.begin()->second;
    item["value"] = {{"B", Base64Encode(value)}};
    item["revision"] = {{"N", "77"}};
  }

  FakeWorld world_;
  FakeDynamodb http_;
  std::unique_ptr<State> state_;
};

// Who is told that a lease is another's while it holds it waits for itself.
TEST_F(DynamodbStateTest, AWriteWhoseAnswerWasLostIsFound) {
  for (const Fault fault : {Fault::kLostAfter, Fault::kFailedAfter, Fault::kDamaged}) {
    http_.items.clear();
    http_.faults = {fault};
    auto written = Write({.key = "k", .value = "v", .expected = Expected::Absent()});
    ASSERT_TRUE(written) << written.error().Describe();
    auto row = world_.Run(state_->Get("p", "k"));
    ASSERT_TRUE(row && *row);
    EXPECT_EQ((*row)->revision, *written);
  }
  EXPECT_EQ(Count("PutItem"), 3);
}

// The first of two copies could be carried out after a removal that came behind the second.
TEST_F(DynamodbStateTest, ALostWriteWithoutARevisionIsNotRepeated) {
  http_.faults = {Fault::kLostBefore};
  auto written = Write({.key = "k", .value = "v", .expected = Expected::Absent()});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::kRetryable);
  EXPECT_EQ(Count("PutItem"), 1);
}

TEST_F(DynamodbStateTest, AWriteOnARevisionIsRepeatedUntilItIsThere) {
  auto first = Write({.key = "k", .value = "1"});
  ASSERT_TRUE(first);
  http_.faults = {Fault::kLostBefore, Fault::kNone, Fault::kLostBefore, Fault::kNone,
                  Fault::kLostAfter};
  auto second = Write({.key = "k", .value = "2", .expected = Expected::Revision(*first)});
  ASSERT_TRUE(second) << second.error().Describe();
  EXPECT_EQ(ValueOf("k"), "2");
  EXPECT_EQ(Count("PutItem"), 4);
}

// It may have happened: "your revision is gone" would be half of the truth.
TEST_F(DynamodbStateTest, AWriteThatWasWrittenOverIsInDoubt) {
  for (const bool on_revision : {true, false}) {
    http_.items.clear();
    auto first = Write({.key = "k", .value = "1"});
    ASSERT_TRUE(first);
    http_.faults = {Fault::kLostAfter};
    http_.after_fault = [this] { SomebodyWrites("theirs"); };
    auto second = Write({.key = "k",
                         .value = "2",
                         .expected = on_revision ? Expected::Revision(*first) : Expected()});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::kRetryable);
    EXPECT_EQ(ValueOf("k"), "theirs");  // And is not written over for a second time.
  }
}

TEST_F(DynamodbStateTest, ALostRemoval) {
  auto first = Write({.key = "k", .value = "1"});
  http_.faults = {Fault::kLostAfter};
  auto removed = Write({.key = "k", .expected = Expected::Revision(*first)});
  ASSERT_FALSE(removed);  // Ours or another's.
  EXPECT_EQ(removed.error().kind, ErrorKind::kRetryable);
  http_.faults = {Fault::kLostAfter};
  EXPECT_TRUE(Write({.key = "k"}));
}

TEST_F(DynamodbStateTest, AConditionThatDoesNotHoldIsToldAtOnce) {
  auto first = Write({.key = "k", .value = "1"});
  ASSERT_TRUE(first);
  for (const Expected& expected : {Expected::Absent(), Expected::Revision(*first + 1)}) {
    auto refused = Write({.key = "k", .value = "2", .expected = expected});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kPrecondition);
    auto kept = Write({.key = "k", .expected = Expected::Revision(*first + 1)});
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().kind, ErrorKind::kPrecondition);
  }
  EXPECT_EQ(ValueOf("k"), "1");
}

// A count is neither lost nor doubled with its answer.
TEST_F(DynamodbStateTest, AnAddWhoseAnswerWasLost) {
  ASSERT_TRUE(Write({.key = "n", .value = "40"}));
  for (const int64_t sum : {42, 44, 46}) {
    http_.faults.clear();
    if (sum == 42) http_.faults = {Fault::kNone, Fault::kNone};  // It is text: refused, read.
    http_.faults.push_back(sum == 46 ? Fault::kFailedAfter : Fault::kLostAfter);
    auto added = world_.Run(state_->Add("p", "n", 2));
    ASSERT_TRUE(added) << added.error().Describe();
    EXPECT_EQ(*added, sum);
    EXPECT_EQ(ValueOf("n"), std::to_string(sum));
  }
  http_.faults = {Fault::kLostBefore};
  auto lost = world_.Run(state_->Add("p", "n", 2));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::kRetryable);
  EXPECT_EQ(ValueOf("n"), "46");
}

// What was throttled has not been done, and is repeated; somewhere that ends.
TEST_F(DynamodbStateTest, ThrottledRequestsAreRepeated) {
  http_.faults = {Fault::kThrottled, Fault::kThrottled, Fault::kThrottled};
  ASSERT_TRUE(Write({.key = "k", .value = "v", .expected = Expected::Absent()}));
  http_.faults = {Fault::kThrottled};
  EXPECT_EQ(*world_.Run(state_->Add("p", "n", 1)), 1);
  http_.faults = {Fault::kThrottled};
  EXPECT_EQ(ValueOf("k"), "v");
  EXPECT_EQ(Counted("longhaul_aws_throttled_total", "PutItem"), 3);
  EXPECT_EQ(Counted("longhaul_aws_requests_total", "PutItem"), 4);
  http_.faults.assign(100, Fault::kThrottled);
  auto refused = Write({.key = "k", .value = "v"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kThrottled);
}

// A key that was not processed is not one that is absent.
TEST_F(DynamodbStateTest, UnprocessedKeysAreAskedForAgain) {
  std::vector<std::string> keys;
  for (int i = 0; i < 5; ++i) {
    keys.push_back("k" + std::to_string(i));
    ASSERT_TRUE(Write({.key = keys.back(), .value = keys.back()}));
  }
  http_.faults = {Fault::kUnprocessed, Fault::kUnprocessed, Fault::kUnprocessed,
                  Fault::kUnprocessed, Fault::kUnprocessed, Fault::kUnprocessed};
  auto rows = world_.Run(state_->GetMany("p", keys));
  ASSERT_TRUE(rows) << rows.error().Describe();
  for (size_t i = 0; i < keys.size(); ++i) {
    ASSERT_TRUE((*rows)[i]) << i;
    EXPECT_EQ((*rows)[i]->value, keys[i]);
  }
  EXPECT_GT(Counted("longhaul_aws_throttled_total", "BatchGetItem"), 0);
  http_.faults.assign(100, Fault::kUnprocessed);
  auto none = world_.Run(state_->GetMany("p", keys));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kThrottled);
}

TEST_F(DynamodbStateTest, ADamagedAnswerIsAskedForAgain) {
  ASSERT_TRUE(Write({.key = "k", .value = "v"}));
  http_.faults = {Fault::kDamaged};
  EXPECT_EQ(ValueOf("k"), "v");
  EXPECT_EQ(Count("GetItem"), 2);
}

// A sweep that does not come by a row never takes it up again.
TEST_F(DynamodbStateTest, ALongKeyHasItsSignFirst) {
  ASSERT_TRUE(Write({.key = std::string(1500, 'k'), .value = "v"}));
  ASSERT_EQ(Count("PutItem"), 2);
  EXPECT_TRUE(http_.requests[0].at("Item").as_object().contains("long"));
  ASSERT_TRUE(Write({.key = std::string(1501, 'k'), .value = "v"}));  // The same one.
  EXPECT_EQ(Count("PutItem"), 3);
  state_ = Open();
  EXPECT_EQ(*world_.Run(state_->Add("p", std::string(1500, 'n'), 1)), 1);
  EXPECT_EQ(http_.operations, (std::vector<std::string>{"PutItem", "UpdateItem"}));
}

// A machine whose clock is off holds its leases no longer, and no shorter, than the others see.
TEST_F(DynamodbStateTest, ExpiryIsByTheClockOfTheService) {
  for (const std::chrono::seconds ahead : {0s, 100s, -100s}) {
    http_.headers = {{"Date", FormatHttpDate(world_.clock.Now() + ahead)}};
    (void)ValueOf("k");  // Learns it.
    const SystemTime expires = world_.clock.Now() + 10s;
    ASSERT_TRUE(Write({.key = "k", .value = "v", .expires = expires}));
    const auto& item = http_.items.begin()->second;
    const std::chrono::seconds seen = std::chrono::abs(ahead) < 2s ? 0s : ahead;
    const int64_t stored = std::stoll(std::string(item.at("expires").at("N").as_string()));
    EXPECT_NEAR(static_cast<double>(stored),
                static_cast<double>((expires + seen).time_since_epoch().count()), 2e6);
    auto row = world_.Run(state_->Get("p", "k"));
    ASSERT_TRUE(row && *row);
    EXPECT_EQ((*row)->expires, expires);
  }
  http_.headers.clear();
}

// A machine whose clock is set must not take a lease that another holds, nor hold one that the
// others see as expired: what is refused for its signature has those times in it as well.
TEST_F(DynamodbStateTest, AfterAStepOfTheClockTimesAreThoseOfTheService) {
  StrictHttp strict(http_, world_.clock);
  auto opened = world_.Run(DynamodbState::Open(world_.runtime, Client(&strict)));
  ASSERT_TRUE(opened) << opened.error().Describe();
  State& state = **opened;
  auto write = [&](std::string key, Expected expected) {
    const SystemTime expires = world_.clock.Now() + 1min;
    return world_.Run(state.Write(
        "p", {.key = std::move(key), .value = "v", .expected = expected, .expires = expires}));
  };
  auto near_to = [](const boost::json::value& number, SystemTime time) {
    const int64_t there = std::stoll(std::string(number.at("N").as_string()));
    return std::abs(there - time.time_since_epoch().count()) <= 2'000'000;
  };
  auto first = write("lease", Expected::Absent());
  ASSERT_TRUE(first) << first.error().Describe();
  world_.clock.Advance(2h);
  strict.ahead = -2h;
  auto stolen = write("lease", Expected::Absent());
  ASSERT_FALSE(stolen);
  EXPECT_EQ(stolen.error().kind, ErrorKind::kPrecondition) << stolen.error().Describe();

  strict.ahead = 1h;
  auto mine = write("mine", Expected::Absent());
  ASSERT_TRUE(mine) << mine.error().Describe();
  const auto& put = http_.requests.back();
  EXPECT_TRUE(near_to(put.at("Item").at("expires"), strict.Now() + 1min)) << put;
  EXPECT_TRUE(near_to(put.at("ExpressionAttributeValues").at(":now"), strict.Now())) << put;

  strict.ahead = -1h;
  auto sum = world_.Run(state.Add("p", "count", 5));
  ASSERT_TRUE(sum) << sum.error().Describe();
  EXPECT_EQ(*sum, 5);
  const auto& update = http_.requests.back();
  EXPECT_TRUE(near_to(update.at("ExpressionAttributeValues").at(":now"), strict.Now())) << update;

  strict.ahead = 0s;
  ASSERT_TRUE(world_.Run(state.Scan("p", "", 10)));
  const auto& query = http_.requests.back();
  EXPECT_TRUE(near_to(query.at("ExpressionAttributeValues").at(":now"), strict.Now())) << query;
}

TEST_F(DynamodbStateTest, AnExpiredRowIsAbsentThoughItIsThere) {
  ASSERT_TRUE(Write({.key = "k", .value = "v", .expires = world_.clock.Now() - 1s}));
  ASSERT_EQ(http_.items.size(), 1u);
  EXPECT_EQ(ValueOf("k"), "(absent)");
  auto rows = world_.Run(state_->GetMany("p", {"k"}));
  ASSERT_TRUE(rows);
  EXPECT_FALSE((*rows)[0]);
}

// A row that cannot be understood must be neither used nor written over, and be found by who looks.
TEST_F(DynamodbStateTest, ARowOfANewerLonghaulIsLeftAlone) {
  ASSERT_TRUE(Write({.key = "k/1", .value = "1"}));
  http_.items.begin()->second["version"] = {{"N", "2"}};
  const auto before = http_.items;
  for (const Expected& expected : {Expected::Anything(), Expected::Absent()}) {
    EXPECT_FALSE(Write({.key = "k/1", .value = "2", .expected = expected}));
    EXPECT_FALSE(Write({.key = "k/1", .expected = expected}));
  }
  auto written = Write({.key = "k/1", .value = "2"});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::kCorrupt);
  EXPECT_FALSE(world_.Run(state_->Add("p", "k/1", 1)));
  EXPECT_FALSE(world_.Run(state_->GetMany("p", {"k/1"})));
  auto row = world_.Run(state_->Get("p", "k/1"));
  ASSERT_FALSE(row);
  EXPECT_EQ(row.error().kind, ErrorKind::kCorrupt);
  for (const char* words : {"newer longhaul", "table table", "p=pp", "k=k/1"}) {
    EXPECT_TRUE(row.error().message.contains(words)) << row.error().message;
  }
  EXPECT_EQ(http_.items, before);
}

TEST_F(DynamodbStateTest, DamagedRowsAreNamed) {
  for (const auto& [name, value] : std::vector<std::pair<std::string, boost::json::object>>{
           {"value", {{"N", "1"}}},
           {"revision", {{"N", "-1"}}},
           {"revision", {{"N", "1e3"}}},
           {"expires", {{"N", "99999999999999999999999"}}},
           {"expires", {{"BOOL", true}}}}) {
    http_.items.clear();
    ASSERT_TRUE(Write({.key = "k", .value = "1"}));
    http_.items.begin()->second[name] = value;
    auto row = world_.Run(state_->Get("p", "k"));
    ASSERT_FALSE(row) << name;
    EXPECT_EQ(row.error().kind, ErrorKind::kCorrupt);
    EXPECT_TRUE(row.error().message.contains("k=k")) << row.error().message;
  }
}

// A page may end anywhere, and hold nothing: the end is where there is no further one.
TEST_F(DynamodbStateTest, AScanGoesThroughAllPages) {
  auto key = [](const std::string& name) {
    return boost::json::object{{"p", {{"B", Base64Encode("pp")}}},
                               {"k", {{"B", Base64Encode(name)}}}};
  };
  http_.query_answers = {
      {{"Items", Items{Item("pp", "a")}}, {"LastEvaluatedKey", key("a")}},
      {{"Items", Items{}}, {"LastEvaluatedKey", key("b")}},
      {{"Items", Items{Item("pp", "c"), Item("pp", "d")}}},
  };
  auto rows = world_.Run(state_->Scan("p", "", 100));
  ASSERT_TRUE(rows) << rows.error().Describe();
  std::vector<std::string> keys;
  for (const StateRow& row : *rows) keys.push_back(row.key);
  EXPECT_EQ(keys, (std::vector<std::string>{"a", "c", "d"}));
  ASSERT_EQ(Count("Query"), 3);
  EXPECT_EQ(http_.requests.back().at("ExclusiveStartKey"), key("b"));
}

// An answer that leads a scan in a circle must not keep it for ever.
TEST_F(DynamodbStateTest, AScanOfNonsenseEnds) {
  const boost::json::object next{{"p", {{"B", Base64Encode("pp")}}}, {"k", {{"B", "AA=="}}}};
  for (const auto& [items, more] : std::vector<std::pair<Items, bool>>{
           {Items{Item("pother", "k")}, false},
           {Items{Item("pp", "k"), Item("pp", "k")}, false},
           {Items{Item("pp", "l"), Item("pp", "k")}, false},
           {Items{Sign("pp", "k")}, false},
           {Items{boost::json::object{{"k", {{"B", "AA=="}}}}}, false},
           {Items{}, true}}) {
    http_.query_answers = {{{"Items", items}}};
    if (more) http_.query_answers.front()["LastEvaluatedKey"] = next;
    auto rows = world_.Run(state_->Scan("p", "", 100));
    ASSERT_FALSE(rows);
    EXPECT_EQ(rows.error().kind, ErrorKind::kCorrupt);
  }
  http_.query_answers = {{{"Items", Items{Item("pp", "k")}}}};
  EXPECT_EQ(world_.Run(state_->Scan("p", "", 100))->size(), 1u);
}

// Who finds a table that it does not know, or may not use, must be told what mends it (exit 2).
TEST_F(DynamodbStateTest, WhatIsWrongWithTheTableIsToldWithItsRemedy) {
  const std::string type = R"({"__type":"com.amazonaws.dynamodb.v20120810#)";
  http_.refusal = type + R"(ResourceNotFoundException","message":"no table"})";
  Error error = WhyNot();
  EXPECT_EQ(error.kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(error.message.contains("run 'longhaul setup'")) << error.message;

  http_.refusal =
      type + R"(AccessDeniedException","message":"User: )"
             R"(arn:aws:sts::1:assumed-role/mover/i-1 is not authorized to perform: )"
             R"(dynamodb:DescribeTable on resource: arn:aws:dynamodb:us-east-1:1:table/table"})";
  error = WhyNot();
  EXPECT_EQ(error.kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(error.code.empty());
  EXPECT_TRUE(
      error.message.contains("aws iam put-role-policy --role-name mover --policy-name "
                             "longhaul-state --policy-document '{"))
      << error.message;
  EXPECT_TRUE(error.message.contains("arn:aws:dynamodb:us-east-1:*:table/table")) << error.message;

  http_.refusal = type + R"(UnrecognizedClientException","message":"no such key"})";
  EXPECT_EQ(WhyNot().kind, ErrorKind::kDenied);

  http_.refusal.clear();
  const std::pair<std::string, std::string> version{Base64Encode("v"), Base64Encode("state")};
  for (const char* number : {"2", "x"}) {
    http_.items[version] = {{"p", {{"B", version.first}}},
                            {"k", {{"B", version.second}}},
                            {"version", {{"N", number}}}};
    error = WhyNot();
    if (*number == '2') {
      EXPECT_EQ(error.kind, ErrorKind::kInvalidInput);
      EXPECT_TRUE(error.message.contains("newer longhaul")) << error.message;
    } else {
      EXPECT_EQ(error.kind, ErrorKind::kCorrupt);
    }
    EXPECT_FALSE(world_.Run(SetUpDynamodbState(*Client())));
  }
}

TEST(DynamodbTableTest, TheCommandsOfTheAwsCli) {
  const std::string on_demand = DynamodbStateCommands("jobs", "", "eu-west-1");
  EXPECT_TRUE(
      on_demand.starts_with("aws dynamodb create-table --region eu-west-1 --table-name jobs "
                            "--billing-mode PAY_PER_REQUEST"))
      << on_demand;
  const std::string provisioned =
      DynamodbStateCommands("jobs", "http://127.0.0.1:8000", "eu-west-1",
                            DynamoCapacity{.read_units = 50, .write_units = 20});
  EXPECT_TRUE(provisioned.contains("--endpoint-url 'http://127.0.0.1:8000'")) << provisioned;
  EXPECT_TRUE(
      provisioned.contains("--billing-mode PROVISIONED --provisioned-throughput "
                           "ReadCapacityUnits=50,WriteCapacityUnits=20"))
      << provisioned;
  EXPECT_TRUE(provisioned.contains("Enabled=true,AttributeName=ttl")) << provisioned;
}

}  // namespace
}  // namespace longhaul::testing
