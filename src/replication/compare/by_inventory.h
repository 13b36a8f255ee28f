// ByInventory: a rule's source as the newest S3 Inventory has it, in place of a listing
// (`intake: { inventory: … }`).
//
// An inventory is old by definition: Reconcile takes nothing that it lacks for deleted, and what it
// holds is read as it is now. Each inventory is compared with each target once, as long as the rule
// stays as it is; which one was, is in State.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "replication/context/context.h"
#include "transfer/listing/listing.h"

namespace longhaul {

// Of which objects a comparison speaks: with another source, target or filter it says nothing.
std::string WhatIsCompared(const Rule& rule, const Target& target);
// With the rules that carry some of it in place of this one.
std::string WhatIsCompared(const RuleContext& rule, const TargetContext& target);

class ByInventory {
 public:
  // The rule has an inventory. Borrows both.
  ByInventory(ReplicationContext& context, const RuleContext& rule)
      : context_(context), rule_(rule) {}

  // Finds the newest one; of `targets` (indexes into rule.targets) those remain that have not been
  // compared with it. kNotFound: none has been delivered. Errors name the place.
  Async<std::vector<size_t>> Choose(std::vector<size_t> targets);
  // Opens it. kInvalidInput: no CSV, another bucket's, or no manifest; kCorrupt: a damaged one. An
  // error says what to do, and so do those of the listing. What sorts it works on `runtime`.
  Async<std::unique_ptr<Listing>> Open(Runtime runtime);
  // These have been compared with it.
  Async<void> Remember(std::vector<size_t> targets);
  // What a failure of comparing by it is told with.
  [[nodiscard]] Error Explained(Error error) const;

 private:
  [[nodiscard]] std::string Name() const;
  // What State says when it has been compared: another source, filter or target is another one.
  [[nodiscard]] std::string Compared(size_t target) const;

  ReplicationContext& context_;
  const RuleContext& rule_;
  std::string key_;  // Of its manifest.
};

}  // namespace longhaul
