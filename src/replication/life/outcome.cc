#include "replication/life/outcome.h"

namespace longhaul {

std::string_view ToString(OutcomeState state) {
  switch (state) {
    case OutcomeState::kApplied:
      return "applied";
    case OutcomeState::kEqual:
      return "equal";
    case OutcomeState::kSuperseded:
      return "superseded";
    case OutcomeState::kParked:
      return "parked";
    case OutcomeState::kConflict:
      return "conflict";
    case OutcomeState::kReread:
      return "reread";
  }
  return "unknown";
}

}  // namespace longhaul
