// ReplicationWorld: a source, its targets, a Queue and a State on a virtual clock, for tests of the
// replication roles. Each store can be told what goes wrong with it.

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "replication/make_context.h"
#include "replication/replicator.h"
#include "tests/support/fake_queue.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul::testing {

// A store that asks `decide` before each operation, where it is set.
struct TroubledStore : FaultPlan {
  Fault Next(StoreOperation operation, std::string_view bucket, std::string_view key) override {
    return decide ? decide(operation, bucket, key) : Fault();
  }
  void Fails(ErrorKind kind) {
    decide = [kind](StoreOperation, std::string_view, std::string_view) { return Failing(kind); };
  }
  void Heal() { decide = nullptr; }
  static Fault Failing(ErrorKind kind) {
    Fault fault;
    fault.error = Error{.kind = kind, .message = "trouble", .code = "Trouble"};
    return fault;
  }

  std::function<Fault(StoreOperation, std::string_view, std::string_view)> decide;
  std::shared_ptr<MemoryStoreBackend> backend;
  std::unique_ptr<MemoryStore> store;
};

class RecordingLogger : public Logger {
 public:
  [[nodiscard]] bool Has(std::string_view words) const {
    for (const std::string& line : lines) {
      if (line.find(words) != std::string::npos) return true;
    }
    return false;
  }
  std::vector<std::string> lines;
  std::vector<std::string> fields;  // Of each of them: " lane=a".

 protected:
  void Log(LogLevel, std::string_view event, Fields of_line) override {
    lines.emplace_back(event);
    std::string& text = fields.emplace_back();
    for (const LogField& field : of_line) {
      text += " " + std::string(field.name) + "=";
      if (const auto* words = std::get_if<std::string>(&field.value)) text += *words;
      if (const auto* number = std::get_if<int64_t>(&field.value)) text += std::to_string(*number);
    }
  }
};

struct RecordingObserver : Observer {
  void OnOutcome(const Outcome& outcome) override { outcomes.push_back(outcome); }
  void OnReadiness(std::string_view part, const std::optional<Error>& error) override {
    if (error) {
      unready[std::string(part)] = error->Describe();
    } else {
      unready.erase(std::string(part));
    }
  }
  void OnThreshold(const ThresholdEvent& event) override { late.push_back(event); }
  void OnArchiveStaged(const ArchiveBytes& bytes) override { staged.push_back(bytes); }
  void OnArchiveApplied(const ArchiveApplied& archive) override { applied.push_back(archive); }
  [[nodiscard]] int Count(OutcomeState state) const {
    int count = 0;
    for (const Outcome& outcome : outcomes) count += outcome.state == state ? 1 : 0;
    return count;
  }
  std::vector<Outcome> outcomes;
  std::vector<ThresholdEvent> late;
  std::vector<ArchiveBytes> staged;
  std::vector<ArchiveApplied> applied;
  std::map<std::string, std::string> unready;  // What /readyz would say.
};

// Rule "r" from east:in to the targets t0 (west0:out), t1, … by a staging bucket in each of their
// stores.
class ReplicationWorld {
 public:
  explicit ReplicationWorld(int targets = 1)
      : runtime{world.runtime.executor, world.clock, world.random, world.pool,
                world.memory,           log,         world.metrics},
        queue_backend(std::make_shared<FakeQueueBackend>(1000)),
        state_backend(std::make_shared<FakeStateBackend>()),
        queue(runtime, queue_backend),
        state(runtime, state_backend) {
    limits.frame_bytes = 128 << 10;
    limits.part_bytes = 64 << 10;
    limits.bundle_object_bytes_max = 100'000;
    AddStore("east", {"in"});
    Rule rule;
    rule.id = "r";
    rule.source = {.store = "east", .bucket = "in", .prefix = ""};
    rule.compression_level = 1;
    rule.deletes = true;
    rule.intake.listing = std::chrono::seconds(60);
    configuration.site = "here";
    for (int i = 0; i < targets; ++i) {
      const std::string store = "west" + std::to_string(i);
      AddStore(store, {"out", "staging"});
      Target target;
      target.name = "t" + std::to_string(i);
      target.to = {.store = store, .bucket = "out", .prefix = ""};
      target.staging = {.store = store, .bucket = "staging", .prefix = ""};
      rule.targets.push_back(std::move(target));
    }
    configuration.rules.push_back(std::move(rule));
  }

