// CacheWorld: fills, sweeps and evictions of one cache as processes that can be killed at any step,
// a source and a cache, and a State, under one virtual clock and one seed.

#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cache/evict.h"
#include "cache/fill.h"
#include "cache/fill_key.h"
#include "cache/sweep.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul::testing {

class CacheWorld {
  std::unique_ptr<FakeWorld> world_;

 public:
  explicit CacheWorld(uint64_t seed = 1)
      : world_(std::make_unique<FakeWorld>(seed)), base(*world_), state_faults(seed) {
    source->buckets["data"];
    target->options.name = "fast";
    target->buckets["cache"];
    // Each step of State takes its time: that is where a kill strikes, and another one steps in.
    state_faults.slow = 1;
    state_faults.delay_max = std::chrono::milliseconds(4);
  }
  ~CacheWorld() {
    for (auto& process : processes) Graveyard().push_back(std::move(process));
    // Whoever sleeps is held by the clock alone.
    static auto& worlds = *new std::vector<std::unique_ptr<FakeWorld>>;
    worlds.push_back(std::move(world_));
  }
  CacheWorld(const CacheWorld&) = delete;
  CacheWorld& operator=(const CacheWorld&) = delete;

  // What goes wrong with, or how long takes, each operation of a store; and who did what.
  class Plan : public FaultPlan {
   public:
    Fault Next(StoreOperation operation, std::string_view, std::string_view key) override {
      if (on_operation) on_operation(operation, std::string(key));
      Fault fault;
      if (delay_max.count() > 0) {
        fault.delay =
            std::chrono::nanoseconds(random->Below(static_cast<uint64_t>(delay_max.count()) + 1));
      }
      return fault;
    }
    std::function<void(StoreOperation, std::string)> on_operation;
    std::chrono::nanoseconds delay_max{0};
    Random* random = nullptr;
  };

  struct Process {
    explicit Process(CacheWorld& world)
        : random(world.base.random.Next()),
          memory(64 << 20),
          runtime{io.get_executor(), world.base.clock,  random, world.base.pool, memory,
                  world.base.log,    world.base.metrics},
          state(runtime, world.state, &world.state_faults),
          source(runtime, world.source, &world.source_plan),
          target(runtime, world.target, &world.target_plan) {}

    asio::io_context io{1};
    SeededRandom random;
    MemoryBudget memory;
    Runtime runtime;
    FakeState state;
    MemoryStore source;
    MemoryStore target;
    Event stop;
    std::optional<cache::KeyFiller> filler;
    std::optional<Result<void>> key_filled;
    std::optional<Result<cache::FillResult>> filled;
    std::optional<Result<cache::SweepResult>> swept;
    std::optional<Result<cache::EvictResult>> evicted;
    bool running = true;
    std::vector<std::pair<std::string, cache::Outcome>> told;
  };

  // Nothing is known of these processes but their leases, as of those of another machine.
  static ProcessName Elsewhere() { return {}; }

  cache::FillRequest RequestOf(Process& process, std::vector<std::string> prefixes) {
    return {.source = process.source,
            .source_bucket = "data",
            .prefixes = std::move(prefixes),
            .target = process.target,
            .bucket = "cache",
            .ttl = ttl,
            .source_name = "data"};
  }

