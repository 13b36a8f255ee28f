// The simulated world: servers, queue and state that survive everything, processes that do not, one
// clock, one seed.
//
// A process has an io_context of its own. Killing it means that nobody runs that io_context any
// more: whatever its coroutines were about to do never happens, and nothing is cleaned up, as after
// kill -9. (The dead are kept until the end of the run; a run is a child process of its own.)

#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "replication/replicator.h"
#include "rules/rule.h"
#include "tests/support/fake_copier.h"
#include "tests/support/fake_queue.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul::sim {

inline constexpr char kSourceBucket[] = "source";
inline constexpr char kTargetBucket[] = "target";
inline constexpr char kStagingBucket[] = "staging";
inline constexpr char kLocalStagingBucket[] = "local-staging";

// What one seed decides before anything runs.
struct Plan {
  explicit Plan(uint64_t seed);
  [[nodiscard]] std::string ToString() const;

  uint64_t seed;
  bool deletes;
  bool conditional_writes;  // Else the target's store has none, and leases stand in.
  bool conditional_deletes;
  bool versioned;
  int targets;  // 1 or 2.
  bool shared_staging;
  int processes;        // 1 to 3.
  bool split_roles;     // Each process has one role.
  double crash_rate;    // Kills per second and process.
  double store_faults;  // Per operation; 0 switches them off.
  double later_effects;
  double cut_bodies;
  double slow;
  double queue_faults;
  double state_faults;
  double lost_events;
  double doubled_events;
  double late_events;
  double corruptions;  // Of archives in staging, per second.
  int keys;
  int changes;
  std::chrono::seconds workload;
  double skew;    // Seconds by which the clock of a process may be wrong, at most.
  bool compares;  // Source and target are compared by listing; else events alone must do.
  double pauses;  // Of the rule or of a target, begun or ended, per second.
  bool giants;    // What is too large for a bundle travels in segments.
  // Archives go to a staging at the source, which its store replicates to those of the targets.
  bool s3_replication;
  double replication_late;  // Seconds, at most.
  double replication_loss;  // Per archive and staging.
  double replication_twice;
  bool plain;   // No archives: the source writes to the targets itself.
  bool rivals;  // A second rule, above the first, carries the objects that have a tag.
};

class StoreFaults : public testing::FaultPlan {
 public:
  StoreFaults(const Plan& plan, uint64_t seed) : plan_(plan), random_(seed) {}
  testing::Fault Next(testing::StoreOperation operation, std::string_view bucket,
                      std::string_view key) override;
  bool enabled = true;

 private:
  const Plan& plan_;
  SeededRandom random_;
};

class World {
 public:
  explicit World(uint64_t seed);
  ~World();

  // Runs the whole story. Empty: all is as it should be; else what is wrong.
  std::string Run();
  // Says what happens, on standard output.
  bool verbose = false;

 private:
  class Voice;
  struct Process;

  void StartProcess(size_t slot, bool split_roles);
  // Asks it to stop. Empty: it did, and holds nothing.
  std::string StopProcess(size_t slot);
  void Kill(size_t slot);
  // One handler of one process, or the next timer; false when nothing is left to happen.
  bool Step();
  void RunUntil(SystemTime time);
  void ChangeSomething();
  void SendEvent(const std::string& key);
  void CorruptSomething();
  // Pauses the rule or a target, or resumes what is paused.
  void PauseSomething();
  void ResumeAll();
  // Lets the store replicate the local staging.
  void StartCopier();
  std::string FinishAndCheck();
  std::string LastRun();
  std::string LastRunByEvents();
  bool StagingIsEmpty() const;
  std::string Compare(size_t target) const;
  std::string CheckHistory(size_t target) const;
  void Say(const std::string& text) const;

  Plan plan_;
  SeededRandom random_;
  SeededRandom pauses_random_;  // Its own: the seeds of before tell the same stories.
  testing::FakeClock clock_;
  Configuration configuration_;
  std::shared_ptr<testing::MemoryStoreBackend> source_;
  std::vector<std::shared_ptr<testing::MemoryStoreBackend>> targets_;
  std::shared_ptr<testing::FakeQueueBackend> queue_;
  std::shared_ptr<testing::FakeStateBackend> state_;
  StoreFaults store_faults_;
  testing::FakeFaults queue_faults_;
  testing::FakeFaults state_faults_;
  SeededRandom copier_random_;
  std::unique_ptr<testing::FakeCopier> copier_;  // Null: nothing is replicated by a store.
  std::unique_ptr<Process> user_;  // Changes the source and sends events; never fails.
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<std::unique_ptr<Process>> dead_;
  std::vector<std::string> contents_;  // Bodies to choose from: the same may come back.
  int changes_ = 0;
  std::set<std::string> paused_;  // Targets; "" is the whole rule.
};

}  // namespace longhaul::sim
