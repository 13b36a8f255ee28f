// MigrationWorld: workers of a migration as processes that can be killed at any step, two stores, a
// Queue and a State, under one virtual clock and one seed.

#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "migration/shared_lanes.h"
#include "migration/start.h"
#include "migration/status.h"
#include "migration/worker.h"
#include "tests/support/believing_store.h"
#include "tests/support/fake_queue.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "transfer/runs/row.h"

namespace longhaul::testing {

// What SQS has of its own: it sets aside what nobody can do, and counts late.
struct SqsTraits {
  bool on = false;
  bool refuses = false;                                     // What is sent.
  std::vector<std::pair<std::string, std::string>> buried;  // Bodies, and why.
  int64_t sent = 0;
};

class LikeSqs : public FakeQueue {
 public:
  LikeSqs(Runtime runtime, std::shared_ptr<FakeQueueBackend> backend, FakeFaults* faults,
          SqsTraits& traits)
      : FakeQueue(runtime, std::move(backend), faults), runtime_(runtime), traits_(traits) {}

  Async<void> Send(std::vector<NewMessage> messages, std::chrono::milliseconds delay) override {
    if (traits_.refuses) co_return Retryable("nothing can be sent");
    for (const NewMessage& message : messages) {
      if (!migration::IsShared(message.lane)) co_return InvalidInput("no queue " + message.lane);
    }
    traits_.sent += std::ssize(messages);
    busy_at_ = runtime_.clock.Now();
    co_return co_await FakeQueue::Send(std::move(messages), delay);
  }
  Async<Received> Receive(ReceiveRequest request) override {
    Result<Received> received = co_await FakeQueue::Receive(std::move(request));
    if (received && !received->messages.empty()) busy_at_ = runtime_.clock.Now();
    co_return received;
  }
  Async<void> Bury(QueueMessage message, std::string reason) override {
    traits_.buried.emplace_back(message.body, std::move(reason));
    co_return co_await Ack({message.receipt});
  }
  Async<QueueDepth> Depth() override {
    Result<QueueDepth> depth = co_await FakeQueue::Depth();
    if (!depth) co_return depth;
    if (runtime_.clock.Now() - busy_at_ >= std::chrono::minutes(5)) co_return depth;
    co_return QueueDepth{.settled = false};
  }

 private:
  Runtime runtime_;
  SqsTraits& traits_;
  SystemTime busy_at_ = runtime_.clock.Now();
};

class MigrationWorld {
  std::unique_ptr<FakeWorld> world_;

 public:
  explicit MigrationWorld(uint64_t seed = 1)
      : world_(std::make_unique<FakeWorld>(seed)),
        base(*world_),
        queue_faults(seed),
        state_faults(seed) {
    source->buckets["from"];
    target->buckets["to"];
    migration.id = "run";
    migration.source = {.store = "a", .bucket = "from", .prefix = "in/"};
    migration.target = {.store = "b", .bucket = "to", .prefix = "out/"};
    migration.options.batch_count = 10;
    // Each step of Queue and State takes its time: that is where a kill strikes.
    for (FakeFaults* faults : {&queue_faults, &state_faults}) {
      faults->slow = 1;
      faults->delay_max = std::chrono::milliseconds(4);
    }
  }

  ~MigrationWorld() {
    for (auto& process : processes) Graveyard().push_back(std::move(process));
    // Whoever sleeps is held by the clock alone.
    static auto& worlds = *new std::vector<std::unique_ptr<FakeWorld>>;
    worlds.push_back(std::move(world_));
  }
  MigrationWorld(const MigrationWorld&) = delete;
  MigrationWorld& operator=(const MigrationWorld&) = delete;

  // A worker with everything that is its own; what it talks to survives it.
  struct Process {
    Process(MigrationWorld& world, migration::WorkerOptions options)
        : random(world.base.random.Next()),
          memory(64 << 20),
          runtime{io.get_executor(), world.base.clock,  random, world.base.pool, memory,
                  world.base.log,    world.base.metrics},
          queue(world.OpenQueue(runtime, &world.queue_faults)),
          state(runtime, world.state, &world.state_faults),
          source(runtime, world.source, world.source_faults),
          target(runtime, world.target, world.target_faults, &world.target_lies),
          worker(
              runtime, *queue, state,
              [this](const migration::Run&) -> Result<migration::Ends> {
                return migration::Ends{.source = &source, .target = &target};
              },
              std::move(options)) {
      asio::co_spawn(io, worker.Run(stop), [this](std::exception_ptr exception) {
        if (exception) std::rethrow_exception(exception);
        running = false;
      });
    }

    asio::io_context io{1};
    SeededRandom random;
    MemoryBudget memory;
    Runtime runtime;
    std::unique_ptr<Queue> queue;
    FakeState state;
    MemoryStore source;
    BelievesInWhatStands target;
    migration::Worker worker;
    Event stop;
    bool running = true;
  };

  std::unique_ptr<Queue> OpenQueue(Runtime runtime, FakeFaults* faults = nullptr) {
    if (!sqs.on) return std::make_unique<FakeQueue>(runtime, queue, faults);
    return std::make_unique<migration::SharedLanes>(
        std::make_unique<LikeSqs>(runtime, queue, faults, sqs));
  }

  Process& StartWorker(migration::WorkerOptions options = {}) {
    options.name = "worker-" + std::to_string(++started);
    options.delay = std::chrono::milliseconds(200);
    options.visibility = std::chrono::seconds(10);
    processes.push_back(std::make_unique<Process>(*this, std::move(options)));
    return *processes.back();
  }
  // As kill -9 does: nothing more of it happens.
  void Kill(Process& process) {
    auto found = std::ranges::find_if(processes, [&](auto& one) { return one.get() == &process; });
    ASSERT_NE(found, processes.end());
    Graveyard().push_back(std::move(*found));
    processes.erase(found);
  }

