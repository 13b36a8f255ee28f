// What PostgresClient and its schema promise of a real server, that LONGHAUL_TEST_POSTGRES names.

#include "tests/support/postgres_fixture.h"

namespace longhaul::testing {
namespace {

class PostgresServer : public ::testing::TestWithParam<int> {};

// Whoever starts before the tables are there must be told what makes them.
TEST_P(PostgresServer, AMissingSchemaIsNamedWithItsRemedy) {
  AnyWorld world = AnyWorld::Real();
  auto client = PostgresClient::Make(
      world.runtime(), {.url = Secret(std::string(PostgresTestUrl()) + "?schema=nobody_made_it")});
  ASSERT_TRUE(client);
  auto queue = world.Run(PostgresQueue::Open(world.runtime(), *client, {}));
  ASSERT_FALSE(queue);
  EXPECT_EQ(queue.error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(queue.error().message.contains("longhaul setup")) << queue.error().message;
}

TEST_P(PostgresServer, SetupMayRunTwiceAndSideBySide) {
  PostgresFixture fixture;
  std::vector<PostgresPart> parts = {PostgresQueuePart(), PostgresDeadLettersPart(),
                                     PostgresStatePart()};
  auto again = fixture.world().Run(SetUpPostgres(*fixture.Client(), parts));
  ASSERT_TRUE(again) << again.error().Describe();
  EXPECT_TRUE(again->empty());
  auto client = fixture.Client();
  ASSERT_TRUE(fixture.world().Run(client->Execute("DROP SCHEMA " + client->schema() +
                                                  " CASCADE; CREATE SCHEMA " + client->schema())));
  struct Both {
    static Async<void> One(PostgresClient& client, const std::vector<PostgresPart>& parts) {
      Result<std::vector<std::string>> made = co_await SetUpPostgres(client, parts);
      if (!made) co_return made.error();
      co_return Ok();
    }
    static Async<void> Run(Runtime& runtime, std::vector<std::shared_ptr<PostgresClient>>& clients,
                           const std::vector<PostgresPart>& parts) {
      TaskGroup group(runtime.executor);
      for (auto& client : clients) group.Spawn(One(*client, parts));
      co_return co_await group.Join();
    }
  };
  std::vector<std::shared_ptr<PostgresClient>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(fixture.Client());
  Result<void> made = fixture.world().Run(Both::Run(fixture.world().runtime(), clients, parts));
  EXPECT_TRUE(made) << made.error().Describe();
  EXPECT_TRUE(fixture.world().Run(CheckPostgresPart(*client, PostgresQueuePart())));
  EXPECT_TRUE(fixture.world().Run(CheckPostgresPart(*client, PostgresStatePart())));
}

// An older process must not work on tables that it does not know.
TEST_P(PostgresServer, TablesOfANewerVersionAreLeftAlone) {
  PostgresFixture fixture;
  auto client = fixture.Client();
  ASSERT_TRUE(fixture.world().Run(client->Execute("UPDATE schema_versions SET version = 99")));
  auto state = fixture.world().Run(PostgresState::Open(fixture.world().runtime(), client));
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().kind, ErrorKind::kInvalidInput);
  auto set_up = fixture.world().Run(SetUpPostgres(*client, {PostgresStatePart()}));
  ASSERT_FALSE(set_up);
  EXPECT_TRUE(set_up.error().message.contains("newer")) << set_up.error().message;
}

// A queue that was set up before reasons were kept: whoever needs them is told what to run, which
// leaves what is there as it is, and the processes of before can go on, and be started again.
TEST_P(PostgresServer, AQueueOfBeforeIsBroughtUpToDateUnderItsProcesses) {
  PostgresFixture fixture;
  AnyWorld& world = fixture.world();
  auto client = fixture.Client();
  const std::string& schema = client->schema();
  ASSERT_TRUE(
      world.Run(client->Execute("DROP SCHEMA " + schema + " CASCADE; CREATE SCHEMA " + schema)));
  ASSERT_TRUE(world.Run(SetUpPostgres(*client, {PostgresQueuePart()})));
  ASSERT_TRUE(world.Run(client->Execute(
      "SELECT queue_insert('events', ARRAY['a', 'a']::bytea[], ARRAY['dead', 'waits']::bytea[], 0);"
      "UPDATE queue_messages SET receives = 10 WHERE body = 'dead';"
      "SELECT * FROM queue_receive('events', 'a', 10, 60000000, 10)")));
  auto refused = world.Run(PostgresQueue::Open(world.runtime(), client, {}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE(refused.error().message.contains("dead letters") &&
              refused.error().message.contains("run 'longhaul setup'"))
      << refused.error().message;

  // As SQL too: what is there already is left alone, and the rest is made.
  const std::vector<PostgresPart> parts = {PostgresQueuePart(), PostgresDeadLettersPart()};
  EXPECT_TRUE(PostgresSetupSql(schema, parts).contains("queue_bury"));
  auto changed = world.Run(SetUpPostgres(*client, parts));
  ASSERT_TRUE(changed) << changed.error().Describe();
  EXPECT_EQ(*changed, std::vector<std::string>{"dead letters"});
  EXPECT_TRUE(world.Run(CheckPostgresPart(*client, PostgresQueuePart()))) << "of the one before";

  auto queue = world.Run(PostgresQueue::Open(world.runtime(), client, {}));
  ASSERT_TRUE(queue) << queue.error().Describe();
  ASSERT_TRUE(world.Run(client->Execute("UPDATE queue_messages SET visible_us = 0")));
  auto received = world.Run((*queue)->Receive(
      {.count_max = 10, .visibility = std::chrono::seconds(60), .wait = {}, .without = {}}));
  ASSERT_TRUE(received);
  ASSERT_EQ(received->messages.size(), 1u);
  EXPECT_EQ(received->messages[0].body, "waits");
  // A reason is of whatever bytes.
  ASSERT_TRUE(world.Run((*queue)->Bury(received->messages[0], std::string("no\0\xff", 4))));
  auto dead = world.Run((*queue)->DeadLetters(10));
  ASSERT_TRUE(dead);
  ASSERT_EQ(dead->size(), 2u);
  EXPECT_EQ(dead->at(0).body, "dead");
  EXPECT_EQ(dead->at(0).reason, "");
  EXPECT_EQ(dead->at(1).reason, std::string("no\0\xff", 4));
  // What the program before calls.
  auto before =
      world.Run(client->Run("SELECT count(*) FROM queue_dead_letters('events', 10, 10)", {}));
  ASSERT_TRUE(before) << before.error().Describe();
  EXPECT_EQ(before->Int(0, 0), 2);
  auto redriven = world.Run(client->Run("SELECT queue_redrive('events', 10)", {}));
  ASSERT_TRUE(redriven) << redriven.error().Describe();
  EXPECT_EQ(redriven->Int(0, 0), 2);
  auto depth = world.Run((*queue)->Depth());
  ASSERT_TRUE(depth);
  EXPECT_EQ(depth->visible, 2);
}

// A connection that the server ends, as at a restart, costs a new one and nothing else.
TEST_P(PostgresServer, ALostConnectionIsReplaced) {
  PostgresFixture fixture;
  auto client = fixture.Client();
  auto other = fixture.Client();
  auto pid = fixture.world().Run(
      client->Run("SELECT pg_backend_pid()", PostgresArguments(), PostgresRepeat::kSafe));
  ASSERT_TRUE(pid);
  ASSERT_TRUE(fixture.world().Run(other->Run("SELECT pg_terminate_backend($1::bigint::int)",
                                             PostgresArguments().Int(pid->Int(0, 0)))));
  auto after = fixture.world().Run(
      client->Run("SELECT pg_backend_pid()", PostgresArguments(), PostgresRepeat::kSafe));
  ASSERT_TRUE(after) << after.error().Describe();
  EXPECT_NE(after->Int(0, 0), pid->Int(0, 0));
}

// Nor is one kept whose server takes no writes any more, as after a fail-over: another one may.
TEST_P(PostgresServer, AConnectionThatTakesNoWritesIsReplaced) {
  PostgresFixture fixture;
  auto client = fixture.Client();
  ASSERT_TRUE(fixture.world().Run(client->Execute("CREATE TABLE written (number bigint)")));
  ASSERT_TRUE(fixture.world().Run(client->Execute("SET default_transaction_read_only = on")));
  auto setting = fixture.world().Run(client->Run(
      "SELECT (current_setting('default_transaction_read_only') = 'on')::int::bigint", {}));
  ASSERT_TRUE(setting);
  ASSERT_EQ(setting->Int(0, 0), 1);
  auto taken =
      fixture.world().Run(client->Run("INSERT INTO written VALUES (1)", PostgresArguments()));
  EXPECT_TRUE(taken) << taken.error().Describe();
  auto count = fixture.world().Run(client->Run("SELECT count(*) FROM written", {}));
  ASSERT_TRUE(count);
  EXPECT_EQ(count->Int(0, 0), 1);
}

TEST_P(PostgresServer, WrongKeysAreDenied) {
  AnyWorld world = AnyWorld::Real();
  std::string url = PostgresTestUrl();
  url.replace(url.find("://") + 3, url.find('@') - url.find("://") - 3, "longhaul:wrong");
  auto client = PostgresClient::Make(world.runtime(), {.url = Secret(url)});
  ASSERT_TRUE(client);
  auto rows = world.Run((*client)->Run("SELECT 1", PostgresArguments()));
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().kind, ErrorKind::kDenied) << rows.error().Describe();
}

// A role that works must get by with what the guide says that it needs.
TEST_P(PostgresServer, NeedsNoMoreRightsThanTheGuideNames) {
  PostgresFixture fixture;
  auto owner = fixture.Client();
  const std::string schema = owner->schema();
  ASSERT_TRUE(fixture.world().Run(owner->Execute(
      "CREATE ROLE " + schema + "_role LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA " + schema +
      " TO " + schema + "_role; GRANT SELECT ON schema_versions TO " + schema +
      "_role; GRANT SELECT, INSERT, UPDATE, DELETE ON queue_messages, queue_dead, state_rows TO " +
      schema + "_role; GRANT USAGE ON SEQUENCE state_revision TO " + schema + "_role")));
  std::string url = fixture.url();
  url.replace(url.find("://") + 3, url.find('@') - url.find("://") - 3, schema + "_role:p");
  {
    auto client = PostgresClient::Make(fixture.world().runtime(), {.url = Secret(url)});
    ASSERT_TRUE(client);
    auto queue = fixture.world().Run(PostgresQueue::Open(fixture.world().runtime(), *client, {}));
    ASSERT_TRUE(queue) << queue.error().Describe();
    ASSERT_TRUE(fixture.world().Run(
        (*queue)->Send({{.body = "b", .lane = "a"}}, std::chrono::milliseconds(0))));
    auto received = fixture.world().Run(
        (*queue)->Receive({.visibility = std::chrono::seconds(60), .wait = {}, .without = {}}));
    ASSERT_TRUE(received) << received.error().Describe();
    ASSERT_EQ(received->messages.size(), 1u);
    ASSERT_TRUE(fixture.world().Run((*queue)->Bury(received->messages[0], "no")));
    auto dead = fixture.world().Run((*queue)->DeadLetters(10));
    ASSERT_TRUE(dead) << dead.error().Describe();
    ASSERT_EQ(dead->size(), 1u);
    ASSERT_TRUE(fixture.world().Run((*queue)->Redrive()));
    received = fixture.world().Run(
        (*queue)->Receive({.visibility = std::chrono::seconds(60), .wait = {}, .without = {}}));
    ASSERT_TRUE(received && received->messages.size() == 1);
    EXPECT_TRUE(fixture.world().Run((*queue)->Ack({received->messages[0].receipt})));
    auto state = fixture.world().Run(PostgresState::Open(fixture.world().runtime(), *client));
    ASSERT_TRUE(state) << state.error().Describe();
    EXPECT_TRUE(fixture.world().Run((*state)->Write("p", {.key = "k", .value = "v"})));
    EXPECT_TRUE(fixture.world().Run((*state)->Add("p", "n", 1)));
  }
  EXPECT_TRUE(fixture.world().Run(
      owner->Execute("DROP OWNED BY " + schema + "_role; DROP ROLE " + schema + "_role")));
}

// A role beside the owner of the tables, that may nothing at first.
class OtherRole {
 public:
  explicit OtherRole(PostgresFixture& fixture, QueueUse use = QueueUse::kTakes)
      : fixture_(fixture), owner_(fixture.Client()), name_(owner_->schema() + "_role") {
    Do("CREATE ROLE " + name_ + " LOGIN PASSWORD 'p'");
    std::string url = fixture.url();
    url.replace(url.find("://") + 3, url.find('@') - url.find("://") - 3, name_ + ":p");
    auto client = PostgresClient::Make(
        fixture.world().runtime(),
        {.url = Secret(url), .grants = [use](const std::string& schema, std::string_view role) {
           return PostgresGrants(schema, role, Parts(use));
         }});
    EXPECT_TRUE(client);
    client_ = *client;
  }
  static std::vector<PostgresPart> Parts(QueueUse use) {
    return {PostgresQueuePartFor(use), PostgresDeadLettersPart(), PostgresStatePart()};
  }
  ~OtherRole() {
    client_.reset();
    Do("REASSIGN OWNED BY " + name_ + " TO CURRENT_USER; DROP OWNED BY " + name_ + "; DROP ROLE " +
       name_);
  }
  OtherRole(const OtherRole&) = delete;
  OtherRole& operator=(const OtherRole&) = delete;

  void Do(const std::string& sql) {
    Result<void> done = fixture_.world().Run(owner_->Execute(sql));
    EXPECT_TRUE(done) << sql << ": " << done.error().Describe();
  }
  // What a refusal tells its owner to do.
  void DoAsTold(const Error& error) {
    constexpr std::string_view kBefore = "can allow it: ";
    const std::string text = error.Describe();
    const size_t at = text.find(kBefore);
    ASSERT_NE(at, text.npos) << text;
    Do(text.substr(at + kBefore.size()));
  }
  Result<void> SetUp() {
    auto made = fixture_.world().Run(SetUpPostgres(
        *client_, {PostgresQueuePart(), PostgresDeadLettersPart(), PostgresStatePart()}));
    if (!made) return made.error();
    return Ok();
  }
  Result<void> Send() {
    auto queue = fixture_.world().Run(PostgresQueue::Open(fixture_.world().runtime(), client_, {}));
    if (!queue) return queue.error();
    return fixture_.world().Run((*queue)->Send({{.body = "b", .lane = "a"}}, {}));
  }
  [[nodiscard]] const std::string& schema() const { return owner_->schema(); }
  [[nodiscard]] const std::shared_ptr<PostgresClient>& client() const { return client_; }

 private:
  PostgresFixture& fixture_;
  std::shared_ptr<PostgresClient> owner_;
  std::string name_;
  std::shared_ptr<PostgresClient> client_;
};

// PostgreSQL takes a schema that may not be used for one that is not there: "run 'longhaul setup'"
// would send whoever reads it in a circle.
TEST_P(PostgresServer, WhoMayNotUseTheTablesIsToldWhatGrantsIt) {
  for (const char* granted : {"", "GRANT USAGE ON SCHEMA ", "GRANT USAGE, CREATE ON SCHEMA "}) {
    PostgresFixture fixture;
    OtherRole role(fixture);
    if (*granted != '\0') role.Do(granted + role.schema() + " TO " + role.schema() + "_role");
    for (const Result<void>& refused : {role.Send(), role.SetUp()}) {
      ASSERT_FALSE(refused) << granted;
      EXPECT_EQ(refused.error().kind, ErrorKind::kDenied) << refused.error().Describe();
      EXPECT_FALSE(refused.error().message.contains("longhaul setup")) << refused.error().message;
    }
    role.DoAsTold(role.Send().error());
    Result<void> sent = role.Send();
    EXPECT_TRUE(sent) << sent.error().Describe();
    EXPECT_TRUE(role.SetUp()) << "nothing is missing";
  }
}

// Reading is one right, writing another: what is refused later is told as well.
TEST_P(PostgresServer, WhoMayReadAloneIsToldWhatGrantsTheRest) {
  PostgresFixture fixture;
  OtherRole role(fixture);
  role.Do("GRANT USAGE ON SCHEMA " + role.schema() + " TO " + role.schema() +
          "_role; GRANT SELECT ON ALL TABLES IN SCHEMA " + role.schema() + " TO " + role.schema() +
          "_role");
  Result<void> refused = role.Send();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kDenied) << refused.error().Describe();
  role.DoAsTold(refused.error());
  Result<void> sent = role.Send();
  EXPECT_TRUE(sent) << sent.error().Describe();
}

// In a schema that others have tables in as well, what is offered must not open those, nor let a
// process say of which version the tables are.
TEST_P(PostgresServer, WhatIsOfferedIsOfOurTablesAlone) {
  PostgresFixture fixture;
  OtherRole role(fixture);
  role.Do("CREATE TABLE " + role.schema() + ".payroll (x int)");
  role.DoAsTold(role.Send().error());
  ASSERT_TRUE(role.Send());
  for (const char* sql : {"SELECT count(*) FROM payroll", "DELETE FROM payroll",
                          "UPDATE schema_versions SET version = 99"}) {
    auto refused = fixture.world().Run(role.client()->Run(sql, {}));
    ASSERT_FALSE(refused) << sql;
    EXPECT_EQ(refused.error().kind, ErrorKind::kDenied) << refused.error().Describe();
  }
}

// A process with the target role alone counts the queue; with its API it also sends, and sends back
// what is dead. Neither may take a message away.
TEST_P(PostgresServer, ATargetIsOfferedNoRightToTakeMessages) {
  for (const QueueUse use : {QueueUse::kLooks, QueueUse::kSends}) {
    const bool sends = use == QueueUse::kSends;
    PostgresFixture fixture;
    AnyWorld& world = fixture.world();
    OtherRole role(fixture, use);
    role.Do(
        "SELECT queue_insert('events', ARRAY['a']::bytea[], ARRAY['b']::bytea[], 0);"
        "INSERT INTO queue_dead VALUES (99, 'events', 'a', 0, 10, 10, 'dead')");
    role.DoAsTold(role.Send().error());
    auto queue = world.Run(PostgresQueue::Open(world.runtime(), role.client(), {}));
    ASSERT_TRUE(queue) << queue.error().Describe();
    auto depth = world.Run((*queue)->Depth());
    ASSERT_TRUE(depth) << depth.error().Describe();
    EXPECT_EQ(depth->visible + depth->dead, 2);
    EXPECT_TRUE(world.Run((*queue)->DeadLetters(10)));
    auto state = world.Run(PostgresState::Open(world.runtime(), role.client()));
    ASSERT_TRUE(state) << state.error().Describe();
    EXPECT_TRUE(world.Run((*state)->Write("p", {.key = "k", .value = "v"})));
    EXPECT_TRUE(world.Run((*state)->Add("p", "n", 1)));
    EXPECT_TRUE(world.Run((*state)->Write("p", {.key = "k"})));

    EXPECT_EQ(world.Run((*queue)->Send({{.body = "c", .lane = "a"}}, {})).has_value(), sends);
    EXPECT_EQ(world.Run((*queue)->Redrive()).has_value(), sends);
    auto received = world.Run(
        (*queue)->Receive({.visibility = std::chrono::seconds(60), .wait = {}, .without = {}}));
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().kind, ErrorKind::kDenied) << received.error().Describe();
    EXPECT_FALSE(world.Run((*queue)->Ack({{.id = 1, .delivery = 0}})));
  }
}

// `doctor` sends nothing and receives nothing, and must see all the same that a role may not.
TEST_P(PostgresServer, WhatARoleLacksIsKnownWithoutAMessage) {
  for (const QueueUse use : {QueueUse::kTakes, QueueUse::kSends, QueueUse::kLooks}) {
    PostgresFixture fixture;
    OtherRole role(fixture, use);
    const auto lacking = [&] {
      auto lacks =
          fixture.world().Run(LackingPostgresRights(*role.client(), OtherRole::Parts(use)));
      EXPECT_TRUE(lacks) << lacks.error().Describe();
      std::string text;
      for (const PostgresLack& lack : lacks ? *lacks : std::vector<PostgresLack>()) {
        text += lack.rights + " on " + lack.on + (lack.without.empty() ? "; " : " at best; ");
      }
      return text;
    };
    const std::string name = role.schema() + "_role";
    role.Do("GRANT USAGE ON SCHEMA " + role.schema() + " TO " + name +
            "; GRANT SELECT ON ALL TABLES IN SCHEMA " + role.schema() + " TO " + name);
    const std::string of_state =
        "INSERT, UPDATE, DELETE on state_rows; USAGE on SEQUENCE state_revision; ";
    EXPECT_EQ(
        lacking(),
        (use == QueueUse::kTakes   ? "INSERT, UPDATE, DELETE on queue_messages; TRUNCATE on "
                                     "queue_messages at best; INSERT, UPDATE, DELETE on queue_dead; "
         : use == QueueUse::kSends ? "INSERT, UPDATE on queue_messages; DELETE on queue_dead; "
                                   : "") +
            of_state);
    role.Do(role.client()->GrantsTo(name));
    EXPECT_EQ(lacking(), "");
    role.Do("REVOKE EXECUTE ON FUNCTION queue_insert FROM PUBLIC, " + name);
    EXPECT_EQ(lacking(), "EXECUTE on FUNCTION queue_insert; ");
  }
}

// What is offered keeps the table as small as its owner would.
TEST_P(PostgresServer, WhoTakesMessagesMayLetAnEmptyTableStartAnew) {
  PostgresFixture fixture;
  OtherRole role(fixture);
  role.DoAsTold(role.Send().error());
  role.Do(
      "INSERT INTO queue_messages (queue, lane, sent_us, visible_us, body)"
      " SELECT 'events', 'a', 0, 0, 'b' FROM generate_series(1, 200000);"
      "DELETE FROM queue_messages");
  const auto bytes = [&] {
    auto size = fixture.world().Run(
        role.client()->Run("SELECT pg_indexes_size('queue_messages')", PostgresArguments()));
    EXPECT_TRUE(size);
    return size ? size->Int(0, 0) : 0;
  };
  ASSERT_GT(bytes(), 4 << 20);
  ASSERT_TRUE(fixture.world().Run(TruncateEmptyQueue(*role.client())));
  EXPECT_LT(bytes(), 1 << 20);
}

TEST_P(PostgresServer, WhoMayNotMakeTheTablesIsToldWhatGrantsIt) {
  for (const char* there : {"", "CREATE SCHEMA "}) {
    PostgresFixture fixture;
    OtherRole role(fixture);
    role.Do("DROP SCHEMA " + role.schema() + " CASCADE");
    if (*there != '\0') role.Do(there + role.schema());
    Result<void> refused = role.SetUp();
    ASSERT_FALSE(refused) << there;
    EXPECT_EQ(refused.error().kind, ErrorKind::kDenied) << refused.error().Describe();
    EXPECT_FALSE(refused.error().message.contains("longhaul setup")) << refused.error().message;
    role.DoAsTold(refused.error());
    Result<void> made = role.SetUp();
    EXPECT_TRUE(made) << made.error().Describe();
    EXPECT_TRUE(role.Send());
  }
}

// Tables are changed by their owner alone, whatever another is granted.
TEST_P(PostgresServer, WhoMayNotChangeTheTablesIsToldWhoseTheyAre) {
  PostgresFixture fixture;
  OtherRole role(fixture);
  role.Do(
      PostgresGrants(role.schema(), role.schema() + "_role", OtherRole::Parts(QueueUse::kTakes)) +
      " DELETE FROM schema_versions WHERE part = 'state'");
  Result<void> refused = role.SetUp();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kDenied) << refused.error().Describe();
  EXPECT_TRUE(refused.error().message.contains("the tables belong to \"longhaul\""))
      << refused.error().message;
}