  TroubledStore& AddStore(const std::string& name, const std::vector<std::string>& buckets) {
    auto made = std::make_unique<TroubledStore>();
    MemoryStoreOptions options;
    options.name = name;
    options.capabilities.part_size_bytes_min = 1;
    made->backend = std::make_shared<MemoryStoreBackend>(std::move(options));
    for (const std::string& bucket : buckets) {
      made->backend->buckets[bucket].created = world.clock.Now();
    }
    made->store = std::make_unique<MemoryStore>(runtime, made->backend, made.get());
    return *(stores[name] = std::move(made));
  }
  TroubledStore& store(const std::string& name) { return *stores.at(name); }
  TroubledStore& source() { return store("east"); }
  TroubledStore& target(int i = 0) { return store("west" + std::to_string(i)); }

  // Writes to the server itself: whatever troubles the store does not trouble this.
  void Put(const std::string& key, std::string text, UserMetadata metadata = {}) {
    MemoryStore direct(runtime, source().backend);
    PutRequest request{.bucket = "in", .key = key};
    request.metadata = std::move(metadata);
    ASSERT_TRUE(world.Run(PutText(direct, std::move(request), std::move(text))));
  }
  [[nodiscard]] std::set<std::string> Replicas(int i = 0) {
    std::vector<std::string> keys = target(i).backend->Keys("out");
    return {keys.begin(), keys.end()};
  }
  // Archives and receipts; what a probe left does not count.
  [[nodiscard]] std::set<std::string> Staged(int i = 0) {
    std::set<std::string> keys;
    for (std::string& key : target(i).backend->Keys("staging")) {
      if (!key.starts_with("probe/")) keys.insert(std::move(key));
    }
    return keys;
  }

  // Of one process over the rules and the stores.
  Result<std::unique_ptr<ReplicationContext>> NewContext(Queue& queue, State& state,
                                                         Observer& observer) {
    std::map<std::string, Store*> pointers;
    for (const auto& [name, troubled] : stores) pointers[name] = troubled->store.get();
    return MakeReplicationContext(runtime, configuration, std::move(pointers), queue, state,
                                  observer, limits);
  }
  void MakeContext() {
    auto made = NewContext(queue, state, observer);
    ASSERT_TRUE(made);
    context = std::move(*made);
  }
  void MakeReplicator(ReplicatorOptions options = {}) {
    MakeContext();
    auto made = Replicator::Make(*context, options);
    ASSERT_TRUE(made) << made.error().Describe();
    replicator = std::move(*made);
  }
  OnceResult RunOnce(ReplicatorOptions options = {}) {
    MakeReplicator(options);
    return world.Run(replicator->RunOnce(stop));
  }
  // Continuous mode, until Stop.
  void Start(ReplicatorOptions options = {}) {
    MakeReplicator(options);
    running = true;
    world.Start(Continue());
  }
  void Stop() {
    stop.Set();
    world.Drive([this] { return !running; });
  }
  void RunFor(std::chrono::nanoseconds time) {
    const SteadyTime end = world.clock.SteadyNow() + time;
    bool reached = false;
    auto timer = world.clock.StartTimer(time, [&] { reached = true; });
    world.Drive([&] { return reached || world.clock.SteadyNow() >= end; });
  }

  FakeWorld world;
  RecordingLogger log;
  Runtime runtime;
  std::shared_ptr<FakeQueueBackend> queue_backend;
  std::shared_ptr<FakeStateBackend> state_backend;
  std::map<std::string, std::unique_ptr<TroubledStore>> stores;
  FakeQueue queue;
  FakeState state;
  RecordingObserver observer;
  Configuration configuration;
  ReplicationLimits limits;
  std::unique_ptr<ReplicationContext> context;
  std::unique_ptr<Replicator> replicator;
  Event stop;
  bool running = false;

 private:
  asio::awaitable<void> Continue() {
    co_await replicator->RunContinuous(stop);
    running = false;
  }
};

// One more process over the rules, the stores, the Queue and the State of a world.
class AnotherProcess {
 public:
  explicit AnotherProcess(ReplicationWorld& world)
      : world_(world),
        queue_(world.runtime, world.queue_backend),
        state_(world.runtime, world.state_backend) {}

  void Start(ReplicatorOptions options = {}) {
    auto made = world_.NewContext(queue_, state_, observer_);
    ASSERT_TRUE(made);
    context_ = std::move(*made);
    auto replicator = Replicator::Make(*context_, options);
    ASSERT_TRUE(replicator) << replicator.error().Describe();
    replicator_ = std::move(*replicator);
    running_ = true;
    world_.world.Start(Continue());
  }
  void Stop() {
    stop_.Set();
    world_.world.Drive([this] { return !running_; });
  }

 private:
  asio::awaitable<void> Continue() {
    co_await replicator_->RunContinuous(stop_);
    running_ = false;
  }

  ReplicationWorld& world_;
  FakeQueue queue_;
  FakeState state_;
  RecordingObserver observer_;
  std::unique_ptr<ReplicationContext> context_;
  std::unique_ptr<Replicator> replicator_;
  Event stop_;
  bool running_ = false;
};

}  // namespace longhaul::testing
