// What the last drill of a backup came to, in State, for whoever watches.
//
//   partition "drills", key <rule>/<target>    a row for each backup of a rule
//
// `longhaul backup drill` writes it. A process that runs the rules shows when something was last
// restored and proven as longhaul_last_proven_restore_timestamp_seconds.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/runtime.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul::backup {

struct DrillNote {
  enum class Outcome { kProven, kDiffers, kFailed };
  std::string rule;
  std::string target;  // By its name.
  SystemTime at{};     // When the last drill ended.
  Outcome outcome = Outcome::kFailed;
  uint64_t objects = 0;  // That it restored, and their bytes.
  uint64_t bytes = 0;
  std::string reason;  // For people; empty: all was as it should be.
  // When the last one ended that proved what it restored; nullopt: none ever has.
  std::optional<SystemTime> proven{};

  bool operator==(const DrillNote&) const = default;
};

// "proven", "differs", "failed".
std::string_view DrillOutcomeText(DrillNote::Outcome outcome);

// Writes the note of a drill that has ended. `proven` need not be given: it is the note's own time
// if it proved something, else what the row had. An older note does not replace a newer one.
// Errors: those of State.
Async<void> WriteDrillNote(State& state, DrillNote note);
// nullopt: there has been no drill, or its row makes no sense.
Async<std::optional<DrillNote>> ReadDrillNote(State& state, std::string rule, std::string target);

// Shows in the process's metrics, until `stop`, when each backup of the rules was proven last; 0
// where it never was. Without a backup it asks State for nothing.
Async<void> PublishDrills(const Runtime& runtime, const Configuration& configuration, State& state,
                          Event& stop);
// Once, now. Errors: those of State.
Async<void> PublishDrillsOnce(const Runtime& runtime, const Configuration& configuration,
                              State& state);

}  // namespace longhaul::backup