  Process& StartFill(std::vector<std::string> prefixes, bool force = false, bool wait = true,
                     std::optional<uint64_t> budget = {}) {
    Process& process = Add();
    cache::FillRequest request = RequestOf(process, std::move(prefixes));
    request.force = force;
    request.wait = wait;
    request.budget_bytes = budget;
    cache::FillOptions options{.in_flight = 4, .lease = lease, .owner = Elsewhere(), .bill = bill};
    options.on_key = [&process](const cache::KeyReport& key) {
      process.told.emplace_back(key.key, key.outcome);
    };
    options.on_begin = [this](const cache::Run& run) {
      if (on_begin) on_begin(run);
    };
    Launch(process,
           Keep(cache::Fill(process.runtime, process.state, std::move(request), std::move(options)),
                process.filled));
    return process;
  }
  // As an endpoint does when a reader has missed the key.
  Process& StartFillOfKey(std::string key) {
    Process& process = Add();
    process.filler.emplace(process.runtime, process.state, process.source, process.target, Where(),
                           cache::KeyFillerOptions{.source_bucket = "data",
                                                   .ttl = ttl,
                                                   .owner = Elsewhere(),
                                                   .lease = lease,
                                                   .stop = &process.stop});
    Launch(process, Keep(FillKey(process, std::move(key)), process.key_filled));
    return process;
  }
  Process& StartSweep() {
    Process& process = Add();
    Launch(process, Keep(cache::Sweep(process.runtime, process.state, process.target, Where(),
                                      {.owner = Elsewhere(), .lease = lease}),
                         process.swept));
    return process;
  }
  Process& StartEvict(std::string prefix) {
    Process& process = Add();
    Launch(process, Keep(cache::Evict(process.runtime, process.state, process.target, Where(),
                                      std::move(prefix), {.owner = Elsewhere(), .lease = lease}),
                         process.evicted));
    return process;
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
  bool Drive(const std::function<bool()>& done,
             std::chrono::minutes patience = std::chrono::minutes(60)) {
    const SystemTime end = base.clock.Now() + patience;
    while (!done()) {
      if (base.clock.Now() > end || !Step()) return false;
    }
    return true;
  }
  // Until all processes have ended.
  bool DriveAll() {
    return Drive([this] {
      return std::ranges::none_of(processes, [](const auto& one) { return one->running; });
    });
  }
  template <class T>
  T Run(asio::awaitable<T> task) {
    std::optional<T> result;
    base.Start(Keep(std::move(task), result));
    EXPECT_TRUE(Drive([&] { return result.has_value(); }));
    return std::move(*result);
  }

  cache::FillResult Fill(std::vector<std::string> prefixes, bool force = false,
                         std::optional<uint64_t> budget = {}) {
    Process& process = StartFill(std::move(prefixes), force, true, budget);
    EXPECT_TRUE(Drive([&] { return process.filled.has_value(); }));
    EXPECT_TRUE(*process.filled) << process.filled->error().Describe();
    return **process.filled;
  }
  cache::SweepResult Sweep() {
    Process& process = StartSweep();
    EXPECT_TRUE(Drive([&] { return process.swept.has_value(); }));
    EXPECT_TRUE(*process.swept) << process.swept->error().Describe();
    return **process.swept;
  }
  cache::EvictResult Evict(std::string prefix) {
    Process& process = StartEvict(std::move(prefix));
    EXPECT_TRUE(Drive([&] { return process.evicted.has_value(); }));
    EXPECT_TRUE(*process.evicted) << process.evicted->error().Describe();
    return **process.evicted;
  }
  cache::PinResult Pin(std::string prefix, bool pinned) {
    FakeState rows(base.runtime, state);
    Result<cache::PinResult> done = Run(cache::Pin(rows, Where(), std::move(prefix), pinned));
    EXPECT_TRUE(done);
    return *done;
  }

  void Put(const std::string& key, std::string text) {
    MemoryStore store(base.runtime, source);
    EXPECT_TRUE(Run(PutText(store, {.bucket = "data", .key = key}, std::move(text))));
  }
  // By somebody who knows nothing of the cache.
  void PutByHand(const std::string& key, std::string text) {
    MemoryStore store(base.runtime, target);
    EXPECT_TRUE(Run(PutText(store, {.bucket = "cache", .key = key}, std::move(text))));
  }
  [[nodiscard]] bool Has(const std::string& key) const {
    return target->Find("cache", key) != nullptr;
  }
  [[nodiscard]] cache::Place Where() const { return {.store = Description(), .bucket = "cache"}; }
  // As if a run had written the row of `key`.
  void Change(const std::string& key, const std::function<void(cache::Entry&)>& change) {
    cache::Entry entry = Entries().at(key);
    change(entry);
    FakeState rows(base.runtime, state);
    ASSERT_TRUE(
        Run(rows.Write(Where().Entries(), {.key = key, .value = cache::EncodeEntry(entry)})));
  }
  std::map<std::string, cache::Entry> Entries() {
    std::map<std::string, cache::Entry> entries;
    for (const auto& [name, row] : state->rows) {
      if (name.first != Where().Entries()) continue;
      Result<cache::Entry> entry = cache::DecodeEntry(row);
      EXPECT_TRUE(entry);
      entries[name.second] = *entry;
    }
    return entries;
  }
  // What State counts, and what it should.
  int64_t CountedBytes() {
    FakeState rows(base.runtime, state);
    return *Run(cache::CountedBytes(base.runtime, rows, Where()).Now());
  }
  uint64_t StoredBytes() const {
    uint64_t sum = 0;
    for (const std::string& key : target->Keys("cache")) {
      sum += target->Find("cache", key)->size_bytes();
    }
    return sum;
  }
  void Pass(std::chrono::nanoseconds time) { base.clock.Advance(time); }

  FakeWorld& base;
  std::shared_ptr<MemoryStoreBackend> source = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<MemoryStoreBackend> target = std::make_shared<MemoryStoreBackend>();
  std::shared_ptr<FakeStateBackend> state = std::make_shared<FakeStateBackend>();
  FakeFaults state_faults;
  Plan source_plan;
  Plan target_plan;
  std::chrono::seconds ttl{3600};
  std::chrono::milliseconds lease = std::chrono::seconds(30);
  std::function<void(const cache::Run&)> on_begin;
  const cache::FillBill* bill = nullptr;  // Of fills that are begun from now on.
  std::vector<std::unique_ptr<Process>> processes;

 private:
  Process& Add() {
    processes.push_back(std::make_unique<Process>(*this));
    return *processes.back();
  }
  static Async<void> FillKey(Process& process, std::string key) {
    Result<void> begun = co_await process.filler->Begin();
    if (!begun) co_return begun.error();
    Result<ObjectInfo> found = co_await process.source.Head({.bucket = "data", .key = key});
    if (!found) co_return found.error();
    Result<void> filled = co_await process.filler->Fill(
        std::move(key),
        {.etag = found->etag, .size_bytes = found->size_bytes, .modified = found->last_modified});
    Result<void> ended = co_await process.filler->End();
    co_return filled ? ended : filled;
  }
  static void Launch(Process& process, asio::awaitable<void> task) {
    asio::co_spawn(process.io, std::move(task), [&process](std::exception_ptr exception) {
      if (exception) std::rethrow_exception(exception);
      process.running = false;
    });
  }
  [[nodiscard]] std::string Description() const {
    return MemoryStore(base.runtime, target).description();
  }
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
