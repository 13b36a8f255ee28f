// MemoryShare: a part of the process's memory, taken in one step, as a budget of its own.
//
// Budgets serve whoever came first. Work that holds memory of the process's and asks it for more
// would wait behind a role that wants all of the rest, and that one for the work: for ever. What
// works on runtime() waits for nobody but itself. Destroyed after all that has reserved from it.

#pragma once

#include <cstdint>
#include <utility>

#include "base/runtime.h"

namespace longhaul {

// As `of`, but for its memory, which must outlive what works on it.
inline Runtime WithMemory(const Runtime& of, MemoryBudget& memory) {
  return {.executor = of.executor,
          .clock = of.clock,
          .random = of.random,
          .pool = of.pool,
          .memory = memory,
          .log = of.log,
          .metrics = of.metrics};
}

class MemoryShare {
 public:
  // `set_aside_bytes` of what is held are for what keeps count of its memory itself.
  MemoryShare(const Runtime& of, Reservation held, int64_t set_aside_bytes = 0)
      : held_(std::move(held)),
        budget_(held_.size_bytes() - set_aside_bytes),
        runtime_(WithMemory(of, budget_)) {}
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

  [[nodiscard]] const Runtime& runtime() const { return runtime_; }

 private:
  Reservation held_;
  MemoryBudget budget_;
  Runtime runtime_;
};

}  // namespace longhaul