// What came and went must not slow down what comes: dead rows are taken out, long before the server
// does so of its own accord, as what indexes have grown to they keep.
TEST_P(PostgresServer, ChurnLeavesTheTableSmall) {
  PostgresFixture fixture;
  auto client = fixture.Client();
  auto queue = fixture.world().Run(PostgresQueue::Open(fixture.world().runtime(), client, {}));
  ASSERT_TRUE(queue);
  auto table_bytes = [&] {
    auto size = fixture.world().Run(
        client->Run("SELECT pg_total_relation_size('queue_messages')", PostgresArguments()));
    EXPECT_TRUE(size);
    return size ? size->Int(0, 0) : INT64_MAX;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<NewMessage> messages(500, NewMessage{.body = std::string(200, 'x'), .lane = "a"});
    ASSERT_TRUE(fixture.world().Run((*queue)->Send(messages, std::chrono::milliseconds(0))));
    auto received = fixture.world().Run((*queue)->Receive(
        {.count_max = 500, .visibility = std::chrono::seconds(60), .wait = {}, .without = {}}));
    ASSERT_TRUE(received);
    ASSERT_EQ(received->messages.size(), 500u);
    std::vector<Receipt> receipts;
    for (const QueueMessage& message : received->messages) receipts.push_back(message.receipt);
    ASSERT_TRUE(fixture.world().Run((*queue)->Ack(receipts)));
  }
  EXPECT_LT(table_bytes(), 40 << 20);
  ASSERT_TRUE(fixture.world().Run(client->Execute("VACUUM queue_messages")));
  EXPECT_LT(table_bytes(), 6 << 20);
}

