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
    Result<void> sent = co_await (*queue)->Send(bodies, 0ms);
    if (!sent) co_return sent.error();
    for (const std::string& body : bodies) told.Tell("sent " + body);
    Result<std::vector<QueueMessage>> messages = co_await (*queue)->Receive(4, 1h, 0ms);
    if (!messages) co_return messages.error();
    std::vector<Receipt> receipts;
    for (const QueueMessage& message : *messages) receipts.push_back(message.receipt);
    bool replaces = i % 3 == 2 && !receipts.empty();
    std::string rest = replaces ? "rest." + name + "." + std::to_string(i) : "nothing";
    for (const QueueMessage& message : *messages)
      told.Tell("removing " + message.body + " for " + rest);
    if (replaces) {
      Result<void> replaced = co_await (*queue)->Replace(receipts, {rest}, 0ms);
      if (!replaced) co_return replaced.error();
      told.Tell("sent " + rest);
    } else {
      Result<void> acked = co_await (*queue)->Ack(receipts);
      if (!acked) co_return acked.error();
    }
    for (const QueueMessage& message : *messages) told.Tell("done " + message.body);
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
    Result<std::vector<QueueMessage>> messages = world.Run((*queue)->Receive(1000, 48h, 0ms));
    ASSERT_TRUE(messages) << messages.error().Describe();
    if (messages->empty()) break;
    for (const QueueMessage& message : *messages) {
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
