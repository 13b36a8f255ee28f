// Timetable: which caches of a configuration are due to be filled, by their schedules.
//
// Any number of processes may look; a row in State for each cache says what it was last filled for,
// and is written before the fill begins, so that one of them does it. What fell due while nobody
// looked is made up for once. A fill that is killed is not begun again before its next time: that,
// or a command, fills what is missing.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "base/time_zone.h"
#include "rules/cache_settings.h"
#include "rules/schedule.h"
#include "state/state.h"

namespace longhaul::cache {

class Timetable {
 public:
  Timetable(Runtime runtime, State& state) : runtime_(runtime), state_(state) {}

  // Borrowed. Without a schedule it is never due. kInvalidInput: the schedule, the time zone.
  Result<void> Add(const CacheSettings& settings);
  [[nodiscard]] bool empty() const { return timed_.empty(); }
  // Those that this process is to fill now. Errors are those of State.
  Async<std::vector<const CacheSettings*>> Due();

 private:
  struct Timed {
    const CacheSettings* settings;
    Schedule schedule;
    TimeZone zone;
  };
  Async<bool> IsDue(const Timed& timed);

  Runtime runtime_;
  State& state_;
  std::vector<Timed> timed_;
};

}  // namespace longhaul::cache
