// A process of the simulated world.

#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "replication/make_context.h"
#include "tests/sim/world.h"

namespace longhaul::sim {

// Small, so that a run sees bundles and singles, several frames, several parts.
inline ReplicationLimits SmallLimits(const Plan& plan) {
  ReplicationLimits limits;
  if (plan.giants) {
    limits.single_object_bytes_max = 100'000;
    limits.segment_bytes_min = 60'000;
    limits.giant_part_bytes_min = 25'000;
  }
  limits.bundle_object_bytes_max = 100'000;
  limits.attributes_alone_bytes_min = 1;
  limits.carried_object_bytes_min = 2'000;
  limits.sample_bytes = 500;
  limits.frame_bytes = 128 << 10;
  limits.part_bytes = 64 << 10;
  if (plan.crowded) limits.hints_pending_max = 6;
  limits.reads_max = 4;
  limits.writes_max = 4;
  return limits;
}

// The clock of a machine: wrong by some seconds. What serves all processes has the true one.
class SkewedClock : public Clock {
 public:
  SkewedClock(Clock& truth, std::chrono::microseconds skew) : truth_(truth), skew_(skew) {}
  [[nodiscard]] SystemTime Now() const override { return truth_.Now() + skew_; }
  [[nodiscard]] SteadyTime SteadyNow() const override { return truth_.SteadyNow(); }
  std::unique_ptr<Timer> StartTimer(std::chrono::nanoseconds delay,
                                    std::move_only_function<void()> function) override {
    return truth_.StartTimer(delay, std::move(function));
  }
  // As when somebody sets it, or a time server does.
  void StepTo(std::chrono::microseconds skew) { skew_ = skew; }

 private:
  Clock& truth_;
  std::chrono::microseconds skew_;
};

// Tells what a process logs, and what becomes of its keys.
class World::Voice : public Logger, public Observer {
 public:
  Voice(const World& world, std::string name) : world_(world), name_(std::move(name)) {}

  void OnOutcome(const Outcome& outcome) override {
    world_.Say(name_ + ": " + outcome.op + " " + outcome.key + " of " +
               FormatRfc3339(outcome.stamp) + " at " + outcome.target + ": " +
               std::string(ToString(outcome.state)) + " " + outcome.reason);
  }

 protected:
  void Log(LogLevel, std::string_view event, Fields fields) override {
    if (!world_.verbose) return;
    std::string text = name_ + ": " + std::string(event);
    for (const LogField& field : fields) {
      text += " " + std::string(field.name) + "=";
      if (const auto* words = std::get_if<std::string>(&field.value)) text += *words;
      if (const auto* number = std::get_if<int64_t>(&field.value)) text += std::to_string(*number);
    }
    world_.Say(text);
  }

 private:
  const World& world_;
  std::string name_;
};

struct World::Process {
  Process(World& world, std::string name, uint64_t seed, bool faults)
      : configuration(world.configuration_),
        voice(world, std::move(name)),
        random(seed),
        clock(world.clock_, Skew(world)),
        memory(48 << 20),
        runtime{io.get_executor(), clock, random, pool, memory, voice, metrics},
        servers{io.get_executor(), world.clock_, random, pool, memory, voice, metrics},
        source(servers, world.source_, faults ? &world.store_faults_ : nullptr),
        queue(servers, world.queue_, faults ? &world.queue_faults_ : nullptr),
        state(servers, world.state_, faults ? &world.state_faults_ : nullptr) {
    for (const auto& backend : world.targets_) {
      targets.push_back(std::make_unique<testing::MemoryStore>(
          servers, backend, faults ? &world.store_faults_ : nullptr));
    }
    std::map<std::string, Store*> stores{{"east", &source}};
    for (size_t i = 0; i < targets.size(); ++i) {
      stores["west" + std::to_string(i)] = targets[i].get();
    }
    auto made = MakeReplicationContext(runtime, configuration, std::move(stores), queue, state,
                                       voice, SmallLimits(world.plan_));
    if (!made) std::abort();
    context = std::move(*made);
    if (!world.plan_.tuned) return;
    // Each level takes as much longer than the one before; machines differ.
    const double speed = 0.5 + random.Unit();
    context->tuner = std::make_unique<Tuner>(
        0, "machine-" + std::to_string(random.Below(2)), [speed](int level, uint64_t raw_bytes) {
          const double seconds = static_cast<double>(raw_bytes) * 1e-8 * speed * (1 + level);
          return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
        });
    for (const Rule& rule : configuration.rules) {
      if (rule.tuner) {
        context->tuner->Add(rule, {.transfer_gib = 0.02, .cpu_second = 0.0000131, .unknown = ""});
      }
    }
  }

  std::chrono::microseconds Skew(const World& world) {
    const double seconds = world.plan_.skew * (2 * random.Unit() - 1);
    return std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6));
  }

  void Spawn(asio::awaitable<void> task) {
    asio::co_spawn(io, std::move(task), [this](std::exception_ptr exception) {
      if (exception) std::rethrow_exception(exception);
      running = false;
    });
    running = true;
  }

  Configuration configuration;  // As it was when the process started.
  Voice voice;
  asio::io_context io{1};
  SeededRandom random;
  SkewedClock clock;
  CpuPool pool{0};
  MemoryBudget memory;
  Metrics metrics;
  Runtime runtime;
  Runtime servers;  // What the clients of the servers get, which have the true clock.
  testing::MemoryStore source;
  std::vector<std::unique_ptr<testing::MemoryStore>> targets;
  testing::FakeQueue queue;
  testing::FakeState state;
  std::unique_ptr<ReplicationContext> context;
  std::unique_ptr<Replicator> replicator;
  Event stop;
  bool running = false;
};

// For what the simulated user does, who has no trouble.
inline asio::awaitable<void> Quietly(Async<void> task) {
  Result<void> done = co_await std::move(task);
  if (!done) {
    std::fprintf(stderr, "the simulated user failed: %s\n", done.error().message.c_str());
    std::abort();
  }
}

}  // namespace longhaul::sim
