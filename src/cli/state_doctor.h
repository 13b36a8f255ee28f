// What `doctor` tries of a State.

#pragma once

#include <string>
#include <vector>

#include "cli/store_doctor.h"
#include "state/state.h"

namespace longhaul {

// Writes, reads and removes the rows `row` and `row`-2 of the doctor's own partition, and says of
// each in `checks` at `place`; by the actions of DynamoDB where it is one. What cannot be removed
// expires within minutes.
Async<void> TryState(State& state, Clock& clock, std::string place, std::string row, bool dynamodb,
                     std::vector<DoctorCheck>& checks);

}  // namespace longhaul
