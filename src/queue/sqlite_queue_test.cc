#include "queue/sqlite_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <map>
#include <set>

#include "tests/support/run.h"
#include "tests/support/set_clock.h"
#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using Database = std::shared_ptr<SqliteDatabase>;

Async<std::unique_ptr<Queue>> OpenQueue(Runtime runtime, std::string path, bool threaded) {
  Result<Database> database =
      co_await SqliteDatabase::Open({.path = std::move(path), .threaded = threaded});
  if (!database) co_return database.error();
  co_return co_await SqliteQueue::Open(runtime, *database, {.receives_max = 100});
}

// --- Schema

// The database of an older longhaul, with what waits in it, must be read on: it is in the lane
// without a name, and takes its turn.
TEST(SqliteQueueSchemaTest, WhatWasSentBeforeThereWereLanesIsReceived) {
  testing::TempDir dir;
  testing::FakeWorld world;
  Result<Database> database =
      world.Run(SqliteDatabase::Open({.path = dir.file("test.db"), .threaded = false}));
  ASSERT_TRUE(database);
  ASSERT_TRUE(world.Run((*database)->EnsureSchema("queue", {R"(
    CREATE TABLE queue_messages (
      id         INTEGER PRIMARY KEY AUTOINCREMENT,
      queue      BLOB NOT NULL,
      sent_us    INTEGER NOT NULL,
      visible_us INTEGER NOT NULL,
      receives   INTEGER NOT NULL DEFAULT 0,
      delivery   INTEGER NOT NULL DEFAULT 0,
      in_flight  INTEGER NOT NULL DEFAULT 0,
      dead       INTEGER NOT NULL DEFAULT 0,
      body       BLOB NOT NULL
    );
    CREATE INDEX queue_messages_by_visibility
      ON queue_messages (queue, dead, visible_us, receives, in_flight);
    INSERT INTO queue_messages (queue, sent_us, visible_us, body)
      VALUES (CAST('events' AS BLOB), 5, 5, CAST('old' AS BLOB));
  )"})));
  Result<std::unique_ptr<Queue>> queue =
      world.Run(SqliteQueue::Open(world.runtime, *database, {.receives_max = 100}));
  ASSERT_TRUE(queue) << queue.error().Describe();
  ASSERT_TRUE(world.Run((*queue)->Send({{.body = "new", .lane = "rule"}}, 0ms)));
  std::map<std::string, std::string> found;
  for (int i = 0; i < 2; ++i) {
    Result<Received> received = world.Run(
        (*queue)->Receive({.count_max = 10, .visibility = 1h, .wait = 0ms, .without = {}}));
    ASSERT_TRUE(received) << received.error().Describe();
    for (const QueueMessage& message : received->messages) found[message.lane] = message.body;
  }
  EXPECT_EQ(found, (std::map<std::string, std::string>{{"", "old"}, {"rule", "new"}}));
}

// Whoever goes back to the program before must find his messages, and it must not be refused: it
// knows two steps, and not what is buried for a reason.
TEST(SqliteQueueSchemaTest, TheProgramBeforeGoesOnWithTheFile) {
  testing::TempDir dir;
  testing::FakeWorld world;
  Result<Database> database =
      world.Run(SqliteDatabase::Open({.path = dir.file("test.db"), .threaded = false}));
  ASSERT_TRUE(database);
  ASSERT_TRUE(world.Run((*database)->EnsureSchema("queue", {R"(
    CREATE TABLE queue_messages (
      id         INTEGER PRIMARY KEY AUTOINCREMENT,
      queue      BLOB NOT NULL,
      sent_us    INTEGER NOT NULL,
      visible_us INTEGER NOT NULL,
      receives   INTEGER NOT NULL DEFAULT 0,
      delivery   INTEGER NOT NULL DEFAULT 0,
      in_flight  INTEGER NOT NULL DEFAULT 0,
      dead       INTEGER NOT NULL DEFAULT 0,
      body       BLOB NOT NULL,
      lane       BLOB NOT NULL DEFAULT x''
    );
    INSERT INTO queue_messages (queue, sent_us, visible_us, body, lane)
      VALUES (CAST('events' AS BLOB), 5, 5, CAST('waits' AS BLOB), CAST('a' AS BLOB));
    INSERT INTO queue_messages (queue, sent_us, visible_us, body, dead)
      VALUES (CAST('events' AS BLOB), 5, 5, CAST('dead' AS BLOB), 1);
  )",
                                                            ""})));
  Result<std::unique_ptr<Queue>> queue =
      world.Run(SqliteQueue::Open(world.runtime, *database, {.receives_max = 100}));
  ASSERT_TRUE(queue) << queue.error().Describe();
  Result<Received> received =
      world.Run((*queue)->Receive({.count_max = 10, .visibility = 1h, .wait = 0ms, .without = {}}));
  ASSERT_TRUE(received) << received.error().Describe();
  ASSERT_EQ(received->messages.size(), 1u);
  ASSERT_TRUE(world.Run((*queue)->Bury(received->messages[0], "no")));
  Result<std::vector<QueueMessage>> dead = world.Run((*queue)->DeadLetters(10));
  ASSERT_TRUE(dead);
  ASSERT_EQ(dead->size(), 2u);
  EXPECT_EQ(dead->at(0).reason, "no");
  EXPECT_EQ(dead->at(1).reason, "");

  EXPECT_TRUE(world.Run((*database)->EnsureSchema("queue", {"", ""})));
  std::function<Result<int64_t>(SqliteConnection&)> before =
      [](SqliteConnection& db) -> Result<int64_t> {
    Result<void> sent =
        db.Prepare(
              "INSERT INTO queue_messages (queue, lane, sent_us, visible_us, body) VALUES"
              " (CAST('events' AS BLOB), x'', 6, 6, x'62')")
            .Run();
    if (!sent) return sent.error();
    Result<void> redriven =
        db.Prepare("UPDATE queue_messages SET dead = 0, receives = 0, in_flight = 0 WHERE dead = 1")
            .Run();
    if (!redriven) return redriven.error();
    return db.changed_rows();
  };
  Result<int64_t> redriven = world.Run((*database)->Write<int64_t>(std::move(before)));
  ASSERT_TRUE(redriven) << redriven.error().Describe();
  EXPECT_EQ(*redriven, 2);
  Result<QueueDepth> depth = world.Run((*queue)->Depth());
  ASSERT_TRUE(depth);
  EXPECT_EQ(depth->visible, 3);
}

// A million messages may wait: whoever looks for the next one must not look at all of them, nor
// sort them.
TEST(SqliteQueueSchemaTest, ReceiveReadsTheIndexInOrder) {
  testing::TempDir dir;
  testing::FakeWorld world;
  Result<Database> database =
      world.Run(SqliteDatabase::Open({.path = dir.file("test.db"), .threaded = false}));
  ASSERT_TRUE(database);
  ASSERT_TRUE(world.Run(SqliteQueue::Open(world.runtime, *database, {})));
  for (const char* sql :
       {"EXPLAIN QUERY PLAN SELECT lane, visible_us FROM queue_messages WHERE queue = ? AND dead = "
        "0 AND lane >= ? ORDER BY lane, visible_us LIMIT 1",
        "EXPLAIN QUERY PLAN SELECT id, body FROM queue_messages WHERE queue = ? AND dead = 0 AND "
        "lane = ? AND visible_us <= ? ORDER BY visible_us, receives, in_flight, id LIMIT ?",
        "EXPLAIN QUERY PLAN SELECT 1 FROM queue_messages WHERE queue = ? AND dead = 0 AND lane = ? "
        "AND visible_us > ? AND sent_us > ? AND visible_us >= sent_us LIMIT 1"}) {
    std::function<Result<std::string>(SqliteConnection&)> work =
        [sql](SqliteConnection& db) -> Result<std::string> {
      std::string plan;
      SqliteStatement explain = db.Prepare(sql);
      while (true) {
        Result<bool> row = explain.Step();
        if (!row) return row.error();
        if (!*row) return plan;
        plan += explain.Bytes(3) + "; ";
      }
    };
    Result<std::string> plan = world.Run((*database)->Read<std::string>(std::move(work)));
    ASSERT_TRUE(plan) << plan.error().Describe();
    EXPECT_NE(plan->find("queue_messages_by_lane (queue=? AND dead=? AND lane"), plan->npos)
        << *plan;
    EXPECT_EQ(plan->find("ORDER BY"), plan->npos) << *plan;
  }
}

// --- The clock

class SqliteQueueClockTest : public ::testing::Test {
 protected:
  SqliteQueueClockTest() { queue_ = Open(); }
  std::unique_ptr<Queue> Open() {
    auto opened = world_.Run(OpenQueue(runtime_, dir_.file("test.db"), false));
    EXPECT_TRUE(opened) << opened.error().Describe();
    return std::move(*opened);
  }
  void Send(std::string body, std::chrono::milliseconds delay = 0ms) {
    ASSERT_TRUE(world_.Run(queue_->Send({{.body = std::move(body), .lane = "a"}}, delay)));
  }
  // Waits for it: the clock stands still else.
  std::vector<QueueMessage> Receive(std::chrono::milliseconds wait) {
    Result<Received> received = world_.Run(
        queue_->Receive({.count_max = 10, .visibility = 5min, .wait = wait, .without = {}}));
    EXPECT_TRUE(received) << received.error().Describe();
    return received ? received->messages : std::vector<QueueMessage>();
  }
  std::set<std::string> BodiesIn(std::chrono::milliseconds wait) {
    std::set<std::string> bodies;
    for (const QueueMessage& message : Receive(wait)) {
      bodies.insert(message.body);
      EXPECT_TRUE(world_.Run(queue_->Ack({message.receipt})));
    }
    return bodies;
  }
  using Bodies = std::set<std::string>;

  testing::TempDir dir_;
  testing::FakeWorld world_;
  testing::SetClock clock_{world_.clock};
  Runtime runtime_ = clock_.In(world_.runtime);
  std::unique_ptr<Queue> queue_;
};

// Events that wait for hours because somebody has set the clock right are lost to whoever waits for
// their objects.
TEST_F(SqliteQueueClockTest, WhatWasSentByAClockThatWasSetBackIsReceived) {
  clock_.ahead = 3h;
  Send("held");
  Send("lost");
  const std::vector<QueueMessage> in_flight = Receive(0ms);
  ASSERT_EQ(in_flight.size(), 2u);
  Send("sent");
  Send("later", 2min);
  clock_.ahead = 0us;
  EXPECT_EQ(BodiesIn(2min), Bodies{"sent"});
  // By now the one is held by somebody who lives, and the other is not.
  const size_t held = in_flight[0].body == "held" ? 0 : 1;
  ASSERT_TRUE(world_.Run(queue_->Extend(in_flight[held].receipt, 30min)));
  EXPECT_EQ(BodiesIn(3min), Bodies{"later"});
  EXPECT_EQ(BodiesIn(4min), Bodies{"lost"});
  EXPECT_TRUE(world_.Run(queue_->Ack({in_flight[held].receipt})));
}

TEST_F(SqliteQueueClockTest, WhoeverOpensTheQueueNeedsNotWait) {
  clock_.ahead = 3h;
  Send("sent");
  clock_.ahead = 0us;
  queue_ = Open();
  EXPECT_EQ(BodiesIn(0ms), Bodies{"sent"});
}

TEST_F(SqliteQueueClockTest, DeadLettersComeBackAtOnce) {
  Send("dead");
  clock_.ahead = 3h;
  const std::vector<QueueMessage> messages = Receive(0ms);
  ASSERT_EQ(messages.size(), 1u);
  ASSERT_TRUE(world_.Run(queue_->Bury(messages[0], "no")));
  clock_.ahead = 0us;
  ASSERT_TRUE(world_.Run(queue_->Redrive()));
  EXPECT_EQ(BodiesIn(0ms), Bodies{"dead"});
}

// --- kill -9

// What a process told the outside. One write(2) a line: what is in the file was told.
class Told {
 public:
  explicit Told(const std::string& path)
      : file_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {}
  ~Told() { close(file_); }
  Told(const Told&) = delete;
  Told& operator=(const Told&) = delete;
  void Tell(const std::string& what) {
    std::string line = what + "\n";
    if (write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(4);
  }

 private:
  int file_;
};

// Sends, receives and acknowledges until it is killed.
Async<void> WorkUntilKilled(Runtime& runtime, std::string path, std::string name, Told& told) {
  Result<std::unique_ptr<Queue>> queue = co_await OpenQueue(runtime, path, true);
  if (!queue) co_return queue.error();
  told.Tell("started " + name);
  for (int i = 0;; ++i) {
    std::vector<std::string> bodies;
    for (int j = 0; j < 5; ++j) {
      bodies.push_back(name + "." + std::to_string(i) + "." + std::to_string(j));
    }
    std::vector<NewMessage> sending;
    for (const std::string& body : bodies) {
      sending.push_back({.body = body, .lane = i % 2 == 0 ? "even" : "odd"});
    }
    Result<void> sent = co_await (*queue)->Send(sending, 0ms);
    if (!sent) co_return sent.error();
    for (const std::string& body : bodies) told.Tell("sent " + body);
    Result<Received> received =
        co_await (*queue)->Receive({.count_max = 4, .visibility = 1h, .wait = 0ms, .without = {}});
    if (!received) co_return received.error();
    const std::vector<QueueMessage>& messages = received->messages;
    std::vector<Receipt> receipts;
    for (const QueueMessage& message : messages) receipts.push_back(message.receipt);
    bool replaces = i % 3 == 2 && !receipts.empty();
    std::string rest = replaces ? "rest." + name + "." + std::to_string(i) : "nothing";
    for (const QueueMessage& message : messages)
      told.Tell("removing " + message.body + " for " + rest);
    if (replaces) {
      Result<void> replaced =
          co_await (*queue)->Replace(receipts, {{.body = rest, .lane = "rest"}}, 0ms);
      if (!replaced) co_return replaced.error();
      told.Tell("sent " + rest);
    } else {
      Result<void> acked = co_await (*queue)->Ack(receipts);
      if (!acked) co_return acked.error();
    }
    for (const QueueMessage& message : messages) told.Tell("done " + message.body);
  }
}

// In a child process; does not return.
[[noreturn]] void ChildMain(const std::string& path, const std::string& name,
                            const std::string& told_path) {
  Told told(told_path);
  testing::RealWorld world;
  Result<void> worked = world.Run(WorkUntilKilled(world.runtime, path, name, told));
  std::fprintf(stderr, "%s: %s\n", name.c_str(), worked.error().Describe().c_str());
  _exit(3);
}

// Kill -9 at any moment: what was told as sent is there or done, what was told as done never comes
// back, and nothing is done twice.
TEST(SqliteQueueCrashTest, KilledProcessesLoseNothingAndRepeatNothing) {
  testing::TempDir dir;
  std::string path = dir.file("test.db");
  std::string told_path = dir.file("told");
  SeededRandom random(7);
  for (int round = 0; round < 6; ++round) {
    std::vector<pid_t> children;
    for (int i = 0; i < 2; ++i) {
      std::string name = std::to_string(round) + "-" + std::to_string(i);
      pid_t child = fork();
      ASSERT_GE(child, 0);
      if (child == 0) ChildMain(path, name, told_path);
      children.push_back(child);
    }
    for (pid_t child : children) {
      usleep(static_cast<useconds_t>(50'000 + random.Below(150'000)));
      ASSERT_EQ(kill(child, SIGKILL), 0);
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      EXPECT_TRUE(WIFSIGNALED(status));  // It had not ended by an error of its own.
    }
  }

  std::set<std::string> sent;
  std::map<std::string, std::string> removing;  // And what should be there in its place.
  std::map<std::string, int> done;
  int started = 0;
  std::ifstream in(told_path);
  for (std::string word, body; in >> word >> body;) {
    if (word == "started") ++started;
    if (word == "sent") sent.insert(body);
    if (word == "done") ++done[body];
    if (word == "removing") in >> word >> removing[body];
  }
  EXPECT_GE(started, 6);
  EXPECT_GT(done.size(), 20u);
  for (const auto& [body, times] : done) EXPECT_EQ(times, 1) << body;

  // What the dead held becomes visible when its hour is over.
  testing::FakeWorld world;
  auto until_tomorrow = std::chrono::system_clock::now() + 24h - world.clock.Now();
  world.clock.Advance(until_tomorrow);
  Result<std::unique_ptr<Queue>> queue = world.Run(OpenQueue(world.runtime, path, false));
  ASSERT_TRUE(queue) << queue.error().Describe();
  std::set<std::string> left;
  while (true) {
    Result<Received> received = world.Run(
        (*queue)->Receive({.count_max = 1000, .visibility = 48h, .wait = 0ms, .without = {}}));
    ASSERT_TRUE(received) << received.error().Describe();
    if (received->messages.empty()) break;
    for (const QueueMessage& message : received->messages) {
      EXPECT_TRUE(left.insert(message.body).second) << message.body;
      EXPECT_FALSE(done.contains(message.body)) << message.body << " came back";
    }
  }
  for (const std::string& body : sent) {
    if (left.contains(body) || done.contains(body)) continue;
    // It was killed between a removal and telling of it.
    EXPECT_TRUE(removing.contains(body)) << body << " is lost";
  }
  for (const auto& [body, rest] : removing) {
    if (left.contains(body) || rest == "nothing") continue;
    EXPECT_TRUE(left.contains(rest) || removing.contains(rest)) << body << " went without " << rest;
  }
}

}  // namespace
}  // namespace longhaul
