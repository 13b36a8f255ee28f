// TargetRole applies what lies in staging.
//
// Staging itself is the list of what is to be done: a pass lists it, takes each archive that has no
// receipt of ours under a lease, applies it, writes the receipt, and removes the archive when every
// target that shares the staging has a receipt. A wake-up from the source role saves the wait for
// the next pass and is never needed.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "replication/context.h"
#include "replication/staging.h"

namespace longhaul {

// What one pass over all stagings found.
struct TargetPass {
  int applied = 0;   // Archives that got their receipt.
  int waiting = 0;   // Not applied yet: a failure that may pass, or another process at work.
  int parked = 0;    // Archives with entries that cannot be applied; they stay.
  int corrupt = 0;   // Damaged archives; they stay until the source has read their keys anew.
  int receipts = 0;  // Receipts that the source has not read yet.
  std::optional<Error> store_error;  // The first failure that concerns a store as a whole.
};

class TargetRole {
 public:
  // `job_bytes`: the memory of one archive being applied.
  TargetRole(ReplicationContext& context, int64_t job_bytes)
      : context_(context), job_bytes_(job_bytes) {}

  // Lists and applies once. Never fails as a whole: see TargetPass.
  asio::awaitable<TargetPass> RunPass();
  // Passes, with pauses that grow while nothing comes, until `stop` is set.
  asio::awaitable<void> Run(Event& stop);
  // Ends the pause between two passes.
  void Wake() { wake_.Set(); }

 private:
  // What is remembered about an archive between passes; forgetting it costs work, never data.
  struct Work {
    int attempts = 0;
    SteadyTime next_try{};
    std::set<size_t> only;         // Entries left to be applied; empty: all.
    std::set<std::string> reread;  // Keys that earlier attempts want to be read anew.
    bool parked = false;
    bool corrupt = false;
  };
  enum class Handled { kDone, kWaiting, kParked, kCorrupt };

  Async<void> PassOver(RuleContext& rule, TargetContext& target, TargetPass& pass);
  Async<Handled> Handle(RuleContext& rule, TargetContext& target, const StagedArchive& staged,
                        Work& work);
  Async<Handled> HandleLeased(RuleContext& rule, TargetContext& target, const StagedArchive& staged,
                              Work& work);
  Async<Handled> ReportCorrupt(TargetContext& target, const StagedArchive& staged,
                               const Error& error, const std::vector<std::string>* keys);
  Async<void> WriteReceipt(TargetContext& target, ArchiveReceipt receipt);
  // Removes the archive when all targets that share its staging have receipts.
  Async<void> RemoveIfDone(RuleContext& rule, TargetContext& target, const StagedArchive& staged);

  ReplicationContext& context_;
  int64_t job_bytes_;
  Event wake_;
  std::map<std::string, Work> work_;  // By target and ULID.
};

}  // namespace longhaul