// A backlog makes indexes grow, and VACUUM gives back none of their pages. When all is gone, and
// nothing is in flight, the table starts anew.
TEST_P(PostgresServer, AnEmptyTableStartsAnew) {
  PostgresFixture fixture;
  auto client = fixture.Client();
  auto queue = fixture.world().Run(PostgresQueue::Open(fixture.world().runtime(), client, {}));
  ASSERT_TRUE(queue);
  auto bytes = [&](const char* sql) {
    auto size = fixture.world().Run(client->Run(sql, PostgresArguments()));
    EXPECT_TRUE(size);
    return size ? size->Int(0, 0) : INT64_MAX;
  };
  auto receive = [&](std::chrono::milliseconds wait) {
    auto received = fixture.world().Run((*queue)->Receive(
        {.count_max = 1000, .visibility = std::chrono::seconds(60), .wait = wait, .without = {}}));
    EXPECT_TRUE(received);
    std::vector<Receipt> receipts;
    for (const QueueMessage& message : received->messages) receipts.push_back(message.receipt);
    return receipts;
  };
  for (int i = 0; i < 120; ++i) {
    std::vector<NewMessage> messages(1000, NewMessage{.body = "x", .lane = std::to_string(i)});
    ASSERT_TRUE(fixture.world().Run((*queue)->Send(messages, std::chrono::milliseconds(0))));
  }
  std::vector<Receipt> last;
  for (int i = 0; i < 120; ++i) {
    std::vector<Receipt> receipts = receive({});
    ASSERT_EQ(receipts.size(), 1000u);
    if (i == 119) {
      last.push_back(receipts.back());
      receipts.pop_back();
    }
    ASSERT_TRUE(fixture.world().Run((*queue)->Ack(receipts)));
  }
  ASSERT_TRUE(fixture.world().Run(client->Execute("VACUUM queue_messages")));
  ASSERT_GT(bytes("SELECT pg_indexes_size('queue_messages')"), 4 << 20);
  // What is in flight stays.
  ASSERT_TRUE(fixture.world().Run(TruncateEmptyQueue(*client)));
  auto depth = fixture.world().Run((*queue)->Depth());
  ASSERT_TRUE(depth);
  EXPECT_EQ(depth->in_flight, 1);
  ASSERT_TRUE(fixture.world().Run((*queue)->Ack(last)));
  // Whoever waits in vain does it, if nobody is at the table, as a VACUUM may be.
  int64_t left = INT64_MAX;
  for (int i = 0; i < 150 && left > 1 << 20; ++i) {
    EXPECT_TRUE(receive(std::chrono::milliseconds(100)).empty());
    left = bytes("SELECT pg_total_relation_size('queue_messages')");
  }
  EXPECT_LT(left, 1 << 20);
  // Nobody's old receipt names a new message.
  ASSERT_TRUE(fixture.world().Run((*queue)->Send({{.body = "y", .lane = "a"}}, {})));
  const std::vector<Receipt> next = receive({});
  ASSERT_EQ(next.size(), 1u);
  EXPECT_GT(next[0].id, last[0].id);
}

