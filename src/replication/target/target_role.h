// TargetRole applies what lies in staging.
//
// What is to be done and when is in a queue for each target (staging_queue.h), which listings of
// its staging fill. A pass takes what is due: each archive that has no receipt of ours under a
// lease; it applies it, writes the receipt, and removes the archive when every target that shares
// the staging has a receipt. A wake-up from the source role saves the wait for the next listing and
// is never needed.
//
// Several archives are applied at a time, in whatever order they end: a request that hangs, and an
// archive that takes hours, keep no other waiting.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "archive/reader.h"
#include "replication/apply/apply_archive.h"
#include "replication/context/context.h"
#include "replication/staging/staging.h"
#include "replication/target/staging_queue.h"

namespace longhaul {

// What one pass over all stagings found.
struct TargetPass {
  int applied = 0;   // Archives that got their receipt.
  int waiting = 0;   // Not applied yet: a failure that may pass, or another process at work.
  int failed = 0;    // Of these: tried in this pass.
  int parked = 0;    // Archives with entries that cannot be applied; they stay.
  int corrupt = 0;   // Damaged archives; they stay until the source has read their keys anew.
  int receipts = 0;  // Receipts that the source has not read yet.
  std::optional<Error> store_error;  // The first failure that concerns a store as a whole.
  int begun = 0;                     // Archives that were tried.
  bool full = false;                 // Large archives wait for places, as the pass did for a while.
};

class TargetRole {
 public:
  // `job_bytes`: the memory of one archive being applied.
  TargetRole(ReplicationContext& context, int64_t job_bytes)
      : context_(context), job_bytes_(job_bytes) {}

  // Lists and applies once, at the targets that have been found fit and are not paused; ends early,
  // between two archives, when `stop` is set. Never fails as a whole: see TargetPass.
  asio::awaitable<TargetPass> RunPass(const Event& stop);
  // Passes over each target until `stop` is set: when something is due, and with a listing after
  // pauses that grow while nothing comes.
  asio::awaitable<void> Run(Event& stop);
  // Ends the pause between two passes.
  void Wake() {
    ++wakes_;
    woken_.NotifyAll();
  }

 private:
  using Work = StagingWork;
  // Of the archives of one target that get more memory than small ones a few are under way at a
  // time: a store that hangs must not hold the memory that others need.
  struct LargePlaces {
    int taken = 0;
    WaitList freed;
  };
  // One of them, until it goes out of scope; or none.
  class LargePlace {
   public:
    LargePlace() = default;
    explicit LargePlace(std::shared_ptr<LargePlaces> places) : places_(std::move(places)) {
      ++places_->taken;
    }
    LargePlace(LargePlace&&) = default;
    LargePlace& operator=(LargePlace&& other) noexcept {
      std::swap(places_, other.places_);
      return *this;
    }
    ~LargePlace();

   private:
    std::shared_ptr<LargePlaces> places_;  // shared: a coroutine may outlive the role.
  };
  enum class Handled { kDone, kWaiting, kParked, kCorrupt, kNeedsMoreMemory };

