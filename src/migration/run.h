// A run: what is to be moved from where to where, as State remembers it, and the book of all runs.
//
// A run is started as often as one likes (RunBook::Start): each start compares source and target
// anew and adds what is missing, also while an earlier one is under way. It has finished when
// nothing that any start asked for is left to do.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "rules/migration.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul::migration {

struct Run {
  std::string id;
  Address source;
  Address target;
  // What the stores' names meant when it was started: a process in whose configuration they mean
  // another place has no part in it.
  std::string source_place;
  std::string target_place;
  MigrationOptions options;
  SystemTime created{};
  SystemTime started{};    // Last.
  std::string started_by;  // "command", "schedule", "after ID", "event"
  int64_t starts = 0;
  bool stopped = false;  // By `migrate stop`: nothing of it is worked on.
  // Its tasks may have lost their messages, which workers drop while it is stopped.
  bool unsent = false;
  bool forgetting = false;  // Its rows are about to go: nothing is added to them.
  std::optional<SystemTime> finished{};
  int64_t revision = 0;

  // The key at the target of a key at the source, and the other way round.
  [[nodiscard]] std::string TargetKey(std::string_view source_key) const;
};

// Whether both lead from one place to one other, by stores of the same names.
bool HasPlacesOf(const Run& run, const Run& other);

std::string EncodeRun(const Run& run);
// kCorrupt.
Result<Run> DecodeRun(const StateRow& row);

// The State partitions of a run: what is small and looked at often, and the lists of objects.
std::string RowsOf(const std::string& run_id);
std::string BodiesOf(const std::string& run_id);

inline constexpr std::string_view kBeingForgotten = "BeingForgotten";

// The partition of what each schedule was last kept for (Triggers).
inline constexpr char kTriggerRows[] = "migration triggers";

// Errors are those of State.
class RunBook {
 public:
  RunBook(Runtime& runtime, State& state) : runtime_(runtime), state_(state) {}

  Async<std::optional<Run>> Find(std::string id);
  Async<std::vector<Run>> All();
  // Writes it if nobody else has since it was read; kPrecondition otherwise. The new revision.
  Async<int64_t> Save(Run run);
  // Applies `change` to the row as it is then. nullopt: there is no such run, or `change` said
  // that there is nothing to do. kRetryable, code kBeingForgotten: it is, or was begun to be.
  Async<std::optional<Run>> Change(std::string id, std::function<bool(Run&)> change);
  // Whether nothing is left to be done of it; then its row says since when. `run` as just read.
  Async<bool> FinishIfDone(Run run);
  // Removes all rows of a run that has finished or is stopped; kPrecondition: neither. Its own row
  // says so first and goes last: what comes meanwhile is refused, and whoever breaks off is
  // followed by another one. For as long as messages of it may be in a queue it is remembered that
  // there was one.
  Async<void> Forget(std::string id);
  Async<bool> WasForgotten(std::string id);

 private:
  // Says of a run that it goes. nullopt: there is none.
  Async<std::optional<Run>> BeginToForget(const std::string& id);

  Runtime& runtime_;
  State& state_;
};

}  // namespace longhaul::migration
