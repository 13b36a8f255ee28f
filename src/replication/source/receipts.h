// The source's side of receipts: what targets say of archives, and what must be read anew.

#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "replication/context/context.h"
#include "replication/source/untold_archives.h"
#include "replication/staging/local_staging.h"
#include "replication/staging/staging.h"

namespace longhaul {

struct ReceiptPass {
  int archives = 0;  // Still in staging, and not only for targets that are paused.
  int receipts = 0;  // Still in staging after this pass.
  int read = 0;
  int on_the_way = 0;    // In a local staging, and not in that of a target yet.
  bool complete = true;  // Every staging has been looked at.
  std::optional<Error> store_error;
};

class ReceiptReader {
 public:
  explicit ReceiptReader(ReplicationContext& context)
      : context_(context), untold_(context), local_staging_(context) {}

  // Reads what is new, sends the hints for what must be read anew, and removes what is done. A
  // receipt goes only after its hints are durable in the Queue. What an archive held that went
  // without a receipt is read anew one and a half hours later.
  asio::awaitable<ReceiptPass> RunPass();
  asio::awaitable<void> Run(Event& stop);
  void Wake() { wake_.Set(); }
  // For what a store replicates: see LocalStaging.
  void WaitAtMost(std::chrono::milliseconds patience) { local_staging_.WaitAtMost(patience); }

 private:
  // What one pass knows of local stagings. A rule whose own could not be looked at is missing.
  struct Sight {
    std::map<const RuleContext*, LocalArchives> local;
    SeenInStaging seen;
  };
  // What is known of that which the last pass saw in one staging.
  struct Known {
    std::set<std::string> taken;    // Receipts, by key and ETag, whose hints have been sent.
    std::set<std::string> corrupt;  // Archives that have such a receipt.
  };

  Async<void> LookLocally(const RuleContext& rule, ReceiptPass& pass, Sight& sight);
  // What has gone from every staging since the last pass, where archives were `before`; of those
  // whose receipts are waited for, `waiting` were durable there when this pass began.
  asio::awaitable<void> TendGone(const std::set<std::string>& before,
                                 const std::vector<std::string>& waiting, bool complete);
  asio::awaitable<void> TendLocally(const RuleContext& rule, ReceiptPass& pass, Sight& sight);
  Async<void> PassAndTell(const RuleContext& rule, const TargetContext& target, ReceiptPass& pass,
                          Sight& sight);
  bool WaitsForPaused(const RuleContext& rule, const TargetContext& target,
                      const StagedArchive& staged) const;
  Async<void> PassOver(const RuleContext& rule, const TargetContext& target, ReceiptPass& pass,
                       Sight& sight);
  Async<void> RememberTold(const RuleContext& rule, const StagedArchive& staged);
  Async<ArchiveReceipt> Read(const TargetContext& target, const StagedReceipt& receipt);
  // `compared`: the rule has been compared since `receipt` was seen; set when that is done here.
  Async<void> Take(const RuleContext& rule, const ArchiveReceipt& receipt, bool& compared);

  ReplicationContext& context_;
  std::map<std::string, Known> known_;  // By StagingPlace.
  // Archives of which the last pass saw themselves or a receipt in a staging.
  std::set<std::string> present_;
  UntoldArchives untold_;
  LocalStaging local_staging_;
  Event wake_;
};

}  // namespace longhaul
