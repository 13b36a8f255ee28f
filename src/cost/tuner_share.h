// TunerShare: what the tuners of all processes have tried, added up in State.
//
//   partition "tuner", key <rule>/<kind>/<reference level>/<level>/<processor>/<what>    a number
//
// Each process adds what it has tried since the last time, about once a minute: adds are atomic, so
// however many do it none is lost. An add of which nobody knows whether it was made is not
// repeated: to lack one trial is better than to count it twice. Rows are made with an end after 90
// days, so that what data was like long ago is forgotten: by the process that made them, too.

#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "cost/tuner.h"
#include "state/state.h"

namespace longhaul {

class TunerShare {
 public:
  static constexpr std::chrono::seconds kPublishInterval{60};
  static constexpr std::chrono::minutes kReadInterval{10};
  static constexpr std::chrono::hours kKept{90 * 24};

  TunerShare(State& state, Clock& clock, Tuner& tuner)
      : state_(state), clock_(clock), tuner_(tuner) {}

  // Adds what has been tried since the last time. Errors are those of State; what could not be
  // added for sure is left out.
  Async<void> Publish();
  // Tells the tuners what others have tried.
  Async<void> Read();

 private:
  static constexpr size_t kNumbersOfPlace = 5;  // Of TrialSums; each has a row.
  struct Shared {
    std::array<std::optional<SystemTime>, kNumbersOfPlace> ends;  // Of rows that are there.
    TrialSums sums;  // What of this process is in them: it is no other's.
  };
  // When the row ends, which is made where it is not there.
  Async<SystemTime> EndOf(std::string key);
  // What was in rows that have ended is nowhere any more.
  void ForgetEnded();

  State& state_;
  Clock& clock_;
  Tuner& tuner_;
  TrialMap pending_;  // Not begun to be added.
  std::map<TrialPlace, Shared> shared_;
};

// All that has been added for a rule.
Async<TrialMap> ReadTrials(State& state, std::string rule);

}  // namespace longhaul
