// The source's side of receipts: what targets say of archives, and what must be read anew.

#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>

#include "replication/context.h"
#include "replication/staging.h"

namespace longhaul {

struct ReceiptPass {
  int archives = 0;  // Still in staging.
  int receipts = 0;  // Still in staging after this pass.
  int read = 0;
  bool complete = true;  // Every staging has been looked at.
  std::optional<Error> store_error;
};

class ReceiptReader {
 public:
  explicit ReceiptReader(ReplicationContext& context) : context_(context) {}

  // Reads what is new, sends the hints for what must be read anew, and removes what is done. A
  // receipt goes only after its hints are durable in the Queue.
  asio::awaitable<ReceiptPass> RunPass();
  asio::awaitable<void> Run(Event& stop);
  void Wake() { wake_.Set(); }

 private:
  Async<void> PassAndTell(const RuleContext& rule, const TargetContext& target, ReceiptPass& pass);
  Async<void> PassOver(const RuleContext& rule, const TargetContext& target, ReceiptPass& pass);
  Async<void> Take(const RuleContext& rule, const ArchiveReceipt& receipt);
  // Counts an archive that is in staging for longer than the rule's threshold, once for a target.
  void WatchThreshold(const RuleContext& rule, const TargetContext& staging,
                      const StagedArchive& staged);
  // The same when its receipt says how long it took.
  void WatchThreshold(const RuleContext& rule, const ArchiveReceipt& receipt);
  void CountMissed(const RuleContext& rule, const std::string& target, const std::string& archive);

  ReplicationContext& context_;
  std::set<std::string> taken_;    // Keys of receipts whose hints have been sent.
  std::set<std::string> corrupt_;  // Archives that have such a receipt.
  std::set<std::string> present_;  // Archives seen in a staging by the last pass.
  // Archive and target: has missed the threshold, and its receipt has not come yet.
  std::set<std::pair<std::string, std::string>> missed_;
  Event wake_;
};

}  // namespace longhaul
