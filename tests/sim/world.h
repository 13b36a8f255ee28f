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
#include <string_view>
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
inline constexpr char kOtherBucket[] = "other";  // Of a second rule.
inline constexpr char kTargetBucket[] = "target";
inline constexpr char kStagingBucket[] = "staging";
inline constexpr char kInboundBucket[] = "inbound";  // Of what another system left.
inline constexpr char kLocalStagingBucket[] = "local-staging";

// What one seed decides before anything runs.
struct Plan {
  explicit Plan(uint64_t seed);
  [[nodiscard]] std::string ToString() const;
  // Switches the trouble of that name off ("targets", "processes": there is one); false: there is
  // none, or it is off.
  bool Without(std::string_view name);
  static std::vector<std::string> Troubles();
  static constexpr unsigned kCreates = 1;
  static constexpr unsigned kReplaces = 2;
  static constexpr unsigned kCompletesAbsent = 4;
  static constexpr unsigned kCompletesMatch = 8;

  uint64_t seed;
  bool deletes;
  bool conditional_writes;  // Else the target's store has none, and leases stand in.
  bool conditional_deletes;
  // Of those conditions that its servers do not know although they know others: kCreates, ….
  unsigned unknown_conditions;
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
  double skew;           // Seconds by which the clock of a process may be wrong, at most.
  bool compares;         // Source and target are compared by listing; else events alone must do.
  double pauses;         // Of the rule or of a target, begun or ended, per second.
  bool giants;           // What is too large for a bundle travels in segments.
  bool rivals;           // A second rule, above the first, carries the objects that have a tag.
  bool rivals_at_first;  // To the first of two targets alone.
  bool sources;          // A rule of its own carries another bucket to the same targets.
  double steps;          // Of the clock of a process, forth or back, per second.
  bool sealed;           // Archives have a seal.
  double key_changes;    // Of the seal's key, per second; processes that run keep the old one.
  bool source_versions;  // The source keeps versions, and old ones and markers are removed.
  double attributes;     // Share of changes that leave the bytes as they are.
  // Archives go to a staging at the source, which its store replicates to those of the targets.
  bool s3_replication;
  double replication_late;  // Seconds, at most.
  double replication_loss;  // Per archive and staging.
  double replication_twice;
  bool plain;  // No archives: the source writes to the targets itself.
  // What does not shrink the source writes to the targets itself; half of the contents do not.
  bool chosen;
  bool same_store;  // The first target lies in the source's store, which copies what is not packed.
  bool lanes;       // Events wait in the lanes of their rules, as the webhook sends them.
  double outages;   // Of all stagings at once, begun or ended, per second.
  bool crowded;     // Few keys may wait at the source: lanes are full, and left alone.
  // Another system's archives of states that the source has no more, per change.
  double left_archives;
  bool tuned;           // The level follows the money; what that takes is a model.
  double half_batches;  // As SQS and DynamoDB do (FakeFaults::halves), per call.
};

class StoreFaults : public testing::FaultPlan {
 public:
  StoreFaults(const Plan& plan, uint64_t seed) : plan_(plan), random_(seed) {}
  testing::Fault Next(testing::StoreOperation operation, std::string_view bucket,
                      std::string_view key) override;
  bool enabled = true;
  bool stagings_away = false;
  int removes = 0;  // At buckets of replicas.

 private:
  const Plan& plan_;
  SeededRandom random_;
};

class World {
 public:
  // `left_out`: the numbers of events that do not happen.
  explicit World(Plan plan, std::set<int> left_out = {});
  ~World();

  // Runs the whole story. Empty: all is as it should be; else what is wrong.
  std::string Run();
  // Changes, kills, pauses and the like, when the story is over.
  [[nodiscard]] int events() const { return events_; }
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
  // Counts an event; whether it happens.
  bool Happens() { return !left_out_.contains(events_++); }
  void ChangeSomething(bool happens);
  // Metadata and tags of what is there, without its bytes.
  void ChangeAttributes(const std::string& bucket, const std::string& key, bool happens);
  // A version of the source, or its delete marker, for good.
  void RemoveVersion(const std::string& bucket, const std::string& key, bool happens);
  // A new key seals from now on; the ones before are accepted by those who start from now on.
  void ChangeSealKey();
  void SendEvent(const std::string& bucket, const std::string& key, bool attributes = false);
  void LeaveArchive(const std::string& bucket, const std::string& key);
  void CorruptSomething(bool happens);
  void StepAClock(bool happens);
  // Pauses the rule or a target, or resumes what is paused.
  void PauseSomething(bool happens);
  void ResumeAll();
  // Lets the store replicate the local staging.
  void StartCopier();
  std::string FinishAndCheck();
  std::string LastRun();
  std::string LastRunByEvents();
  bool StagingIsEmpty() const;
  std::string Compare(size_t target) const;
  // `keys`: those of the target that were expected are added.
  std::string CompareBucket(size_t target, const std::string& bucket, const std::string& prefix,
                            std::set<std::string>& keys) const;
  std::string CheckHistory(size_t target) const;
  void Say(const std::string& text) const;

  Plan plan_;
  SeededRandom random_;
  SeededRandom outages_random_;
  SeededRandom pauses_random_;  // Its own: the seeds of before tell the same stories.
  SeededRandom steps_random_;   // And this.
  SeededRandom keys_random_;    // And this.
  SeededRandom left_random_;    // And this.
  std::set<int> left_out_;
  int events_ = 0;
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