  Async<void> PassLoop(RuleContext& rule, TargetContext& target, Event& stop);
  // One pass to its end.
  Async<void> WholePass(RuleContext& rule, TargetContext& target, std::shared_ptr<TargetPass> pass,
                        const Event& stop);
  // Fills the queue from staging. Not OK: it could not be listed. What is found out by that and may
  // take long goes on in `beside`.
  Async<void> ListInto(StagingQueue& queue, const RuleContext& rule, TargetContext& target,
                       TargetPass& pass, const Event& stop, TaskGroup& beside);
  // What is parked here and whose archives somebody has removed, keys and whole archives: the
  // source reads it anew. `listed_at`: when the listing was begun that showed `archives`. Looks
  // again each ten minutes, one process at a time.
  Async<void> SeekLeft(TargetContext& target, std::set<std::string> archives, SystemTime listed_at,
                       const Event& stop);
  Async<void> AskForLeftKeys(TargetContext& target, const std::set<std::string>& archives,
                             SystemTime listed_at, const Event& stop);
  Async<void> AskForLeftArchives(TargetContext& target, const std::set<std::string>& archives,
                                 SystemTime listed_at, const Event& stop);
  // Begins what is due in `applying`; that tells `pass` what came of it. `listed`: staging has just
  // been.
  Async<void> PassOver(RuleContext& rule, TargetContext& target, std::shared_ptr<TargetPass> pass,
                       const Event& stop, TaskGroup& applying, bool listed);
  StagingQueue& QueueOf(const TargetContext& target);
  // Waits for a place of `places`, for as long as a pass may.
  asio::awaitable<bool> WaitForPlace(LargePlaces& places, const Event& stop);
  Async<void> Apply(RuleContext& rule, TargetContext& target, Work& work, LargePlace place,
                    std::shared_ptr<TargetPass> pass, const Event& stop);
  // What waits in the staging of a target, for its meter.
  void TellStaging(const RuleContext& rule, const TargetContext& target);
  Async<Handled> Handle(RuleContext& rule, TargetContext& target, const StagedArchive& staged,
                        Work& work, LargePlace place, const Event& stop);
  Async<Handled> HandleLeased(RuleContext& rule, TargetContext& target, const StagedArchive& staged,
                              Work& work, int64_t job_bytes);
  // Has the source read anew what earlier attempts at an archive want.
  Async<void> AskSource(TargetContext& target, Work& work);
  // Has the source read these keys anew: it is durable when it returns, in a receipt of its own.
  Async<void> AskForKeys(TargetContext& target, std::vector<std::string> keys);
  // What becomes of an archive of which not all has been applied.
  Async<Handled> KeepRest(TargetContext& target, const StagedArchive& staged, Work& work,
                          const ArchiveReader& reader, const ArchiveApplication& applied);
  // What was parked of an archive that is settled for this target without being applied.
  Async<void> SettleParked(TargetContext& target, const StagedArchive& staged,
                           std::vector<std::string> keys);
  // The whole archive: it stays, and nothing of it is applied.
  Async<Handled> Refuse(TargetContext& target, const StagedArchive& staged, Work& work,
                        const Error& error);
  // Writes down what is parked now, or in conflict, and forgets what is not parked any more.
  Async<void> Park(TargetContext& target, ParkedKey parked);
  // Not OK: a conflict is recorded nowhere.
  Async<void> NoteParked(TargetContext& target, const StagedArchive& staged,
                         const ArchiveReader& reader, const ArchiveApplication& applied);
  Async<Handled> ReportCorrupt(TargetContext& target, const StagedArchive& staged,
                               const Error& error, const std::vector<std::string>* keys);
  Async<void> WriteReceipt(TargetContext& target, ArchiveReceipt receipt);
  // Removes the archive when all targets that share its staging have receipts.
  Async<void> RemoveIfDone(RuleContext& rule, TargetContext& target, const StagedArchive& staged);

  ReplicationContext& context_;
  int64_t job_bytes_;
  uint64_t wakes_ = 0;
  WaitList woken_;
  std::map<const TargetContext*, StagingQueue> queues_;
  std::map<const TargetContext*, uint64_t> settled_;        // Entries, since this process began.
  std::map<const TargetContext*, int64_t> retried_;         // RuleControl::RetryRevision, followed.
  std::map<const TargetContext*, SteadyTime> left_sought_;  // SeekLeft, last.
  std::set<const TargetContext*> left_being_sought_;
  std::map<const TargetContext*, Error> unlisted_;  // Why staging could not be listed, lately.
  // Failures of a store as a whole, one after the other.
  std::map<const TargetContext*, int> store_failures_;
  std::map<const TargetContext*, std::shared_ptr<LargePlaces>> large_;  // shared: with LargePlace.
};

}  // namespace longhaul
