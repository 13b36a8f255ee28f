// CompareMemory: what a comparison takes of the process's memory to sort what has no order.
//
// The catalogs of a vault and inventories are sorted, in memory that is held until the comparison
// has ended, and are read in more. Asked for bit by bit that would wait behind a role that wants
// all of the rest, and that one for it: for ever. So all of it is taken in one step, and all
// comparisons of a process together take no more than the roles leave them (memory_plan.h).

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/memory_share.h"
#include "replication/context/context.h"

namespace longhaul {

// What all comparisons of a process may take together. Whether one takes any of it: SortsToCompare.
int64_t CompareBytes(const ReplicationContext& context);
// How much of a rule is sorted to be compared: its backups and its inventory.
size_t SortsToCompare(const Rule& rule);

class CompareMemory {
 public:
  // Of a comparison that sorts nothing.
  CompareMemory() = default;
  // Of one that sorts so many things side by side. Waits for those that came before. `all`: of the
  // comparisons of the process, CompareBytes; borrowed while this waits. Null: it waits for none.
  static Async<CompareMemory> Take(const ReplicationContext& context,
                                   const std::shared_ptr<MemoryBudget>& all, size_t sorts);

  [[nodiscard]] bool empty() const { return parts_.empty(); }
  // For one thing to be sorted, each time another one, as many as were asked for.
  const Runtime& Next();
  // Before() alone is to have the first part.
  void SkipFirst() { next_ = first_ = 1; }
  // What was handed out is free again.
  void Rewind() { next_ = first_; }
  // For what is done before anything is sorted; not empty().
  [[nodiscard]] Runtime Before() const { return parts_.front()->runtime(); }

 private:
  std::shared_ptr<MemoryBudget> all_;  // shared with the other comparisons that are at work.
  Reservation turn_;                   // Of it.
  std::unique_ptr<MemoryShare> whole_;
  std::vector<std::unique_ptr<MemoryShare>> parts_;
  size_t first_ = 0;
  size_t next_ = 0;
};

}  // namespace longhaul
