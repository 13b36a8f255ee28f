// What a run would carry, counted without carrying or writing anything.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "migration/compare.h"
#include "migration/run.h"

namespace longhaul::migration {

struct PlanTotals {
  int64_t seen = 0;                          // At the source, whatever the filter says.
  std::vector<std::string> nothing_below{};  // Prefixes that begin no name there.
  int64_t listed = 0;
  int64_t listed_bytes = 0;
  int64_t equal = 0;
  int64_t objects = 0;  // To be carried, giants among them.
  int64_t bytes = 0;
  int64_t giants = 0;
  int64_t giant_bytes = 0;
  int64_t tasks = 0;
};

class PlanObserver {
 public:
  virtual ~PlanObserver() = default;
  virtual void OnMissing(const TaskObject& /*object*/, bool /*giant*/) {}
};

// `prefixes` below the source's; none: all of it. Errors as MissingReader; kCancelled: `stop`.
Async<void> PlanRun(Runtime& runtime, Run run, Ends ends, std::vector<std::string> prefixes,
                    Event& stop, PlanObserver& observer, PlanTotals& totals);

// The prefixes in order, without those that begin with another; {""} for none.
std::vector<std::string> OutermostPrefixes(std::vector<std::string> prefixes);

// When a task is full: what finders and the plan go by.
struct TaskShape {
  size_t objects = 0;
  uint64_t bytes = 0;
  size_t encoded_bytes = 0;

  [[nodiscard]] bool HasRoomFor(const TaskObject& object, const MigrationOptions& options) const;
  void Add(const TaskObject& object);
};

}  // namespace longhaul::migration
