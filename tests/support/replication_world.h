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

#include "replication/replicator.h"
#include "tests/support/fake_queue.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul::testing {

// A store that asks `decide` before each operation, where it is set.
struct TroubledStore : FaultPlan {
  TroubledStore();
  ~TroubledStore() override;
  Fault Next(StoreOperation operation, std::string_view bucket, std::string_view key) override;
  void Fails(ErrorKind kind);
  void Heal() { decide = nullptr; }
  static Fault Failing(ErrorKind kind);

  std::function<Fault(StoreOperation, std::string_view, std::string_view)> decide;
  std::shared_ptr<MemoryStoreBackend> backend;
  std::unique_ptr<MemoryStore> store;
};

class RecordingLogger : public Logger {
 public:
  [[nodiscard]] bool Has(std::string_view words) const;
  std::vector<std::string> lines;
  std::vector<std::string> fields;  // Of each of them: " lane=a".

 protected:
  void Log(LogLevel, std::string_view event, Fields of_line) override;
};

struct RecordingObserver : Observer {
  RecordingObserver();
  ~RecordingObserver() override;
  void OnOutcome(const Outcome& outcome) override;
  void OnReadiness(std::string_view part, const std::optional<Error>& error) override;
  void OnThreshold(const ThresholdEvent& event) override;
  void OnArchiveStaged(const ArchiveBytes& bytes) override;
  void OnArchiveApplied(const ArchiveApplied& archive) override;
  [[nodiscard]] int Count(OutcomeState state) const;
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
  explicit ReplicationWorld(int targets = 1);
  ~ReplicationWorld();

  TroubledStore& AddStore(const std::string& name, const std::vector<std::string>& buckets);
  TroubledStore& store(const std::string& name);
  TroubledStore& source() { return store("east"); }
  TroubledStore& target(int i = 0) { return store("west" + std::to_string(i)); }

  // Writes to the server itself: whatever troubles the store does not trouble this.
  void Put(const std::string& key, std::string text, UserMetadata metadata = {});
  [[nodiscard]] std::set<std::string> Replicas(int i = 0);
  // Archives and receipts; what a probe left does not count.
  [[nodiscard]] std::set<std::string> Staged(int i = 0);

  // Of one process over the rules and the stores.
  Result<std::unique_ptr<ReplicationContext>> NewContext(Queue& queue, State& state,
                                                         Observer& observer);
  void MakeContext();
  void MakeReplicator(ReplicatorOptions options = {});
  OnceResult RunOnce(ReplicatorOptions options = {});
  // Continuous mode, until Stop.
  void Start(ReplicatorOptions options = {});
  void Stop();
  void RunFor(std::chrono::nanoseconds time);

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
  asio::awaitable<void> Continue();
};

// One more process over the rules, the stores, the Queue and the State of a world.
class AnotherProcess {
 public:
  explicit AnotherProcess(ReplicationWorld& world);
  ~AnotherProcess();

  void Start(ReplicatorOptions options = {});
  void Stop();

 private:
  asio::awaitable<void> Continue();

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