// What is looked at after a lock was waited for must be what was committed by then, in each
// function.
TEST_P(PostgresServer, IsolationIsOursWhateverTheDefaultIs) {
  PostgresFixture fixture;
  auto client = PostgresClient::Make(
      fixture.world().runtime(),
      {.url =
           Secret(fixture.url() + "&options=-c%20default_transaction_isolation%3Dserializable")});
  ASSERT_TRUE(client) << client.error().Describe();
  auto rows = fixture.world().Run((*client)->Run(
      "SELECT (current_setting('transaction_isolation') = 'read committed')::int::bigint", {}));
  ASSERT_TRUE(rows) << rows.error().Describe();
  EXPECT_EQ(rows->Int(0, 0), 1);
}

class ShiftedClock : public Clock {
 public:
  ShiftedClock(Clock& clock, std::chrono::seconds ahead) : clock_(clock), ahead_(ahead) {}
  [[nodiscard]] SystemTime Now() const override { return clock_.Now() + ahead_; }
  [[nodiscard]] SteadyTime SteadyNow() const override { return clock_.SteadyNow(); }
  std::unique_ptr<Timer> StartTimer(std::chrono::nanoseconds delay,
                                    std::move_only_function<void()> function) override {
    return clock_.StartTimer(delay, std::move(function));
  }