  // One thing happens; false when nothing ever will.
  bool Step() {
    for (auto& process : processes) {
      process->io.restart();
      if (process->io.poll_one() > 0) return true;
    }
    base.io.restart();
    if (base.io.poll_one() > 0) return true;
    return base.clock.AdvanceToNextTimer();
  }
  // Until `done`; false after too long.
  bool Drive(const std::function<bool()>& done,
             std::chrono::minutes patience = std::chrono::minutes(60)) {
    const SystemTime end = base.clock.Now() + patience;
    while (!done()) {
      if (base.clock.Now() > end || !Step()) return false;
    }
    return true;
  }
  template <class T>
  T Run(asio::awaitable<T> task) {
    std::optional<T> result;
    base.Start(Keep(std::move(task), result));
    EXPECT_TRUE(Drive([&] { return result.has_value(); }));
    return std::move(*result);
  }

  Result<void> Stop() {
    FakeState rows(base.runtime, state);
    Result<migration::Run> run = Run(migration::StopRun(base.runtime, rows, migration.id));
    if (!run) return run.error();
    return Ok();
  }
  Result<void> Forget() {
    FakeState rows(base.runtime, state);
    migration::RunBook book(base.runtime, rows);
    return Run(book.Forget(migration.id));
  }
  Result<migration::Run> Start(std::vector<std::string> prefixes = {}) {
    const std::unique_ptr<Queue> client = OpenQueue(base.runtime);
    FakeState rows(base.runtime, state);
    return Run(migration::StartRun(base.runtime, *client, rows,
                                   {.migration = migration, .prefixes = std::move(prefixes)}));
  }
  migration::RunStatus Status() {
    FakeState rows(base.runtime, state);
    migration::RunBook book(base.runtime, rows);
    Result<std::optional<migration::Run>> run = Run(book.Find(migration.id));
    EXPECT_TRUE(run && *run);
    Result<migration::RunStatus> status =
        Run(migration::ReadStatus(rows, base.clock, std::move(**run)));
    EXPECT_TRUE(status);
    return std::move(*status);
  }
  bool Finished() {
    for (const auto& [key, row] : state->rows) {
      if (key.first != "migrations" || key.second != migration.id) continue;
      Result<migration::Run> run = migration::DecodeRun(row);
      return run && run->finished.has_value();
    }
    return false;
  }
  // Whether somebody works on a task that copies.
  bool Copying() {
    for (const auto& [key, row] : state->rows) {
      if (!key.second.starts_with("claim/") || key.second.find('-') == std::string::npos) continue;
      Result<Row> claim = Row::Decode(row.value);
      if (claim && claim->Time("until") > base.clock.Now()) return true;
    }
    return false;
  }
  // Rows that are left of tasks, for assertions.
  std::vector<std::string> Leftovers() {
    std::vector<std::string> left;
    for (const auto& [key, row] : state->rows) {
      if (row.expires && *row.expires <= base.clock.Now()) continue;
      const std::string& name = key.second;
      const bool of_run = key.first == "migrations" || key.first == "process" ||
                          (key.first == migration::RowsOf(migration.id) &&
                           (name.starts_with("done/") || name.starts_with("find/") ||
                            name.starts_with("events/") || name.starts_with("object/") ||
                            name.starts_with("worker/") || name.starts_with("scope/")));
      if (!of_run) left.push_back(key.first + " " + name);
    }
    return left;
  }

  void PutSource(const std::string& name, std::string text) {
    MemoryStore store(base.runtime, source);
    EXPECT_TRUE(Run(PutText(store, {.bucket = "from", .key = "in/" + name}, std::move(text))));
  }
  // Names below the target's prefix with their bytes; the same for the source.
  static std::map<std::string, std::string> Contents(MemoryStoreBackend& backend,
                                                     const std::string& bucket,
                                                     const std::string& prefix) {
    std::map<std::string, std::string> contents;
    for (const std::string& key : backend.Keys(bucket)) {
      if (!key.starts_with(prefix)) continue;
      contents[key.substr(prefix.size())] = *backend.Find(bucket, key)->bytes;
    }
    return contents;
  }
  std::map<std::string, std::string> AtSource() { return Contents(*source, "from", "in/"); }
  std::map<std::string, std::string> AtTarget() { return Contents(*target, "to", "out/"); }

  FakeWorld& base;
  std::shared_ptr<MemoryStoreBackend> source = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> target = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<FakeQueueBackend> queue = std::make_shared<FakeQueueBackend>(1000);
  std::shared_ptr<FakeStateBackend> state = std::make_shared<FakeStateBackend>();
  SqsTraits sqs;
  FakeFaults queue_faults;
  FakeFaults state_faults;
  FaultPlan* source_faults = nullptr;
  FaultPlan* target_faults = nullptr;
  int target_lies = 0;  // Of completions.
  Migration migration;
  int started = 0;
  std::vector<std::unique_ptr<Process>> processes;

 private:
  // Coroutines of a process that was killed hold memory and places for ever; so does their process.
  static std::vector<std::unique_ptr<Process>>& Graveyard() {
    static auto& graveyard = *new std::vector<std::unique_ptr<Process>>;
    return graveyard;
  }

  template <class T>
  static asio::awaitable<void> Keep(asio::awaitable<T> task, std::optional<T>& result) {
    result.emplace(co_await std::move(task));
  }
};

}  // namespace longhaul::testing
