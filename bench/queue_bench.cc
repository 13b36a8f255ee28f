// What a Queue carries: messages sent, received and acknowledged, in batches, by several clients.
//
//   queue_bench sqlite:PATH|postgresql://… [messages] [batch] [clients]
//
// Prints messages a second and CPU of this process; what the database spends is its own.

#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
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
  Result<std::vector<std::string>> made = co_await SetUpPostgres(**client, {PostgresQueuePart()});
  if (!made) co_return made.error();
  co_return co_await PostgresQueue::Open(runtime, *client, {});
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
    std::fprintf(stderr, "usage: queue_bench PLACE [messages] [batch] [clients]\n");
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
  const double cpu_before = CpuSeconds();
  const auto started = std::chrono::steady_clock::now();
  for (auto* work : {&Send, &ReceiveAndAck}) {
    const auto begun = std::chrono::steady_clock::now();
    Result<void> done = world.Run(Side(queues, world.runtime, load, work));
    if (!done) {
      std::fprintf(stderr, "%s\n", done.error().Describe().c_str());
      return 1;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    std::printf("%s: %.0f messages/s\n", work == &Send ? "send" : "receive and ack",
                messages / took.count());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::printf("all of it: %.0f messages/s, %.1f CPU us a message here\n", messages / took.count(),
              (CpuSeconds() - cpu_before) * 1e6 / messages);
  return 0;
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) { return longhaul::Main(argc, argv); }