 private:
  Clock& clock_;
  std::chrono::seconds ahead_;
};

class CountsWarnings : public Logger {
 public:
  int warnings = 0;

 protected:
  void Log(LogLevel level, std::string_view, Fields) override {
    warnings += level == LogLevel::kWarning ? 1 : 0;
  }
};

// A lease must end at the same moment for everybody: else two would hold it, or nobody could for
// minutes. Five minutes off is no reason to fail, and one to be told, once.
TEST_P(PostgresServer, AClockThatIsOffEndsLeasesInTimeAndIsToldOnce) {
  PostgresFixture fixture;
  AnyWorld& world = fixture.world();
  auto right = world.Run(PostgresState::Open(world.runtime(), fixture.Client()));
  ASSERT_TRUE(right);
  for (const std::chrono::seconds ahead : {std::chrono::seconds(300), std::chrono::seconds(-300)}) {
    ShiftedClock clock(world.clock(), ahead);
    CountsWarnings log;
    const Runtime& as = world.runtime();
    Runtime runtime{as.executor, clock, as.random, as.pool, as.memory, log, as.metrics};
    auto off = world.Run(PostgresState::Open(runtime, fixture.Client()));
    ASSERT_TRUE(off) << off.error().Describe();
    const SystemTime ends = clock.Now() + std::chrono::seconds(60);
    ASSERT_TRUE(world.Run((*off)->Write("p", {.key = "held", .value = "v", .expires = ends})));
    auto seen = world.Run((*right)->Get("p", "held"));
    ASSERT_TRUE(seen && *seen && (*seen)->expires);
    const std::chrono::duration<double> wrong = *(*seen)->expires - (ends - ahead);
    EXPECT_LT(std::abs(wrong.count()), 2.0);
    auto own = world.Run((*off)->Get("p", "held"));
    ASSERT_TRUE(own && *own);
    EXPECT_EQ((*own)->expires, ends);
    ASSERT_TRUE(world.Run((*off)->Write(
        "p", {.key = "over", .value = "v", .expires = clock.Now() - std::chrono::seconds(5)})));
    auto over = world.Run((*right)->Get("p", "over"));
    ASSERT_TRUE(over);
    EXPECT_FALSE(*over);
    EXPECT_EQ(log.warnings, 1);
  }
}

std::vector<int> Servers() {
  return PostgresTestUrl() == nullptr ? std::vector<int>{} : std::vector<int>{0};
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PostgresServer);
INSTANTIATE_TEST_SUITE_P(PostgresServer, PostgresServer, ::testing::ValuesIn(Servers()));

}  // namespace
}  // namespace longhaul::testing
