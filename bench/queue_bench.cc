// What a Queue carries: messages sent, received and acknowledged, in batches, by several clients.
//
//   queue_bench sqlite:PATH|postgresql://… [messages] [batch] [clients] [rounds]
//
// Each round sends so many messages, and then takes and removes them. Prints messages a second and
// CPU of this process; what the database spends is its own. Of PostgreSQL also what the tables take
// before and after, and after a VACUUM.

#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "base/sqlite.h"
#include "queue/postgres_queue.h"
#include "queue/sqlite_queue.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](timeval time) { return double(time.tv_sec) + double(time.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Async<std::unique_ptr<Queue>> Open(const Runtime& runtime, std::string place) {
  if (place.starts_with("sqlite:")) {
    Result<std::shared_ptr<SqliteDatabase>> file =
        co_await SqliteDatabase::Open({.path = place.substr(7)});
    if (!file) co_return file.error();
    co_return co_await SqliteQueue::Open(runtime, *file, {});
  }
  Result<std::shared_ptr<PostgresClient>> client =
      PostgresClient::Make(runtime, {.url = Secret(place)});
  if (!client) co_return client.error();
  Result<std::vector<std::string>> made =
      co_await SetUpPostgres(**client, {PostgresQueuePart(), PostgresDeadLettersPart()});
  if (!made) co_return made.error();
  co_return co_await PostgresQueue::Open(runtime, *client, {});
}

// What the tables of the queue take, with indexes and TOAST; -1: not in PostgreSQL.
Async<double> TablesMiB(const Runtime& runtime, std::string place, bool vacuum) {
  if (place.starts_with("sqlite:")) co_return -1.0;
  Result<std::shared_ptr<PostgresClient>> client =
      PostgresClient::Make(runtime, {.url = Secret(place)});
  if (!client) co_return client.error();
  if (vacuum) {
    Result<PostgresRows> done = co_await (*client)->Run("VACUUM queue_messages", {});
    if (!done) co_return done.error();
  }
  Result<PostgresRows> rows = co_await (*client)->Run(
      "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class "
      "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
      {});
  if (!rows) co_return rows.error();
  co_return static_cast<double>(rows->Int(0, 0)) / (1 << 20);
}

struct Load {
  int left;
  int batch;
};

Async<void> Send(Queue& queue, Load& load) {
  while (load.left > 0) {
    const int count = std::min(load.left, load.batch);
    load.left -= count;
    std::vector<NewMessage> messages(static_cast<size_t>(count),
                                     NewMessage{.body = std::string(600, 'm'), .lane = "rule"});
    Result<void> sent = co_await queue.Send(std::move(messages), 0ms);
    if (!sent) co_return sent;
  }
  co_return Ok();
}

Async<void> ReceiveAndAck(Queue& queue, Load& load) {
  while (load.left > 0) {
    Result<Received> received = co_await queue.Receive(
        {.count_max = load.batch, .visibility = 60s, .wait = 1s, .without = {}});
    if (!received) co_return received.error();
    std::vector<Receipt> receipts;
    for (const QueueMessage& message : received->messages) receipts.push_back(message.receipt);
    load.left -= static_cast<int>(receipts.size());
    Result<void> acked = co_await queue.Ack(std::move(receipts));
    if (!acked) co_return acked;
  }
  co_return Ok();
}

Async<void> Side(std::vector<std::unique_ptr<Queue>>& queues, const Runtime& runtime, Load load,
                 Async<void> (*work)(Queue&, Load&)) {
  TaskGroup group(runtime.executor);
  for (auto& queue : queues) group.Spawn(work(*queue, load));
  co_return co_await group.Join();
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: queue_bench PLACE [messages] [batch] [clients] [rounds]\n");
    return 2;
  }
  const int messages = argc > 2 ? std::atoi(argv[2]) : 50'000;
  const Load load{.left = messages, .batch = argc > 3 ? std::atoi(argv[3]) : 100};
  testing::RealWorld world;
  std::vector<std::unique_ptr<Queue>> queues;
  for (int i = 0; i < (argc > 4 ? std::atoi(argv[4]) : 2); ++i) {
    Result<std::unique_ptr<Queue>> queue = world.Run(Open(world.runtime, argv[1]));
    if (!queue) {
      std::fprintf(stderr, "%s\n", queue.error().Describe().c_str());
      return 1;
    }
    queues.push_back(std::move(*queue));
  }
  const int rounds = argc > 5 ? std::atoi(argv[5]) : 1;
  auto say_size = [&](const char* when, bool vacuum) {
    Result<double> mib = world.Run(TablesMiB(world.runtime, argv[1], vacuum));
    if (!mib) std::fprintf(stderr, "%s\n", mib.error().Describe().c_str());
    if (mib && *mib >= 0) std::printf("tables %s: %.1f MiB\n", when, *mib);
    return mib.has_value();
  };
  if (!say_size("before", false)) return 1;
  const double cpu_before = CpuSeconds();
  std::map<std::string, double> seconds;
  for (int round = 0; round < rounds; ++round) {
    for (auto* work : {&Send, &ReceiveAndAck}) {
      const auto begun = std::chrono::steady_clock::now();
      Result<void> done = world.Run(Side(queues, world.runtime, load, work));
      if (!done) {
        std::fprintf(stderr, "%s\n", done.error().Describe().c_str());
        return 1;
      }
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
      seconds[work == &Send ? "send" : "receive and ack"] += took.count();
      seconds["all of it"] += took.count();
    }
  }
  // As receivers do that have nothing left to do.
  for (auto& queue : queues) {
    Result<Received> none =
        world.Run(queue->Receive({.count_max = 1, .visibility = 60s, .wait = 12s, .without = {}}));
    if (!none) std::fprintf(stderr, "%s\n", none.error().Describe().c_str());
  }
  const double all = double(messages) * rounds;
  for (const auto& [what, took] : seconds) {
    std::printf("%s: %.0f messages/s\n", what.c_str(), all / took);
  }
  std::printf("%.0f messages, %.1f CPU us each here\n", all,
              (CpuSeconds() - cpu_before) * 1e6 / all);
  return say_size("after", false) && say_size("after VACUUM", true) ? 0 : 1;
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) { return longhaul::Main(argc, argv); }
