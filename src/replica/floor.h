// Floors: rows in State that remember a stamp where no object at the target can.
//
// A floor is raised before a delete (then it is a *tombstone*) and before a write that replaces an
// object; every write reads the floor of its key before and after. A write below the floor is too
// old. A floor can also hold the mark of a replica that has none of its own: one that was there
// before us and was *adopted*, or whose metadata leaves no room.
//
// A floor never sinks. Its row lives for 15 days, a day longer than the oldest archive that may
// still be applied; rows that hold a mark stay.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "replica/mark.h"
#include "state/state.h"

namespace longhaul {

inline constexpr std::chrono::hours kArchiveAgeMax{14 * 24};
inline constexpr std::chrono::hours kFloorLifetime{15 * 24};

// The mark of the object that has `target_etag`, kept here instead of in its metadata.
struct KeptMark {
  std::string target_etag;
  Mark mark;

  bool operator==(const KeptMark&) const = default;
};

struct Floor {
  SystemTime stamp{};
  bool deleted = false;  // A tombstone.
  std::optional<KeptMark> kept_mark;

  bool operator==(const Floor&) const = default;
};

std::string EncodeFloor(const Floor& floor);
// kCorrupt: not a floor; the message holds the row's text.
Result<Floor> DecodeFloor(std::string_view text);

// The floors of one target of one rule. Borrowed: State and Clock.
class Floors {
 public:
  // `target_name`: stable and unique per rule and target (rules/rule.h).
  Floors(State& state, Clock& clock, std::string target_name);

  Async<std::optional<Floor>> Get(std::string key);
  Async<std::vector<std::optional<Floor>>> GetMany(std::vector<std::string> keys);

  // Lifts the floor of `key` to at least `floor.stamp`. OK: the floor that is there now, which is
  // either `floor` (its kept_mark, when it has none, is taken over from the row before) or one with
  // a newer stamp, or one of the same stamp that says otherwise: compare. Durable when it returns.
  Async<Floor> Raise(std::string key, Floor floor);

 private:
  State& state_;
  Clock& clock_;
  std::string partition_;
};

}  // namespace longhaul
