// What has become of single objects of a run: of those that are done, too, of which no row says so.
//
// Done is what a finder has gone past, what no task holds and no row calls failed or gone, and what
// the target has by the comparison of the run, asked now. Where one of these is missing it is not
// done, and what is known is said.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/runtime.h"
#include "migration/compare.h"
#include "migration/run.h"
#include "migration/status.h"
#include "state/state.h"

namespace longhaul::migration {

struct OneObject {
  enum class State {
    kDone,
    kPending,
    kRunning,
    kFailed,
    kGone,
    kNotListed,  // It was not its turn yet, or its listing was given up: `reason`.
    kLeftOut,    // It is none of the run's, by its prefixes or its filter.
    kUnknown,    // `reason` says what is known.
  };
  State state = State::kUnknown;
  std::string name;
  uint64_t size_bytes = 0;  // As listed, or of the source now.
  int tries = 0;            // That failed.
  std::string reason;       // Of the last failure, or why nobody can tell.
  std::string task;         // That holds it.
  std::string worker;       // Of that task, or of the last range of a giant.
  // Of the workers that hold it, with all that they carry beside it.
  double objects_per_second = 0;
  double bytes_per_second = 0;
  int64_t ranges = 0;  // Of a giant that was begun.
  int64_t ranges_left = 0;
};
std::string_view ToString(OneObject::State state);

// `ends`: nullopt: the stores cannot be asked here, `why` says why. Errors are those of State.
Async<OneObject> ReadObject(Runtime& runtime, State& state, Run run, std::optional<Ends> ends,
                            std::string why, std::string name);

// More objects than this that are not done are not held in memory.
inline constexpr size_t kOpenObjectsMax = 1'000'000;

// Calls `tell` for each object that is done, in order of names, until it returns false. Lists both
// sides. kInvalidInput: more than kOpenObjectsMax are not done. Else as State and the stores fail.
Async<void> ReadDone(Runtime& runtime, State& state, Run run, Ends ends,
                     std::function<bool(const std::string& name, uint64_t size_bytes)> tell);

}  // namespace longhaul::migration
